"""Sandboxes with packages: from folders, and from lock files."""

import functools
import hashlib
import http.server
import os
import pathlib
import subprocess
import sys
import tempfile
import threading
import unittest
import unittest.mock

from wasisocket import Sandbox


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

if __name__ == "__main__":
    unittest.main()
