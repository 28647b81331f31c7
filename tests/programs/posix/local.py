"""Unix sockets in the working folder."""

import errno
import os
import socket


def raises(kind, number, function, *args):
    try:
        function(*args)
    except OSError as exc:
        assert isinstance(exc, kind) and exc.errno == number, (function, args, repr(exc))
    else:
        raise AssertionError(f"{function}{args} did not raise")


# Streams.
with socket.socket(socket.AF_UNIX) as server:
    assert server.getsockname() == ""
    server.bind("stream.sock")
    assert server.getsockname() == "stream.sock"
    assert "stream.sock" in os.listdir()
    server.listen()
    with socket.socket(socket.AF_UNIX) as client:
        client.connect("stream.sock")
        accepted, address = server.accept()
        assert address == "" and client.getsockname() == ""
        assert accepted.getsockname() == client.getpeername() == "stream.sock"
        client.sendall(b"hello")
        assert accepted.recv(100) == b"hello"
        accepted.close()
        assert client.recv(1) == b""
    with socket.socket(socket.AF_UNIX) as second:
        raises(OSError, errno.EADDRINUSE, second.bind, "stream.sock")
with socket.socket(socket.AF_UNIX) as client:
    raises(ConnectionRefusedError, errno.ECONNREFUSED, client.connect, "stream.sock")
    os.unlink("stream.sock")
    raises(FileNotFoundError, errno.ENOENT, client.connect, "stream.sock")
    raises(OSError, errno.ENOENT, client.connect, "no/such/folder.sock")

# Datagrams, which arrive with the sender's name.
first, second = (socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) for _ in range(2))
with first, second:
    os.mkdir("below")
    first.bind("first.sock")
    second.bind("below/second.sock")
    first.sendto(b"question", "below/second.sock")
    data, address = second.recvfrom(100)
    assert (data, address) == (b"question", "first.sock"), (data, address)
    second.connect("first.sock")
    second.send(b"answer")
    assert first.recvfrom(100) == (b"answer", "below/second.sock")
    first.sendto(b"", "below/second.sock")
    assert second.recv(100) == b""
with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as nameless:
    raises(ConnectionRefusedError, errno.ECONNREFUSED, nameless.sendto, b"x", "first.sock")
os.unlink("first.sock")
os.unlink("below/second.sock")
os.rmdir("below")

# The sockets of a pair have no name.
for kind in socket.SOCK_STREAM, socket.SOCK_DGRAM:
    first, second = socket.socketpair(type=kind)
    with first, second:
        assert first.family == socket.AF_UNIX and first.type == kind
        assert first.getsockname() == first.getpeername() == ""
        first.send(b"x")
        assert second.recvfrom(10) == (b"x", None)
print("ok")
