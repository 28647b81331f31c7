"""Runs the tests of one module. Usage: direct.py JOB"""

import os
import sys
import unittest

import switches

job = switches.read_job()
switches.prepare(job)

from record import Record, flat, name_of, text_of


def main():
    record = Record(job)
    try:
        module = switches.import_tests(job)
    except unittest.SkipTest as skip:
        record.whole_module("skip", str(skip))
    except Exception as exc:
        record.whole_module("fail", text_of(exc))
        raise
    else:
        tests = list(flat(unittest.defaultTestLoader.loadTestsFromModule(module)))
        if job.tests is not None:
            by_name = {name_of(test): test for test in tests}
            tests = [by_name[name] for name in job.tests if name in by_name]
        record.list([name_of(test) for test in tests])
        unittest.TestSuite(tests).run(record)
    record.line(done=True)
    # Nothing that a test left behind may keep the process alive.
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":  # Not in processes that tests start.
    main()
