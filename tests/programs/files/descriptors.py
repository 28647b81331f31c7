"""The limit max-files: a guest that may have ten files open, in a folder that it can write to."""

import array
import errno
import os
import socket

FOLDER = "/folder"
MAX = 10


def opened(number, flags=os.O_RDONLY, name="."):
    fds = []
    try:
        for _ in range(number):
            fds.append(os.open(os.path.join(FOLDER, name), flags))
    except OSError as error:
        assert error.errno == errno.EMFILE, error
    return fds


def close(fds):
    for fd in fds:
        os.close(fd)


open(os.path.join(FOLDER, "file"), "w").close()

# Folders and files count alike, and what is closed does not.
for flags, name in ((os.O_RDONLY, "."), (os.O_RDWR, "file"), (os.O_RDONLY, "file")):
    fds = opened(100, flags, name)
    assert len(fds) == MAX, len(fds)
    for call in (os.listdir, os.scandir, open):
        try:
            call(FOLDER if call is not open else os.path.join(FOLDER, "file"))
        except OSError as error:
            assert error.errno == errno.EMFILE, error
        else:
            raise AssertionError(call)
    # What opens nothing works.
    assert os.stat(FOLDER).st_ino and os.access(FOLDER, os.F_OK)
    os.close(fds.pop())
    assert os.listdir(FOLDER)
    close(fds)
    close(opened(MAX))

# A name that is not UTF-8.
raw = os.fsencode(FOLDER) + b"/\xff"
fds = opened(MAX - 1)
fds.append(os.open(raw, os.O_RDWR | os.O_CREAT))
try:
    os.open(raw, os.O_RDONLY)
except OSError as error:
    assert error.errno == errno.EMFILE, error
else:
    raise AssertionError
close(fds)

# Descriptors that come through a socket.
if hasattr(socket, "send_fds"):
    one, other = socket.socketpair()
    fds = opened(2, os.O_RDONLY, "file")
    try:
        socket.send_fds(one, [b"x"], fds)
    except OSError as error:
        # In an asynchronous store no files are sent.
        assert error.errno in (errno.EINVAL, errno.ENOTSUP, errno.EBADF), error
    else:
        fds += opened(MAX - 3)
        received = array.array("i")
        data, ancillary, flags, _ = other.recvmsg(1, socket.CMSG_SPACE(8))
        for _, _, content in ancillary:
            received.frombytes(content[: len(content) - len(content) % received.itemsize])
        assert (len(received), bool(flags & socket.MSG_CTRUNC)) == (1, True), (received, flags)
        fds += received
    close(fds)

assert len(opened(100)) == MAX
print("ok")
