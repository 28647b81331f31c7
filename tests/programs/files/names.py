"""Names that are not UTF-8, in all functions that take a path. Argument: an empty folder to write to. Prints the same
natively and in the guest."""

import errno
import glob
import os
import shutil
import stat
import sys
from pathlib import Path

os.chdir(sys.argv[1])


def show(what, function, *arguments, **options):
    """Prints what a call returns, or the number and the file names of its error."""
    try:
        result = function(*arguments, **options)
    except OSError as error:
        result = errno.errorcode[error.errno], error.filename
    print(ascii((what, result)))


name = os.fsdecode(b"caf\xe9.txt")
folder = os.fsdecode(b"d\xff\xfe")
assert name == "caf\udce9.txt"

# Files.
show("missing", os.stat, name)
show("open missing", open, name)
with open(name, "x") as file:
    file.write("content")
show("exists", open, name, "x")
with open(name, "a") as file:
    file.write(" and more")
show("read", lambda: Path(name).read_bytes())
show("size", lambda: os.stat(name).st_size)
show("open to write", lambda: os.close(os.open(name, os.O_WRONLY)))
show("truncate", lambda: open(name, "w").close())
show("size", lambda: os.path.getsize(os.fsencode(name)))
show("mtime", lambda: (os.utime(name, (1, 2.5)), os.stat(name).st_mtime)[1])
show("not a directory", os.listdir, name)
show("below a file", os.stat, name + "/x")
show("no directory", os.rmdir, name)
with open(name) as file:
    show("same file", lambda: os.path.sameopenfile(file.fileno(), os.open(name, os.O_RDONLY)))
    show("inode", lambda: os.fstat(file.fileno()).st_ino == os.stat(name).st_ino)

# Directories, and what is below them.
show("mkdir", os.mkdir, folder)
show("mkdir again", os.mkdir, folder)
show("is a directory", open, folder)
Path(folder, "inside").write_text("1")
Path(folder, name).write_text("22")
show("listdir", lambda: sorted(os.listdir(folder)))
show("listdir of bytes", lambda: sorted(os.listdir(os.fsencode(folder))))
show("glob", lambda: sorted(glob.glob(folder + "/*")))
show("glob *.txt", lambda: sorted(glob.glob("*/*.txt")))
show("walk", lambda: sorted(map(str, os.walk("."))))
show("scandir", lambda: sorted((entry.name, entry.is_dir(), entry.stat().st_size) for entry in os.scandir(folder)))
show("inodes", lambda: all(entry.inode() == os.stat(entry.path).st_ino for entry in os.scandir(folder)))
show("rglob", lambda: sorted(map(str, Path(".").rglob("*"))))
show("not empty", os.rmdir, folder)
show("chdir", lambda: (os.chdir(folder), os.path.basename(os.getcwd()), sorted(os.listdir("."))))
show("from inside", lambda: Path(name).read_text())
os.chdir("..")
show("dir_fd", lambda: os.stat(name, dir_fd=os.open(folder, os.O_RDONLY)).st_size)

# Links.
show("symlink", os.symlink, name, "to-name")
show("readlink", os.readlink, "to-name")
show("through the link", os.path.getsize, "to-name")
link = os.fsdecode(b"l\xc3")
show("symlink", os.symlink, "target", link)
show("readlink", os.readlink, link)
show("lstat", lambda: stat.S_ISLNK(os.lstat(link).st_mode))
show("dangling", os.stat, link)
show("unlink", os.unlink, link)
show("no link", os.readlink, name)
show("hard link", os.link, name, link)
show("links", lambda: os.stat(name).st_nlink)

# Renames.
show("rename", os.rename, link, "plain")
show("rename back", os.rename, "plain", folder + "/" + link)
show("replace", os.replace, name, folder + "/" + name)
show("rename missing", os.rename, name, "x")
show("rename directory", os.rename, folder, os.fsdecode(b"e\xe9"))
folder = os.fsdecode(b"e\xe9")
show("copy", lambda: sorted(os.listdir(shutil.copytree(folder, folder + "2", copy_function=shutil.copyfile))))

# Paths that are partly UTF-8 do not leave the granted folder either.
show("dot dot", lambda: sorted(os.listdir(folder + "/..")))
show("rmtree", shutil.rmtree, folder)
show("rmtree", shutil.rmtree, folder + "2")
show("left", lambda: os.listdir("."))
