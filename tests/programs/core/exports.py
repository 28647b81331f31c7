"""Run through PyRun_SimpleString by a host of the core six, which prepends PORT, the port of an echo server."""

# ruff: noqa: F821

import errno
import os
import socket
import sys

import wasisocket

with wasisocket.create_connection(("127.0.0.1", PORT)) as sock:
    sock.sendall(b"through the core six")
    print(sock.recv(100).decode(), sys.prefix, dict(os.environ))

# The standard socket module works too, as far as six blocking calls can support it.
with socket.create_connection(("127.0.0.1", PORT)) as sock:
    sock.sendall(b"stock")
    print(sock.recv(100).decode())
    for call in [
        lambda: sock.settimeout(1),
        sock.getpeername,
        lambda: sock.shutdown(socket.SHUT_WR),
        lambda: sock.bind(("127.0.0.1", 0)),
        socket.socketpair,
    ]:
        try:
            call()
        except OSError as exc:
            assert exc.errno == errno.ENOTSUP, exc
        else:
            raise AssertionError(call)
    try:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except OSError as exc:
        # http.client ignores this error.
        assert exc.errno == errno.ENOPROTOOPT, exc
