"""The loops of servers, in the only thread there is (see one_thread.py).

They are not repeated: BaseServer.serve_forever, handle_request and asyncore.loop are left for good, and their
next event is handled when there is one. The same holds for the next request of an HTTP connection.
"""

import socketserver
from http.server import BaseHTTPRequestHandler

from test.support import asyncore

import one_thread
from one_thread import Parked, Strand, replace, start, step

_poll = asyncore.poll


class ServerPump:
    """BaseServer.serve_forever: each connection's handler is a strand of its own."""

    only_if_ready = True

    def __init__(self, server):
        self.server = server
        self.done = False

    def leave(self, strand):
        strand.leave_loop()

    def may_go(self):
        return self.server.fileno() != -1 and one_thread.is_ready(self.server, "read")

    def advance(self):
        server = self.server
        try:
            request, address = server.get_request()
        except OSError:
            return

        def handle():
            try:
                server.process_request(request, address)
            except Exception:
                server.handle_error(request, address)
                server.shutdown_request(request)

        if server.verify_request(request, address):
            start(Strand(handle))
        else:
            server.shutdown_request(request)


class AsyncorePump:
    """asyncore.loop: each event's handler is a strand of its own."""

    only_if_ready = False

    def __init__(self):
        self.done = False

    def leave(self, strand):
        # Such threads take a lock in their loop, and have it still.
        asyncore.close_all(ignore_all=True)

    def may_go(self):
        return bool(asyncore.socket_map)

    def advance(self):
        _poll(0, asyncore.socket_map)


def install():
    asyncore._reraised_exceptions += (Parked,)
    busy = {}

    for name in ["loop", "poll", "poll2"]:
        @replace(asyncore, name)
        def loop(stock, *args, **kwargs):
            return Strand.running.loop(AsyncorePump()) if Strand.running else stock(*args, **kwargs)

    for name in ["read", "write", "readwrite"]:
        @replace(asyncore, name)
        def event(stock, channel, *args):
            if channel not in busy or busy[channel].done:
                busy[channel] = strand = Strand(lambda: stock(channel, *args))
                start(strand)

    for owner, name in [(asyncore, "close_all"), (asyncore.dispatcher, "close"),
                        (socketserver.BaseServer, "server_close"), (socketserver.TCPServer, "server_close")]:
        @replace(owner, name)
        def close(stock, *args, **kwargs):
            if not Strand.parking:
                stock(*args, **kwargs)

    for name in ["serve_forever", "handle_request"]:
        @replace(socketserver.BaseServer, name)
        def serve(stock, self, *args, **kwargs):
            return Strand.running.loop(ServerPump(self)) if Strand.running else stock(self, *args, **kwargs)

    @replace(socketserver.BaseServer, "shutdown")
    def shutdown(stock, self):
        for _ in range(20):
            step()
        for strand in Strand.others:
            if isinstance(strand, ServerPump) and strand.server is self:
                strand.done = True

    def requests(handler):
        while True:
            handler.handle_one_request()
            if handler.close_connection:
                return
            Strand.running.restart_from(lambda: rest_of_connection(handler))

    def rest_of_connection(handler):
        handler.setup()
        try:
            requests(handler)
        finally:
            handler.finish()
        handler.server.shutdown_request(handler.request)

    @replace(BaseHTTPRequestHandler, "handle")
    def handle(stock, self):
        if Strand.running is None:
            return stock(self)
        self.close_connection = True
        requests(self)
