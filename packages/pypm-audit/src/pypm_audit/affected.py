"""Whether a version is affected, and which versions are fixed: OSV's evaluation, with PEP 440's order."""

from __future__ import annotations

from collections.abc import Sequence

from pypm_audit.advisories import Advisory, Affected, Event
from pypm_model import versions
from pypm_model.names import NormalizedName
from pypm_model.versions import InvalidVersion, sort_key

_turn = {"fixed": 0, "introduced": 1, "last_affected": 2}
"""Of events at one version: what is fixed there and introduced again is affected."""


def is_affected(advisory: Advisory, name: NormalizedName, version: str) -> bool:
    """Whether *advisory*, if it holds, is about *version* of the package *name*.

    A local version (``1.0+cpu``) is a build of its public version and is affected with it, unless the record
    speaks of local versions itself. Of a version that is none (PEP 440) only the spelling is compared.
    """
    return any(each.name == name and _covers(each, version) for each in advisory.affected)


def fixed_versions(advisory: Advisory, name: NormalizedName, version: str) -> tuple[str, ...]:
    """Versions above *version*, ascending, in which *advisory* says the fault is gone."""
    try:
        own = sort_key(version)
    except InvalidVersion:
        return ()
    found: dict[str, str] = {}
    for affected in advisory.affected:
        for events in affected.ranges if affected.name == name else ():
            for event in events:
                if event.kind == "fixed" and (key := sort_key(event.version)) > own:
                    found.setdefault(key, event.version)
    return tuple(found[key] for key in sorted(found) if not is_affected(advisory, name, found[key]))


def _covers(affected: Affected, version: str) -> bool:
    if version in affected.versions:
        return True
    try:
        parsed = versions.parse(version)
    except InvalidVersion:
        return False
    own, public = versions.key_of(parsed), versions.public_key(parsed)
    keys = {own, public}
    if any(_key(listed) in keys for listed in affected.versions):
        return True
    return any(
        _in_range(events, own if any("+" in event.version for event in events) else public)
        for events in affected.ranges
    )


def _key(version: str) -> str:
    """The sort key; of what is no version something that is none."""
    try:
        return sort_key(version)
    except InvalidVersion:
        return f"?{version}"


def _in_range(events: Sequence[Event], key: str) -> bool:
    limits = [_bound(event) for event in events if event.kind == "limit"]
    if limits and not any(key < limit for limit in limits):
        return False
    found = False
    ordered = sorted((_bound(event), _turn[event.kind]) for event in events if event.kind != "limit")
    for bound, turn in ordered:
        if key < bound:
            break
        if turn == _turn["introduced"]:
            found = True
        elif turn == _turn["fixed"] or key > bound:
            found = False
    return found


def _bound(event: Event) -> str:
    """The key of an event; below all versions for the first of all."""
    return "" if event.version == "0" and event.kind == "introduced" else sort_key(event.version)
