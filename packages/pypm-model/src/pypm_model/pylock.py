"""A lock as `pylock.toml` (PEP 751), the format other tools install from.

PEP 751 is a list with markers where our lock is a graph, and it has one flat name space of extras and
groups where a workspace has many members. So every member, member extra and member group becomes a
dependency group of its own name; with one member chosen, its extras and groups keep their names.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

from pypm_model.activation import extra_flag, group_flag, member_flag
from pypm_model.artifacts import Artifact
from pypm_model.lock_reach import covered, marker_texts, reach
from pypm_model.locks import Lock, LockedPackage
from pypm_model.markers import FALSE, assume, both
from pypm_model.names import ROOT, NormalizedName
from pypm_model.python_ranges import union
from pypm_model.records import record
from pypm_model.sources import GitSource, IndexSource, MemberSource, PathSource, Source, UrlSource

Locate = Callable[[LockedPackage, Artifact], str]
"""Gives the address of a file, without credentials."""
Place = Callable[[str], str]
"""Gives a path of the lock, which is relative to the workspace's root, as it is from the exported file."""


@record
class GroupNames:
    """How flags are called in the exported file."""

    extras: tuple[tuple[str, NormalizedName], ...]
    """(flag, name) of what becomes an extra."""
    groups: tuple[tuple[str, NormalizedName], ...]
    """(flag, name) of what becomes a dependency group."""
    always: tuple[str, ...]
    """Flags that are taken as set: the chosen member itself."""

    def only(self, flags: Collection[str]) -> GroupNames:
        """Those of *flags*; the others are taken as unset."""
        return GroupNames(
            tuple([pair for pair in self.extras if pair[0] in flags]),
            tuple([pair for pair in self.groups if pair[0] in flags]),
            self.always,
        )


def workspace_names(lock: Lock) -> GroupNames:
    """Every member, extra and group of the workspace as a group: ``acme``, ``acme-http2``, ``acme-dev``;
    the virtual root's groups keep their names. A name that is taken gets ``-extra`` or ``-group``."""
    members = [p for p in lock.packages if p.manifest is not None]
    taken: set[str] = set()
    groups: list[tuple[str, NormalizedName]] = []

    def claim(flag: str, wanted: str, suffix: str) -> None:
        name, number = wanted, 2
        while name in taken:
            name = f"{wanted}-{suffix}" if number == 2 else f"{wanted}-{suffix}-{number}"
            number += 1
        taken.add(name)
        groups.append((flag, NormalizedName(name)))

    for package in members:
        if package.name != ROOT:
            claim(member_flag(package.name), package.name, "member")
    for package in members:
        for group, _ in package.groups:
            claim(
                group_flag(package.name, group),
                group if package.name == ROOT else f"{package.name}-{group}",
                "group",
            )
    for package in members:
        for extra, _ in package.extras:
            claim(extra_flag(package.name, extra), f"{package.name}-{extra}", "extra")
    return GroupNames((), tuple(groups), ())


def member_names(lock: Lock, member: NormalizedName) -> GroupNames:
    """One member: itself always, its extras and groups by their own names."""
    (package,) = (p for p in lock.packages if p.manifest is not None and p.name == member)
    return GroupNames(
        tuple((extra_flag(member, e), e) for e, _ in package.extras),
        tuple((group_flag(member, g), g) for g, _ in package.groups),
        (member_flag(member),),
    )


def to_pylock(
    lock: Lock,
    names: GroupNames,
    locate: Locate,
    *,
    default_groups: Sequence[NormalizedName] = (),
    editable: bool = True,
    members: bool = True,
    unbuilt: Collection[NormalizedName] = (),
    place: Place = str,
) -> str:
    """The text of `pylock.toml`: deterministic, packages in the lock's order.

    Only packages that some flag in *names* needs are in it; flags not in *names* are taken as unset.
    Members are ``directory`` entries, editable unless *editable* is False; without *members* they are
    left out, and what they need from elsewhere stays: pip refuses folders beside files with hashes. So are
    those that are *unbuilt*: they are no packages, and nobody can install them.
    """
    spelled = {
        **{f: ("extras", n) for f, n in names.extras},
        **{f: ("dependency_groups", n) for f, n in names.groups},
    }
    fixed = {flag: flag in names.always for flag in _all_flags(lock) if flag not in spelled}
    python = _python(lock, {*spelled, *names.always})
    region = covered(lock, python)
    found = {position: both(assume(where, fixed), region) for position, where in reach(lock).items()}
    found = {position: where for position, where in found.items() if where != FALSE}
    entries = []
    for position, marker in marker_texts(lock, found, region).items():
        package = lock.packages[position]
        if package.manifest is not None and (not members or package.name in unbuilt):
            continue
        if package.name != ROOT:
            entries.append(_entry(package, _spell(marker, spelled), locate, place, editable))
    head = ['lock-version = "1.0"']
    if lock.environments:
        head.append(f"environments = {_array(lock.environments)}")
    if python:
        head.append(f"requires-python = {_string(python)}")
    head.append(f"extras = {_array(sorted(n for _, n in names.extras))}")
    head.append(f"dependency-groups = {_array(sorted(n for _, n in names.groups))}")
    head.append(f"default-groups = {_array(sorted(default_groups))}")
    head.append('created-by = "pypm"')
    return "\n".join(head) + "\n" + "".join(f"\n{entry}" for entry in entries)


