"""``pypm-workspace.toml`` and ``[tool.pypm]`` validated by the models of `tables`, as plain records.

Heavy (it loads pydantic): imported only when one of these tables must be read anew. Every unknown
key and wrong value becomes a complaint with the nearest known key; the records are made only from
documents without one.
"""

from __future__ import annotations

from typing import Annotated, Any, TypeVar, get_args, get_origin

from pydantic import BaseModel, ValidationError

from pypm_model import names
from pypm_model.names import NormalizedName
from pypm_model.records import replace
from pypm_workspace.configuration import (
    Asked,
    AuditIgnore,
    AuditSettings,
    BoundaryRule,
    CatalogEntry,
    CheckSettings,
    ConflictItem,
    IndexSetting,
    LicenseException,
    LicenseSettings,
    Member,
    PluginPin,
    Settings,
    Task,
    Written,
)
from pypm_workspace.faults import Complaints, nearest
from pypm_workspace.fields import described, name_at, requirements_at
from pypm_workspace.positions import KeyPath, dotted
from pypm_workspace.source_tables import read_sources
from pypm_workspace.stated_metadata import read_stated
from pypm_workspace.tables import (
    AuditTable,
    CheckTable,
    LicensesTable,
    MemberTool,
    Tasks,
    WorkspaceFile,
    kebab,
    valid_name,
)
from pypm_workspace.toml_reading import Table

FILE = "pypm-workspace.toml"
TOOL: KeyPath = ("tool", "pypm")
M = TypeVar("M", bound=BaseModel)


def read_workspace_file(document: Table, *, root: str, complaints: Complaints) -> Settings | None:
    """The settings in ``pypm-workspace.toml``; None if there are complaints."""
    model = _validated(WorkspaceFile, document, (), complaints)
    sources = _sources(document, ("sources",), ".", root, FILE, complaints)
    resolution = document.get("resolution")
    raw = resolution if isinstance(resolution, dict) else {}
    constraints = requirements_at(raw, ("resolution", "constraints"), complaints)
    overrides = requirements_at(raw, ("resolution", "overrides"), complaints)
    build_constraints, build_requires = _build(raw, complaints)
    stated = read_stated(raw, ("resolution", "dependency-metadata"), complaints)
    _unique(document, ("catalog",), complaints)
    _indexes(document, complaints)
    if model is None or complaints:
        return None
    workspace, policy = model.workspace, model.resolution
    return Settings(
        file=FILE,
        name=workspace.name or "",
        members=tuple(workspace.members),
        exclude=tuple(workspace.exclude),
        environments=tuple(workspace.environments),
        required_environments=tuple(workspace.required_environments),
        default_groups=tuple(_group(group) for group in workspace.default_groups),
        shared_environment=workspace.shared_environment,
        link_mode=workspace.link_mode,
        python=workspace.python,
        catalog=tuple(
            sorted(
                (
                    CatalogEntry(
                        names.normalize(key),
                        model.catalog[valid_name(key)].version,
                        Written(FILE, dotted(("catalog", key))),
                    )
                    for key in document.get("catalog", {})
                ),
                key=lambda entry: entry.name,
            )
        ),
        sources=sources,
        indexes=tuple(
            IndexSetting(
                index.name, index.url, index.explicit, index.default, Written(FILE, dotted(("index", n)))
            )
            for n, index in enumerate(model.index)
        ),
        find_links=tuple(policy.find_links),
        strategy=policy.strategy,
        fork_strategy=policy.fork_strategy,
        prereleases=policy.prereleases.mode or "only",
        prerelease_names=_sorted(policy.prereleases.only),
        exclude_newer=policy.exclude_newer,
        exclude_newer_package=tuple(
            sorted((NormalizedName(name), at) for name, at in policy.exclude_newer_package.items())
        ),
        cooldown=policy.cooldown.period if policy.cooldown else 0,
        cooldown_except=_sorted(policy.cooldown.except_) if policy.cooldown else (),
        constraints=constraints,
        overrides=overrides,
        excludes=_sorted(policy.excludes),
        stated=stated,
        build_default=policy.build.default == "always",
        build_allow=_sorted(policy.build.allow),
        build_constraints=build_constraints,
        build_requires=build_requires,
        no_build=_sorted(policy.build.never),
        no_binary=_sorted(policy.no_binary),
        conflicts=tuple(
            tuple(ConflictItem(side.member, side.extra, side.group) for side in conflict)
            for conflict in policy.conflicts
        ),
        max_steps=policy.max_steps or 0,
        tasks=_tasks(model.tasks, ("tasks",), FILE),
        lock_export=tuple(each.file for each in model.lock.export),
        lock_targets=tuple((each.file, each.target) for each in model.lock.export if each.target),
        plugins=tuple(
            PluginPin(name, plugin.url, plugin.sha256.lower())
            for name, plugin in sorted(model.plugins.items())
        ),
        layers=tuple(tuple(layer) for layer in model.boundaries.layers),
        boundaries=tuple(
            BoundaryRule(
                kind,
                tuple(rule.from_),
                tuple(rule.to),
                rule.reason,
                Written(FILE, dotted(("boundaries", kind, number))),
            )
            for kind, rules in (("allow", model.boundaries.allow), ("deny", model.boundaries.deny))
            for number, rule in enumerate(rules)
        ),
        check=_check(model.check),
        audit=_audit(model.audit),
        licenses=_licenses(model.licenses),
    )


