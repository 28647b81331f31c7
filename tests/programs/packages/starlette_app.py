"""Starlette's files and plain functions, which it hands to anyio's threads. The requests come from the same process."""

import asyncio
import sys

import anyio
import httpx
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.responses import FileResponse, JSONResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

folder = sys.argv[1]


def plain(request):
    return JSONResponse({"name": request.path_params["name"]}, background=BackgroundTask(print, "afterwards"))


def failing(request):
    raise KeyError("no")


async def file(request):
    return FileResponse(f"{folder}/ca.pem")


app = Starlette(routes=[
    Route("/plain/{name}", plain),
    Route("/failing", failing),
    Route("/file", file),
    Mount("/static", StaticFiles(directory=folder)),
])


async def main():
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        for path in "/plain/x", "/file", "/static/ca.pem", "/static/absent":
            response = await client.get(path)
            print(response.status_code, response.headers["content-length"], response.text.splitlines()[0])
        try:
            await client.get("/failing")
        except KeyError as error:
            print(repr(error))
    print(await anyio.to_thread.run_sync(lambda: 6 * 7))
    names = [path.name async for path in anyio.Path(folder).iterdir()]
    print(*sorted(names))
    limiter = anyio.CapacityLimiter(1)
    async with anyio.create_task_group() as group:
        for number in range(3):
            group.start_soon(lambda n: anyio.to_thread.run_sync(print, n, limiter=limiter), number)


asyncio.run(main())
