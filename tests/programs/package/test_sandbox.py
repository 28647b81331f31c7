"""The Python package wasisocket, in native CPython."""

import asyncio
import datetime
import functools
import hashlib
import http.server
import inspect
import os
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import unittest.mock
import warnings

from wasisocket import AsyncSandbox, Ended, Function, GuestError, LimitReached, Other, Result, Sandbox, _native


class Runs(unittest.TestCase):
    def setUp(self):
        self.box = self.enterContext(Sandbox(timeout="60s"))

    def test_state_is_kept_and_values_come_back(self):
        self.assertIsNone(self.box.run("x = [1]").value)
        self.assertEqual(self.box.run("x.append('a'); x").value, [1, "a"])
        self.assertEqual(self.box.run("await __import__('asyncio').sleep(0, 7)").value, 7)
        other = self.box.run("object").value
        self.assertEqual((other.type, repr(other)), ("type", "<class 'object'>"))
        self.assertIsInstance(other, Other)

    def test_every_value_goes_in_and_comes_out_as_it_was(self):
        self.box.run("def echo(*arguments, **keywords): return arguments, keywords").check()
        now = datetime.datetime.now(datetime.timezone.utc)
        values = (None, True, False, 0, -1, 1 << 31, -(1 << 63), 1 << 64, -(1 << 100), 0.1, float("inf"), 2j, "",
                  "ä\0\U0010ffff", b"\0\xff", [], [[1]], (), (None,), set(), {1, "a"}, frozenset({2}), {}, {1: {2: 3}},
                  now, now.replace(tzinfo=None), now.date(), now.time(), now - now, datetime.timedelta(-1, 2, 3))
        came, keywords = self.box.call("echo", *values, key=values).check().value
        self.assertEqual(came, values)
        self.assertEqual([type(value) for value in came], [type(value) for value in values])
        self.assertEqual(keywords, {"key": values})
        self.assertEqual(self.box.call("echo", bytearray(b"x")).value[0], (b"x",))
        deep = []
        for _ in range(1000):
            deep = [deep]
        for value in (object(), print, [{1: object()}], deep):
            self.assertRaises(TypeError, self.box.call, "echo", value)

    def test_an_exception_is_a_result_and_can_be_raised(self):
        result = self.box.run("def f():\n    raise ValueError('no')\nf()", filename="cell")
        self.assertIsInstance(result, Result)
        error = result.error
        self.assertEqual((error.type, error.message, str(error)), ("ValueError", "no", "ValueError: no"))
        lines = [(frame.file, frame.line, frame.function, frame.text) for frame in error.frames]
        self.assertEqual(lines, [("cell", 3, "<module>", "f()"), ("cell", 2, "f", "raise ValueError('no')")])
        self.assertTrue(error.traceback.endswith("ValueError: no\n"))
        self.assertRaises(GuestError, result.check)

    def test_files_and_modules_run(self):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder, "my.py")
            path.write_text("name = __name__\n1 / 0\n")
            result = self.box.run_file(path)
            self.assertEqual(result.error.frames[0].file, str(path))
            self.assertEqual(self.box.run("name").value, "__main__")
            with Sandbox(dirs={folder: "/app"}, env={"PYTHONPATH": "/app"}) as box:
                self.assertEqual(box.run_module("my").error.type, "ZeroDivisionError")

    def test_output_is_text_and_streamed(self):
        seen = []
        with Sandbox(on_stdout=seen.append, on_stderr=seen.append, max_output=4) as box:
            result = box.run("import sys\nprint('one')\nprint('two', file=sys.stderr)\nprint('three')")
        self.assertEqual((result.stdout, result.stderr, result.cut), ("one\n", "two\n", 6))
        self.assertEqual(seen, [b"one\n", b"two\n", b"three\n"])

    def test_folders_are_for_reading_unless_said_otherwise(self):
        with tempfile.TemporaryDirectory() as folder:
            pathlib.Path(folder, "a").write_text("text")
            read, write = "open('/data/a').read()", "open('/data/b', 'w').write('new')"
            with Sandbox(dirs={folder: "/data"}) as box:
                self.assertEqual(box.run(read).value, "text")
                self.assertIsNotNone(box.run(write).error)
            with Sandbox(dirs={folder: "/data:rw"}) as box:
                self.assertEqual(box.run(write).value, 3)
            self.assertEqual(pathlib.Path(folder, "b").read_text(), "new")

    def test_only_granted_addresses_are_reached(self):
        for family, address, place in (
            (socket.AF_INET, "127.0.0.1", "127.0.0.1"),
            (socket.AF_INET6, "::1", "[::1]"),
        ):
            server = self.enterContext(socket.create_server((address, 0), family=family))
            port = server.getsockname()[1]
            rule = f"{place}:{port}"
            connect = f"import socket; socket.create_connection(({address!r}, {port})).sendall(b'hello')"
            result = self.box.run(connect)
            self.assertEqual(result.error.type, "PermissionError")
            self.assertTrue(any(f"--allow-net={rule}" in event for event in result.events), result.events)
            file = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()), "policy.toml")
            file.write_text(f'allow-net = ["{rule}"]\ntimeout = "60s"\n')
            policies = (file, str(file), {"allow-net": [rule], "timeout": "60s", "max-sockets": 5})
            for grants in ({"allow_net": rule}, *({"policy": policy} for policy in policies)):
                with Sandbox(**grants) as box:
                    box.run(connect).check()
                    with server.accept()[0] as peer:
                        self.assertEqual(peer.recv(5), b"hello")


