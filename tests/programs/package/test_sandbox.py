"""The Python package wasisocket, in native CPython."""

import datetime
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
import warnings

from wasisocket import Ended, GuestError, LimitReached, Other, Result, Sandbox, _native


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

    def test_time_zones_are_those_of_this_machine_unless_given(self):
        code = "import time, zoneinfo\n[len(zoneinfo.available_timezones()) > 9, time.tzname]"
        for keywords, value in (
            ({}, [True, ("UTC", "UTC")]),
            ({"env": {"TZ": "Europe/Paris"}}, [True, ("CET", "CEST")]),
            ({"env": {"TZ": "CET-1"}, "tzdata": False}, [False, ("CET", "CET")]),
        ):
            with Sandbox(**keywords) as box:
                self.assertEqual(box.run(code).check().value, value)

    def test_misuse_is_an_error_at_once(self):
        for keywords in ({"timeout": "soon"}, {"allow_net": "a b"}, {"policy": {"allow-net": 1}}, {"policy": {"a b\n": []}}, {"dirs": {".": "data"}}, {"tzdata": "/nonexistent"}):
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
            return [path for path in pathlib.Path(tempfile.gettempdir()).glob("wasisocket-guest-*") if path.owner()]

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

    def test_threads_that_code_leaves_go_on_in_the_next_call(self):
        with Sandbox(timeout="60s", max_threads=5, functions={"wait": lambda: time.sleep(0.1)}) as box:
            code = """
                import threading
                seen, stop = [], threading.Event()
                def work():
                    while not stop.wait(0.001): seen.append(host.wait())
                threads = [threading.Thread(target=work) for _ in range(5)]
                for thread in threads: thread.start()
                """
            box.run(inspect.cleandoc(code)).check()
            self.assertEqual(box.run("threading.Thread(target=len).start()").error.type, "RuntimeError")
            # Their stacks are not part of what Python holds.
            for copy in (box.fork, lambda: box.save("box")):
                with self.assertRaisesRegex(Exception, "threads"):
                    copy()
            begun = time.monotonic()
            code = """
                import time
                end = time.monotonic() + 60
                while len(seen) < 5 and time.monotonic() < end: time.sleep(0.01)
                len(seen)
                """
            self.assertGreaterEqual(box.run(inspect.cleandoc(code)).value, 5)
            # They wait for the function at the same time.
            self.assertLess(time.monotonic() - begun, 5)
            code = "stop.set(); [thread.join() for thread in threads]; threading.active_count()"
            self.assertEqual(box.run(code).value, 1)
            with box.fork() as twin:
                code = "import asyncio; await asyncio.gather(*(asyncio.to_thread(sum, [n, 2]) for n in range(4)))"
                self.assertEqual(twin.run(code).value, [2, 3, 4, 5])
                # Threads of the executor that are idle are no hindrance, and it works again.
                with twin.fork() as third:
                    self.assertEqual(third.run(code).value, [2, 3, 4, 5])
                slow = """
                    import time
                    f = asyncio.get_running_loop().run_in_executor(None, lambda: time.sleep(0.2) or 7)
                    await asyncio.sleep(0)
                    """
                twin.run(inspect.cleandoc(slow)).check()
                self.assertEqual(twin.run("await f").value, 7)
            box.run("threading.Thread(target=threading.Event().wait, daemon=True).start()").check()

    def test_a_limit_of_time_ends_threads(self):
        box = Sandbox(timeout="500ms")
        code = "import threading\ndef f():\n    while True: pass\nthreading.Thread(target=f).start()\nf()"
        self.assertRaises(LimitReached, box.run, code)

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

if __name__ == "__main__":
    unittest.main()
