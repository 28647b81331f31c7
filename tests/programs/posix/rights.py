"""Descriptors sent with messages over Unix sockets: files, pipes and sockets."""

import array
import errno
import os
import socket
import stat

INT = array.array("i").itemsize


def raises(number, function, *args):
    try:
        function(*args)
    except OSError as exc:
        assert exc.errno == number, (function, args, repr(exc))
    else:
        raise AssertionError(f"{function}{args} did not raise")


def rights(*fds):
    return [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))]


def exchange(*fds, max=10):
    assert socket.send_fds(left, [b"x"], fds) == 1
    data, received, flags, _ = socket.recv_fds(right, 10, max)
    assert data == b"x", data
    return received, flags


left, right = socket.socketpair()

# A file, with its access mode and its offset.
with open("file", "w+b", buffering=0) as file:
    file.write(b"0123456789")
    file.seek(4)
    (fd,), flags = exchange(file.fileno())
    assert flags == 0 and fd != file.fileno(), (fd, flags)
    assert os.read(fd, 3) == b"456"
    os.lseek(fd, 0, os.SEEK_SET)
    assert os.write(fd, b"abc") == 3
    assert os.pread(file.fileno(), 10, 0) == b"abc3456789"
    status = os.fstat(fd)
    assert stat.S_ISREG(status.st_mode) and status.st_ino == os.fstat(file.fileno()).st_ino
    os.ftruncate(fd, 5)
    assert os.fstat(file.fileno()).st_size == 5
os.lseek(fd, 3, os.SEEK_SET)
with open(fd, "rb") as file:
    assert file.read() == b"34"
raises(errno.EBADF, os.close, fd)

for mode, readable, writable in [("rb", True, False), ("r+b", True, True), ("ab", False, True)]:
    with open("file", mode, buffering=0) as file:
        (fd,), _ = exchange(file.fileno())
    if readable:
        assert os.read(fd, 2) == b"ab"
    else:
        raises(errno.EBADF, os.read, fd, 2)
    if writable:
        assert os.write(fd, b"!") == 1
    else:
        raises(errno.EBADF, os.write, fd, b"!")
    os.close(fd)
with open("file", "rb") as file:
    assert file.read() == b"ab!34!", "written in the middle, and at the end"

# A file that has been unlinked.
with open("file", "rb") as file:
    os.unlink("file")
    (fd,), _ = exchange(file.fileno())
with open(fd, "rb") as file:
    assert file.read() == b"ab!34!"

# Pipes.
reader, writer = os.pipe()
fds, _ = exchange(reader, writer)
os.close(reader)
os.close(writer)
reader, writer = fds
assert stat.S_ISFIFO(os.fstat(reader).st_mode)
assert os.write(writer, b"through") == 7
assert os.read(reader, 100) == b"through"
os.close(writer)
assert os.read(reader, 1) == b""
os.close(reader)

# Sockets, which share their state in the kernel.
with socket.create_server(("127.0.0.1", 0)) as server:
    (fd,), _ = exchange(server.fileno())
    with socket.socket(fileno=fd) as copy:
        assert (copy.family, copy.type) == (socket.AF_INET, socket.SOCK_STREAM)
        assert copy.getsockname() == server.getsockname()
        os.set_blocking(copy.fileno(), False)
        assert not os.get_blocking(server.fileno())
        raises(errno.EAGAIN, server.accept)
        os.set_blocking(copy.fileno(), True)
        with socket.create_connection(server.getsockname()) as client:
            accepted, _ = copy.accept()
            (fd,), _ = exchange(accepted.fileno())
            accepted.close()
            with socket.socket(fileno=fd) as accepted:
                accepted.sendall(b"hello")
                assert client.recv(10) == b"hello"
inner, outer = socket.socketpair()
socket.send_fds(left, [b"x"], [inner.fileno()])
inner.close()
_, (fd,), _, _ = socket.recv_fds(right, 1, 1)
with outer, socket.socket(fileno=fd) as inner:
    assert (inner.family, inner.type) == (socket.AF_UNIX, socket.SOCK_STREAM)
    outer.sendall(b"nested")
    assert inner.recv(10) == b"nested"

# Descriptors that do not fit are closed.
ends = [os.pipe() for _ in range(3)]
received, flags = exchange(*(reader for reader, _ in ends), max=2)
assert len(received) == 2 and flags == socket.MSG_CTRUNC, (received, flags)
for fd in received:
    os.close(fd)
for room in [0, 1, socket.CMSG_LEN(0) - 1, socket.CMSG_LEN(0), socket.CMSG_LEN(0) + INT - 1]:
    left.sendmsg([b"x"], rights(ends[0][0]))
    data, control, flags, _ = right.recvmsg(10, room)
    assert (data, control, flags) == (b"x", [], socket.MSG_CTRUNC), (room, control, flags)
left.sendmsg([b"x"], rights(ends[0][0]))
assert right.recv(10) == b"x"
for reader, writer in ends:
    os.close(reader)
    raises(errno.EPIPE, os.write, writer, b"x")
    os.close(writer)

# Numbers that are not descriptors, and ones that cannot be sent.
raises(errno.EBADF, left.sendmsg, [b"x"], rights(reader))
raises(errno.EBADF, left.sendmsg, [b"x"], rights(-1))
raises(errno.EINVAL, left.sendmsg, [b"x"], rights(*[left.fileno()] * 254))
left.sendmsg([b"x"], rights() + rights())
assert right.recvmsg(10, 100)[:3] == (b"x", [], 0)

# A message with rights ends a read, also with MSG_WAITALL.
left.sendmsg([b"ab"], rights(left.fileno()))
left.sendmsg([b"cd"], rights(left.fileno()))
data, (message,), flags, _ = right.recvmsg(10, 100, socket.MSG_WAITALL | socket.MSG_CMSG_CLOEXEC)
assert data == b"ab" and flags == socket.MSG_CMSG_CLOEXEC, (data, flags)
os.close(*array.array("i", message[2]))
data, (fd,), _, _ = socket.recv_fds(right, 10, 10)
assert data == b"cd"
os.close(fd)
right.setblocking(False)
raises(errno.EAGAIN, right.recvmsg, 10, 100)
right.settimeout(0.01)
try:
    right.recvmsg(10, 100)
except TimeoutError:
    pass
else:
    raise AssertionError("nothing was sent")
left.close()
assert right.recvmsg(10, 100)[:3] == (b"", [], 0)
right.close()

# Datagrams carry rights too.
left, right = socket.socketpair(type=socket.SOCK_DGRAM)
with left, right:
    left.sendmsg([b"", b"message"], rights(right.fileno()))
    buffers = bytearray(3), bytearray(10)
    length, (message,), flags, _ = right.recvmsg_into(buffers, 100)
    assert (length, bytes(buffers[0]), flags) == (7, b"mes", 0)
    os.close(*array.array("i", message[2]))
    left.sendmsg([b"message"], rights(right.fileno()))
    data, (fd,), flags, _ = socket.recv_fds(right, 3, 1)
    assert (data, flags) == (b"mes", socket.MSG_TRUNC)
    os.close(fd)
print("ok")
