"""``pypm version``: with options; without, `pypm._entry` answers."""

from __future__ import annotations

import json
import platform
import sys

from pypm._verbs import VERSION
from pypm.cli.arguments import verb
from pypm.cli.options import COMMON, Common


@verb(COMMON)
def command(common: Common) -> int:
    """Print pypm's version; with --json or -v also what it runs on."""
    facts = {"version": VERSION, "python": platform.python_version(), "executable": sys.executable}
    if common.json:
        sys.stdout.write(json.dumps(facts, sort_keys=True) + "\n")
    elif common.verbose:
        sys.stdout.write(f"pypm {VERSION} on Python {facts['python']} ({facts['executable']})\n")
    else:
        sys.stdout.write(f"pypm {VERSION}\n")
    return 0
