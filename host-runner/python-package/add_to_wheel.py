"""Adds the files of a folder to a wheel. Usage: add_to_wheel.py WHEEL FOLDER OUT

The wheel is written to the folder OUT, under its name, with a new RECORD (PyPA's specification "Recording installed
projects"). All times in it are one, so that the same files make the same wheel.
"""

import base64
import hashlib
import pathlib
import sys
import zipfile

# The first that a ZIP archive can have.
TIME = (1980, 1, 1, 0, 0, 0)


def add(wheel, folder, out):
    files = {}
    with zipfile.ZipFile(wheel) as archive:
        for info in archive.infolist():
            if not info.is_dir():
                files[info.filename] = (archive.read(info), info.external_attr >> 16)
    for path in folder.rglob("*"):
        if path.is_file():
            files[path.relative_to(folder).as_posix()] = (path.read_bytes(), path.stat().st_mode)
    record = next(name for name in files if name.endswith(".dist-info/RECORD"))
    lines = []
    for name, (content, _) in sorted(files.items()):
        if name != record:
            digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
            quoted = f'"{name}"' if "," in name else name
            lines.append(f"{quoted},sha256={digest},{len(content)}\n")
    files[record] = ("".join([*lines, f"{record},,\n"]).encode(), 0o100644)
    # RECORD comes last.
    with zipfile.ZipFile(out / wheel.name, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name in sorted(files, key=lambda name: (name == record, name)):
            content, mode = files[name]
            info = zipfile.ZipInfo(name, TIME)
            info.external_attr = (0o100755 if mode & 0o100 else 0o100644) << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, content, compresslevel=9)


if __name__ == "__main__":
    add(*map(pathlib.Path, sys.argv[1:]))
