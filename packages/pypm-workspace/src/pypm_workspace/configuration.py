"""What manifests say, as plain frozen records: cheap to import, to keep and to load again.

The same records come from `pypm-workspace.toml`, from uv's tables and from a snapshot.
"""

from __future__ import annotations

from typing import Any

from pypm_model.names import ROOT, NormalizedName
from pypm_model.records import NamedTuple, record, replace
from pypm_model.requirements import Requirement
from pypm_model.sources import Source

UV_TOML = "uv.toml"
"""A file beside the root's manifest that says what stands in ``[tool.uv]`` elsewhere, without the table."""

_deciding = ("dependencies", "optional-dependencies", "requires-python")


class Written(NamedTuple):
    """Where something is written: the file, relative to the root, and the dotted path in it. The line
    is found when somebody wants to read it (`Workspace.place`)."""

    file: str
    table: str


NOWHERE = Written("", "")


class Asked(NamedTuple):
    """One requirement with the table (dotted) and position of the text that asks for it.

    A requirement that a group includes from another group keeps the other group's table.
    """

    requirement: Requirement
    table: str
    item: int


class SourceRule(NamedTuple):
    """Where a name comes from, for requirements in the marker's region (and extra or group, if named)."""

    name: NormalizedName
    source: Source
    """`MemberSource` with an empty path stands for "the member of that name"."""
    table: str
    """Dotted path of the rule in its file."""
    file: str
    marker: str = ""
    extra: str = ""
    group: str = ""


@record
class IndexSetting:
    """One package index. *url* may hold credentials: never print or lock it."""

    name: str
    url: str
    explicit: bool = False
    """Used only for names that ask for it."""
    default: bool = False
    """Replaces the built-in default index."""
    written: Written = NOWHERE


@record
class Task:
    """A task of a member, or one that members inherit."""

    name: str
    command: str = ""
    needs: tuple[str, ...] = ()
    inputs: tuple[str, ...] | None = None
    """Globs below the member; None: not said."""
    outputs: tuple[str, ...] = ()
    env: tuple[tuple[str, str], ...] = ()
    """Sorted variables set for the command."""
    description: str = ""
    scope: str = "members"
    """``members``: a run in each member that has it; ``workspace``: one run, at the root."""
    written: Written = NOWHERE


@record
class CatalogEntry:
    """The range that a bare name means."""

    name: NormalizedName
    specifier: str
    written: Written


@record
class PluginPin:
    """A native plugin this workspace uses."""

    name: str
    url: str
    sha256: str


@record
class BoundaryRule:
    """Which members (names, globs or tags) may or may not depend on which."""

    kind: str
    """``allow`` or ``deny``."""
    source: tuple[str, ...]
    target: tuple[str, ...]
    reason: str = ""
    written: Written = NOWHERE


@record
class CheckSettings:
    """What `pypm check` is to know of the code, of all members or of one."""

    ignore: tuple[str, ...] = ()
    """Distributions and modules, as globs: nothing is said of them."""
    tests: tuple[str, ...] = ()
    """Globs below the member: code that is not shipped, besides what is known by convention."""
    exclude: tuple[str, ...] = ()
    """Globs below the member: not read at all."""
    imports: tuple[tuple[str, str], ...] = ()
    """(module, the distribution it comes from)"""


@record
class AuditIgnore:
    """What `pypm audit` passes over until a moment."""

    id: str
    """Of an advisory, under any of its names, or what an index says: ``yanked``, ``archived``..."""
    reason: str
    expires: str
    """RFC 3339 in UTC, whole seconds."""
    package: str = ""
    """Empty: of any package."""
    written: Written = NOWHERE


@record
class AuditSettings:
    """What `pypm audit` looks into."""

    database: str = ""
    """A snapshot of advisories, relative to the root: it is read, and no service asked."""
    osv_url: str = ""
    """The service to ask; empty: the public one."""
    ignore: tuple[AuditIgnore, ...] = ()