def _all_flags(lock: Lock) -> Iterator[str]:
    for package in lock.packages:
        if package.manifest is not None:
            yield from _flags_of(package)


def _flags_of(package: LockedPackage) -> Iterator[str]:
    yield member_flag(package.name)
    yield from (extra_flag(package.name, e) for e, _ in package.extras)
    yield from (group_flag(package.name, g) for g, _ in package.groups)


def _python(lock: Lock, flags: set[str]) -> str:
    """The Pythons that any exported member is for: PEP 751 has one range for the whole file, and what a
    member needs has a marker where its own is narrower."""
    return union(
        package.manifest.requires_python
        for package in lock.packages
        if package.manifest is not None and not flags.isdisjoint(_flags_of(package))
    )


def _spell(marker: str, spelled: dict[str, tuple[str, NormalizedName]]) -> str:
    """*marker* with our flags in PEP 751's terms. Flags hold no quotes, so replacing texts is safe."""
    for flag, (variable, name) in spelled.items():
        for quote in "'\"":
            marker = marker.replace(
                f"{quote}{flag}{quote} in dependency_groups", f"{quote}\0{name}{quote} in {variable}"
            )
            marker = marker.replace(
                f"{quote}{flag}{quote} not in dependency_groups", f"{quote}\0{name}{quote} not in {variable}"
            )
    return marker.replace("\0", "")


def _entry(package: LockedPackage, marker: str, locate: Locate, place: Place, editable: bool) -> str:
    lines = ["[[packages]]", f"name = {_string(package.name)}"]
    if package.version and not _is_folder(package.source):  # its version is what it says when it is built
        lines.append(f"version = {_string(package.version)}")
    if marker:
        lines.append(f"marker = {_string(marker)}")
    if package.requires_python:
        lines.append(f"requires-python = {_string(package.requires_python)}")
    match package.source:
        case MemberSource(path):
            lines.append(_table("directory", [("path", place(path)), ("editable", editable)]))
        case PathSource(path, as_editable, sha256) if not sha256:
            lines.append(_table("directory", [("path", place(path)), ("editable", as_editable)]))
        case PathSource(path, _, sha256):
            lines.append(_table("archive", [("path", place(path)), ("hashes", sha256)]))
        case UrlSource(url, subdirectory, sha256):
            lines.append(
                _table("archive", [("url", url), ("subdirectory", subdirectory), ("hashes", sha256)])
            )
        case GitSource(url, ref, commit, subdirectory):
            pairs = [("type", "git"), ("url", url), ("requested-revision", ref), ("commit-id", commit)]
            lines.append(_table("vcs", [*pairs, ("subdirectory", subdirectory)]))
        case IndexSource():
            for artifact in package.files:
                if not artifact.is_wheel:
                    lines.append("sdist = " + _file(artifact, locate(package, artifact)))
            wheels = [a for a in package.files if a.is_wheel]
            if wheels:
                lines.append("wheels = [")
                lines += [f"    {_file(a, locate(package, a))}," for a in wheels]
                lines.append("]")
    if package.publishers:
        lines.append("attestation-identities = [")
        for publisher in package.publishers:
            facts = ", ".join(f"{_string(name)} = {_string(value)}" for name, value in publisher)
            lines.append(f"    {{ {facts} }},")
        lines.append("]")
    return "\n".join(lines) + "\n"


def _is_folder(source: Source) -> bool:
    return isinstance(source, MemberSource) or (isinstance(source, PathSource) and not source.sha256)


def _file(artifact: Artifact, url: str) -> str:
    parts = [f"name = {_string(artifact.filename)}"]
    if artifact.uploaded:
        parts.append(f"upload-time = {artifact.uploaded}")
    parts.append(f"url = {_string(url)}")
    if artifact.size is not None:
        parts.append(f"size = {artifact.size}")
    parts.append(f"hashes = {{ sha256 = {_string(artifact.sha256)} }}")
    return "{ " + ", ".join(parts) + " }"


def _table(key: str, pairs: Iterable[tuple[str, str | bool]]) -> str:
    parts = []
    for name, value in pairs:
        if name == "hashes":
            parts.append(f"hashes = {{ sha256 = {_string(str(value))} }}")
        elif isinstance(value, bool):
            parts += [f"{name} = true"] if value else []
        elif value:
            parts.append(f"{name} = {_string(value)}")
    return f"{key} = {{ {', '.join(parts)} }}"


def _string(value: str) -> str:
    """A TOML basic string: JSON's escapes are a subset of TOML's, but for DEL."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _array(values: Iterable[str]) -> str:
    return "[" + ", ".join(map(_string, values)) + "]"
