"""What an import takes out of a file, in our words."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any, ClassVar, TypeVar

from pypm_model import versions
from pypm_model.errors import Place, PypmError
from pypm_model.markers import InvalidMarker
from pypm_model.markers import parse as parse_marker
from pypm_model.names import NormalizedName
from pypm_model.patterns import pattern
from pypm_model.records import record
from pypm_model.requests import Preference
from pypm_model.sources import GitSource
from pypm_workspace.direct_reference import git_url

_commit = pattern(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
NO_VERSION = "0.1.0"
"""Of a project that does not say which version it is."""
Source = Mapping[str, str | bool]
"""The keys of one source: ``{"git": "https://...", "tag": "v1"}``."""

Read = Callable[[str], str | None]
"""The text of a file by its path relative to the folder, with ``/``; None if there is none."""


class CannotImport(PypmError):
    """A file cannot be read as what it seems to be."""

    code: ClassVar[str] = "cannot-import"
    exit: ClassVar[int] = 2
    file: str
    reason: str

    def __str__(self) -> str:
        return f"{self.file}: {self.reason}"

    @property
    def places(self) -> tuple[Place, ...]:
        return (Place(self.file),)


T = TypeVar("T")


def shaped(file: str, read: Callable[[], T]) -> T:
    """What *read* gives. A file with a text where its tool writes a table is no fault of ours: it is told."""
    try:
        return read()
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise CannotImport(file, f"is not of the shape that its tool gives it ({error})") from error


@record
class Lost:
    """Something that could not be carried over as it was, and what became of it."""

    file: str
    key: str
    """Where in the file: a dotted key, a package, a line."""
    reason: str

    def __str__(self) -> str:
        return f"{self.file} {self.key}: {self.reason}"


@record
class Pins:
    """The versions a lock file has."""

    file: str
    versions: tuple[tuple[NormalizedName, tuple[Preference, ...]], ...]
    """Sorted by name."""
    lost: tuple[Lost, ...] = ()
    digests: tuple[tuple[NormalizedName, frozenset[str]], ...] = ()
    """The sha256 of the files it knows of a name, where it knows any."""
    commits: tuple[tuple[NormalizedName, tuple[GitSource, ...]], ...] = ()
    """Where it has branches and tags of repositories, by what comes from there."""
    sdists: tuple[NormalizedName, ...] = ()
    """Names that it has a version of without a wheel: sorted."""


@record
class NewIndex:
    """An index that the project's names come from."""

    name: str
    url: str
    explicit: bool = False
    default: bool = False


@record
class Draft:
    """A manifest in our words. What other tools do not say has its empty value."""

    file: str
    """What it was made from."""
    read: tuple[str, ...] = ()
    """Further files that it was made from."""
    name: str = ""
    version: str = ""
    requires_python: str = ""
    more: tuple[tuple[str, Any], ...] = ()
    """Further keys of ``[project]``, in their order."""
    dependencies: tuple[str, ...] = ()
    extras: tuple[tuple[str, tuple[str, ...]], ...] = ()
    groups: tuple[tuple[str, tuple[str | Mapping[str, str], ...]], ...] = ()
    sources: tuple[tuple[str, tuple[Source, ...]], ...] = ()
    default_groups: tuple[str, ...] | None = None
    """None: as usual."""
    tasks: tuple[tuple[str, str], ...] = ()
    respelled: tuple[tuple[str, str], ...] = ()
    """Requirements of a ``[project]`` that is there, and how they are to be written."""
    undynamic: tuple[str, ...] = ()
    """Keys that ``[project]`` calls dynamic, and that are written there now."""
    build: tuple[tuple[str, Any], ...] = ()
    """Keys of ``[build-system]``."""
    package: bool | None = None
    """False: not to be built although there is a build system."""
    indexes: tuple[NewIndex, ...] = ()
    constraints: tuple[str, ...] = ()
    overrides: tuple[str, ...] = ()
    excludes: tuple[NormalizedName, ...] = ()
    find_links: tuple[str, ...] = ()
    build_allow: tuple[NormalizedName, ...] = ()
    """Whose sdists may be built."""
    lost: tuple[Lost, ...] = ()

    @property
    def is_of_workspace(self) -> bool:
        """Whether something of it belongs into the workspace's file."""
        return bool(
            self.indexes
            or self.constraints
            or self.overrides
            or self.excludes
            or self.find_links
            or self.build_allow
        )


def pins_of(
    file: str,
    found: Mapping[NormalizedName, list[Preference]],
    lost: Iterable[Lost] = (),
    hashes: Mapping[NormalizedName, Iterable[str]] = MappingProxyType({}),
    commits: Mapping[NormalizedName, Iterable[GitSource]] = MappingProxyType({}),
    sdists: Iterable[NormalizedName] = (),
) -> Pins:
    """*found* as `Pins`: of each name the versions that are any, each with its region once; of *hashes*
    (``sha256:...``) those that pypm knows."""
    pins = []
    for name in sorted(found):
        good = dict.fromkeys(_usable(each) for each in found[name] if versions.is_valid(each.version))
        if good:
            pins.append((name, tuple(good)))
    digests = []
    for name in sorted(hashes):
        known = [text.removeprefix("sha256:").lower() for text in hashes[name] if text.startswith("sha256:")]
        if known:
            digests.append((name, frozenset(known)))
    at = tuple((name, tuple(commits[name])) for name in sorted(commits))
    return Pins(file, tuple(pins), tuple(lost), tuple(digests), at, tuple(sorted(set(sdists))))


def commit_of(url: str, ref: str, commit: str, subdirectory: str = "") -> GitSource | None:
    """Where a lock has *ref* of a repository, as a manifest's source has it; None if that is no commit."""
    if not _commit.fullmatch(commit):
        return None
    return GitSource(git_url(url), "" if ref == "HEAD" else ref, commit, subdirectory)


def _usable(preference: Preference) -> Preference:
    """*preference*, for everywhere if its marker is none that pypm can read."""
    try:
        parse_marker(preference.marker) if preference.marker else None
    except InvalidMarker:
        return Preference(preference.version)
    return preference
