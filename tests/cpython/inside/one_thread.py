"""Runs the code of threads in the only thread there is, so that tests have the other half they talk to.

When a test waits for a socket, an event or a thread, the others' code runs as far as it comes. Python code
cannot be suspended and continued, so code that has to wait is left by an exception, Parked, and run once more
from its beginning when what it waits for is there: what it did with sockets was recorded, and has the same
results again without being done again. While Parked is on its way, sockets cannot be closed or written to.

None of this takes effect before a thread is started, and no data takes another way than over real sockets.
"""

import select
import selectors
import socket
import threading
import time

# Seconds that nothing happens before a wait without a time limit counts as one for ever.
PATIENCE = 10

# And before a wait for an event has servers' loops look whether they are over.
SHORT = 0.05

# Rounds of a server's loop in which it has to notice that it is over.
MANY_POLLS = 2000

_select = select.select
_sleep = time.sleep


class Parked(BaseException):
    """On the way out of code that has to wait."""


class Strand:
    """Code of a thread, or a part of it."""

    module = None
    running = None
    parking = False
    others = []
    servers = []
    # May it go on only if there is something to do?
    only_if_ready = True

    def __init__(self, run):
        self._run = run
        self._record = []
        self._position = 0
        self._recording = False
        self._ready = lambda: True
        self._deadline = None
        self._made = []
        self._polls_left = 0
        self.pump = None
        self.done = False

    def may_go(self):
        return self._ready() or expired(self._deadline)

    def advance(self):
        """Runs until the end or until it has to wait."""
        before = Strand.running
        Strand.running = self
        self._position = 0
        try:
            self._run()
            self.done = True
        except Parked:
            vars(Strand.module).update(self._globals)
        finally:
            Strand.running = before
            Strand.parking = False

    def restart_from(self, run):
        """What was done up to here is done for good."""
        self._run = run
        self._record.clear()
        self._position = 0

    def become(self, pump):
        """The rest of this code is a server's loop."""
        Strand.others[:] = [pump if strand is self else strand for strand in Strand.others]
        self.pump = pump
        Strand.servers.append(self)
        self.park()

    def leave_loop(self):
        """Runs what comes after a server's loop, if the loop's condition says that it is over."""
        self._polls_left = MANY_POLLS
        self.advance()
        if self.done:
            self.pump.done = True

    def leave_for_good(self):
        """The same when somebody joins the thread."""
        if not self.done:
            self.pump.leave(self)
        self.done = self.pump.done = True

    def loop(self, pump):
        """Called in the place of a server's loop, or of one round of it."""
        if self._polls_left > 0:
            self._polls_left -= 1
        elif self.pump:
            self.park()
        else:
            self.become(pump)

    def park(self):
        # "finally" blocks of code that is left only for now must not have effects on others.
        self._globals = dict(vars(Strand.module))
        Strand.parking = True
        raise Parked

    def recorded(self, name, action):
        """The result of the action, or what it was when this was run before."""
        if self._recording:
            return action()
        if self._position == len(self._record):
            self._recording = True
            try:
                entry = name, action(), None
            except Exception as exc:
                entry = name, None, exc
            finally:
                self._recording = False
            self._record.append(entry)
        was, result, exc = self._record[self._position]
        self._position += 1
        if was != name:
            raise RuntimeError(f"a thread's code, run again, does {name} instead of {was}")
        if exc is not None:
            raise exc.with_traceback(None)
        return result

    def wait(self, ready, timeout):
        """Like wait(), in the code of this strand."""
        if Strand.parking:
            raise Parked
        if self._deadline is None and timeout is not None:
            self._deadline = time.monotonic() + timeout
        if ready() or expired(self._deadline):
            self._deadline = None
            return ready()
        self._ready = ready
        self.park()

    def is_made(self, made):
        """Was this socket made when the code was run before?"""
        if any(made is old for old in self._made):
            return True
        self._made.append(made)
        return False


def expired(deadline):
    return deadline is not None and time.monotonic() >= deadline


def start(strand):
    Strand.others.append(strand)
    # Another strand's code is run as a whole, and may be run again.
    if Strand.running is None:
        strand.advance()


def forget_all():
    """The test is over."""
    Strand.others.clear()
    Strand.servers.clear()


def step():
    """Lets the others go on, if they may. False if none did."""
    moved = False
    for strand in list(Strand.others):
        if strand.done:
            Strand.others.remove(strand)
        elif strand.may_go():
            strand.advance()
            moved = moved or strand.only_if_ready
    return moved


def wait(ready, timeout):
    """Waits until ready() is true, which is the result, or the time is over."""
    if Strand.running is not None:
        return Strand.running.wait(ready, timeout)
    deadline = None if timeout is None else time.monotonic() + timeout
    patience = time.monotonic() + PATIENCE
    while not ready():
        if expired(deadline):
            return False
        if step():
            patience = time.monotonic() + PATIENCE
        elif deadline is None and expired(patience):
            raise RuntimeError("waits for another thread")
        else:
            _sleep(0.0002)
    return True


def is_ready(file, direction):
    try:
        return any(_select([file], [], [], 0) if direction == "read" else _select([], [file], [], 0))
    except (OSError, ValueError):
        return True  # The operation itself fails, as it should.


def install():
    _threads()
    _events()
    _sockets()
    _selectors()


def replace(owner, name):
    """Decorates a function that stands in for owner.name, given the stock one, where there are strands."""
    stock = getattr(owner, name)

    def decorate(function):
        def replacement(*args, **kwargs):
            if not Strand.others and Strand.running is None:
                return stock(*args, **kwargs)
            return function(stock, *args, **kwargs)

        replacement.__name__ = name
        setattr(owner, name, replacement)
        return function

    return decorate