@record
class LicenseException:
    """A package whose licence somebody has looked at."""

    package: str
    """Normalised."""
    license: str
    """As written."""
    reason: str
    written: Written = NOWHERE


@record
class LicenseSettings:
    """What `pypm licenses` lets in; rules as written."""

    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()
    exceptions: tuple[LicenseException, ...] = ()


@record
class Build:
    """A member's ``[build-system]``."""

    requires: tuple[Asked, ...]
    backend: str = ""
    """Empty: setuptools' legacy backend."""
    backend_path: tuple[str, ...] = ()


@record
class ConflictItem:
    """One side of a declared conflict; an empty member means the project the text stands in."""

    member: str
    extra: str = ""
    group: str = ""


@record
class Member:
    """One project of the workspace as its manifest states it; nothing applied or looked up yet."""

    name: NormalizedName
    """`ROOT` for a root without ``[project]``."""
    display_name: str
    path: str
    """Folder relative to the root with ``/``; ``.`` is the root."""
    version: str | None = None
    """None: dynamic."""
    requires_python: str = ""
    """Canonical specifier; empty: nothing said."""
    dependencies: tuple[Asked, ...] = ()
    extras: tuple[tuple[NormalizedName, tuple[Asked, ...]], ...] = ()
    """Sorted by name."""
    groups: tuple[tuple[NormalizedName, tuple[Asked, ...]], ...] = ()
    """Sorted by name, includes expanded, each requirement once."""
    group_pythons: tuple[tuple[NormalizedName, str], ...] = ()
    """Groups that are for some Pythons only (uv's ``dependency-groups`` settings)."""
    build: Build | None = None
    """None: the project is not built, only what it asks for is installed."""
    dynamic: tuple[str, ...] = ()
    """Fields the build backend must be asked for. One that is also stated is a lower bound."""
    sources: tuple[SourceRule, ...] = ()
    """In order of strength: of several for one name, those of the first table count."""
    indexes: tuple[IndexSetting, ...] = ()
    default_groups: tuple[str, ...] | None = None
    """None: the workspace's; ``*`` stands for all."""
    tasks: tuple[Task, ...] = ()
    tags: tuple[str, ...] = ()
    check: CheckSettings = CheckSettings()
    conflicts: tuple[tuple[ConflictItem, ...], ...] = ()
    """Extras and groups that exclude each other, as ``[tool.uv]`` of the project has them."""
    managed: bool = True
    """False only in uv workspaces: the project is left out."""

    @property
    def file(self) -> str:
        """The manifest, relative to the root."""
        return "pyproject.toml" if self.path == "." else f"{self.path}/pyproject.toml"

    @property
    def unstated(self) -> tuple[str, ...]:
        """Fields that decide a lock and that only the build backend knows."""
        return tuple(field for field in self.dynamic if field in _deciding)

    @property
    def is_virtual(self) -> bool:
        """Whether this is a root that is no project."""
        return self.name == ROOT


@record
class StatedMetadata:
    """What a package depends on, as the user has it, in the place of what its own metadata says."""

    name: NormalizedName
    version: str = ""
    """Empty: of all versions."""
    requires: tuple[Asked, ...] = ()
    """With ``extra == "x"`` in the markers of an extra's requirements, as in metadata."""
    extras: tuple[NormalizedName, ...] = ()
    requires_python: str = ""


