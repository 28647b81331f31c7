"""Runs CPython's own tests in a guest, and compares their results with expected.toml.

`cargo xtask cpython-tests` calls this with the native Python of the same version. The tests are those of CPython's
source, unchanged. See README.md beside this file.
"""

import argparse
import collections
import compileall
import concurrent.futures
import itertools
import json
import os
import py_compile
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from expected import Expected

HERE = Path(__file__).resolve().parent
INSIDE = HERE / "inside"
EXPECTED = HERE / "expected.toml"

ASYNCIO = """
    test_base_events test_buffered_proto test_context test_eager_task_factory test_events test_futures
    test_futures2 test_locks test_pep492 test_proactor_events test_protocols test_queues test_runners
    test_selector_events test_sendfile test_server test_sock_lowlevel test_ssl test_sslproto test_staggered
    test_streams test_subprocess test_taskgroups test_tasks test_threads test_timeouts test_transports
    test_unix_events test_waitfor
""".split()

SQLITE = """
    test_backup test_cli test_dbapi test_dump test_factory test_hooks test_regression test_transactions
    test_types test_userfunctions
""".split()

# Those that need no library of C. _ctypes_test is not built.
CTYPES = """
    test_aligned_structures test_anon test_array_in_pointer test_arrays test_buffers test_bytes test_byteswap
    test_c_simple_type_meta test_cast test_delattr test_find test_frombuffer test_incomplete test_init
    test_internals test_keeprefs test_memfunctions test_numbers test_objects test_pep3118 test_python_api test_repr
    test_simplesubclasses test_sizes test_strings test_struct_fields test_unaligned_structures test_unions
    test_varsize_struct test_wintypes
""".split()

# The long ones come first, so that two at a time finish together.
MODULES = ["test_socket", *("test_asyncio." + name for name in ASYNCIO), *"""
    test_select test_poll test_epoll test_selectors test_timeout test_httplib test_httpservers
    test_socketserver test_urllib test_urllib2 test_urllib2_localnet test_urllibnet test_urlparse
    test_urllib_response test_ftplib test_smtplib test_poplib test_imaplib test_xmlrpc test_wsgiref
    test_ipaddress test_robotparser test_ssl test_hashlib test_hmac test_zlib test_gzip test_bz2 test_lzma
    test_tarfile test_zipfile.test_core test_zipfile._path.test_path test_zipfile._path.test_complexity
    test_threading test_thread test_threading_local test_threadsignals test_signal test_queue test_sched
    test_logging test_concurrent_futures.test_thread_pool
    test_concurrent_futures.test_as_completed test_concurrent_futures.test_future test_concurrent_futures.test_shutdown
    test_concurrent_futures.test_wait test_concurrent_futures.test_init
""".split(), *("test_sqlite3." + name for name in SQLITE),
    *("test_ctypes." + name for name in CTYPES), *"""
    test_os test_shutil test_mailbox test_pathlib.test_pathlib test_tempfile test_fcntl test_mmap test_glob test_fileio
    test_file test_filecmp test_genericpath test_stat
    test_pwd test_grp test_resource test_syslog test_termios test_getpass test_posix test_posixpath
    test_time test_strptime test_strftime test_calendar test_datetime test_zoneinfo.test_zoneinfo test_email.test_utils
""".split()]

# The tests of these modules that ask for the network stay on this machine.
NETWORK_ON_THIS_MACHINE = {"test_socketserver", "test_timeout"}

# Without "cpu": its tests, such as hashing four GiB, take half a minute each and do not concern sockets.
RESOURCES = ["walltime", "largefile", "subprocess"]

# Seconds. A test that takes longer is ended with its process, and the module continues after it.
TEST_LIMIT = 30
START_LIMIT = 60
# For a test that is known to hang.
HANG_LIMIT = 3

HANG = "hangs"

Result = collections.namedtuple("Result", "outcome reason net", defaults=[False])


class Native:
    """The native build-python."""

    test_library = None

    def command(self, script, folder, job):
        return [sys.executable, INSIDE / script, folder / job]


class Guest:
    """Python in the guest."""

    test_library = "/tests"

    def __init__(self, args, tests):
        self._command = [args.wasisocket, "run", "--python", args.python, "--allow-listen",
                         "--allow-net=" + ",".join(ALLOWED), "--max-sockets", "2000",
                         "--env", "PYTHONDONTWRITEBYTECODE=1", "--dir", f"{tests}::/tests:ro"]

    def command(self, script, folder, job):
        return [*self._command, "--dir", f"{folder}::/job", INSIDE / script, f"/job/{job}"]


# All addresses, but no names except this machine's: results must not depend on what else can be looked up.
ALLOWED = ["0.0.0.0/0", "[::/0]", "localhost", os.uname().nodename]


