"""Look-ups of asyncio by the host: they wait for its file descriptor, and need no thread.

install() replaces getaddrinfo and getnameinfo of BaseEventLoop. Stock asyncio runs them in a thread each, which takes
longer to start than most look-ups take, and which a guest without threads does not have.
"""

import _socket
import errno
import os

import _wasisocket
from wasisocket import _EAI, _failure


async def readable(loop, fd):
    """Wait until fd is readable."""
    ready = loop.create_future()

    def set_ready():
        if not ready.done():
            ready.set_result(None)

    loop.add_reader(fd, set_ready)
    try:
        await ready
    finally:
        loop.remove_reader(fd)


def _is_localhost(host):
    name = host.lower().removesuffix(".")
    return name == "localhost" or name.endswith(".localhost")


async def _look_up(loop, host, family, flags):
    """Return the addresses of a host name as text, and its canonical name if flags ask for it."""
    fd = _wasisocket.lookup_name(host, family)
    try:
        await readable(loop, fd)
        found = _wasisocket.lookup_addrs(fd)
        canonical = ""
        if flags & _socket.AI_CANONNAME:
            canonical = _wasisocket.lookup_host(fd).decode("utf-8", "replace")
    except OSError as exc:
        raise _failure(exc) from None
    finally:
        os.close(fd)
    texts = [_socket.inet_ntop(_socket.AF_INET if len(packed) == 4 else _socket.AF_INET6, packed)
             for _, _, packed in found]
    return texts, canonical


def install(base_events):
    """Replace the look-ups of base_events.BaseEventLoop."""
    loop_class = base_events.BaseEventLoop
    # A program that replaces these functions expects asyncio to call its own.
    stock_getaddrinfo = base_events.socket.getaddrinfo
    stock_getnameinfo = base_events.socket.getnameinfo

    async def getaddrinfo(self, host, port, *, family=0, type=0, proto=0, flags=0):
        def numeric(host, flags):
            return base_events.socket.getaddrinfo(host, port, family, type, proto, flags)

        if base_events.socket.getaddrinfo is not stock_getaddrinfo:
            return numeric(host, flags)

        if isinstance(host, (bytes, bytearray)):
            host = host.decode("ascii")
        if not host or flags & _socket.AI_NUMERICHOST or _is_localhost(host):
            return numeric(host, flags)
        try:
            # An address needs no look-up, and errors in the other arguments are raised before one.
            return numeric(host, flags | _socket.AI_NUMERICHOST)
        except _socket.gaierror as exc:
            if exc.errno != _socket.EAI_NONAME:
                raise
        if flags & _socket.AI_V4MAPPED or family not in (_socket.AF_UNSPEC, _socket.AF_INET, _socket.AF_INET6):
            return numeric(host, flags)
        try:
            texts, canonical = await _look_up(self, host, family, flags)
        except ValueError:
            # This cannot be a host name: the socket module raises its own error.
            return numeric(host, flags)
        except OSError as exc:
            if exc.errno != errno.ENOTSUP:
                raise
            # On this host every call blocks (the core profile).
            return numeric(host, flags)
        flags &= ~(_socket.AI_CANONNAME | _socket.AI_ADDRCONFIG)
        found = [info for text in texts for info in numeric(text, flags | _socket.AI_NUMERICHOST)]
        if canonical and found:
            found[0] = (*found[0][:3], canonical, found[0][4])
        return found

    async def getnameinfo(self, sockaddr, flags=0):
        getnameinfo = base_events.socket.getnameinfo
        if getnameinfo is not stock_getnameinfo or flags & _socket.NI_NUMERICHOST:
            return getnameinfo(sockaddr, flags)
        host, service = getnameinfo(sockaddr, flags | _socket.NI_NUMERICHOST)
        family = _socket.AF_INET6 if ":" in host else _socket.AF_INET
        packed = _socket.inet_pton(family, host.partition("%")[0])
        if packed[0] == 127 and len(packed) == 4 or packed == bytes(15) + b"\1":
            return getnameinfo(sockaddr, flags)
        try:
            fd = _wasisocket.lookup_addr(packed)
            try:
                await readable(self, fd)
                name = _wasisocket.lookup_host(fd).decode("utf-8", "replace")
            finally:
                os.close(fd)
        except OSError as exc:
            if exc.errno == errno.ENOTSUP:
                return getnameinfo(sockaddr, flags)
            if flags & _socket.NI_NAMEREQD:
                raise _socket.gaierror(*_EAI[errno.ENOENT]) from None
            return host, service
        return name.partition(".")[0] if flags & _socket.NI_NOFQDN else name, service

    for function, stock in [
        (getaddrinfo, loop_class.getaddrinfo),
        (getnameinfo, loop_class.getnameinfo),
    ]:
        function.__qualname__ = stock.__qualname__
        function.__doc__ = stock.__doc__
        setattr(loop_class, function.__name__, function)
