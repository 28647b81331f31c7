"""socketserver without threads: a threading server serves one client after the other.

With it do http.server, wsgiref and what is built on them. With WASISOCKET_INLINE=0 in the environment
ThreadingMixIn is as it was, and fails at the first client.
"""

import os


def install(socketserver):
    """Replace ThreadingMixIn.process_request."""
    if os.environ.get("WASISOCKET_INLINE") == "0":
        return

    def process_request(self, request, client_address):
        """Serve the client at once, in line: there are no threads."""
        if self.block_on_close:
            # As stock: an empty list, for those who look.
            vars(self).setdefault("_threads", socketserver._Threads())
        try:
            self.process_request_thread(request, client_address)
        except SystemExit:
            # It would have ended the thread.
            pass

    process_request.__qualname__ = "ThreadingMixIn.process_request"
    socketserver.ThreadingMixIn.process_request = process_request
