"""Texts that say the same in another spelling: an edit that changes no meaning changes no line of a lock.

Blanks, quotes and parentheses of markers are gone when a text is made (`pypm_model.marker_text`). What
is left, the order of conditions or the side of a value, is only looked at where two texts differ: then
markers are compared by meaning, and what is in the lock stays.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from pypm_model import marker_text
from pypm_model.later import later
from pypm_model.locks import Lock, LockedPackage, LockSettings, Manifest
from pypm_model.marker_text import InvalidMarkerText
from pypm_model.names import NormalizedName
from pypm_model.records import replace

if TYPE_CHECKING:
    from pypm_model import markers
else:
    markers = later("pypm_model.markers")

_ASKS = ("constraints", "overrides")
"""Settings that are texts of requirements."""


def marker_texts(texts: Iterable[str]) -> tuple[str, ...]:
    """Markers of environments as a lock records them: normal texts, sorted, each once."""
    found = set()
    for text in texts:
        try:
            found.add(marker_text.normal(text))
        except InvalidMarkerText:
            found.add(text.strip())
    return tuple(sorted(found))


def same_environments(some: Iterable[str], others: Iterable[str]) -> bool:
    """Whether two lists of markers are of the same environments, one by one, however they are spelled."""
    one, other = marker_texts(some), marker_texts(others)
    return one == other or {*map(_meaning, one)} == {*map(_meaning, other)}


def kept_texts(before: Sequence[str], now: Sequence[str]) -> tuple[str, ...]:
    """The texts of requirements *now*, those in the spelling of *before* whose markers mean the same."""
    if tuple(before) == tuple(now):
        return tuple(now)
    gone = {text for text in before if ";" in text}.difference(now)
    if not gone:
        return tuple(now)
    spelled = {_said(text): text for text in sorted(gone, reverse=True)}
    known = set(before)
    return tuple(sorted({t if t in known or ";" not in t else spelled.get(_said(t), t) for t in now}))


def kept_manifest(before: Manifest, now: Manifest) -> Manifest:
    """*now*, its requirements in the spelling of *before* where they mean the same."""
    if before == now:
        return now
    return replace(
        now,
        dependencies=kept_texts(before.dependencies, now.dependencies),
        extras=_kept_tables(before.extras, now.extras),
        groups=_kept_tables(before.groups, now.groups),
    )


Tables = tuple[tuple[NormalizedName, tuple[str, ...]], ...]


def _kept_tables(before: Tables, now: Tables) -> Tables:
    known = dict(before)
    return tuple((name, kept_texts(known.get(name, ()), texts)) for name, texts in now)


def kept_settings(before: LockSettings, now: LockSettings) -> LockSettings:
    """*now*, its constraints and overrides in the spelling of *before* where they mean the same."""
    known = dict(before.values)
    return LockSettings(
        tuple(
            (key, kept_texts(old, value))
            if key in _ASKS and isinstance(value, tuple) and isinstance(old := known.get(key), tuple)
            else (key, value)
            for key, value in now.values
        )
    )


def kept_spelling(before: Lock, made: Lock) -> Lock:
    """The lock *made*, with what manifests and settings only spell otherwise now as *before* has it."""
    known = {(package.name, package.source): package for package in before.packages}
    return replace(
        made,
        environments=_kept(before.environments, made.environments),
        required_environments=_kept(before.required_environments, made.required_environments),
        settings=kept_settings(before.settings, made.settings),
        packages=tuple(
            _kept_package(known.get((package.name, package.source)), package) for package in made.packages
        ),
    )


def _kept_package(before: LockedPackage | None, made: LockedPackage) -> LockedPackage:
    if before is None:
        return made
    if made.manifest is not None and before.manifest is not None and made.manifest != before.manifest:
        return replace(made, manifest=kept_manifest(before.manifest, made.manifest))
    if made.requires != before.requires:
        return replace(made, requires=kept_texts(before.requires, made.requires))
    return made


def _kept(before: tuple[str, ...], now: tuple[str, ...]) -> tuple[str, ...]:
    return before if same_environments(before, now) else now


def _said(text: str) -> tuple[str, int | str, str]:
    """What the text of a requirement says: of two that say the same, this is equal."""
    head, _, rest = text.partition(";")
    marker, at, source = rest.partition(" @ ")
    return head, _meaning(marker.strip()), at + source


def _meaning(text: str) -> int | str:
    try:
        return markers.parse(text)
    except (markers.InvalidMarker, markers.TooComplex):
        return text
