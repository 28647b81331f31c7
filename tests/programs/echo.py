"""TCP and UDP over IPv4 and IPv6, with _wasisocket and wasisocket. Usage: echo.py TCP4 TCP6 UDP4 UDP6 (ports)."""

import array
import sys

import _wasisocket as w
import wasisocket

LOOPBACK = {w.AF_INET: ("127.0.0.1", b"\x7f\0\0\1"), w.AF_INET6: ("::1", bytes(15) + b"\1")}
DATA = bytes(range(256)) * 41


def low_level(family, socktype, port):
    fd = w.sock_open(family, socktype)
    assert fd > 2, fd
    w.sock_connect(fd, family, port, LOOPBACK[family][1])
    for data in [DATA, bytearray(DATA), memoryview(DATA), memoryview(DATA)[7:77], array.array("I", [1, 2, 3]),
                 memoryview(bytes(24)).cast("B", (2, 3, 4))]:
        wanted = bytes(data)
        assert w.sock_send(fd, data) == len(wanted)
        received = b""
        while len(received) < len(wanted):
            part = w.sock_recv(fd, 1 << 20)
            assert part
            received += part
        assert received == wanted
    w.sock_send(fd, b"into the middle")
    buffer = bytearray(b"." * 20)
    assert w.sock_recv_into(fd, memoryview(buffer)[2:], 4) == 4
    assert buffer == b"..into" + b"." * 14, buffer
    if socktype == w.SOCK_STREAM:
        assert w.sock_recv_into(fd, buffer) == 11
        assert buffer == b" the middle" + b"." * 9, buffer
    w.sock_close(fd)


def high_level(family, socktype, port):
    host = LOOPBACK[family][0]
    with wasisocket.Socket(family, socktype) as sock:
        sock.connect((host, port))
        sock.sendall(DATA)
        received = b""
        while len(received) < len(DATA):
            received += sock.recv(65536)
        assert received == DATA
        if socktype == w.SOCK_DGRAM:
            assert sock.send(b"") == 0
            assert sock.recv(10) == b""


def pairs():
    ports = map(int, sys.argv[1:])
    for socktype in w.SOCK_STREAM, w.SOCK_DGRAM:
        for family in w.AF_INET, w.AF_INET6:
            yield family, socktype, next(ports)


for case in pairs():
    low_level(*case)
    high_level(*case)
print("ok")
