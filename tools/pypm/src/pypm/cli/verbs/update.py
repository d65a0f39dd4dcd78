"""``pypm update``."""

from __future__ import annotations

from pypm.cli.arguments import argument, option, verb
from pypm.cli.options import COMMON, Common, world
from pypm.cli.updating import CHANGE, show
from pypm.ops.update import UpdateOptions, update


@verb(
    argument("names", required=False, many=True),
    option("--latest", help="Rewrite requirements that keep the newest release out."),
    option(
        "-p",
        "--member",
        name="members",
        metavar="NAME",
        many=True,
        help="Only what this member asks for itself (repeatable); with --latest, its requirements.",
    ),
    *CHANGE,
    COMMON,
)
def command(
    common: Common,
    names: tuple[str, ...],
    latest: bool,
    members: tuple[str, ...],
    no_sync: bool,
    dry_run: bool,
) -> int:
    """Raise the locked versions as far as the manifests allow, and sync: all of them, or those of NAMES.

    What is not named moves only where it must.
    """
    with world(common) as here:
        report = update(here, UpdateOptions(names, members, latest, not no_sync, dry_run))
    show(common, report)
    return 0
