"""How calls that want a thread run without one. Usage: threads.py inline|refused."""

import asyncio
import http.server
import socket
import sys
import threading


def raises(function):
    try:
        function()
    except RuntimeError as exc:
        assert "can't start new thread" in str(exc), exc
    else:
        raise AssertionError("a thread was started")


raises(threading.Thread(target=print).start)


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.path.encode())

    def log_message(self, *args):
        pass


async def to_thread():
    return await asyncio.to_thread(sum, [1, 2, 3])


if sys.argv[1] == "inline":
    assert asyncio.run(to_thread()) == 6
    # A threading server serves one client after another.
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        for path in b"/first", b"/second":
            with socket.create_connection(server.server_address) as client:
                client.sendall(b"GET " + path + b" HTTP/1.0\r\n\r\n")
                server.handle_request()
                assert client.makefile("rb").read().endswith(path)
else:
    raises(lambda: asyncio.run(to_thread()))
print("ok")
