"""Runs the code of threads in the only thread there is, so that tests have a peer to talk to.

The code of the second and further threads runs as generators (see as_generators.py): it is suspended where it has to
wait for a socket, a lock or the time, and resumed when that is over. The code of the first thread runs unchanged; while
it waits, the others continue. This is what happens with real threads, except that code is interrupted only where it
waits, and that all threads share their thread-local data.

The functions that wait are replaced: those of _thread, sockets, TLS, select and time.sleep. As long as no thread is
started they behave as before, and all data goes over real sockets.
"""

import functools
import queue
import select
import selectors
import socket
import sys
import threading
import time
import types
import weakref

import _pyio
import _thread

from as_generators import by_hand, call

# Seconds without any progress after which a wait without a time limit counts as a deadlock.
PATIENCE = 10

# The same when no other strand is left that could make progress.
ALONE = 0.5

# After this many calls of the first thread that could have waited but did not, the others run anyway.
MANY_CALLS = 100

_select = select.select
_sleep = time.sleep
_get_ident = _thread.get_ident


class Strand:
    """The code of one thread, as a generator."""

    running = None
    # The strands that have not ended, in the order in which they were started.
    others = []
    _count = 0
    # Calls of the first thread that could have waited, since the others ran last.
    calls = 0

    def __init__(self, code):
        Strand._count += 1
        self.ident = _get_ident() + 16 * Strand._count
        self.done = False
        self._code = code
        self._loop = None
        self._ready = lambda: True
        self._deadline = None
        Strand.others.append(self)

    def advance(self):
        """Runs until the code ends or has to wait. Returns False if it still waits for the same thing."""
        if self._code.gi_running:
            return False  # It is inside C code that waits.
        try:
            ready = self._ready()
        except Exception:
            ready = True  # The error is raised again in the code that waits.
        if not ready and not expired(self._deadline):
            return False
        before = Strand.running
        Strand.running = self
        self._swap_event_loops()
        try:
            self._ready, self._deadline = next(self._code)
        except StopIteration:
            self.done = True
            Strand.others.remove(self)
        finally:
            self._swap_event_loops()
            Strand.running = before
        return ready or self.done

    def _swap_event_loops(self):
        """asyncio keeps the running loop for each thread."""
        if events := sys.modules.get("asyncio.events"):
            loop = events._get_running_loop()
            events._set_running_loop(self._loop)
            self._loop = loop

    def give_up(self):
        try:
            self._code.close()
        except RuntimeError:
            pass  # The code waits again while it is closed.
        self.done = True


def forget_all():
    """Gives up all strands at the end of a test."""
    while Strand.others:
        Strand.others.pop().give_up()


def step():
    """Runs the others as far as possible. Returns False if none of them made progress."""
    Strand.calls = 0
    return any([strand.advance() for strand in list(Strand.others) if not strand.done])


def expired(deadline):
    return deadline is not None and time.monotonic() >= deadline


def until(ready, timeout=None):
    """In a generator: waits until ready() is true or the time is over, and returns the last result of ready()."""
    deadline = None if timeout is None else time.monotonic() + timeout
    while True:
        yield ready, deadline  # At least once, so that code that polls in a loop lets the others run.
        if (result := ready()) or expired(deadline):
            return result


def in_place(code):
    """Runs a generator from code that is not one: that of the first thread, or a callback of C code."""
    Strand.calls += 1
    if Strand.calls > MANY_CALLS:
        step()
    try:
        while True:
            ready, deadline = next(code)
            since = time.monotonic()
            while not ready() and not expired(deadline):
                if step():
                    since = time.monotonic()
                elif deadline is None and expired(since + (PATIENCE if Strand.others else ALONE)):
                    raise RuntimeError("waits for another thread")
                else:
                    _sleep(0.0002)
    except StopIteration as stop:
        return stop.value


def waits(owner, name):
    """Decorates a generator function that replaces owner.name. It gets the original function as its first argument."""
    stock = getattr(owner, name, None)

    def decorate(function):
        def replacement(*args, **kwargs):
            if not Strand.others and stock:
                return stock(*args, **kwargs)
            return in_place(function(stock, *args, **kwargs))

        replacement.__name__ = name
        by_hand[replacement] = functools.partial(function, stock)
        setattr(owner, name, replacement)
        return function

    return decorate


def install():
    _threads()
    _sockets()
    _selectors()
    _tls()

    @waits(time, "sleep")
    def sleep(stock, seconds):
        yield from until(lambda: False, seconds)


# _thread, on which the module threading is built.


class Lock:
    def __init__(self):
        self._locked = False

    def release(self):
        if not self._locked:
            raise RuntimeError("release unlocked lock")
        self._locked = False

    def locked(self):
        return self._locked

    def __exit__(self, *exc_info):
        self.release()

    def _at_fork_reinit(self):
        self._locked = False


@waits(Lock, "acquire")
def acquire(stock, self, blocking=True, timeout=-1):
    if self._locked:
        if not blocking or not (yield from until(lambda: not self._locked, None if timeout < 0 else timeout)):
            return False
    self._locked = True
    return True


@waits(Lock, "__enter__")
def enter_lock(stock, self):
    return acquire(None, self)


class ThreadHandle:
    """Replaces _thread._ThreadHandle."""

    strand = None

    @property
    def ident(self):
        return self.strand.ident if self.strand else 0

    def is_done(self):
        return self.strand is not None and self.strand.done


@waits(ThreadHandle, "join")
def join(stock, self, timeout=None):
    yield from until(self.is_done, timeout)


