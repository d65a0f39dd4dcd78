"""``pypm licenses``."""

from __future__ import annotations

import json
import sys

from pypm.cli.arguments import option, verb
from pypm.cli.looking import COULD_NOT_LOOK, looked
from pypm.cli.options import COMMON, Common, world
from pypm.cli.render.report import say
from pypm.ops.licenses import LicensesOptions, LicensesReport, licenses


@verb(
    option("-p", "--member", name="members", metavar="NAME", many=True, help="Only what this member needs."),
    option("--no-groups", help="Without what only dependency groups ask for."),
    COMMON,
)
def command(common: Common, members: tuple[str, ...], no_groups: bool) -> int:
    """List the licence of every locked package, and find fault with those that the workspace does not let in.

    Licences are SPDX expressions. What is not stated as one is mapped only where it can mean one thing, and
    that is told: by License, by classifiers. [licenses] in pypm-workspace.toml says with `allow`, `deny` and
    `exceptions` what may be used. With -v each package is told with how it comes into each member, with -q
    findings alone. Exit 1 if there are findings, 2 if it could not be looked.
    """

    def look() -> LicensesReport:
        with world(common) as here:
            return licenses(here, LicensesOptions(members, not no_groups))

    report = looked(common, look)
    if report is None:
        return COULD_NOT_LOOK
    _tell(common, report)
    if report.findings:
        return 1
    return COULD_NOT_LOOK if report.has_rules and report.missing else 0


def _tell(common: Common, report: LicensesReport) -> None:
    from pypm.cli.render.licenses import finding_lines, note_lines, table_lines

    if common.json:
        sys.stdout.write(json.dumps(report.to_json(), sort_keys=True) + "\n")
        return
    lines = [] if common.quiet else list(table_lines(report, verbose=common.verbose))
    found = list(finding_lines(report, verbose=common.verbose))
    if lines and found:
        lines.append("")
    sys.stdout.write("".join(f"{line}\n" for line in [*lines, *found]))
    sys.stdout.flush()
    for line in note_lines(report, quiet=common.quiet):
        say(line)
