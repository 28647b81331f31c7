"""Locks of files within one process, and the space of file systems: fcntl(2), flock(2), lockf(3), statvfs(3)."""

import errno
import fcntl
import os
import shutil
import signal
import sqlite3
import tempfile
import time


def error(call, *arguments):
    try:
        call(*arguments)
    except OSError as failed:
        return failed.errno
    raise AssertionError((call, arguments))


folder = tempfile.TemporaryDirectory()
os.chdir(folder.name)
NOW = fcntl.LOCK_NB

# flock(2): the lock is the open file description's.
one, other = open("file", "w+"), open("file", "w+")
fcntl.flock(one, fcntl.LOCK_EX)
assert error(fcntl.flock, other, fcntl.LOCK_EX | NOW) == errno.EAGAIN
assert error(fcntl.flock, other, fcntl.LOCK_SH | NOW) == errno.EAGAIN
fcntl.flock(one, fcntl.LOCK_SH)
fcntl.flock(other, fcntl.LOCK_SH | NOW)
assert error(fcntl.flock, other, fcntl.LOCK_EX | NOW) == errno.EAGAIN
fcntl.flock(one, fcntl.LOCK_UN)
fcntl.flock(other, fcntl.LOCK_EX | NOW)
copy = os.dup(other.fileno())
fcntl.flock(copy, fcntl.LOCK_EX | NOW)
other.close()
assert error(fcntl.flock, one, fcntl.LOCK_SH | NOW) == errno.EAGAIN
os.close(copy)
fcntl.flock(one, fcntl.LOCK_EX | NOW)
assert error(fcntl.flock, one, 0) == errno.EINVAL
assert error(fcntl.flock, one, fcntl.LOCK_EX | fcntl.LOCK_UN) == errno.EINVAL
assert error(fcntl.flock, 99, fcntl.LOCK_EX) == errno.EBADF

# A signal ends the wait, if its handler raises an exception; otherwise it goes on.
other = open("file", "r+")


def late(*_):
    raise TimeoutError


signal.signal(signal.SIGALRM, late)
signal.setitimer(signal.ITIMER_REAL, 0.1)
try:
    fcntl.flock(other, fcntl.LOCK_EX)
except TimeoutError:
    pass
else:
    raise AssertionError
signal.signal(signal.SIGALRM, lambda *_: fcntl.flock(one, fcntl.LOCK_UN))
signal.setitimer(signal.ITIMER_REAL, 0.1)
fcntl.flock(other, fcntl.LOCK_EX)
fcntl.flock(other, fcntl.LOCK_UN)

# lockf(3) and fcntl(2): the locks are the process's, so that it does not meet its own.
fcntl.lockf(one, fcntl.LOCK_EX)
fcntl.lockf(other, fcntl.LOCK_EX | NOW, 10, 5)
one.write("0123456789")
one.flush()
fcntl.lockf(one, fcntl.LOCK_EX | NOW, 3, -3, os.SEEK_END)
fcntl.lockf(one, fcntl.LOCK_EX | NOW, 3, -3, os.SEEK_CUR)
assert error(fcntl.lockf, one, fcntl.LOCK_EX, 3, -1) == errno.EINVAL
assert error(fcntl.lockf, one, fcntl.LOCK_EX, 3, -11, os.SEEK_CUR) == errno.EINVAL
assert error(fcntl.lockf, one, fcntl.LOCK_EX, 0, 0, 5) == errno.EINVAL
os.lockf(one.fileno(), os.F_TEST, 0)
os.lockf(one.fileno(), os.F_TLOCK, 0)
os.lockf(one.fileno(), os.F_ULOCK, 0)
with open("file") as reads, open("file", "r+b") as both:
    fcntl.lockf(reads, fcntl.LOCK_SH)
    assert error(fcntl.lockf, reads, fcntl.LOCK_EX) == errno.EBADF
    assert error(os.lockf, reads.fileno(), os.F_LOCK, 0) == errno.EBADF
    fcntl.lockf(both, fcntl.LOCK_EX)
assert error(fcntl.lockf, 99, fcntl.LOCK_EX) == errno.EBADF
one.close(), other.close()

# SQLite: readers beside each other, one writer.
first = sqlite3.connect("data.db", timeout=0, isolation_level=None)
second = sqlite3.connect("data.db", timeout=0, isolation_level=None)
first.execute("create table t (value)")
first.execute("begin")
first.execute("insert into t values (1)")
assert second.execute("select count(*) from t").fetchone() == (0,)
try:
    second.execute("insert into t values (2)")
except sqlite3.OperationalError as failed:
    assert failed.sqlite_errorname == "SQLITE_BUSY", failed.sqlite_errorname
else:
    raise AssertionError
first.execute("commit")
second.execute("insert into t values (2)")
assert first.execute("select value from t order by value").fetchall() == [(1,), (2,)]
first.close(), second.close()
assert sorted(os.listdir()) == ["data.db", "file"], os.listdir()

# The space that there is.
for space in (os.statvfs("."), os.statvfs("file")):
    assert 0 < space.f_bavail <= space.f_blocks and space.f_bsize >= 512, space
    assert space.f_namemax == 255
fd = os.open("file", os.O_RDONLY)
assert os.fstatvfs(fd).f_frsize == space.f_frsize
os.close(fd)
usage = shutil.disk_usage(".")
assert 0 < usage.free <= usage.total
assert error(os.statvfs, "missing") == errno.ENOENT
assert error(os.fstatvfs, 99) == errno.EBADF

os.chdir("/")
folder.cleanup()
print("ok")
