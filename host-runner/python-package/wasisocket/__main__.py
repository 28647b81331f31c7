"""The command `wasisocket`, which comes with this package."""

import os
import sys

from . import _FOLDER


def main() -> None:
    """Runs the command in place of this process."""
    os.environ.setdefault("WASISOCKET_PYTHON", os.path.join(_FOLDER, "guest"))
    command = os.path.join(_FOLDER, "bin", "wasisocket")
    os.execv(command, [command, *sys.argv[1:]])


if __name__ == "__main__":
    main()
