"""One of many guests whose peers misbehave. Usage: soak.py ACTION PORT COUNT (PORT is the peer's)."""

import array
import errno
import random
import socket
import struct
import sys
import threading  # noqa: F401 - imported now, because no descriptor may be left for it later

ADDRESS = ("127.0.0.1", int(sys.argv[2]))
COUNT = int(sys.argv[3])

# The first word of the streams that peers send.
FIRST = 7


class Numbered:
    """A stream of words of eight bytes, each one more than its predecessor."""

    def __init__(self, first=None):
        self.word = random.getrandbits(62) if first is None else first
        self.rest = b""

    def take(self, length):
        """Returns the next bytes."""
        words = range(self.word, self.word + (length - len(self.rest) + 7) // 8)
        data = self.rest + array.array("Q", words).tobytes()
        self.word = words.stop
        self.rest = data[length:]
        return data[:length]


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
    """Sends messages until the peer asks for no more, and expects each one back unchanged."""
    chance = random.Random(COUNT)
    numbered = Numbered()
    with socket.create_connection(ADDRESS) as peer:
        for _ in range(COUNT):
            message = numbered.take(chance.randrange(1, 1 << 18))
            peer.sendall(struct.pack("!I", len(message)) + message)
            assert receive(peer, len(message)) == message
            if receive(peer, 1) == b"\0":
                break


def datagrams():
    """Sends datagrams, a few at a time, and expects each one back once."""
    numbered = Numbered()
    with socket.socket(type=socket.SOCK_DGRAM) as peer:
        for count in range(COUNT):
            sent = [numbered.take(8 * (1 + (count + each) % 100)) for each in range(8)]
            for each in sent:
                peer.sendto(each, ADDRESS)
            assert sorted(peer.recv(2048) for _ in sent) == sorted(sent)
        peer.setblocking(False)
        try:
            raise AssertionError(peer.recv(2048))
        except BlockingIOError:
            pass


def reset():
    """The peer resets connections while the guest sends."""
    for _ in range(COUNT):
        numbered = Numbered()
        with socket.create_connection(ADDRESS) as peer:
            try:
                while True:
                    peer.sendall(numbered.take(1 << 16))
            except (ConnectionResetError, BrokenPipeError):
                pass


def silent():
    """The peer never answers."""
    for _ in range(COUNT):
        with socket.create_connection(ADDRESS) as peer:
            peer.settimeout(0.05)
            try:
                peer.recv(1)
                raise AssertionError("an answer")
            except TimeoutError:
                pass


def slow():
    """The peer reads slowly, and then sends the number of bytes."""
    for _ in range(COUNT):
        with socket.create_connection(ADDRESS) as peer:
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
            peer.sendall(Numbered().take(300_000))
            peer.shutdown(socket.SHUT_WR)
            assert struct.unpack("!Q", receive(peer, 8)) == (300_000,)


def half_open():
    """The peer shuts down its own side, and continues to read."""
    for _ in range(COUNT):
        with socket.create_connection(ADDRESS) as peer:
            data = b"".join(iter(lambda: peer.recv(10_000), b""))
            assert data == Numbered(FIRST).take(300_000)
            peer.sendall(Numbered().take(300_000))


def vanished():
    """The peer has vanished, or its backlog is full, without any notice."""
    for _ in range(COUNT):
        numbered = Numbered()
        with socket.socket() as peer:
            peer.settimeout(0.2)
            try:
                peer.connect(ADDRESS)
                assert receive(peer, 1000) == Numbered(FIRST).take(1000)
                while True:
                    peer.sendall(numbered.take(1 << 16))
            except TimeoutError:
                pass


def memory():
    """Allocates more memory than allowed, and continues."""
    for _ in range(COUNT):
        try:
            taken = []
            while True:
                taken.append(bytearray(1 << 24))
        except MemoryError:
            del taken


def descriptors():
    """Takes all descriptors of the host whenever the peer asks for it, and holds them until the peer asks again."""
    with socket.create_connection(ADDRESS) as peer:
        for _ in range(COUNT):
            receive(peer, 1)
            taken = []
            try:
                while True:
                    taken.append(socket.socket())
            except OSError as error:
                assert error.errno in (errno.EMFILE, errno.ENFILE), error
            assert taken
            peer.sendall(b"x")
            peer.recv(1, socket.MSG_PEEK)
            for each in taken:
                each.close()


def lookup():
    """Asks a name server that never answers."""
    for _ in range(COUNT):
        try:
            socket.getaddrinfo("never.test", 80)
            raise AssertionError("an answer")
        except socket.gaierror as error:
            assert error.errno == socket.EAI_AGAIN, error


def endless():
    """Sends until the guest is ended."""
    numbered = Numbered()
    with socket.create_connection(ADDRESS) as peer:
        while True:
            peer.sendall(numbered.take(1 << 16))


globals()[sys.argv[1]]()
