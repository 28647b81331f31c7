"""Succeeds in a Python that can import the packages of the tests: 3.11 or later, with ssl."""

import ssl  # noqa: F401
import sys

sys.exit(sys.version_info < (3, 11))
