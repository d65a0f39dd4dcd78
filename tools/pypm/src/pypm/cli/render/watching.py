"""What a watcher tells, as a person reads it: a line or two for each change."""

from __future__ import annotations

from collections.abc import Sequence

from pypm.cli.render.errors import render_error, render_unexpected, warn
from pypm.cli.render.report import say, sync_lines
from pypm.cli.render.style import style
from pypm.ops.counting import count
from pypm.ops.resident import Relocked
from pypm.ops.watch_events import (
    Advised,
    Locked,
    Mended,
    NotSynced,
    Stopped,
    Synced,
    TaskEnded,
    TaskStarted,
    Trouble,
    WatchEvent,
    Watching,
)
from pypm.ops.world import LOCK
from pypm_model.errors import PypmError
from pypm_model.names import ROOT
from pypm_model.sources import MemberSource

SHOWN = 5
"""Versions, members or files of a line before the rest is only counted."""


def show_event(event: WatchEvent) -> None:
    """Prints *event* to stderr."""
    match event:
        case Watching(root, folders):
            say(f"Watching {root} ({count(folders, 'folder')}); Ctrl-C ends it")
        case Locked(done):
            for line in _locked(done):
                say(line)
        case Trouble(error) | NotSynced(error):
            _show_error(error)
        case Mended(error):
            code = error.code if isinstance(error, PypmError) else "error"
            say(f"{style('Mended', 'green')}: {code}, {_short(error)}")
        case Synced(report):
            if not report.is_unchanged:
                for line in sync_lines(report):
                    say(line)
        case TaskStarted(task):
            say(f"{style('>', 'dim')} {task}")
        case TaskEnded(task, code, stopped):
            word = "stopped" if stopped else "done" if code == 0 else f"failed with {code}"
            say(f"{style('>', 'dim')} {task} {style(word, 'green' if code == 0 else 'yellow')}")
        case Advised(code, message):
            warn(code, message)
        case Stopped():
            say("Stopped")


def _show_error(error: Exception) -> None:
    text = render_error(error) if isinstance(error, PypmError) else render_unexpected(error)
    for line in text.rstrip("\n").split("\n"):
        say(line)


def _short(error: Exception) -> str:
    parts = error.parts if isinstance(error, PypmError) else ()
    return " ".join(str(parts[0] if parts else error).split())


def _locked(done: Relocked) -> list[str]:
    """What became of the lock, and for whom."""
    diff = done.diff
    changes = [each for each in (*diff.added, *diff.removed, *diff.changed) if each.name != ROOT]
    changes.sort(key=lambda change: change.name)
    took = style(f"({done.seconds * 1000:.0f} ms)", "dim")
    if done.locked.old_text is None:
        lock = done.locked.lock
        packages = sum(1 for each in lock.packages if not isinstance(each.source, MemberSource))
        lines = [f"Locked {count(packages, 'package')}, {count(lock.member_count, 'member')} {took}"]
    elif not done.wrote:
        if done.foreign:
            head = f"{LOCK} was written by somebody else and fits"
        elif done.manifests:
            head = f"{LOCK} fits as it is: {_few(done.manifests)} changed"
        else:
            head = f"{LOCK} is up to date"
        lines = [_with(head, changes) + f" {took}"]
    elif changes:
        lines = [_with("Relocked", changes) + f" {took}"]
    else:
        asked = sorted({each.member or "the workspace" for each in done.locked.stale})
        lines = [f"Relocked: the same versions{f', {_few(asked)} changed' if asked else ''} {took}"]
    if done.locked.old_text is not None and diff.members:
        members = [name for name, _ in diff.members if name != ROOT]
        lines += [f"  for {_few(members)}"] if members else []
    return [*lines, *(f"Wrote {file}" for file in done.exports)]


def _with(head: str, changes: Sequence[object]) -> str:
    return f"{head}: {_few([str(change) for change in changes])}" if changes else head


def _few(texts: Sequence[str]) -> str:
    more = f" and {len(texts) - SHOWN} more" if len(texts) > SHOWN else ""
    return ", ".join(texts[:SHOWN]) + more
