"""One ``pyproject.toml`` as a `Member` (PEP 621, 735, 518), with all its faults at once.

Hot: called once per changed manifest, 1,000 times for a fresh look at a large workspace; so plain
checks, no model library. ``[tool.pypm]`` is read by the caller's *tool_reader* where there is one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from pypm_model import names, versions
from pypm_model.later import later
from pypm_model.names import ROOT, NormalizedName
from pypm_model.records import replace
from pypm_model.versions import InvalidVersion
from pypm_workspace.configuration import Asked, Build, Member
from pypm_workspace.faults import Complaints, nearest
from pypm_workspace.fields import name_at, requirements_at, specifier_at, table_at, text_at, texts_at
from pypm_workspace.toml_reading import Table

if TYPE_CHECKING:
    from pypm_workspace import groups, uv
else:
    groups = later("pypm_workspace.groups")
    uv = later("pypm_workspace.uv")

GROUPS = "dependency-groups"

ToolReader = Callable[[Table, Member, str, Complaints], Member]
"""Adds what ``[tool.pypm]`` (first argument) says to a member; third argument is the root's path."""

_known = frozenset(
    (
        "name",
        "version",
        "description",
        "readme",
        "requires-python",
        "license",
        "license-files",
        "authors",
        "maintainers",
        "keywords",
        "classifiers",
        "urls",
        "scripts",
        "gui-scripts",
        "entry-points",
        "dependencies",
        "optional-dependencies",
        "dynamic",
        "import-names",
        "import-namespaces",
    )
)
_single = ("version", "requires-python")
_tables = ("urls", "scripts", "gui-scripts", "entry-points")


def read_member(
    document: Table, *, path: str, root: str, complaints: Complaints, tool_reader: ToolReader
) -> Member | None:
    """The member that the manifest in folder *path* (relative to *root*, absolute) describes.

    None if it has faults that leave no member. The root's manifest may lack ``[project]``: it is
    then the virtual root. A group or requirement with a fault is left out of the result.
    """
    project = table_at(document, ("project",), complaints)
    if not project and "project" not in document and path == ".":
        member: Member | None = Member(ROOT, "(root)", path)
    elif "project" not in document:
        remedy = (
            "it uses Poetry's own table" if "poetry" in table_at(document, ("tool",), complaints) else None
        )
        complaints.add((), "a member needs a `[project]` table", remedy)
        return None
    else:
        member = _project(project, path, complaints)
    own_groups = groups.read_groups(document, complaints) if GROUPS in document else ()
    build = _build(document, complaints)
    tool = table_at(document, ("tool",), complaints) if "tool" in document else {}
    if member is None:
        member = Member(names.normalize("unnamed"), "unnamed", path)
        nameless = True
    else:
        nameless = False
    member = replace(member, groups=own_groups, build=build)
    if "uv" in tool:
        found = uv.read_member_tables(tool, member, root=root, complaints=complaints)
        package = found.package if found.package is not None else build is not None
        member = replace(
            member,
            groups=groups.merge_group(member.groups, "dev", found.dev),
            group_pythons=found.group_pythons,
            sources=found.sources,
            indexes=found.indexes,
            default_groups=found.default_groups,
            conflicts=found.conflicts,
            managed=found.managed,
            build=(build or Build(())) if package else None,
        )
    if "pypm" in tool:
        member = tool_reader(table_at(tool, ("tool", "pypm"), complaints), member, root, complaints)
    return None if nameless else member


def _project(project: Table, path: str, complaints: Complaints) -> Member | None:
    for key in project:
        if key not in _known:
            complaints.warn(("project", key), f"unknown key `{key}` in [project]", nearest(key, _known))
    for key in _tables:
        if key in project:
            table_at(project, ("project", key), complaints)
    dynamic = texts_at(project, ("project", "dynamic"), complaints) if "dynamic" in project else ()
    for position, field in enumerate(dynamic):
        if field == "name":
            complaints.add(("project", "dynamic", position), "`name` cannot be dynamic")
        elif field not in _known or field == "dynamic":
            near = nearest(field, _known - {"dynamic", "name"})
            complaints.add(("project", "dynamic", position), f"`{field}` is no field of [project]", near)
        elif field in _single and field in project:
            complaints.add(("project", field), f"`{field}` is both stated and dynamic")
    name: NormalizedName | None = None
    if "name" in project:
        name = name_at(project["name"], ("project", "name"), complaints)
    else:
        complaints.add(("project",), "`name` is missing in [project]")
    version = _version(project, dynamic, complaints)
    python = project.get("requires-python")
    requires_python = (
        specifier_at(python, ("project", "requires-python"), complaints) if python is not None else ""
    )
    dependencies = requirements_at(project, ("project", "dependencies"), complaints)
    extras = _extras(project, complaints) if "optional-dependencies" in project else ()
    if name is None:
        return None
    return Member(
        name,
        project["name"],
        path,
        version,
        requires_python,
        dependencies,
        extras,
        dynamic=tuple(sorted(set(dynamic))),
    )


def _version(project: Table, dynamic: tuple[str, ...], complaints: Complaints) -> str | None:
    if "version" not in project:
        if "version" not in dynamic:
            complaints.add(("project",), "`version` is neither stated nor listed in `dynamic`")
        return None
    text = text_at(project, ("project", "version"), complaints)
    if text is None:
        return None
    try:
        return versions.canonical(text)
    except InvalidVersion as error:
        complaints.add(("project", "version"), str(error))
        return None


def _extras(project: Table, complaints: Complaints) -> tuple[tuple[NormalizedName, tuple[Asked, ...]], ...]:
    path = ("project", "optional-dependencies")
    table = table_at(project, path, complaints)
    found: dict[NormalizedName, tuple[Asked, ...]] = {}
    spelled: dict[NormalizedName, str] = {}
    for key in table:
        asked = requirements_at(table, (*path, key), complaints)
        name = name_at(key, (*path, key), complaints)
        if name is None:
            continue
        if name in found:
            complaints.add(
                (*path, key), f"extras `{spelled[name]}` and `{key}` are the same name after normalisation"
            )
            continue
        found[name], spelled[name] = asked, key
    return tuple(sorted(found.items()))


def _build(document: Table, complaints: Complaints) -> Build | None:
    if "build-system" not in document:
        return None
    path = ("build-system",)
    table = table_at(document, path, complaints)
    if "requires" not in table and isinstance(document["build-system"], dict):
        complaints.add(path, "`requires` is missing in [build-system]")
    for key in table:
        if key not in ("requires", "build-backend", "backend-path"):
            known = ("requires", "build-backend", "backend-path")
            complaints.add((*path, key), f"unknown key `{key}` in [build-system]", nearest(key, known))
    return Build(
        requirements_at(table, (*path, "requires"), complaints),
        text_at(table, (*path, "build-backend"), complaints) or "",
        texts_at(table, (*path, "backend-path"), complaints) if "backend-path" in table else (),
    )
