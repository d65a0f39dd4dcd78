"""What `init` writes: a project, a workspace file, and the workspace file of a uv workspace."""

from __future__ import annotations

from typing import Any

import tomlkit
from tomlkit.items import Array

from pypm_model import names, requirement_text
from pypm_model.sources import GitSource, IndexSource, PathSource, Source, UrlSource
from pypm_workspace.configuration import Asked, Settings, StatedMetadata


def new_project(
    name: str,
    *,
    requires_python: str = ">=3.11",
    description: str = "",
    package: bool = True,
    has_module: bool = False,
) -> dict[str, str]:
    """Files of a new project by path: the manifest and, for a *package*, a module under ``src`` unless it
    has one, whose words need not be a description."""
    document = tomlkit.document()
    project = tomlkit.table()
    project["name"] = names.normalize(name)
    project["version"] = "0.1.0"
    if description:
        project["description"] = description
    project["requires-python"] = requires_python
    project["dependencies"] = []
    document["project"] = project
    if not package:
        return {"pyproject.toml": tomlkit.dumps(document)}
    build = tomlkit.table()
    build["requires"] = ["flit_core>=3.11,<5"]
    build["build-backend"] = "flit_core.buildapi"
    document["build-system"] = build
    if has_module:
        if not description:
            project.add("description", names.normalize(name))
        return {"pyproject.toml": tomlkit.dumps(document)}
    module = names.normalize(name).replace("-", "_")
    documentation = f'"""{(description or name).rstrip(".")}."""\n'
    if not description:
        project.add("dynamic", ["description"])
    return {"pyproject.toml": tomlkit.dumps(document), f"src/{module}/__init__.py": documentation}


def module_places(name: str) -> tuple[str, ...]:
    """Where the build backend of a new project would find its module."""
    module = names.normalize(name).replace("-", "_")
    return tuple(f"{src}{module}{rest}" for src in ("src/", "") for rest in ("/__init__.py", ".py"))


def tables_of(text: str) -> frozenset[str]:
    """The top-level keys of the manifest *text*."""
    return frozenset(tomlkit.parse(text.removeprefix("\ufeff")))


def with_project(text: str, added: str) -> str:
    """The manifest *text*, in which only tools have tables, with the new one *added* before what it says.
    Its line ends are kept."""
    mark = "\ufeff" if text.startswith("\ufeff") else ""
    rest = text.removeprefix(mark)
    whole = f"{added}\n{rest}" if rest.strip() else added
    return mark + (whole.replace("\r\n", "\n").replace("\n", "\r\n") if "\r\n" in rest else whole)


def new_workspace(name: str, members: tuple[str, ...] = ("packages/*",)) -> str:
    """A ``pypm-workspace.toml`` for a new workspace."""
    return workspace_file(Settings(name=name, members=members))


def workspace_file(settings: Settings) -> str:
    """A ``pypm-workspace.toml`` that says *settings*; keys at their defaults are left out.

    Written for a uv workspace, it makes the workspace pypm's own: uv's tables may stay or go.
    """
    document = tomlkit.document()
    standard = Settings()
    workspace = tomlkit.table()
    if settings.name:
        workspace["name"] = settings.name
    workspace["members"] = _array(settings.members)
    for key, value, usual in (
        ("exclude", settings.exclude, ()),
        ("environments", settings.environments, ()),
        ("required-environments", settings.required_environments, ()),
        ("default-groups", settings.default_groups, standard.default_groups),
    ):
        if value != usual:
            workspace[key] = "all" if value == ("*",) else _array(value)
    if not settings.shared_environment:
        workspace["shared-environment"] = False
    document["workspace"] = workspace
    _sources(document, settings)
    if settings.indexes:
        indexes = tomlkit.aot()
        for index in settings.indexes:
            table = tomlkit.table()
            table["name"], table["url"] = index.name, index.url
            if index.explicit:
                table["explicit"] = True
            if index.default:
                table["default"] = True
            indexes.append(table)
        document["index"] = indexes
    resolution = _resolution(settings)
    if resolution:
        document["resolution"] = resolution
    return tomlkit.dumps(document)


