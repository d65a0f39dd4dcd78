"""What uv's tables say, as our records, so that a uv workspace works as it stands.

Only keys that decide what is locked or installed are read; every other key of ``[tool.uv]`` is
uv's own affair and no fault.
"""

from __future__ import annotations

from typing import Any

from pypm_model import names
from pypm_model.markers import InvalidMarker
from pypm_model.markers import parse as parse_marker
from pypm_model.names import NormalizedName
from pypm_model.records import record, replace
from pypm_model.sources import plain_url
from pypm_workspace.configuration import (
    UV_TOML,
    Asked,
    ConflictItem,
    IndexSetting,
    Member,
    Settings,
    SourceRule,
    Written,
)
from pypm_workspace.faults import Complaints, nearest
from pypm_workspace.fields import (
    array_at,
    described,
    flag_at,
    name_at,
    names_at,
    requirements_at,
    specifier_at,
    table_at,
    text_at,
    texts_at,
)
from pypm_workspace.moments import moment_or_period, seconds
from pypm_workspace.positions import KeyPath, dotted
from pypm_workspace.source_tables import read_sources
from pypm_workspace.stated_metadata import read_stated
from pypm_workspace.toml_reading import Table

UV: KeyPath = ("tool", "uv")
_in_file = (
    "indexes",
    "find_links",
    "strategy",
    "fork_strategy",
    "prereleases",
    "exclude_newer",
    "cooldown",
    "exclude_newer_package",
    "stated",
    "build_default",
    "build_refused",
    "build_requires",
    "no_build",
    "no_binary",
)
"""Settings that count from `UV_TOML` alone, where there is one."""
_not_in_file = (
    "workspace",
    "sources",
    "managed",
    "package",
    "default-groups",
    "dependency-groups",
    "dev-dependencies",
    "environments",
    "required-environments",
    "conflicts",
)
_prereleases = {
    "disallow": "never",
    "allow": "allow",
    "if-necessary": "if-necessary",
    "explicit": "if-necessary",
    "if-necessary-or-explicit": "if-necessary",
}
_strategies = {"highest": "highest", "lowest": "lowest", "lowest-direct": "lowest-direct"}
_forks = {"requires-python": "requires-python", "fewest": "fewest"}


@record
class UvMember:
    """What one project's ``[tool.uv]`` adds to it."""

    sources: tuple[SourceRule, ...] = ()
    indexes: tuple[IndexSetting, ...] = ()
    dev: tuple[Asked, ...] = ()
    """Legacy ``dev-dependencies``: they belong to the group ``dev``."""
    group_pythons: tuple[tuple[NormalizedName, str], ...] = ()
    default_groups: tuple[str, ...] | None = None
    conflicts: tuple[tuple[ConflictItem, ...], ...] = ()
    package: bool | None = None
    managed: bool = True


def read_member_tables(tool: Table, member: Member, *, root: str, complaints: Complaints) -> UvMember:
    """What ``[tool.uv]`` in the manifest of *member* says about that member."""
    uv = table_at(tool, UV, complaints)
    found = UvMember()
    if "sources" in uv:
        found = replace(
            found,
            sources=read_sources(
                table_at(uv, (*UV, "sources"), complaints),
                (*UV, "sources"),
                base=member.path,
                root=root,
                file=member.file,
                complaints=complaints,
                strict=False,
            ),
        )
    if len(uv) == ("sources" in uv):  # nothing else, as in most members
        return found
    package = flag_at(uv, (*UV, "package"), complaints)
    managed = flag_at(uv, (*UV, "managed"), complaints)
    return replace(
        found,
        indexes=read_indexes(uv, member.file, complaints),
        dev=requirements_at(uv, (*UV, "dev-dependencies"), complaints),
        group_pythons=_group_pythons(uv, complaints),
        default_groups=_default_groups(uv, complaints),
        conflicts=_conflicts(uv, complaints),
        package=package,
        managed=managed is not False,
    )


