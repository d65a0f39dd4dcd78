"""``pypm import``."""

from __future__ import annotations

import json
import sys

from pypm.cli.arguments import argument, option, verb
from pypm.cli.options import COMMON, Common, world
from pypm.cli.render.report import say
from pypm.cli.render.style import style
from pypm.ops.counting import count
from pypm.ops.import_ import ImportOptions, ImportReport, import_


@verb(
    argument("file", required=False),
    option("--force", help="Although there is a pypm.lock: prefer the imported versions."),
    option("--dry-run", help="Write nothing: say what would be done."),
    option(
        "--allow-build",
        metavar="NAME",
        many=True,
        help="Let NAME be built from its sdist (repeatable): pypm-workspace.toml then says so.",
    ),
    COMMON,
)
def command(
    common: Common, file: str | None, force: bool, dry_run: bool, allow_build: tuple[str, ...]
) -> int:
    """Make another tool's project pypm's, with the versions it had.

    FILE is a uv.lock, poetry.lock, pdm.lock, Pipfile.lock, pylock.toml, Pipfile or requirements file;
    without it the folder is searched. The manifest is converted where it must be, and locked with the
    pinned versions where they fit. Projects below that it depends on by path, or that are there where
    the folder has none itself, become members of one workspace. What could not be carried over is told.
    """
    with world(common) as here:
        report = import_(here, ImportOptions(file, force, dry_run, allow_build))
    if common.json:
        sys.stdout.write(json.dumps(report.to_json(), sort_keys=True) + "\n")
    elif not common.quiet:
        for line in _lines(report):
            say(line)
    return 0


def _lines(report: ImportReport) -> list[str]:
    lines = [f"Read {', '.join(report.read)}"]
    if report.written:
        lines.append(f"{'Would write' if report.dry_run else 'Wrote'} {', '.join(report.written)}")
    if report.kept or report.moved:
        total = report.kept + len(report.moved)
        lines.append(f"Kept {report.kept} of {count(total, 'pinned version')}")
    for each in report.moved:
        change = f"{', '.join(each.pinned)} -> {', '.join(each.locked)}"
        why = f" ({each.reason})" if each.reason else ""
        lines.append(f"  {style('~', 'yellow')} {each.name} {change}{why}")
    if report.lost:
        lines.append(f"Not carried over as it was ({len(report.lost)}):")
        lines += [f"  {each}" for each in report.lost]
    return lines
