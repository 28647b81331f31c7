"""Writes wheels of the package hello, whose module has a greeting. Usage: wheel.py FOLDER [TAG...]"""

import base64
import hashlib
import sys
import zipfile

folder, tags = sys.argv[1], sys.argv[2:]

for tag in tags:
    files = {
        "hello.py": 'greeting = "hello"\n',
        "hello-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: hello\nVersion: 1.0\n",
        "hello-1.0.dist-info/WHEEL": f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n",
    }
    record = ""
    for name, text in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=")
        record += f"{name},sha256={digest.decode()},{len(text)}\n"
    files["hello-1.0.dist-info/RECORD"] = record + "hello-1.0.dist-info/RECORD,,\n"
    with zipfile.ZipFile(f"{folder}/hello-1.0-{tag}.whl", "w") as wheel:
        for name, text in files.items():
            wheel.writestr(name, text)
