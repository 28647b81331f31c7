"""CPU time: of the process alone, from its start on, the same by each function."""

import os
import time

started = time.process_time()
assert 0 < started < 60, started

# Time that is slept is no CPU time; time that is computed is also time that passes.
time.sleep(0.5)
assert time.process_time() - started < 0.4
wall, cpu = time.monotonic(), time.process_time()
while time.process_time() - cpu < 0.1:
    pass
assert time.monotonic() - wall > 0.09

# os.times() counts hundredths of a second.
before = time.process_time()
times = os.times()
after = time.process_time()
used = times.user + times.system
assert before - 0.03 <= used <= after + 0.03, (before, used, after)
assert times.children_user == times.children_system == 0
time.sleep(0.1)
assert 0.05 < os.times().elapsed - times.elapsed < 60

info = time.get_clock_info("process_time")
assert info.monotonic and not info.adjustable and info.resolution <= 1e-6, info
print("ok")
