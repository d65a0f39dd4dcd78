"""Reports as a person reads them: to stderr, because stdout carries data."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pypm.cli.render.style import SHOWN, style
from pypm.ops.counting import count
from pypm_model.names import ROOT

if TYPE_CHECKING:
    from pypm.cli.options import Common
    from pypm.ops.lock import LockReport
    from pypm.ops.synced import Environment, MembersReport, SyncReport
    from pypm_model.lock_changes import Change, LockDiff


def say(text: str) -> None:
    """One line to stderr."""
    sys.stderr.write(text + "\n")


def lock_lines(report: LockReport, *, every: bool = False) -> list[str]:
    """What became of the lock; with *every* change, however many there are."""
    size = f"{count(report.packages, 'package')}, {count(report.members, 'member')}"
    if not report.changed:
        return [f"{report.file} is up to date: {size}"]
    if report.dry_run:
        verb = "Would lock" if report.created else "Would relock"
    else:
        verb = "Locked" if report.created else "Relocked"
    return [f"{verb} {size}", *diff_lines(report.diff, every=every)]


def show_sync(common: Common, report: SyncReport | MembersReport) -> None:
    """Tells what a sync did."""
    if common.json:
        sys.stdout.write(json.dumps(report.to_json(), sort_keys=True) + "\n")
    elif not common.quiet:
        wrote = report.lock_changed and not report.dry_run
        for file in (["pypm.lock"] if wrote else []) + list(report.exports):
            say(f"Wrote {file}")
        for name in report.plugins:
            say(f"Fetched plugin {name}")
        if wrote and report.lock_diff and not (report.of_members or report.plan.recreate):
            for line in diff_lines(report.lock_diff, every=common.verbose):
                say(line)
        for line in sync_lines(report, every=common.verbose):
            say(line)


def diff_lines(diff: LockDiff, *, every: bool = False) -> list[str]:
    """Versions that came, went and changed; unless *every* is wanted, not more than can be read."""
    changes = [change for change in (*diff.added, *diff.removed, *diff.changed) if change.name != ROOT]
    changes.sort(key=lambda change: change.name)
    shown = changes if every else changes[:SHOWN]
    lines = [_coloured(change) for change in shown]
    if len(changes) > len(shown):
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


def sync_lines(report: SyncReport | MembersReport, *, every: bool = False) -> list[str]:
    """What was done to the environment, or to those of members; the first line says it in short. *every*
    step is told if that is wanted, else not more than can be read."""
    if report.of_members:
        return _members_lines(report.environments, report.dry_run, every)
    where = f"{report.environment} (Python {report.python})"
    if report.plan.is_empty:
        return [_nothing(report.packages, where)]
    return _environment_lines(where, report.plan.to_json(), report.dry_run, every)


def _members_lines(environments: Sequence[Environment], dry_run: bool, every: bool) -> list[str]:
    changed = [one for one in environments if not one.is_unchanged]
    where = {one.folder: f"{one.folder} (Python {one.python})" for one in environments}
    if len(environments) == 1:
        (one,) = environments
        if not changed:
            return [_nothing(one.packages, where[one.folder])]
        return _environment_lines(where[one.folder], one.summary, dry_run, every)
    if not changed:
        return [f"Nothing to do: {count(len(environments), 'environment')} of members"]
    verb = "Would sync" if dry_run else "Synced"
    same = len(environments) - len(changed)
    head = f"{verb} {count(len(changed), 'environment')}{f', {same} unchanged' if same else ''}"
    lines = [head]
    for one in changed:
        lines.append(f"  {where[one.folder]}: {_done(one.summary)}")
        lines += [f"  {step}" for step in _steps(one.summary)] if every else []
    return lines


def _nothing(packages: int, where: str) -> str:
    return f"Nothing to do: {count(packages, 'package')} in {where}"


def _environment_lines(where: str, summary: Mapping[str, Any], dry_run: bool, every: bool) -> list[str]:
    """*summary* is `Plan.to_json`."""
    lines = [f"{'Would sync' if dry_run else 'Synced'} {where}: {_done(summary)}"]
    steps = list(_steps(summary))
    shown = steps if dry_run or every else steps[:SHOWN]
    lines += shown
    if len(steps) > len(shown):
        lines.append(f"  ... and {len(steps) - len(shown)} more")
    return lines


def _anew(summary: Mapping[str, Any]) -> str:
    """Why the environment that was there is no more."""
    reason = summary["recreate"]
    return f"; made anew: {reason}" if reason and reason != "there is none" else ""


def _modes(summary: Mapping[str, Any]) -> str:
    """How many members are editable now and were not, or the other way round."""
    changed = [step for step in summary["install"] if step["replaces"]]
    now = sum(step["editable"] and not step["replaces-editable"] for step in changed)
    no_more = sum(step["replaces-editable"] and not step["editable"] for step in changed)
    told = [f"{now} now editable"] if now else []
    told += [f"{no_more} no longer editable"] if no_more else []
    return f" ({', '.join(told)})" if told else ""


def _done(summary: Mapping[str, Any]) -> str:
    counts = summary["counts"]
    words = (("installed", "install"), ("updated", "update"), ("removed", "remove"), ("kept", "keep"))
    done = ", ".join(f"{counts[key]} {word}" for word, key in words if counts[key]) or "no packages"
    return f"{done}{_modes(summary)}{_anew(summary)}"


def _steps(summary: Mapping[str, Any]) -> Iterable[str]:
    for step in summary["install"]:
        version = f"{step['version']}{' (editable)' if step['editable'] else ''}".strip()
        if step["replaces"]:
            olds, was = ", ".join(step["replaces"]), step["replaces-editable"]
            if (olds, was) == (step["version"], step["editable"]):
                change = f"{olds} ({'editable, ' if was else ''}again)"
            else:
                change = f"{olds}{' (editable)' if was and not step['editable'] else ''} -> {version}"
            yield f"  {style('~', 'yellow')} {step['name']} {change}"
        else:
            yield f"  {style('+', 'green')} {step['name']} {version}".rstrip()
    for gone in summary["remove"]:
        yield f"  {style('-', 'red')} {gone['name']} {gone['version']}"
