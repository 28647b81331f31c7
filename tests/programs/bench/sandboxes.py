"""pyeryx, natively. Usage: sandboxes.py [CODE]. Runs the code in a sandbox, or measures what a further sandbox takes.
"""

import sys
import time

import eryx

if len(sys.argv) > 1:
    eryx.Sandbox().execute(sys.argv[1])
else:
    # The first sandbox of a process has been made in advance.
    for _ in range(2):
        begun, cpu = time.time_ns(), time.process_time_ns()
        result = eryx.Sandbox().execute("import time; print(time.time_ns())")
        end, cpu = time.time_ns(), time.process_time_ns() - cpu
    print("further guest, to its first line", "ms", (int(result.stdout) - begun) / 1e6, sep="\t")
    print("further guest, to its end", "ms", (end - begun) / 1e6, sep="\t")
    print("further guest, CPU time", "ms", cpu / 1e6, sep="\t")
