"""pika's BlockingConnection, with a small AMQP 0-9-1 broker in this program.

One thread consumes, workers acknowledge by `add_callback_threadsafe`, another thread publishes with confirms, and
heartbeats keep a connection that has nothing to do.
"""

import hashlib
import io
import socket
import struct
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial

import pika

METHOD, HEADER, BODY, HEARTBEAT = 1, 2, 3, 8
# Class and method numbers: section 1 of the AMQP 0-9-1 reference.
START, START_OK, TUNE, TUNE_OK = (10, 10), (10, 11), (10, 30), (10, 31)
OPEN, OPEN_OK, CLOSE, CLOSE_OK = (10, 40), (10, 41), (10, 50), (10, 51)
CHANNEL_OPEN, CHANNEL_OPEN_OK, CHANNEL_CLOSE, CHANNEL_CLOSE_OK = (20, 10), (20, 11), (20, 40), (20, 41)
DECLARE, DECLARE_OK, SELECT, SELECT_OK = (50, 10), (50, 11), (85, 10), (85, 11)
QOS, QOS_OK, CONSUME, CONSUME_OK, CANCEL, CANCEL_OK = (60, 10), (60, 11), (60, 20), (60, 21), (60, 30), (60, 31)
PUBLISH, DELIVER, ACK = (60, 40), (60, 60), (60, 80)

FRAME_MAX = 4096
HEARTBEAT_SECONDS = 1


def started(function, *args):
    """Runs it in a daemon thread: one that waits forever must not keep a program that failed."""
    future = Future()

    def run():
        try:
            future.set_result(function(*args))
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return future


def short_string(text):
    return struct.pack("B", len(text)) + text


def field(name, value):
    return short_string(name) + value


def table(fields):
    return struct.pack(">I", len(fields)) + fields


def read_short_string(payload):
    return payload.read(payload.read(1)[0])


