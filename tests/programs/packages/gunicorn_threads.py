"""gunicorn's worker with threads, in this process, as its arbiter runs it after a fork. Clients are other threads."""

import os
import signal
import socket
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import requests

from gunicorn.app.base import BaseApplication
from gunicorn.glogging import Logger
from gunicorn.sock import create_sockets
from gunicorn.workers import gthread

WRITTEN = bytes(range(256)) * 4000
in_flight = threading.Event()


def application(environ, start_response):
    path, read = environ["PATH_INFO"], environ["wsgi.input"].read
    start_response("200 OK", [("Content-Type", "application/octet-stream")])
    match path:
        case "/name":
            time.sleep(0.05)
            return [threading.current_thread().name.encode()]
        case "/length":
            return [b"%d" % len(read())]
        case "/stream":
            return (b"%d\n" % number for number in range(1000))
        case "/file":
            file = tempfile.TemporaryFile()
            file.write(WRITTEN)
            file.seek(0)
            return environ["wsgi.file_wrapper"](file)
        case "/slow":
            in_flight.set()
            time.sleep(0.3)
            return [b"%s %s" % (b"slow", environ["REMOTE_ADDR"].encode())]
    raise ValueError("an error of the application")


class Application(BaseApplication):
    def load_config(self):
        settings = {"bind": "127.0.0.1:0", "worker_class": "gthread", "threads": 8, "accesslog": None,
                    "loglevel": "critical", "keepalive": 5}
        for name, value in settings.items():
            self.cfg.set(name, value)

    def load(self):
        return application


def at_the_same_time(url):
    with requests.Session() as session, ThreadPoolExecutor(8) as executor:
        begun = time.monotonic()
        names = list(executor.map(lambda _: session.get(url + "/name", timeout=30).text, range(32)))
        return len(set(names)) > 1, time.monotonic() - begun < 0.05 * 32


def with_bodies(url):
    with requests.Session() as session:
        sent = session.post(url + "/length", data=bytes(1_000_000), timeout=30).text
        chunked = session.post(url + "/length", data=iter([b"x" * 1000] * 100), timeout=30).text
        streamed = session.get(url + "/stream", timeout=30).text.split()
        file = session.get(url + "/file", timeout=30).content
        return sent, chunked, streamed == [str(number) for number in range(1000)], file == WRITTEN


def with_errors(url):
    [host, port] = url.removeprefix("http://").split(":")
    failed = requests.get(url + "/fails", timeout=30).status_code
    with socket.create_connection((host, int(port))) as client:
        client.sendall(b"no request\r\n\r\n")
        return failed, client.recv(1000).split(b"\r\n")[0]


def many_slow_clients(url):
    """Clients that send nothing do not keep others from their answers, although they are more than the threads."""
    [host, port] = url.removeprefix("http://").split(":")
    clients = [socket.create_connection((host, int(port))) for _ in range(12)]
    answer = requests.get(url + "/name", timeout=30).status_code

    def ask(client):
        with client:
            client.sendall(b"GET /name HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n")
            return b"".join(iter(lambda: client.recv(1000), b"")).split(b"\r\n")[0]

    with ThreadPoolExecutor(len(clients)) as executor:
        return answer, set(executor.map(ask, clients))


def stops_after_its_answers(url):
    """The worker is told to stop while it has a request."""
    with ThreadPoolExecutor(1) as executor:
        asked = executor.submit(requests.get, url + "/slow", timeout=30)
        assert in_flight.wait(30)
        worker.handle_exit(signal.SIGTERM, None)
        return asked.result(30).text


def clients(url):
    try:
        for action in (at_the_same_time, with_bodies, with_errors, many_slow_clients, stops_after_its_answers):
            print(action.__name__, action(url), flush=True)
    finally:
        worker.handle_exit(signal.SIGTERM, None)


# The longest that a thread waits for a client that sends nothing, in seconds: 5 take too long here.
gthread.DEFAULT_WORKER_DATA_TIMEOUT = 0.3
app = Application()
log = Logger(app.cfg)
sockets = create_sockets(app.cfg, log)
worker = gthread.ThreadWorker(1, os.getppid(), sockets, app, app.cfg.timeout, app.cfg, log)
worker.pid = os.getpid()
host, port = sockets[0].getsockname()
thread = threading.Thread(target=clients, args=[f"http://{host}:{port}"])
thread.start()
# It returns when the worker has been told to stop.
worker.init_process()
thread.join()
print("ended")
