"""Errors have the guest's errno and class. Usage: errors.py ECHO RESET CLOSED CLOSED6 (ports)."""

import errno
import os
import sys

import _wasisocket as w
import wasisocket

V4 = b"\x7f\0\0\1"
V6 = bytes(15) + b"\1"
echo, reset, closed, closed6 = map(int, sys.argv[1:])


def raises(kind, number, function, *args):
    try:
        function(*args)
    except OSError as exc:
        assert type(exc) is kind and exc.errno == number, (function, args, repr(exc))
        assert exc.strerror == os.strerror(number), exc.strerror
    else:
        raise AssertionError(f"{function.__name__}{args} did not raise")


fd = w.sock_open(w.AF_INET, w.SOCK_STREAM)
raises(ConnectionRefusedError, errno.ECONNREFUSED, w.sock_connect, fd, w.AF_INET, closed, V4)
w.sock_close(fd)
fd = w.sock_open(w.AF_INET6, w.SOCK_STREAM)
raises(ConnectionRefusedError, errno.ECONNREFUSED, w.sock_connect, fd, w.AF_INET6, closed6, V6)
w.sock_close(fd)

fd = w.sock_open(w.AF_INET, w.SOCK_STREAM)
raises(OSError, errno.ENOTCONN, w.sock_recv, fd, 1)
raises(BrokenPipeError, errno.EPIPE, w.sock_send, fd, b"x")
raises(PermissionError, errno.EACCES, w.sock_connect, fd, w.AF_INET, 1, V4)
w.sock_connect(fd, w.AF_INET, echo, V4)
raises(OSError, errno.EISCONN, w.sock_connect, fd, w.AF_INET, echo, V4)
w.sock_close(fd)

FILES = [0, 1, 2]
for bad in [*FILES, fd, -1, 99, 255, 256, 999, 1001, 5000, (1 << 31) - 1, -(1 << 31)]:
    number = errno.ENOTSOCK if bad in FILES else errno.EBADF
    raises(OSError, number, w.sock_connect, bad, w.AF_INET, echo, V4)
    raises(OSError, number, w.sock_send, bad, b"x")
    raises(OSError, number, w.sock_recv, bad, 1)
    raises(OSError, number, w.sock_recv_into, bad, bytearray(1))
    raises(OSError, errno.EBADF, w.sock_close, bad)

raises(OSError, errno.EAFNOSUPPORT, w.sock_open, 1, w.SOCK_STREAM)
raises(OSError, errno.EINVAL, w.sock_open, w.AF_INET, 3)
raises(OSError, errno.EDESTADDRREQ, w.sock_send, w.sock_open(w.AF_INET, w.SOCK_DGRAM), b"x")
raises(PermissionError, errno.EACCES, w.sock_resolve, "example.com", 80)

with wasisocket.create_connection(("127.0.0.1", reset)) as sock:
    assert sock.recv(1) == b"x"
    sock.send(b"unread")
    raises(ConnectionResetError, errno.ECONNRESET, sock.recv, 1)

# The limit of open sockets is reached, and after closing one the next can be opened.
open_fds = []
try:
    while True:
        open_fds.append(w.sock_open(w.AF_INET, w.SOCK_DGRAM))
except OSError as exc:
    assert exc.errno == errno.EMFILE, exc
assert 200 < len(open_fds) <= 256, len(open_fds)
for fd in open_fds:
    w.sock_close(fd)
w.sock_close(w.sock_open(w.AF_INET, w.SOCK_DGRAM))
print("ok")
