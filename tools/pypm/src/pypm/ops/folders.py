"""Projects in folders that are no members: whether what was locked of them is what they say now."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from pypm_model.errors import PypmError
from pypm_model.freshness import Stale, stale_folder
from pypm_model.locks import Lock, LockedPackage
from pypm_model.names import NormalizedName
from pypm_model.requirement_text import to_text
from pypm_model.sources import PathSource

if TYPE_CHECKING:
    from pypm_index.direct import Sourced

_MANIFEST = "pyproject.toml"


def _folders(lock: Lock) -> Iterator[tuple[LockedPackage, str]]:
    for package in lock.packages:
        if isinstance(package.source, PathSource) and not package.source.sha256:
            yield package, package.source.path


def folder_manifests(lock: Lock) -> tuple[str, ...]:
    """The manifests of the folders in *lock*, relative to the root of its workspace; there or not."""
    return tuple(f"{path}/{_MANIFEST}" for _, path in _folders(lock))


def has_copied_folders(lock: Lock) -> bool:
    """Whether an ordinary wheel is built from one of the folders in *lock*: one that is not editable."""
    return any(isinstance(p.source, PathSource) and not p.source.editable for p, _ in _folders(lock))


def stale_folders(root: str, lock: Lock, members: Collection[NormalizedName] | None = None) -> list[Stale]:
    """Every difference between *lock* and the manifests of its folders, with *members* only of folders that
    these need. Nothing is known of a folder that is not there, or whose metadata only a build would tell."""
    found: list[Stale] = []
    needed: frozenset[NormalizedName] | None = None
    sourced: Sourced | None = None
    for package, path in _folders(lock):
        if members is not None:
            needed = _needed(lock, members) if needed is None else needed
            if package.name not in needed:
                continue
        if sourced is None:
            sourced = _sourced(root)
        found += _stale(package, Path(root), path, sourced)
    return found


def _sourced(root: str) -> Sourced:
    from pypm.ops.direct_sources import DirectSources

    return DirectSources(Path(root))


def _stale(package: LockedPackage, root: Path, path: str, sourced: Sourced) -> Iterable[Stale]:
    from pypm_index import direct, metadata_text
    from pypm_index.sdist_metadata import of_pyproject
    from pypm_resolver.files import lower_bound

    try:
        text = (root / path / _MANIFEST).read_bytes()
    except OSError:
        return ()
    # A dynamic version is left to the backend; what is asked for can be judged all the same.
    headers = of_pyproject(text, package.version)
    if headers is None:
        return ()
    assert isinstance(package.source, PathSource)
    try:
        requires, _ = metadata_text.requirements(sourced(root / path, package.source, headers.requires_dist))
    except PypmError:
        return ()  # locking again tells what is wrong with it
    least = lower_bound(metadata_text.requires_python(headers))
    texts = (to_text(direct.relative(each, root) if each.url else each) for each in requires)
    return stale_folder(package, headers.version, texts, least)


def _needed(lock: Lock, members: Collection[NormalizedName]) -> frozenset[NormalizedName]:
    """Names of what *members* need at any depth, whatever the environment."""
    below: dict[NormalizedName, set[NormalizedName]] = {}
    for package in lock.packages:
        tables = (package.dependencies, *(edges for _, edges in (*package.extras, *package.groups)))
        below.setdefault(package.name, set()).update(edge.name for edges in tables for edge in edges)
    found: set[NormalizedName] = set()
    waiting = list(members)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += below.get(name, ())
    return frozenset(found)
