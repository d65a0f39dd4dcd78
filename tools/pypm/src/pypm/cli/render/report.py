"""Reports as a person reads them: to stderr, because stdout carries data."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

from pypm.cli.render.style import style
from pypm.ops.counting import count
from pypm_model.lock_diff import Change, LockDiff
from pypm_model.names import ROOT

if TYPE_CHECKING:
    from pypm.ops.lock import LockReport
    from pypm.ops.sync import SyncReport
    from pypm_env.plan import Plan

SHOWN = 40
"""Lines of a list before the rest is only counted."""


def say(text: str) -> None:
    """One line to stderr."""
    sys.stderr.write(text + "\n")


def lock_lines(report: LockReport) -> list[str]:
    """What became of the lock."""
    size = f"{count(report.packages, 'package')}, {count(report.members, 'member')}"
    if not report.changed:
        return [f"{report.file} is up to date: {size}"]
    if report.dry_run:
        verb = "Would lock" if report.created else "Would relock"
    else:
        verb = "Locked" if report.created else "Relocked"
    return [f"{verb} {size}", *diff_lines(report.diff)]


def diff_lines(diff: LockDiff) -> list[str]:
    """Versions that came, went and changed."""
    changes = [change for change in (*diff.added, *diff.removed, *diff.changed) if change.name != ROOT]
    changes.sort(key=lambda change: change.name)
    lines = [_coloured(change) for change in changes[:SHOWN]]
    if len(changes) > SHOWN:
        lines.append(f"  ... and {len(changes) - SHOWN} more")
    return lines


def touched_lines(diff: LockDiff) -> list[str]:
    """For each member that versions changed for, in one line which: ``api: httpx, idna``."""
    lines = []
    for member, names in diff.members:
        more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
        lines.append(f"{member}: {', '.join(names[:SHOWN])}{more}")
    return lines


def _coloured(change: Change) -> str:
    text = str(change)
    colour = {"+": "green", "-": "red", "~": "yellow"}[text[0]]
    return f"  {style(text[0], colour)}{text[1:]}"


def sync_lines(report: SyncReport) -> list[str]:
    """What was done to the environment."""
    plan = report.plan
    where = f"{report.environment} (Python {report.python})"
    if plan.is_empty:
        return [f"Nothing to do: {count(report.packages, 'package')} in {where}"]
    verb = "Would sync" if report.dry_run else "Synced"
    done = ", ".join(f"{number} {word}" for word, number in _words(plan) if number)
    lines = [f"{verb} {where}: {done or 'made anew'}"]
    if plan.recreate and plan.recreate != "there is none":
        lines.append(f"  made anew: {plan.recreate}")
    steps = list(_steps(plan))
    shown = steps if report.dry_run else steps[:SHOWN]
    lines += shown
    if len(steps) > len(shown):
        lines.append(f"  ... and {len(steps) - len(shown)} more")
    return lines


def _words(plan: Plan) -> list[tuple[str, int]]:
    counts = plan.counts
    return [
        ("installed", counts["install"]),
        ("updated", counts["update"]),
        ("removed", counts["remove"]),
        ("kept", counts["keep"]),
    ]


def _steps(plan: Plan) -> Iterable[str]:
    for step in plan.install:
        version = f"{step.dist.version}{' (editable)' if step.dist.editable else ''}".strip()
        if step.replaces:
            olds = ", ".join(old.dist.version for old in step.replaces)
            change = f"{version} (again)" if olds == version else f"{olds} -> {version}"
            yield f"  {style('~', 'yellow')} {step.dist.name} {change}"
        else:
            yield f"  {style('+', 'green')} {step.dist.name} {version}"
    for gone in plan.remove:
        yield f"  {style('-', 'red')} {gone.installed.name} {gone.installed.dist.version}"
