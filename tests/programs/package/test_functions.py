"""Functions of the host that a guest calls."""

import asyncio
import sys
import threading
import time
import unittest
import warnings

from wasisocket import Function, LimitReached, Sandbox


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

if __name__ == "__main__":
    unittest.main()
