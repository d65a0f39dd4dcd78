"""What became of another tool's pins in the lock that was made with them."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from pypm.ops.importing.records import Lost, Pins
from pypm.ops.world import LOCK
from pypm_model import requirement_text, specifiers
from pypm_model.locks import Lock
from pypm_model.names import NormalizedName
from pypm_model.records import record
from pypm_model.requests import BuildPolicy
from pypm_model.sources import GitSource, IndexSource


@record
class Moved:
    """A version that was pinned and is locked otherwise."""

    name: str
    pinned: tuple[str, ...]
    locked: tuple[str, ...]
    reason: str = ""
    """Why, where that can be seen."""

    def to_json(self) -> dict[str, Any]:
        found = {"name": self.name, "pinned": list(self.pinned), "locked": list(self.locked)}
        return found | ({"reason": self.reason} if self.reason else {})


def compared(pins: Pins, lock: Lock) -> tuple[int, tuple[Moved, ...]]:
    """How many pins were kept, and which were not, among the names that are locked."""
    versions: dict[str, list[str]] = {}
    for package in lock.packages:
        if isinstance(package.source, IndexSource):
            versions.setdefault(package.name, []).append(package.version)
    kept, moved = 0, []
    for name, preferences in pins.versions:
        pinned = tuple(dict.fromkeys(each.version for each in preferences))
        now = tuple(versions.get(name, ()))
        if now and not set(now) <= set(pinned):
            moved.append(Moved(name, pinned, now, _reason(name, pinned, now, pins, lock)))
        elif now:
            kept += 1
    return kept, tuple(moved)


def _reason(
    name: NormalizedName, pinned: Collection[str], now: Collection[str], pins: Pins, lock: Lock
) -> str:
    if set(pinned) & set(now):
        return "kept where it can be had"
    for package in lock.packages:
        if package.manifest is None:
            continue
        lists = (package.manifest.dependencies, *(texts for _, texts in package.manifest.extras))
        for text in (text for texts in (*lists, *(t for _, t in package.manifest.groups)) for text in texts):
            found = requirement_text.parse(text.partition(" @ ")[0], lenient=True)
            excluded = not any(specifiers.contains(found.specifier, version) for version in pinned)
            if found.name == name and found.specifier and excluded:
                return f"{package.name or 'the workspace'} asks for {found.specifier}"
    return "it has no wheel" if name in pins.sdists else ""


def unknown_files(pins: Pins, lock: Lock) -> Iterator[Lost]:
    """Names that kept their version, but none of whose files is one that the other tool knew: somebody
    changed them, or the index is another one."""
    digests, versions = dict(pins.digests), dict(pins.versions)
    for package in lock.packages:
        known = digests.get(package.name, frozenset())
        pinned = any(each.version == package.version for each in versions.get(package.name, ()))
        if known and pinned and package.files and not known & {file.sha256 for file in package.files}:
            reason = f"none of the files of {package.version} has a sha256 that it knows"
            yield Lost(pins.file, package.name, reason)


def not_built(policy: BuildPolicy, lock: Lock) -> Iterator[Lost]:
    """Packages that are locked and that no environment can have: they have no wheel, and may not be built."""
    for package in lock.packages:
        if not isinstance(package.source, IndexSource) or any(file.is_wheel for file in package.files):
            continue
        if not policy.may_build(package.name):
            reason = f'has no wheel: [resolution] build = {{ allow = ["{package.name}"] }} lets it be built'
            yield Lost(LOCK, f"{package.name} {package.version}", reason)


def other_commits(pins: Pins, lock: Lock) -> Iterator[Lost]:
    """Repositories that are locked at another commit than the other tool had."""
    for name, sources in pins.commits:
        commits = {each.commit for each in sources}
        for package in lock.packages:
            source = package.source
            if package.name == name and not (isinstance(source, GitSource) and source.commit in commits):
                yield Lost(pins.file, f"package.{name}", "is not at the commit that it has: see pypm.lock")