class Ends(unittest.TestCase):
    def test_a_reached_limit_is_raised_and_ends_the_guest(self):
        box = Sandbox(timeout="300ms")
        with self.assertRaises(LimitReached) as caught:
            box.run("print('begun')\nwhile True: pass")
        self.assertEqual((caught.exception.limit, caught.exception.result.stdout), ("timeout", "begun\n"))
        self.assertRaises(Ended, box.run, "1")
        self.assertIsNone(box.close())
        with Sandbox(max_memory="64M") as box:
            self.assertEqual(box.run("b'x' * (256 << 20)").error.type, "MemoryError")

    def test_a_guest_that_exits_has_ended(self):
        with self.assertRaises(Ended) as caught, Sandbox() as box:
            box.run("import os; os._exit(3)")
        self.assertIn("status 3", str(caught.exception))
        box = Sandbox()
        box.run("import atexit; atexit.register(print, 'bye')")
        self.assertEqual(box.close().stdout, "bye\n")
        self.assertRaises(RuntimeError, box.run, "1")
        box = Sandbox()
        box.kill()
        self.assertRaises(RuntimeError, box.run, "1")

    def test_misuse_is_an_error_at_once(self):
        for keywords in ({"timeout": "soon"}, {"allow_net": "a b"}, {"policy": {"allow-net": 1}}, {"policy": {"a b\n": []}}, {"dirs": {".": "data"}}):
            self.assertRaises(ValueError, Sandbox, **keywords)
        self.assertRaises(TypeError, Sandbox, allow_nets=[])
        self.assertRaises(OSError, Sandbox, dirs={"/nonexistent/folder": "/data"})

    def test_every_grant_and_limit_is_a_keyword(self):
        keywords = inspect.signature(Sandbox).parameters
        for name in (*_native.LISTS, *_native.LIMITS):
            self.assertIn(name.replace("-", "_"), keywords)


