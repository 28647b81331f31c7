"""Sends files to and receives files from a peer outside: the receiver may not do more with a file than its sender."""

import errno
import os
import socket


def raises(numbers, function, *args):
    try:
        function(*args)
    except OSError as exc:
        assert exc.errno in numbers, (function, args, repr(exc))
    else:
        raise AssertionError(f"{function}{args} did not raise")


with socket.socket(socket.AF_UNIX) as peer:
    peer.connect("/run/peer.sock")

    # A file that is open for reading, with offset 3.
    _, (fd,), flags, _ = socket.recv_fds(peer, 10, 1)
    assert flags == 0 and os.read(fd, 100) == b"tent"
    assert os.pread(fd, 3, 0) == b"con"
    denied = errno.EBADF, errno.EINVAL, errno.EPERM, errno.EACCES, errno.ENOTCAPABLE
    raises(denied, os.write, fd, b"x")
    raises(denied, os.pwrite, fd, b"x", 0)
    raises(denied, os.ftruncate, fd, 0)
    if os.utime in os.supports_fd:
        raises(denied, os.utime, fd)
    raises([errno.ENOTDIR, errno.EBADF], lambda: os.open("other", os.O_RDONLY, dir_fd=fd))
    os.close(fd)

    # A folder is not accepted: it would give access to everything in it.
    _, fds, flags, _ = socket.recv_fds(peer, 10, 1)
    assert (fds, flags) == ([], socket.MSG_CTRUNC), (fds, flags)

    # The right ones of many open files are sent.
    files = [open("/run/file", mode, buffering=0) for mode in ["rb", "r+b", "ab"] * 10]
    for place, file in enumerate(files):
        file.seek(place)
    files[7].close()
    files[7] = open("/ro/file", "rb", buffering=0)
    files[7].seek(2)
    socket.send_fds(peer, [b"x"], [file.fileno() for file in files[6:9]])

    # Standard streams and folders cannot be sent.
    folder = os.open("/run", os.O_RDONLY)
    for fd in [0, 1, 2, folder]:
        raises([errno.ENOTSUP], socket.send_fds, peer, [b"x"], [fd])
    os.close(folder)
    assert peer.recv(10) == b""
