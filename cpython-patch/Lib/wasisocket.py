"""Sockets over _wasisocket and _socket: TCP and UDP in WebAssembly, both ends.

    import wasisocket

    with wasisocket.create_connection(("example.com", 80), timeout=10) as sock:
        sock.sendall(b"GET / HTTP/1.0\\r\\nHost: example.com\\r\\n\\r\\n")
        print(sock.recv(4096))

The host decides what may be reached. What it does not grant raises PermissionError, and the host says
which grant is missing. On a host that has the core six imports only, every call blocks: there a
timeout, and whatever else such a host lacks, raises OSError ENOTSUP.

Constants are Linux's numbers, as those of the socket module. The file descriptors are the same; the
standard socket module has the rest.
"""

import errno
import os

import _socket
import _wasisocket
from _socket import (
    IPPROTO_TCP, SO_KEEPALIVE, SO_REUSEADDR, SOL_SOCKET, TCP_NODELAY, gaierror, getdefaulttimeout, herror,
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

# The EAI_ codes (netdb.h, glibc) of the errors that a look-up can have. A failure that may pass is EBUSY
# where EAGAIN says that the answer is not there yet (see _wasisocket.lookup_addrs).
_EAI = {
    errno.ENOENT: (-2, "Name or service not known"),
    errno.EAGAIN: (-3, "Temporary failure in name resolution"),
    errno.EBUSY: (-3, "Temporary failure in name resolution"),
    errno.EIO: (-4, "Non-recoverable failure in name resolution"),
}


def _failure(exc):
    """The exception that the socket module raises where a look-up has this OSError."""
    return gaierror(*_EAI[exc.errno]) if exc.errno in _EAI else exc


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
        raise _failure(exc) from None


def _to_text(address):
    """The text of an address of 4 or 16 bytes (RFC 5952)."""
    # Here, because ipaddress takes longer to import than all the rest.
    import ipaddress
    return str(ipaddress.ip_address(address))


_DEFAULT = object()


def create_connection(address, timeout=_DEFAULT):
    """Connect to the TCP address (host, port) and return the Socket.

    Every address of host is tried in turn. If none accepts, the OSError that is raised has the
    failure of each as a note. timeout is in seconds, for each attempt and for the socket then; None
    is without end, and if it is not given, getdefaulttimeout() holds.
    """
    host, port = address
    failures = []
    for family, port, packed in _resolve(host, port):
        sock = None
        try:
            sock = Socket(family, SOCK_STREAM)
            if timeout is not _DEFAULT:
                sock.settimeout(timeout)
            sock._connect(packed, port)
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
        # As socket.socket.accept.
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


# What says nothing about the address: the next one is not tried.
_NOT_REFUSED = {errno.EBADF, errno.EINPROGRESS, errno.EALREADY, errno.EISCONN}


socket = Socket