class Threads(unittest.TestCase):
    def test_other_threads_run_meanwhile_and_one_sandbox_is_used_by_one(self):
        box = self.enterContext(Sandbox())
        thread = threading.Thread(target=box.run, args=("import time; time.sleep(1)",))
        begun = time.monotonic()
        thread.start()
        time.sleep(0.3)
        self.assertRaises(RuntimeError, box.run, "1")
        self.assertLess(time.monotonic() - begun, 0.9)
        thread.join()
        self.assertEqual(box.run("1").value, 1)

    def test_a_callback_that_uses_its_own_sandbox_is_refused(self):
        errors = []

        def call(_):
            try:
                box.run("1")
            except RuntimeError as error:
                errors.append(str(error))

        box = self.enterContext(Sandbox(on_stdout=call))
        box.run("print()").check()
        self.assertEqual(len(errors), 1)
        self.assertRegex(errors[0], "something runs in it")

    def test_a_forked_process_is_told_that_it_has_none(self):
        box = self.enterContext(Sandbox())
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            child = os.fork()
        if child == 0:
            status = 0
            for call in (Sandbox, lambda: box.run("1"), box.close):
                try:
                    call()
                    status = 1
                except RuntimeError as error:
                    status |= 0 if "forked" in str(error) else 2
            os._exit(status)
        self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), 0)
        self.assertEqual(box.run("1").value, 1)

    def test_an_interpreter_ends_with_sandboxes_open(self):
        code = "from wasisocket import Sandbox; box = Sandbox(); print(box.run('40 + 2').value)"
        ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
        self.assertEqual((ended.returncode, ended.stdout, ended.stderr), (0, "42\n", ""))


class PrivateFolder(unittest.TestCase):
    def test_files_go_in_and_come_out(self):
        files = {"data.csv": b"1,2\n", pathlib.PurePath("a/b.txt"): "ä", "c": memoryview(b"x")}
        with Sandbox(files=files) as box:
            code = "import csv, os, tempfile; rows = list(csv.reader(open('data.csv'))); rows"
            self.assertEqual(box.run(code).check().value, [["1", "2"]])
            self.assertEqual(box.run("open('/a/b.txt', encoding='utf-8').read(), os.getcwd()").value, ("ä", "/"))
            box.run("open('out', 'wb').write(bytes(range(256)))\nos.mkdir('d')").check()
            self.assertEqual(box.files.read("/out"), bytes(range(256)))
            self.assertEqual(box.files.list(), ["a/", "c", "d/", "data.csv", "out", "tmp/"])
            box.files.write("d/e/f", "later")
            self.assertEqual(box.run("open('d/e/f').read()").value, "later")
            box.files.remove("d")
            self.assertEqual(box.run("os.path.exists('d')").value, False)
            self.assertEqual(box.run("with tempfile.NamedTemporaryFile() as f: name = f.name\nname").value[:5], "/tmp/")
            self.assertRaises(FileNotFoundError, box.files.read, "d")
            self.assertRaises(IsADirectoryError, box.files.read, "a")
            self.assertRaises(TypeError, box.files.write, "x", 1)
        self.assertRaises(RuntimeError, box.files.read, "out")

    def test_the_folder_is_another_one_for_each_and_is_removed(self):
        def folders():
            return [path for path in pathlib.Path(tempfile.gettempdir()).glob("wasisocket-sandbox-*") if path.owner()]

        before = set(folders())
        with Sandbox(files={"a": ""}) as one, Sandbox() as other:
            self.assertEqual((one.files.list(), other.files.list()), (["a", "tmp/"], ["tmp/"]))
            self.assertEqual(len(set(folders()) - before), 2)
            for box in (one, other):
                box.run("import os\nfor _ in range(100):\n    os.mkdir('x'); os.chdir('x')").check()
        self.assertEqual(set(folders()) - before, set())
        box = Sandbox(timeout="100ms")
        self.assertRaises(LimitReached, box.run, "open('a', 'w').write('x')\nwhile True: pass")
        self.assertEqual(box.files.read("a"), b"x")
        box.kill()
        self.assertEqual(set(folders()) - before, set())

    def test_links_of_the_guest_lead_nowhere(self):
        with Sandbox() as box:
            box.run("import os; os.symlink('../../../../etc/passwd', 'a'); os.symlink('../../../../etc', 'b')").check()
            for path in ("a", "b/passwd", "../../etc/passwd", "/../etc/passwd"):
                self.assertRaises(OSError, box.files.read, path)
                self.assertRaises(OSError, box.files.write, path, b"")

    def test_a_guest_that_fills_its_folder_gets_an_error_and_goes_on(self):
        with Sandbox(max_disk="1M") as box:
            code = "with open('a', 'wb', buffering=0) as f:\n    while True: f.write(bytes(1000))"
            self.assertEqual(box.run(code).error.type, "OSError")
            self.assertIn("No space", box.run("open('b', 'w')").error.message)
            self.assertLessEqual(len(box.files.read("a")), 1 << 20)
            box.run("import os; os.unlink('a'); open('b', 'w').write('c')").check()

    def test_a_guest_that_opens_all_it_can_gets_an_error_and_goes_on(self):
        before = len(os.listdir("/proc/self/fd"))
        with Sandbox(files={"a": b"x"}, max_files=20, max_sockets=10) as box:
            code = """
                import socket
                kept, errors = [], []
                for make in (lambda: open('/a'), socket.socket):
                    try:
                        while True: kept.append(make())
                    except OSError as error: errors.append(error.strerror)
                """
            box.run(inspect.cleandoc(code)).check()
            text = "No file descriptors available"
            self.assertEqual(box.run("len(kept), errors").value, (30, [text, text]))
            self.assertLess(len(os.listdir("/proc/self/fd")), before + 50)
            # The modules that tell where it was raised cannot be loaded.
            error = box.run("open('/a')").error
            self.assertEqual((error.type, error.message), ("OSError", f"[Errno 33] {text}: '/a'"))
            self.assertEqual(box.run("kept.clear(); open('/a').read()").check().value, "x")

    def test_a_granted_root_takes_its_place(self):
        with tempfile.TemporaryDirectory() as folder:
            with Sandbox(dirs={folder: "/"}) as box:
                self.assertRaises(RuntimeError, box.files.list)
            self.assertRaises(ValueError, Sandbox, dirs={folder: "/"}, files={"a": b""})


