"""A lock that fits but for an edit, brought up to date without moving what was not edited (decision 0052).

Only the edit is resolved; one that does more than add to a lock or take from it is resolved with everything
else. The lock's edges are believed where this machine has resolved it, which is noted by a digest of its
text. One that comes from elsewhere may have been put together by lines, of what does not go together: there
the outcome is checked by what all its packages say, as a resolution is. So both give the same.
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
from pypm_model.events import Finished, Listener, Started, Warned
from pypm_model.facts import Fact, Key, Listing, ListingKey, Metadata, MetadataKey
from pypm_model.freshness import Stale
from pypm_model.later import later
from pypm_model.locks import Lock, LockedPackage
from pypm_model.markers import TooComplex
from pypm_model.names import NormalizedName
from pypm_model.records import record
from pypm_model.requests import Request, asks_of
from pypm_model.resolutions import Resolution
from pypm_model.sources import GitSource, IndexSource, PathSource, UrlSource
from pypm_resolver.incremental import joined, rest_of
from pypm_resolver.verify import verify
from pypm_store.atomic import make_room

if TYPE_CHECKING:
    from pypm.ops import resolving
    from pypm.ops.resolving import Locate
else:
    resolving = later("pypm.ops.resolving")


@record
class Edit:
    """What is asked now, of a workspace that has a lock."""

    lock: Lock
    text: str
    """That it was read from."""
    reasons: tuple[Stale, ...]
    """All the differences between the two; at least one."""
    request: Request


FOLDER = "resolved"
"""In the store."""
_WARNED = b"warned"
"""Is noted of a lock in which there is something to warn of: that is to be told each time."""
_MOST = 64
"""Locks that are remembered on a machine."""


def note_resolved(tools: Tools, text: str, *, has_warned: bool = False) -> None:
    """Remembers that *text* is what resolving has given, or would."""
    place = _place(tools, text)
    with suppress(OSError):
        place.parent.mkdir(exist_ok=True)
        make_room(place.parent, _MOST)
        keep(place, _WARNED if has_warned else b"", mode=0o600)


def is_known(tools: Tools, text: str) -> bool:
    """Whether it is known of the lock *text* that it is right by what its packages say."""
    return _noted(tools, text) is not None


def _noted(tools: Tools, text: str) -> bytes | None:
    return own_content(_place(tools, text), len(_WARNED))


def _place(tools: Tools, text: str) -> Path:
    indexes = repr([(index.name, index.url, index.explicit) for index in tools.indexes.all])
    return tools.store.path / FOLDER / of_text("\0".join((VERSION, indexes, text)))[:40]


def extended(tools: Tools, edit: Edit, place: Locate) -> Resolution | None:
    """The resolution of what is asked now that has all of the lock that is still needed, as it is, and what
    the edit asks for besides; None if there is none of that kind. Packages that the lock has keep their
    files. Raises what the index raises, with the places of those who asked."""
    lock, request = edit.lock, edit.request
    noted = _noted(tools, edit.text)
    rest = rest_of(lock, edit.reasons, request) if noted != _WARNED else None
    if rest is None:
        return None
    listener = tools.world.listener
    listener(Started("resolve"))
    if noted is not None:
        tools.retained.written.know(lock, edit.text)  # for the lines that stay
    try:
        found, facts = resolving.attempt(rest.request, tools.catalog, place) if rest.asks else (None, [])
        resolution = joined(lock, request, rest, found) if found or not rest.asks else None
    except (TooComplex, resolving.UnsoundResolution):
        return None  # the whole may be less so
    if resolution is None or (noted is None and _flaw(tools, request, resolution, facts, warns=True)):
        return None
    tools.retained.consulted = tuple(dict.fromkeys(fact.key for fact in facts))
    for warning in resolution.warnings:
        listener(Warned("resolution", warning))
    warn_of_gaps(resolution, lock.packages, listener)
    listener(Finished("resolve"))
    return resolution


def warn_of_gaps(resolution: Resolution, locked: Iterable[LockedPackage], listener: Listener) -> None:
    """Says where versions have no file that were not *locked* before: of others it was said then."""
    if resolution.gaps:
        known = {(package.name, package.version) for package in locked}
        for gap in resolution.gaps:
            if (gap.name, gap.version) not in known:
                listener(Warned("resolution", f"{gap}: it cannot be installed there"))


def flaw(tools: Tools, text: str, lock: Lock, request: Request) -> str:
    """What is wrong with *lock*, which *text* reads as and which fits *request* by its text, by what its
    packages say; empty: nothing, or this machine has resolved it, or it cannot be found out, because no index
    can be asked or a package is from a source of its own."""
    if _noted(tools, text) is not None:
        return ""
    if any(isinstance(package.source, (PathSource, UrlSource, GitSource)) for package in lock.packages):
        note_resolved(tools, text)
        return ""
    try:
        found = _flaw(tools, request, Resolution(lock.packages, lock.splits), [], warns=False)
    except PypmError:
        return ""
    if not found:
        note_resolved(tools, text)
    return found


def _flaw(tools: Tools, request: Request, resolution: Resolution, facts: list[Fact], *, warns: bool) -> str:
    """What is wrong with *resolution*, or (*warns*) to be warned of, by what the indexes say of all its
    packages, which is added to *facts*; empty: nothing. Raises what the index raises."""
    pinned: dict[NormalizedName, set[str]] = {}
    sources = [(ask.requirement.name, ask.source) for ask in asks_of(request)]
    sources += [(provision.name, provision.source) for provision in request.provisions]
    for name, source in sources:
        if isinstance(source, IndexSource):
            pinned.setdefault(name, set()).add(source.index)
    served = [package for package in resolution.packages if isinstance(package.source, IndexSource)]
    asked: list[Key] = [ListingKey(package.name) for package in served]
    asked += [ListingKey(name, index) for name in sorted(pinned) for index in sorted(pinned[name])]
    facts += _told(tools, asked)
    listings = [fact for fact in facts if isinstance(fact, Listing)]
    first = {fact.name: fact.index for fact in listings if not fact.key.index}
    pages = {(fact.name, fact.index): fact for fact in listings}
    releases = []
    for package in served:
        assert isinstance(package.source, IndexSource)
        label, index = f"{package.name} {package.version}", package.source.index
        page = pages.get((package.name, index))
        if page is None or index not in {first.get(package.name), *pinned.get(package.name, ())}:
            return f"{label} is locked from {index}, which does not serve it now"
        if warns and (page.status not in ("", "active") or _is_yanked(page, package.version)):
            return f"{label} is {page.status or 'yanked'}"
        releases.append(MetadataKey(package.name, package.version, index))
    facts += _told(tools, releases)
    extras = {fact.key.name: fact.extras for fact in facts if isinstance(fact, Metadata)}
    for ask in asks_of(request) if warns else ():
        name, wanted = ask.requirement.name, ask.requirement.extras
        if name in extras and not set(wanted) <= set(extras[name]):
            return f"{name} has not all of the extras {', '.join(wanted)}"
    return next((str(violation) for violation in verify(request, resolution, facts)), "")


def _is_yanked(page: Listing, version: str) -> bool:
    return version in page.versions and bool(page.yanked >> page.versions.index(version) & 1)


def _told(tools: Tools, keys: Iterable[Key]) -> tuple[Fact, ...]:
    tools.catalog.request(dict.fromkeys(keys))
    return tools.catalog.wait()
