"""Threads: switches, starts, executors, and requests at the same time. Prints lines of a case, its unit and a value."""

import socketserver
import threading
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, HTTPServer

SWITCHES = 20_000
STARTS = 2_000
CALLS = 10_000
REQUESTS = 50


def report(case, unit, value):
    print(case, unit, value, sep="\t")


def measure(work):
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def switches():
    mine, theirs = threading.Lock(), threading.Lock()
    mine.acquire()
    theirs.acquire()

    def other():
        for _ in range(SWITCHES):
            theirs.acquire()
            mine.release()

    thread = threading.Thread(target=other)
    thread.start()
    for _ in range(SWITCHES):
        theirs.release()
        mine.acquire()
    thread.join()


def starts():
    for _ in range(STARTS):
        thread = threading.Thread(target=len, args=([],))
        thread.start()
        thread.join()


def calls():
    with ThreadPoolExecutor(8) as executor:
        for _ in executor.map(abs, range(CALLS)):
            pass


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        time.sleep(0.02)
        self.send_response(200)
        self.send_header("Content-Length", "5")
        self.end_headers()
        self.wfile.write(b"hello")

    def log_message(self, *args):
        pass


class Server(socketserver.ThreadingMixIn, HTTPServer):
    request_queue_size = REQUESTS


def requests():
    with Server(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,)).start()
        url = f"http://127.0.0.1:{server.server_port}/"

        def fetch(_):
            with urllib.request.urlopen(url) as answer:
                assert answer.read() == b"hello"

        # The first one makes what all others share.
        fetch(None)
        with ThreadPoolExecutor(REQUESTS) as executor:
            time_taken = measure(lambda: list(executor.map(fetch, range(4 * REQUESTS))))
        server.shutdown()
    return time_taken


report("round trip between two threads, by locks", "round trips/s", SWITCHES / measure(switches))
report("start and join", "threads/s", STARTS / measure(starts))
report("ThreadPoolExecutor.map of small calls", "calls/s", CALLS / measure(calls))
report(f"requests by {REQUESTS} threads to a threading server, 20 ms each", "requests/s", 4 * REQUESTS / requests())
