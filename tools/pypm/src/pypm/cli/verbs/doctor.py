"""``pypm doctor``."""

from __future__ import annotations

import json
import sys

from pypm.cli.arguments import option, verb
from pypm.cli.options import COMMON, Common, world
from pypm.cli.render.report import say
from pypm.cli.render.style import style
from pypm.ops.counting import count
from pypm.ops.doctor.checks import CHECKS
from pypm.ops.doctor.examine import DoctorOptions, DoctorReport, doctor
from pypm.ops.doctor.finding import Finding

_COLOURS = {"ok": "green", "note": "yellow", "issue": "red", "unknown": "cyan"}


@verb(
    option(
        "-p",
        "--member",
        name="members",
        metavar="NAME",
        many=True,
        help="Only what this member needs (repeatable).",
    ),
    option("--only", metavar="CHECK", many=True, help="Only this check (repeatable)."),
    option("--skip", metavar="CHECK", many=True, help="Not this check (repeatable)."),
    option("--list", name="listing", help="Print the checks, and run none."),
    option("--fix", help="Do what is safe: rights of files, damage and leftovers of the store; look again."),
    COMMON,
)
def command(
    common: Common,
    members: tuple[str, ...],
    only: tuple[str, ...],
    skip: tuple[str, ...],
    listing: bool,
    fix: bool,
) -> int:
    """Look at the machine, the shell and the workspace, and say what will go wrong, with the fix to type.

    Each check says ok, note, issue, or unknown where it could not find out. The exit code is the number of
    issues, at most 125; notes never count, and a missing tool counts only if something here needs it.
    Without a workspace the machine alone is looked at. Nothing is changed without --fix.
    """
    if listing:
        return _list(json_wanted=common.json)
    with world(common) as here:
        report = doctor(here, DoctorOptions(only, skip, members, fix))
    if common.json:
        sys.stdout.write(json.dumps(report.to_json(), sort_keys=True) + "\n")
        return report.exit
    width = max((len(finding.name) for finding in report.findings), default=0)
    for finding in report.findings:
        if not common.quiet or finding.verdict == "issue":
            sys.stdout.write(_lines(finding, width))
    sys.stdout.flush()
    if not common.quiet:
        for finding in report.fixed:
            say(f"fixed {finding.name}: {finding.message}")
        say(_summary(report))
    return report.exit


def _lines(finding: Finding, width: int) -> str:
    verdict = style(f"{finding.verdict:<7}", _COLOURS[finding.verdict], sys.stdout)
    text = f"{verdict}  {finding.name:<{width}}  {finding.message}\n"
    return text + (
        f"{'':<{width + 11}}{style('fix', 'cyan', sys.stdout)}: {finding.fix}\n" if finding.fix else ""
    )


def _summary(report: DoctorReport) -> str:
    words = [count(report.count("issue"), "issue"), count(report.count("note"), "note")]
    if unknown := report.count("unknown"):
        words.append(f"{unknown} could not be found out")
    text = ", ".join(words)
    if report.left_out:
        text += f"; there is no workspace here: {count(len(report.left_out), 'check')} left out"
    safe = sum(finding.repair is not None for finding in report.findings)
    return text + (f"; `pypm doctor --fix` mends {safe}" if safe else "")


def _list(*, json_wanted: bool) -> int:
    if json_wanted:
        rows = [
            {"name": c.name, "group": c.group, "about": c.about, "workspace": c.of_workspace} for c in CHECKS
        ]
        sys.stdout.write(json.dumps(rows, sort_keys=True) + "\n")
        return 0
    width = max(len(check.name) for check in CHECKS)
    group = ""
    for check in CHECKS:
        if check.group != group:
            group = check.group
            sys.stdout.write(f"{style(group, 'bold', sys.stdout)}\n")
        sys.stdout.write(f"  {check.name:<{width}}  {check.about}\n")
    return 0
