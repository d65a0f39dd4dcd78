"""What a workspace asks the resolver for."""

from __future__ import annotations

from collections.abc import Iterator

from pypm_model.names import NormalizedName
from pypm_model.records import record
from pypm_model.requirements import Requirement
from pypm_model.sources import Source

MAX_STEPS = 500_000
"""What a search may cost unless somebody says otherwise: a minute or so. Large workspaces take hundreds."""


@record
class Origin:
    """Who asked: a table in a member's file.

    *table* is the dotted TOML table (``project.dependencies``,
    ``project.optional-dependencies.http2``, ``dependency-groups.dev``, ``tool.uv``), *item* the
    position in it. The line is found when somebody wants to read it (`Workspace.place`).
    """

    member: NormalizedName
    file: str
    """Relative to the workspace root, with ``/``."""
    table: str
    item: int = -1

    def __str__(self) -> str:
        return f"{self.file} [{self.table}]"


@record
class Ask:
    """One requirement with who asked and where the package must come from."""

    requirement: Requirement
    origin: Origin
    source: Source | None = None
    """A member, an index pinned by name, or a direct source; None: the default indexes.
    A name that several sources serve by marker gives one `Ask` per source with its marker."""
    ranged: Origin | None = None
    """Where the range is written, if not where the name is: in the workspace's catalog."""

    @property
    def origins(self) -> tuple[Origin, ...]:
        """All that it is written in: where the name is, and the range."""
        return (self.origin,) if self.ranged is None else (self.origin, self.ranged)


@record
class Provision:
    """The workspace's word on where a name comes from, whoever asks for it: a package, too."""

    name: NormalizedName
    source: Source
    marker: str = ""
    """Where that holds; empty: everywhere."""


@record
class MemberRequest:
    """One member as it enters the resolution. The virtual root is a member named ``(root)``."""

    name: NormalizedName
    path: str
    version: str | None
    """None when dynamic: it is recorded nowhere, a change of it changes no lock."""
    requires_python: str
    """Specifier text; empty allows every Python."""
    dependencies: tuple[Ask, ...] = ()
    extras: tuple[tuple[NormalizedName, tuple[Ask, ...]], ...] = ()
    """Sorted by name."""
    groups: tuple[tuple[NormalizedName, tuple[Ask, ...]], ...] = ()
    """Sorted by name, ``include-group`` expanded."""


@record
class PrereleasePolicy:
    """``if-necessary`` (no stable version fits, or a requirement names one), ``allow``, ``never``,
    or ``only``: ``allow`` for *names*, ``never`` for others."""

    mode: str = "if-necessary"
    names: frozenset[NormalizedName] = frozenset()


@record
class BuildPolicy:
    """Whose sdists may be built (their backends run): names, or all with ``default = True``."""

    default: bool = False
    allow: frozenset[NormalizedName] = frozenset()
    no_binary: frozenset[NormalizedName] = frozenset()
    """Never use a wheel of these; ``*`` stands for all."""
    no_build: frozenset[NormalizedName] = frozenset()
    """Wheels only, even where *allow* says otherwise; ``*`` stands for all."""

    def takes_wheels(self, name: NormalizedName) -> bool:
        """Whether a wheel of *name* may be used."""
        return self.no_binary.isdisjoint((name, "*"))

    def takes_sdists(self, name: NormalizedName) -> bool:
        """Whether the sdist of *name* counts as a file of it, whether or not it may be built by now."""
        return self.no_build.isdisjoint((name, "*"))

    def may_build(self, name: NormalizedName) -> bool:
        """Whether the sdist of *name* may be built."""
        return self.takes_sdists(name) and (self.default or name in self.allow)


@record
class Conflict:
    """Members, extras or groups that are never installed together (declared by the user).

    Each item is (member, extra or "", group or ""); at most one of them is active.
    """

    items: tuple[tuple[NormalizedName, str, str], ...]


@record
class Preference:
    """A version to keep if it fits: from the old lock, or from both sides of a merge."""

    version: str
    index: str = ""
    marker: str = ""
    """The region it was chosen for; empty: everywhere."""


@record
class Request:
    """Everything that decides a resolution, besides the facts. Equal requests and facts give equal
    resolutions, whatever the order of members in the manifest: members are sorted by name."""

    members: tuple[MemberRequest, ...]
    environments: tuple[str, ...] = ()
    """Markers the lock must cover; empty: everything."""
    required_environments: tuple[str, ...] = ()
    """Markers of environments for which every package must have a usable file."""
    strategy: str = "highest"
    """``highest``, ``lowest`` or ``lowest-direct``."""
    fork_strategy: str = "requires-python"
    """``requires-python``: the newest version per Python; ``fewest``: as few versions as possible."""
    prereleases: PrereleasePolicy = PrereleasePolicy()
    constraints: tuple[Ask, ...] = ()
    overrides: tuple[Ask, ...] = ()
    provisions: tuple[Provision, ...] = ()
    """Sorted by name. Members' asks that have a source of their own are not subject to them."""
    excludes: frozenset[NormalizedName] = frozenset()
    """Dependencies on these are dropped wherever they occur."""
    build: BuildPolicy = BuildPolicy()
    conflicts: tuple[Conflict, ...] = ()
    shared_environment: bool = True
    preferences: tuple[tuple[NormalizedName, tuple[Preference, ...]], ...] = ()
    """Sorted by name. Names being upgraded are left out."""
    preferred_splits: tuple[str, ...] = ()
    """Regions of the old lock: tried first, so that locking a lock again gives the same."""
    is_part: bool = False
    """What a lock does not answer of a larger request: where that was parted it stays parted, whether or not
    this meets what it was parted for."""
    preferred_where: str = ""
    """The environments that the old lock was for, a marker: there its versions have the files they need, as
    far as that could be had."""
    exclude_newer: str = ""
    """For messages only; the masks in the listings already reflect it."""
    max_steps: int = MAX_STEPS
    """Conflicts and decisions after which the answer is `Undecided`; going through what was learned counts
    too, by how much it is."""


def asks_of(request: Request) -> Iterator[Ask]:
    """Everything that the members of *request* ask for."""
    for member in request.members:
        yield from member.dependencies
        for _, asks in (*member.extras, *member.groups):
            yield from asks