@record
class Settings:
    """Everything that holds for the workspace as a whole."""

    file: str = ""
    """The file the workspace is declared in; empty for a workspace of one."""
    name: str = ""
    members: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    environments: tuple[str, ...] = ()
    required_environments: tuple[str, ...] = ()
    default_groups: tuple[str, ...] = ("dev",)
    """``*`` stands for all."""
    shared_environment: bool = True
    link_mode: str = ""
    python: str = ""
    catalog: tuple[CatalogEntry, ...] = ()
    sources: tuple[SourceRule, ...] = ()
    indexes: tuple[IndexSetting, ...] = ()
    find_links: tuple[str, ...] = ()
    """Folders relative to the root, or addresses."""
    strategy: str = "highest"
    fork_strategy: str = "requires-python"
    prereleases: str = "if-necessary"
    prerelease_names: tuple[NormalizedName, ...] = ()
    exclude_newer: str = ""
    """RFC 3339 in UTC, whole seconds."""
    exclude_newer_package: tuple[tuple[NormalizedName, str], ...] = ()
    """Exceptions: a date-time, a period such as ``172800 seconds``, or empty for "no cut-off"."""
    cooldown: int = 0
    """Seconds a file must have been public; 0: none."""
    cooldown_except: tuple[NormalizedName, ...] = ()
    constraints: tuple[Asked, ...] = ()
    overrides: tuple[Asked, ...] = ()
    excludes: tuple[NormalizedName, ...] = ()
    stated: tuple[StatedMetadata, ...] = ()
    """In the order of the text: the first that fits a version counts."""
    build_default: bool = False
    """Every sdist may be built."""
    build_refused: bool = False
    """It was said that none may; matters where uv is used, for there the default is that all may."""
    of_uv: bool = False
    """uv's users are at home here: the settings are those of ``[tool.uv]``, or a uv.lock lies beside them."""
    build_allow: tuple[NormalizedName, ...] = ()
    build_constraints: tuple[Asked, ...] = ()
    """Hold for what build backends need, wherever something is built."""
    build_requires: tuple[tuple[NormalizedName, tuple[Asked, ...]], ...] = ()
    """What else the build of a package needs, besides what it says itself. Sorted by name."""
    no_build: tuple[NormalizedName, ...] = ()
    no_binary: tuple[NormalizedName, ...] = ()
    """``*`` stands for all."""
    conflicts: tuple[tuple[ConflictItem, ...], ...] = ()
    max_steps: int = 0
    """Steps the resolver may take; 0: as many as it does by itself."""
    tasks: tuple[Task, ...] = ()
    lock_export: tuple[str, ...] = ()
    lock_targets: tuple[tuple[str, str], ...] = ()
    """Those of these files that hold what one target needs: (file, name of the target or marker)."""
    plugins: tuple[PluginPin, ...] = ()
    layers: tuple[tuple[str, ...], ...] = ()
    """Boundary layers, highest first; members of one layer (names, globs, tags)."""
    boundaries: tuple[BoundaryRule, ...] = ()
    check: CheckSettings = CheckSettings()
    audit: AuditSettings = AuditSettings()
    licenses: LicenseSettings = LicenseSettings()


_completable = (
    "environments",
    "required_environments",
    "default_groups",
    "find_links",
    "strategy",
    "fork_strategy",
    "prereleases",
    "exclude_newer",
    "exclude_newer_package",
    "cooldown",
    "constraints",
    "overrides",
    "excludes",
    "stated",
    "build_default",
    "build_constraints",
    "build_requires",
    "no_build",
    "no_binary",
    "conflicts",
)


def completed(ours: Settings, theirs: Settings) -> Settings:
    """pypm's settings (*ours*), completed by uv's (*theirs*) for what pypm's file says nothing of.

    Members are pypm's alone. Of uv's indexes only explicit ones are added to a file that has its
    own: they serve nobody who does not ask for them.
    """
    standard = Settings()
    changes: dict[str, Any] = {
        name: getattr(theirs, name)
        for name in _completable
        if getattr(ours, name) == getattr(standard, name) != getattr(theirs, name)
    }
    known = {index.name for index in ours.indexes}
    more = [
        index for index in theirs.indexes if not ours.indexes or (index.explicit and index.name not in known)
    ]
    mine = {rule.name for rule in ours.sources}
    return replace(
        ours,
        indexes=(*ours.indexes, *more),
        sources=(*ours.sources, *(rule for rule in theirs.sources if rule.name not in mine)),
        **changes,
    )
