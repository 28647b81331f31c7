"""Sockets over _wasisocket and _socket: TCP and UDP in WebAssembly, both ends.

    import wasisocket

    with wasisocket.create_connection(("example.com", 80), timeout=10) as sock:
        sock.sendall(b"GET / HTTP/1.0\\r\\nHost: example.com\\r\\n\\r\\n")
        print(sock.recv(4096))

The host decides which addresses may be reached. Others raise PermissionError, and the host prints the
missing grant. On a host that has only the core six imports, every call blocks: there a timeout, and
everything else that such a host cannot do, raises OSError ENOTSUP.

Constants have the same numbers as in the socket module, which are Linux's. File descriptors are shared with
the standard socket module, which has all other functions.
"""

import errno
import os
import time

import _socket
import _wasisocket
from _socket import (
    IPPROTO_TCP, SO_ERROR, SO_KEEPALIVE, SO_REUSEADDR, SOL_SOCKET, TCP_NODELAY, gaierror, getdefaulttimeout, herror,
    setdefaulttimeout,
)
from _wasisocket import AF_INET, AF_INET6, SOCK_DGRAM, SOCK_STREAM

__all__ = [
    "AF_INET", "AF_INET6", "IPPROTO_TCP", "SOCK_DGRAM", "SOCK_STREAM", "SOL_SOCKET", "SO_KEEPALIVE",
    "SO_REUSEADDR", "Socket", "SocketError", "TCP_NODELAY", "create_connection", "error", "gaierror",
    "getaddrinfo", "getdefaulttimeout", "has_ipv6", "herror", "setdefaulttimeout", "socket", "timeout",
]

has_ipv6 = True

error = SocketError = OSError
timeout = TimeoutError

# The EAI_ codes (netdb.h, glibc) of the errors of a look-up. A temporary failure is EBUSY where EAGAIN means
# that the look-up has not ended (see _wasisocket.lookup_addrs).
_EAI = {
    errno.ENOENT: (-2, "Name or service not known"),
    errno.EAGAIN: (-3, "Temporary failure in name resolution"),
    errno.EBUSY: (-3, "Temporary failure in name resolution"),
    errno.EIO: (-4, "Non-recoverable failure in name resolution"),
}


def _failure(exc):
    """The exception that the socket module raises for this OSError of a look-up."""
    return gaierror(*_EAI[exc.errno]) if exc.errno in _EAI else exc


def getaddrinfo(host, port):
    """Look up host and return tuples (family, (address, port)).

    address is text, in the form that Socket.connect accepts. Raises gaierror for a name that is not found, and
    PermissionError if the host does not grant the look-up.
    """
    return [(family, (_to_text(address), port))
            for family, port, address in _resolve(host, port)]


def _resolve(host, port):
    try:
        return _wasisocket.sock_resolve(host, port)
    except OSError as exc:
        raise _failure(exc) from None


def _to_text(address):
    """The text of an address of 4 or 16 bytes (RFC 5952)."""
    # Not ipaddress: importing it takes longer than importing everything else here.
    import ipaddress
    return str(ipaddress.ip_address(address))


_DEFAULT = object()


def create_connection(address, timeout=_DEFAULT):
    """Connect to the TCP address (host, port) and return the Socket.

    As in Happy Eyeballs (RFC 8305), the IPv6 and the IPv4 addresses of host are looked up at once, in two
    look-ups, and tried by turns: from when the IPv6 ones are there, or 50 ms after the others. Each attempt
    begins 250 ms after the one before or once that failed, and the first to succeed wins. If none does, the
    OSError that is raised has the failure of each as a note; a host without any address raises gaierror.
    timeout is in seconds, for each attempt and for the socket then; None is without end, and if it is not
    given, getdefaulttimeout() holds.
    """
    host, port = address
    with _Attempts(port, getdefaulttimeout() if timeout is _DEFAULT else timeout) as attempts:
        return attempts.first(host)


