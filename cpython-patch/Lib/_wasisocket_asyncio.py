"""asyncio without threads: look-ups that do not block the event loop, and a default executor.

Stock asyncio runs getaddrinfo, getnameinfo and other calls that block in an executor of threads, and there are no
threads here. install() replaces four methods of BaseEventLoop:

- getaddrinfo and getnameinfo start a look-up on the host and wait for its file descriptor, so that the event loop
  goes on running.
- run_in_executor(None, ...), and with it asyncio.to_thread, calls the function at once, and the event loop waits
  meanwhile. With WASISOCKET_INLINE=0 in the environment it raises RuntimeError, as it does where no thread can be
  started.
- shutdown_default_executor then has nothing to wait for.

loop.add_signal_handler needs signal.valid_signals and signal.siginterrupt, which WASI lacks. They get replacements:
the only signals of a guest are those that it raises itself.

An executor that a program sets stays in use. threading.Thread.start raises as before.
"""

import _socket
import errno
import os
import signal
from concurrent.futures import Future, ThreadPoolExecutor

import _wasisocket
from wasisocket import _EAI, _failure


class InlineExecutor(ThreadPoolExecutor):
    """Runs each call when it is submitted, and returns a completed future."""

    def submit(self, fn, /, *args, **kwargs):
        if self._shutdown:
            raise RuntimeError("cannot schedule new futures after shutdown")
        future = Future()
        future.set_running_or_notify_cancel()
        try:
            result = fn(*args, **kwargs)
        except BaseException as exc:
            future.set_exception(exc)
        else:
            future.set_result(result)
        return future


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
    """Replace the methods of base_events.BaseEventLoop for which stock asyncio needs threads."""
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

    stock_run_in_executor = loop_class.run_in_executor
    stock_shutdown = loop_class.shutdown_default_executor

    def run_in_executor(self, executor, func, *args):
        if executor is None and self._default_executor is None:
            if os.environ.get("WASISOCKET_INLINE") != "0":
                self._default_executor = InlineExecutor(thread_name_prefix="asyncio")
        return stock_run_in_executor(self, executor, func, *args)

    async def shutdown_default_executor(self, timeout=None):
        if not isinstance(self._default_executor, InlineExecutor):
            return await stock_shutdown(self, timeout)
        self._executor_shutdown_called = True
        self._default_executor.shutdown(wait=False)

    if not hasattr(signal, "valid_signals"):
        signal.valid_signals = lambda: set(signal.Signals)
    if not hasattr(signal, "siginterrupt"):
        signal.siginterrupt = lambda signalnum, flag: None

    for function, stock in [
        (getaddrinfo, loop_class.getaddrinfo),
        (getnameinfo, loop_class.getnameinfo),
        (run_in_executor, stock_run_in_executor),
        (shutdown_default_executor, stock_shutdown),
    ]:
        function.__qualname__ = stock.__qualname__
        function.__doc__ = stock.__doc__
        setattr(loop_class, function.__name__, function)
