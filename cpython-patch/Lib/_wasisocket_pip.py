"""Runs pip, and reports the newer versions that it passed over because they need compiled parts.

    python -m _wasisocket_pip (report | strict) PIP_ARGS...

`wasisocket pip` runs this module instead of pip itself. A guest cannot load the compiled parts of a Linux wheel,
so pip's resolver goes back to the newest version that does without them. That can be years old, and pip says
nothing. Therefore the packages are first resolved (`pip install --dry-run --report`) as if wheels for Linux were
usable here; what this resolution has and the real one cannot have is reported:

- With `report`, pip then does what it was asked to do.
- With `strict`, nothing is installed if a compiled part is needed, and the exit status is 1.

For the host, NOTES has one sentence a line, and PLATFORMS the values of --platform with which pip would install
the newest versions. Neither exists if there is nothing to report.
"""

import contextlib
import importlib.metadata
import io
import json
import os
import runpy
import signal
import sys
import urllib.parse
from pathlib import Path

from pip._internal.index.package_finder import LinkEvaluator, LinkType
from pip._internal.utils.compatibility_tags import get_supported
from pip._vendor.packaging.requirements import InvalidRequirement, Requirement
from pip._vendor.packaging.utils import (
    InvalidSdistFilename, InvalidWheelFilename, canonicalize_name, parse_sdist_filename, parse_wheel_filename,
)
from pip._vendor.packaging.version import InvalidVersion, Version

# Where `wasisocket pip` mounts the temporary folder and the folder of --target or --dest.
TEMPORARY = Path("/tmp")
TARGET = Path("/target")

NOTES = TEMPORARY / "notes.txt"
PLATFORMS = TEMPORARY / "platforms.txt"

# The platforms of the wheels that packages publish for Linux (PEP 599, PEP 600), in order of preference.
LINUX = ["manylinux2014_x86_64", *(f"manylinux_2_{minor}_x86_64" for minor in range(5, 43)), "linux_x86_64"]

# Options with which the user chooses wheels for another platform.
PLATFORM_OPTIONS = ("--platform", "--abi", "--implementation", "--python-version")

HERE = frozenset(get_supported())


class Files:
    """The names of the files that pip's finder looked at, for each project."""

    def __init__(self):
        self.names = {}

    def watch(self):
        """Record each file that is usable, or would be on another platform or with a compiler."""
        stock = LinkEvaluator.evaluate_link
        recorded = {LinkType.candidate, LinkType.platform_mismatch, LinkType.format_unsupported}

        def evaluate_link(evaluator, link):
            result = stock(evaluator, link)
            if result[0] in recorded:
                self.names.setdefault(canonicalize_name(evaluator.project_name), set()).add(link.filename)
            return result

        LinkEvaluator.evaluate_link = evaluate_link

    def has_usable_wheel(self, project, version=None):
        """Whether one of the project's wheels, of this version or of any, can be installed here."""
        for name in self.names.get(project, ()):
            wheel = parse_wheel(name)
            if wheel and version in (None, wheel[1]) and not HERE.isdisjoint(wheel[3]):
                return True
        return False

    def unusable(self):
        """A sentence about each project that has files, but no wheel for this platform."""
        for project, names in sorted(self.names.items()):
            if self.has_usable_wheel(project):
                continue
            if any(map(parse_wheel, names)):
                yield f"{project} has compiled parts, and no wheel for this platform"
            elif any(map(is_source, names)):
                yield (
                    f"{project} comes as source only: building it needs processes, which a guest does not have; "
                    f"build its wheel outside (`pip wheel {project}`) and name the file"
                )


class Package:
    """A package of an installation report (https://pip.pypa.io/en/stable/reference/installation-report/)."""

    def __init__(self, item, files):
        metadata = item["metadata"]
        self.name = metadata["name"]
        self.version = Version(metadata["version"])
        self.project = canonicalize_name(self.name)
        self.requested = item["requested"]
        self.extras = set(item.get("requested_extras", ()))
        self.requirements = []
        for text in metadata.get("requires_dist", ()):
            # With --no-deps pip does not read them.
            with contextlib.suppress(InvalidRequirement):
                self.requirements.append(Requirement(text.strip()))
        path = urllib.parse.urlsplit(item["download_info"]["url"]).path
        wheel = parse_wheel(urllib.parse.unquote(path.rpartition("/")[2]))
        # A project may have a wheel in pure Python beside the one for Linux, which pip prefers.
        self.compiled = bool(
            wheel and HERE.isdisjoint(wheel[3]) and not files.has_usable_wheel(self.project, self.version)
        )
        self.platforms = {tag.platform for tag in wheel[3]} if self.compiled else set()

    def needs(self):
        """The requirements that hold with the extras that were asked for."""
        for requirement in self.requirements:
            extras = self.extras or {""}
            marker = requirement.marker
            if marker is None or any(marker.evaluate({"extra": extra}) for extra in extras):
                yield canonicalize_name(requirement.name), requirement.extras


