"""What ``update`` and ``dedupe`` share: their options, and how the result is told."""

from __future__ import annotations

import json
import sys

from pypm.cli.arguments import option
from pypm.cli.options import Common
from pypm.cli.render.report import diff_lines, say, sync_lines
from pypm.ops.update import UpdateReport

CHANGE = (
    option("--no-sync", help="Edit and lock only."),
    option("--dry-run", help="Write nothing: say what would change."),
)


def show(common: Common, report: UpdateReport) -> None:
    """Tells what was done."""
    if common.json:
        data = {
            "written": [
                {"file": each.file, "requirement": each.requirement}
                | ({"catalog": True} if each.catalog else {})
                for each in report.written
            ],
            "changed": report.is_new,
            "lock-diff": report.diff.to_json(),
            "sync": report.sync.to_json() if report.sync else None,
            "dry-run": report.dry_run,
        } | ({"exports": list(report.exports)} if report.exports else {})
        sys.stdout.write(json.dumps(data, sort_keys=True) + "\n")
        return
    if common.quiet:
        return
    for each in report.written:
        where = " in [catalog], for all who ask for the bare name" if each.catalog else ""
        say(f"{each.file}: {each.requirement}{where}{' (not written)' if report.dry_run else ''}")
    for line in diff_lines(report.diff) or [_same_versions(report)]:
        say(line)
    for file in report.exports:
        say(f"Wrote {file}")
    if report.sync is not None:
        say(sync_lines(report.sync)[0])


def _same_versions(report: UpdateReport) -> str:
    if not report.is_new:
        return "Nothing to change: pypm.lock stays as it is"
    return f"No version changes: {'would write' if report.dry_run else 'wrote'} pypm.lock anew"
