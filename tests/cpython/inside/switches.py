"""Sets switches of test.support, which does not know that this platform has sockets. No test is edited."""

import importlib
import json
import os
import sys
import types


def read_job():
    """Reads the job, a file that the driver wrote. This process may write into its folder."""
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
    """Prepares the process before a test module is imported."""
    _stand_ins()
    from test import support
    from test.support import socket_helper, threading_helper

    # test.support decides by the platform's name, and assumes that this one has no sockets and no threads.
    support.has_socket_support = True
    threading_helper.can_start_thread = True
    socket_helper.has_gethostname = True
    support.use_resources = job.resources
    support.verbose = False


# Values of test.support that are overridden while a module is imported, because it asks for more than it needs.
_OVERRIDES = {
    # These decide by the platform's name alone.
    "test.test_selectors": {"is_wasi": False},
    "test.test_socket": {"is_wasi": False},
    "test.test_urllib_response": {"is_wasi": False},
    # Its tests of TLS ask for subprocesses but start none.
    "test.test_ftplib": {"has_subprocess_support": True},
}


def import_tests(job):
    from test import support
    truth = {}
    for name, value in _OVERRIDES.get(job.module, {}).items():
        truth[name] = getattr(support, name)
        setattr(support, name, value)
    try:
        return importlib.import_module(job.module)
    finally:
        vars(support).update(truth)


def _stand_ins():
    """Defines names that WASI lacks and that tests use on the way to what they test."""
    import signal
    if not hasattr(signal, "siginterrupt"):
        signal.siginterrupt = lambda signalnum, flag: None
    if not hasattr(signal, "valid_signals"):
        signal.valid_signals = lambda: set(signal.Signals)
    try:
        import tty  # noqa: F401
    except ImportError:
        sys.modules["tty"] = types.ModuleType("tty")