def read_member_tool(table: Table, member: Member, root: str, complaints: Complaints) -> Member:
    """*member* with what its ``[tool.pypm]`` (*table*) says; its sources come before uv's."""
    model = _validated(MemberTool, table, TOOL, complaints)
    sources = _sources(table, (*TOOL, "sources"), member.path, root, member.file, complaints)
    if model is None:
        return member
    build = member.build if model.package is not False else None
    if model.package and build is None:
        complaints.add((*TOOL, "package"), "`package = true` needs a [build-system] table")
    return replace(
        member,
        sources=(
            *sources,
            *(rule for rule in member.sources if all(rule.name != own.name for own in sources)),
        ),
        tasks=_tasks(model.tasks, (*TOOL, "tasks"), member.file),
        tags=tuple(sorted(set(model.tags))),
        check=_check(model.check),
        default_groups=member.default_groups
        if model.default_groups is None
        else tuple(_group(group) for group in model.default_groups),
        build=build,
    )


def _check(table: CheckTable) -> CheckSettings:
    return CheckSettings(
        tuple(table.ignore), tuple(table.tests), tuple(table.exclude), tuple(sorted(table.imports.items()))
    )


def _audit(table: AuditTable) -> AuditSettings:
    return AuditSettings(
        table.database,
        table.osv_url,
        tuple(
            AuditIgnore(
                entry.id,
                entry.reason,
                entry.expires,
                entry.package,
                Written(FILE, dotted(("audit", "ignore", number))),
            )
            for number, entry in enumerate(table.ignore)
        ),
    )


def _licenses(table: LicensesTable) -> LicenseSettings:
    return LicenseSettings(
        tuple(table.allow),
        tuple(table.deny),
        tuple(
            LicenseException(
                entry.package,
                entry.license,
                entry.reason,
                Written(FILE, dotted(("licenses", "exceptions", number))),
            )
            for number, entry in enumerate(table.exceptions)
        ),
    )


def _group(name: str) -> str:
    return name if name == "*" else names.normalize(name)


def _sorted(found: list[str]) -> tuple[NormalizedName, ...]:
    return tuple(NormalizedName(name) for name in sorted(set(found)))


def _tasks(tasks: Tasks, path: KeyPath, file: str) -> tuple[Task, ...]:
    return tuple(
        Task(
            name,
            task.command,
            tuple(task.needs),
            None if task.inputs is None else tuple(task.inputs),
            tuple(task.outputs),
            tuple(sorted(task.env.items())),
            task.description,
            task.scope,
            Written(file, dotted((*path, name))),
        )
        for name, task in sorted(tasks.items())
    )


def _sources(table: Table, path: KeyPath, base: str, root: str, file: str, complaints: Complaints) -> Any:
    found = table.get("sources")
    if not isinstance(found, dict):
        return ()
    return read_sources(found, path, base=base, root=root, file=file, complaints=complaints, strict=True)


def _unique(document: Table, path: KeyPath, complaints: Complaints) -> None:
    """The names under *path* differ after normalisation."""
    table = document.get(str(path[0]))
    seen: dict[str, str] = {}
    for key in table if isinstance(table, dict) else ():
        name = name_at(key, (*path, key), complaints)
        if name is not None and seen.setdefault(name, key) != key:
            complaints.add((*path, key), f"`{seen[name]}` and `{key}` are the same name after normalisation")


def _indexes(document: Table, complaints: Complaints) -> None:
    """Index names differ, and at most one index is the default."""
    found = document.get("index")
    seen: set[object] = set()
    default = False
    for number, index in enumerate(found if isinstance(found, list) else ()):
        if not isinstance(index, dict):
            continue
        name = index.get("name")
        if isinstance(name, str) and name in seen:
            complaints.add(("index", number, "name"), f"two indexes are named `{name}`")
        seen.add(name if isinstance(name, str) else None)
        if index.get("default") is True:
            if default:
                complaints.add(("index", number, "default"), "only one index can be the default")
            if index.get("explicit") is True:
                complaints.add(("index", number, "explicit"), "the default index cannot be explicit")
            default = True