class Broker:
    """One queue. Each connection is served by a thread."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.changed = threading.Condition()
        self.waiting, self.consumer = [], None
        self.acknowledged, self.heartbeats = [], 0
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            threading.Thread(target=Session(self, self.listener.accept()[0]).serve, daemon=True).start()

    def deliver(self):
        """Gives the messages that wait to the consumer. The caller holds the lock."""
        while self.consumer and self.waiting:
            self.consumer.deliver(self.waiting.pop(0))

    def wait_for(self, condition):
        with self.changed:
            assert self.changed.wait_for(condition, 30)


class Session:
    def __init__(self, broker, connection):
        self.broker, self.connection, self.file = broker, connection, connection.makefile("rb")
        self.writing, self.closed = threading.Lock(), threading.Event()
        self.confirms, self.published, self.delivered = False, 0, 0
        self.size, self.body = 0, b""

    def serve(self):
        assert self.file.read(8) == b"AMQP\0\0\x09\x01"
        able = field(b"basic.nack", b"t\1") + field(b"publisher_confirms", b"t\1")
        able = field(b"capabilities", b"F" + table(able))
        self.send(0, START, b"\0\x09" + table(able) + struct.pack(">I5sI5s", 5, b"PLAIN", 5, b"en_US"))
        threading.Thread(target=self.beat, daemon=True).start()
        while head := self.file.read(7):
            kind, channel, size = struct.unpack(">BHI", head)
            payload = self.file.read(size)
            assert self.file.read(1) == b"\xce"
            with self.broker.changed:
                self.take(kind, channel, payload)
                self.broker.changed.notify_all()
        self.closed.set()

    def beat(self):
        while not self.closed.wait(HEARTBEAT_SECONDS / 2):
            self.send_frame(HEARTBEAT, 0, b"")

    def send_frame(self, kind, channel, payload):
        self.send_bytes(struct.pack(">BHI", kind, channel, len(payload)) + payload + b"\xce")

    def send_bytes(self, data):
        try:
            with self.writing:
                self.connection.sendall(data)
        except OSError:
            self.closed.set()

    def send(self, channel, method, arguments=b""):
        self.send_frame(METHOD, channel, struct.pack(">HH", *method) + arguments)

    def take(self, kind, channel, payload):
        if kind == HEARTBEAT:
            self.broker.heartbeats += 1
        elif kind == HEADER:
            self.size, self.body = struct.unpack(">Q", payload[4:12])[0], b""
        elif kind == BODY:
            self.body += payload
        else:
            self.call(channel, struct.unpack(">HH", payload[:4]), io.BytesIO(payload[4:]))
        if kind in (HEADER, BODY) and len(self.body) == self.size:
            self.broker.waiting.append(self.body)
            self.published += 1
            if self.confirms:
                self.send(channel, ACK, struct.pack(">QB", self.published, 0))
            self.broker.deliver()

    def call(self, channel, method, arguments):
        if method == START_OK:
            self.send(0, TUNE, struct.pack(">HIH", 10, FRAME_MAX, HEARTBEAT_SECONDS))
        elif method == DECLARE:
            arguments.read(2)
            self.send(channel, DECLARE_OK, short_string(read_short_string(arguments)) + bytes(8))
        elif method == CONSUME:
            arguments.read(2)
            read_short_string(arguments)
            self.channel, self.tag = channel, read_short_string(arguments)
            self.send(channel, CONSUME_OK, short_string(self.tag))
            self.broker.consumer = self
            self.broker.deliver()
        elif method == CANCEL:
            self.broker.consumer = None
            self.send(channel, CANCEL_OK, short_string(read_short_string(arguments)))
        elif method == ACK:
            self.broker.acknowledged.append(struct.unpack(">Q", arguments.read(8))[0])
        elif method not in (TUNE_OK, PUBLISH, CLOSE_OK, CHANNEL_CLOSE_OK):
            if method == SELECT:
                self.confirms = True
            answer, content = {OPEN: (OPEN_OK, short_string(b"")), CLOSE: (CLOSE_OK, b""),
                               CHANNEL_OPEN: (CHANNEL_OPEN_OK, bytes(4)), CHANNEL_CLOSE: (CHANNEL_CLOSE_OK, b""),
                               SELECT: (SELECT_OK, b""), QOS: (QOS_OK, b"")}[method]
            self.send(channel, answer, content)

    def deliver(self, body):
        self.delivered += 1
        arguments = short_string(self.tag) + struct.pack(">QB", self.delivered, 0) + short_string(b"")
        self.send(self.channel, DELIVER, arguments + short_string(b"work"))
        self.send_frame(HEADER, self.channel, struct.pack(">HHQH", 60, 0, len(body), 0))
        for start in range(0, len(body), FRAME_MAX - 8):
            self.send_frame(BODY, self.channel, body[start:start + FRAME_MAX - 8])


def connect(broker):
    return pika.BlockingConnection(pika.ConnectionParameters("127.0.0.1", broker.port, blocked_connection_timeout=30))


def publish(broker, bodies):
    with connect(broker) as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        channel.queue_declare("work")
        for body in bodies:
            channel.basic_publish("", "work", body)


def consume(broker, count):
    """Messages of one connection, each handled by a worker. Returns their digests, in the order of delivery."""
    digests = {}

    def received(channel, method, properties, body):
        workers.submit(work, method.delivery_tag, body)

    def work(tag, body):
        time.sleep(0.01)
        connection.add_callback_threadsafe(partial(finish, tag, hashlib.sha256(body).hexdigest()))

    def finish(tag, digest):
        digests[tag] = digest
        channel.basic_ack(tag)
        if len(digests) == count:
            channel.stop_consuming()

    with connect(broker) as connection, ThreadPoolExecutor(4) as workers:
        channel = connection.channel()
        channel.basic_qos(prefetch_count=8)
        channel.queue_declare("work")
        channel.basic_consume("work", received)
        channel.start_consuming()
    return [digests[tag] for tag in sorted(digests)]


def messages():
    broker = Broker()
    bodies = [bytes([n]) * (n * 100) for n in range(50)] + [bytes(300_000)]
    consumed = started(consume, broker, len(bodies))
    started(publish, broker, bodies).result(30)
    digests = consumed.result(30)
    broker.wait_for(lambda: len(broker.acknowledged) == len(bodies))
    return digests == [hashlib.sha256(body).hexdigest() for body in bodies], len(set(broker.acknowledged))


def heartbeats():
    broker = Broker()
    with connect(broker) as connection:
        connection.channel().queue_declare("work")
        deadline = time.monotonic() + 30
        while broker.heartbeats < 3:
            assert time.monotonic() < deadline
            connection.process_data_events(HEARTBEAT_SECONDS)
        return "three"


def wakes_from_another_thread():
    """A callback of another thread ends a wait that has no other event than heartbeats."""
    broker, called = Broker(), []
    with connect(broker) as connection:
        timer = threading.Timer(0.1, connection.add_callback_threadsafe, [lambda: called.append("called")])
        timer.start()
        begun = time.monotonic()
        while not called:
            connection.process_data_events(30)
        return called, time.monotonic() - begun < 5


def lost():
    """The broker goes away while a thread consumes."""
    broker = Broker()
    consumed = started(consume, broker, 1)
    broker.wait_for(lambda: broker.consumer)
    broker.consumer.connection.shutdown(socket.SHUT_RDWR)
    return type(consumed.exception(30)).__name__


for action in (messages, heartbeats, wakes_from_another_thread, lost):
    print(action.__name__, action(), flush=True)