class Resolution:
    """The packages that pip would install if wheels for Linux were usable here."""

    def __init__(self, report, files):
        packages = [Package(item, files) for item in report["install"]]
        self.packages = {package.project: package for package in packages}
        # Extras can be requested by requirements, too.
        grown = True
        while grown:
            grown = False
            for package in packages:
                for project, extras in package.needs():
                    other = self.packages.get(project)
                    if other and not extras <= other.extras:
                        other.extras |= extras
                        grown = True

    def compiled(self, package):
        """What has compiled parts: the package itself and the packages that it needs, nearest first."""
        seen = {package.project: package}
        queue = [package]
        for current in queue:
            for project, _ in current.needs():
                if project in self.packages and project not in seen:
                    seen[project] = self.packages[project]
                    queue.append(self.packages[project])
        return [found for found in queue if found.compiled]

    def reason(self, package):
        """Why the package cannot be installed here, as the end of a sentence; None if it can be."""
        compiled = self.compiled(package)
        if not compiled:
            return None
        if compiled[0] is package:
            return "has compiled parts, and no wheel for this platform"
        names = [found.name for found in compiled]
        listed = " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
        return f"needs {listed}, which {'has' if len(names) == 1 else 'have'} compiled parts"

    def blocked(self):
        """A sentence about each package that was asked for and cannot be installed in its newest version."""
        for package in self.packages.values():
            reason = package.requested and self.reason(package)
            if reason:
                yield f"{package.name} {package.version} {reason}"

    def passed_over(self, present):
        """A sentence about each package of which an older version was installed than could be elsewhere."""
        for project, package in self.packages.items():
            older = present.get(project)
            if older is not None and older < package.version:
                reason = self.reason(package)
                if reason:
                    yield f"{package.name} {older} was installed; {package.version} {reason}"

    def platforms(self):
        """The values of --platform that the compiled wheels need."""
        needed = set()
        for package in self.packages.values():
            if package.compiled:
                needed.update([platform for platform in LINUX if platform in package.platforms][:1])
        return [platform for platform in LINUX if platform in needed]


def parse_wheel(name):
    """(project, version, build, tags) of a wheel's file name; None if it is another file's."""
    try:
        return parse_wheel_filename(name)
    except InvalidWheelFilename:
        return None


def is_source(name):
    try:
        parse_sdist_filename(name)
    except InvalidSdistFilename:
        return False
    return True


def run_pip(args):
    """Run pip as `python -m pip` does, and return its exit status."""
    sys.argv = ["pip", *args]
    try:
        runpy.run_module("pip", run_name="__main__", alter_sys=True)
    except SystemExit as end:
        return end.code or 0
    return 0


def resolve(before, after, files):
    """The resolution with wheels for Linux, or what pip said if there is none.

    before and after are pip's arguments on the two sides of its command.
    """
    path = TEMPORARY / "resolution.json"
    options = [*(f"--platform={platform}" for platform in LINUX), "--dry-run", "--ignore-installed", f"--report={path}"]
    # The real run is the one that waits for an index that does not answer.
    options += ["--quiet", "--retries=0"]
    after = [arg for arg in after if not arg.startswith(("--report", "--dest="))]
    if not any(arg.startswith("--target") for arg in after):
        options.append(f"--target={TARGET}")
    said = io.StringIO()
    interrupts = []

    def interrupt(number, frame):
        interrupts.append(number)
        raise KeyboardInterrupt

    stock = signal.signal(signal.SIGINT, interrupt)
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        status = run_pip([*before, "install", *options, *after])
    signal.signal(signal.SIGINT, stock)
    if interrupts:
        # pip has made it an error like any other.
        sys.exit("ERROR: Operation cancelled by user")
    if status:
        return None, said.getvalue()
    return Resolution(json.loads(path.read_bytes()), files), ""


def present_versions():
    """The version of each package that was installed or downloaded."""
    versions = {wheel[0]: wheel[1] for wheel in map(parse_wheel, os.listdir(TARGET)) if wheel}
    for dist in importlib.metadata.distributions(path=[str(TARGET)]):
        # The folder may hold what pip would not install.
        with contextlib.suppress(InvalidVersion, TypeError):
            versions[canonicalize_name(dist.name)] = Version(dist.version)
    return versions


def tell(sentences, resolution=None):
    """Leave sentences for the host, and how the compiled parts could be installed in spite of all."""
    sentences = list(sentences)
    if sentences:
        NOTES.write_text("".join(f"{sentence}\n" for sentence in sentences))
        if resolution:
            PLATFORMS.write_text("\n".join(resolution.platforms()))


def main(mode, args):
    strict = mode == "strict"
    place = next((place for place, arg in enumerate(args) if not arg.startswith("-")), len(args))
    before, command, after = args[:place], args[place : place + 1], args[place + 1 :]
    chosen = any(arg.startswith(PLATFORM_OPTIONS) for arg in after)
    if command not in (["install"], ["download"], ["lock"]) or chosen or {"-h", "--help"} & {*args}:
        return run_pip(args)

    files = Files()
    files.watch()
    if command == ["lock"]:
        status = run_pip(args)
        if status:
            tell(files.unusable())
        return status
    resolution, said = resolve(before, after, files)
    if resolution is None and strict:
        sys.stderr.write(said)
        tell(files.unusable())
        return 1
    blocked = list(resolution.blocked()) if resolution else []
    if strict and any(package.compiled for package in resolution.packages.values()):
        tell(blocked, resolution)
        return 1
    for sentence in blocked:
        print(f"wasisocket: {sentence}; pip looks for an older version".encode("ascii", "replace").decode(),
              file=sys.stderr, flush=True)

    status = run_pip(args)
    if resolution is None:
        tell(files.unusable() if status else ["whether newer versions need compiled parts could not be determined"])
    elif status:
        tell(blocked, resolution)
    elif TARGET.is_dir():
        tell(resolution.passed_over(present_versions()), resolution)
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
