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
            "written": [{"file": file, "requirement": text} for file, text in report.written],
            "lock-diff": report.diff.to_json(),
            "sync": report.sync.to_json() if report.sync else None,
            "dry-run": report.dry_run,
        }
        sys.stdout.write(json.dumps(data, sort_keys=True) + "\n")
        return
    if common.quiet:
        return
    for file, text in report.written:
        say(f"{file}: {text}{' (not written)' if report.dry_run else ''}")
    lines = diff_lines(report.diff)
    for line in lines or ["Nothing to change: pypm.lock stays as it is"]:
        say(line)
    if report.sync is not None:
        say(sync_lines(report.sync)[0])
