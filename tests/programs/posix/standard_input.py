"""Standard input from a pipe with two lines: epoll, asyncio, O_NONBLOCK; and a file that gets its number later."""

import asyncio
import os
import select
import stat
import sys

assert stat.S_ISFIFO(os.fstat(0).st_mode)
assert os.get_blocking(0)

epoll = select.epoll()
epoll.register(0, select.EPOLLIN)
assert epoll.poll(10) == [(0, select.EPOLLIN)]
try:
    epoll.register(0, select.EPOLLIN)
except FileExistsError:
    pass
else:
    raise AssertionError("registered twice")
assert os.read(0, 2) == b"on"
assert epoll.poll(10) == [(0, select.EPOLLIN)]
epoll.modify(0, 0)
assert epoll.poll(0) == []
epoll.unregister(0)


async def lines():
    reader = asyncio.StreamReader()
    protocol = asyncio.StreamReaderProtocol(reader)
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, sys.stdin)
    assert await reader.readline() == b"e\n"
    assert await reader.readline() == b"two\n"
    # Nothing more arrives, and the loop continues.
    try:
        await asyncio.wait_for(reader.read(1), 0.05)
    except TimeoutError:
        pass
    else:
        raise AssertionError("read more than there is")
    transport.close()


asyncio.run(lines())
assert not os.get_blocking(0)
try:
    os.read(0, 1)
except BlockingIOError:
    pass
else:
    raise AssertionError("read from an empty pipe")
os.set_blocking(0, True)
assert os.get_blocking(0)
os.set_blocking(0, False)

# The file that gets the number 0, which is the lowest one, is treated as a file.
os.close(0)
file = open(__file__, "rb", 0)
assert file.fileno() == 0
assert os.get_blocking(0)
assert stat.S_ISREG(os.fstat(0).st_mode)
assert file.read(3) == b'"""'
assert select.select([file], [], [], 10) == ([file], [], [])
try:
    epoll.register(file, select.EPOLLIN)
except PermissionError:
    pass
else:
    raise AssertionError("registered a file")
file.close()
epoll.close()
print("ok")
