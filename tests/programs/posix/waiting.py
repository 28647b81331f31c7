"""select, poll and epoll with sockets, files and both; and sockets that change during a wait."""

import errno
import os
import select
import selectors
import socket
import time

assert selectors.DefaultSelector is selectors.EpollSelector


def elapsed(function, *args):
    start = time.monotonic()
    result = function(*args)
    return result, time.monotonic() - start


first, second = socket.socketpair()
file = open(__file__, "rb")

# A timeout holds, and 0 does not wait.
for function, args in [
    (select.select, ([first], [], [], 0.05)),
    (select.select, ([], [], [], 0.05)),
]:
    result, seconds = elapsed(function, *args)
    assert result == ([], [], []) and 0.049 <= seconds < 5, (result, seconds)
poller = select.poll()
poller.register(first, select.POLLIN)
result, seconds = elapsed(poller.poll, 50)
assert result == [] and 0.049 <= seconds < 5, (result, seconds)
assert poller.poll(0) == []

# Files are always ready. A socket beside them is reported only when it is ready.
assert select.select([first, file], [first], [], 10) == ([file], [first], [])
poller.register(file, select.POLLIN)
assert poller.poll(10_000) == [(file.fileno(), select.POLLIN)]
second.send(b"x")
assert sorted(poller.poll(10_000)) == sorted([(first.fileno(), select.POLLIN), (file.fileno(), select.POLLIN)])
assert select.select([first, file], [], [], 10) == ([first, file], [], [])
poller.unregister(file)

# Closed descriptors.
fd = file.fileno()
file.close()
poller.register(fd, select.POLLIN)
assert (fd, select.POLLNVAL) in poller.poll(0)
poller.unregister(fd)
try:
    select.select([fd], [], [], 0)
except OSError as exc:
    assert exc.errno == errno.EBADF
else:
    raise AssertionError("selected what is closed")

# The peer closes the connection.
assert first.recv(10) == b"x"
second.shutdown(socket.SHUT_WR)
poller.modify(first, select.POLLIN | select.POLLOUT)
assert poller.poll(0) == [(first.fileno(), select.POLLIN | select.POLLOUT)]
second.close()
((fd, events),) = poller.poll(0)
assert events & select.POLLHUP, events
first.close()

# Programs give epoll the numbers of poll, and the other way round.
for name in ("IN", "PRI", "OUT", "ERR", "HUP", "RDHUP"):
    assert getattr(select, "POLL" + name) == getattr(select, "EPOLL" + name), name

# epoll: level-triggered, edge-triggered, one-shot.
first, second = socket.socketpair()
with select.epoll() as epoll:
    epoll.register(first, select.EPOLLIN)
    assert epoll.poll(0) == []
    second.send(b"a")
    for _ in range(2):
        assert epoll.poll(10) == [(first.fileno(), select.EPOLLIN)]
    epoll.modify(first, select.EPOLLIN | select.EPOLLET)
    assert epoll.poll(0) == [(first.fileno(), select.EPOLLIN)]
    assert epoll.poll(0) == []
    second.send(b"b")
    assert epoll.poll(10) == [(first.fileno(), select.EPOLLIN)]
    epoll.modify(first, select.EPOLLIN | select.EPOLLONESHOT)
    assert epoll.poll(0) == [(first.fileno(), select.EPOLLIN)]
    assert epoll.poll(0) == []
    epoll.modify(first, select.EPOLLIN | select.EPOLLOUT)
    assert epoll.poll(0) == [(first.fileno(), select.EPOLLIN | select.EPOLLOUT)]
    second.shutdown(socket.SHUT_WR)
    epoll.modify(first, select.EPOLLRDHUP)
    assert epoll.poll(0) == [(first.fileno(), select.EPOLLRDHUP)]

    for number, function, args in [
        (errno.EEXIST, epoll.register, (first,)),
        (errno.ENOENT, epoll.modify, (second, select.EPOLLIN)),
        (errno.ENOENT, epoll.unregister, (second,)),
    ]:
        try:
            function(*args)
        except OSError as exc:
            assert exc.errno == number, (function, exc)
        else:
            raise AssertionError(function)
    with open(__file__) as file:
        try:
            epoll.register(file, select.EPOLLIN)
        except PermissionError as exc:
            assert exc.errno == errno.EPERM
        else:
            raise AssertionError("registered a file")

    # A closed socket is no longer in the set, and its number is free for another.
    fd = first.fileno()
    first.close()
    assert epoll.poll(0) == []
    third, fourth = socket.socketpair()
    assert fd in (third.fileno(), fourth.fileno())
    epoll.register(third, select.EPOLLIN)
    fourth.send(b"x")
    assert epoll.poll(10) == [(third.fileno(), select.EPOLLIN)]
    # An interest set can be waited for like a socket.
    assert select.select([epoll], [], [], 10) == ([epoll], [], [])
    third.close()
    fourth.close()
    result, seconds = elapsed(epoll.poll, 0.05)
    assert result == [] and 0.049 <= seconds < 5
second.close()
try:
    epoll.poll(0)
except ValueError:
    pass
else:
    raise AssertionError("polled what is closed")

# Many sockets at once, of which some are ready.
COUNT = 300
pairs = [socket.socketpair() for _ in range(COUNT)]
with selectors.DefaultSelector() as selector:
    for index, (first, second) in enumerate(pairs):
        selector.register(first, selectors.EVENT_READ, index)
    for index in range(0, COUNT, 7):
        pairs[index][1].send(b"x")
    ready = {key.data for key, _ in selector.select(10)}
    assert ready == set(range(0, COUNT, 7)), ready
assert len(select.select([first for first, _ in pairs], [], [], 10)[0]) == len(ready)
for first, second in pairs:
    first.close()
    second.close()

# dup: two descriptors of the same open file description.
first, second = socket.socketpair()
again = first.dup()
assert again.fileno() != first.fileno()
os.set_blocking(first.fileno(), False)
assert not os.get_blocking(again.fileno())
first.close()
second.send(b"still there")
assert select.select([again], [], [], 10)[0] == [again]
assert again.recv(100) == b"still there"
again.close()
second.close()
print("ok")
