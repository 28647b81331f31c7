"""Sockets over _wasisocket: TCP and UDP clients in WebAssembly.

    import wasisocket

    with wasisocket.create_connection(("example.com", 80)) as sock:
        sock.sendall(b"GET / HTTP/1.0\\r\\nHost: example.com\\r\\n\\r\\n")
        print(sock.recv(4096))

The host decides what may be reached. What it does not grant raises PermissionError, and the host says
which grant is missing. Every call blocks: this interface of the host has no timeouts.

Constants are the host's numbers, not those of the socket module: AF_INET6 is 10 here.
"""

import errno
import os
import warnings

import _wasisocket
from _wasisocket import AF_INET, AF_INET6, SOCK_DGRAM, SOCK_STREAM

try:
    # The same classes, where there is a socket module: `except socket.gaierror` catches ours.
    from _socket import gaierror, herror
except ImportError:
    class herror(OSError):
        """An error of a look-up by address."""

    class gaierror(OSError):
        """An error of a name look-up. Its first argument is an EAI_ code."""

__all__ = [
    "AF_INET", "AF_INET6", "IPPROTO_TCP", "SOCK_DGRAM", "SOCK_STREAM", "SOL_SOCKET", "SO_KEEPALIVE",
    "SO_REUSEADDR", "Socket", "SocketError", "TCP_NODELAY", "create_connection", "error", "gaierror",
    "getaddrinfo", "getdefaulttimeout", "has_ipv6", "herror", "setdefaulttimeout", "socket", "timeout",
]

# Linux's numbers, as all of the host's.
SOL_SOCKET = 1
SO_REUSEADDR = 2
SO_KEEPALIVE = 9
IPPROTO_TCP = 6
TCP_NODELAY = 1

has_ipv6 = True

error = SocketError = OSError
timeout = TimeoutError

# The EAI_ codes (netdb.h, glibc) of the errors that a look-up can have.
_EAI = {
    errno.ENOENT: (-2, "Name or service not known"),
    errno.EAGAIN: (-3, "Temporary failure in name resolution"),
    errno.EIO: (-4, "Non-recoverable failure in name resolution"),
}


def getdefaulttimeout():
    """Return the timeout of new sockets: None, there are no others here."""
    return None


def setdefaulttimeout(timeout):
    """Accept None. Anything else is OSError ENOTSUP, because every call blocks."""
    _check_timeout(timeout)


def _check_timeout(timeout):
    if timeout is not None:
        # A timeout that is taken and not kept would be worse than none.
        raise OSError(errno.ENOTSUP, "every call blocks on this host: the timeout must be None")


def getaddrinfo(host, port):
    """Look host up and return tuples (family, (address, port)).

    address is text, as Socket.connect takes it. Raises gaierror for a name that is not found, and
    PermissionError if the host does not grant the look-up.
    """
    return [(family, (_to_text(address), port))
            for family, port, address in _resolve(host, port)]


def _resolve(host, port):
    try:
        return _wasisocket.sock_resolve(host, port)
    except OSError as exc:
        if exc.errno in _EAI:
            raise gaierror(*_EAI[exc.errno]) from None
        raise


def _to_text(address):
    """The text of an address of 4 or 16 bytes (RFC 5952)."""
    # Here, because ipaddress takes longer to import than all the rest.
    import ipaddress
    return str(ipaddress.ip_address(address))


def create_connection(address, timeout=None):
    """Connect to the TCP address (host, port) and return the Socket.

    Every address of host is tried in turn. If none accepts, the OSError that is raised has the
    failure of each as a note. timeout must be None.
    """
    _check_timeout(timeout)
    host, port = address
    failures = []
    for family, port, packed in _resolve(host, port):
        sock = None
        try:
            sock = Socket(family, SOCK_STREAM)
            sock._connect(family, port, packed)
            return sock
        except OSError as exc:
            if sock is not None:
                sock.close()
            _note(exc, packed, port)
            failures.append(exc)
    if not failures:
        raise OSError("the look-up returned no address")
    _raise(failures, host)


def _note(exc, packed, port):
    exc.add_note(f"while connecting to {_to_text(packed)} port {port}")


def _raise(failures, host):
    """Raise the only failure, or one that tells of all."""
    try:
        if len(failures) == 1:
            raise failures[0]
        raise _all_failed(failures, f"no address of {host!r} accepts a connection")
    finally:
        # The frame is in the exceptions' tracebacks: no cycle.
        failures.clear()


def _all_failed(failures, message):
    """One OSError that tells of all: of their errno if they agree, else of the last, each as a note."""
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


class Socket:
    """One socket of the host. Close it, or use it in a with statement."""

    _fd = -1

    def __init__(self, family=AF_INET, socktype=SOCK_STREAM):
        self._fd = _wasisocket.sock_open(family, socktype)
        self.family = family
        self.type = socktype

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
                return self._connect(family, port, packed)
            except OSError as exc:
                _note(exc, packed, port)
                failures.append(exc)
        if not failures:
            raise gaierror(-9, "Address family for hostname not supported")
        _raise(failures, host)

    def _connect(self, family, port, packed):
        _wasisocket.sock_connect(self._open_fd(), family, port, packed)

    def send(self, data):
        """Send a bytes-like object; return how many of its bytes were taken."""
        return _wasisocket.sock_send(self._open_fd(), data)

    def sendall(self, data):
        """Send all of a bytes-like object."""
        with memoryview(data) as view, view.cast("B") as rest:
            sent = 0
            while sent < len(rest):
                # A released slice: a caller may resize its bytearray after a failure.
                with rest[sent:] as part:
                    sent += self.send(part)

    def recv(self, bufsize):
        """Return up to bufsize bytes; b'' is the end of a stream."""
        return _wasisocket.sock_recv(self._open_fd(), bufsize)

    def recv_into(self, buffer, nbytes=0):
        """Receive into a writable buffer, all of it if nbytes is 0; return how many bytes arrived."""
        return _wasisocket.sock_recv_into(self._open_fd(), buffer, nbytes)

    def close(self):
        """Close the socket. Closing it again does nothing."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            _wasisocket.sock_close(fd)

    def fileno(self):
        """Return the host's handle, or -1 once the socket is closed."""
        return self._fd

    def _open_fd(self):
        if self._fd < 0:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        return self._fd

    def __enter__(self):
        return self

    def __exit__(self, *exc_info):
        self.close()

    def __repr__(self):
        state = " [closed]" if self._fd < 0 else ""
        family = getattr(self, "family", None)
        socktype = getattr(self, "type", None)
        return f"<wasisocket.Socket{state} fd={self._fd}, family={family}, type={socktype}>"

    def __del__(self, _warn=warnings.warn):
        if self._fd >= 0:
            try:
                _warn(f"unclosed {self!r}", ResourceWarning, source=self)
            finally:
                self.close()


socket = Socket
