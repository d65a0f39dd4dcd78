"""``pypm check``."""

from __future__ import annotations

import json
import sys

from pypm.cli.arguments import UsageError, argument, option, verb
from pypm.cli.options import COMMON, Common, world
from pypm.cli.render.annotations import annotation
from pypm.cli.render.report import say
from pypm.cli.render.style import style
from pypm.ops.check import CheckReport, check
from pypm.ops.check_fix import fix as mend
from pypm.ops.counting import count
from pypm.ops.world import truth


@verb(
    argument("checks", many=True, required=False),
    option("--fix", help="Add to manifests what is imported and not asked for, and lock."),
    option("--unused", help="With --fix: also take away what is asked for and not used."),
    COMMON,
)
def command(common: Common, checks: tuple[str, ...], fix: bool, unused: bool) -> int:
    """Check the workspace: boundaries, catalog, imports, lock, pythons, unused dependencies.

    Name some CHECKS to run only these. `imports`: what members import and do not ask for; `unused`: what
    they ask for and do not import; `pythons`: code that not every Python of a member runs. Exit 1 if there
    is an error, 2 if a package that may have what is imported could not be looked into. Without --fix
    nothing is written. Locked wheels that are not unpacked are fetched if an import hangs on them.
    """
    if unused and not fix:
        raise UsageError("--unused goes with --fix; `pypm check unused` shows what is not used")
    with world(common) as here:
        report = mend(here, checks, unused=unused) if fix else check(here, checks)
        on_github = truth(here.environ.get("GITHUB_ACTIONS", ""))
    if common.json:
        sys.stdout.write(json.dumps(report.to_json(), sort_keys=True) + "\n")
        return _code(report)
    if on_github:
        for _, finding in report.findings:
            line = annotation(
                finding.place, finding.message, finding.code, report.root, here.environ, level=finding.level
            )
            sys.stdout.write(line + "\n")
    colours = {"error": "red", "warning": "yellow"}
    for _, finding in report.findings:
        if finding.is_error or not common.quiet:
            head = style(finding.level, colours[finding.level])
            sys.stdout.write(f"{finding.place}: {head}[{finding.code}]: {finding.message}\n")
    sys.stdout.flush()
    if not common.quiet:
        for remedy in report.fixed:
            say(f"{remedy.file}: {'-' if remedy.removes else '+'} {remedy.requirement} in {remedy.table}")
        for remedy, error in report.refused:
            verb = "taken from" if remedy.removes else "added to"
            say(f"{remedy.file}: {remedy.requirement} is not {verb} {remedy.table}: {error}")
        if report.fixed:
            say("locked; `pypm sync` brings the environment along")
        say(_summary(report))
    return _code(report)


def _code(report: CheckReport) -> int:
    """What cannot be looked into is no clean bill."""
    return 1 if report.errors else 2 if report.open else 0


def _summary(report: CheckReport) -> str:
    checked = f"checked {', '.join(report.checks)}"
    warnings = len(report.findings) - report.errors
    counted = [count(n, noun) for n, noun in ((report.errors, "error"), (warnings, "warning")) if n]
    return f"{', '.join(counted) or 'nothing found'}; {checked}"
