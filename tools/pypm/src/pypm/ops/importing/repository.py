"""The projects of a repository that an import takes together: they become members of one workspace."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterable, Iterator, Mapping

from pypm.ops.importing.finding import Found, look
from pypm.ops.importing.manifest import MANIFEST
from pypm.ops.importing.records import CannotImport, Draft, Lost, NewIndex, Pins, Read, Source
from pypm_model.names import NormalizedName, normalize
from pypm_model.records import record, replace
from pypm_model.requests import Preference
from pypm_model.sources import GitSource

Names = Callable[[str], Iterable[str]]
"""The names of what is in a folder, by its path relative to the import's."""


@record
class Project:
    """One project: its folder, relative to the import's, with ``/``, and what its files say."""

    folder: str
    found: Found

    def file(self, name: str) -> str:
        """The path of file *name* of it."""
        return posixpath.normpath(posixpath.join(self.folder, name))


def below(read: Read, names: Names, root: Draft | None, others: Iterable[str]) -> tuple[Project, ...]:
    """The projects that *root*, or one of them in turn, has as folders of its own (path dependencies), and
    those in the folders *others*, by folder. What lies outside of the import's folder is none."""
    waiting = sorted({*others, *(_folders(".", root) if root is not None else ())})
    projects: dict[str, Project] = {}
    while waiting:
        folder = waiting.pop(0)
        if folder in projects or read(f"{folder}/{MANIFEST}") is None:
            continue
        found = _looked_at(read, names, folder)
        if not found.is_project:
            continue
        projects[folder] = Project(folder, found)
        if found.draft is not None:
            waiting += _folders(folder, found.draft)
    return tuple(projects[folder] for folder in sorted(projects))


def _looked_at(read: Read, names: Names, folder: str) -> Found:
    def read_below(path: str) -> str | None:
        return read(posixpath.normpath(posixpath.join(folder, path)))

    try:
        return look(read_below, names(folder), None)
    except CannotImport as error:
        raise CannotImport(f"{folder}/{error.file}", error.reason) from None


def _folders(folder: str, draft: Draft) -> Iterator[str]:
    """Folders below the import's that *draft*, of a project in *folder*, has dependencies in."""
    for _, sources in draft.sources:
        for source in sources:
            path = str(source.get("path", "")).replace("\\", "/")
            whole = posixpath.normpath(posixpath.join(folder, path))
            if path and whole != "." and not whole.startswith(("../", "/")) and ":" not in whole:
                yield whole


def as_member(project: Project, members: Mapping[NormalizedName, str]) -> Draft | None:
    """The draft of *project* where *members* (folders by name) are dependencies by their names alone."""
    draft = project.found.draft
    if draft is None:
        return None

    def is_member(name: str, sources: tuple[Source, ...]) -> bool:
        folder = members.get(normalize(name))
        paths = [str(source.get("path", "")).replace("\\", "/") for source in sources]
        return folder is not None and all(path and project.file(path) == folder for path in paths)

    kept = tuple((name, found) for name, found in draft.sources if not is_member(name, found))
    return replace(draft, sources=kept)


def of_workspace(projects: Iterable[Project]) -> Draft:
    """What the files of all *projects* say that belongs into the workspace's file."""
    drafts = [(each, each.found.draft) for each in projects if each.found.draft is not None]
    indexes: dict[tuple[str, str], NewIndex] = {}
    constraints: list[str] = []
    overrides: list[str] = []
    excludes: list[NormalizedName] = []
    links: list[str] = []
    for project, draft in drafts:
        for index in draft.indexes:
            indexes.setdefault((index.name, index.url), index)
        constraints += draft.constraints
        overrides += draft.overrides
        excludes += draft.excludes
        links += [link if "://" in link else project.file(link) for link in draft.find_links]
    return Draft(
        MANIFEST,
        indexes=tuple(indexes.values()),
        constraints=tuple(dict.fromkeys(constraints)),
        overrides=tuple(dict.fromkeys(overrides)),
        excludes=tuple(dict.fromkeys(excludes)),
        find_links=tuple(dict.fromkeys(links)),
    )


def pins_of_all(projects: Iterable[Project]) -> Pins:
    """The versions that the locks of all *projects* have; the first one's go first."""
    files: list[str] = []
    versions: dict[NormalizedName, list[Preference]] = {}
    digests: dict[NormalizedName, set[str]] = {}
    commits: dict[NormalizedName, list[GitSource]] = {}
    sdists: list[NormalizedName] = []
    for project in projects:
        pins = project.found.pins
        if pins is None:
            continue
        files.append(project.file(pins.file))
        for name, preferences in pins.versions:
            versions.setdefault(name, []).extend(preferences)
        for name, known in pins.digests:
            digests.setdefault(name, set()).update(known)
        for name, found in pins.commits:
            commits.setdefault(name, []).extend(found)
        sdists += pins.sdists
    return Pins(
        ", ".join(files),
        tuple((name, tuple(dict.fromkeys(versions[name]))) for name in sorted(versions)),
        (),
        tuple((name, frozenset(digests[name])) for name in sorted(digests)),
        tuple((name, tuple(dict.fromkeys(commits[name]))) for name in sorted(commits)),
        tuple(sorted(set(sdists))),
    )


def lost_of(project: Project, lost: Iterable[Lost]) -> tuple[Lost, ...]:
    """*lost* with its files relative to the import's folder."""
    return tuple(Lost(project.file(each.file), each.key, each.reason) for each in lost)
