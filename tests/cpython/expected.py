"""Reads, writes and compares expected.toml, the expected result of each test."""

import collections
import json
import re
import textwrap
import tomllib

HEAD = """\
# The expected result of each of CPython's own tests in a guest. `cargo xtask cpython-tests` compares with this
# file, and writes it with --bless. A reason that is written here by hand is kept as long as the test fails.
# "Class.*" stands for all tests of a class, "*" for a whole module.
"""

UNEXPLAINED = "unexplained: "

# Why a test cannot pass, by the error that it fails with.
REASONS = [
    (r"attribute 'waitpid'", "needs processes: os.waitpid"),
    (r"attribute 'kill'", "needs signals: os.kill"),
]


class Expected:
    """For each module: a summary line, and the result of each test or of all tests of a class."""

    def __init__(self, path):
        self._path = path
        self._summaries = {}
        self._modules = {}
        if not path.exists():
            return
        with open(path, "rb") as file:
            modules = tomllib.load(file)
        for module, content in modules.items():
            self._summaries[module] = content["summary"]
            tests = self._modules[module] = {}
            for scope, names in content.get("pass", {}).items():
                tests |= {f"{scope}.{name}": ("pass", "") for name in names.split()}
            for outcome in ["skip", "fail"]:
                for reason, names in content.get(outcome, {}).items():
                    tests |= {name: (outcome, reason) for name in names}

    def of(self, module, test):
        """The (outcome, reason) of a test, or else of its class, or None."""
        tests = self._modules.get(module, {})
        return tests.get(test) or tests.get(class_of(test) + ".*")

    def with_reason(self, beginning):
        return {f"{module}.{test}" for module, tests in self._modules.items()
                for test, (_, reason) in tests.items() if reason.startswith(beginning)}

    def differences(self, module, results):
        """Lines that name the tests whose result is not the expected one."""
        missing = dict(self._modules.get(module, {}))
        for test, result in results.items():
            missing.pop(test, None)
            missing.pop(class_of(test) + ".*", None)
            entry = self.of(module, test)
            found = shown(result.outcome, result.reason)
            if entry is None:
                yield f"{module}.{test}: new: {found}"
            elif entry[0] != result.outcome:
                yield f"{module}.{test}: {found}; expected: {shown(*entry)}"
            elif entry[1].startswith(UNEXPLAINED):
                yield f"{module}.{test}: fails without a known reason: {found}"
        for test, entry in missing.items():
            yield f"{module}.{test}: did not run; expected: {shown(*entry)}"

    def replace(self, module, results, summary):
        """Replaces the results of a module, and keeps the reasons that were given before."""
        tests = {test: (result.outcome, self._reason(module, test, result))
                 for test, result in results.items()}
        self._modules[module] = folded(tests)
        self._summaries[module] = summary

    def _reason(self, module, test, result):
        if result.outcome != "fail":
            return result.reason
        outcome, reason = self.of(module, test) or ("", "")
        if outcome == "fail" and not reason.startswith(UNEXPLAINED):
            return reason
        return next((reason for pattern, reason in REASONS if re.search(pattern, result.reason)),
                    UNEXPLAINED + result.reason)

    def write(self, order):
        sections = [self._section(module) for module in order if module in self._modules]
        self._path.write_text(HEAD + "".join(sections), encoding="utf-8")

    def _section(self, module):
        key = module if "." not in module else json.dumps(module)
        lines = ["", f"[{key}]", f"summary = {json.dumps(self._summaries[module])}"]
        for outcome in ["skip", "fail"]:
            by_reason = collections.defaultdict(list)
            for test, entry in self._modules[module].items():
                if entry[0] == outcome:
                    by_reason[entry[1]].append(test)
            if by_reason:
                lines += ["", f"[{key}.{outcome}]"]
            for reason in sorted(by_reason):
                lines += [f"{json.dumps(reason)} = [",
                          *(f"    {json.dumps(test)}," for test in sorted(by_reason[reason])), "]"]
        passes = collections.defaultdict(list)
        for test, (outcome, _) in self._modules[module].items():
            if outcome == "pass":
                passes[class_of(test)].append(test.rpartition(".")[2])
        if passes:
            lines += ["", f"[{key}.pass]"]
        for scope in sorted(passes):
            names = textwrap.fill(" ".join(sorted(passes[scope])), 106, break_long_words=False,
                                  break_on_hyphens=False)
            lines += [f'{json.dumps(scope)} = """', names, '"""']
        return "\n".join(lines) + "\n"


def folded(tests):
    """Merges the tests of a class into one entry, if all have the same result and do not pass."""
    classes = collections.defaultdict(dict)
    for test, entry in tests.items():
        classes[class_of(test)][test] = entry
    result = {}
    for scope, members in classes.items():
        entries = set(members.values())
        if scope and len(members) > 1 and len(entries) == 1 and entries.pop()[0] != "pass":
            result[scope + ".*"] = next(iter(members.values()))
        else:
            result |= members
    return result


def class_of(test):
    return test.rpartition(".")[0]


def shown(outcome, reason):
    return f"{outcome} ({reason})" if reason else outcome
