"""wasisocket's server of the Model Context Protocol, by the protocol's own client, and the package's examples, with the
packages that they are for."""

import io
import os
import pathlib
import socket
import sys
import unittest

import httpx
from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client
from pydantic_ai.messages import ModelResponse, TextPart, ToolCallPart
from pydantic_ai.models.function import FunctionModel

sys.path.insert(0, os.environ["WASISOCKET_EXAMPLES"])
import fastapi_app
import notebook
import pydantic_ai_tool


def server(*arguments):
    return stdio_client(StdioServerParameters(
        command=sys.executable, args=["-m", "wasisocket", "mcp", *arguments], env=dict(os.environ)))


def text(result):
    return "".join(block.text for block in result.content)


class Mcp(unittest.IsolatedAsyncioTestCase):
    async def test_an_agent_runs_code_in_sessions(self):
        async with server("--max-sessions=2") as streams, ClientSession(*streams) as client:
            await client.initialize()
            names = {tool.name for tool in (await client.list_tools()).tools}
            self.assertEqual(names, {"run_python", "write_file", "read_file", "list_files", "end_session"})

            async def run(code, **arguments):
                return await client.call_tool("run_python", {"code": code, **arguments})

            result = await run("x = [1]; print('out')")
            self.assertFalse(result.is_error)
            self.assertEqual(text(result), "out\n")
            result = await run("x + ['a', 2**70]")
            self.assertEqual(text(result), "value: [1, 'a', 0x400000000000000000]\n")
            self.assertEqual(result.structured_content["value"], "[1, 'a', 0x400000000000000000]")
            result = await run("x", session="other")
            self.assertTrue(result.is_error)
            self.assertIn("NameError", text(result))
            result = await run("1", session="third")
            self.assertIn("end_session", text(result))
            await client.call_tool("end_session", {"session": "other"})
            self.assertEqual(text(await run("1", session="third")), "value: 1\n")

    async def test_answers_say_which_grant_is_missing(self):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
            code = f"import socket; socket.create_connection(('127.0.0.1', {port})); 'connected'"
            async with server() as streams, ClientSession(*streams) as client:
                await client.initialize()
                result = await client.call_tool("run_python", {"code": code})
                self.assertTrue(result.is_error)
                self.assertIn(f"--allow-net=127.0.0.1:{port}", text(result))
            policy = pathlib.Path(self.enterContext(__import__("tempfile").TemporaryDirectory()), "policy.toml")
            policy.write_text(f"allow-net = ['127.0.0.1:{port}']\n")
            async with server(f"--policy={policy}") as streams, ClientSession(*streams) as client:
                await client.initialize()
                self.assertEqual(text(await client.call_tool("run_python", {"code": code})), "value: 'connected'\n")

    async def test_files_are_those_of_the_session(self):
        async with server() as streams, ClientSession(*streams) as client:
            await client.initialize()
            await client.call_tool("write_file", {"path": "a/b.txt", "content": "text"})
            code = "open('a/b.txt').read(), open('c', 'w').write('new')"
            self.assertEqual(text(await client.call_tool("run_python", {"code": code})), "value: ('text', 3)\n")
            self.assertEqual(text(await client.call_tool("read_file", {"path": "/c"})), "new")
            self.assertEqual(text(await client.call_tool("list_files", {})), "a/\nc\ntmp/")
            self.assertTrue((await client.call_tool("read_file", {"path": "none"})).is_error)

    async def test_a_limit_ends_the_session_and_the_next_call_has_a_new_one(self):
        async with server("--timeout=500ms") as streams, ClientSession(*streams) as client:
            await client.initialize()
            result = await client.call_tool("run_python", {"code": "print('begun')\nwhile True: pass"})
            self.assertTrue(result.is_error)
            self.assertIn("timeout", text(result))
            self.assertIn("begun", text(result))
            self.assertEqual(text(await client.call_tool("run_python", {"code": "1 + 1"})), "value: 2\n")
            with self.assertRaises(Exception):
                await client.call_tool("run_python", {})
            with self.assertRaises(Exception):
                await client.call_tool("no_tool", {})


class Examples(unittest.IsolatedAsyncioTestCase):
    async def test_fastapi(self):
        transport = httpx.ASGITransport(app=fastapi_app.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
            async def run(code):
                return (await client.post("/run", json={"code": code})).json()

            self.assertEqual(await run("print('a'); sum(range(10))"), {"value": "45", "stdout": "a\n", "error": None})
            self.assertIn("ZeroDivisionError", (await run("1 / 0"))["error"])
            self.assertIn("timeout", (await run("while True: pass"))["error"])
            self.assertEqual((await client.post("/run", json={})).status_code, 422)

    async def test_pydantic_ai(self):
        calls = ["x = 20; print('out')", "x * 2", "import socket; socket.create_connection(('127.0.0.1', 9))"]
        answers = []

        def model(messages, info):
            answers.extend(part.content for part in messages[-1].parts if part.part_kind == "tool-return")
            if len(answers) < len(calls):
                return ModelResponse(parts=[ToolCallPart("run_python", {"code": calls[len(answers)]})])
            return ModelResponse(parts=[TextPart("done")])

        async with pydantic_ai_tool.sandbox() as box:
            result = await pydantic_ai_tool.make_agent(FunctionModel(model)).run("compute", deps=box)
        self.assertEqual(result.output, "done")
        self.assertEqual(answers[:2], ["out\n", "40"])
        self.assertIn("--allow-net=127.0.0.1:9", answers[2])

    def test_notebook(self):
        out = io.StringIO()
        notebook.main(io.StringIO("x = 1\nprint('hello')\n\nx += 1\nx\n\n%undo\n\nx\n\nimport os\nos._exit(1)\n\nx\n"), out)
        self.assertEqual(out.getvalue().replace("\n", "|").split("the guest")[0], "hello|[2] 2|[4] 1|")
        self.assertTrue(out.getvalue().endswith("[6] 1\n"), out.getvalue())


if __name__ == "__main__":
    unittest.main()
