"""wasisocket.Socket and its module. Usage: wrapper.py ECHO CLOSED (ports)."""

import errno
import gc
import sys
import warnings

import wasisocket

echo, closed = map(int, sys.argv[1:])

assert wasisocket.socket is wasisocket.Socket
assert wasisocket.error is wasisocket.SocketError
for kind in wasisocket.error, wasisocket.timeout, wasisocket.gaierror, wasisocket.herror:
    assert issubclass(kind, OSError)
assert [getattr(wasisocket, name) for name in
        ("SOL_SOCKET", "SO_REUSEADDR", "SO_KEEPALIVE", "IPPROTO_TCP", "TCP_NODELAY")] == [1, 2, 9, 6, 1]
assert wasisocket.has_ipv6 is True
for name in wasisocket.__all__:
    getattr(wasisocket, name)

assert wasisocket.getdefaulttimeout() is None
wasisocket.setdefaulttimeout(9.5)
with wasisocket.Socket() as sock:
    assert sock.gettimeout() == 9.5
wasisocket.setdefaulttimeout(None)
with wasisocket.create_connection(("127.0.0.1", echo), 0.05) as sock:
    try:
        sock.recv(1)
    except wasisocket.timeout:
        pass
    else:
        raise AssertionError("the timeout was not kept")

sock = wasisocket.Socket()
assert (sock.family, sock.type) == (2, 1)
fd = sock.fileno()
assert fd > 2 and f"fd={fd}" in repr(sock)
sock.connect(("localhost", echo))
assert sock.send(b"abc") == 3
buffer = bytearray(8)
assert sock.recv_into(buffer, 2) == 2 and buffer[:2] == b"ab"
assert sock.recv(10) == b"c"
sock.sendall(b"")
sock.sendall(memoryview(b"abcdefgh").cast("I"))
assert sock.recv(8) == b"abcdefgh"
sock.close()
sock.close()
assert sock.fileno() == -1 and "[closed]" in repr(sock)
for family, socktype in [(77, 1), (2, 77), (2, 3)]:
    try:
        wasisocket.Socket(family, socktype)
    except OSError as exc:
        assert exc.errno in (errno.EAFNOSUPPORT, errno.EPROTONOSUPPORT, errno.EPERM), exc
    else:
        raise AssertionError((family, socktype))
for function, args in [(sock.send, (b"x",)), (sock.sendall, (b"x",)), (sock.recv, (1,)),
                       (sock.recv_into, (bytearray(1),)), (sock.connect, (("127.0.0.1", echo),))]:
    try:
        function(*args)
    except OSError as exc:
        assert "Bad file descriptor" in str(exc), exc
    else:
        raise AssertionError(function)

with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    sock = wasisocket.Socket()
    fd = sock.fileno()
    del sock
    gc.collect()
assert [w.category for w in caught] == [ResourceWarning], caught
# With `caught` the warning's reference to the socket is gone, so its handle is free again.
del caught
gc.collect()
with wasisocket.Socket() as sock:
    assert sock.fileno() == fd

try:
    wasisocket.create_connection(("127.0.0.1", closed))
except ConnectionRefusedError as exc:
    assert f"127.0.0.1 port {closed}" in exc.__notes__[0]
else:
    raise AssertionError("connected to a closed port")

# Servers and datagrams.
with wasisocket.Socket() as server:
    server.setsockopt(wasisocket.SOL_SOCKET, wasisocket.SO_REUSEADDR, 1)
    assert server.getsockopt(wasisocket.SOL_SOCKET, wasisocket.SO_REUSEADDR)
    server.bind(("127.0.0.1", 0))
    server.listen()
    with wasisocket.create_connection(server.getsockname(), timeout=10) as client:
        accepted, address = server.accept()
        with accepted:
            assert isinstance(accepted, wasisocket.Socket) and address == client.getsockname()
            client.sendall(b"hello")
            assert accepted.recv(10) == b"hello"
with wasisocket.Socket(wasisocket.AF_INET, wasisocket.SOCK_DGRAM) as first:
    first.bind(("127.0.0.1", 0))
    first.settimeout(10)
    with wasisocket.Socket(wasisocket.AF_INET, wasisocket.SOCK_DGRAM) as second:
        second.sendto(b"datagram", first.getsockname())
        assert first.recvfrom(100)[0] == b"datagram"

# File descriptors are shared with the socket module.
import socket
import _wasisocket

sock = socket.socket(fileno=_wasisocket.sock_open(_wasisocket.AF_INET6, _wasisocket.SOCK_DGRAM))
assert (sock.family, sock.type) == (socket.AF_INET6, socket.SOCK_DGRAM)
sock.close()
print("ok")
