"""A socket's descriptor where a file is expected: in os, io, fcntl, and in the standard library on top of them."""

import errno
import fcntl
import os
import socket
import stat
import tempfile

first, second = socket.socketpair()
first.settimeout(None)
fd = first.fileno()

assert os.write(second.fileno(), b"hello") == 5
assert os.read(fd, 100) == b"hello"
assert second.sendmsg([b"ab", b"", b"cd"]) == 4
buffer = bytearray(10)
with open(fd, "rb", buffering=0, closefd=False) as file:
    assert file.readinto(buffer) == 4
assert buffer[:4] == b"abcd"

status = os.fstat(fd)
assert stat.S_ISSOCK(status.st_mode)
assert status.st_ino != os.fstat(second.fileno()).st_ino
assert not os.isatty(fd)
try:
    os.lseek(fd, 1, os.SEEK_SET)
except OSError as exc:
    assert exc.errno == errno.ESPIPE, exc
else:
    raise AssertionError("a socket has no place to seek to")

assert os.get_blocking(fd)
os.set_blocking(fd, False)
assert not os.get_blocking(fd)
assert fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_NONBLOCK
try:
    os.read(fd, 1)
except BlockingIOError:
    pass
else:
    raise AssertionError("read nothing")
fcntl.fcntl(fd, fcntl.F_SETFL, fcntl.fcntl(fd, fcntl.F_GETFL) & ~os.O_NONBLOCK)
assert os.get_blocking(fd)
assert not os.get_inheritable(fd)
os.set_inheritable(fd, True)
assert os.get_inheritable(fd)

# As file objects: buffered, text, both directions.
with os.fdopen(os.dup(fd), "rb") as reader, os.fdopen(os.dup(second.fileno()), "wb") as writer:
    writer.write(b"one\ntwo\n")
    writer.flush()
    assert reader.readline() == b"one\n"
    assert reader.readline() == b"two\n"
with first.makefile("rw", encoding="utf-8", newline="\n") as left, second.makefile("rw", encoding="utf-8", newline="\n") as right:
    left.write("h\u00e9llo\n")
    left.flush()
    assert right.readline() == "h\u00e9llo\n"

# The same socket under several numbers: closing the last one closes it.
other = socket.fromfd(fd, first.family, first.type)
assert other.fileno() != fd and os.path.sameopenfile(fd, fd)
number = first.dup().detach()
first.close()
try:
    os.read(fd, 1)
except OSError as exc:
    assert exc.errno == errno.EBADF, exc
else:
    raise AssertionError("read from what is closed")
second.send(b"xyz")
assert other.recv(1) == b"x"
other.close()
assert os.read(number, 100) == b"yz"
again = socket.socket(fileno=number)
assert (again.family, again.type) == (socket.AF_UNIX, socket.SOCK_STREAM)
again.close()
assert second.recv(1) == b""
second.close()
try:
    os.close(number)
except OSError as exc:
    assert exc.errno == errno.EBADF, exc
else:
    raise AssertionError("closed twice")

# A number that the program chooses.
first, second = socket.socketpair()
third = socket.socket()
number = third.fileno()
os.dup2(second.fileno(), number)
second.close()
first.send(b"there")
assert os.read(number, 100) == b"there"
third.detach()
os.close(number)
assert first.recv(1) == b""
number = fcntl.fcntl(first.fileno(), fcntl.F_DUPFD, 3000)
assert number >= 3000 and stat.S_ISSOCK(os.fstat(number).st_mode)
os.close(number)
first.close()

# Pipes.
reader, writer = os.pipe()
assert stat.S_ISFIFO(os.fstat(reader).st_mode)
assert os.write(writer, b"through") == 7
assert os.read(reader, 100) == b"through"
os.close(writer)
assert os.read(reader, 1) == b""
os.close(reader)

# Files still work, in any combination with sockets.
with tempfile.TemporaryFile(dir=".") as file, socket.create_server(("127.0.0.1", 0)) as server:
    file.write(bytes(range(256)) * 400)
    file.seek(0)
    assert stat.S_ISREG(os.fstat(file.fileno()).st_mode)
    with socket.create_connection(server.getsockname()) as client:
        accepted, _ = server.accept()
        with accepted:
            assert accepted.sendfile(file, 100, 5000) == 5000
            accepted.shutdown(socket.SHUT_WR)
            with client.makefile("rb") as reader:
                assert reader.read() == (bytes(range(256)) * 400)[100:5100]

# A descriptor that another object takes over (detach).
sock = socket.socket(type=socket.SOCK_DGRAM)
number = sock.detach()
assert sock.fileno() == -1
taken = socket.socket(fileno=number)
assert (taken.family, taken.type) == (socket.AF_INET, socket.SOCK_DGRAM)
taken.close()
for function in socket.socket(type=socket.SOCK_STREAM).close, lambda: socket.socket(fileno=0):
    try:
        function()
    except OSError as exc:
        assert exc.errno == errno.ENOTSOCK, exc
print("ok")
