"""The tree around granted folders: only /mnt/deep/data is granted."""

import errno
import os
import stat
from pathlib import Path


def raises(number, function, *arguments):
    try:
        function(*arguments)
    except OSError as error:
        assert error.errno == number, (function, arguments, error)
    else:
        raise AssertionError((function, arguments))


# The directories above a mount exist, for reading, and contain what leads there.
for path, content in {
    "/mnt": ["deep"], "/mnt/deep": ["data"], "/mnt/deep/": ["data"], "/mnt/deep/data/..": ["data"],
    "/usr/local": ["bin", "lib"],
}.items():
    assert stat.S_ISDIR(os.stat(path).st_mode), path
    assert Path(path).is_dir() and os.path.exists(path), path
    assert sorted(os.listdir(path)) == content, (path, os.listdir(path))
    assert all(entry.is_dir() and not entry.is_symlink() for entry in os.scandir(path))
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    assert os.path.sameopenfile(folder, folder) and os.fstat(folder).st_ino == os.stat(path).st_ino
    os.close(folder)
    new = os.path.join(path, "new")
    raises(errno.ENOENT, os.stat, new)
    raises(errno.ENOENT, os.readlink, new)
    raises(errno.ENOENT, open, os.path.join(new, "deeper"))
    # What is there is not the guest's to change.
    raises(errno.EPERM, open, new, "w")
    raises(errno.EPERM, os.mkdir, new)
    raises(errno.EPERM, os.symlink, "target", new)
    raises(errno.EPERM, os.rename, "/mnt/deep/data/x", new)
assert os.stat("/mnt").st_ino != os.stat("/mnt/deep").st_ino
assert os.stat("/mnt/deep").st_ino == os.stat("/mnt/deep/data/..").st_ino
assert os.stat("/..").st_ino == os.stat("/").st_ino == os.stat("/../../..").st_ino

# What is in no mount is missing (ENOENT), not forbidden.
for path in ["/missing", "/mnt/missing", "/mnt/deep/data/../missing", "/mnt/deep/data/../../../etc/shadow"]:
    assert not os.path.exists(path) and not Path(path).exists(), path
    raises(errno.ENOENT, os.stat, path)
    raises(errno.ENOENT, open, path)
    raises(errno.ENOENT, os.listdir, path)
raises(errno.ENOENT, os.stat, "/mnt/deep/data/to-nowhere")
raises(errno.ENOENT, open, "/mnt/deep/data/../../../../etc/shadow")

# A path that leaves Python's library by `..`, as pip's RECORD has it for scripts.
library = os.path.dirname(os.__file__)
assert not Path(library, "site-packages/../../../bin/pip").exists()
assert Path(library, "../../../../mnt/deep/data/x").read_text() == "x"
assert os.path.samefile(Path(library, "../python3.13/os.py"), os.__file__)

os.chdir("/mnt/deep/data")
assert Path("../data/x").read_text() == "x"
os.chdir("..")
assert os.getcwd() == "/mnt/deep" and Path("data/x").read_text() == "x"
os.chdir("/")
assert Path("mnt/deep/data/x").read_text() == "x"
