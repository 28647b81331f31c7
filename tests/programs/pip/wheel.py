"""Writes wheels: folder wheel...

Each is NAME-VERSION-TAG or NAME-VERSION-TAG:REQUIREMENT,REQUIREMENT... A wheel in pure Python has a module with
a greeting. Others have a compiled part, too, that no Python can load; the greeting of a package needs it unless the
name of the package begins with "soft".
"""

import base64
import hashlib
import sys
import zipfile

folder, wheels = sys.argv[1], sys.argv[2:]

for wheel in wheels:
    wheel, _, requirements = wheel.partition(":")
    name, version, tag = wheel.split("-", 2)
    module = f"{name}.py"
    code = 'greeting = "hello"\n'
    files = {}
    if not tag.endswith("any"):
        module = f"{name}/__init__.py"
        files[f"{name}/_fast.cpython-313-x86_64-linux-gnu.so"] = ""
        load = "from ._fast import greeting\n"
        code = f"try:\n    {load}except ImportError:\n    {code}" if name.startswith("soft") else load
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    for requirement in filter(None, requirements.split(",")):
        metadata += f"Requires-Dist: {requirement}\n"
    files |= {
        module: code,
        f"{name}-{version}.dist-info/METADATA": metadata,
        f"{name}-{version}.dist-info/WHEEL": f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n",
    }
    record = ""
    for path, text in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=")
        record += f"{path},sha256={digest.decode()},{len(text)}\n"
    files[f"{name}-{version}.dist-info/RECORD"] = record + f"{name}-{version}.dist-info/RECORD,,\n"
    with zipfile.ZipFile(f"{folder}/{wheel}.whl", "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
