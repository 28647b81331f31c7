"""Writes the result of each test as a line of JSON, while the tests run."""

import json
import sys
import unittest

# The audit events of a test that uses an address.
_NETWORK_EVENTS = {"socket.bind", "socket.connect", "socket.sendmsg", "socket.sendto"}

_WORST_LAST = ["pass", "skip", "fail"]


class Record(unittest.TestResult):
    def __init__(self, job):
        super().__init__()
        self._module = job.module
        self._file = open(job.results, "a", encoding="utf-8")
        self.net = False
        self._listed = {}
        sys.addaudithook(self._audit)

    def _audit(self, event, args):
        if event in _NETWORK_EVENTS:
            self.net = True

    def line(self, **fields):
        self._file.write(json.dumps(fields) + "\n")
        self._file.flush()

    def list(self, names):
        """Writes the names of the tests that will run, so that those after a hanging one are known."""
        self._listed = dict.fromkeys(names)
        self.line(list=list(names))

    def whole_module(self, outcome, reason):
        """Writes one result for all tests, for a module that cannot be imported."""
        self.line(test="*", outcome=outcome, reason=reason, net=False)

    def startTest(self, test):
        super().startTest(test)
        self._outcome, self._reason = "pass", ""
        self.net = False
        self.line(start=name_of(test))

    def stopTest(self, test):
        super().stopTest(test)
        self.finish(name_of(test), self._outcome, self._reason)

    def finish(self, name, outcome, reason):
        self._listed.pop(name, None)
        self.line(test=name, outcome=outcome, reason=reason, net=self.net)

    def _set(self, test, outcome, reason):
        if isinstance(test, unittest.TestCase):
            if _WORST_LAST.index(outcome) > _WORST_LAST.index(self._outcome):
                self._outcome, self._reason = outcome, reason
            return
        # A class fixture, "setUpClass (package.module.Class)": its failure is the result of all tests of the class.
        fixture, _, scope = test.id().rstrip(")").partition(" (")
        scope = scope.removeprefix(self._module).removeprefix(".")
        if fixture.startswith("tearDown"):
            self.line(test=f"{scope}.{fixture}", outcome=outcome, reason=reason, net=False)
            return
        for name in [name for name in self._listed if not scope or name.startswith(scope + ".")]:
            self.net = False
            self.finish(name, outcome, reason)

    def addError(self, test, err):
        self._set(test, "fail", text_of(err[1]))
        self._traceback(test, err)

    addFailure = addError

    def addSkip(self, test, reason):
        # A skipped subtest does not skip the whole test.
        if not hasattr(test, "test_case"):
            self._set(test, "skip", reason)

    def addSubTest(self, test, subtest, err):
        if err is not None:
            self.addError(test, err)

    def addUnexpectedSuccess(self, test):
        self._set(test, "fail", "unexpected success")

    def _traceback(self, test, err):
        print(f"\n=== {test.id()}\n{self._exc_info_to_string(err, test)}", file=sys.stderr, flush=True)


def name_of(test):
    """The test's name without its module."""
    return test.id().removeprefix(type(test).__module__ + ".")


def text_of(exc):
    lines = str(exc).strip().splitlines() or [""]
    return f"{type(exc).__name__}: {lines[0]}"[:300].removesuffix(": ")


def flat(suite):
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            yield from flat(test)
        else:
            yield test
