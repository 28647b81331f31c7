"""Look-ups. The grants are localhost and everything below invalid, which does not exist (RFC 6761)."""

import _wasisocket as w
import wasisocket

for name in ["localhost", "LOCALHOST", "localhost."]:
    found = w.sock_resolve(name, 8080)
    assert 1 <= len(found) <= 10, found
    for family, port, address in found:
        assert port == 8080
        assert (family, address) in [(w.AF_INET, b"\x7f\0\0\1"), (w.AF_INET6, bytes(15) + b"\1")], found

# Literal addresses need no grant: nobody is asked.
assert w.sock_resolve("192.0.2.1", 1) == [(w.AF_INET, 1, b"\xc0\0\2\1")]
assert w.sock_resolve("2001:db8::1", 0) == [(w.AF_INET6, 0, b"\x20\1\x0d\xb8" + bytes(11) + b"\1")]
assert wasisocket.getaddrinfo("::1", 80) == [(w.AF_INET6, ("::1", 80))]

for name in ["b\u00fccher.invalid", "xn--bcher-kva.invalid", "nowhere.invalid"]:
    for function in wasisocket.getaddrinfo, lambda *args: wasisocket.create_connection(args):
        try:
            function(name, 80)
        except wasisocket.gaierror as exc:
            # -2 (EAI_NONAME) from a resolver, -3 (EAI_AGAIN) on a machine that has none.
            assert exc.args[0] in (-2, -3), exc
        else:
            raise AssertionError(name)

# The old spellings of IPv4 addresses are not accepted as names.
for name in ["127.1", "2130706433", "0x7f000001", "a..b", "a b"]:
    try:
        wasisocket.getaddrinfo(name, 80)
    except wasisocket.gaierror as exc:
        assert exc.args[0] == -2, exc
    else:
        raise AssertionError(name)

for name in ["example.com", "b\u00fccher.example", "localhost.example.com"]:
    try:
        wasisocket.getaddrinfo(name, 80)
    except PermissionError:
        pass
    else:
        raise AssertionError(name)
print("ok")
