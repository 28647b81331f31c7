"""Lists directories while they change, and many at once. Argument: an empty folder to write to."""

import os
import random
import sys

os.chdir(sys.argv[1])


def fill(folder, names):
    os.mkdir(folder)
    for name in names:
        with open(f"{folder}/{name}", "w"):
            pass


# An entry that stays is listed exactly once, whatever is removed or added meanwhile.
names = [f"file-{number:05d}-{'x' * (number % 200)}" for number in range(5000)]
fill("changing", names)
random.seed(14)
removed = set(random.sample(names, 2000))
remaining = [name for name in names if name not in removed]
to_remove = list(removed)
seen = []
with os.scandir("changing") as entries:
    for number, entry in enumerate(entries):
        seen.append(entry.name)
        if number % 2 == 0 and to_remove:
            os.unlink(f"changing/{to_remove.pop()}")
        if number % 7 == 0:
            with open(f"changing/added-{number}", "w"):
                pass
assert len(seen) == len(set(seen)), "an entry was listed twice"
assert set(remaining) <= set(seen), "an entry was not listed"
left = {name for name in os.listdir("changing")}
assert left == set(remaining) | set(to_remove) | {name for name in left if name.startswith("added-")}

# Removing each entry as it is listed leaves nothing, which shutil.rmtree relies on.
with os.scandir("changing") as entries:
    for entry in entries:
        os.unlink(entry)
assert os.listdir("changing") == []
os.rmdir("changing")

# More directories at a time than the host keeps blocks for, some of them with several blocks.
expected = {}
for number in range(150):
    expected[f"many-{number}"] = {f"{number}-{'y' * 100}-{file}" for file in range(3 if number % 30 else 700)}
    fill(f"many-{number}", expected[f"many-{number}"])
listings = {folder: os.scandir(folder) for folder in expected}
found = {folder: [] for folder in expected}
while listings:
    for folder in list(listings):
        entry = next(listings[folder], None)
        if entry is None:
            listings.pop(folder).close()
        else:
            found[folder].append(entry.name)
for folder, names in found.items():
    assert len(names) == len(set(names)) and set(names) == expected[folder], folder

# A descriptor number that is used again for another directory.
for folder in expected:
    assert set(os.listdir(folder)) == expected[folder]

# Types and inodes are those of stat(2).
os.mkdir("kinds")
os.mkdir("kinds/directory")
with open("kinds/file", "w"):
    pass
os.symlink("directory", "kinds/link")
kinds = {
    entry.name: (entry.is_dir(follow_symlinks=False), entry.is_file(follow_symlinks=False), entry.is_symlink())
    for entry in os.scandir("kinds")
}
assert kinds == {
    "directory": (True, False, False),
    "file": (False, True, False),
    "link": (False, False, True),
}, kinds
for entry in os.scandir("kinds"):
    assert entry.inode() == os.lstat(entry.path).st_ino, entry.name
assert next(entry for entry in os.scandir("kinds") if entry.name == "link").is_dir()

# A name of the maximum length, alone and beside others.
os.mkdir("long")
for number in range(40):
    with open(f"long/{number:03d}{'z' * 252}", "w"):
        pass
assert len(set(os.listdir("long"))) == 40

# A directory that is removed while it is listed.
fill("gone", [f"{number}" for number in range(10)])
with os.scandir("gone") as entries:
    next(entries)
    for number in range(10):
        os.unlink(f"gone/{number}")
    os.rmdir("gone")
    for _ in entries:
        pass
for missing in ["gone", "kinds/file", "missing"]:
    try:
        os.listdir(missing)
    except (FileNotFoundError, NotADirectoryError):
        pass
    else:
        raise AssertionError(missing)
