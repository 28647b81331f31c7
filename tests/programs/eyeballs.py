"""wasisocket.create_connection to names with several addresses (RFC 8305), from the test's name server.

127.0.0.2 does not answer, 127.0.0.3 is denied, 127.0.0.4 and ::1 accept, and other addresses refuse.
"""

import errno
import ipaddress
import select
import time

import wasisocket

v4, v6 = wasisocket.AF_INET, wasisocket.AF_INET6

# The addresses that were tried, and None for each wait that timed out.
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
    """Return the address to which create_connection connects."""
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
    # Connections beyond the backlog wait: the kernel retries for minutes.
    full = []
    for _ in range(8):
        full.append(wasisocket.Socket())
        full[-1].setblocking(False)
        full[-1].connect_ex(mute.getsockname())

    # The look-up of one family does not wait for that of the other, which takes 10 seconds to fail.
    for name, address in [("four.test", "127.0.0.4"), ("six.test", "::1")]:
        begun = time.monotonic()
        assert connected(name) == address
        assert time.monotonic() - begun < 8

    # An address that is found later is tried too.
    assert connected("late.test") == "::1"

    # IPv6 goes first if its answer arrives in time, and the families alternate however many addresses one has.
    assert connected("many.test") == "::1"

    # A look-up for both families sorts them as RFC 6724 says, whatever the order of the answer: IPv6 loopback first.
    found = wasisocket.getaddrinfo("many.test", port)
    assert len(found) == 14 and found[0] == (v6, ("::1", port)), found

    # An address that does not answer delays the next one only briefly, and one that fails at once does not delay it.
    assert 0.1 <= wasisocket._ATTEMPT_DELAY <= 2
    assert connected("mute.test") == "127.0.0.4"
    assert events[-2:] == ["127.0.0.3", "127.0.0.4"], events
    assert events[events.index("127.0.0.2") + 1] is None, events

    # The exception has all failures.
    exc = failure("closed.test")
    assert isinstance(exc, ConnectionRefusedError) and len(exc.exceptions) == 2
    assert "127.0.0.5" in exc.__notes__[0] and "127.0.0.6" in exc.__notes__[1], exc.__notes__
    exc = failure("lost.test", timeout=0.4)
    assert sorted(type(each).__name__ for each in exc.exceptions) == ["PermissionError", "TimeoutError"]
    exc = failure("nowhere.test")
    assert isinstance(exc, wasisocket.gaierror) and exc.args[0] == -2, exc

    for sock in full:
        sock.close()

# Where every call blocks, there is one look-up for both families. They alternate, beginning with the family that the
# host lists first. None of these addresses is granted.


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
