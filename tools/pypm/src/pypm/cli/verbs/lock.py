"""``pypm lock``."""

from __future__ import annotations

import json
import sys

from pypm.cli.arguments import UsageError, option, verb
from pypm.cli.options import COMMON, Common, world
from pypm.cli.render.annotations import annotated
from pypm.cli.render.errors import render_error
from pypm.cli.render.report import diff_lines, lock_lines, say
from pypm.ops.lock import LockOptions, lock
from pypm.ops.lock import check as check_lock
from pypm.ops.world import truth


@verb(
    option("--check", help="Write nothing: exit 1 unless the lock is what the manifests give."),
    option("--diff", name="show_diff", help="Write nothing: print what would change."),
    option("--dry-run", help="Write nothing: say what would be done."),
    option("-U", "--upgrade", help="Forget all pins: the newest versions that fit."),
    option("--upgrade-package", name="upgrade_packages", many=True, metavar="NAME", help="Forget this pin."),
    option("--explain", metavar="NAME", help="Write nothing: say why NAME is locked at its version."),
    COMMON,
)
def command(
    common: Common,
    check: bool,
    show_diff: bool,
    dry_run: bool,
    upgrade: bool,
    upgrade_packages: tuple[str, ...],
    explain: str | None,
) -> int:
    """Write pypm.lock: one universal lock for all members.

    Pins of the old lock are kept while they fit. The file is touched only if its content changes.
    """
    if explain is not None:
        if check or show_diff or dry_run or upgrade or upgrade_packages:
            raise UsageError("--explain goes with no other option of `lock`")
        return _explain(common, explain)
    if check:
        if show_diff or dry_run or upgrade or upgrade_packages:
            raise UsageError("--check goes with no other option of `lock`")
        return _check(common)
    with world(common) as here:
        report = lock(here, LockOptions(dry_run or show_diff, upgrade, upgrade_packages))
    if common.json:
        sys.stdout.write(json.dumps(report.to_json(), sort_keys=True) + "\n")
    elif show_diff:
        sys.stdout.write("".join(f"{line.strip()}\n" for line in diff_lines(report.diff)))
    elif not common.quiet:
        for line in lock_lines(report):
            say(line)
        for file in report.exports:
            say(f"Wrote {file}")
    return 0


def _check(common: Common) -> int:
    with world(common) as here:
        report = check_lock(here)
    if common.json:
        sys.stdout.write(json.dumps(report.to_json(), sort_keys=True) + "\n")
    elif report.problem is not None:
        if truth(here.environ.get("GITHUB_ACTIONS", "")):
            for line in annotated(report.problem, report.root, here.environ):
                sys.stdout.write(line + "\n")
            sys.stdout.flush()
        sys.stderr.write(render_error(report.problem))
    elif not common.quiet:
        say(f"{report.file} is what the manifests give")
    return 0 if report.problem is None else 1


def _explain(common: Common, name: str) -> int:
    from pypm.cli.render.explanation import explanation_lines
    from pypm.ops.lock_explain import explain_lock

    with world(common) as here:
        explanation = explain_lock(here, name)
    if common.json:
        sys.stdout.write(json.dumps(explanation.to_json(), sort_keys=True) + "\n")
    else:
        sys.stdout.write("".join(f"{line}\n" for line in explanation_lines(explanation)))
    return 0
