"""certifi: the certificates that --ca-bundle names, in place of its own.

Requests, httpx and others pass certifi.where() to OpenSSL. They would trust the certificates in that package and not
those that the user chose for the guest. Without --ca-bundle, certifi stays as it is.
"""

import os

# The host's copy of the file (host-runner/python/src/etc.rs). Without --ca-bundle it does not exist.
BUNDLE = "/etc/ssl/ca-bundle.pem"


def install(core):
    """Replace where() and contents() of certifi.core if --ca-bundle was given."""
    if not os.path.exists(BUNDLE):
        return

    def where():
        return BUNDLE

    def contents():
        with open(BUNDLE, encoding="ascii") as file:
            return file.read()

    core.where = where
    core.contents = contents
