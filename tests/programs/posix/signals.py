"""Signals that a program sends itself, and timers: what they interrupt, and what blocks them."""

import asyncio
import errno
import os
import select
import signal
import socket
import sys
import threading
import time

ME = os.getpid()


class Stop(Exception):
    pass


def stop(number, frame):
    raise Stop(number)


def raises(kind, call, *args):
    try:
        call(*args)
    except kind as error:
        return error
    raise AssertionError(f"{call} raised nothing")


def interrupted(call, *args):
    """Call it, and let a timer end that. How long it took has to be the timer's time."""
    begun = time.monotonic()
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    raises(Stop, call, *args)
    took = time.monotonic() - begun
    assert 0.045 < took < 5, took


# What a number is, and that 0 is none.
signal.raise_signal(0)
os.kill(ME, 0)
os.kill(0, 0)
raises(ProcessLookupError, os.kill, 3999999, 0)
for number in (-1, 65, 1000):
    assert raises(OSError, signal.raise_signal, number).errno == errno.EINVAL
    assert raises(OSError, os.kill, ME, number).errno == errno.EINVAL
assert signal.valid_signals() >= {signal.SIGINT, signal.SIGTERM, 64} and 0 not in signal.valid_signals()
assert len(signal.valid_signals()) == 62
assert signal.strsignal(signal.SIGTERM) == "Terminated"
for number in (signal.SIGKILL, signal.SIGSTOP):
    assert raises(OSError, signal.signal, number, signal.SIG_IGN).errno == errno.EINVAL

# Handlers of Python.
assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
assert signal.getsignal(signal.SIGPIPE) is signal.SIG_IGN
assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
raises(KeyboardInterrupt, signal.raise_signal, signal.SIGINT)
raises(KeyboardInterrupt, os.kill, ME, signal.SIGINT)
seen = []
assert signal.signal(signal.SIGUSR1, lambda number, frame: seen.append(number)) is signal.SIG_DFL
os.kill(ME, signal.SIGUSR1)
signal.raise_signal(signal.SIGUSR1)
os.killpg(os.getpgrp() if hasattr(os, "getpgrp") else 0, 0)
assert seen == [signal.SIGUSR1] * 2, seen
signal.signal(signal.SIGUSR1, signal.SIG_IGN)
os.kill(ME, signal.SIGUSR1)
# What does nothing by default.
for number in (signal.SIGCHLD, signal.SIGURG, signal.SIGWINCH, signal.SIGCONT):
    signal.signal(number, signal.SIG_DFL)
    os.kill(ME, number)

# What a handler that raises ends.
signal.signal(signal.SIGALRM, stop)
left, right = socket.socketpair()
listener = socket.create_server(("127.0.0.1", 0))


def compute():
    while True:
        pass


def compute_in_functions():
    def again(depth):
        return depth and again(depth - 1)
    while True:
        again(20)


interrupted(time.sleep, 30)
interrupted(compute)
interrupted(compute_in_functions)
interrupted(left.recv, 1)
interrupted(lambda: [left.sendall(bytes(1 << 20)) for _ in range(100)])
interrupted(listener.accept)
interrupted(select.select, [left], [], [], 30)
interrupted(select.select, [], [], [], 30)
poll = select.poll()
poll.register(listener)
interrupted(poll.poll, 30000)
interrupted(poll.poll)
epoll = select.epoll()
epoll.register(listener)
interrupted(epoll.poll)
interrupted(signal.pause)
interrupted(signal.sigtimedwait, [signal.SIGUSR2], 30)
lock = threading.Lock()
lock.acquire()
interrupted(lock.acquire)
interrupted(lock.acquire, True, 30)
interrupted(threading.Event().wait)
thread = threading.Thread(target=time.sleep, args=(0.5,))
thread.start()
interrupted(time.sleep, 30)
interrupted(lock.acquire)
interrupted(left.recv, 1)
interrupted(signal.sigtimedwait, [signal.SIGUSR2], 30)
thread.join()
left.settimeout(30)
interrupted(left.recv, 1)

# A handler that returns ends nothing (PEP 475).
calls = []
signal.signal(signal.SIGALRM, lambda number, frame: calls.append(time.monotonic()))
signal.setitimer(signal.ITIMER_REAL, 0.02, 0.02)
begun = time.monotonic()
time.sleep(0.2)
assert 0.2 <= time.monotonic() - begun < 5
assert select.select([listener], [], [], 0.1) == ([], [], [])
assert not lock.acquire(timeout=0.1)
delay, interval = signal.getitimer(signal.ITIMER_REAL)
assert 0 < delay <= 0.02 and interval == 0.02, (delay, interval)
assert signal.setitimer(signal.ITIMER_REAL, 0)[1] == 0.02
assert len(calls) >= 5, calls
count = len(calls)
time.sleep(0.05)
assert len(calls) == count
assert signal.alarm(100) == 0 and signal.alarm(0) == 100
raises(OSError, signal.setitimer, 7, 1)
raises(signal.ItimerError, signal.setitimer, signal.ITIMER_REAL, -1)

