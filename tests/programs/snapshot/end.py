"""Ends in the way that its argument names; prints what it sees of its end."""

import atexit
import json
import os
import sys
import weakref


class Object:
    def __init__(self, name):
        self.name = name

    def __del__(self):
        # Its globals are still there.
        print("deleted", self.name, json.dumps(LAST), flush=True)


LAST = "last"
cycle = Object("cycle")
cycle.cycle = cycle
alive = Object("global")
finalized = Object("with a finalizer")
weakref.finalize(finalized, print, "finalized")
atexit.register(print, "atexit 1")
atexit.register(print, "atexit 2")


@atexit.register
def failing():
    raise ValueError("in atexit")


file = open("/data/written", "w")
file.write("not flushed")

print("written before", end="")
print("error before", end="", file=sys.stderr)
match sys.argv[1]:
    case "end":
        pass
    case "exit":
        sys.exit(7)
    case "exit text":
        sys.exit("a text")
    case "exit none":
        sys.exit()
    case "exit in function":
        exit(3)
    case "exception":
        json.loads("{")
    case "import error":
        import nothing_of_this_name  # noqa: F401
    case "syntax error":
        exec("(")
    case "interrupt":
        raise KeyboardInterrupt
    case "os._exit":
        os._exit(9)
    case "hook":
        sys.excepthook = lambda kind, error, traceback: print("hook", kind.__name__, error)
        raise ValueError("for the hook")
    case "closed stdout":
        sys.stdout.close()
    case "no stdout":
        sys.stdout = None
    case "unraisable":
        sys.unraisablehook = lambda unraisable: print("unraisable", unraisable.exc_value)
    case "last":
        sys.last_value = Object("last_value")
    case "module":
        sys.modules["own"] = type(sys)("own")
        sys.modules["own"].object = Object("in a module")
    case "library":
        json.own = Object("attribute of a module of the library")
    case "patched":
        json.loads = lambda text: text
