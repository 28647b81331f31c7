"""What a descriptor that is no terminal says to those who ask, and the system's log."""

import errno
import os
import socket
import sys
import syslog
import termios
import tty


def fails(number, call, *args):
    try:
        call(*args)
    except (OSError, termios.error) as error:
        assert error.args[0] == number, (call, args, error)
    else:
        raise AssertionError(f"{call} raised nothing")


one, other = socket.socketpair()
reader, writer = os.pipe()
file = open(__file__)
for fd in (one, file, reader, sys.stdin):
    fails(errno.ENOTTY, termios.tcgetattr, fd)
    fails(errno.ENOTTY, termios.tcdrain, fd)
    fails(errno.ENOTTY, termios.tcflush, fd, termios.TCIOFLUSH)
    fails(errno.ENOTTY, termios.tcflow, fd, termios.TCOON)
    fails(errno.ENOTTY, termios.tcsendbreak, fd, 0)
    fails(errno.ENOTTY, termios.tcsetattr, fd, termios.TCSANOW, [0, 0, 0, 0, 0, 0, [0] * 32])
    fails(errno.ENOTTY, tty.setraw, fd)
fails(errno.EBADF, termios.tcgetattr, 9999)
fails(errno.EBADF, termios.tcdrain, 9999)
assert termios.ICANON == 2 and termios.ECHO == 8 and termios.VMIN == 6 and termios.B9600 == 13

# The numbers are Linux's.
assert (syslog.LOG_ERR, syslog.LOG_DAEMON, syslog.LOG_PID) == (3, 24, 1)
assert syslog.LOG_UPTO(syslog.LOG_ERR) == 0b1111
assert syslog.setlogmask(syslog.LOG_UPTO(syslog.LOG_ERR)) == 0xff
assert syslog.setlogmask(0) == 0b1111
# The second message is not logged, for the mask.
syslog.openlog("test", syslog.LOG_PID | syslog.LOG_NDELAY, syslog.LOG_USER)
syslog.syslog(syslog.LOG_ERR, "100 %s of a message")
syslog.syslog("nothing")
syslog.closelog()

print("ok")
