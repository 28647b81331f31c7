"""One round of the benchmark. Usage: sockets.py SOURCE SINK ECHO (ports). Prints lines of a name, a unit and a rate.

Runs unchanged under native CPython, in the guest, and as a component made by componentize-py.
"""

import select
import socket
import sys
from itertools import cycle, islice

from rates import measure, measure_bytes

# At least a quarter of a second: shorter measurements depend much on scheduling.
TOTAL = 1 << 30
PAGE = 4096


def connected(port):
    sock = socket.create_connection(("127.0.0.1", port))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def transfers(source, sink, size):
    # Written to, because all untouched pages are the same zero page, which is always in the cache.
    memory = memoryview(bytearray(b"x" * (size + PAGE)))
    # Uses each offset in a page in turn: on some CPUs the kernel copies twice as fast at one offset as at another,
    # and each allocator prefers other offsets.
    places = [memory[start : start + size] for start in range(0, PAGE, 16)]

    def receive(total):
        buffers = cycle(places)
        with connected(source) as sock:
            while total > 0:
                total -= sock.recv_into(next(buffers))

    def send(total):
        with connected(sink) as sock:
            for buffer in islice(cycle(places), total // size):
                sock.sendall(buffer)
            sock.shutdown(socket.SHUT_WR)
            sock.recv(1)

    measure_bytes(f"recv_into {size >> 10} KiB", TOTAL, receive)
    measure_bytes(f"sendall {size >> 10} KiB", TOTAL, send)


def exchanges(echo):
    def ping_pong(count):
        message = bytes(64)
        with connected(echo) as sock:
            for _ in range(count):
                sock.send(message)
                sock.recv(64)

    def connect(count):
        for _ in range(count):
            with socket.create_connection(("127.0.0.1", echo)) as sock:
                # Waits for the end on both sides. Otherwise this would measure how fast the peer accepts.
                sock.shutdown(socket.SHUT_WR)
                sock.recv(1)

    measure("round trip of 64 bytes", "round trips/s", 10_000, ping_pong)
    measure("connect and close", "connections/s", 1_000, connect)


def wait(idle):
    with select.epoll() as epoll:
        socks = []
        try:
            while len(socks) < idle:
                sock = socket.socket(type=socket.SOCK_DGRAM)
                socks.append(sock)
                epoll.register(sock, select.EPOLLIN)
        except OSError:
            # The machine's limit of open files is too low: this line of the output is left out.
            pass
        if len(socks) == idle:
            first, second = socket.socketpair()
            epoll.register(first, select.EPOLLIN)
            second.send(b"x")

            def poll(count):
                for _ in range(count):
                    epoll.poll()

            measure(f"epoll with {idle} idle", "waits/s", 20_000, poll)
            first.close()
            second.close()
        for sock in socks:
            sock.close()


def main(source, sink, echo):
    for size in 1 << 16, 1 << 20:
        transfers(source, sink, size)
    exchanges(echo)
    if hasattr(select, "epoll"):
        for idle in 10, 1_000, 10_000:
            wait(idle)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