class Copies(unittest.TestCase):
    def test_a_fork_is_a_copy_that_goes_its_own_way(self):
        with Sandbox(files={"a": "text"}, functions={"one": lambda: 1}, timeout="60s") as box:
            box.run("x = [1]").check()
            with box.fork() as fork:
                self.assertEqual(fork.run("x.append(host.one()); x").check().value, [1, 1])
                self.assertEqual(fork.files.read("a"), b"text")
                fork.files.write("a", "other")
            self.assertEqual(box.run("x, open('a').read()").value, ([1], "text"))
        self.assertRaises(RuntimeError, box.fork)

    def test_what_is_saved_is_loaded(self):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder, "box")
            with Sandbox() as box:
                box.run("def f(n): return n + 1").check()
                box.save(path)
                self.assertEqual(box.call("f", 1).value, 2)
            self.assertEqual(path.stat().st_mode & 0o777, 0o600)
            with Sandbox.load(path, timeout="60s", functions={"two": lambda: 2}) as box:
                self.assertEqual(box.call("f", 2).value, 3)
                self.assertEqual(box.run("f(host.two())").check().value, 3)
            path.write_text("something else")
            self.assertRaises(OSError, Sandbox.load, path)
            with Sandbox() as box:
                self.assertRaises(OSError, box.save, path)
                box.run("1").check()

    def test_a_guest_that_has_ended_is_not_copied(self):
        with Sandbox() as box:
            self.assertRaises(Ended, box.run, "import os; os._exit(1)")
            self.assertRaises(RuntimeError, box.fork)


