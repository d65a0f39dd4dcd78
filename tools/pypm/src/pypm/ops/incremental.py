"""A lock that fits but for an edit, brought up to date without moving what was not edited (decision 0052).

Where this machine has resolved the lock, which is noted by a digest of its text, only the edit is resolved. A
lock that comes from elsewhere may have been put together by lines, of what does not go together: there
everything is resolved, once, and what the edit gives is taken if it stands the check. So both give the same.
An edit that does more than add to a lock or take from it is resolved with everything else.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from pypm._recipe import own_content
from pypm._verbs import VERSION
from pypm.ops.remembered import keep
from pypm.ops.tools import Tools
from pypm_model.digests import of_text
from pypm_model.errors import PypmError
from pypm_model.events import Finished, Started, Warned
from pypm_model.facts import Fact
from pypm_model.freshness import Stale
from pypm_model.later import later
from pypm_model.locks import Lock
from pypm_model.records import record
from pypm_model.requests import Request
from pypm_model.resolutions import Resolution
from pypm_resolver.incremental import joined, rest_of
from pypm_resolver.verify import verify
from pypm_store.atomic import make_room

if TYPE_CHECKING:
    from pypm.ops import resolving
    from pypm_index.catalog import Catalog
    from pypm_model import lock_soundness
else:
    lock_soundness = later("pypm_model.lock_soundness")
    resolving = later("pypm.ops.resolving")


@record
class Edit:
    """What is asked now, of a workspace that has a lock."""

    lock: Lock
    reasons: tuple[Stale, ...]
    """All the differences between the two; at least one."""
    request: Request


FOLDER = "resolved"
"""In the store."""
_MOST = 64
"""Locks that are remembered on a machine."""


def is_resolved(tools: Tools, text: str) -> bool:
    """Whether *text* is a lock that this machine has resolved, in whatever folder."""
    return own_content(_place(tools, text), 0) is not None


def note_resolved(tools: Tools, text: str) -> None:
    """Remembers that *text* is what resolving has given."""
    place = _place(tools, text)
    with suppress(OSError):
        place.parent.mkdir(exist_ok=True)
        make_room(place.parent, _MOST)
        keep(place, b"", mode=0o600)


def _place(tools: Tools, text: str) -> Path:
    return tools.store.path / FOLDER / of_text(f"{VERSION}\0{text}")[:40]


def extended(tools: Tools, edit: Edit) -> Resolution | None:
    """The resolution of what is asked now that has all of the lock that is still needed, as it is, and what
    the edit asks for besides; None if there is none of that kind. Packages that the lock has keep their
    files. The lock has to be one that this machine has resolved."""
    listener = tools.world.listener
    listener(Started("resolve"))
    found = _on_top(tools.catalog, edit)
    if found is None:
        return None
    resolution, facts = found
    tools.retained.consulted = tuple(dict.fromkeys(fact.key for fact in facts))
    for warning in resolution.warnings:
        listener(Warned("resolution", warning))
    listener(Finished("resolve"))
    return resolution


def confirmed(tools: Tools, edit: Edit, whole: Resolution, facts: Iterable[Fact]) -> Resolution:
    """What `extended` gives on a machine that has resolved the lock, if by all that is known it is right, or
    else *whole*, for which *facts* were needed. So nothing hangs on which locks a machine has resolved."""
    found = None if lock_soundness.flaw(edit.lock) else _on_top(tools.catalog, edit)
    if found is None or verify(edit.request, found[0], [*facts, *found[1]]):
        return whole
    return found[0]


def _on_top(catalog: Catalog, edit: Edit) -> tuple[Resolution, list[Fact]] | None:
    lock, request = edit.lock, edit.request
    if not all(
        file.size is not None and file.uploaded and file.path for p in lock.packages for file in p.files
    ):
        return None  # what its index did not say, another one may (decision 0034)
    rest = rest_of(lock, edit.reasons, request)
    if rest is None:
        return None
    try:
        found, facts = resolving.attempt(rest.request, catalog) if rest.asks else (None, [])
        resolution = joined(lock, request, rest, found) if found or not rest.asks else None
    except PypmError:
        return None  # the whole tells why
    return None if resolution is None else (resolution, facts)
