"""Sockets with numbers above Linux's FD_SETSIZE can be waited for by select, poll and epoll."""

import select
import socket

LINUX_FD_SETSIZE = 1024

pairs = []
while not pairs or pairs[-1][0].fileno() < LINUX_FD_SETSIZE:
    pairs.append(socket.socketpair())

ready, peer = pairs[-1]
idle, _ = pairs[0]
peer.send(b"x")
assert select.select([idle, ready], [], [], 10) == ([ready], [], [])

poller = select.poll()
with select.epoll() as epoll:
    for sock in [idle, ready]:
        poller.register(sock, select.POLLIN)
        epoll.register(sock, select.EPOLLIN)
    assert poller.poll(10_000) == [(ready.fileno(), select.POLLIN)]
    assert epoll.poll(10) == [(ready.fileno(), select.EPOLLIN)]