class Packages(unittest.TestCase):
    def setUp(self):
        self.site = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        (self.site / "pack").mkdir()
        (self.site / "pack/__init__.py").write_text("import time\nloaded = time.time()\n")
        (self.site / "other.py").write_text("x = 7\n")

    def test_packages_are_imported_and_cannot_be_changed(self):
        for packages in (self.site, str(self.site), [self.site]):
            with Sandbox(packages=packages, env={"PYTHONPATH": "/mine"}, files={"mine/own.py": "x = 1"}) as box:
                self.assertEqual(box.run("import other, own, pack; other.x, own.x").check().value, (7, 1))
                self.assertEqual(box.run("open(other.__file__, 'w')").error.type, "PermissionError")
        self.assertRaises(OSError, Sandbox, packages=self.site / "none")

    def test_preloaded_modules_are_there_at_once(self):
        for _ in range(2):
            with Sandbox(packages=self.site, preload=["pack", "other"]) as box:
                code = "import sys, time; before = 'pack' in sys.modules; import pack; (before, pack.loaded < started)"
                started = "import time; started = time.time()"
                self.assertEqual(box.run(started).error, None)
                self.assertEqual(box.run(code).check().value, (False, True))
                with box.fork() as fork:
                    self.assertEqual(fork.run("import other; other.x").check().value, 7)
        self.assertRaises(ValueError, Sandbox, packages=self.site, preload="none")
        with Sandbox(packages=self.site) as box:
            self.assertEqual(box.run(started + "\n" + code).check().value, (False, False))


class LockedPackages(unittest.TestCase):
    """Of a lock file, with a cache of their own and an index on loopback."""

    def setUp(self):
        # Compiled code stays in the cache of all tests.
        Sandbox().close()
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        index = self.folder / "index"
        self.wheel = index / "pack-1.0-py3-none-any.whl"
        (index / "simple/pack").mkdir(parents=True)
        (index / "simple/pack/index.html").write_text(f'<a href="/{self.wheel.name}">{self.wheel.name}</a>')
        writer = pathlib.Path(__file__).parents[1] / "pip/wheel.py"
        subprocess.run([sys.executable, writer, index, self.wheel.stem], check=True)
        self.lock = self.folder / "pylock.toml"
        self.write_lock(f'wheels = [{{hashes = {{sha256 = "{hashlib.sha256(self.wheel.read_bytes()).hexdigest()}"}}}}]')

        self.requests = requests = []

        class Handler(http.server.SimpleHTTPRequestHandler):
            def log_message(self, form, *arguments):
                requests.append(arguments)

        handler = functools.partial(Handler, directory=index)
        self.index = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=self.index.serve_forever, daemon=True).start()
        self.addCleanup(self.index.server_close)
        self.addCleanup(self.index.shutdown)
        env = {name: value for name, value in os.environ.items()
               if not name.upper().startswith("PIP_") and not name.upper().endswith(("_PROXY", "_CA_BUNDLE"))}
        env |= {
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_INDEX_URL": f"http://127.0.0.1:{self.index.server_port}/simple",
            "PIP_RETRIES": "0",
            "WASISOCKET_CACHE": str(self.folder / "cache"),
        }
        self.enterContext(unittest.mock.patch.dict(os.environ, env, clear=True))

    def write_lock(self, wheels):
        self.lock.write_text(f'lock-version = "1.0"\n[[packages]]\nname = "pack"\nversion = "1.0"\n{wheels}\n')

    def installed(self, folder="packages"):
        return os.listdir(self.folder / "cache" / folder)

    def test_a_lock_is_installed_once_and_then_without_a_network(self):
        site = self.folder / "site"
        site.mkdir()
        (site / "other.py").write_text("x = 7\n")
        with Sandbox(packages=[site, self.lock]) as box:
            self.assertEqual(box.run("import other, pack; other.x, pack.greeting").check().value, (7, "hello"))
            self.assertEqual(box.run("open(pack.__file__, 'w')").error.type, "PermissionError")
        self.assertEqual([len(name) for name in self.installed()], [64])
        self.assertTrue(self.requests)
        self.requests.clear()
        with Sandbox(packages=str(self.lock), preload=["pack"]) as box:
            self.assertEqual(box.run("import pack; pack.greeting").check().value, "hello")
        self.assertEqual(self.requests, [])
        self.lock.write_text(self.lock.read_text() + "# Other content.\n")
        Sandbox(packages=self.lock).close()
        self.assertEqual([len(name) for name in self.installed()], [64, 64])

    def test_what_a_lock_does_not_have_is_not_installed(self):
        self.wheel.write_bytes(self.wheel.read_bytes() + b"x")
        with self.assertRaisesRegex(OSError, r"(?s)pylock.toml: pip did not install it.*DO NOT MATCH THE HASHES"):
            Sandbox(packages=self.lock)
        self.assertEqual((self.installed(), self.installed("packages-incomplete")), ([], []))
        self.write_lock("")
        with self.assertRaisesRegex(ValueError, "pylock.toml: package pack: it has no wheel"):
            Sandbox(packages=self.lock)
        self.assertRaises(OSError, Sandbox, packages=self.folder / "pylock.none.toml")
        (self.folder / "cache/packages").chmod(0o755)
        self.write_lock(f'wheels = [{{hashes = {{sha256 = "{"0" * 64}"}}}}]')
        with self.assertRaisesRegex(OSError, "has mode 755"):
            Sandbox(packages=self.lock)


