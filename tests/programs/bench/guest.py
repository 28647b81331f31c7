"""One of many guests in a process. Usage: guest.py ACTION PORT (of its peer)."""

import socket
import sys
import threading
import time

ROUND_TRIPS = 10_000

THREADS = 8

what, port = sys.argv[1], int(sys.argv[2])
end = threading.Event()
if what == "idle with threads":
    for _ in range(THREADS):
        threading.Thread(target=end.wait).start()
with socket.create_connection(("127.0.0.1", port)) as peer:
    peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    peer.sendall(what[0].encode())
    if what.startswith("idle"):
        # This ends when the peer closes.
        peer.recv(1)
        end.set()
    elif what == "flood":
        data = bytes(1 << 16)
        try:
            while True:
                peer.sendall(data)
        except OSError:
            pass
    else:
        times = []
        data = bytes(64)
        for _ in range(ROUND_TRIPS):
            begun = time.perf_counter()
            peer.sendall(data)
            assert peer.recv(64) == data
            times.append(time.perf_counter() - begun)
        times.sort()
        for name, part in ("median", 0.5), ("99th percentile", 0.99):
            print(name, times[int(len(times) * part)], sep="\t")
