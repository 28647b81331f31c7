"""Prints a number from each source of random numbers in the standard library: lines of name and value"""

import email.utils
import os
import random
import secrets
import sqlite3
import ssl
import tempfile
import uuid

# Not hashes: guests that begin with one image share their secret.
memory = sqlite3.connect(":memory:")

SOURCES = {
    "os.urandom": lambda: os.urandom(16).hex(),
    "random": random.random,
    "random.Random": lambda: random.Random().getrandbits(64),
    "random.SystemRandom": lambda: random.SystemRandom().getrandbits(64),
    "secrets": secrets.token_hex,
    # Beside the time: guests that start together may have the same.
    "uuid1": lambda: uuid.uuid1().bytes[8:].hex(),
    "uuid4": uuid.uuid4,
    "ssl.RAND_bytes": lambda: ssl.RAND_bytes(16).hex(),
    "SQLite random": lambda: memory.execute("SELECT random()").fetchone()[0],
    "SQLite randomblob": lambda: memory.execute("SELECT hex(randomblob(16))").fetchone()[0],
    "tempfile": lambda: tempfile.mktemp(dir="/"),
    "Message-ID": lambda: email.utils.make_msgid(domain="test").split(".")[2],
}

for name, source in SOURCES.items():
    print(name, source(), sep=": ")
