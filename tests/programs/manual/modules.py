"""What a user does with a CPython that was built by hand."""

import bz2  # noqa: F401
import fcntl  # noqa: F401
import hashlib  # noqa: F401
import lzma  # noqa: F401
import select
import socket
import sqlite3  # noqa: F401
import ssl
import zlib  # noqa: F401

import _wasisocket
import wasisocket

fd = _wasisocket.sock_open(_wasisocket.AF_INET, _wasisocket.SOCK_STREAM)
_wasisocket.sock_close(fd)
for module in socket, wasisocket:
    with module.socket() as sock:
        assert sock.fileno() >= 0
    assert sock.fileno() == -1
assert socket.has_ipv6
assert select.epoll
ssl.create_default_context()
print("opened and closed")
