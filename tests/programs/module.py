"""_wasisocket as a module: its constants, its documentation, and how existing programs modify it."""

import importlib
import inspect
import sys

import _wasisocket as w

assert (w.AF_INET, w.AF_INET6, w.SOCK_STREAM, w.SOCK_DGRAM) == (2, 10, 1, 2)
assert "_wasisocket" in sys.builtin_module_names
public = {name for name in dir(w) if not name.startswith("_")}
functions = {"sock_open", "sock_resolve", "sock_connect", "sock_send", "sock_recv", "sock_recv_into", "sock_close",
             "call", "call_answer", "call_start", "lookup_name", "lookup_addr", "lookup_addrs", "lookup_host"}
assert public == functions | {"AF_INET", "AF_INET6", "SOCK_STREAM", "SOCK_DGRAM"}, public
for name in functions:
    function = getattr(w, name)
    assert "Raises" in function.__doc__, name
    assert inspect.signature(function).parameters, name

# Programs that used the C extension assign attributes, and put it into sys.modules under other names.
w.extra = 1
w.sock_open_counted = lambda *args: w.sock_open(*args)
sys.modules["socket_backend"] = w
import socket_backend
assert socket_backend is w and socket_backend.extra == 1
fd = socket_backend.sock_open_counted(w.AF_INET, w.SOCK_STREAM)
socket_backend.sock_close(fd)
del sys.modules["_wasisocket"]
again = importlib.import_module("_wasisocket")
again.sock_close(again.sock_open(2, 1))
print("ok")
