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
        _take_processes_away()
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
        one_thread.install()


# Modules that ask for what they do not need, and what they are told while they are imported.
_TOLD = {
    # These only look at the platform's name.
    "test.test_selectors": {"is_wasi": False},
    "test.test_socket": {"is_wasi": False},
    "test.test_urllib_response": {"is_wasi": False},
    # Its tests of TLS say that they need subprocesses, and start none.
    "test.test_ftplib": {"has_subprocess_support": True},
}


def import_tests(job):
    from test import support
    truth = {}
    for name, value in _TOLD.get(job.module, {}).items():
        truth[name] = getattr(support, name)
        setattr(support, name, value)
    try:
        return importlib.import_module(job.module)
    finally:
        vars(support).update(truth)


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


def _take_processes_away():
    """Native Python as a guest is, together with one_thread: for what can be expected of a guest."""
    import _posixsubprocess
    import posix
    import subprocess

    def fork_exec(*args):
        raise RuntimeError("can't start new process")

    for name in ["fork", "forkpty", "posix_spawn", "posix_spawnp"]:
        for module in [os, posix]:
            if hasattr(module, name):
                delattr(module, name)
    _posixsubprocess.fork_exec = fork_exec
    subprocess._can_fork_exec = False
    os.environ["PATH"] = ""  # Tests look for programs to start.
