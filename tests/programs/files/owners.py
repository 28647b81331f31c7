"""All files belong to the guest's user, as os.getuid() says. Argument: a folder to write to."""

import os
import socket
import sys
import tempfile

os.chdir(sys.argv[1])
owner = os.getuid(), os.getgid()
assert owner == (os.geteuid(), os.getegid())


def check(what, stat):
    assert (stat.st_uid, stat.st_gid) == owner, (what, stat)


with open("made", "w") as file:
    check("fstat", os.fstat(file.fileno()))
os.mkdir("folder")
os.symlink("made", "link")
for path in ["made", "folder", "link", ".", "/", __file__, os.__file__]:
    check(path, os.stat(path))
    check(path, os.lstat(path))
with os.scandir(".") as entries:
    for entry in entries:
        check(entry.path, entry.stat(follow_symlinks=False))
folder = os.open(".", os.O_RDONLY)
check("directory", os.fstat(folder))
check("dir_fd", os.stat("made", dir_fd=folder))
with socket.socket() as client, tempfile.NamedTemporaryFile(dir=".") as file:
    check("socket", os.fstat(client.fileno()))
    check("temporary", os.fstat(file.fileno()))
for end in os.pipe():
    check("pipe", os.fstat(end))
for number in range(3):
    check(f"standard stream {number}", os.fstat(number))
assert os.access("made", os.R_OK | os.W_OK) and os.access("folder", os.F_OK)
