"""`pypm.lock` as records: a graph of packages in which every member is an entry point.

Reading, writing, selecting and comparing live in modules of their own (`lock_text`,
`lock_select`, `lock_diff`).
"""

from __future__ import annotations

from pypm_model.artifacts import Artifact
from pypm_model.names import ROOT, NormalizedName
from pypm_model.records import record
from pypm_model.sources import MemberSource, Source

Publisher = tuple[tuple[str, str], ...]
"""(key, value), ``kind`` first, the others sorted; no value is empty. See `pypm_model.publishers`."""

FORMAT = 1
"""The format this pypm writes; it reads this one and older ones."""


@record
class Edge:
    """One dependency of a locked package. An edge holds where its marker does.

    A name that is locked once is named; one that is locked several times has one edge for each
    entry, with *version* (and *source* where versions are equal), and markers that are disjoint.
    """

    name: NormalizedName
    extras: tuple[NormalizedName, ...] = ()
    marker: str = ""
    """May use ``'x' in extras`` and ``'x' in dependency_groups`` with the spellings of
    `pypm_model.activation` where the choice hangs on which members, extras or groups are installed."""
    version: str = ""
    source: Source | None = None

    def leads_to(self, package: LockedPackage) -> bool:
        """Whether *package* is an entry that is meant, where the marker holds."""
        return (
            self.name == package.name
            and self.version in ("", package.version)
            and self.source in (None, package.source)
        )


@record
class Manifest:
    """What a member's manifest asked when the lock was made: requirement texts, sorted, normalised.

    A requirement with a source of its own is written with it (``name @ member``...): see
    `lock_text`. This is what freshness is judged by, without an index.
    """

    requires_python: str = ""
    dependencies: tuple[str, ...] = ()
    extras: tuple[tuple[NormalizedName, tuple[str, ...]], ...] = ()
    groups: tuple[tuple[NormalizedName, tuple[str, ...]], ...] = ()


@record
class LockedPackage:
    """One (name, version, source)."""

    name: NormalizedName
    version: str
    """Empty for a member whose version is dynamic, and for the virtual root."""
    source: Source
    requires_python: str = ""
    dependencies: tuple[Edge, ...] = ()
    extras: tuple[tuple[NormalizedName, tuple[Edge, ...]], ...] = ()
    """Of members: all. Of other packages: those somebody in the workspace asks for."""
    groups: tuple[tuple[NormalizedName, tuple[Edge, ...]], ...] = ()
    """Members only."""
    manifest: Manifest | None = None
    """Members only."""
    files: tuple[Artifact, ...] = ()
    """Sorted by file name: the sdist and the wheels some covered environment can use."""
    requires: tuple[str, ...] = ()
    """Folders only: the requirements in their metadata when the lock was made, normalised and sorted."""
    publishers: tuple[Publisher, ...] = ()
    """Who published it, by its index's word when it was locked, sorted; none: the index does not say."""


@record
class LockSettings:
    """The settings a lock was made under that are not their defaults, as canonical texts."""

    values: tuple[tuple[str, str | tuple[str, ...]], ...] = ()
    """Sorted by key: ``strategy``, ``prereleases``, ``exclude-newer``, ``cooldown``,
    ``constraints``, ``overrides``, ``excludes``, ``shared-environment``, ``no-build``..."""


@record
class Lock:
    """A whole `pypm.lock`. Packages are sorted by name, version, source; members among them."""

    requires_python: str = ""
    """Union over the members: below it no environment is covered."""
    environments: tuple[str, ...] = ()
    required_environments: tuple[str, ...] = ()
    settings: LockSettings = LockSettings()
    splits: tuple[str, ...] = ()
    """Markers of the regions in which versions differ; empty: one region."""
    packages: tuple[LockedPackage, ...] = ()

    @property
    def member_count(self) -> int:
        """How many members it holds; a virtual root is none."""
        return sum(1 for p in self.packages if isinstance(p.source, MemberSource) and p.name != ROOT)


@record
class Root:
    """An entry point into a lock: a member with some extras and groups.

    *project* False installs the groups alone (``--only-group``, and always for ``(root)``).
    """

    member: NormalizedName
    extras: tuple[NormalizedName, ...] = ()
    groups: tuple[NormalizedName, ...] = ()
    project: bool = True


@record
class Pin:
    """One package to install in one environment."""

    package: LockedPackage
    extras: tuple[NormalizedName, ...] = ()
    file: Artifact | None = None
    """The wheel (or, where none fits, the sdist) for the environment; None for members and direct sources."""