# In seconds: RFC 8305, section 8, which limits the second one to 0.1 to 2.
_RESOLUTION_DELAY = 0.05
_ATTEMPT_DELAY = 0.25


class _Attempts:
    """Running look-ups of a host, sockets that are connecting to the results, and the failures."""

    def __init__(self, port, timeout):
        self.port = port
        self.timeout = timeout
        self.not_found = None  # The OSError of a look-up.
        self.failures = []
        self.lookups = {}  # By file descriptor: the family.
        self.found = {AF_INET6: [], AF_INET: []}  # Addresses to try. The family of the next attempt is first.
        self.next_at = 0  # When the next attempt may begin.
        self.running = {}  # By file descriptor: the socket, its address, and its deadline.

    def first(self, host):
        """Return the first connected socket, or raise the reason why none connected."""
        self._look_up(host)
        sock = None
        while sock is None:
            left = any(self.found.values())
            if left and self.next_at <= time.monotonic():
                sock = self._begin()
            elif left or self.running or self.lookups:
                sock = self._wait(self.next_at if left else None)
            elif self.failures:
                _raise(self.failures, host)
            else:
                raise _failure(self.not_found or OSError("the look-up returned no address")) from None
        sock.settimeout(self.timeout)
        return sock

    def _look_up(self, host):
        try:
            for family in self.found:
                self.lookups[_wasisocket.lookup_name(host, family)] = family
        except OSError as exc:
            if exc.errno != errno.ENOTSUP:
                # A look-up that was started may be enough.
                self.not_found = exc
                return
            # With only the core six, this blocks, and the addresses are tried in the order of the result.
            self.found = {}
            for family, _, packed in _resolve(host, self.port):
                self.found.setdefault(family, []).append(packed)

    def _answered(self, fd):
        family = self.lookups.pop(fd)
        try:
            self.found[family] += [packed for *_, packed in _wasisocket.lookup_addrs(fd)]
        except OSError as exc:
            # Of two errors, prefer the one that says more than that the host has no such address.
            if self.not_found is None or self.not_found.errno == errno.ENOENT:
                self.not_found = exc
        finally:
            os.close(fd)
        if AF_INET6 in self.lookups.values():
            self.next_at = time.monotonic() + _RESOLUTION_DELAY
        elif not self.running:
            self.next_at = 0

    def _begin(self):
        """Start the next attempt; return its socket if it is connected already."""
        family = next(family for family, left in self.found.items() if left)
        packed = self.found[family].pop(0)
        # The next attempt uses the other family.
        self.found[family] = self.found.pop(family)
        sock = None
        try:
            sock = Socket(family, SOCK_STREAM)
            try:
                sock.setblocking(False)
            except OSError as exc:
                # With only the core six, this blocks, so that the attempt has ended when it returns.
                if exc.errno != errno.ENOTSUP or self.timeout is not None:
                    raise
            sock._connect(packed, self.port)
        except BlockingIOError:
            now = time.monotonic()
            self.next_at = now + _ATTEMPT_DELAY
            self.running[sock.fileno()] = sock, packed, None if self.timeout is None else now + self.timeout
        except OSError as exc:
            self._lost(sock, packed, exc)
        else:
            return sock

    def _wait(self, until):
        """Wait for any of them, at most until this time; return the socket of one that connected."""
        import select
        poll = select.poll()
        for fd in self.lookups:
            poll.register(fd, select.POLLIN)
        for fd in self.running:
            poll.register(fd, select.POLLOUT)
        ends = [end for end in [until, *(end for *_, end in self.running.values())] if end is not None]
        # Rounded up, like the milliseconds of poll.
        for fd, _ in poll.poll(max(0, min(ends) - time.monotonic()) * 1000 if ends else None):
            if fd in self.lookups:
                self._answered(fd)
                continue
            sock, packed, _ = self.running.pop(fd)
            number = sock.getsockopt(SOL_SOCKET, SO_ERROR)
            if number == 0:
                return sock
            self._lost(sock, packed, OSError(number, os.strerror(number)))
        now = time.monotonic()
        for fd, (sock, packed, end) in list(self.running.items()):
            if end is not None and end <= now:
                del self.running[fd]
                self._lost(sock, packed, TimeoutError(errno.ETIMEDOUT, "timed out"))

    def _lost(self, sock, packed, exc):
        if sock is not None:
            sock.close()
        _note(exc, packed, self.port)
        self.failures.append(exc)
        self.next_at = 0

    def __enter__(self):
        return self

    def __exit__(self, *exc_info):
        for sock, *_ in self.running.values():
            sock.close()
        for fd in self.lookups:
            os.close(fd)
        # Its traceback has a frame that refers to this object: this breaks the cycle.
        self.not_found = None


