"""A web service that runs its users' snippets, each in a sandbox of its own.

    pip install wasisocket fastapi uvicorn
    uvicorn fastapi_app:app
    curl -d '{"code": "sum(range(10))"}' -H 'content-type: application/json' http://127.0.0.1:8000/run
"""

from fastapi import FastAPI
from pydantic import BaseModel

from wasisocket import AsyncSandbox, Ended, LimitReached

app = FastAPI()


class Snippet(BaseModel):
    code: str


class Ran(BaseModel):
    value: str | None = None
    stdout: str = ""
    error: str | None = None


@app.post("/run")
async def run(snippet: Snippet) -> Ran:
    try:
        # No grants: it reaches nothing.
        async with AsyncSandbox(timeout="2s", max_memory="128M", max_disk="16M", max_output=10_000) as box:
            result = await box.run(snippet.code)
    except (LimitReached, Ended) as ended:
        return Ran(stdout=ended.result.stdout, error=str(ended))
    value = None if result.value is None else repr(result.value)
    return Ran(value=value, stdout=result.stdout, error=result.error and result.error.traceback)