def read_settings(document: Table, *, file: str, root: str, complaints: Complaints) -> Settings:
    """The workspace-wide settings in the root's manifest: all of ``[tool.uv]`` that is not a member's."""
    tool = document.get("tool")
    uv = table_at(tool, UV, complaints) if isinstance(tool, dict) else {}
    if not uv:
        return Settings(of_uv=True)
    members: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    if "workspace" in uv:
        workspace = table_at(uv, (*UV, "workspace"), complaints)
        members = texts_at(workspace, (*UV, "workspace", "members"), complaints)
        exclude = texts_at(workspace, (*UV, "workspace", "exclude"), complaints)
    _strategy_of_indexes(uv, complaints)
    cut_off, cooldown = _cut_off(uv.get("exclude-newer"), (*UV, "exclude-newer"), complaints)
    groups = _default_groups(uv, complaints)
    no_binary = names_at(uv, (*UV, "no-binary-package"), complaints)
    if flag_at(uv, (*UV, "no-binary"), complaints):
        no_binary = (NormalizedName("*"),)
    return Settings(
        file=file if members or "workspace" in uv else "",
        members=members,
        exclude=exclude,
        environments=_markers(uv, "environments", complaints),
        required_environments=_markers(uv, "required-environments", complaints),
        default_groups=("dev",) if groups is None else groups,
        sources=read_sources(
            table_at(uv, (*UV, "sources"), complaints),
            (*UV, "sources"),
            base=".",
            root=root,
            file=file,
            complaints=complaints.muted(),
            strict=False,
        ),
        indexes=read_indexes(uv, file, complaints.muted()),
        find_links=_find_links(uv, complaints),
        strategy=_choice(uv, "resolution", _strategies, complaints) or "highest",
        fork_strategy=_choice(uv, "fork-strategy", _forks, complaints) or "requires-python",
        prereleases=_choice(uv, "prerelease", _prereleases, complaints) or "if-necessary",
        exclude_newer=cut_off,
        cooldown=cooldown,
        exclude_newer_package=_cut_offs(uv, complaints),
        constraints=requirements_at(uv, (*UV, "constraint-dependencies"), complaints),
        overrides=requirements_at(uv, (*UV, "override-dependencies"), complaints),
        excludes=names_at(uv, (*UV, "exclude-dependencies"), complaints),
        stated=read_stated(uv, (*UV, "dependency-metadata"), complaints),
        build_default=flag_at(uv, (*UV, "no-build"), complaints) is False,
        build_refused=flag_at(uv, (*UV, "no-build"), complaints) is True,
        build_constraints=requirements_at(uv, (*UV, "build-constraint-dependencies"), complaints),
        build_requires=_build_requires(uv, complaints),
        no_build=names_at(uv, (*UV, "no-build-package"), complaints),
        no_binary=no_binary,
        of_uv=True,
        conflicts=_conflicts(uv, complaints),
    )


def read_file(document: Table, *, root: str, complaints: Complaints) -> Settings:
    """The settings in ``uv.toml``, as `with_file` takes them; *complaints* are about ``[tool.uv]``."""
    for key in _not_in_file:
        if key in document:
            complaints.add((*UV, key), f"`{key}` is for a project: it belongs in [tool.uv] of pyproject.toml")
    read_indexes(document, UV_TOML, complaints)
    return read_settings({"tool": {"uv": document}}, file=UV_TOML, root=root, complaints=complaints)


def with_file(settings: Settings, of_file: Settings) -> Settings:
    """*settings* with what ``uv.toml`` says where it counts. Indexes of the manifest then serve who names
    them in a source, and nobody else."""
    taken = {name: getattr(of_file, name) for name in _in_file}
    known = {index.name for index in of_file.indexes}
    own = [replace(i, explicit=True, default=False) for i in settings.indexes if i.name not in known]
    taken["indexes"] = (*of_file.indexes, *own)
    return replace(settings, of_uv=True, **taken)


