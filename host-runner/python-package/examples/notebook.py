"""A loop like a notebook's: cells from standard input, each up to an empty line, with output while they run. A cell `%undo` goes
back to what was before the last one.

    pip install wasisocket
    python notebook.py
"""

import sys

from wasisocket import Ended, LimitReached, Sandbox


def cells(lines):
    """The cells in lines of text."""
    cell = []
    for line in lines:
        if line.strip():
            cell.append(line)
        elif cell:
            yield "".join(cell)
            cell.clear()
    if cell:
        yield "".join(cell)


def main(lines, out):
    def write(data):
        out.write(data.decode("utf-8", "replace"))
        out.flush()

    box = Sandbox(timeout="30s", max_memory="512M", on_stdout=write, on_stderr=write)
    before = []  # Sandboxes as they were, the last one at the end.
    for number, cell in enumerate(cells(lines), 1):
        if cell.strip() == "%undo":
            if before:
                box.kill()
                box = before.pop()
            continue
        before.append(box.fork())
        try:
            result = box.run(cell, filename=f"cell {number}")
        except (LimitReached, Ended) as ended:
            print(f"{ended}: this cell is undone", file=out)
            box = before.pop()
            continue
        if result.error is not None:
            print(result.error.traceback, end="", file=out)
        elif result.value is not None:
            print(f"[{number}] {result.value!r}", file=out)
        del before[:-10]


if __name__ == "__main__":
    main(sys.stdin, sys.stdout)
