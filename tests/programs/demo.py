"""The demo of `cargo xtask run`: a guest talks to a real server, with both modules.

Usage: demo.py PORT, where an HTTP server on localhost listens.
"""

import sys

import _wasisocket
import wasisocket

REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


def low_level(port):
    """Resolve, connect, send and receive with the functions of _wasisocket."""
    addresses = _wasisocket.sock_resolve("localhost", port)
    print("localhost is", addresses)
    refused = None
    for family, port, address in addresses:
        fd = _wasisocket.sock_open(family, _wasisocket.SOCK_STREAM)
        try:
            try:
                _wasisocket.sock_connect(fd, family, port, address)
            except ConnectionRefusedError as exc:
                refused = exc
                continue
            request = REQUEST
            while request:
                request = request[_wasisocket.sock_send(fd, request):]
            return b"".join(iter(lambda: _wasisocket.sock_recv(fd, 4096), b""))
        finally:
            _wasisocket.sock_close(fd)
    raise refused


def high_level(port):
    """Do the same with the module wasisocket."""
    with wasisocket.create_connection(("localhost", port)) as sock:
        sock.sendall(REQUEST)
        return b"".join(iter(lambda: sock.recv(4096), b""))


def main():
    port = int(sys.argv[1])
    for level in low_level, high_level:
        response = level(port)
        status, _, body = response.partition(b"\r\n\r\n")
        print(level.__name__, "answer:", status.splitlines()[0].decode(), body.decode().strip())
        if not status.startswith(b"HTTP/1.1 200 "):
            sys.exit("the server did not answer with 200")


main()
