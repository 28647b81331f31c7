"""TCP, with both ends in one program: connecting, closing, resetting, half-closing, and large transfers."""

import errno
import select
import socket
import struct
import sys

LOOPBACK = {socket.AF_INET: "127.0.0.1", socket.AF_INET6: "::1"}


def raises(kind, number, function, *args):
    try:
        function(*args)
    except OSError as exc:
        assert isinstance(exc, kind) and exc.errno == number, (function, args, repr(exc))
    else:
        raise AssertionError(f"{function}{args} did not raise")


def listener(family=socket.AF_INET):
    sock = socket.socket(family)
    sock.bind((LOOPBACK[family], 0))
    sock.listen()
    return sock


def pair(family=socket.AF_INET):
    with listener(family) as server:
        client = socket.create_connection(server.getsockname()[:2], timeout=10)
        accepted, address = server.accept()
    assert address == client.getsockname() == accepted.getpeername()
    assert client.getpeername() == accepted.getsockname()
    accepted.settimeout(10)
    return client, accepted


for family in LOOPBACK:
    client, accepted = pair(family)
    assert client.family == accepted.family == family
    assert client.type == accepted.type == socket.SOCK_STREAM
    client.sendall(b"abc")
    assert accepted.recv(10) == b"abc"
    accepted.sendall(b"defgh")
    assert client.recv(2, socket.MSG_PEEK) == b"de"
    assert client.recv(5, socket.MSG_WAITALL) == b"defgh"
    # The write side is closed, and the rest still arrives.
    client.shutdown(socket.SHUT_WR)
    assert accepted.recv(1) == b""
    raises(BrokenPipeError, errno.EPIPE, client.send, b"x")
    accepted.sendall(b"after the end")
    accepted.close()
    with client.makefile("rb") as file:
        assert file.read() == b"after the end"
    client.close()

# A listener on all addresses accepts IPv4 too, with mapped addresses.
with socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True) as server:
    with socket.create_connection(("127.0.0.1", server.getsockname()[1]), timeout=10) as client:
        accepted, address = server.accept()
        assert address[0] == "::ffff:127.0.0.1", address
        accepted.close()

# Sockets that are not connected, not bound or not listening.
with socket.socket() as sock:
    raises(OSError, errno.ENOTCONN, sock.recv, 1)
    raises(BrokenPipeError, errno.EPIPE, sock.send, b"x")
    raises(OSError, errno.ENOTCONN, sock.getpeername)
    raises(OSError, errno.ENOTCONN, sock.shutdown, socket.SHUT_RD)
    raises(OSError, errno.EINVAL, sock.accept)
    assert sock.getsockname() == ("0.0.0.0", 0)

# A port that is in use.
with listener() as server, socket.socket() as second:
    raises(OSError, errno.EADDRINUSE, second.bind, server.getsockname())
with socket.socket() as sock:
    raises(OSError, errno.EADDRNOTAVAIL, sock.bind, ("192.0.2.1", 0))

# A non-blocking connect, step by step.
with listener() as server, socket.socket() as client:
    client.setblocking(False)
    code = client.connect_ex(server.getsockname())
    assert code in (0, errno.EINPROGRESS), code
    poller = select.poll()
    poller.register(client, select.POLLOUT)
    assert poller.poll(10_000) == [(client.fileno(), select.POLLOUT)]
    assert client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0
    assert client.connect_ex(server.getsockname()) in (0, errno.EISCONN)
    assert client.connect_ex(server.getsockname()) == errno.EISCONN
    raises(BlockingIOError, errno.EAGAIN, client.recv, 1)
    address = server.getsockname()
with socket.socket() as client:
    client.setblocking(False)
    code = client.connect_ex(address)
    assert code in (errno.ECONNREFUSED, errno.EINPROGRESS), code
    if code == errno.EINPROGRESS:
        select.select([], [client], [], 10)
        assert client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == errno.ECONNREFUSED
    # Reading SO_ERROR has cleared it.
    assert client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0
with socket.socket() as client:
    raises(ConnectionRefusedError, errno.ECONNREFUSED, client.connect, address)

# Accepting without blocking, and with a timeout.
with listener() as server:
    server.setblocking(False)
    raises(BlockingIOError, errno.EAGAIN, server.accept)
    server.settimeout(0.05)
    try:
        server.accept()
    except TimeoutError:
        pass
    else:
        raise AssertionError("accepted nobody")

# A reset differs from an end. SO_LINGER 0 causes one, and so does closing with unread data.
client, accepted = pair()
accepted.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
accepted.close()
raises(ConnectionResetError, errno.ECONNRESET, client.recv, 1)
assert client.recv(1) == b""
client.close()
client, accepted = pair()
client.sendall(b"unread")
select.select([accepted], [], [], 10)
accepted.close()
raises(ConnectionResetError, errno.ECONNRESET, client.recv, 1)
client.close()

# SO_RCVTIMEO, and timeouts of the socket object.
client, accepted = pair()
client.settimeout(None)
client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("@qq" if sys.maxsize < 1 << 32 else "@ll", 0, 50_000))
raises(BlockingIOError, errno.EAGAIN, client.recv, 1)
client.settimeout(0.05)
for function in lambda: client.recv(1), lambda: client.recv_into(bytearray(1)):
    try:
        function()
    except TimeoutError:
        pass
    else:
        raise AssertionError("received nothing, in no time")

# A large transfer in one direction while the other side reads, in one loop because there is no second thread.
SIZE = 10 << 20
data = bytes(range(256)) * (SIZE // 256)
client.setblocking(False)
accepted.setblocking(False)
rest, received = memoryview(data), bytearray()
while len(received) < SIZE:
    readable, writable, _ = select.select([accepted], [client] if rest else [], [], 10)
    assert readable or writable
    if writable:
        rest = rest[client.send(rest):]
    if readable:
        received += accepted.recv(1 << 20)
assert received == data

# Several buffers in one call.
client.setblocking(True)
accepted.setblocking(True)
assert client.sendmsg([b"ab", b"", bytearray(b"cde"), memoryview(b"f")]) == 6
buffers = [bytearray(1), bytearray(2), bytearray(10)]
count, ancillary, flags, address = accepted.recvmsg_into(buffers)
assert (count, ancillary, flags) == (6, [], 0), (count, ancillary, flags)
assert buffers[0] + buffers[1] + buffers[2][:3] == b"abcdef"
assert client.send(b"") == 0
client.close()
assert accepted.recvmsg(10)[:3] == (b"", [], 0)
accepted.close()

# Out-of-band data.
client, accepted = pair()
accepted.setblocking(True)
client.send(b"!", socket.MSG_OOB)
_, _, urgent = select.select([], [], [accepted], 10)
assert urgent == [accepted]
assert accepted.recv(1, socket.MSG_OOB) == b"!"
client.close()
accepted.close()
print("ok")
