"""socketserver without threads: a threading server serves one client after the other.

This is enough for http.server, wsgiref and what is built on them. With WASISOCKET_INLINE=0 in the environment,
ThreadingMixIn starts threads as it does elsewhere, and fails at the first client.
"""

import os


def install(socketserver):
    """Replace ThreadingMixIn.process_request."""
    if os.environ.get("WASISOCKET_INLINE") == "0":
        return

    def process_request(self, request, client_address):
        """Serve the client at once: there are no threads."""
        if self.block_on_close:
            # Programs that look at the list of threads find an empty one, as they do before the first client.
            vars(self).setdefault("_threads", socketserver._Threads())
        try:
            self.process_request_thread(request, client_address)
        except SystemExit:
            # In a thread it ends the thread only.
            pass

    process_request.__qualname__ = "ThreadingMixIn.process_request"
    socketserver.ThreadingMixIn.process_request = process_request