def read_indexes(uv: Table, file: str, complaints: Complaints) -> tuple[IndexSetting, ...]:
    """``[[tool.uv.index]]`` in order, then the legacy ``extra-index-url`` and ``index-url``.

    One without a name gets one that does not hold its host: ``pypi`` for a default index (it stands
    in for it), else ``uv-index-N``.
    """
    found: list[IndexSetting] = []
    seen: dict[str, int] = {}
    for position, entry in enumerate(array_at(uv, (*UV, "index"), complaints)):
        path: KeyPath = (*UV, "index", position)
        if not isinstance(entry, dict):
            complaints.add(path, f"an index is a table, not {described(entry)}")
            continue
        url = text_at(entry, (*path, "url"), complaints)
        name = text_at(entry, (*path, "name"), complaints)
        explicit = bool(flag_at(entry, (*path, "explicit"), complaints))
        default = bool(flag_at(entry, (*path, "default"), complaints))
        if url is None:
            if "url" not in entry:
                complaints.add(path, "`url` is missing in this index")
            continue
        if text_at(entry, (*path, "format"), complaints) == "flat" and _is_web(url):
            complaints.add(
                (*path, "format"),
                f"a flat index on the web, such as {plain_url(url)}, is not supported",
                _FLAT,
            )
            continue
        if name is None:
            name = "pypi" if default else f"uv-index-{position + 1}"
        if name in seen:
            complaints.add((*path, "name"), f"two indexes are named `{name}`")
            continue
        seen[name] = position
        found.append(IndexSetting(name, url, explicit, default, _written(file, path)))
    for position, url in enumerate(texts_at(uv, (*UV, "extra-index-url"), complaints)):
        written = _written(file, (*UV, "extra-index-url", position))
        found.append(IndexSetting(f"uv-extra-{position + 1}", url, written=written))
    url = text_at(uv, (*UV, "index-url"), complaints)
    if url is not None and not any(index.default for index in found):
        found.append(IndexSetting("pypi", url, default=True, written=_written(file, (*UV, "index-url"))))
    return tuple(found)


_FLAT = "a folder is, and so is an index of the simple API"


def _is_web(url: str) -> bool:
    return url.startswith(("http://", "https://"))


def _find_links(uv: Table, complaints: Complaints) -> tuple[str, ...]:
    found = texts_at(uv, (*UV, "find-links"), complaints)
    for item, url in enumerate(found):
        if _is_web(url):
            told = f"a page of links on the web, {plain_url(url)}, is not supported"
            complaints.add((*UV, "find-links", item), told, _FLAT)
    return found


def _strategy_of_indexes(uv: Table, complaints: Complaints) -> None:
    """uv can look for a name on all indexes. Whoever can publish on one of them then owns all names."""
    value = text_at(uv, (*UV, "index-strategy"), complaints)
    implicit = [
        e for e in array_at(uv, (*UV, "index"), complaints) if isinstance(e, dict) and not e.get("explicit")
    ]
    if value in ("unsafe-first-match", "unsafe-best-match") and (implicit or uv.get("extra-index-url")):
        complaints.warn_as(
            "index-strategy",
            (*UV, "index-strategy"),
            f"`{value}` is not followed: the first index that has a name is the only one asked for it",
            "`[tool.uv.sources]` says which index a name is to come from",
        )


def _build_requires(
    uv: Table, complaints: Complaints
) -> tuple[tuple[NormalizedName, tuple[Asked, ...]], ...]:
    """uv's ``extra-build-dependencies``. That the version is to be the one installed later, which uv can be
    told as well, is not known of."""
    path = (*UV, "extra-build-dependencies")
    found = []
    for key, entries in table_at(uv, path, complaints).items():
        name = name_at(key, (*path, key), complaints)
        plain = entries
        if isinstance(entries, list):
            plain = [e["requirement"] if isinstance(e, dict) and "requirement" in e else e for e in entries]
        asked = requirements_at({key: plain}, (*path, key), complaints)
        if name is not None:
            found.append((name, asked))
    return tuple(sorted(found))


