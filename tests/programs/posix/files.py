"""Files: duplicated descriptors, the flags of open(2), modes, and errors of descriptors that are not open."""

import errno
import fcntl
import io
import mmap
import os
import shutil
import socket
import stat
import sys
import tarfile
import tempfile
import zipfile


def error(function, *arguments):
    try:
        function(*arguments)
    except OSError as exc:
        return exc.errno
    raise AssertionError("no error")


def closed(*fds):
    for fd in fds:
        os.close(fd)


# Duplicates share the offset, and the file stays open until the last one is closed.
fd = os.open("f", os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o644)
os.write(fd, b"0123456789")
os.lseek(fd, 2, os.SEEK_SET)
copy = os.dup(fd)
assert copy > fd and not os.get_inheritable(copy)
assert os.read(copy, 2) == b"23" and os.read(fd, 2) == b"45"
assert os.lseek(copy, 0, os.SEEK_CUR) == 6
closed(fd)
assert os.read(copy, 2) == b"67"
assert error(os.read, fd, 1) == errno.EBADF
assert os.path.samestat(os.fstat(copy), os.stat("f"))
# The lowest number that is free; a number that the program chooses; one of a socket, and back.
assert os.dup(copy) == fd
chosen = os.dup2(copy, 200)
assert chosen == 200 and os.get_inheritable(chosen)
assert not os.get_inheritable(os.dup2(copy, 201, inheritable=False))
assert fcntl.fcntl(copy, fcntl.F_DUPFD, 300) == 300
assert fcntl.fcntl(copy, fcntl.F_DUPFD_CLOEXEC, 300) == 301
assert os.dup2(copy, copy) == copy
left, right = socket.socketpair()
number = left.fileno()
os.dup2(copy, number)
assert stat.S_ISREG(os.fstat(number).st_mode)
assert os.pread(number, 3, 0) == b"012"
assert right.recv(1) == b""
os.dup2(right.fileno(), 200)
assert stat.S_ISSOCK(os.fstat(200).st_mode)
left.detach()
right.close()
closed(number, 200, 201, 300, 301)
with open(copy, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
    assert mapped[:3] == b"012"
    file.close()
    assert mapped[3:5] == b"34"
closed(fd)

# Output of the process goes elsewhere for a while, as test runners have it.
saved = os.dup(1)
with tempfile.TemporaryFile() as file:
    os.dup2(file.fileno(), 1)
    os.write(1, b"captured\n")
    print("too", flush=True)
    os.dup2(saved, 1)
    file.seek(0)
    assert file.read() == b"captured\ntoo\n"
os.close(saved)
# A standard stream that is closed leaves its number to others.
saved = os.dup(0)
os.close(0)
first, second = socket.socketpair()
assert first.fileno() == 0, first
second.send(b"x")
assert os.read(0, 1) == b"x"
first.close()
assert os.dup2(saved, 0) == 0
os.close(saved)
second.close()

# EBADF of what is not open, in each function; a number that is too large.
for number in (99, 1 << 19):
    for function in (os.close, os.dup, os.fstat, os.isatty, os.get_inheritable, os.get_blocking, os.fsync, os.fdatasync):
        if function is os.isatty:
            assert not os.isatty(number)
        else:
            assert error(function, number) == errno.EBADF, function
    assert error(os.dup2, number, 98) == errno.EBADF
    assert error(os.read, number, 1) == errno.EBADF
    assert error(os.write, number, b"x") == errno.EBADF
    assert error(os.pread, number, 1, 0) == errno.EBADF
    assert error(os.lseek, number, 0, 0) == errno.EBADF
    assert error(os.ftruncate, number, 0) == errno.EBADF
    assert error(os.listdir, number) == errno.EBADF
    assert error(socket.fromfd, number, socket.AF_INET, socket.SOCK_STREAM) == errno.EBADF
    assert error(fcntl.fcntl, number, fcntl.F_GETFL) == errno.EBADF
for number in (-1, 1 << 30):
    assert error(os.dup2, 1, number) == errno.EBADF
assert error(fcntl.fcntl, 1, fcntl.F_DUPFD, -1) == errno.EINVAL

# The flags of open(2).
fd = os.open("new", os.O_CREAT | os.O_EXCL)
assert error(os.open, "new", os.O_CREAT | os.O_EXCL) == errno.EEXIST
assert error(os.write, fd, b"x") == errno.EBADF
os.close(fd)
for flags in (0, os.O_RDONLY, os.O_DIRECTORY):
    fd = os.open(".", flags)
    os.fsync(fd)
    os.fdatasync(fd)
    assert stat.S_ISDIR(os.fstat(fd).st_mode)
    assert {"f", "files.py", "new"} <= set(os.listdir(fd)), os.listdir(fd)
    assert error(os.read, fd, 1) == errno.EISDIR
    os.close(fd)
assert error(os.open, "new", os.O_DIRECTORY) == errno.ENOTDIR
assert error(os.open, ".", os.O_WRONLY) == errno.EISDIR
os.symlink("new", "link")
# An absolute target.
os.mkdir("inner")
os.symlink(os.path.abspath("new"), "inner/absolute")
assert os.readlink("inner/absolute") == os.path.abspath("new")
assert os.path.samefile("inner/absolute", "new")
assert os.path.realpath("inner/absolute") == os.path.realpath("new")
os.symlink(os.path.abspath("later"), "inner/later")
assert not os.path.exists("inner/later")
open("later", "w").close()
assert os.path.samefile("inner/later", "later")
os.symlink(os.getcwd(), "inner/folder")
assert os.path.samefile("inner/folder/new", "new")
shutil.rmtree("inner")
os.unlink("later")
assert error(os.open, "link", os.O_NOFOLLOW) == errno.ELOOP
fd = os.open("new", os.O_NOFOLLOW)
os.close(fd)
fd = os.open("new", os.O_WRONLY | os.O_SYNC)
assert os.write(fd, b"on the disk") == 11
os.close(fd)
fd = os.open("new", os.O_RDWR | os.O_APPEND | os.O_DSYNC)
os.write(fd, b"!")
assert os.pread(fd, 100, 0) == b"on the disk!"
assert fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_APPEND
os.close(fd)
# Several pieces of memory.
fd = os.open("pieces", os.O_RDWR | os.O_CREAT)
assert os.writev(fd, [b"12", b"", b"345", b"6"]) == 6
assert os.pwritev(fd, [b"ab", b"cd"], 1) == 4
os.lseek(fd, 0, 0)
buffers = [bytearray(4), bytearray(0), bytearray(4)]
assert os.readv(fd, buffers) == 6 and buffers == [b"1abc", b"", b"d6\0\0"], buffers
assert os.preadv(fd, [buffers[0], buffers[2]], 4) == 2 and buffers[0] == b"d6bc"
assert os.readv(fd, buffers) == 0 and os.writev(fd, []) == 0
os.close(fd)
os.unlink("pieces")
fd = os.open("new", os.O_WRONLY | os.O_TRUNC)
assert os.fstat(fd).st_size == 0
os.close(fd)

# Modes and owners, and what archives make of them.
os.mkdir("folder")
for path, kind, mode in (("f", stat.S_ISREG, 0o644), ("folder", stat.S_ISDIR, 0o755)):
    found = os.stat(path)
    assert kind(found.st_mode) and stat.S_IMODE(found.st_mode) == mode, oct(found.st_mode)
    assert (found.st_uid, found.st_gid) == (os.getuid(), os.getgid())
assert stat.S_IMODE(os.lstat("link").st_mode) == 0o777
shutil.copy("f", "folder/f")
with tarfile.open("t.tar", "w") as archive:
    archive.add("folder")
with tarfile.open("t.tar") as archive:
    assert [(entry.name, entry.mode) for entry in archive] == [("folder", 0o755), ("folder/f", 0o644)]
    archive.extractall("out", filter="data")
with zipfile.ZipFile("z.zip", "w") as archive:
    archive.write("folder/f")
    assert archive.infolist()[0].external_attr >> 16 == stat.S_IFREG | 0o644
assert open("out/folder/f", "rb").read() == b"0123456789"

# Temporary files with nothing said about where.
with tempfile.TemporaryDirectory() as folder, tempfile.NamedTemporaryFile(dir=folder) as file:
    assert os.path.dirname(folder) == tempfile.gettempdir() == "/tmp"
    file.write(b"x")
    file.flush()
    assert os.stat(file.name).st_size == 1
    assert stat.S_ISREG(os.fstat(file.fileno()).st_mode)
    assert os.listdir(folder) == [os.path.basename(file.name)]
assert not os.path.exists(folder)

# Paths from an open folder, out of it too.
fd = os.open("folder", os.O_RDONLY | os.O_DIRECTORY)
assert os.stat("f", dir_fd=fd).st_size == 10
assert os.stat("../new", dir_fd=fd).st_size == 0
os.rename("f", "../moved", src_dir_fd=fd, dst_dir_fd=fd)
assert os.listdir(fd) == [] and os.path.exists("moved")
os.close(fd)
assert error(os.stat, "x", ) == errno.ENOENT
assert error(lambda: os.stat("x", dir_fd=1)) == errno.ENOTDIR

# The names of errors.
for name in ("EPIPE", "EAGAIN", "ENOENT", "EBADF", "ENOSPC"):
    assert errno.errorcode[getattr(errno, name)] == name
print("ok")