class Functions(unittest.TestCase):
    def test_functions_are_called_with_values(self):
        def greet(name, *, times=1):
            """Greets."""
            return [f"hello {name}"] * times

        with Sandbox(functions={"greet": greet, "echo": lambda *a, **k: (a, k)}) as box:
            self.assertEqual(box.run("host.greet('you', times=2)").check().value, ["hello you"] * 2)
            self.assertEqual(box.run("host.greet.__doc__").value, "greet(name, *, times=1)\n\nGreets.")
            code = "import datetime; value = [1, 2**80, 'a', b'', None, {1: (2.5,)}, {3}, datetime.date(2026, 1, 2)]; "
            self.assertEqual(box.run(code + "host.echo(value, key=value) == ((value,), {'key': value})").check().value, True)
            self.assertEqual(box.run("host.echo(value)").value, ((box.run("value").value,), {}))

    def test_exceptions_cross_by_type_and_message(self):
        def fail():
            raise LookupError("nowhere")

        with Sandbox(functions={"fail": fail, "odd": object, "leave": lambda: sys.exit(3)}) as box:
            with self.assertLogs("wasisocket", "DEBUG") as logged:
                error = box.run("host.fail()").error
            self.assertIn("nowhere", logged.output[0])
            self.assertEqual((error.type, error.message), ("host.HostError", "LookupError: nowhere"))
            self.assertNotIn(__file__, error.traceback)
            self.assertEqual(box.run("host.odd()").error.message.partition(":")[0], "TypeError")
            self.assertEqual(box.run("host.fail(1)").error.message.partition(":")[0], "TypeError")
            self.assertEqual(box.run("host.leave()").error.message.partition(":")[0], "SystemExit")
            self.assertEqual(box.run("host.fail(object())").error.type, "TypeError")
            self.assertEqual(box.run("1").value, 1)

    def test_coroutine_functions_are_awaited_side_by_side(self):
        async def nap(n):
            await asyncio.sleep(0.3)
            return n

        with Sandbox(functions={"nap": nap}) as box:
            begun = time.monotonic()
            code = "import asyncio; await asyncio.gather(*map(host.nap, range(50)))"
            self.assertEqual(box.run(code).check().value, list(range(50)))
            self.assertLess(time.monotonic() - begun, 5)

    def test_calls_are_approved(self):
        asked = []

        def approve(name, arguments, keywords):
            asked.append((name, arguments, keywords))
            return "x" not in arguments

        async def later(*arguments):
            return 2

        async def approve_later(name, arguments, keywords):
            await asyncio.sleep(0)
            return not arguments

        functions = {
            "change": lambda *arguments, **keywords: 1,
            "look": Function(lambda *arguments: 1, read_only=True),
            "later": Function(later, approve=approve_later),
            "wrong": Function(lambda: 1, approve=approve_later),
        }
        with warnings.catch_warnings(action="ignore"), Sandbox(functions=functions, approve=approve) as box:
            self.assertEqual(box.run("host.change('a', k=2), host.look('x'), await host.later()").check().value, (1, 1, 2))
            for code in ("host.change('x')", "await host.later(1)"):
                self.assertEqual(box.run(code).error.message.partition(":")[0], "NotApproved")
            self.assertEqual(box.run("host.wrong()").error.message.partition(":")[0], "TypeError")
        self.assertEqual(asked, [("change", ("a",), {"k": 2}), ("change", ("x",), {})])

    def test_a_function_may_use_other_sandboxes_but_not_its_own(self):
        def inner():
            with Sandbox() as other:
                return other.run("40 + 2").value

        box = self.enterContext(Sandbox(functions={"inner": inner, "own": lambda: box.run("1"), "end": lambda: box.close()}))
        self.assertEqual(box.run("host.inner()").check().value, 42)
        self.assertRegex(box.run("host.own()").error.message, "RuntimeError: .*something runs in it")
        self.assertEqual(box.run("host.end()").check().value, None)
        self.assertEqual(box.run("1").value, 1)

    def test_a_function_that_takes_long_does_not_hold_others_up_and_its_time_counts(self):
        with Sandbox(timeout="300ms", functions={"sleep": time.sleep}) as slow, Sandbox() as other:
            ended = []

            def run():
                with self.assertRaises(LimitReached) as caught:
                    slow.run("host.sleep(1)")
                ended.append(caught.exception.limit)

            thread = threading.Thread(target=run)
            begun = time.monotonic()
            thread.start()
            for _ in range(10):
                other.run("1").check()
            self.assertLess(time.monotonic() - begun, 0.9)
            thread.join()
            self.assertEqual(ended, ["timeout"])

    def test_what_is_no_function_is_refused(self):
        self.assertRaises(TypeError, Sandbox, functions={"a": 1})
        self.assertRaises(ValueError, Sandbox, functions={"a b": print})
        self.assertRaises(ValueError, Sandbox, functions={1: print})


