"""``pypm lock``."""

from __future__ import annotations

import json
import sys

import click

from pypm.cli.options import Common, common, world
from pypm.cli.render.report import diff_lines, lock_lines, say
from pypm.ops.lock import LockOptions, lock


@click.command()
@click.option(
    "--check", is_flag=True, help="Write nothing: exit 1 unless the lock is what the manifests give."
)
@click.option("--diff", "show_diff", is_flag=True, help="Write nothing: print what would change.")
@click.option("--dry-run", is_flag=True, help="Write nothing: say what would be done.")
@click.option("-U", "--upgrade", is_flag=True, help="Forget all pins: the newest versions that fit.")
@click.option("--upgrade-package", "upgrade_packages", multiple=True, metavar="NAME", help="Forget this pin.")
@click.option("--explain", metavar="NAME", help="Write nothing: say why NAME is locked at its version.")
@common
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
        return _explain(common, explain)
    with world(common) as here:
        report = lock(here, LockOptions(check, dry_run or show_diff, upgrade, upgrade_packages))
    if common.json:
        sys.stdout.write(json.dumps(report.to_json(), sort_keys=True) + "\n")
    elif show_diff:
        sys.stdout.write("".join(f"{line.strip()}\n" for line in diff_lines(report.diff)))
    elif not common.quiet:
        for line in ["pypm.lock is what the manifests give"] if check else lock_lines(report):
            say(line)
    return 0


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
