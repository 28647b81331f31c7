"""Prints the seconds that os.listdir and os.scandir take for each file of a folder. Argument: the folder. They list it
until they have listed 100,000 files, so that folders of all sizes are interrupted by other processes equally often."""

import os
import sys
import time

FILES = 100_000


def seconds(function):
    start = time.perf_counter()
    count = 0
    while count < FILES:
        count += function()
    return (time.perf_counter() - start) / count


def scan():
    with os.scandir(sys.argv[1]) as entries:
        return sum(1 for entry in entries if entry.is_file())


print(min(seconds(lambda: len(os.listdir(sys.argv[1]))) for _ in range(5)))
print(min(seconds(scan) for _ in range(5)))
