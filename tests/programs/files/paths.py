"""Paths that lead from one granted folder into another. Argument: the prefix of all of them, which is natively the folder
with app/, data/ and so on, and in the guest empty, because the folders are mounted there. Prints the same in both."""

import errno
import os
import stat
import sys
from pathlib import Path

root = sys.argv[1]


def show(what, function, *arguments, **options):
    """Prints what a call returns, or the number of its error. The root is left out."""
    try:
        result = function(*arguments, **options)
    except OSError as error:
        result = errno.errorcode[error.errno]
    print(what, repr(result).replace(root, "") if root else repr(result))


def kind(path):
    return oct(stat.S_IFMT(os.stat(path).st_mode))


def read(path):
    with open(path) as file:
        return file.read()


EVERYWHERE = [
    "app/../data/x",
    "app/../plain",
    "app/sub/../../data/x",
    "app/sub/../sub/file",
    "app/sub/../../data/missing",
    "app/missing/../file",
    "app/file/../file",
    "app/file/..",
    "app/../data/../app/file",
    "app/sub/./../.././data/./x",
    "app//sub/..//../data//x",
    "app/../data/",
    "app/../data/x/",
    "app/./sub/.",
    "plain/../data/x",
    "plain/../app/sub/file",
    # Links within a folder, out of it, and out of it and back.
    "app/to-sub/../file",
    "app/to-sub/../../data/x",
    "app/to-data",
    "app/to-data/x",
    "app/to-data/../data/x",
    "app/to-data/missing",
    "app/to-x",
    "app/to-x/",
    "app/to-x/..",
    "app/to-data-absolute",
    "app/to-data-absolute/x",
    "app/to-nothing",
    "app/to-nothing/x",
    "app/to-itself",
    "app/to-itself/x",
    "app/round",
    "app/round/file",
    "app/to-app-by-data/sub/file",
    "data/to-app/sub/file",
    "read-only/to-data/x",
]
for path in EVERYWHERE:
    path = f"{root}/{path}"
    name = path.removeprefix(root)
    show(f"exists {name}", os.path.exists, path)
    show(f"pathlib {name}", lambda: Path(path).exists())
    show(f"stat {name}", kind, path)
    show(f"lstat {name}", lambda: oct(stat.S_IFMT(os.lstat(path).st_mode)))
    show(f"open {name}", read, path)
    show(f"listdir {name}", lambda: sorted(os.listdir(path)))
    show(f"access {name}", os.access, path, os.F_OK)
    show(f"readlink {name}", os.readlink, path)
    show(f"realpath {name}", os.path.realpath, path)

# The working directory, from which relative paths begin.
os.chdir(f"{root}/app")
show("../plain", lambda: os.listdir("../plain"))
show("../data", lambda: sorted(os.listdir("../data")))
show("../data/x", read, "../data/x")
show("./../data/x", read, "./../data/x")
show("sub/../../data/x", read, "sub/../../data/x")
os.chdir("sub")
show("../../data/x", read, "../../data/x")
os.chdir("../../data")
show("getcwd", os.getcwd)
show("x", read, "x")
show("../app/file", read, "../app/file")
os.chdir("../app/to-data")
show("getcwd", lambda: os.path.samefile(os.getcwd(), f"{root}/data"))
show("x", read, "x")
show("chdir missing", os.chdir, "../missing")
show("chdir to a file", os.chdir, "../data/x")
os.chdir(f"{root}/app")

# Functions that change something.
show("create", lambda: open("../data/new", "x").close())
show("create again", lambda: open("../data/new", "x").close())
show("create through a link", lambda: open("to-data/other", "x").close())
show("create what a link names", lambda: open("to-new", "w").close())
show("exclusively", lambda: open("to-new", "x").close())
show("mkdir", os.mkdir, "../data/made")
show("mkdir missing", os.mkdir, "../data/missing/made")
show("makedirs", os.makedirs, "sub/../../data/made/deep/er", exist_ok=True)
show("rename", os.rename, "../data/new", "to-data/renamed")
show("rename of a link", os.rename, "to-new", "../app/to-renamed")
show("link", os.link, "../data/renamed", "to-data/linked")
show("symlink", os.symlink, "x", "../data/to-x")
show("read it", read, "../data/to-x")
show("readlink", os.readlink, "../data/to-x")
show("utime", lambda: (os.utime("to-data/linked", (3, 4)), os.stat("../data/renamed").st_mtime)[1])
show("unlink", os.unlink, "to-data/linked")
show("unlink of a link", os.unlink, "../app/to-renamed")
show("rmdir", os.rmdir, "../data/made/deep/er")
show("rmdir not empty", os.rmdir, "../data/made")
show("truncate", os.truncate, "../data/renamed", 3)
show("data", lambda: sorted(os.listdir("../data")))
