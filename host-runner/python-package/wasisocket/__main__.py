"""The command `wasisocket`, which comes with this package."""

import os
import signal
import sys

from . import _FOLDER, _native


def main() -> None:
    """Runs the command in this process, and ends it."""
    os.environ.setdefault("WASISOCKET_PYTHON", os.path.join(_FOLDER, "guest"))
    # As in a process that has no Python but the guest's. One that was started to ignore it still does.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    sys.stdout.flush()
    os._exit(_native.command(["wasisocket", *sys.argv[1:]]))


if __name__ == "__main__":
    main()
