"""Tells test.support, from outside, that this platform has sockets. No test is edited."""

import importlib
import json
import os
import sys
import types

import one_thread


def read_job():
    """What to do: a file that the driver wrote. Its folder is this process's, to write in."""
    folder, name = os.path.split(os.path.abspath(sys.argv[1]))
    with open(os.path.join(folder, name), encoding="utf-8") as file:
        job = types.SimpleNamespace(**json.load(file))
    job.folder = folder
    job.results = os.path.join(folder, job.results)
    scratch = os.path.join(folder, job.scratch)
    os.makedirs(scratch, exist_ok=True)
    os.chdir(scratch)
    os.environ["TMPDIR"] = scratch
    if job.test_library:
        sys.path.append(job.test_library)
    return job


def prepare(job):
    """Everything that has to happen before a test module is imported."""
    if not job.threads and sys.platform != "wasi":
        _take_threads_and_processes_away()
    _stand_ins()
    from test import support
    from test.support import socket_helper, threading_helper

    # test.support goes by the platform's name, and does not know that this one has sockets.
    support.has_socket_support = True
    socket_helper.has_gethostname = True
    support.use_resources = job.resources
    support.verbose = False
    if not job.threads:
        support.has_fork_support = False
        support.has_subprocess_support = False
        threading_helper.can_start_thread = False
        _refuse_endless_waits()
        one_thread.install()
        import server_loops
        server_loops.install()


def import_tests(job):
    """The module, of which the three that look at the platform's name are told that it is another."""
    from test import support
    truth = support.is_wasi
    if job.module in {"test.test_selectors", "test.test_socket", "test.test_urllib_response"}:
        support.is_wasi = False
    try:
        one_thread.Strand.module = importlib.import_module(job.module)
        return one_thread.Strand.module
    finally:
        support.is_wasi = truth


def _stand_ins():
    """Names that tests use on the way to what they test."""
    import signal
    if not hasattr(signal, "siginterrupt"):
        signal.siginterrupt = lambda signalnum, flag: None
    if not hasattr(signal, "valid_signals"):
        signal.valid_signals = lambda: set(signal.Signals)
    try:
        import tty  # noqa: F401
    except ImportError:
        sys.modules["tty"] = types.ModuleType("tty")


def _take_threads_and_processes_away():
    """Native Python as a guest is: for what can be expected of a guest."""
    import _thread

    def start(*args, **kwargs):
        raise RuntimeError("can't start new thread")

    for name in ["start_new", "start_new_thread", "start_joinable_thread"]:
        setattr(_thread, name, start)
    import posix
    for name in ["fork", "forkpty", "posix_spawn", "posix_spawnp"]:
        for module in [os, posix]:
            if hasattr(module, name):
                delattr(module, name)
    import subprocess
    subprocess._can_fork_exec = False
    # Its sockets wait inside C code, which cannot be left and run again.
    sys.modules["_ssl"] = None


def _refuse_endless_waits():
    """Nobody can wake a thread that is the only one: better an error at once than a hanging test."""
    import threading
    stock = threading.Condition.wait

    def wait(self, timeout=None):
        if timeout is None:
            raise RuntimeError("waits for another thread")
        return stock(self, timeout)

    threading.Condition.wait = wait
