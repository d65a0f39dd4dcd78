"""Why a package is locked at its version, as people read it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pypm.cli.render.regions import in_words
from pypm.cli.render.style import style
from pypm_model.markers import describe, parse

if TYPE_CHECKING:
    from pypm.ops.lock_explain import Entry, Explanation

CHANGES = 10
"""Other versions shown of those that the newest version would bring."""
PASSED = 3
"""Newer versions that do not count, shown."""


def explanation_lines(explanation: Explanation) -> Iterator[str]:
    """The lines for every locked version."""
    for entry in explanation.entries:
        head = f"{explanation.name} {entry.version}".rstrip()
        yield f"{head}{in_words(entry.whom, entry.region)}"
        splits = [describe(parse(split)) for split in entry.splits if not _is_whom(entry, split)]
        if splits != [entry.region]:
            yield from (f"  in the region: {split}" for split in splits)
        yield from _entry(explanation.name, entry)


def _is_whom(entry: Entry, split: str) -> bool:
    """Whether *split* parts members, which the first line says in words."""
    return bool(entry.whom) and "dependency_groups" in split


def _entry(name: str, entry: Entry) -> Iterator[str]:
    if not entry.newest:
        member = entry.source == "member"
        yield "  is a member of this workspace" if member else "  comes from a source of its own"
        return
    if entry.is_newest:
        yield f"  is the newest version on {entry.source}"
    else:
        yield f"  the newest version on {entry.source} is {entry.newest}"
    if entry.gap:
        yield f"  {name} {entry.version} has no file that can be used {entry.gap}"
    for passed in entry.passed_over[:PASSED]:
        yield f"  {passed}"
    if len(entry.passed_over) > PASSED:
        yield f"  ... and {len(entry.passed_over) - PASSED} more that do not count"
    if entry.kept:
        yield (f"  kept by the lock: `pypm lock --upgrade-package {name}` moves it to {entry.kept}")
    held = [holder for holder in entry.holders if not holder.allows]
    if held and not entry.is_newest and entry.kept != entry.newest:
        yield "  held back by"
        for holder in held:
            yield f"    {holder}"
            if holder.place is not None:
                yield f"        {style(str(holder.place), 'blue')}"
    if entry.conflict and not _is_told(entry):
        yield f"  with {name} {entry.newest} {entry.conflict}:"
        for text, places in entry.story:
            yield f"    {text}"
            yield from (f"        {style(str(place), 'blue')}" for place in places)
    if entry.without_file:
        yield f"  {name} {entry.newest} has no file that can be used {entry.without_file}"
    if entry.changes:
        yield f"  {name} {entry.newest} could be had, but only with"
        yield from (f"    {change}" for change in entry.changes[:CHANGES])
        if len(entry.changes) > CHANGES:
            yield f"    ... and {len(entry.changes) - CHANGES} more"


def _is_told(entry: Entry) -> bool:
    """Whether the story says no more than who holds the package back."""
    told = {str(holder) for holder in entry.holders if not holder.allows}
    return {text for text, _ in entry.story} <= told
