"""A tool with which an agent of pydantic-ai runs Python. What it defines in one call is there in the next one.

    pip install wasisocket pydantic-ai-slim[openai]
"""

from contextlib import asynccontextmanager

from pydantic_ai import Agent, RunContext

from wasisocket import AsyncSandbox, Ended, LimitReached


def make_agent(model) -> Agent[AsyncSandbox, str]:
    agent = Agent(model, deps_type=AsyncSandbox)

    @agent.tool
    async def run_python(context: RunContext[AsyncSandbox], code: str) -> str:
        """Runs Python code, like a cell of a notebook, and returns what it printed and the value of its last expression."""
        try:
            result = await context.deps.run(code)
        except (LimitReached, Ended) as ended:
            return f"{ended.result.stdout}{ended}"
        parts = [result.stdout, "" if result.value is None else repr(result.value)]
        if result.error is not None:
            parts.append(result.error.traceback)
        # So that the model learns what it may not do, and asks for something else.
        parts += [event for event in result.events if "denied" in event]
        return "\n".join(part for part in parts if part)

    return agent


@asynccontextmanager
async def sandbox():
    """The sandbox of one conversation."""
    async with AsyncSandbox(timeout="10s", max_memory="256M", allow_net="api.example.com:443") as box:
        yield box
