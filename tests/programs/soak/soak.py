"""One guest of many, whose peers misbehave. Its first argument is what it does, the second its peer's port, the third a number."""

import errno
import hashlib
import os
import random
import socket
import struct
import sys
import threading  # noqa: F401 - what is imported now needs no descriptor later

ADDRESS = ("127.0.0.1", int(sys.argv[2]))
COUNT = int(sys.argv[3])


def receive(peer, length):
    data = bytearray(length)
    view = memoryview(data)
    while view:
        count = peer.recv_into(view)
        if not count:
            raise EOFError
        view = view[count:]
    return bytes(data)


def transfer():
    """Sends messages, and wants each back as it was."""
    chance = random.Random(COUNT)
    total = 0
    with socket.create_connection(ADDRESS) as peer:
        for _ in range(COUNT):
            message = chance.randbytes(chance.randrange(1, 1 << 18))
            peer.sendall(struct.pack("!I", len(message)) + message)
            back = receive(peer, len(message))
            assert hashlib.sha256(back).digest() == hashlib.sha256(message).digest()
            total += len(message)
    print(total)


def reset():
    """Its peer resets connections amid what it sends."""
    for _ in range(COUNT):
        with socket.create_connection(ADDRESS) as peer:
            try:
                while True:
                    peer.sendall(bytes(1 << 16))
            except (ConnectionResetError, BrokenPipeError):
                pass


def silent():
    """Its peer never answers."""
    for _ in range(COUNT):
        with socket.create_connection(ADDRESS) as peer:
            peer.settimeout(0.05)
            try:
                peer.recv(1)
                raise AssertionError("an answer")
            except TimeoutError:
                pass


def slow():
    """Its peer reads slowly, and then says how much that was."""
    for _ in range(COUNT):
        with socket.create_connection(ADDRESS) as peer:
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
            peer.sendall(bytes(300_000))
            peer.shutdown(socket.SHUT_WR)
            assert struct.unpack("!I", receive(peer, 4)) == (300_000,)


def memory():
    """It takes more than it may have, and goes on without."""
    for _ in range(COUNT):
        try:
            taken = []
            while True:
                taken.append(bytearray(1 << 24))
        except MemoryError:
            del taken


def descriptors():
    """It takes all the descriptors that the host has."""
    for _ in range(COUNT):
        taken = []
        try:
            while True:
                taken.append(socket.socket())
        except OSError as error:
            assert error.errno in (errno.EMFILE, errno.ENFILE), error
        print(len(taken))
        for each in taken:
            each.close()


def lookup():
    """It asks a name server that never answers."""
    for _ in range(COUNT):
        try:
            socket.getaddrinfo("never.test", 80)
            raise AssertionError("an answer")
        except socket.gaierror as error:
            assert error.errno == socket.EAI_AGAIN, error


def endless():
    """Sends until it is ended."""
    with socket.create_connection(ADDRESS) as peer:
        while True:
            peer.sendall(os.urandom(1 << 16))


globals()[sys.argv[1]]()