class Command(unittest.TestCase):
    def test_the_command_is_in_the_package(self):
        command = [sys.executable, "-m", "wasisocket"]
        ended = subprocess.run([*command, "run", "-c", "print(40 + 2); raise SystemExit(3)"], capture_output=True, timeout=120)
        self.assertEqual((ended.returncode, ended.stdout, ended.stderr), (3, b"42\n", b""))
        ended = subprocess.run([*command, "run", "--nonsense"], capture_output=True, timeout=60)
        self.assertEqual(ended.returncode, 2)
        self.assertIn(b"wasisocket run --help", ended.stderr)
        ended = subprocess.run([*command, "--version"], capture_output=True, timeout=60)
        self.assertEqual((ended.returncode, ended.stdout[:11]), (0, b"wasisocket "))

    def test_ctrl_c_ends_the_command(self):
        code = "print('begun', flush=True)\nwhile True: pass"
        command = [sys.executable, "-m", "wasisocket", "run", "-c", code]

        def default():
            # These tests may have been started to ignore it.
            signal.signal(signal.SIGINT, signal.default_int_handler)

        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=default) as process:
            self.assertEqual(process.stdout.readline(), b"begun\n")
            process.send_signal(signal.SIGINT)
            self.assertNotEqual(process.wait(10), 0)