def _note(exc, packed, port):
    exc.add_note(f"while connecting to {_to_text(packed)} port {port}")


def _raise(failures, host):
    """Raise the only failure, or one that describes all."""
    try:
        if len(failures) == 1:
            raise failures[0]
        raise _all_failed(failures, f"no address of {host!r} accepts a connection")
    finally:
        # The frame is in the exceptions' tracebacks: this breaks the cycle.
        failures.clear()


def _all_failed(failures, message):
    """One OSError with each failure as a note. Its errno is theirs if all agree, else that of the last one."""
    numbers = {exc.errno for exc in failures}
    if len(numbers) == 1:
        number = numbers.pop()
        message = f"{os.strerror(number)}: {message}"
    else:
        number = failures[-1].errno
    combined = OSError(number, message)
    combined.exceptions = tuple(failures)
    for exc in failures:
        combined.add_note(f"{exc} {' '.join(exc.__notes__)}")
    return combined


class Socket(_socket.socket):
    """One socket of the host. Close it, or use it in a with statement.

    Its methods are those of socket.socket that need no files: connect, connect_ex, bind, listen,
    accept, send, sendall, sendto, recv, recv_into, recvfrom, recvfrom_into, shutdown, settimeout,
    setblocking, getsockname, getpeername, setsockopt, getsockopt, close, detach, fileno. Addresses are
    (host, port).
    """

    def __init__(self, family=AF_INET, socktype=SOCK_STREAM, fileno=None):
        super().__init__(family, socktype, 0, fileno)

    def connect(self, address):
        """Connect to (host, port). host is an address or a name; a name's addresses are tried in turn.

        For SOCK_DGRAM this sets the peer of send and recv.
        """
        host, port = address
        failures = []
        for family, port, packed in _resolve(host, port):
            if family != self.family:
                continue
            try:
                return self._connect(packed, port)
            except OSError as exc:
                if exc.errno in _NOT_REFUSED:
                    raise
                _note(exc, packed, port)
                failures.append(exc)
        if not failures:
            raise gaierror(-9, "Address family for hostname not supported")
        _raise(failures, host)

    def _connect(self, packed, port):
        super().connect((_to_text(packed), port))

    def accept(self):
        """Wait for a connection; return (Socket, address of its peer)."""
        fd, address = self._accept()
        sock = Socket(self.family, self.type, fd)
        # Like socket.socket.accept.
        if getdefaulttimeout() is None and self.gettimeout():
            sock.setblocking(True)
        return sock, address

    def __enter__(self):
        return self

    def __exit__(self, *exc_info):
        self.close()

    def __repr__(self):
        fd = self.fileno()
        state = " [closed]" if fd < 0 else ""
        return f"<wasisocket.Socket{state} fd={fd}, family={self.family}, type={self.type}>"


# Errors that do not depend on the address: the next one is not tried.
_NOT_REFUSED = {errno.EBADF, errno.EINPROGRESS, errno.EALREADY, errno.EISCONN}


socket = Socket
