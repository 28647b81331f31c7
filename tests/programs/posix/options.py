"""Socket options: what is set can be read back, and what is missing raises."""

import errno
import socket
import struct

tcp = socket.socket()
tcp6 = socket.socket(socket.AF_INET6)
udp = socket.socket(type=socket.SOCK_DGRAM)
udp6 = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)

SWITCHES = [
    (tcp, socket.SOL_SOCKET, "SO_REUSEADDR"),
    (tcp, socket.SOL_SOCKET, "SO_REUSEPORT"),
    (tcp, socket.SOL_SOCKET, "SO_KEEPALIVE"),
    (tcp, socket.SOL_SOCKET, "SO_OOBINLINE"),
    (udp, socket.SOL_SOCKET, "SO_BROADCAST"),
    (tcp, socket.IPPROTO_TCP, "TCP_NODELAY"),
    (tcp, socket.IPPROTO_TCP, "TCP_CORK"),
    (tcp6, socket.IPPROTO_IPV6, "IPV6_V6ONLY"),
    (udp, socket.IPPROTO_IP, "IP_MULTICAST_LOOP"),
    (udp6, socket.IPPROTO_IPV6, "IPV6_MULTICAST_LOOP"),
]
for sock, level, name in SWITCHES:
    for value in 1, 0:
        sock.setsockopt(level, getattr(socket, name), value)
        assert bool(sock.getsockopt(level, getattr(socket, name))) == bool(value), name

NUMBERS = [
    (tcp, socket.IPPROTO_TCP, "TCP_KEEPIDLE", 77),
    (tcp, socket.IPPROTO_TCP, "TCP_KEEPINTVL", 33),
    (tcp, socket.IPPROTO_TCP, "TCP_KEEPCNT", 5),
    (tcp, socket.IPPROTO_TCP, "TCP_USER_TIMEOUT", 1234),
    (tcp, socket.IPPROTO_IP, "IP_TTL", 12),
    (tcp, socket.IPPROTO_IP, "IP_TOS", 16),
    (udp, socket.IPPROTO_IP, "IP_MULTICAST_TTL", 3),
    (tcp6, socket.IPPROTO_IPV6, "IPV6_UNICAST_HOPS", 9),
    (tcp6, socket.IPPROTO_IPV6, "IPV6_TCLASS", 32),
    (udp6, socket.IPPROTO_IPV6, "IPV6_MULTICAST_HOPS", 4),
]
for sock, level, name, value in NUMBERS:
    sock.setsockopt(level, getattr(socket, name), value)
    assert sock.getsockopt(level, getattr(socket, name)) == value, name

for name in "SO_RCVBUF", "SO_SNDBUF":
    tcp.setsockopt(socket.SOL_SOCKET, getattr(socket, name), 20_000)
    assert tcp.getsockopt(socket.SOL_SOCKET, getattr(socket, name)) == 40_000, name
tcp.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)

assert struct.unpack("ii", tcp.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, 8)) == (0, 0)
tcp.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 7))
assert struct.unpack("ii", tcp.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, 8)) == (1, 7)
tcp.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 0, 0))
assert struct.unpack("ii", tcp.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, 8))[0] == 0

for sock in tcp, tcp6, udp, udp6:
    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_TYPE) == sock.type
    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_DOMAIN) == sock.family
    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_PROTOCOL) == (6 if sock.type == socket.SOCK_STREAM else 17)
    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0
    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) == 0
tcp.bind(("127.0.0.1", 0))
tcp.listen()
assert tcp.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) == 1

# Multicast: a group can be joined once and left once.
group = socket.inet_aton("224.0.0.251") + socket.inet_aton("127.0.0.1")
udp.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, group)
for name in "IP_ADD_MEMBERSHIP", "IP_DROP_MEMBERSHIP":
    try:
        udp.setsockopt(socket.IPPROTO_IP, getattr(socket, name), group)
        assert name == "IP_DROP_MEMBERSHIP"
    except OSError as exc:
        assert exc.errno == errno.EADDRINUSE, exc
udp.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("127.0.0.1"))
assert udp.getsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, 4) == socket.inet_aton("127.0.0.1")

for sock, level, name in [
    (udp, socket.IPPROTO_TCP, socket.TCP_NODELAY),
    (tcp, socket.SOL_SOCKET, 9999),
    (tcp, socket.IPPROTO_TCP, 9999),
    (tcp, 9999, 1),
]:
    for function, args in [(sock.getsockopt, ()), (sock.setsockopt, (1,))]:
        try:
            function(level, name, *args)
        except OSError as exc:
            assert exc.errno in (errno.ENOPROTOOPT, errno.EOPNOTSUPP), (level, name, exc)
        else:
            raise AssertionError((level, name))
try:
    tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, b"\0")
except OSError as exc:
    assert exc.errno == errno.EINVAL
else:
    raise AssertionError("a value was too short")
print("ok")
