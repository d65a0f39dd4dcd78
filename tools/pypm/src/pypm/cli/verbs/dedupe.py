"""``pypm dedupe``."""

from __future__ import annotations

from pypm.cli.arguments import verb
from pypm.cli.options import COMMON, Common, world
from pypm.cli.updating import CHANGE, show
from pypm.ops.update import DedupeOptions, dedupe


@verb(*CHANGE, COMMON)
def command(common: Common, no_sync: bool, dry_run: bool) -> int:
    """Lock one version of a package where the lock has several and one of them can serve everywhere."""
    with world(common) as here:
        report = dedupe(here, DedupeOptions(not no_sync, dry_run))
    show(common, report)
    return 0
