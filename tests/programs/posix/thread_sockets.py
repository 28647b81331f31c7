"""Threads that wait for sockets, pipes, look-ups and standard input let the others run."""

import asyncio
import os
import select
import selectors
import socket
import socketserver
import sys
import threading
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def started(target, *args):
    thread = threading.Thread(target=target, args=args)
    thread.start()
    return thread


# One end is read by one thread and written by another, more than the buffers hold.
one, other = socket.socketpair()
data = os.urandom(4 << 20)
got = []


def receive():
    received = bytearray()
    while piece := other.recv(65536):
        received += piece
    got.append(bytes(received))


thread = started(receive)
one.sendall(data)
one.shutdown(socket.SHUT_WR)
thread.join()
assert got == [data]

# On one socket, one thread sends and another one receives.
one, other = socket.socketpair()
echoed = bytearray()


def echo():
    while piece := other.recv(4096):
        other.sendall(piece)
    other.shutdown(socket.SHUT_WR)


def collect():
    while piece := one.recv(4096):
        echoed.extend(piece)


threads = [started(echo), started(collect)]
one.sendall(data)
one.shutdown(socket.SHUT_WR)
for thread in threads:
    thread.join()
assert bytes(echoed) == data
one.close()
other.close()

# A call with a timeout ends in time while others run.
one, other = socket.socketpair()
one.settimeout(0.2)
stop = threading.Event()


def compute():
    while not stop.is_set():
        pass


thread = started(compute)
begun = time.monotonic()
try:
    one.recv(1)
    raise AssertionError("there was something")
except TimeoutError:
    assert 0.19 < time.monotonic() - begun < 5
stop.set()
thread.join()

# MSG_WAITALL, poll, select and epoll wait for what another thread sends.
one.settimeout(None)


def send_slowly():
    for piece in (b"ab", b"cd", b"ef"):
        time.sleep(0.03)
        other.sendall(piece)


thread = started(send_slowly)
assert one.recv(6, socket.MSG_WAITALL) == b"abcdef"
thread.join()


def by_select():
    return select.select([one], [], [], 10)[0]


def by_poll():
    poll = select.poll()
    poll.register(one, select.POLLIN)
    return poll.poll(10000)


def by_epoll():
    with select.epoll() as epoll:
        epoll.register(one, select.EPOLLIN)
        return epoll.poll(10)


for wait in (by_select, by_poll, by_epoll):
    timer = threading.Timer(0.05, other.send, (b"x",))
    timer.start()
    assert wait(), wait
    assert one.recv(1) == b"x"
    timer.join()

# Two threads wait with one set: each event is told.
told = []


def wait_with(epoll):
    while True:
        events = epoll.poll(10)
        assert events
        try:
            piece = one.recv(1, socket.MSG_DONTWAIT)
        except BlockingIOError:
            # The other one took it.
            continue
        if piece == b"e":
            return
        told.append(piece)


with select.epoll() as epoll:
    epoll.register(one, select.EPOLLIN)
    threads = [started(wait_with, epoll) for _ in range(2)]
    other.sendall(b"abcdfg")
    deadline = time.monotonic() + 10
    while len(told) < 6 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert sorted(told) == [b"a", b"b", b"c", b"d", b"f", b"g"], told
    other.send(b"ee")
    for thread in threads:
        thread.join()

# Closing does not wake who waits: the call goes on with the socket that it began with, and its number is free.
first, second = socket.socketpair()
late = []
thread = started(lambda: late.append(first.recv(10)))
time.sleep(0.05)
number = first.fileno()
first.close()
assert thread.is_alive()
third = socket.socket()
assert third.fileno() == number
second.send(b"late")
thread.join()
assert late == [b"late"]
try:
    # The last who had it is gone.
    for _ in range(100):
        second.send(b"more")
        time.sleep(0.01)
    raise AssertionError("it is still open")
except (BrokenPipeError, ConnectionResetError):
    pass
second.close()
third.close()

