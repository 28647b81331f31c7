"""kafka-python's KafkaProducer and KafkaConsumer, with a small broker in this program.

Several threads send with one producer, which has a thread that sends batches and one for its sockets. The consumer is
the only member of a group: its thread for sockets sends heartbeats while the program does something else.
"""

import socket
import struct
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from kafka import KafkaConsumer, KafkaProducer, TopicPartition

TOPIC, PARTITIONS = "news", 2
# Each request that the broker knows, by its number: the name of its method, and the only version that it knows.
# https://kafka.apache.org/protocol
REQUESTS = {0: ("produce", 3), 1: ("fetch", 4), 2: ("list_offsets", 1), 3: ("metadata", 4), 8: ("commit", 2),
            9: ("committed", 1), 10: ("coordinator", 0), 11: ("join", 1), 12: ("heartbeat", 0), 13: ("leave", 0),
            14: ("sync", 0), 18: ("versions", 0), 22: ("producer_id", 0)}
UNSUPPORTED_VERSION = 35


class Reader:
    def __init__(self, data):
        self.data, self.position = data, 0

    def take(self, form):
        values = struct.unpack_from(">" + form, self.data, self.position)
        self.position += struct.calcsize(">" + form)
        return values[0] if len(values) == 1 else values

    def bytes(self, form="i"):
        size = self.take(form)
        return self.take(f"{size}s") if size >= 0 else None

    def string(self):
        return self.bytes("h")

    def each(self, read):
        return [read() for _ in range(self.take("i"))]

    def topics(self, read):
        """What `read` reads for each partition, by topic."""
        return [(self.string(), self.each(read)) for _ in range(self.take("i"))]


def string(data):
    return struct.pack(">h", len(data)) + data


def sized(data):
    return struct.pack(">i", len(data)) + data


def array(items):
    return struct.pack(">i", len(items)) + b"".join(items)


def topics(read, answer):
    """An array of topics, with the answer for each of their partitions."""
    return array([string(name) + array([answer(*partition) for partition in partitions]) for name, partitions in read])


