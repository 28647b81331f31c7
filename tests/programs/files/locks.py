"""Takes locks of /folder/file or of ./file: `hold KIND` says so and waits for the end of standard input, `try KIND` says
what it got. KIND is flock, lockf, or sqlite."""

import fcntl
import os
import sqlite3
import sys

FOLDER = "/folder" if sys.platform == "wasi" else sys.argv[3]
action, kind = sys.argv[1:3]

if kind == "sqlite":
    database = sqlite3.connect(os.path.join(FOLDER, "data.db"), timeout=0, isolation_level=None)
    database.execute("create table if not exists t (value)")
    try:
        database.execute("begin immediate")
        got = "locked"
    except sqlite3.OperationalError as error:
        got = error.sqlite_errorname
else:
    file = open(os.path.join(FOLDER, "file"), "r+b")
    try:
        if kind == "flock":
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        else:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 10, 5)
            # What is beside it is free.
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 5, 0)
            fcntl.lockf(file, fcntl.LOCK_UN, 5, 0)
        got = "locked"
    except OSError as error:
        got = type(error).__name__
print(got, flush=True)
if action == "hold":
    sys.stdin.read()