# Shutting down does.
first, second = socket.socketpair()
thread = started(lambda: late.append(first.recv(10)))
time.sleep(0.05)
first.shutdown(socket.SHUT_RDWR)
thread.join()
assert late[1:] == [b""]
first.close()
second.close()

# A pipe.
read, write = os.pipe()
timer = threading.Timer(0.05, os.write, (write, b"through"))
timer.start()
assert os.read(read, 100) == b"through"
timer.join()
os.close(read)
os.close(write)

# Several threads accept on one socket.
listener = socket.create_server(("127.0.0.1", 0))
accepted = []


def accept():
    connection, _ = listener.accept()
    with connection:
        accepted.append(connection.recv(10))


threads = [started(accept) for _ in range(4)]
for number in range(4):
    with socket.create_connection(listener.getsockname()) as connection:
        connection.sendall(b"%d" % number)
for thread in threads:
    thread.join()
assert sorted(accepted) == [b"0", b"1", b"2", b"3"]
listener.close()


# Servers with threads.
class Handler(socketserver.StreamRequestHandler):
    def handle(self):
        for line in self.rfile:
            self.wfile.write(line.upper())


class Server(socketserver.ThreadingTCPServer):
    daemon_threads = True


with Server(("127.0.0.1", 0), Handler) as server:
    thread = started(server.serve_forever, 0.05)
    # All are open at the same time.
    connections = [socket.create_connection(server.server_address) for _ in range(10)]
    for number, connection in enumerate(connections):
        connection.sendall(b"line %d\n" % number)
    for number, connection in enumerate(connections):
        assert connection.recv(100) == b"LINE %d\n" % number
        connection.close()
    server.shutdown()
    thread.join()


class Slow(BaseHTTPRequestHandler):
    def do_GET(self):
        time.sleep(0.1)
        body = self.path.encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


with ThreadingHTTPServer(("127.0.0.1", 0), Slow) as server:
    thread = started(server.serve_forever, 0.05)
    url = f"http://127.0.0.1:{server.server_port}/"
    begun = time.monotonic()
    with ThreadPoolExecutor(16) as executor:
        bodies = list(executor.map(lambda number: urllib.request.urlopen(f"{url}{number}").read(), range(32)))
    assert bodies == [b"/%d" % number for number in range(32)]
    # One after the other they would take 3.2 seconds.
    assert time.monotonic() - begun < 2.5
    server.shutdown()
    thread.join()


# Look-ups, and asyncio with threads.
async def with_threads():
    loop = asyncio.get_running_loop()
    ticks = 0

    async def tick():
        nonlocal ticks
        while True:
            await asyncio.sleep(0.01)
            ticks += 1

    ticking = asyncio.ensure_future(tick())
    assert await asyncio.to_thread(threading.current_thread) is not threading.current_thread()
    await asyncio.gather(*(asyncio.to_thread(time.sleep, 0.2) for _ in range(4)))
    assert ticks > 5
    assert await loop.getaddrinfo("localhost", 80, type=socket.SOCK_STREAM)
    loop.call_later(0.05, lambda: None)
    done = loop.create_future()
    threading.Timer(0.05, loop.call_soon_threadsafe, (done.set_result, 7)).start()
    assert await asyncio.wait_for(done, 10) == 7
    ticking.cancel()


asyncio.run(with_threads())

with ThreadPoolExecutor(4) as executor:
    for found in executor.map(lambda _: socket.getaddrinfo("localhost", 80), range(4)):
        assert found

# Standard input has two lines and no end: a thread that waits for the third is left.
assert sys.stdin.readline() == "one\n"
lines = []
reader = threading.Thread(target=lambda: [lines.append(line) for line in sys.stdin], daemon=True)
reader.start()
begun = time.monotonic()
while not lines and time.monotonic() - begun < 10:
    time.sleep(0.01)
assert lines == ["two\n"]
with selectors.DefaultSelector() as selector:
    selector.register(one, selectors.EVENT_READ)
    assert selector.select(0.05) == []
print("ok", flush=True)
os._exit(0)
