"""``pypm bundle``."""

from __future__ import annotations

import json
import sys

from pypm.cli.arguments import Group, argument, verb
from pypm.cli.options import COMMON, Common, world
from pypm.cli.render.report import say
from pypm.ops.bundle import verified
from pypm.ops.counting import count


@verb(argument("file"), COMMON)
def verify_command(common: Common, file: str) -> int:
    """Compare every file of a bundle, packed or unpacked, with its manifest. Exit 1 names what differs."""
    with world(common) as here:
        found = verified(here, file)
    if common.json:
        facts = {"file": file, "files": found.files, **found.manifest.facts}
        sys.stdout.write(json.dumps(facts, sort_keys=True) + "\n")
    elif not common.quiet:
        say(f"{file} is as it was made: {count(found.files, 'file')}")
    return 0


command = Group("Bundles that `pypm pypylock` makes.", {"verify": verify_command})