def _threads():
    from concurrent.futures import thread as executors
    strands = {}

    def run(self, target):
        self._target, self._args, self._kwargs = target  # Thread.run() deletes them.
        try:
            self.run()
        except Parked:
            raise
        except BaseException:
            self._invoke_excepthook(self)

    def start_thread(self):
        if self._started.is_set():
            raise RuntimeError("threads can only be started once")
        if self._target is executors._worker:  # It waits for work without any function of Python's.
            raise RuntimeError("can't start new thread")
        self._started.set()
        target = self._target, self._args, self._kwargs
        self._strand = Strand(lambda: run(self, target))
        start(self._strand)

    def is_alive(self):
        return self._started.is_set() and not self._strand.done

    def join(self, timeout=None):
        if not self._started.is_set():
            raise RuntimeError("cannot join thread before it is started")
        if self._strand.pump:
            for _ in range(20):
                step()
            self._strand.leave_for_good()
        else:
            wait(lambda: self._strand.done, timeout)

    threading.Thread.start = start_thread
    threading.Thread.is_alive = is_alive
    threading.Thread.join = join


def _events():
    @replace(threading.Event, "wait")
    def wait_for_event(stock, self, timeout=None):
        short = SHORT if timeout is None else min(timeout, SHORT)
        if Strand.running is None and not wait(self.is_set, short):
            # It may be what comes after a server's loop that sets it.
            for strand in [strand for strand in Strand.servers if not strand.done]:
                strand.leave_loop()
        return wait(self.is_set, timeout)

    @replace(time, "sleep")
    def sleep(stock, seconds):
        if not Strand.parking:
            doze = lambda: wait(lambda: False, seconds)
            Strand.running.recorded("sleep", doze) if Strand.running else doze()


def _sockets():
    def perform(stock, direction, self, *args, **kwargs):
        """The operation itself, once it need not wait."""
        timeout = self.gettimeout()
        if direction and timeout != 0 and not wait(lambda: is_ready(self, direction), timeout):
            raise TimeoutError("timed out")
        return stock(self, *args, **kwargs)

    def method(name, direction=None):
        @replace(socket.socket, name)
        def operation(stock, *args, **kwargs):
            if Strand.running is None:
                return perform(stock, direction, *args, **kwargs)
            if Strand.parking:
                if direction:
                    raise Parked
                return None
            return Strand.running.recorded(name, lambda: perform(stock, direction, *args, **kwargs))

    for name in ["accept", "recv", "recvfrom", "recvmsg"]:
        method(name, "read")
    for name in ["send", "sendto", "sendmsg"]:
        method(name, "write")
    for name in ["bind", "close", "connect", "connect_ex", "detach", "listen", "setsockopt", "shutdown"]:
        method(name)

    @replace(socket.socket, "recv_into")
    def recv_into(stock, self, buffer, nbytes=0, flags=0):
        if Strand.running is None:
            return perform(stock, "read", self, buffer, nbytes, flags)
        view = memoryview(buffer).cast("B")
        data = self.recv(nbytes or len(view), flags)
        view[:len(data)] = data
        return len(data)

    @replace(socket.socket, "recvfrom_into")
    def recvfrom_into(stock, self, buffer, nbytes=0, flags=0):
        if Strand.running is None:
            return perform(stock, "read", self, buffer, nbytes, flags)
        view = memoryview(buffer).cast("B")
        data, address = self.recvfrom(nbytes or len(view), flags)
        view[:len(data)] = data
        return len(data), address

    @replace(socket.socket, "sendall")
    def sendall(stock, self, data, flags=0):
        timeout = self.gettimeout()
        if timeout == 0:
            return stock(self, data, flags)
        view = memoryview(data).cast("B")
        while view and not Strand.parking:
            # What does not fit must not wait inside send().
            view = view[send_some(self, view[:65536], flags, timeout):]

    def send_some(self, view, flags, timeout):
        if not wait(lambda: is_ready(self, "write"), timeout):
            raise TimeoutError("timed out")
        self.settimeout(0)
        try:
            return self.send(view, flags)
        except BlockingIOError:
            return 0
        finally:
            self.settimeout(timeout)

    stock_new, stock_init = socket.socket.__new__, socket.socket.__init__

    def new(cls, *args, **kwargs):
        make = lambda: stock_new(cls, *args, **kwargs)
        if Strand.running is None or Strand.parking:
            return make()
        return Strand.running.recorded("socket", make)

    def init(self, *args, **kwargs):
        if Strand.running is None or not Strand.running.is_made(self):
            stock_init(self, *args, **kwargs)

    socket.socket.__new__ = new
    socket.socket.__init__ = init


def _selectors():
    @replace(select, "select")
    def select_files(stock, rlist, wlist, xlist, timeout=None):
        def action():
            result = [], [], []

            def ready():
                nonlocal result
                result = stock(rlist, wlist, xlist, 0)
                return any(result)

            wait(ready, timeout)
            return result

        return Strand.running.recorded("select", action) if Strand.running else action()

    for name in ["SelectSelector", "PollSelector", "EpollSelector"]:
        if hasattr(selectors, name):
            @replace(getattr(selectors, name), "select")
            def select_keys(stock, self, timeout=None):
                def action():
                    result = []

                    def ready():
                        nonlocal result
                        result = stock(self, 0)
                        return bool(result)

                    wait(ready, None if timeout is None else max(timeout, 0))
                    return result

                return Strand.running.recorded("selector", action) if Strand.running else action()
