"""Waits for standard input and a socket together. Standard input has two bytes, and then it ends."""

import os
import select
import socket

first, second = socket.socketpair()
assert os.read(0, 1) == b"a"
# Standard input is readable as long as data is unread; the socket is not.
assert select.select([0, first], [], [], 60)[0] == [0]
second.send(b"x")
assert select.select([0, first], [], [], 60)[0] == [0, first]
assert os.read(0, 100) == b"b"
first.recv(1)
assert select.select([0, first], [], [], 60)[0] == [0]
assert os.read(0, 1) == b""
print("ok")
