"""getaddrinfo and related functions, where no name server is needed."""

import socket

STREAM = {"type": socket.SOCK_STREAM}


def addresses(*args, **kwargs):
    return [info[4] for info in socket.getaddrinfo(*args, **kwargs)]


def fails(code, function, *args, **kwargs):
    try:
        function(*args, **kwargs)
    except socket.gaierror as exc:
        assert exc.errno == code, (args, kwargs, exc)
    else:
        raise AssertionError((function, args, kwargs))


assert addresses("127.0.0.1", 80, **STREAM) == [("127.0.0.1", 80)]
assert addresses("::1", "http", **STREAM) == [("::1", 80, 0, 0)]
assert addresses(None, 80, socket.AF_INET, **STREAM) == [("127.0.0.1", 80)]
assert addresses(None, 80, socket.AF_INET, flags=socket.AI_PASSIVE, **STREAM) == [("0.0.0.0", 80)]
assert addresses(None, 0, socket.AF_INET6, flags=socket.AI_PASSIVE, **STREAM) == [("::", 0, 0, 0)]
assert ("127.0.0.1", 443) in addresses("localhost", "https", **STREAM)
assert addresses("localhost", 1, socket.AF_INET, **STREAM) == [("127.0.0.1", 1)]
assert addresses("127.0.0.1", None, socket.AF_INET6, flags=socket.AI_V4MAPPED, **STREAM) == [("::ffff:127.0.0.1", 0, 0, 0)]
info = socket.getaddrinfo("127.0.0.1", 53, proto=socket.IPPROTO_UDP)
assert info == [(socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_UDP, "", ("127.0.0.1", 53))], info
info = socket.getaddrinfo("127.0.0.1", 1, flags=socket.AI_CANONNAME, **STREAM)
assert info[0][3] == "127.0.0.1", info

fails(socket.EAI_NONAME, socket.getaddrinfo, None, None)
fails(socket.EAI_NONAME, socket.getaddrinfo, "localhost", 1, flags=socket.AI_NUMERICHOST)
fails(socket.EAI_NONAME, socket.getaddrinfo, "127.0.0.1", "http", flags=socket.AI_NUMERICSERV)
fails(socket.EAI_SERVICE, socket.getaddrinfo, "127.0.0.1", "nosuchservice")
fails(socket.EAI_FAMILY, socket.getaddrinfo, "127.0.0.1", 1, 12345)
fails(socket.EAI_BADFLAGS, socket.getaddrinfo, None, 1, flags=socket.AI_CANONNAME)
fails(socket.EAI_SOCKTYPE, socket.getaddrinfo, "127.0.0.1", 1, type=socket.SOCK_STREAM, proto=socket.IPPROTO_UDP)
fails(socket.EAI_ADDRFAMILY, socket.getaddrinfo, "127.0.0.1", 1, socket.AF_INET6)

numeric = socket.NI_NUMERICHOST | socket.NI_NUMERICSERV
assert socket.getnameinfo(("127.0.0.1", 80), numeric) == ("127.0.0.1", "80")
assert socket.getnameinfo(("127.0.0.1", 80), socket.NI_NUMERICHOST) == ("127.0.0.1", "http")
assert socket.getnameinfo(("::1", 1), numeric) == ("::1", "1")
assert socket.getnameinfo(("127.0.0.1", 1), 0)[0].startswith("localhost")

assert socket.gethostbyname("127.0.0.1") == "127.0.0.1"
assert socket.gethostbyname("localhost") == "127.0.0.1"
assert socket.gethostbyname_ex("127.0.0.1") == ("127.0.0.1", [], ["127.0.0.1"])
assert socket.gethostbyaddr("127.0.0.1")[2] == ["127.0.0.1"]
assert socket.getfqdn("127.0.0.1").startswith("localhost")
assert socket.gethostname()

assert socket.getservbyname("http") == socket.getservbyname("http", "tcp") == 80
assert socket.getservbyport(53, "udp") == "domain"
for function, args in [(socket.getservbyname, ("nosuchservice",)), (socket.getservbyport, (1, "nosuch")),
                       (socket.getprotobyname, ("nosuch",))]:
    try:
        function(*args)
    except OSError:
        pass
    else:
        raise AssertionError(function)
assert socket.getprotobyname("tcp") == socket.IPPROTO_TCP
assert socket.getprotobyname("udp") == socket.IPPROTO_UDP

assert socket.inet_aton("127.1") == socket.inet_pton(socket.AF_INET, "127.0.0.1") == b"\x7f\0\0\1"
assert socket.inet_ntoa(b"\xc0\0\2\1") == "192.0.2.1"
assert socket.inet_ntop(socket.AF_INET6, bytes(15) + b"\1") == "::1"
for index, name in socket.if_nameindex():
    assert socket.if_nametoindex(name) == index
    assert socket.if_indextoname(index) == name
assert "lo" in [name for _, name in socket.if_nameindex()]
for function, argument in [(socket.if_nametoindex, "nosuchinterface"), (socket.if_indextoname, 99999)]:
    try:
        function(argument)
    except OSError:
        pass
    else:
        raise AssertionError(function)
print("ok")