class Broker:
    """One topic. Each connection is served by a thread."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.changed = threading.Condition()
        self.logs = [[] for _ in range(PARTITIONS)]
        self.offsets, self.heartbeats, self.drop = {}, 0, False
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            threading.Thread(target=self.serve, args=self.listener.accept()[:1], daemon=True).start()

    def serve(self, connection):
        with connection, connection.makefile("rb") as file:
            while size := file.read(4):
                request = Reader(file.read(*struct.unpack(">i", size)))
                key, version, number = request.take("hhi")
                request.string()
                name, known = REQUESTS[key]
                with self.changed:
                    if name == "produce" and self.drop:
                        self.drop = False
                        return
                    if version == known:
                        answer = getattr(self, name)(request)
                    else:
                        # The client asks for the versions with its newest one, and has to ask again.
                        assert name == "versions"
                        answer = struct.pack(">hi", UNSUPPORTED_VERSION, 0)
                connection.sendall(sized(struct.pack(">i", number) + answer))

    def versions(self, _):
        return bytes(2) + array([struct.pack(">hhh", key, known, known) for key, (_, known) in REQUESTS.items()])

    def node(self):
        return struct.pack(">i", 1) + string(b"127.0.0.1") + struct.pack(">i", self.port)

    def metadata(self, _):
        partitions = [struct.pack(">hii", 0, number, 1) + array([struct.pack(">i", 1)]) * 2
                      for number in range(PARTITIONS)]
        topic = bytes(2) + string(TOPIC.encode()) + bytes(1) + array(partitions)
        # No rack, no cluster, controller 1.
        return bytes(4) + array([self.node() + struct.pack(">h", -1)]) + struct.pack(">hi", -1, 1) + array([topic])

    def producer_id(self, _):
        return bytes(6) + struct.pack(">qh", 7, 0)

    def end(self, partition):
        return sum(count for count, _ in self.logs[partition])

    def produce(self, request):
        request.string()
        request.take("hi")

        def append(partition, batch):
            offset = self.end(partition)
            # A batch begins with its offset, which is the broker's to set, and has the last record's relative to it.
            count = struct.unpack_from(">i", batch, 23)[0] + 1
            self.logs[partition].append((count, struct.pack(">q", offset) + batch[8:]))
            return struct.pack(">ihqq", partition, 0, offset, -1)

        answer = topics(request.topics(lambda: (request.take("i"), request.bytes())), append)
        self.changed.notify_all()
        return answer + bytes(4)

    def after(self, partition, offset):
        """The batches from this offset on."""
        batches, begin = b"", 0
        for count, batch in self.logs[partition]:
            begin += count
            if begin > offset:
                batches += batch
        return batches

    def fetch(self, request):
        _, wait, *_ = request.take("iiiib")
        asked = request.topics(lambda: request.take("iqi"))
        wanted = [(partition, offset) for _, partitions in asked for partition, offset, _ in partitions]
        self.changed.wait_for(lambda: any(self.end(partition) > offset for partition, offset in wanted), wait / 1000)

        def answer(partition, offset, _):
            end = self.end(partition)
            return struct.pack(">ihqqi", partition, 0, end, end, 0) + sized(self.after(partition, offset))

        return bytes(4) + topics(asked, answer)

    def list_offsets(self, request):
        request.take("i")
        # The time -2 is the beginning, and -1 the end.
        return topics(request.topics(lambda: request.take("iq")), lambda partition, time: struct.pack(
            ">ihqq", partition, 0, -1, 0 if time == -2 else self.end(partition)))

    def coordinator(self, _):
        return bytes(2) + self.node()

    def join(self, request):
        request.string()
        request.take("ii")
        request.string()
        request.string()
        [(protocol, metadata), *_] = request.each(lambda: (request.string(), request.bytes()))
        # The only member leads the group, and assigns the partitions.
        return (struct.pack(">hi", 0, 1) + string(protocol) + string(b"member") * 2
                + array([string(b"member") + sized(metadata)]))

    def sync(self, request):
        request.string()
        request.take("i")
        request.string()
        [(_, assignment)] = request.each(lambda: (request.string(), request.bytes()))
        return bytes(2) + sized(assignment)

    def heartbeat(self, _):
        self.heartbeats += 1
        self.changed.notify_all()
        return bytes(2)

    def leave(self, _):
        return bytes(2)

    def commit(self, request):
        request.string()
        request.take("i")
        request.string()
        request.take("q")
        asked = request.topics(lambda: (*request.take("iq"), request.string()))
        for _, partitions in asked:
            self.offsets.update((partition, offset) for partition, offset, _ in partitions)
        return topics(asked, lambda partition, *_: struct.pack(">ih", partition, 0))

    def committed(self, request):
        request.string()
        return topics(request.topics(lambda: (request.take("i"),)), lambda partition: struct.pack(
            ">iq", partition, self.offsets.get(partition, -1)) + string(b"") + bytes(2))


def records(consumer, count):
    """This many records, by partition."""
    found = [[] for _ in range(PARTITIONS)]
    deadline = time.monotonic() + 30
    while sum(map(len, found)) < count:
        assert time.monotonic() < deadline, found
        for partition, batch in consumer.poll(timeout_ms=1000).items():
            found[partition.partition] += [(record.offset, record.key, record.value) for record in batch]
    return found


def send(producer, sender, count):
    return [producer.send(TOPIC, b"%d " % number * 50, key=b"%d" % sender) for number in range(count)]


def in_order(found, senders, count):
    """Whether there are all records of each sender, in the order in which it sent them."""
    sent = {}
    for partition in found:
        assert [offset for offset, *_ in partition] == list(range(len(partition)))
        for _, key, value in partition:
            sent.setdefault(key, []).append(value)
    return sent == {b"%d" % sender: [b"%d " % number * 50 for number in range(count)] for sender in range(senders)}


def group(broker, servers):
    """Threads send while another one consumes."""
    with KafkaProducer(bootstrap_servers=servers, compression_type="gzip", linger_ms=5) as producer, \
            KafkaConsumer(TOPIC, bootstrap_servers=servers, group_id="group", auto_offset_reset="earliest",
                          enable_auto_commit=False, heartbeat_interval_ms=50) as consumer, \
            ThreadPoolExecutor(5) as executor:
        consumed = executor.submit(records, consumer, 400)
        futures = [executor.submit(send, producer, sender, 100) for sender in range(4)]
        for future in futures:
            for sent in future.result(30):
                sent.get(30)
        found = consumed.result(30)
        with broker.changed:
            before = broker.heartbeats
            assert broker.changed.wait_for(lambda: broker.heartbeats > before + 2, 30)
        consumer.commit()
        return in_order(found, 4, 100), sum(broker.offsets.values())


def sends_again(broker, servers):
    """The broker drops the connection instead of answering."""
    with KafkaProducer(bootstrap_servers=servers) as producer:
        broker.drop = True
        metadata = producer.send(TOPIC, b"again", partition=0).get(30)
        return broker.drop, metadata.offset == broker.end(0) - 1


def from_the_beginning(_, servers):
    with KafkaConsumer(bootstrap_servers=servers, auto_offset_reset="earliest") as consumer:
        consumer.assign([TopicPartition(TOPIC, partition) for partition in range(PARTITIONS)])
        found = records(consumer, 401)
        return found[0].pop()[2], in_order(found, 4, 100)


broker = Broker()
for action in (group, sends_again, from_the_beginning):
    print(action.__name__, action(broker, f"127.0.0.1:{broker.port}"), flush=True)
