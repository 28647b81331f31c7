"""The devices in /dev that every program may expect."""

import errno
import os
import select
import stat
import subprocess
import sys


def error(function, *arguments):
    try:
        function(*arguments)
    except OSError as exc:
        return exc.errno
    raise AssertionError("no error")


assert os.devnull == "/dev/null"
with open("/dev/null", "r+b", buffering=0) as null:
    assert null.write(b"x" * 100_000) == 100_000
    assert null.read(10) == b"" == null.read()
    assert not null.isatty()
    assert stat.S_ISCHR(os.fstat(null.fileno()).st_mode)
with open("/dev/null", "w") as null:
    print("text", file=null)
with open(os.devnull, "a+") as null:
    null.write("more")
    null.seek(0)
    assert null.read() == ""
with open("/dev/zero", "r+b", buffering=0) as zero:
    assert zero.read(1000) == bytes(1000)
    assert zero.write(b"abc") == 3
    buffers = [bytearray(b"xx"), bytearray(b"yyy")]
    assert os.readv(zero.fileno(), buffers) == 5 and buffers == [bytes(2), bytes(3)]
    assert os.pread(zero.fileno(), 4, 10**6) == bytes(4)
with open("/dev/full", "r+b", buffering=0) as full:
    assert full.read(3) == bytes(3)
    assert error(full.write, b"x") == errno.ENOSPC
for name in ("random", "urandom"):
    with open(f"/dev/{name}", "rb") as random:
        assert random.read(32) != random.read(32)

for name in ("null", "zero", "full", "random", "urandom"):
    path = f"/dev/{name}"
    found = os.stat(path)
    assert stat.S_ISCHR(found.st_mode) and stat.S_IMODE(found.st_mode) == 0o666, oct(found.st_mode)
    assert os.path.exists(path) and not os.path.isfile(path) and not os.path.isdir(path)
    assert os.access(path, os.R_OK | os.W_OK)
    assert {name} <= set(os.listdir("/dev"))
    assert error(os.open, path, os.O_CREAT | os.O_EXCL | os.O_WRONLY) == errno.EEXIST
    assert error(os.open, path, os.O_DIRECTORY) == errno.ENOTDIR
    assert error(os.listdir, path) == errno.ENOTDIR
    assert error(os.mkdir, path) == errno.EEXIST
    assert error(os.readlink, path) == errno.EINVAL
assert not os.path.samefile("/dev/null", "/dev/zero")
assert os.path.isdir("/dev") and os.path.isdir("/dev/fd")
assert error(os.stat, "/dev/nothing-of-that-name") == errno.ENOENT
assert error(os.stat, "/dev/null/x") == errno.ENOTDIR
assert os.stat("/dev/../dev/./null").st_mode == os.stat("/dev/null").st_mode

# By links, from an open folder, and from the working directory.
os.symlink("/dev/null", "link")
with open("link", "wb", buffering=0) as null:
    assert null.write(b"x") == 1
assert os.path.realpath("link") == "/dev/null"
here = os.getcwd()
os.chdir("/dev")
assert os.getcwd() == "/dev"
with open("null", "rb") as null:
    assert null.read() == b""
os.chdir(here)
fd = os.open("/dev", os.O_RDONLY | os.O_DIRECTORY)
os.close(os.open("zero", os.O_RDONLY, dir_fd=fd))
assert "null" in os.listdir(fd)
with os.scandir("/dev") as entries:
    assert {entry.name for entry in entries if entry.is_dir()} >= {"fd"}
os.close(fd)

# The descriptors of the process.
reader, writer = os.pipe()
with open(f"/dev/fd/{writer}", "wb", buffering=0) as file:
    file.write(b"through")
assert os.read(reader, 100) == b"through"
assert {"0", "1", "2", str(reader), str(writer)} <= set(os.listdir("/dev/fd"))
assert stat.S_ISFIFO(os.stat(f"/dev/fd/{reader}").st_mode)
os.close(reader)
os.close(writer)
assert error(os.open, f"/dev/fd/{reader}", os.O_RDONLY) == errno.ENOENT
with open("/dev/stdin", "rb", buffering=0) as file:
    assert file.read(2) == b"on"
assert os.read(0, 2) == b"e\n"

# Devices and files are always ready; epoll takes neither files nor null.
with open("/dev/null", "rb") as null, open(__file__) as file:
    assert select.select([null, file], [null], [], 5) == ([null, file], [null], [])
    with select.epoll() as epoll:
        assert error(epoll.register, null, select.EPOLLIN) == errno.EPERM
        assert error(epoll.register, file, select.EPOLLIN) == errno.EPERM
assert subprocess.DEVNULL

with open("/dev/stdout", "w") as out:
    out.write("ok\n")
