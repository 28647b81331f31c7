"""The part of pyperf's API that pyperformance's programs use, in one process.

pyperf starts a process for each of its runs, and a guest has no processes. The programs import this module in its
place. For each benchmark of a program it prints a line: name, number of loops, seconds for one iteration, with tabs
between them.

`BENCH_LOOPS` has the number of loops for each benchmark as `name=loops,...`, so that every column of the table measures
the same work. Without it, that number is chosen.

The API: https://pyperf.readthedocs.io/en/latest/api.html
"""

import argparse
import asyncio
import os
import warnings
from time import perf_counter

__all__ = ["Runner", "perf_counter"]

AT_LEAST = 0.1
"""How long a measurement takes at least where the number of loops is chosen, in seconds."""

LOOPS = dict(item.split("=") for item in os.environ.get("BENCH_LOOPS", "").split(",") if item)

# Some programs use what newer versions deprecate.
warnings.simplefilter("ignore", DeprecationWarning)


def chosen_loops(time_func, args):
    loops = 1
    while (seconds := time_func(loops, *args)) < AT_LEAST:
        # At least twice as many, so that it ends; at most ten times as many, since the first loops are slow.
        loops *= max(2, min(10, int(AT_LEAST / max(seconds, 1e-9))))
    return loops


class Runner:
    def __init__(self, *ignored, **also_ignored):
        self.argparser = argparse.ArgumentParser()
        self.metadata = {}
        self.args = None

    def parse_args(self, args=None):
        if self.args is None:
            self.args = self.argparser.parse_args(args)
        return self.args

    def bench_time_func(self, name, time_func, *args, inner_loops=1, **ignored):
        """Measures `time_func(loops, *args)`, which returns the seconds that `loops` iterations took."""
        if name in LOOPS:
            loops = int(LOOPS[name])
            if loops > 1:
                # The interpreter adapts to the code while this runs.
                time_func(1, *args)
        else:
            loops = chosen_loops(time_func, args)
        seconds = time_func(loops, *args) / loops / inner_loops
        print(name, loops, f"{seconds:.9f}", sep="\t", flush=True)

    def bench_func(self, name, func, *args, **options):
        """Measures `func(*args)`."""

        def time_func(loops):
            start = perf_counter()
            for _ in range(loops):
                func(*args)
            return perf_counter() - start

        self.bench_time_func(name, time_func, **options)

    def bench_async_func(self, name, func, *args, loop_factory=None, **options):
        """Measures the coroutine `func(*args)`."""

        async def iterate(loops):
            start = perf_counter()
            for _ in range(loops):
                await func(*args)
            return perf_counter() - start

        def time_func(loops):
            with asyncio.Runner(loop_factory=loop_factory) as runner:
                return runner.run(iterate(loops))

        self.bench_time_func(name, time_func, **options)
