"""What bounds threads. Usage: threads.py none|few."""

import asyncio
import socket
import socketserver
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor


def raises(function):
    try:
        function()
    except RuntimeError as exc:
        assert "can't start new thread" in str(exc), exc
    else:
        raise AssertionError("a thread was started")


def none():
    """--max-threads 0."""
    for _ in range(3):
        raises(threading.Thread(target=print).start)
    raises(lambda: asyncio.run(asyncio.to_thread(print)))
    with ThreadPoolExecutor() as executor:
        raises(lambda: executor.submit(print))
    # What needs none goes on, and look-ups of asyncio need none.
    assert asyncio.run(asyncio.wait_for(look_up(), 10))
    assert threading.active_count() == 1


async def look_up():
    return await asyncio.get_running_loop().getaddrinfo("localhost", 80)


class Handler(socketserver.BaseRequestHandler):
    def handle(self):
        self.request.sendall(b"hello")
        self.request.recv(1)


class Server(socketserver.ThreadingTCPServer):
    refused = 0

    def handle_error(self, request, client_address):
        raises(lambda: (_ for _ in ()).throw(sys.exception()))
        self.refused += 1


def few():
    """--max-threads 10."""
    gate = threading.Event()
    threads = [threading.Thread(target=gate.wait) for _ in range(10)]
    for _ in range(3):
        for thread in threads:
            thread.start()
        for _ in range(100):
            raises(threading.Thread(target=gate.wait).start)
        gate.set()
        for thread in threads:
            thread.join()
        gate.clear()
        threads = [threading.Thread(target=gate.wait) for _ in range(10)]

    # A thread for each connection, without end: the server goes on with those that it can serve.
    with Server(("127.0.0.1", 0), Handler) as server:
        loop = threading.Thread(target=server.serve_forever, args=(0.02,))
        loop.start()
        clients = [socket.create_connection(server.server_address) for _ in range(30)]
        answers = [client.recv(5) for client in clients]
        assert answers.count(b"hello") == 9 and answers.count(b"") == 21, answers
        assert server.refused == 21
        for client in clients:
            client.close()
        deadline = time.monotonic() + 10
        while threading.active_count() > 2 and time.monotonic() < deadline:
            time.sleep(0.01)
        with socket.create_connection(server.server_address) as client:
            assert client.recv(5) == b"hello"
        server.shutdown()
        loop.join()

    # Many one after the other.
    for _ in range(500):
        thread = threading.Thread(target=len, args=([],))
        thread.start()
        thread.join()

    # Sizes of stacks that do not exist, or that there is no memory for.
    for size in (1, 1 << 31, 1 << 40):
        try:
            threading.stack_size(size)
        except (ValueError, OverflowError):
            continue
        raise AssertionError(size)
    threading.stack_size(1 << 30)
    try:
        # 300 MB is all that this guest may have.
        raises(threading.Thread(target=print).start)
    finally:
        threading.stack_size(0)

    # The interpreter's own output, closed by a thread.
    thread = threading.Thread(target=sys.stderr.close)
    thread.start()
    thread.join()


{"none": none, "few": few}[sys.argv[1]]()
print("ok")
