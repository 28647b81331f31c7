"""anyio without threads: to_thread.run_sync calls the function at once, and the event loop waits meanwhile.

This is enough for Starlette's files and its handlers that are plain functions, for anyio.Path, and for what is built
on them. With WASISOCKET_INLINE=0 in the environment, run_sync starts a thread as it does elsewhere, which raises
RuntimeError.
"""

import contextvars
import os


def install(backend):
    """Replace run_sync_in_worker_thread of anyio's asyncio backend (anyio 4)."""
    if os.environ.get("WASISOCKET_INLINE") == "0" or not hasattr(backend, "AsyncIOBackend"):
        return

    async def run_sync_in_worker_thread(cls, func, args, *, limiter=None, **cancellation):
        # Once the call has begun it is not cancelled: nothing else runs until it returns.
        await cls.checkpoint()
        async with limiter or cls.current_default_thread_limiter():
            return contextvars.copy_context().run(func, *args)

    backend.AsyncIOBackend.run_sync_in_worker_thread = classmethod(run_sync_in_worker_thread)
