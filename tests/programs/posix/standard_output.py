"""Standard output is a pipe that is read to its end: what fstat says, O_NONBLOCK, epoll, asyncio."""

import asyncio
import os
import select
import stat
import sys

assert stat.S_ISFIFO(os.fstat(1).st_mode)
assert not os.isatty(1)
assert os.get_blocking(1)
os.set_blocking(1, False)
assert not os.get_blocking(1)
os.set_blocking(1, True)
with select.epoll() as epoll:
    epoll.register(1, select.EPOLLOUT)
    assert epoll.poll(10) == [(1, select.EPOLLOUT)]
poll = select.poll()
poll.register(1, select.POLLOUT)
assert poll.poll(10_000) == [(1, select.POLLOUT)]
assert select.select([], [1], [], 10) == ([], [1], [])
copy = os.dup(1)
assert stat.S_ISFIFO(os.fstat(copy).st_mode)


async def main():
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.connect_write_pipe(lambda: asyncio.streams.FlowControlMixin(loop=loop), os.fdopen(copy, "wb"))
    writer = asyncio.StreamWriter(transport, protocol, None, loop)
    writer.write(b"o")
    await writer.drain()
    writer.write(b"k\n")
    await writer.drain()
    transport.close()


asyncio.run(main())
