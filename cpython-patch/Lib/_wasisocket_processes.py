"""multiprocessing without processes. _wasisocket_site loads it.

Starting a process raises what subprocess raises: without that it would be an AttributeError, as there is no os.fork().
ProcessPoolExecutor, Pool and managers start theirs by it. Locks work in all contexts: no process has to remove their
names when this one is killed, for they are this one's.
"""

import errno
import sys


def install(module):
    def start(self):
        """Start child process"""
        raise OSError(errno.ENOTSUP, f"{sys.platform} does not support processes.")

    def send(self, command, name, kind):
        pass

    if module.__name__ == "multiprocessing.process":
        module.BaseProcess.start = start
    else:
        module.ResourceTracker._send = send
