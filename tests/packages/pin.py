"""Prints a requirements.txt for packages.txt, with the newest versions: python3 pin.py > requirements.txt

The hashes are those of the wheels that `cargo xtask test` installs: wheels for all platforms, or else for CPython 3.13
on Linux and x86-64, whatever machine this script runs on.
"""

import json
import subprocess
import sys
from pathlib import Path

WHEELS = ["--only-binary=:all:", "--platform=manylinux2014_x86_64", "--implementation=cp", "--python-version=3.13"]
# pip requires a target for wheels of another Python, although nothing is written there.
REPORT = ["--quiet", "--dry-run", "--ignore-installed", "--target=nowhere", "--report=-"]

packages = Path(__file__).with_name("packages.txt")
command = [sys.executable, "-m", "pip", "install", *WHEELS, *REPORT, "--requirement", packages]
report = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
print("# Written by `python3 tests/packages/pin.py`.")
for package in sorted(report["install"], key=lambda package: package["metadata"]["name"].lower()):
    name, version = package["metadata"]["name"], package["metadata"]["version"]
    sha256 = package["download_info"]["archive_info"]["hashes"]["sha256"]
    print(f"{name}=={version} --hash=sha256:{sha256}")
