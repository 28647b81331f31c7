"""UDP, with both ends in one program."""

import errno
import select
import socket

LOOPBACK = {socket.AF_INET: "127.0.0.1", socket.AF_INET6: "::1"}


def raises(kind, number, function, *args):
    try:
        function(*args)
    except OSError as exc:
        assert isinstance(exc, kind) and exc.errno == number, (function, args, repr(exc))
    else:
        raise AssertionError(f"{function}{args} did not raise")


def bound(family=socket.AF_INET):
    sock = socket.socket(family, socket.SOCK_DGRAM)
    sock.bind((LOOPBACK[family], 0))
    sock.settimeout(10)
    return sock


for family in LOOPBACK:
    with bound(family) as first, bound(family) as second:
        assert first.sendto(b"hello", second.getsockname()) == 5
        assert second.recvfrom(100) == (b"hello", first.getsockname())
        # A datagram without data is a datagram, not the end of a stream.
        assert first.sendto(b"", second.getsockname()) == 0
        first.sendto(b"next", second.getsockname())
        assert second.recvfrom(100) == (b"", first.getsockname())
        assert second.recv(100) == b"next"
        # A datagram longer than the buffer: the rest is lost, and recvmsg reports that.
        first.sendto(b"0123456789", second.getsockname())
        data, ancillary, flags, address = second.recvmsg(4)
        assert (data, ancillary, address) == (b"0123", [], first.getsockname())
        assert flags & socket.MSG_TRUNC
        first.sendto(b"0123456789", second.getsockname())
        assert second.recv(4, socket.MSG_PEEK) == b"0123"
        buffer = bytearray(20)
        assert second.recvfrom_into(buffer) == (10, first.getsockname())
        first.sendto(b"0123456789", second.getsockname())
        assert second.recv_into(buffer, 4, socket.MSG_TRUNC) == 10
        # Several buffers make one datagram.
        first.sendmsg([b"ab", b"cd"], [], 0, second.getsockname())
        assert second.recv(100) == b"abcd"
        second.setblocking(False)
        raises(BlockingIOError, errno.EAGAIN, second.recv, 1)

# A connected socket receives nothing from others, and sendto can still send elsewhere.
with bound() as first, bound() as second, bound() as third:
    first.connect(second.getsockname())
    assert first.getpeername() == second.getsockname()
    third.sendto(b"stranger", first.getsockname())
    second.sendto(b"peer", first.getsockname())
    assert first.recv(100) == b"peer"
    first.send(b"to the peer")
    assert second.recv(100) == b"to the peer"
    first.sendto(b"elsewhere", third.getsockname())
    assert third.recv(100) == b"elsewhere"

# Nothing listens there: the next call reports that.
with bound() as gone:
    address = gone.getsockname()
with socket.socket(type=socket.SOCK_DGRAM) as sock:
    sock.settimeout(10)
    sock.connect(address)
    assert sock.send(b"x") == 1
    select.select([sock], [], [], 10)
    raises(ConnectionRefusedError, errno.ECONNREFUSED, sock.recv, 1)

with socket.socket(type=socket.SOCK_DGRAM) as sock:
    raises(OSError, errno.EDESTADDRREQ, sock.send, b"x")
    raises(OSError, errno.EMSGSIZE, sock.sendto, bytes(70_000), address)
    raises(OSError, errno.EOPNOTSUPP, sock.listen)
    raises(OSError, errno.EOPNOTSUPP, sock.accept)

# An unbound socket: the system picks a port, and answers arrive there.
with bound() as server, socket.socket(type=socket.SOCK_DGRAM) as client:
    client.settimeout(10)
    client.sendto(b"question", server.getsockname())
    data, address = server.recvfrom(100)
    assert address[1] == client.getsockname()[1]
    server.sendto(b"answer", address)
    assert client.recvfrom(100) == (b"answer", server.getsockname())
print("ok")
