"""Threads: they start, take turns, wait for each other and end."""

import _thread
import os
import queue
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor, as_completed

# A thread's value, its name and its number.
seen = []
thread = threading.Thread(target=lambda: seen.append(threading.current_thread().name), name="worker")
assert not thread.is_alive() and thread.ident is None
thread.start()
thread.join()
assert seen == ["worker"] and not thread.is_alive()
assert thread.ident != threading.get_ident() == threading.main_thread().ident
assert thread.native_id != threading.get_native_id() == threading.main_thread().native_id

# Whoever sleeps or waits for a lock lets the others run.
begun = time.monotonic()
threads = [threading.Thread(target=time.sleep, args=(0.2,)) for _ in range(20)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
assert 0.19 < time.monotonic() - begun < 2

lock = threading.Lock()
lock.acquire()
assert not lock.acquire(blocking=False)
begun = time.monotonic()
assert not lock.acquire(timeout=0.1)
assert 0.09 < time.monotonic() - begun < 2
threading.Timer(0.1, lock.release).start()
assert lock.acquire(timeout=10)
lock.release()

# Threads that compute take turns too.
stop = False
counted = [0, 0]


def count(which):
    while not stop:
        counted[which] += 1


threads = [threading.Thread(target=count, args=(which,)) for which in range(2)]
for thread in threads:
    thread.start()
time.sleep(0.3)
stop = True
for thread in threads:
    thread.join()
assert min(counted) > 0, counted


def recurse(depth):
    return depth if stop or depth == 0 else recurse(depth - 1)


# So do those that only call, and a thread may recurse as deep as the main one.
stop = False
calls = 0


def call():
    global calls
    while not stop:
        recurse(50)
        calls += 1


thread = threading.Thread(target=call)
thread.start()
begun = time.monotonic()
while calls < 10 and time.monotonic() - begun < 10:
    pass
stop = True
thread.join()
assert calls >= 10


def endless():
    return endless()


errors = []


def overflow():
    try:
        endless()
    except RecursionError as exc:
        errors.append(exc)


thread = threading.Thread(target=overflow)
thread.start()
thread.join()
assert len(errors) == 1

# Switches lose nothing.
total = 0
lock = threading.Lock()


def add():
    global total
    for _ in range(2000):
        with lock:
            value = total
            if value % 100 == 0:
                time.sleep(0)
            total = value + 1


threads = [threading.Thread(target=add) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
assert total == 16000, total

# Conditions, events, barriers, semaphores, queues.
barrier = threading.Barrier(5)
numbers = []
threads = [threading.Thread(target=lambda: numbers.append(barrier.wait(10))) for _ in range(4)]
for thread in threads:
    thread.start()
numbers.append(barrier.wait(10))
for thread in threads:
    thread.join()
assert sorted(numbers) == [0, 1, 2, 3, 4]

event = threading.Event()
assert not event.wait(0.05)
threading.Timer(0.05, event.set).start()
assert event.wait(10)

tasks, results = queue.Queue(maxsize=2), queue.SimpleQueue()


def work():
    while (task := tasks.get()) is not None:
        results.put(task * task)
        tasks.task_done()


threads = [threading.Thread(target=work) for _ in range(3)]
for thread in threads:
    thread.start()
for task in range(100):
    tasks.put(task)
tasks.join()
for _ in threads:
    tasks.put(None)
for thread in threads:
    thread.join()
assert sorted(results.get() for _ in range(100)) == [task * task for task in range(100)]

semaphore = threading.BoundedSemaphore(2)
inside, most = 0, 0


def enter():
    global inside, most
    with semaphore:
        inside += 1
        most = max(most, inside)
        time.sleep(0.02)
        inside -= 1


threads = [threading.Thread(target=enter) for _ in range(6)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
assert most == 2

# Executors.
with ThreadPoolExecutor(8) as executor:
    assert list(executor.map(lambda number: number + 1, range(1000))) == list(range(1, 1001))
    futures = [executor.submit(pow, number, 2) for number in range(50)]
    assert sum(future.result() for future in as_completed(futures, timeout=30)) == 40425
    assert isinstance(executor.submit(int, "no number").exception(timeout=10), ValueError)

# What each thread has for itself, and its end.
local = threading.local()
gone = []


class Value:
    def __del__(self):
        gone.append(threading.get_ident())


def use_local():
    assert not hasattr(local, "value")
    local.value = Value()


local.value = "main"
thread = threading.Thread(target=use_local, name="local")
thread.start()
thread.join()
assert local.value == "main"
assert len(gone) == 1

# An exception ends its thread, and is told.
told = []
threading.excepthook = lambda args: told.append((args.exc_type, args.thread.name))
thread = threading.Thread(target=lambda: 1 / 0, name="divides")
thread.start()
thread.join()
threading.excepthook = threading.__excepthook__
assert told == [(ZeroDivisionError, "divides")]

# Tracing and profiling of all threads.
traced = []
threading.settrace(lambda frame, event, arg: traced.append(event))
thread = threading.Thread(target=lambda: None)
thread.start()
thread.join()
threading.settrace(None)
assert "call" in traced

# Sizes of stacks.
assert threading.stack_size() == 0
for size in (262144, 1 << 20):
    threading.stack_size(size)
    thread = threading.Thread(target=lambda: seen.append(sum(range(100))))
    thread.start()
    thread.join()
threading.stack_size(0)
for size in (1, -1):
    try:
        threading.stack_size(size)
    except ValueError:
        continue
    raise AssertionError(size)

# Signals are the main thread's.
interrupter = threading.Thread(target=_thread.interrupt_main)
try:
    interrupter.start()
    begun = time.monotonic()
    while time.monotonic() - begun < 10:
        time.sleep(0.01)
    raise AssertionError("no interrupt")
except KeyboardInterrupt:
    interrupter.join()

# Many at a time.
gate = threading.Event()
threads = [threading.Thread(target=gate.wait) for _ in range(200)]
for thread in threads:
    thread.start()
assert threading.active_count() == 201
gate.set()
for thread in threads:
    thread.join()
assert threading.active_count() == 1

# errno is each thread's own: the main thread's error is not that of the other's call.
def fail():
    for _ in range(200):
        try:
            os.close(-1)
        except OSError as exc:
            errors.append(exc.errno)
        time.sleep(0)


errors.clear()
thread = threading.Thread(target=fail)
thread.start()
for _ in range(200):
    try:
        os.stat("/nowhere/at/all")
    except FileNotFoundError:
        pass
    time.sleep(0)
thread.join()
assert len(set(errors)) == 1 and len(errors) == 200

# Daemons do not hold up the end: one waits, one computes, one has a lock and waits.
threading.Thread(target=threading.Event().wait, daemon=True).start()


def compute():
    while True:
        pass


threading.Thread(target=compute, daemon=True).start()


def keep():
    with lock:
        time.sleep(1000)


threading.Thread(target=keep, daemon=True).start()
# Others do.
threading.Thread(target=lambda: (time.sleep(0.1), print("ok"), sys.stdout.flush())).start()