class Run:
    """A process that runs tests of a module until they are done or one hangs."""

    def __init__(self, board, module, tests, known_hangs):
        self.module = module
        self.results = {}
        self.listed = tests
        self._board = board
        self._known_hangs = {name.removeprefix(module + ".") for name in known_hangs}
        self._started = None
        self._done = False
        folder = board.new_folder(module)
        self._log = folder / "log.txt"
        self._read = folder / "results.jsonl"
        job = {"module": "test." + module, "tests": tests, "test_library": board.python.test_library,
               "scratch": "scratch", "resources": RESOURCES + ["network"] * (module in NETWORK_ON_THIS_MACHINE),
               "results": self._read.name}
        (folder / "job.json").write_text(json.dumps(job))
        with open(self._log, "w", encoding="utf-8", errors="replace") as log:
            child = subprocess.Popen(
                board.python.command("direct.py", folder, "job.json"),
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            self._follow(child)
        finally:
            child.kill()
            child.wait()

    def _follow(self, child):
        """Reads results until the process is done, and records a result for the test at which it stopped."""
        limit = START_LIMIT
        since = time.monotonic()
        with open_when_there(self._read, child) as file:
            while True:
                has_ended = child.poll() is not None
                if line := read_line(file):
                    since = time.monotonic()
                    self._take(json.loads(line))
                    known = self._started in self._known_hangs
                    limit = HANG_LIMIT if known else TEST_LIMIT if self._started else START_LIMIT
                elif self._done:
                    return
                elif has_ended:
                    self._stopped(f"crashes: {self._last_words()}")
                    return
                elif time.monotonic() - since > limit:
                    self._stopped(HANG)
                    return
                else:
                    time.sleep(0.02)

    def _take(self, line):
        if "list" in line:
            self.listed = line["list"]
        elif "start" in line:
            self._started = line["start"]
        elif "test" in line:
            self._started = None
            self.results[line["test"]] = Result(line["outcome"], line["reason"], line["net"])
        else:
            self._done = True

    def _stopped(self, reason):
        if self._started:
            self.results[self._started] = Result("fail", reason)
        elif not self.listed:
            self.results["*"] = Result("fail", reason)
        else:  # It stopped between two tests: the class of the next one could not be set up.
            rest = [name for name in self.listed if name not in self.results]
            if rest:
                self.results[rest[0]] = Result("fail", reason)

    def _last_words(self):
        lines = self._log.read_text(errors="replace").strip().splitlines()
        return lines[-1][:200] if lines else "silently"


def open_when_there(path, child):
    while not path.exists() and child.poll() is None:
        time.sleep(0.02)
    path.touch()
    return open(path, encoding="utf-8")


def read_line(file):
    """Returns a whole line, or "" if none is complete yet."""
    place = file.tell()
    line = file.readline()
    if line.endswith("\n"):
        return line
    file.seek(place)
    return ""


class Board:
    """Runs the tests with one Python, guest or native."""

    def __init__(self, python, work, title, known=None):
        self.python = python
        self.title = title
        self.stopping = False
        self._work = work
        self._numbers = itertools.count()
        self._hangs = known.with_reason(HANG) if known else set()

    def new_folder(self, module):
        # A short name: paths of Unix sockets are limited to 107 bytes.
        folder = self._work / f"{next(self._numbers)}"
        folder.mkdir()
        return folder

    def run(self, module, tests=None):
        """Runs all tests of a module, or these, and continues after a test that ends the process."""
        results = {}
        while True:
            run = Run(self, module, tests, self._hangs)
            results |= run.results
            tests = [name for name in run.listed or [] if name not in results]
            if not tests or not run.results or self.stopping:
                return results


def run_modules(board, modules, at_once):
    """Returns all results by module."""
    results = {}

    def run(module):
        began = time.monotonic()
        return board.run(module), time.monotonic() - began

    with concurrent.futures.ThreadPoolExecutor(at_once) as pool:
        futures = {pool.submit(run, module): module for module in modules}
        try:
            for number, future in enumerate(concurrent.futures.as_completed(futures), 1):
                module = futures[future]
                results[module], seconds = future.result()
                print(f"[{number}/{len(modules)}] {board.title}: {module}: {summary(results[module])}"
                      f" in {seconds:.0f} s", file=sys.stderr, flush=True)
        except BaseException:
            board.stopping = True
            pool.shutdown(cancel_futures=True)
            raise
    return {module: results[module] for module in modules}


def summary(results):
    count = collections.Counter(result.outcome for result in results.values())
    net = sum(result.outcome == "pass" and result.net for result in results.values())
    return f"{count['pass']} pass ({net} over sockets), {count['skip']} skip, {count['fail']} fail"


def copy_tests(source, folder, modules):
    """Copies CPython's tests and compiles them, because the guest cannot keep compiled files."""
    tests = folder / "test"
    shutil.copytree(source / "Lib/test", tests, ignore=shutil.ignore_patterns("__pycache__"))
    unchecked = py_compile.PycInvalidationMode.UNCHECKED_HASH
    for part in ["support", "test_asyncio", "test_concurrent_futures", "test_ctypes", "test_email", "test_pathlib",
                 "test_sqlite3", "test_zipfile", "test_zoneinfo"]:
        compileall.compile_dir(tests / part, quiet=2, invalidation_mode=unchecked)
    for path in [tests / "__init__.py", *(tests / f"{module}.py" for module in modules)]:
        if path.exists():
            compileall.compile_file(path, quiet=2, invalidation_mode=unchecked)
    return folder


def print_table(columns):
    """Prints a table in Markdown: the number of passed tests, and in parentheses of those over sockets."""
    print("| module | " + " | ".join(columns) + " |")
    print("|---|" + "---|" * len(columns))
    rows = collections.defaultdict(lambda: [[0, 0] for _ in columns])
    for number, board in enumerate(columns.values()):
        for module, results in board.items():
            for row in [module.partition(".")[0], "**all**"]:
                for result in results.values():
                    rows[row][number][0] += result.outcome == "pass"
                    rows[row][number][1] += result.outcome == "pass" and result.net
    for row in [name for name in rows if name != "**all**"] + ["**all**"]:
        print(f"| {row} | " + " | ".join(f"{passed:,} ({net:,})" for passed, net in rows[row]) + " |")


def arguments():
    parser = argparse.ArgumentParser(prog="cargo xtask cpython-tests", description=__doc__)
    parser.add_argument("modules", nargs="*", help="such as test_socket or test_asyncio; all by default")
    parser.add_argument("--bless", action="store_true", help="write what happens into expected.toml")
    parser.add_argument("--native", action="store_true", help="also run native Python")
    parser.add_argument("--no-guest", action="store_true", help="only run native Python")
    parser.add_argument("--jobs", type=int, default=2, help="modules at a time")
    parser.add_argument("--keep", metavar="DIR", help="keep the logs of all processes")
    for name in ["wasisocket", "python", "source"]:
        parser.add_argument("--" + name, metavar="PATH", type=Path)
    return parser.parse_args()


def chosen(names):
    if unknown := [name for name in names if not any((m + ".").startswith(name + ".") for m in MODULES)]:
        sys.exit(f"not on the scoreboard: {', '.join(unknown)}")
    return [module for module in MODULES
            if not names or any((module + ".").startswith(name + ".") for name in names)]


def main():
    args = arguments()
    modules = chosen(args.modules)
    known = Expected(EXPECTED)
    began = time.monotonic()
    columns = {}
    status = 0
    with tempfile.TemporaryDirectory(prefix="wt") as folder:
        work = Path(args.keep or folder).resolve()
        work.mkdir(parents=True, exist_ok=True)

        def board(name, title, python, known=None):
            (work / name).mkdir()
            board = Board(python, work / name, title, known)
            columns[title] = run_modules(board, modules, args.jobs)
            return board

        if not args.no_guest:
            guest = Guest(args, copy_tests(args.source, work / "tests", modules))
            guest = board("g", "guest", guest, known)
            settle(guest, columns["guest"], known)
            if args.bless:
                bless(columns["guest"], known)
            else:
                status = compare(columns["guest"], known)
        if args.native:
            board("n", "native", Native())
    print_table(columns)
    print(f"in {time.monotonic() - began:.0f} s", file=sys.stderr)
    sys.exit(status)


def settle(board, results, known):
    """Runs tests again that are expected to pass and failed: it may have been chance."""
    for module, tests in results.items():
        unlucky = [test for test, result in tests.items()
                   if result.outcome == "fail" and (known.of(module, test) or [""])[0] == "pass"]
        again = board.run(module, unlucky) if unlucky else {}
        for test in unlucky:
            if test in again and again[test].outcome == "pass":
                print(f"passed only when run again: {module}.{test}: {tests[test].reason}", file=sys.stderr)
                tests[test] = again[test]


def bless(results, known):
    for module, tests in results.items():
        known.replace(module, tests, summary(tests))
    known.write(MODULES)


def compare(results, known):
    """Prints the differences and returns the exit status."""
    lines = [line for module, tests in results.items() for line in known.differences(module, tests)]
    for line in lines:
        print(line)
    if lines:
        print(f"{len(lines)} tests are not as {EXPECTED.name} says; --bless records what happens now")
    return bool(lines)


if __name__ == "__main__":
    main()