def _threads():
    def body(function, args, kwargs):
        try:
            yield from call(function, *args, **kwargs)
        except SystemExit:
            pass
        except Exception as exc:
            sys.excepthook(type(exc), exc, exc.__traceback__)

    def start_joinable_thread(function, handle=None, daemon=True):
        handle = handle or ThreadHandle()
        handle.strand = Strand(body(function, (), {}))
        return handle

    def start_new_thread(function, args, kwargs={}):
        return Strand(body(function, args, kwargs)).ident

    def get_ident():
        return Strand.running.ident if Strand.running else _get_ident()

    for owner in [_thread, threading]:
        for name, stand_in in [("start_joinable_thread", start_joinable_thread), ("get_ident", get_ident),
                               ("start_new_thread", start_new_thread), ("start_new", start_new_thread),
                               ("allocate_lock", Lock), ("Lock", Lock), ("_ThreadHandle", ThreadHandle)]:
            for name in [name, "_" + name]:
                if hasattr(owner, name):
                    setattr(owner, name, stand_in)
    _thread._count = lambda: len(Strand.others)
    threading._CRLock = None  # Makes threading use its implementation in Python.
    queue.SimpleQueue = queue._PySimpleQueue


# Sockets.


def is_ready(file, direction):
    try:
        return any(_select([file], [], [], 0) if direction == "read" else _select([], [file], [], 0))
    except (OSError, ValueError):
        return True  # The operation itself will raise the error.


def _sockets():
    def operation(name, direction):
        @waits(socket.socket, name)
        def operate(stock, self, *args, **kwargs):
            timeout = self.gettimeout()
            while timeout != 0:
                if not (yield from until(lambda: is_ready(self, direction), timeout)):
                    raise TimeoutError("timed out")
                self.settimeout(0)  # The original must not wait for the rest of the data.
                try:
                    return stock(self, *args, **kwargs)
                except BlockingIOError:
                    pass
                finally:
                    self.settimeout(timeout)
            return stock(self, *args, **kwargs)

    for name in ["accept", "recv", "recv_into", "recvfrom", "recvfrom_into", "recvmsg", "recvmsg_into",
                 "send", "sendto", "sendmsg"]:
        if hasattr(socket.socket, name):
            operation(name, "write" if name.startswith("send") else "read")

    @waits(socket.socket, "sendall")
    def sendall(stock, self, data, flags=0):
        if self.gettimeout() == 0:
            return stock(self, data, flags)
        with memoryview(data) as view, view.cast("B") as rest:
            sent = 0
            while sent < len(rest):
                sent += yield from call(socket.socket.send, self, rest[sent:sent + 65536], flags)

    # File objects implemented in C cannot be suspended, so makefile() uses _pyio.
    stock = socket.socket.makefile
    makefile = types.FunctionType(stock.__code__, vars(socket) | {"io": _pyio}, "makefile", stock.__defaults__)
    makefile.__kwdefaults__ = stock.__kwdefaults__
    by_hand[stock] = functools.partial(call, makefile)
    for name in ["read", "readall"]:
        by_hand[socket.SocketIO, name] = functools.partial(call, getattr(_pyio.RawIOBase, name))


def _selectors():
    @waits(select, "select")
    def select_files(stock, rlist, wlist, xlist, timeout=None):
        found = [], [], []

        def ready():
            nonlocal found
            found = stock(rlist, wlist, xlist, 0)
            return any(found)

        yield from until(ready, timeout)
        return found

    if hasattr(select, "poll"):
        def poll(self, timeout=None):
            endless = timeout is None or timeout < 0
            return until(lambda: self.poll(0), None if endless else timeout / 1000)

        by_hand[type(select.poll()), "poll"] = poll

    for name in ["SelectSelector", "PollSelector", "EpollSelector"]:
        if hasattr(selectors, name):
            @waits(getattr(selectors, name), "select")
            def select_keys(stock, self, timeout=None):
                found = yield from until(lambda: stock(self, 0), None if timeout is None else max(timeout, 0))
                return found


def _tls():
    try:
        import ssl
    except ImportError:
        return

    class Connection:
        """Wraps a connection object of _ssl. Its operations can be suspended while they wait."""

        def __init__(self, stock, sock):
            object.__setattr__(self, "_stock", stock)
            object.__setattr__(self, "_socket", weakref.ref(sock))

        def __getattr__(self, name):
            return getattr(self._stock, name)

        def __setattr__(self, name, value):
            setattr(self._stock, name, value)

    def operation(name, what):
        setattr(Connection, name, lambda self, *args: getattr(self._stock, name)(*args))

        @waits(Connection, name)
        def operate(stock, self, *args):
            sock = self._socket()
            timeout = sock and sock.gettimeout()
            if sock is None or timeout == 0:
                return stock(self, *args)
            deadline = None if timeout is None else time.monotonic() + timeout
            while True:
                sock.settimeout(0)
                try:
                    return stock(self, *args)
                except ssl.SSLWantReadError:
                    direction = "read"
                except ssl.SSLWantWriteError:
                    direction = "write"
                finally:
                    if sock.fileno() != -1:
                        sock.settimeout(timeout)
                left = None if deadline is None else deadline - time.monotonic()
                if not (yield from until(lambda: is_ready(sock, direction), left)) or expired(deadline):
                    raise TimeoutError(f"The {what or direction} operation timed out")

    for name, what in [("do_handshake", "handshake"), ("read", "read"), ("write", "write"), ("shutdown", None)]:
        operation(name, what)

    stock_wrap = ssl.SSLContext._wrap_socket

    def wrap_socket(self, sock, *args, **kwargs):
        return Connection(stock_wrap(self, sock, *args, **kwargs), sock)

    ssl.SSLContext._wrap_socket = wrap_socket
