"""anyio without threads: to_thread.run_sync runs the call at once, in line, while the loop waits.

With it do Starlette's files and plain functions, anyio.Path and what is built on them. With
WASISOCKET_INLINE=0 in the environment it starts a thread, as it does everywhere, and raises RuntimeError.
"""

import contextvars
import os


def install(backend):
    """Replace run_sync_in_worker_thread of anyio's asyncio backend (anyio 4)."""
    if os.environ.get("WASISOCKET_INLINE") == "0" or not hasattr(backend, "AsyncIOBackend"):
        return

    async def run_sync_in_worker_thread(cls, func, args, *, limiter=None, **cancellation):
        # What is begun is not cancelled: nothing else runs meanwhile.
        await cls.checkpoint()
        async with limiter or cls.current_default_thread_limiter():
            return contextvars.copy_context().run(func, *args)

    backend.AsyncIOBackend.run_sync_in_worker_thread = classmethod(run_sync_in_worker_thread)
