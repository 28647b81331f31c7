"""multiprocessing within one process: what it shares between processes works between threads too."""

import multiprocessing
import multiprocessing.managers  # noqa: F401
import multiprocessing.pool
import multiprocessing.shared_memory  # noqa: F401
import multiprocessing.synchronize
import os
import queue
import threading
import time
from concurrent.futures import ProcessPoolExecutor

import _multiprocessing

NAME = f"/wasisocket-{os.getpid()}"


def raises(kind, call, *args, **keywords):
    try:
        call(*args, **keywords)
    except kind as error:
        return error
    raise AssertionError(f"{call} raised nothing")


context = multiprocessing.get_context("fork")
multiprocessing.get_context("spawn").Lock().acquire()

lock = context.Lock()
with lock:
    assert not lock.acquire(block=False) and not lock.acquire(timeout=0.01)
assert lock.acquire(block=False)
lock.release()
raises(ValueError, lock.release)
nested = context.RLock()
with nested, nested:
    pass
raises(AssertionError, nested.release)

slots = context.BoundedSemaphore(2)
assert slots.acquire() and slots.acquire() and not slots.acquire(block=False)
assert slots.get_value() == 0
slots.release()
slots.release()
raises(ValueError, slots.release)

# Threads wait for each other.
event, condition, seen = context.Event(), context.Condition(), []


def waits():
    assert event.wait(10)
    with condition:
        seen.append("waits")
        condition.notify()


thread = threading.Thread(target=waits)
with condition:
    thread.start()
    time.sleep(0.01)
    assert not seen and not event.is_set()
    event.set()
    assert condition.wait(10) and seen == ["waits"]
thread.join()

# Queues and pipes.
one, other = context.Pipe()
one.send({"a": [1, 2]})
assert other.recv() == {"a": [1, 2]} and not other.poll()
one.close()
raises(EOFError, other.recv)
waiting = context.Queue()
waiting.put("item")
assert waiting.get(timeout=10) == "item"
raises(queue.Empty, waiting.get, timeout=0.01)
waiting.close()
waiting.join_thread()
with multiprocessing.pool.ThreadPool(2) as pool:
    assert pool.map(abs, [-1, -2]) == [1, 2]

# The names.
made = _multiprocessing.SemLock(1, 1, 1, NAME, False)
raises(FileExistsError, _multiprocessing.SemLock, 1, 1, 1, NAME, False)
assert made.acquire() and not made.acquire(False)
again = _multiprocessing.SemLock._rebuild(0, 1, 1, NAME)
assert not again.acquire(False)
_multiprocessing.sem_unlink(NAME)
raises(FileNotFoundError, _multiprocessing.sem_unlink, NAME)
raises(FileNotFoundError, _multiprocessing.SemLock._rebuild, 0, 1, 1, NAME)
made.release()
assert again.acquire(False)
assert made.maxvalue == 1 and ProcessPoolExecutor is not None

print("ok")
