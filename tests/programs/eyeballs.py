"""wasisocket.create_connection to names of several addresses (RFC 8305), which the test's name server has.

127.0.0.2 does not answer, 127.0.0.3 is denied, 127.0.0.4 and ::1 accept, and others refuse.
"""

import errno
import ipaddress
import select
import time

import wasisocket

v4, v6 = wasisocket.AF_INET, wasisocket.AF_INET6

# What was tried, and None for each wait that nothing but its time ended.
events = []


class Poll:
    def __init__(self):
        self._poll = real_poll()
        self.register = self._poll.register

    def poll(self, timeout):
        ready = self._poll.poll(timeout)
        if not ready:
            events.append(None)
        return ready


def connect(self, packed, port):
    events.append(wasisocket._to_text(packed))
    real_connect(self, packed, port)


real_poll, select.poll = select.poll, Poll
real_connect, wasisocket.Socket._connect = wasisocket.Socket._connect, connect


def connected(name, **timeout):
    """The address that a connection to name is made to."""
    events.clear()
    with wasisocket.create_connection((name, port), **timeout) as sock:
        assert sock.gettimeout() is None
        return sock.getpeername()[0]


def failure(name, **timeout):
    try:
        connected(name, **timeout)
    except OSError as exc:
        return exc
    raise AssertionError(name)


with wasisocket.Socket(v6) as six, wasisocket.Socket() as four, wasisocket.Socket() as mute:
    six.bind(("::1", 0))
    six.listen()
    port = six.getsockname()[1]
    four.bind(("127.0.0.4", port))
    four.listen()
    mute.bind(("127.0.0.2", port))
    mute.listen(0)
    # What its queue has no room for waits, and is tried again for minutes.
    full = []
    for _ in range(8):
        full.append(wasisocket.Socket())
        full[-1].setblocking(False)
        full[-1].connect_ex(mute.getsockname())

    # One family's look-up does not wait for the other's, which takes 10 seconds to fail.
    for name, address in [("four.test", "127.0.0.4"), ("six.test", "::1")]:
        begun = time.monotonic()
        assert connected(name) == address
        assert time.monotonic() - begun < 8

    # What is found later is tried too.
    assert connected("late.test") == "::1"

    # IPv6 goes first if it is there in time, and the families take turns, however many addresses one has.
    assert connected("many.test") == "::1"

    # One look-up for both has them in RFC 6724's order, whatever that of the answer is: loopback of IPv6 first.
    found = wasisocket.getaddrinfo("many.test", port)
    assert len(found) == 14 and found[0] == (v6, ("::1", port)), found

    # One that does not answer does not hold up the next for long, and one that fails at once does not at all.
    assert 0.1 <= wasisocket._ATTEMPT_DELAY <= 2
    assert connected("mute.test") == "127.0.0.4"
    assert events[-2:] == ["127.0.0.3", "127.0.0.4"], events
    assert events[events.index("127.0.0.2") + 1] is None, events

    # All failures are told.
    exc = failure("closed.test")
    assert isinstance(exc, ConnectionRefusedError) and len(exc.exceptions) == 2
    assert "127.0.0.5" in exc.__notes__[0] and "127.0.0.6" in exc.__notes__[1], exc.__notes__
    exc = failure("lost.test", timeout=0.4)
    assert sorted(type(each).__name__ for each in exc.exceptions) == ["PermissionError", "TimeoutError"]
    exc = failure("nowhere.test")
    assert isinstance(exc, wasisocket.gaierror) and exc.args[0] == -2, exc

    for sock in full:
        sock.close()

# Where every call blocks, one look-up has both families. They are tried by turns, and first the one that the host
# has first; none of these is granted.


def lookup_name(host, family):
    raise OSError(errno.ENOTSUP, "every call blocks")


def resolve(host, port):
    return [(v6 if ":" in text else v4, port, ipaddress.ip_address(text).packed) for text in found]


wasisocket._wasisocket.lookup_name, wasisocket._resolve = lookup_name, resolve
four, six = ["192.0.2.1", "192.0.2.2", "192.0.2.3"], ["2001:db8::1", "2001:db8::2"]
for found, tried in [
    (four + six, [four[0], six[0], four[1], six[1], four[2]]),
    (six + four, [six[0], four[0], six[1], four[1], four[2]]),
]:
    assert isinstance(failure("turns.test"), PermissionError)
    assert events == tried, events
print("ok")
