"""Sandboxes of a Python program. Usage: boxes.py wasisocket|pyeryx first | boxes.py wasisocket|pyeryx further COUNT.

`first` only makes a sandbox and prints what it computed. `further` measures, in a process that has made some: lines with a
name, a unit and a value. COUNT is how many sandboxes have a connection each.
"""

import os
import socket
import statistics
import sys
import threading
import time

MIB = 1 << 20
OBJECTS = "objects = [str(n) * 3 for n in range(1_330_000)]"  # 50 MiB by sys.getsizeof()


def tell(name, unit, value):
    print(name, unit, value, sep="\t")


def seconds(function, *arguments):
    begun = time.perf_counter()
    function(*arguments)
    return time.perf_counter() - begun


def private_memory():
    """Memory that this process shares with no other, in bytes (proc_pid_status(5))."""
    with open("/proc/self/status") as file:
        lines = dict(line.split(":") for line in file)
    return int(lines["RssAnon"].split()[0]) << 10


class Wasisocket:
    def __init__(self):
        import wasisocket

        self.module = wasisocket

    def open(self, port=None):
        return self.module.Sandbox(allow_net=[] if port is None else f"127.0.0.1:{port}")

    def open_with_function(self):
        return self.module.Sandbox(functions={"add": lambda a, b: a + b})

    def run(self, box, code):
        return box.run(code).check().stdout

    def close(self, box):
        box.close()

    CALLS = "for n in range(1000): host.add(n, 1)"


class Pyeryx:
    def __init__(self):
        import eryx

        self.module = eryx

    def open(self):
        return self.module.Session()

    def open_with_function(self):
        return self.module.Session(callbacks=[{"name": "add", "fn": lambda a, b: a + b}])

    def run(self, box, code):
        return box.execute(code).stdout_text

    def close(self, box):
        del box

    CALLS = "for n in range(1000): await add(a=n, b=1)"


def echo():
    """A server on loopback that answers what it gets. Returns its port."""
    server = socket.create_server(("127.0.0.1", 0), backlog=1024)

    def serve(peer):
        with peer:
            while data := peer.recv(100):
                peer.sendall(data)

    def accept():
        while True:
            threading.Thread(target=serve, args=(server.accept()[0],), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    return server.getsockname()[1]


def further(made, count):
    box = made.open()
    made.run(box, "pass")

    def whole():
        box = made.open()
        made.run(box, "pass")
        made.close(box)

    for _ in range(3):
        whole()
    tell("further sandbox: made, pass, closed", "ms", statistics.median(seconds(whole) for _ in range(20)) * 1e3)
    passes = [seconds(made.run, box, "pass") for _ in range(200)]
    tell("pass in a sandbox that is kept", "us", statistics.median(passes) * 1e6)
    calling = made.open_with_function()
    calls = [seconds(made.run, calling, made.CALLS) for _ in range(3)]
    made.close(calling)
    tell("call of a host's function", "us", statistics.median(calls) * 1e3)
    before = private_memory()
    kept = [made.open() for _ in range(20)]
    for one in kept:
        made.run(one, "pass")
    tell("memory of a further sandbox", "MiB", (private_memory() - before) / len(kept) / MIB)
    for one in kept:
        made.close(one)
    if isinstance(made, Wasisocket):
        copies(made, box)
        connections(made, count)


def copies(made, box):
    made.run(box, OBJECTS)
    times = []
    for _ in range(3):
        made.run(box, "pass")
        begun = time.perf_counter()
        fork = box.fork()
        times.append(time.perf_counter() - begun)
        fork.kill()
    tell("fork with 50 MiB of objects", "ms", statistics.median(times) * 1e3)
    forks = []
    times = [seconds(lambda: forks.append(box.fork())) for _ in range(10)]
    tell("another fork of the same", "ms", statistics.median(times) * 1e3)


def connections(made, count):
    port = echo()
    code = f"import socket; s = socket.create_connection(('127.0.0.1', {port})); s.send(b'x'); print(s.recv(1))"
    before = private_memory()
    begun = time.perf_counter()
    boxes = []
    for _ in range(count):
        boxes.append(made.open(port))
        assert made.run(boxes[-1], code) == "b'x'\n"
    tell(f"{count} sandboxes with a connection each", "s", time.perf_counter() - begun)
    tell("memory of each", "MiB", (private_memory() - before) / count / MIB)


made = {"wasisocket": Wasisocket, "pyeryx": Pyeryx}[sys.argv[1]]()
if sys.argv[2] == "first":
    made.run(made.open(), "print(40 + 2)")
else:
    further(made, int(sys.argv[3]))
sys.stdout.flush()
os._exit(0)
