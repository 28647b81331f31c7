"""Lets trio be imported. _wasisocket_site loads it.

trio waits with epoll wherever select has it, but on platforms that it does not know it also exports its functions for
kqueue, which it has only where it waits with that.
"""

NAMES = "current_kqueue", "monitor_kevent", "wait_kevent"


def install(module):
    def no_kqueue(*args, **keywords):
        raise NotImplementedError("this system has no kqueue")

    for name in NAMES:
        if not hasattr(module, name):
            setattr(module, name, no_kqueue)
