"""Packages that start threads: servers, clients, schedulers, progress. Argument: the port of an MQTT broker."""

import gzip
import io
import os
import socket
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import requests


def started(target, *args):
    thread = threading.Thread(target=target, args=args, daemon=True)
    thread.start()
    return thread


def hello(environ, start_response):
    time.sleep(0.05)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [threading.current_thread().name.encode()]


def at_the_same_time(url, count=16):
    """Requests by eight threads. Returns how many answers differ from the first, and whether they took turns."""
    with requests.Session() as session, ThreadPoolExecutor(8) as executor:
        begun = time.monotonic()
        answers = list(executor.map(lambda _: session.get(url, timeout=30).text, range(count)))
        return len(set(answers)) > 1, time.monotonic() - begun < 0.05 * count


def waitress_serves():
    from waitress.server import create_server
    server = create_server(hello, host="127.0.0.1", port=0, threads=8)
    started(server.run)
    return at_the_same_time(f"http://127.0.0.1:{server.effective_port}/")


def werkzeug_serves_flask():
    from flask import Flask, request
    from werkzeug.serving import make_server
    app = Flask("app")

    @app.post("/<name>")
    def answer(name):
        time.sleep(0.02)
        return {"name": name, "body": len(request.data)}

    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = started(server.serve_forever)
    url = f"http://127.0.0.1:{server.server_port}/"
    with ThreadPoolExecutor(8) as executor:
        answers = list(executor.map(lambda n: requests.post(f"{url}{n}", data=bytes(n * 1000)).json(), range(24)))
    server.shutdown()
    thread.join()
    return answers == [{"name": str(n), "body": n * 1000} for n in range(24)]


def websockets_echo():
    from websockets.sync.client import connect
    from websockets.sync.server import serve

    def echo(connection):
        for message in connection:
            connection.send(message)

    with serve(echo, "127.0.0.1", 0) as server:
        thread = started(server.serve_forever)
        with connect(f"ws://127.0.0.1:{server.socket.getsockname()[1]}") as client:
            # One thread sends while another one receives.
            messages = ["x" * n for n in range(0, 5000, 100)] + [os.urandom(300_000)]
            sender = started(lambda: [client.send(message) for message in messages])
            received = [client.recv(timeout=30) for _ in messages]
            sender.join()
        server.shutdown()
        thread.join()
    return received == messages


def paho_loops_in_its_thread():
    from paho.mqtt.client import CallbackAPIVersion, Client
    client, done, received = Client(CallbackAPIVersion.VERSION2), threading.Event(), []

    def message(client, userdata, message):
        received.append(len(message.payload))
        if len(received) == 3:
            done.set()

    client.on_connect = lambda client, *args: client.subscribe("some/topic")
    client.on_subscribe = lambda client, *args: [
        client.publish("some/topic", bytes(size), qos=1) for size in (4, 9, 100_000)]
    client.on_message = message
    client.connect("127.0.0.1", int(sys.argv[1]))
    client.loop_start()
    assert done.wait(30)
    client.disconnect()
    client.loop_stop()
    return sorted(received)


def redis_subscribes_in_a_thread():
    import redis
    listener = socket.create_server(("127.0.0.1", 0))

    def serve(connection):
        file = connection.makefile("rb")
        while line := file.readline():
            words = []
            for _ in range(int(line[1:])):
                size = int(file.readline()[1:])
                words.append(file.read(size + 2)[:size])
            if words[0].upper() != b"SUBSCRIBE":
                connection.sendall(b"+OK\r\n")
                continue
            connection.sendall(b"*3\r\n$9\r\nsubscribe\r\n$4\r\nnews\r\n:1\r\n")
            for number in range(3):
                connection.sendall(b"*3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n$1\r\n%d\r\n" % number)

    def accept():
        while True:
            started(serve, listener.accept()[0])

    started(accept)
    seen, done = [], threading.Event()

    def news(message):
        seen.append(message["data"])
        if len(seen) == 3:
            done.set()

    subscription = redis.Redis(port=listener.getsockname()[1], protocol=2).pubsub(ignore_subscribe_messages=True)
    subscription.subscribe(news=news)
    thread = subscription.run_in_thread(sleep_time=0.01)
    assert done.wait(30)
    thread.stop()
    thread.join()
    return seen


def apscheduler_runs_jobs():
    from apscheduler.schedulers.background import BackgroundScheduler
    scheduler, times = BackgroundScheduler(timezone="UTC"), threading.Semaphore(0)
    scheduler.add_job(times.release, "interval", seconds=0.05)
    scheduler.start()
    for _ in range(3):
        assert times.acquire(timeout=30)
    scheduler.shutdown()
    return "three times"


def rich_shows_progress():
    from rich.console import Console
    from rich.progress import Progress
    out = io.StringIO()
    with Progress(console=Console(file=out, force_terminal=True, width=80), refresh_per_second=50) as progress:
        task = progress.add_task("work", total=10)
        for _ in range(10):
            time.sleep(0.03)
            progress.advance(task)
    return "100%" in out.getvalue(), out.getvalue().count("work") > 3


def sentry_sends_in_its_thread():
    import sentry_sdk
    bodies = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            bodies.append(gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    started(server.serve_forever)
    sentry_sdk.init(f"http://key@127.0.0.1:{server.server_port}/1", default_integrations=False)
    try:
        1 / 0
    except ZeroDivisionError:
        sentry_sdk.capture_exception()
    sentry_sdk.flush(30)
    return any(b"ZeroDivisionError" in body for body in bodies)


for action in (waitress_serves, werkzeug_serves_flask, websockets_echo, paho_loops_in_its_thread,
               redis_subscribes_in_a_thread, apscheduler_runs_jobs, rich_shows_progress, sentry_sends_in_its_thread):
    print(action.__name__, action(), flush=True)
# Servers of other threads go on.
os._exit(0)