# Timers of CPU time.
for which, number in ((signal.ITIMER_VIRTUAL, signal.SIGVTALRM), (signal.ITIMER_PROF, signal.SIGPROF)):
    signal.signal(number, stop)
    signal.setitimer(which, 0.05)
    begun = time.process_time()
    raises(Stop, compute)
    assert 0.03 < time.process_time() - begun < 5

# Masks.
seen.clear()
signal.signal(signal.SIGUSR1, lambda number, frame: seen.append(number))
assert signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1]) == set()
os.kill(ME, signal.SIGUSR1)
time.sleep(0.01)
assert seen == [] and signal.sigpending() == {signal.SIGUSR1}
assert signal.sigwait([signal.SIGUSR1, signal.SIGUSR2]) == signal.SIGUSR1
assert signal.sigpending() == set()
os.kill(ME, signal.SIGUSR1)
assert signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGUSR1]) == {signal.SIGUSR1}
assert seen == [signal.SIGUSR1]
assert signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals()) == set()
assert signal.SIGKILL not in signal.pthread_sigmask(signal.SIG_SETMASK, [])
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR2])
assert signal.sigtimedwait([signal.SIGUSR2], 0.01) is None
assert signal.sigtimedwait([signal.SIGUSR2], 0) is None
os.kill(ME, signal.SIGUSR2)
assert signal.sigwaitinfo([signal.SIGUSR2]).si_signo == signal.SIGUSR2
later = threading.Timer(0.05, os.kill, (ME, signal.SIGUSR2))
later.start()
assert signal.sigwait([signal.SIGUSR2]) == signal.SIGUSR2
later.join()
signal.pthread_sigmask(signal.SIG_SETMASK, [])

# Python's handlers run in the main thread, whichever thread has sent a signal or computes meanwhile.
handled_by = []
signal.signal(signal.SIGUSR1, lambda number, frame: handled_by.append(threading.current_thread()))
thread = threading.Thread(target=signal.raise_signal, args=(signal.SIGUSR1,))
thread.start()
thread.join()
thread = threading.Thread(target=signal.pthread_kill, args=(threading.get_ident(), signal.SIGUSR1))
thread.start()
begun = time.monotonic()
while len(handled_by) < 2 and time.monotonic() - begun < 10:
    time.sleep(0.01)
thread.join()
assert handled_by == [threading.main_thread()] * 2
raises(ValueError, signal.signal, 1000, stop)
errors = []


def elsewhere():
    errors.append(raises(ValueError, signal.signal, signal.SIGUSR1, stop))
    # A thread has its own mask, and inherits that of its creator.
    errors.append(signal.pthread_sigmask(signal.SIG_BLOCK, []))
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGHUP])


signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR2])
thread = threading.Thread(target=elsewhere)
thread.start()
thread.join()
assert errors[1:] == [{signal.SIGUSR2}], errors
assert signal.pthread_sigmask(signal.SIG_SETMASK, []) == {signal.SIGUSR2}
signal.pthread_kill(threading.get_ident(), 0)

# The descriptor that an event loop watches.
reader, writer = socket.socketpair()
reader.setblocking(False)
writer.setblocking(False)
assert signal.set_wakeup_fd(writer.fileno()) == -1
os.kill(ME, signal.SIGUSR1)
assert reader.recv(10) == bytes([signal.SIGUSR1])
assert signal.set_wakeup_fd(-1) == writer.fileno()
signal.siginterrupt(signal.SIGUSR1, False)
os.kill(ME, signal.SIGUSR1)


async def loop_handles():
    loop = asyncio.get_running_loop()
    came = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, came.set)
    loop.call_later(0.02, os.kill, ME, signal.SIGTERM)
    await asyncio.wait_for(came.wait(), 10)
    came.clear()
    signal.setitimer(signal.ITIMER_REAL, 0.02)
    loop.add_signal_handler(signal.SIGALRM, came.set)
    await asyncio.wait_for(came.wait(), 10)
    assert loop.remove_signal_handler(signal.SIGTERM) and not loop.remove_signal_handler(signal.SIGTERM)


asyncio.run(loop_handles())
assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


async def interrupted_task():
    loop = asyncio.get_running_loop()
    loop.call_later(0.02, signal.raise_signal, signal.SIGINT)
    try:
        await asyncio.sleep(30)
    except asyncio.CancelledError:
        seen.append("cancelled")
        raise


raises(KeyboardInterrupt, asyncio.run, interrupted_task())
assert seen[-1] == "cancelled"
print("ok")
sys.stdout.flush()