def _validated(model: type[M], data: Table, path: KeyPath, complaints: Complaints) -> M | None:
    try:
        return model.model_validate(data)
    except ValidationError as error:
        for found in error.errors(include_url=False):
            loc: KeyPath = tuple(part for part in found["loc"] if part != "[key]")
            message, remedy = _said(model, found, loc)
            complaints.add((*path, *loc), message, remedy)
        return None


def _said(model: type[BaseModel], found: Any, loc: KeyPath) -> tuple[str, str | None]:
    """A pydantic error in our words, and what was probably meant."""
    key, value = loc[-1] if loc else "", found["input"]
    shown = dotted(loc)
    match found["type"]:
        case "extra_forbidden":
            known = _known(model, loc[:-1])
            where = _header(loc[:-1]) if len(loc) > 1 else "this file"
            remedy = nearest(str(key), known) or _belongs(model, str(key))
            if remedy is None and known:
                remedy = f"known: {', '.join(sorted(known))}"
            return f"unknown key `{key}` in {where}", remedy
        case "missing":
            return f"`{key}` is missing in {_header(loc[:-1])}", None
        case "literal_error":
            wanted = found["ctx"]["expected"].replace("'", "`")
            if isinstance(value, str):
                return f"`{shown}` must be {wanted}, not `{value}`", nearest(
                    value,
                    [part for part in wanted.split("`") if part.strip(", ").isidentifier() or "-" in part],
                )
            return f"`{shown}` must be {wanted}, not {described(value)}", None
        case "value_error":
            return f"`{shown}`: {found['ctx']['error']}", None
        case "string_type":
            return f"`{shown}` must be a string, not {described(value)}", None
        case "bool_type":
            return f"`{shown}` must be a boolean, not {described(value)}", None
        case "list_type":
            return f"`{shown}` must be an array, not {described(value)}", None
        case "dict_type" | "model_type" | "model_attributes_type":
            return f"`{shown}` must be a table, not {described(value)}", None
        case "string_pattern_mismatch":
            return f"`{shown}` must be 64 hexadecimal digits", None
        case "string_too_short":
            return f"`{shown}` must not be empty", None
        case _:
            return f"`{shown}`: {found['msg'][0].lower()}{found['msg'][1:]}", None


def _belongs(model: type[BaseModel], key: str) -> str | None:
    """Which table of the file has *key*, if one has."""
    for name in map(kebab, model.model_fields):
        if key == name or key in _known(model, (name,)):
            return f"it belongs {'at the top of the file' if key == name else f'in [{name}]'}"
    return None


def _header(path: KeyPath) -> str:
    """The table at *path* as its header: ``[tasks.test]``, ``[[index]]``."""
    return f"[[{dotted(path[:-1])}]]" if path and isinstance(path[-1], int) else f"[{dotted(path)}]"


def _known(model: Any, loc: KeyPath) -> list[str]:
    """The keys of the table at *loc* below *model*."""
    kind: Any = model
    for part in loc:
        kind = _bare(kind)
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            field = next((f for n, f in kind.model_fields.items() if kebab(n) == part), None)
            if field is None:
                return []
            kind = field.annotation
        elif get_args(kind):
            kind = get_args(kind)[-1]
    kind = _bare(kind)
    return (
        [kebab(name) for name in kind.model_fields]
        if isinstance(kind, type) and issubclass(kind, BaseModel)
        else []
    )


def _bare(kind: Any) -> Any:
    """*kind* without Annotated and ``| None``."""
    while get_origin(kind) is Annotated or type(None) in get_args(kind):
        arguments = [a for a in get_args(kind) if a is not type(None)]
        kind = arguments[0]
    return kind


def _build(
    resolution: Table, complaints: Complaints
) -> tuple[tuple[Asked, ...], tuple[tuple[NormalizedName, tuple[Asked, ...]], ...]]:
    """What builds need: constraints for all of them, and what some need besides."""
    path: KeyPath = ("resolution", "build")
    table = resolution.get("build")
    if not isinstance(table, dict):
        return (), ()
    constraints = requirements_at(table, (*path, "constraints"), complaints)
    found = table.get("requires")
    more: Table = found if isinstance(found, dict) else {}
    requires = [
        (names.normalize(key), requirements_at(more, (*path, "requires", key), complaints)) for key in more
    ]
    return constraints, tuple(sorted(requires))