def _written(file: str, path: KeyPath) -> Written:
    return Written(file, dotted(path[len(UV) :] if file == UV_TOML else path))


def _choice(uv: Table, key: str, choices: dict[str, str], complaints: Complaints) -> str | None:
    value = text_at(uv, (*UV, key), complaints)
    if value is None or value in choices:
        return choices[value] if value else None
    wanted = ", ".join(f"`{choice}`" for choice in choices)
    complaints.add((*UV, key), f"`{value}` is none of {wanted}", nearest(value, choices))
    return None


def _default_groups(uv: Table, complaints: Complaints) -> tuple[str, ...] | None:
    value = uv.get("default-groups")
    if value is None:
        return None
    if value == "all":
        return ("*",)
    return tuple(names.normalize(name) for name in texts_at(uv, (*UV, "default-groups"), complaints))


def _group_pythons(uv: Table, complaints: Complaints) -> tuple[tuple[NormalizedName, str], ...]:
    path = (*UV, "dependency-groups")
    table = table_at(uv, path, complaints)
    found = []
    for key in table:
        entry = table_at(table, (*path, key), complaints)
        name = name_at(key, (*path, key), complaints)
        if "requires-python" in entry and name is not None:
            text = specifier_at(entry["requires-python"], (*path, key, "requires-python"), complaints)
            found.append((name, text))
    return tuple(sorted(found))


def _markers(uv: Table, key: str, complaints: Complaints) -> tuple[str, ...]:
    path = (*UV, key)
    value = uv.get(key)
    texts = (value,) if isinstance(value, str) else texts_at(uv, path, complaints)
    for item, text in enumerate(texts):
        try:
            parse_marker(text)
        except InvalidMarker as error:
            complaints.add(path if isinstance(value, str) else (*path, item), str(error))
    return texts


def _cut_off(value: Any, path: KeyPath, complaints: Complaints) -> tuple[str, int]:
    """A cut-off as (moment, 0), or, where uv's value is a period, as ("", seconds)."""
    if value is None:
        return "", 0
    try:
        cut_off = moment_or_period(value)
    except ValueError as error:
        complaints.add(path, f"`exclude-newer`: {error}")
        return "", 0
    return ("", seconds(cut_off)) if cut_off.endswith("seconds") else (cut_off, 0)


def _cut_offs(uv: Table, complaints: Complaints) -> tuple[tuple[NormalizedName, str], ...]:
    path = (*UV, "exclude-newer-package")
    found = []
    for key, value in table_at(uv, path, complaints).items():
        name = name_at(key, (*path, key), complaints)
        if name is None:
            continue
        if value is False:
            found.append((name, ""))
            continue
        try:
            found.append((name, moment_or_period(value)))
        except ValueError as error:
            complaints.add((*path, key), str(error))
    return tuple(sorted(found))


def _conflicts(uv: Table, complaints: Complaints) -> tuple[tuple[ConflictItem, ...], ...]:
    path = (*UV, "conflicts")
    found = []
    for position, items in enumerate(array_at(uv, path, complaints)):
        if not isinstance(items, list):
            complaints.add((*path, position), f"a conflict is an array of tables, not {described(items)}")
            continue
        sides = []
        for number, entry in enumerate(items):
            where: KeyPath = (*path, position, number)
            if not isinstance(entry, dict):
                complaints.add(where, f"one side of a conflict is a table, not {described(entry)}")
                continue
            texts = {
                key: text_at(entry, (*where, key), complaints) or "" for key in ("package", "extra", "group")
            }
            package, extra, group = (names.normalize(texts[key]) for key in ("package", "extra", "group"))
            sides.append(ConflictItem(package, extra, group))
        found.append(tuple(sides))
    return tuple(found)