class Asynchronous(unittest.IsolatedAsyncioTestCase):
    async def test_sandboxes_run_side_by_side(self):
        async def nap(number):
            async with AsyncSandbox(timeout="60s") as box:
                await box.run(f"import time; time.sleep(0.5); x = {number}")
                await box.run("def add(n): return x + n")
                return (await box.call("add", 1)).value

        begun = time.monotonic()
        self.assertEqual(await asyncio.gather(*map(nap, range(20))), list(range(1, 21)))
        self.assertLess(time.monotonic() - begun, 5)

    async def test_errors_and_limits_are_those_of_the_other(self):
        async with AsyncSandbox(timeout="300ms") as box:
            self.assertEqual((await box.run("1 / 0")).error.type, "ZeroDivisionError")
            with self.assertRaises(TypeError):
                await box.call("print", object())
            with self.assertRaises(LimitReached):
                await box.run("while True: pass")
            with self.assertRaises(Ended):
                await box.run("1")
        with self.assertRaises(RuntimeError):
            await AsyncSandbox().run("1")

    async def test_copies(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "box")
            async with AsyncSandbox() as box:
                await box.run("x = 1")
                await box.save(path)
                async with await box.fork() as fork, await AsyncSandbox.load(path) as loaded:
                    self.assertEqual(((await fork.run("x")).value, (await loaded.run("x")).value), (1, 1))

    async def test_cancellation_ends_the_guest(self):
        for code in ("while True: pass", "import time; time.sleep(60)", "await __import__('asyncio').sleep(60)"):
            box = await AsyncSandbox().open()
            with self.assertRaises(TimeoutError):
                await asyncio.wait_for(box.run(code), 0.3)
            with self.assertRaises(RuntimeError):
                await box.run("1")
            self.assertIsNone(await box.close())

    async def test_cancellation_goes_on_when_the_guest_is_gone(self):
        async def cancelled(started, after):
            started = asyncio.ensure_future(started)
            await asyncio.sleep(after)
            if not started.cancel():
                # It was faster.
                if opened := await started:
                    await opened.close()
                return
            with self.assertRaises(asyncio.CancelledError):
                await started

        def folders():
            return sorted(os.listdir(tempfile.gettempdir()))

        # The interpreter's threads are there, and what modules leave.
        await (await AsyncSandbox().open()).close()
        before = folders()
        for after in (0, 0.0005, 0.001, 0.002):
            await cancelled(AsyncSandbox().open(), after)
            self.assertEqual(folders(), before)
        async with AsyncSandbox() as box:
            await box.run("x = bytearray(8 << 20)")
            with_box = folders()
            self.assertNotEqual(with_box, before)
            with tempfile.TemporaryDirectory() as folder:
                with_box = folders()
                path = os.path.join(folder, "saved")
                for after in (0, 0.0005, 0.001, 0.002):
                    await cancelled(box.fork(), after)
                    self.assertEqual(folders(), with_box)
                    await cancelled(box.save(path), after)
                    # Whole, or not there.
                    if os.path.exists(path):
                        async with await AsyncSandbox.load(path) as loaded:
                            self.assertEqual((await loaded.run("len(x)")).value, 8 << 20)
            self.assertEqual((await box.run("len(x)")).value, 8 << 20)
        box = await AsyncSandbox().open()
        await box.run("import atexit, time; atexit.register(time.sleep, 60)")
        await cancelled(box.close(), 0.2)
        self.assertEqual(folders(), before)
        self.assertIsNone(await box.close())

    async def test_one_thing_runs_in_a_sandbox_at_a_time(self):
        async with AsyncSandbox() as box:
            first = asyncio.ensure_future(box.run("import time; time.sleep(0.3); 1"))
            await asyncio.sleep(0.1)
            with self.assertRaises(RuntimeError):
                await box.run("2")
            self.assertEqual((await first).value, 1)

    async def test_coroutine_functions_run_in_the_loop_and_end_with_the_guest(self):
        loop, ended = asyncio.get_running_loop(), []

        async def wait(seconds):
            self.assertIs(asyncio.get_running_loop(), loop)
            try:
                await asyncio.sleep(seconds)
            except asyncio.CancelledError:
                ended.append(seconds)
                raise
            return seconds

        async with AsyncSandbox(functions={"wait": wait, "now": lambda: threading.get_ident()}) as box:
            code = "import asyncio; await asyncio.gather(*[host.wait(0.2) for _ in range(20)])"
            self.assertEqual((await box.run(code)).check().value, [0.2] * 20)
            self.assertIsInstance((await box.run("host.now()")).check().value, int)
            code = "try: await asyncio.wait_for(host.wait(60), 0.1)\nexcept TimeoutError: pass"
            (await box.run(code)).check()
            with self.assertRaises(TimeoutError):
                await asyncio.wait_for(box.run("await host.wait(50)"), 0.2)
        for _ in range(100):
            if len(ended) == 2:
                break
            await asyncio.sleep(0.05)
        self.assertEqual(ended, [60, 50])


if __name__ == "__main__":
    unittest.main()
