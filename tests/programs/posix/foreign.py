"""ctypes: data in C's layout, and the calls that it makes itself."""

import array
import ctypes
import ctypes.util
import struct
from ctypes import wintypes  # noqa: F401: many packages import it


def raises(kind, call, *args):
    try:
        call(*args)
    except kind as error:
        return error
    raise AssertionError(f"{call} raised nothing")


# Numbers.
assert ctypes.sizeof(ctypes.c_int) == 4 and ctypes.sizeof(ctypes.c_longlong) == 8
assert ctypes.sizeof(ctypes.c_void_p) == ctypes.sizeof(ctypes.c_size_t) == struct.calcsize("P")
assert ctypes.c_uint8(257).value == 1 and ctypes.c_int16(0x8000).value == -0x8000
assert ctypes.c_double(1.5).value == 1.5 and ctypes.c_char_p(b"text").value == b"text"
assert ctypes.c_wchar_p("täxt").value == "täxt"


# Structures, unions, arrays, bit fields.
class Pair(ctypes.Structure):
    _fields_ = [("tag", ctypes.c_uint8), ("value", ctypes.c_uint32)]


class Packed(ctypes.BigEndianStructure):
    _pack_ = 1
    _fields_ = [("tag", ctypes.c_uint8), ("value", ctypes.c_uint32), ("low", ctypes.c_uint8, 3), ("high", ctypes.c_uint8, 5)]


class Either(ctypes.Union):
    _fields_ = [("pair", Pair), ("bytes", ctypes.c_uint8 * 8)]


class Node(ctypes.Structure):
    pass


Node._fields_ = [("value", ctypes.c_int), ("next", ctypes.POINTER(Node))]

assert ctypes.sizeof(Pair) == 8 and Pair.value.offset == 4
assert ctypes.sizeof(Packed) == 6 and bytes(Packed(1, 0x01020304, 5, 3)) == b"\x01\x01\x02\x03\x04" + bytes([5 << 5 | 3])
either = Either(Pair(7, 0x01020304))
assert list(either.bytes)[4:] == [4, 3, 2, 1] and either.bytes[0] == 7
last = Node(2)
first = Node(1, ctypes.pointer(last))
last.value = 3
assert first.next.contents.value == 3 and not last.next
array_type = ctypes.c_int * 3
assert list(array_type(1, 2, 3)) == [1, 2, 3]
raises(IndexError, lambda: array_type()[3])
raises(TypeError, ctypes.c_int, "1")

# Memory.
buffer = ctypes.create_string_buffer(b"hello", 10)
assert buffer.raw == b"hello" + bytes(5) and buffer.value == b"hello"
assert ctypes.create_unicode_buffer("täxt").value == "täxt"
assert ctypes.string_at(buffer) == b"hello" and ctypes.string_at(ctypes.addressof(buffer) + 1, 3) == b"ell"
assert ctypes.wstring_at(ctypes.create_unicode_buffer("täxt"), 2) == "tä"
ctypes.memmove(ctypes.byref(buffer, 2), buffer, 5)
assert buffer.value == b"hehello"
ctypes.memset(buffer, ord("x"), 4)
assert buffer.value == b"xxxxllo"
bytes_type = ctypes.POINTER(ctypes.c_uint8)
assert ctypes.cast(buffer, bytes_type)[4] == ord("l")
assert ctypes.cast(ctypes.byref(ctypes.c_int(258)), bytes_type)[0] == 2
assert ctypes.cast(ctypes.c_void_p(5), ctypes.c_void_p).value == 5
shared = array.array("i", [1, 2, 3])
view = (ctypes.c_int * 3).from_buffer(shared)
view[1] = 20
assert shared[1] == 20
assert Pair.from_buffer_copy(bytes([1, 0, 0, 0, 2, 0, 0, 0])).value == 2
assert memoryview(view).format in ("<i", "<l") and memoryview(view).shape == (3,)

# Callbacks, called by Python.
add = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, ctypes.c_short)(lambda one, other: one + other)
assert add(3, -5) == -2 and add(ctypes.c_int(2**31 - 1), 1) == -2**31
half = ctypes.CFUNCTYPE(ctypes.c_double, ctypes.c_double, ctypes.c_longlong)(lambda number, times: number / 2 * times)
assert half(3.0, 2**40) == 1.5 * 2**40
node_value = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(Node))(lambda node: node.contents.next.contents.value)
assert node_value(first) == 3 and node_value(ctypes.byref(first)) == 3
seen = []
note = ctypes.CFUNCTYPE(None, ctypes.c_char_p, ctypes.py_object)(lambda *args: seen.append(args))
assert note(b"text", seen) is None and seen[0][0] == b"text" and seen[0][1] is seen
again = ctypes.cast(add, ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, ctypes.c_short))
assert again(20, 1) == 21
raises(ctypes.ArgumentError, add, "one", 2)

# errno is each thread's own copy.
assert ctypes.set_errno(5) == 0 and ctypes.get_errno() == 5

# Libraries that there are not.
raises(OSError, ctypes.CDLL, "libnothing-of-this-name.so.9")
raises(OSError, ctypes.cdll.LoadLibrary, "/nowhere/lib.so")
assert ctypes.util.find_library("nothing-of-this-name") is None
raises(AttributeError, lambda: ctypes.CDLL(None).nothing_of_this_name)
raises(ValueError, ctypes.c_int.in_dll, ctypes.CDLL(None), "nothing_of_this_name")
assert isinstance(ctypes.pythonapi, ctypes.PyDLL)

print("ok")
