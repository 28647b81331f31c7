"""The limit max-disk: a guest that has a megabyte of it in a folder, which is its argument."""

import errno
import os
import sys

folder = sys.argv[1] if len(sys.argv) > 1 else "/folder"
os.chdir(folder)
MAX = 1 << 20
NAME = 4096


def refused(call, *arguments):
    try:
        call(*arguments)
    except OSError as error:
        assert error.errno == errno.ENOSPC, error
        return True
    return False


def room():
    """How many bytes can be added to a file: what is left."""
    fd = os.open("room", os.O_RDWR | os.O_CREAT)
    low, high = 0, 2 * MAX
    while low < high:
        middle = (low + high + 1) // 2
        try:
            os.ftruncate(fd, middle)
            low = middle
        except OSError as error:
            assert error.errno == errno.ENOSPC, error
            high = middle - 1
    os.close(fd)
    os.unlink("room")
    return low + NAME


assert room() == MAX, room()

# What was there does not count, and is not given back.
assert os.path.getsize("old") == 3 * MAX
with open("old", "r+b") as file:
    file.write(b"x" * MAX)
    assert room() == MAX
    file.seek(0, 2)
    file.write(b"y" * 1000)
    file.flush()
    assert room() == MAX - 1000
    file.truncate(MAX)
    assert room() == MAX
os.unlink("old")
assert room() == MAX

# A file's bytes and its name count until it is removed and closed.
fd = os.open("a", os.O_RDWR | os.O_CREAT)
assert os.write(fd, b"a" * 500_000) == 500_000
assert room() == MAX - 500_000 - NAME
assert refused(os.write, fd, b"a" * 600_000)
assert os.pwrite(fd, b"b" * 500_000, 0) == 500_000
assert refused(os.pwrite, fd, b"b", 2 * MAX)
left = room()
os.lseek(fd, 0, 0)
assert os.write(fd, b"c" * 500_000) == 500_000
assert room() == left
os.ftruncate(fd, 1000)
assert room() == MAX - 1000 - NAME
other = os.open("a", os.O_RDONLY)
os.unlink("a")
assert room() == MAX - 1000 - NAME
os.close(fd)
assert room() == MAX - 1000 - NAME
os.close(other)
assert room() == MAX

# Within the file there is room when nothing is left beyond it; for appending there is none.
with open("full", "wb", buffering=0) as file:
    file.write(b"x" * (MAX - NAME))
    file.seek(0)
    assert file.write(b"y" * 100_000) == 100_000
with open("full", "ab", buffering=0) as file:
    assert refused(file.write, b"x")
for make in (lambda: open("b", "w"), lambda: os.mkdir("b"), lambda: os.symlink("x", "b"), lambda: os.link("full", "b")):
    assert refused(make)
assert sorted(os.listdir()) == ["full"]
with open("full", "wb"):
    assert room() == MAX - NAME
os.unlink("full")

# Names of each kind, and what replaces them.
os.mkdir("folder")
os.symlink("folder", "link")
open("file", "w").close()
os.link("file", "file2")
assert room() == MAX - 4 * NAME
open("from", "w").close()
os.rename("from", "file")
os.rename("file", "file")
assert room() == MAX - 4 * NAME
for name in ("link", "file", "file2"):
    os.unlink(name)
os.rmdir("folder")
assert room() == MAX, room()

# Names that are not UTF-8, a file that is renamed while it is open, one that is opened to be cut.
raw = b"caf\xe9"
with open(raw, "wb") as file:
    file.write(b"x" * 1000)
assert room() == MAX - NAME - 1000
os.rename(raw, raw + b"2")
open(raw + b"2", "wb").close()
assert room() == MAX - NAME
os.unlink(raw + b"2")

# Temporary files do not use it up.
for _ in range(300):
    with open("t", "wb") as file:
        file.write(b"x" * 100_000)
    os.unlink("t")
import sqlite3
with sqlite3.connect("db") as db:
    db.execute("create table t(x)")
    try:
        for _ in range(100):
            db.execute("insert into t values (zeroblob(100000))")
    except sqlite3.OperationalError as error:
        assert "full" in str(error), error
    else:
        raise AssertionError("no limit")
db.close()
for name in os.listdir():
    os.unlink(name)

# Unix sockets have names too.
import socket
bound = 0
try:
    while bound < 300:
        with socket.socket(socket.AF_UNIX) as sock:
            sock.bind(f"{folder}/{bound}")
            bound += 1
except OSError as error:
    assert error.errno == errno.ENOSPC, error
assert bound == MAX // NAME, bound
for number in range(bound):
    os.unlink(str(number))
assert room() == MAX
print("ok")
