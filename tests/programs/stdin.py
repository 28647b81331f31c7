"""Standard input, waited for beside a socket. It has two bytes, and then it ends."""

import os
import select
import socket

first, second = socket.socketpair()
assert os.read(0, 1) == b"a"
# What is not read yet is there, and the socket is silent.
assert select.select([0, first], [], [], 60)[0] == [0]
second.send(b"x")
assert select.select([0, first], [], [], 60)[0] == [0, first]
assert os.read(0, 100) == b"b"
first.recv(1)
assert select.select([0, first], [], [], 60)[0] == [0]
assert os.read(0, 1) == b""
print("ok")
