"""Receives 100 MiB from a source and sends as much to a sink. Usage: bulk.py SOURCE SINK (ports); prints two hashes."""

import hashlib
import sys

import wasisocket

SIZE = 100 << 20
source, sink = map(int, sys.argv[1:])

received = 0
digest = hashlib.sha256()
buffer = bytearray(1 << 16)
with wasisocket.create_connection(("127.0.0.1", source)) as sock:
    while count := sock.recv_into(buffer):
        received += count
        digest.update(memoryview(buffer)[:count])
assert received == SIZE, received
print(digest.hexdigest())

digest = hashlib.sha256()
with wasisocket.create_connection(("127.0.0.1", sink)) as sock:
    for number in range(SIZE >> 20):
        block = number.to_bytes(4) * (1 << 18)
        digest.update(block)
        sock.sendall(block)
print(digest.hexdigest())
