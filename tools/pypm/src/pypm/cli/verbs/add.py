"""``pypm add``."""

from __future__ import annotations

from pypm.cli.arguments import UsageError, argument, option, verb
from pypm.cli.editing import EDIT, ORIGIN, SCRIPT, refuse_with_script, show, target_of
from pypm.cli.options import COMMON, Common, world
from pypm.ops.edit import EditOptions, add
from pypm.ops.script_edit import add_to_script
from pypm.ops.wanted import Origin


@verb(
    argument("requirements", many=True),
    option(
        "--bounds",
        choices=("lower", "exact", "none"),
        default="lower",
        help="What a bare name gets: >= the locked version (the default), == it, or nothing.",
    ),
    option("-E", "--exact", help="The same as --bounds exact."),
    option("--raw", help="Write requirements as they are: no bound, addresses in place."),
    ORIGIN,
    SCRIPT,
    *EDIT,
    COMMON,
)
def command(
    common: Common,
    requirements: tuple[str, ...],
    bounds: str,
    exact: bool,
    raw: bool,
    origin: Origin,
    script: str | None,
    members: tuple[str, ...],
    group: str | None,
    dev: bool,
    extra: str | None,
    no_sync: bool,
    dry_run: bool,
) -> int:
    """Add REQUIREMENTS to the member in the current folder (or -p), lock and sync.

    A requirement is a name with or without versions, 'NAME @ ADDRESS', a folder with a pyproject.toml,
    a wheel or an sdist. Where it comes from is written to [tool.pypm.sources] (to uv's table in a uv
    workspace). A bare name gets the locked version as its lower bound. Nothing is changed if the whole
    cannot be locked and synced. With --script it is written into that file.
    """
    if exact and bounds not in ("lower", "exact"):
        raise UsageError(f"--exact and --bounds {bounds} exclude each other")
    if raw and (exact or bounds != "lower"):
        raise UsageError("--raw and a bound exclude each other")
    if len(requirements) > 1 and (origin.git or origin.path or origin.url):
        raise UsageError("--git, --path and --url are for one requirement")
    options = EditOptions(
        requirements,
        members,
        target_of(group, dev, extra),
        bounds="exact" if exact else bounds,
        origin=origin,
        raw=raw,
        sync=not no_sync,
        dry_run=dry_run,
    )
    if script is not None:
        told = origin != Origin()
        refuse_with_script(member=members, group=group, dev=dev, extra=extra, index=told)
    with world(common) as here:
        report = add(here, options) if script is None else add_to_script(here, script, options)
    show(common, report, "+", dry_run)
    return 0
