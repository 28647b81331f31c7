"""A guest that connects to itself over loopback, as programs do that do not use socketpair()."""

import errno
import select
import socket
import sys


def pair(family, host, blocks):
    with socket.socket(family) as listener:
        listener.bind((host, 0))
        listener.listen(1)
        near = socket.socket(family)
        near.setblocking(blocks)
        assert near.connect_ex(listener.getsockname()) in (0, errno.EINPROGRESS)
        far, peer = listener.accept()
        assert peer == near.getsockname(), peer
    return near, far


def refused(call, *arguments):
    try:
        call(*arguments)
    except PermissionError:
        return
    raise AssertionError(f"{call} {arguments}")


if sys.argv[1] == "nothing":
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        refused(listener.listen)
    raise SystemExit

for family, host in [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")]:
    for blocks in True, False:
        near, far = pair(family, host, blocks)
        with near, far:
            far.sendall(b"x")
            near.setblocking(True)
            assert near.recv(1) == b"x"

# Listening at other addresses, and connecting to a stranger's port, is refused.
for address in [("0.0.0.0", 0), ("127.0.0.1", int(sys.argv[2]))]:
    with socket.socket() as other:
        refused(lambda: (other.bind(address), other.listen()))
with socket.socket() as other:
    refused(other.connect, ("127.0.0.1", int(sys.argv[2])))

# Connecting to a port at which the guest listened before is refused.
with socket.socket() as listener:
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    once = listener.getsockname()
    listener.shutdown(socket.SHUT_RDWR)
    with socket.socket() as near:
        refused(near.connect, once)

# A stranger's connection is not accepted, and the guest's own, made after it, is.
with socket.create_server(("127.0.0.1", 0)) as listener:
    print(listener.getsockname()[1], flush=True)
    assert select.select([listener], [], [], 60)[0]
    listener.settimeout(0.5)
    try:
        listener.accept()
        raise AssertionError("a stranger was accepted")
    except TimeoutError:
        pass
    with socket.create_connection(listener.getsockname()) as near:
        far, peer = listener.accept()
        assert peer == near.getsockname(), peer
        far.close()
