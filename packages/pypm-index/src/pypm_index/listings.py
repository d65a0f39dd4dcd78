"""The hot record of a project: its versions, and masks that speak of them, under a cut-off in time.

A listing depends on the cut-off only through which files are older: one made without a cut-off is
right under every cut-off that is later than the newest upload, which is most of them.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import lru_cache

from pypm_index import filenames
from pypm_index.counting import is_older
from pypm_index.releases import Releases, Tagged
from pypm_model import specifiers, versions
from pypm_model.facts import FileClass, Listing, ListingKey
from pypm_model.markers.coverage import atoms
from pypm_model.records import NamedTuple


class Dated(NamedTuple):
    """A listing, and how it hangs on time."""

    listing: Listing
    newest: str
    """The latest upload: the listing made without a cut-off is right under every later one. Above
    every time if files have no upload time."""
    undated: bool = False
    """Files without an upload time were left out because there is a cut-off."""


_LIKELY = 5
"""Versions: an older one is hardly ever chosen."""
UNDATED = "~"
"""Above every time."""


def listing(key: ListingKey, index: str, releases: Releases, cutoff: str = "") -> Dated:
    """The listing of *releases* on *index*, as the answer to *key*.

    *cutoff* is RFC 3339 in UTC with whole seconds, or empty. Under a cut-off a file without an upload
    time counts as too new: nothing shows that it is old, and that is what a cut-off is asked for.
    """
    prereleases = yanked = too_new = 0
    undated = False
    every = [light for files in releases.lights for _, light in files]
    uploads = [light[1] for light in every]
    newest = (max(uploads) if all(uploads) else UNDATED) if uploads else ""
    is_plain = not cutoff and all(light[3] is None for light in every)
    reasons: list[tuple[int, str]] = []
    classes: dict[tuple[str, str], int] = {}
    bit = 1
    # Two turns for every file of every page: written for few calls.
    for position, (sort_key, files) in enumerate(zip(releases.keys, releases.lights, strict=True)):
        # The end of the key of a version that is neither pre-, post- nor development release.
        if not sort_key.endswith("!f0z") and versions.is_prerelease(releases.versions[position]):
            prereleases |= bit
        if is_plain:
            # Nothing is yanked, and nothing too new: as it is with most projects.
            for tail, light in files:
                kind = light[2], tail
                classes[kind] = classes.get(kind, 0) | bit
            bit <<= 1
            continue
        kept: Collection[Tagged] = files
        some_yanked = any(light[3] is not None for _, light in files)
        if cutoff:
            old = [file for file in files if is_older(file[1][1], cutoff)]
            if len(old) < len(files):
                undated = undated or not all(light[1] for _, light in files)
            if not old:
                too_new |= bit
            # What is yanked is judged by the files that count; of a version that is wholly too new, by all.
            kept = old or files
        if some_yanked:
            counting, kept = kept, [file for file in kept if file[1][3] is None]
            if not kept:
                yanked |= bit
                kept = counting
                why = min([light[3] for _, light in counting if light[3]], default="")
                if why:
                    reasons.append((position, why))
        if not too_new & bit:
            for tail, light in kept:
                kind = light[2], tail
                classes[kind] = classes.get(kind, 0) | bit
        bit <<= 1
    merged: dict[FileClass, int] = {}
    for (requires_python, tail), mask in classes.items():
        kind_of_file = FileClass(
            _specifier(requires_python), _atoms(tail.removesuffix(".whl")) if tail else None
        )
        merged[kind_of_file] = merged.get(kind_of_file, 0) | mask
    found = Listing(
        key=key,
        name=key.name,
        index=index,
        versions=releases.versions,
        keys=releases.keys,
        prereleases=prereleases,
        yanked=yanked,
        too_new=too_new,
        classes=tuple(sorted(merged.items(), key=_class_order)),
        yank_reasons=tuple(reasons),
        status=releases.status,
    )
    return Dated(found, newest, undated)


def likely(found: Listing) -> tuple[str, ...]:
    """The versions that a resolution will most probably want the files of, newest first: the newest two,
    and, for those who support older Pythons, the newest with each Requires-Python."""
    good = found.all & ~(found.yanked | found.too_new | found.prereleases) or found.all
    by_python: dict[str, int] = {}
    for kind, mask in found.classes:
        by_python[kind.requires_python] = by_python.get(kind.requires_python, 0) | mask
    newest = good.bit_length() - 1
    wanted = {newest, (good & ~(1 << newest)).bit_length() - 1} if good else set()
    wanted.update((mask & good).bit_length() - 1 for mask in by_python.values())
    chosen = sorted(wanted - {-1}, reverse=True)[:_LIKELY]
    return tuple([found.versions[position] for position in chosen])


def _class_order(item: tuple[FileClass, int]) -> tuple[bool, tuple[str, ...], str]:
    kind, _ = item
    return kind.tags is None, kind.tags or (), kind.requires_python


@lru_cache(maxsize=16384)
def _atoms(tags: str) -> tuple[str, ...]:
    return tuple(atoms(filenames.expand(tags)))


@lru_cache(maxsize=4096)
def _specifier(text: str) -> str:
    """Requires-Python as normal text. One that is beyond repair asks for nothing, as pip has it."""
    try:
        return specifiers.lenient(text)
    except specifiers.InvalidSpecifier:
        return ""
