"""A checkout of some members only: the others are as the lock has them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import ClassVar

from pypm.ops.opening import open_workspace
from pypm.ops.world import LOCK, World
from pypm_model.errors import PypmError
from pypm_model.lock_text import read
from pypm_model.lock_toml import key, quoted
from pypm_model.locks import LockedPackage, Manifest
from pypm_model.records import replace
from pypm_model.sources import MemberSource
from pypm_workspace.discover import discover, find_root
from pypm_workspace.workspace import Workspace

_MEMBER = " @ member"


class MembersAbsent(PypmError):
    """Members have to be installed whose folders are not in this checkout."""

    code: ClassVar[str] = "members-absent"
    folders: tuple[str, ...]

    def __str__(self) -> str:
        return f"not in this checkout, but needed: {', '.join(self.folders)}"

    @property
    def hint(self) -> str:
        return f"`git sparse-checkout add {' '.join(self.folders)}` brings them"


def open_partly(world: World) -> Workspace:
    """The workspace around the current folder; members that the lock has and the checkout has not stand in
    for themselves (`Workspace.absent`), with what the lock knows: name, version, Pythons, and which
    members they need."""
    root = find_root(world.cwd, world.environ).root
    absent = dict(_absent(Path(root)))
    if not absent:
        return open_workspace(world)
    workspace = discover(root, edited=absent)
    for warning in workspace.warnings:
        world.listener(warning)
    folders = {file.removesuffix("/pyproject.toml") for file in absent}
    return replace(workspace, absent=tuple(sorted(folders & set(workspace.by_path))))


def _absent(root: Path) -> Iterator[tuple[str, str]]:
    """Manifests that stand in for those that are not there, by path."""
    try:
        text = (root / LOCK).read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return
    for package in read(text, LOCK).packages:
        if isinstance(package.source, MemberSource) and package.source.path not in ("", "."):
            file = f"{package.source.path}/pyproject.toml"
            if not (root / file).exists():
                yield file, _manifest(package)


def _manifest(package: LockedPackage) -> str:
    asked = package.manifest or Manifest()
    lines = ["[project]", f"name = {quoted(package.name)}"]
    if package.version:
        lines.append(f"version = {quoted(package.version)}")
    else:
        lines.append('dynamic = ["version"]')
    if asked.requires_python:
        lines.append(f"requires-python = {quoted(asked.requires_python)}")
    lines.append(f"dependencies = {_members(asked.dependencies)}")
    for table, rows in (("project.optional-dependencies", asked.extras), ("dependency-groups", asked.groups)):
        if rows:
            lines += [f"[{table}]", *(f"{key(name)} = {_members(texts)}" for name, texts in rows)]
    return "\n".join([*lines, ""])


def _members(texts: Iterable[str]) -> str:
    """Those requirements that members answer, as a TOML list."""
    return f"[{', '.join(quoted(t.removesuffix(_MEMBER)) for t in texts if t.endswith(_MEMBER))}]"
