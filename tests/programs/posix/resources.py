"""Limits, use of resources, and the processes and processors that there are."""

import errno
import os
import resource
import signal
import subprocess
import sys
import time

ME = os.getpid()


def raises(kind, call, *args):
    try:
        call(*args)
    except kind as error:
        return error
    raise AssertionError(f"{call} raised nothing")


def fails(number, call, *args):
    assert raises(OSError, call, *args).errno == number, (call, args)


# Limits can be set to what they are.
for name in dir(resource):
    if name.startswith("RLIMIT_") and hasattr(resource, name):
        limits = resource.getrlimit(getattr(resource, name))
        resource.setrlimit(getattr(resource, name), limits)
        assert resource.getrlimit(getattr(resource, name)) == limits
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
assert soft >= 256
raises(ValueError, resource.setrlimit, resource.RLIMIT_NOFILE, (hard, soft - 1))
raises(ValueError, resource.getrlimit, 16)
raises(ValueError, resource.getrlimit, -1)
assert resource.getrlimit(resource.RLIMIT_STACK)[0] > 1 << 20
assert resource.getpagesize() >= 4096
resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))

# What was used grows.
before = resource.getrusage(resource.RUSAGE_SELF)
assert before.ru_maxrss > 1000
until = time.process_time() + 0.05
while time.process_time() < until:
    pass
after = resource.getrusage(resource.RUSAGE_SELF)
used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
assert 0.03 < used < 5, used
assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime == 0
raises(ValueError, resource.getrusage, 1000)

# There is no child.
for call, *args in [
    (os.wait,), (os.waitpid, -1, 0), (os.waitpid, 1, os.WNOHANG), (os.waitpid, 0, os.WUNTRACED | os.WCONTINUED),
    (os.wait3, os.WNOHANG), (os.wait4, -1, 0), (os.waitid, os.P_ALL, 0, os.WEXITED),
    (os.waitid, os.P_PID, 1, os.WEXITED | os.WNOWAIT | os.WNOHANG),
]:
    fails(errno.ECHILD, call, *args)
raises(ChildProcessError, os.waitpid, -1, 0)
fails(errno.EINVAL, os.waitpid, -1, 1 << 20)
fails(errno.EINVAL, os.waitid, os.P_ALL, 0, os.WNOHANG)
assert os.WIFEXITED(0x300) and os.WEXITSTATUS(0x300) == 3 and os.waitstatus_to_exitcode(0x300) == 3
assert os.WIFSIGNALED(signal.SIGTERM) and os.WTERMSIG(signal.SIGTERM) == signal.SIGTERM
assert not os.WIFSIGNALED(0x137f) and os.WIFSTOPPED(0x137f) and os.WSTOPSIG(0x137f) == signal.SIGSTOP
assert os.WIFCONTINUED(0xffff) and os.WCOREDUMP(0x86) and os.waitstatus_to_exitcode(9) == -9
assert os.CLD_EXITED == 1 and os.WNOHANG == 1

# Groups, sessions, processors.
# (A group or a session that began outside of a container's processes has the number 0 within.)
assert os.getpgid(0) == os.getpgid(ME) == os.getpgrp() >= 0
assert os.getsid(0) == os.getsid(ME) >= 0
if sys.platform == "wasi":
    assert os.getpgrp() > 0 and os.getsid(0) > 0
fails(errno.ESRCH, os.getpgid, 3999999)
fails(errno.ESRCH, os.getsid, 3999999)
processors = os.sched_getaffinity(0)
assert processors and os.process_cpu_count() == len(processors) <= os.cpu_count()
os.sched_setaffinity(0, processors)
assert os.sched_getaffinity(ME) == processors
fails(errno.EINVAL, os.sched_setaffinity, 0, [5000])
fails(errno.ESRCH, os.sched_getaffinity, 3999999)
os.sched_yield()
assert subprocess.run is not None and len(os.uname()) == 5

print("ok")
