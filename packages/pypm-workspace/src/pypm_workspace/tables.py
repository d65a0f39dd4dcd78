"""The tables of ``pypm-workspace.toml`` and ``[tool.pypm]`` as pydantic models. Loads pydantic."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from pypm_model import names, specifiers
from pypm_model.markers import InvalidMarker
from pypm_model.patterns import pattern
from pypm_model.specifiers import InvalidSpecifier
from pypm_model.targets import environment_marker
from pypm_workspace.moments import moment, moment_or_period, seconds

_export_name = pattern(r"pylock\.toml|pylock\.[^.]+\.toml|.+\.txt")


def kebab(name: str) -> str:
    return name.rstrip("_").replace("_", "-")


def _wrapped(key: str) -> BeforeValidator:
    """A plain string stands for a table with only *key*."""
    return BeforeValidator(lambda value: {key: value} if isinstance(value, str) else value)


def _all_groups(value: Any) -> Any:
    return ["*"] if value == "all" else value


def _environment(value: Any) -> Any:
    """The name of a target becomes its marker."""
    if isinstance(value, str):
        try:
            return environment_marker(value)
        except InvalidMarker as error:
            raise ValueError(str(error)) from None
    return value


def _range(value: Any) -> Any:
    if isinstance(value, str):
        try:
            return specifiers.canonical(value)
        except InvalidSpecifier as error:
            raise ValueError(str(error)) from None
    return value


def valid_name(value: Any) -> Any:
    if isinstance(value, str) and value != "*":
        if not names.is_valid(value):
            raise ValueError(f"`{value}` is not a valid name")
        return names.normalize(value)
    return value


def _seconds(value: Any) -> Any:
    return seconds(value) if isinstance(value, str) else value


def _cut_off(value: Any) -> Any:
    return "" if value is False else moment(value)


def _own_cut_off(value: Any) -> Any:
    return "" if value is False else moment_or_period(value)


Groups = Annotated[list[str], BeforeValidator(_all_groups)]
Environment = Annotated[str, BeforeValidator(_environment)]
Range = Annotated[str, BeforeValidator(_range)]
Name = Annotated[str, BeforeValidator(valid_name)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, alias_generator=kebab, frozen=True)


class WorkspaceTable(_Strict):
    """``[workspace]``"""

    name: Annotated[str, Field(min_length=1)] | None = None
    members: list[str] = []
    exclude: list[str] = []
    environments: list[Environment] = []
    required_environments: list[Environment] = []
    default_groups: Groups = ["dev"]
    shared_environment: bool = True
    link_mode: Literal["auto", "farm", "hardlink", "reflink", "copy"] = "auto"
    python: str = ""


class CatalogTable(_Strict):
    """One entry of ``[catalog]``; a string is its version."""

    version: Range


class IndexTable(_Strict):
    """``[[index]]``"""

    name: Annotated[str, Field(min_length=1)]
    url: Annotated[str, Field(min_length=1)]
    explicit: bool = False
    default: bool = False


class PrereleaseTable(_Strict):
    """``prereleases``; a string is the mode."""

    mode: Literal["if-necessary", "never", "allow"] | None = None
    only: list[Name] = []


class CooldownTable(_Strict):
    """``cooldown``; a string is the period."""

    period: Annotated[int, BeforeValidator(_seconds)]
    except_: list[Name] = []


class BuildTable(_Strict):
    """``build``: whose build backends may run."""

    default: Literal["never", "always"] = "never"
    allow: list[Name] = []
    never: list[Name] = []
    constraints: list[str] = []
    requires: dict[Name, list[str]] = {}


class ConflictTable(_Strict):
    """One side of a conflict. Without a member it is the project in the workspace's own folder, or the groups
    there."""

    member: Name = ""
    extra: Name = ""
    group: Name = ""

    @model_validator(mode="after")
    def _names_something(self) -> ConflictTable:
        if not (self.member or self.extra or self.group):
            raise ValueError("one side of a conflict names a member, an extra or a group")
        return self


class MetadataTable(_Strict):
    """One entry of ``[[resolution.dependency-metadata]]``."""

    name: Name
    version: str = ""
    requires_dist: list[str] = []
    requires_python: str = ""
    provides_extra: list[Name] = []


class ResolutionTable(_Strict):
    """``[resolution]``"""

    strategy: Literal["highest", "lowest", "lowest-direct"] = "highest"
    fork_strategy: Literal["requires-python", "fewest"] = "requires-python"
    prereleases: Annotated[PrereleaseTable, _wrapped("mode")] = PrereleaseTable(mode="if-necessary")
    exclude_newer: Annotated[str, BeforeValidator(_cut_off)] = ""
    exclude_newer_package: dict[Name, Annotated[str, BeforeValidator(_own_cut_off)]] = {}
    cooldown: Annotated[CooldownTable, _wrapped("period")] | None = None
    constraints: list[str] = []
    overrides: list[str] = []
    excludes: list[Name] = []
    dependency_metadata: list[MetadataTable] = []
    build: BuildTable = BuildTable()
    no_binary: list[Name] = []
    conflicts: list[list[ConflictTable]] = []
    find_links: list[str] = []
    max_steps: Annotated[int, Field(strict=True, ge=1)] | None = None


class TaskTable(_Strict):
    """``[tasks.NAME]``; a string is its command."""

    command: str = ""
    needs: list[str] = []
    inputs: list[str] | None = None
    outputs: list[str] = []
    env: dict[str, str] = {}
    description: str = ""
    scope: Literal["members", "workspace"] = "members"


def _exported(value: Any) -> Any:
    if isinstance(value, str):
        parts = value.split("/")
        if not _export_name.fullmatch(parts[-1]):
            raise ValueError(f"`{value}` is neither pylock.toml, pylock.NAME.toml nor a file NAME.txt")
        if "\\" in value or ":" in value or not all(part.strip(".") for part in parts):
            raise ValueError(f"`{value}` is no path below the workspace's folder, with `/`")
    return value


def _target(value: Any) -> Any:
    _environment(value)
    return value


class ExportTable(_Strict):
    """One entry of ``export``; a string is its file."""

    file: Annotated[str, BeforeValidator(_exported)]
    target: Annotated[str, BeforeValidator(_target)] = ""


class LockTable(_Strict):
    """``[lock]``"""

    export: list[Annotated[ExportTable, _wrapped("file")]] = []


class PluginTable(_Strict):
    """``[plugins] NAME``"""

    url: Annotated[str, Field(min_length=1)]
    sha256: Annotated[str, Field(pattern="^[0-9a-fA-F]{64}$")]


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


OneOrMore = Annotated[list[str], BeforeValidator(_listed)]


class BoundaryTable(_Strict):
    """One rule of ``[boundaries]``."""

    from_: OneOrMore
    to: OneOrMore
    reason: str = ""


class BoundariesTable(_Strict):
    """``[boundaries]``"""

    layers: list[OneOrMore] = []
    allow: list[BoundaryTable] = []
    deny: list[BoundaryTable] = []


class CheckTable(_Strict):
    """``[check]``, and ``[tool.pypm.check]`` of a member: what `pypm check` is to know of the code."""

    ignore: list[str] = []
    tests: list[str] = []
    exclude: list[str] = []
    imports: dict[str, Name] = {}


def _when(value: Any) -> Any:
    return moment(value)


class IgnoreTable(_Strict):
    """One entry of ``[[audit.ignore]]``."""

    id: Annotated[str, Field(min_length=1)]
    reason: Annotated[str, Field(min_length=1)]
    expires: Annotated[str, BeforeValidator(_when)]
    package: Name = ""


class AuditTable(_Strict):
    """``[audit]``: what `pypm audit` looks into, and what it passes over."""

    database: str = ""
    osv_url: str = ""
    ignore: list[IgnoreTable] = []


class LicenseExceptionTable(_Strict):
    """One entry of ``[[licenses.exceptions]]``."""

    package: Name
    license: Annotated[str, Field(min_length=1)]
    reason: Annotated[str, Field(min_length=1)]


class LicensesTable(_Strict):
    """``[licenses]``: what `pypm licenses` lets in."""

    allow: list[str] = []
    deny: list[str] = []
    exceptions: list[LicenseExceptionTable] = []


Tasks = dict[str, Annotated[TaskTable, _wrapped("command")]]


class WorkspaceFile(_Strict):
    """All of ``pypm-workspace.toml``."""

    workspace: WorkspaceTable = WorkspaceTable()
    catalog: dict[Name, Annotated[CatalogTable, _wrapped("version")]] = {}
    sources: dict[str, Any] = {}
    """Read by `read_sources`, as uv's are."""
    index: list[IndexTable] = []
    resolution: ResolutionTable = ResolutionTable()
    tasks: Tasks = {}
    lock: LockTable = LockTable()
    plugins: dict[str, PluginTable] = {}
    boundaries: BoundariesTable = BoundariesTable()
    check: CheckTable = CheckTable()
    audit: AuditTable = AuditTable()
    licenses: LicensesTable = LicensesTable()


class MemberTool(_Strict):
    """``[tool.pypm]`` of a member."""

    sources: dict[str, Any] = {}
    tasks: Tasks = {}
    tags: list[str] = []
    check: CheckTable = CheckTable()
    default_groups: Groups | None = None
    package: bool | None = None
