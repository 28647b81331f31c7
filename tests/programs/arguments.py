"""Arguments of a wrong type or out of range raise before the host is called: without any grant there is no denial."""

import array
import _wasisocket as w

fd = w.sock_open(w.AF_INET, w.SOCK_STREAM)


def raises(kind, function, *args):
    try:
        function(*args)
    except Exception as exc:
        assert isinstance(exc, kind), (function, args, exc)
    else:
        raise AssertionError(f"{function.__name__}{args} did not raise")


V4 = b"\x7f\0\0\1"
for args in [(), (2,), (2, 1, 0), ("2", 1), (2, None), (2.0, 1)]:
    raises(TypeError, w.sock_open, *args)
raises(OverflowError, w.sock_open, -1, 1)
raises(OverflowError, w.sock_open, 2, 1 << 40)

for name in [b"localhost", None, 1]:
    raises(TypeError, w.sock_resolve, name, 80)
for name in ["", "a\0b", "x" * 255, "\0", "b\u00fccher\0.example", "\ud800", "\u00fc" * 300, ".\u00fc"]:
    raises(ValueError, w.sock_resolve, name, 80)
for port in [-1, 65536, 70000, 1 << 70]:
    raises(OverflowError, w.sock_resolve, "localhost", port)
    raises(OverflowError, w.sock_connect, fd, w.AF_INET, port, V4)
for port in ["80", 80.0, None]:
    raises(TypeError, w.sock_resolve, "localhost", port)
    raises(TypeError, w.sock_connect, fd, w.AF_INET, port, V4)

for address in [b"", b"\x7f\0\0", V4 + b"\0", bytes(16)]:
    raises(ValueError, w.sock_connect, fd, w.AF_INET, 80, address)
for address in [b"", V4, bytes(15), bytes(17)]:
    raises(ValueError, w.sock_connect, fd, w.AF_INET6, 80, address)
for family in [0, 1, 3, 255, 258]:
    raises(ValueError, w.sock_connect, fd, family, 80, V4)
for address in ["127.0.0.1", None, [127, 0, 0, 1]]:
    raises(TypeError, w.sock_connect, fd, w.AF_INET, 80, address)

for data in ["text", None, 5, [1]]:
    raises(TypeError, w.sock_send, fd, data)
raises(BufferError, w.sock_send, fd, memoryview(b"abcd")[::2])

for size in [-1, -(1 << 31)]:
    raises(ValueError, w.sock_recv, fd, size)
raises(OverflowError, w.sock_recv, fd, 1 << 40)
for size in ["1", 1.0, None]:
    raises(TypeError, w.sock_recv, fd, size)

for buffer in [b"abc", "abc", None, memoryview(b"abc")]:
    raises(TypeError, w.sock_recv_into, fd, buffer)
raises(ValueError, w.sock_recv_into, fd, bytearray(4), -1)
raises(ValueError, w.sock_recv_into, fd, bytearray(4), 5)
raises(OverflowError, w.sock_recv_into, fd, bytearray(4), 1 << 40)

for function, args in [(w.sock_close, ()), (w.sock_send, (b"",)), (w.sock_recv, (1,)),
                       (w.sock_recv_into, (bytearray(1),)), (w.sock_connect, (2, 80, V4))]:
    for bad in ["1000", None, 1000.0]:
        raises(TypeError, function, bad, *args)
    for bad in [1 << 31, -(1 << 40)]:
        raises(OverflowError, function, bad, *args)

# A huge size is neither an error nor allocated in advance: what fails is that the socket is not connected.
raises(OSError, w.sock_recv, fd, (1 << 31) - 1)
raises(OSError, w.sock_send, fd, array.array("d", [1.0] * 3))
w.sock_close(fd)
print("ok")
