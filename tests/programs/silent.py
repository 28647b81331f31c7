"""Waits for a server that never answers. Usage: silent.py PORT."""

import sys

import wasisocket

with wasisocket.create_connection(("127.0.0.1", int(sys.argv[1]))) as sock:
    print("waiting", flush=True)
    sock.recv(1)
