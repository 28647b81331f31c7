"""The user that a program runs as, and the files that name users."""

import getpass
import grp
import os
import pathlib
import pwd


def raises(kind, call, *args):
    try:
        call(*args)
    except kind as error:
        return error
    raise AssertionError(f"{call} raised nothing")


me = pwd.getpwuid(os.getuid())
assert me.pw_uid == os.getuid() and me in pwd.getpwall()
assert pwd.getpwnam(me.pw_name) == me
assert me.pw_dir.startswith("/") and me.pw_shell.startswith("/"), me

group = grp.getgrgid(me.pw_gid)
assert group.gr_gid == me.pw_gid and grp.getgrnam(group.gr_name) == group
assert group in grp.getgrall() and isinstance(group.gr_mem, list)
assert os.getgroups() == os.getgroups()

for call, unknown in [(pwd.getpwnam, "nobody-of-this-name"), (pwd.getpwuid, 54321), (grp.getgrnam, ""), (grp.getgrgid, 54321)]:
    raises(KeyError, call, unknown)
raises(KeyError, pwd.getpwuid, -2)
raises(ValueError, pwd.getpwnam, "a\0b")

assert pwd.getpwuid(0).pw_name == pwd.getpwnam("root").pw_name == grp.getgrgid(0).gr_name == "root"

# HOME and USER come first.
os.environ.pop("HOME", None)
for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
    os.environ.pop(name, None)
assert getpass.getuser() == me.pw_name
assert os.path.expanduser("~") == os.path.expanduser(f"~{me.pw_name}") == me.pw_dir
assert str(pathlib.Path.home()) == me.pw_dir
os.environ.update(HOME="/elsewhere", USER="somebody")
assert getpass.getuser() == "somebody"
assert os.path.expanduser("~/file") == "/elsewhere/file"
assert pathlib.Path("~").expanduser() == pathlib.Path("/elsewhere")

print("ok")