def _sources(document: tomlkit.TOMLDocument, settings: Settings) -> None:
    table = tomlkit.table()
    found: dict[str, list[Any]] = {}
    for rule in settings.sources:
        entry = _entry(rule.source)
        if entry is None:
            continue
        entry |= {
            k: v for k, v in (("marker", rule.marker), ("extra", rule.extra), ("group", rule.group)) if v
        }
        inline = tomlkit.inline_table()
        inline.update(entry)
        found.setdefault(rule.name, []).append(inline)
    for name, entries in found.items():
        table[name] = entries[0] if len(entries) == 1 else _array(tuple(entries))
    if found:
        document["sources"] = table


def _entry(source: Source) -> dict[str, Any] | None:
    """The table of a source; None for a member, which needs none."""
    match source:
        case IndexSource(index):
            return {"index": index}
        case PathSource(path, editable):
            return {"path": path} | ({"editable": True} if editable else {})
        case UrlSource(url, subdirectory):
            return {"url": url} | ({"subdirectory": subdirectory} if subdirectory else {})
        case GitSource(url, ref, _, subdirectory):
            found = {"git": url} | ({"rev": ref} if ref else {})
            return found | ({"subdirectory": subdirectory} if subdirectory else {})
        case _:
            return None


def _resolution(settings: Settings) -> dict[str, Any]:
    standard = Settings()
    table = tomlkit.table()
    for key, value, usual in (
        ("strategy", settings.strategy, standard.strategy),
        ("fork-strategy", settings.fork_strategy, standard.fork_strategy),
        ("prereleases", settings.prereleases, standard.prereleases),
        ("exclude-newer", settings.exclude_newer, ""),
    ):
        if value != usual:
            table[key] = value
    if settings.cooldown:
        table["cooldown"] = f"{settings.cooldown} seconds"
    for key, asked in (("constraints", settings.constraints), ("overrides", settings.overrides)):
        if asked:
            table[key] = _array(tuple(_text(entry) for entry in asked))
    if settings.excludes:
        table["excludes"] = _array(settings.excludes)
    if settings.stated:
        table["dependency-metadata"] = [_metadata(stated) for stated in settings.stated]
    if settings.no_binary:
        table["no-binary"] = _array(settings.no_binary)
    if settings.find_links:
        table["find-links"] = _array(settings.find_links)
    build = tomlkit.inline_table()
    if settings.build_default:
        build["default"] = "always"
    if settings.build_allow:
        build["allow"] = list(settings.build_allow)
    if settings.no_build:
        build["never"] = list(settings.no_build)
    if settings.build_constraints:
        build["constraints"] = [_text(entry) for entry in settings.build_constraints]
    if settings.build_requires:
        build["requires"] = {name: [_text(e) for e in asked] for name, asked in settings.build_requires}
    if build:
        table["build"] = build
    if settings.exclude_newer_package:
        exceptions = tomlkit.inline_table()
        for name, at in settings.exclude_newer_package:
            exceptions[name] = at or False
        table["exclude-newer-package"] = exceptions
    if settings.conflicts:
        table["conflicts"] = [
            [
                {k: v for k, v in (("member", s.member), ("extra", s.extra), ("group", s.group)) if v}
                for s in conflict
            ]
            for conflict in settings.conflicts
        ]
    return table


def _metadata(stated: StatedMetadata) -> dict[str, Any]:
    fields = {
        "name": stated.name,
        "version": stated.version,
        "requires-dist": [_text(entry) for entry in stated.requires],
        "requires-python": stated.requires_python,
        "provides-extra": list(stated.extras),
    }
    return {key: value for key, value in fields.items() if value}


def _text(asked: Asked) -> str:
    return requirement_text.to_text(asked.requirement)


def _array(values: tuple[Any, ...]) -> Array:
    array = tomlkit.array()
    array.extend(values)
    if len(values) > 2:
        array.multiline(True)
    return array
