"""What ``add`` and ``remove`` share: where to write, and how the result is told."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any, TypeVar

import click

from pypm.cli.options import Common
from pypm.cli.render.report import diff_lines, say, sync_lines
from pypm.ops.edit import EditReport
from pypm_workspace.edit import Target

F = TypeVar("F", bound=Callable[..., Any])

_OPTIONS = [
    click.option(
        "-p", "--member", "members", multiple=True, metavar="NAME", help="This member (repeatable)."
    ),
    click.option("--group", metavar="G", help="In this dependency group."),
    click.option("-D", "--dev", is_flag=True, help="In the group dev."),
    click.option("--extra", metavar="E", help="In this extra."),
    click.option("--no-sync", is_flag=True, help="Edit and lock only."),
    click.option("--dry-run", is_flag=True, help="Write nothing: say what would change."),
]


def edit_options(command: F) -> F:
    """Adds the options of both verbs."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def target_of(group: str | None, dev: bool, extra: str | None) -> Target:
    """The list that is meant. Raises a usage error for two at once."""
    chosen = [name for name, given in (("--group", group), ("--dev", dev), ("--extra", extra)) if given]
    if len(chosen) > 1:
        raise click.UsageError(f"{' and '.join(chosen)} exclude each other")
    if extra:
        return Target("extra", extra)
    if group or dev:
        return Target("group", group or "dev")
    return Target()


def show(common: Common, report: EditReport, sign: str, dry_run: bool) -> None:
    """Tells what was done."""
    if common.json:
        data = {
            "written": [{"file": file, "requirement": text} for file, text in report.written],
            "lock-diff": report.diff.to_json(),
            "sync": report.sync.to_json() if report.sync else None,
            "dry-run": dry_run,
        }
        sys.stdout.write(json.dumps(data, sort_keys=True) + "\n")
        return
    if common.quiet:
        return
    for file, text in report.written:
        say(f"{file}: {sign} {text}{' (not written)' if dry_run else ''}")
    for line in diff_lines(report.diff):
        say(line)
    if report.sync is not None:
        say(sync_lines(report.sync)[0])
