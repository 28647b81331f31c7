"""64 threads with locks, queues and sockets for some seconds, and no byte is lost. Usage: threads.py SECONDS."""

import hashlib
import os
import queue
import random
import socket
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

END = time.monotonic() + float(sys.argv[1])
EACH = 16


def going():
    return time.monotonic() < END


def tell(errors, function, *args):
    try:
        function(*args)
    except BaseException as exc:
        errors.append(f"{function.__name__}: {exc!r}")


# Accounts: what one loses another one gets.
accounts = [1000] * 20
locks = [threading.Lock() for _ in accounts]


def transfer():
    while going():
        one, other = sorted(random.sample(range(20), 2))
        with locks[one], locks[other]:
            amount = random.randrange(-50, 50)
            mine, theirs = accounts[one], accounts[other]
            if amount % 7 == 0:
                time.sleep(0)
            accounts[one], accounts[other] = mine - amount, theirs + amount


# Items: all that is put is taken once.
items = queue.Queue(maxsize=10)
put, taken = [], []


def produce(which):
    count = 0
    while going():
        items.put((which, count))
        count += 1
    put.append(count)
    items.put(None)


def consume():
    sums = 0
    while (item := items.get(timeout=60)) is not None:
        sums += 1
        if sums % 100 == 0:
            sys.setswitchinterval(random.choice([1e-4, 1e-3, 5e-3]))
    taken.append(sums)


# Streams: what one sends the other one receives, whatever the sizes.
def stream(one, other):
    sent, received = hashlib.sha256(), hashlib.sha256()

    def send():
        while going():
            data = random.randbytes(random.choice([1, 100, 5000, 200_000]))
            sent.update(data)
            one.sendall(data)
        one.shutdown(socket.SHUT_WR)

    sender = threading.Thread(target=send)
    sender.start()
    other.settimeout(random.choice([None, 60]))
    while data := other.recv(random.choice([10, 4096, 1 << 20])):
        received.update(data)
    sender.join()
    assert sent.digest() == received.digest()
    one.close()
    other.close()


def connected():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname())
        return client, listener.accept()[0]


# Threads that come and go, and compute.
def compute():
    while going():
        with ThreadPoolExecutor(2) as executor:
            numbers = list(executor.map(lambda n: sum(range(n)), range(0, 2000, 100)))
        assert numbers == [n * (n - 1) // 2 for n in range(0, 2000, 100)]


errors = []
work = [(transfer,)] * EACH
work += [(produce, which) for which in range(EACH // 2)] + [(consume,)] * (EACH // 2)
work += [(stream, *(connected() if which % 2 else socket.socketpair())) for which in range(EACH // 2)]
work += [(compute,)] * (EACH // 2)
threads = [threading.Thread(target=tell, args=(errors, *what)) for what in work]
for thread in threads:
    thread.start()
while going():
    time.sleep(0.05)
for thread in threads:
    thread.join(120)
    assert not thread.is_alive()
assert not errors, errors
assert sum(accounts) == 20_000, accounts
assert sum(put) == sum(taken) > 0, (put, taken)
print("ok", flush=True)
os._exit(0)
