"""Finds out which packages with compiled parts can be imported without them.

    python -m _wasisocket_imports SITE RESULTS

`wasisocket pip` runs this module in a guest without network. SITE is a folder of installed packages. Each package
whose wheel is for another platform gets one line in RESULTS, written before the next package is tried: its name,
its version, a verdict and details, separated by tabs. The verdicts:

    works   every module can be imported
    partly  most modules can be imported; the details name those that need the compiled parts
    fails   the package itself cannot be imported, or most of its modules cannot; the details say why
"""

import csv
import importlib
import importlib.metadata
import os
import sys
import textwrap
from pathlib import PurePosixPath

from pip._internal.utils.compatibility_tags import get_supported
from pip._vendor.packaging.tags import parse_tag

# What is no part of a package's interface.
SKIPPED = ("__main__", "conftest", "setup", "test", "tests")

# The most modules of one package that the details name.
NAMED = 5


def main(site, results):
    sys.path.insert(0, site)
    here = {str(tag) for tag in get_supported()}
    with open(results, "w", encoding="utf-8", errors="replace") as output:
        found = importlib.metadata.distributions(path=[site])
        for dist in sorted(found, key=lambda dist: dist.name.lower()):
            if here.isdisjoint(wheel_tags(dist)):
                verdict, details = try_package(dist)
                columns = dist.name, dist.version, verdict, textwrap.shorten(details, 160)
                print(*columns, sep="\t", file=output, flush=True)


def wheel_tags(dist):
    """The tags of the wheel that the package was installed from."""
    lines = (dist.read_text("WHEEL") or "").splitlines()
    tags = [line.partition(":")[2].strip() for line in lines if line.startswith("Tag:")]
    return {str(tag) for text in tags for tag in parse_tag(text)}


def modules(dist):
    """The names of a package's modules in Python, parents first, and those of its compiled ones."""
    python, compiled = set(), set()
    # dist.files would look at each file, too.
    for file, *_ in csv.reader((dist.read_text("RECORD") or "").splitlines()):
        path = PurePosixPath(file)
        if path.suffix == ".py":
            parts = path.parent.parts if path.name == "__init__.py" else path.with_suffix("").parts
            found = python
        elif path.suffix == ".so":
            # mod.cpython-313-x86_64-linux-gnu.so, mod.abi3.so, mod.so
            parts = (*path.parent.parts, path.name.partition(".")[0])
            found = compiled
        else:
            continue
        if parts and all(map(str.isidentifier, parts)):
            found.add(".".join(parts))
    return sorted(python), compiled


def try_package(dist):
    """The verdict on one package, and the details."""
    python, compiled = modules(dist)
    public = [name for name in python if not any(part.startswith("_") or part in SKIPPED for part in name.split("."))]
    # A namespace package has no file of its own.
    tops = {name for name in public if not any(name.startswith(f"{other}.") for other in public)}
    if not tops:
        return "fails", "it has no module in Python"
    failed = []
    for name in public:
        try:
            importlib.import_module(name)
        except (Exception, SystemExit) as error:
            if name in tops:
                return "fails", f"importing {name} raises {type(error).__name__}: {error}"
            # Others want optional packages, or what the platform does not have.
            if needs(error, compiled):
                failed.append(name)
    if 2 * len(failed) >= len(public):
        return "fails", f"{len(failed)} of its {len(public)} modules need the compiled parts"
    if failed:
        more = [f"{len(failed) - NAMED} more"] if len(failed) > NAMED else []
        return "partly", ", ".join(failed[:NAMED] + more)
    return "works", ""


def needs(error, compiled):
    """Whether an import failed because a compiled module could not be loaded."""
    seen = []
    while error is not None and error not in seen:
        seen.append(error)
        if isinstance(error, ImportError):
            # A file that was found could not be loaded; or none was found: its name is for another platform.
            if (error.path or "").endswith(".so") or {error.name, f"{error.name}.{error.name_from}"} & compiled:
                return True
        error = error.__cause__ or error.__context__
    return False


if __name__ == "__main__":
    main(*sys.argv[1:])
    # What the packages registered for the end of a program does not matter.
    os._exit(0)
