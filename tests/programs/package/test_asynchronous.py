"""AsyncSandbox: sandboxes in an event loop."""

import asyncio
import os
import tempfile
import threading
import time
import unittest

from wasisocket import AsyncSandbox, Ended, LimitReached


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
