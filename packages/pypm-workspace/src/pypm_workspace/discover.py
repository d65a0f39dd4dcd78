"""From a folder to its workspace: the only module that reads manifests.

`find_root` says where the workspace is, `discover` what is in it. With a snapshot of an earlier run
only manifests whose content changed are parsed, and pydantic is loaded only if a pypm table is among
them.
"""

from __future__ import annotations

import os
import posixpath
from collections.abc import Mapping
from typing import ClassVar

from pypm_model.errors import Place, PypmError
from pypm_model.records import record
from pypm_workspace.discovery import PROJECT, WORKSPACE, Discovery
from pypm_workspace.errors import NoWorkspace, UnusableFolder
from pypm_workspace.faults import Fault, InvalidManifest
from pypm_workspace.globs import includes
from pypm_workspace.inputs import FileSeen, FolderSeen, Inputs
from pypm_workspace.snapshot import Known
from pypm_workspace.toml_reading import Table, read_toml
from pypm_workspace.workspace import Workspace

VARIABLE = "PYP_WORKSPACE_ROOT"
_pruned = frozenset({"__pycache__", "node_modules"})


@record
class RootFound:
    """Where the workspace is, and why there."""

    root: str
    """Absolute path."""
    kind: str
    """As in `Workspace.kind`."""
    reason: str
    """``variable``, ``workspace-file``, ``uv-workspace``, ``project`` or ``not-a-member`` (a project
    below a workspace whose patterns leave it out)."""


def find_root(cwd: str | os.PathLike[str], environ: Mapping[str, str]) -> RootFound:
    """The workspace that *cwd* belongs to.

    ``PYP_WORKSPACE_ROOT`` if set. Else the nearest ``pypm-workspace.toml`` above; else the uv
    workspace above that lists the nearest project; else the nearest project, alone. A project that a
    workspace above leaves out by its patterns is a workspace of one. Raises `NoWorkspace`,
    `InvalidManifest` if the workspace's file cannot be read, and `UnusableFolder`.
    """
    cwd = os.path.abspath(cwd)
    if not cwd.isascii():
        _check_text(cwd)
    named = environ.get(VARIABLE)
    if named:
        root = os.path.normpath(os.path.join(cwd, named))
        kind = _kind(root)
        if kind is None:
            raise NoWorkspace(root, VARIABLE)
        return RootFound(root, kind, "variable")
    project: str | None = None
    passed_over: str | None = None
    left_out = False
    folder = cwd
    candidates: list[str] = []
    while True:
        if os.path.isfile(os.path.join(folder, WORKSPACE)):
            if project is None or project == folder or _lists(folder, WORKSPACE, project):
                return RootFound(folder, "pypm", "workspace-file")
            left_out = True
        if os.path.isfile(os.path.join(folder, PROJECT)):
            if project is not None:
                candidates.append(folder)
            elif _is_project(folder):
                project = folder
            elif passed_over is None:
                passed_over = folder
        above = os.path.dirname(folder)
        if above == folder:
            break
        folder = above
    if project is None:
        raise NoWorkspace(cwd, passed_over=passed_over)
    if _uv_members(project) is not None:
        return RootFound(project, "uv", "uv-workspace")
    for folder in candidates:
        patterns = _uv_members(folder)
        if patterns is not None:
            if includes(*patterns, _relative(folder, project)):
                return RootFound(folder, "uv", "uv-workspace")
            left_out = True
            break
    return RootFound(project, "project", "not-a-member" if left_out else "project")


def _check_text(folder: str) -> None:
    """Raises `UnusableFolder` if the path is not text that a lock, a manifest or a terminal can hold."""
    try:
        folder.encode()
    except UnicodeEncodeError:
        raise UnusableFolder(folder, "is not UTF-8") from None


def _kind(root: str) -> str | None:
    if os.path.isfile(os.path.join(root, WORKSPACE)):
        return "pypm"
    if os.path.isfile(os.path.join(root, PROJECT)):
        return "project" if _uv_members(root) is None else "uv"
    return None


def _relative(root: str, folder: str) -> str:
    return os.path.relpath(folder, root).replace(os.sep, "/")


def _document(folder: str, file: str) -> Table:
    """The document for a first look; broken files are judged later, by `discover`."""
    _, found = read_toml(_looked(folder, file), file)
    return {} if isinstance(found, Fault) else found


def _lists(root: str, file: str, project: str) -> bool:
    """Whether the workspace file at *root* has *project* among its members. Raises `InvalidManifest` if
    it cannot be parsed."""
    _, found = read_toml(_looked(root, file), file)
    if isinstance(found, Fault):
        raise InvalidManifest((found,))
    table = found.get("workspace")
    return includes(*_patterns(table if isinstance(table, dict) else {}), _relative(root, project))


def _uv_members(folder: str) -> tuple[tuple[str, ...], tuple[str, ...]] | None:
    table = workspace_table(_document(folder, PROJECT))
    return None if table is None else _patterns(table)


def workspace_table(document: Table) -> Table | None:
    """``[tool.uv.workspace]`` if *document* has one."""
    tool = document.get("tool")
    uv = tool.get("uv") if isinstance(tool, dict) else None
    table = uv.get("workspace") if isinstance(uv, dict) else None
    return table if isinstance(table, dict) else None


def _patterns(table: Table) -> tuple[tuple[str, ...], tuple[str, ...]]:
    found = []
    for key in ("members", "exclude"):
        values = table.get(key)
        found.append(tuple(v for v in values if isinstance(v, str)) if isinstance(values, list) else ())
    return found[0], found[1]


def _is_project(folder: str) -> bool:
    """Whether the pyproject.toml in *folder* is more than the settings of some tool."""
    _, found = read_toml(_looked(folder, PROJECT), PROJECT)
    if isinstance(found, Fault):
        return True
    return "project" in found or "dependency-groups" in found or workspace_table(found) is not None


def _looked(folder: str, file: str) -> bytes:
    path = os.path.join(folder, file)
    try:
        return _bytes(path) or b""
    except OSError as error:
        raise UnreadableManifest(path, error.strerror or str(error)) from error


def _bytes(path: str) -> bytes | None:
    try:
        with open(path, "rb") as file:
            return file.read()
    except (FileNotFoundError, NotADirectoryError):
        return None


class UnreadableManifest(PypmError):
    """The system refused to give a manifest."""

    code: ClassVar[str] = "unreadable-manifest"
    exit: ClassVar[int] = 2
    file: str
    reason: str

    def __str__(self) -> str:
        return f"cannot read {self.file}: {self.reason}"

    @property
    def places(self) -> tuple[Place, ...]:
        return (Place(self.file),)


def discover(
    root: str | os.PathLike[str],
    *,
    snapshot: Known | None = None,
    edited: Mapping[str, str] | None = None,
) -> Workspace:
    """The workspace at *root* (a folder `find_root` gave).

    *edited* has the texts of manifests, by path relative to the root, as they would be after an edit,
    new ones among them: the workspace is the one that there would be. Its `inputs` are of no use then.

    Raises `InvalidManifest` with every fault of every manifest, `MemberWithoutManifest`,
    `MemberOutsideRoot`, `DuplicateMember`, `NarrowerSibling`, `ConflictingIndexes`,
    `InvalidWorkspace` (several of these), `NoWorkspace` or `UnreadableManifest`.
    """
    base = os.path.abspath(root)
    usable = _usable(snapshot, base)
    disk = _Disk(base)
    if edited is None:
        return Discovery(disk, usable).run()
    return Discovery(_EditedDisk(base, edited), usable, disk.read).run()


@record
class Looked:
    """How a discovery ended, and what it had looked at by then."""

    outcome: Workspace | PypmError
    inputs: Inputs


def look(root: str, snapshot: Known | None = None) -> Looked:
    """`discover` for one who looks again when something changes: an error is an outcome, and it, too, hangs
    on what was looked at."""
    base = os.path.abspath(root)
    discovery = Discovery(_Disk(base), _usable(snapshot, base))
    try:
        return Looked(discovery.run(), discovery.inputs)
    except PypmError as error:
        return Looked(error, discovery.inputs)


def _usable(snapshot: Known | None, base: str) -> Known | None:
    return snapshot if snapshot is not None and snapshot.root == base else None


class _Disk:
    """`pypm_workspace.discovery.Disk` on the real file system."""

    def __init__(self, root: str) -> None:
        self.root = root

    def see_file(self, path: str) -> FileSeen:
        try:
            stat = os.stat(f"{self.root}/{path}")
        except (FileNotFoundError, NotADirectoryError):
            return FileSeen(path, -1)
        except OSError as error:
            raise UnreadableManifest(path, error.strerror or str(error)) from error
        return FileSeen(path, stat.st_mtime_ns, stat.st_size, stat.st_ino)

    def see_folder(self, path: str) -> FolderSeen:
        try:
            return FolderSeen(path, os.stat(f"{self.root}/{path}").st_mtime_ns)
        except OSError:
            return FolderSeen(path, -1)

    def read(self, path: str) -> bytes | None:
        try:
            return _bytes(f"{self.root}/{path}")
        except OSError as error:
            raise UnreadableManifest(path, error.strerror or str(error)) from error

    def subfolders(self, path: str) -> list[tuple[str, bool]]:
        try:
            with os.scandir(f"{self.root}/{path}") as entries:
                return sorted(
                    (entry.name, entry.is_symlink())
                    for entry in entries
                    if entry.is_dir() and entry.name not in _pruned
                )
        except OSError:
            return []

    def is_folder(self, path: str) -> bool:
        return os.path.isdir(f"{self.root}/{path}")

    def is_link(self, path: str) -> bool:
        return os.path.islink(f"{self.root}/{path}")

    def real(self, path: str) -> tuple[str, bool]:
        real, root = os.path.realpath(f"{self.root}/{path}"), os.path.realpath(self.root)
        return real, real.startswith(root.rstrip(os.sep) + os.sep)

    def is_leftover(self, path: str) -> bool:
        seen = False
        for _, folders, files in os.walk(f"{self.root}/{path}"):
            seen = seen or bool(folders or files)
            folders[:] = [
                name
                for name in folders
                if not (name in _pruned or name.startswith(".") or name.endswith(".egg-info"))
            ]
            if any(not (name.endswith(".pyc") or name.startswith(".")) for name in files):
                return False
        return seen


class _EditedDisk(_Disk):
    """The real file system with some files' contents replaced."""

    def __init__(self, root: str, edited: Mapping[str, str]) -> None:
        super().__init__(root)
        self._edited = edited

        self._children: dict[str, set[str]] = {}
        for path in edited:
            child = posixpath.dirname(path)
            while child:
                self._children.setdefault(posixpath.dirname(child) or ".", set()).add(
                    posixpath.basename(child)
                )
                child = posixpath.dirname(child)

    def see_file(self, path: str) -> FileSeen:
        return FileSeen(path, 0) if path in self._edited else super().see_file(path)

    def subfolders(self, path: str) -> list[tuple[str, bool]]:
        found = dict(super().subfolders(path))
        return sorted({**dict.fromkeys(self._children.get(path, ()), False), **found}.items())

    def is_folder(self, path: str) -> bool:
        folder, name = posixpath.split(path)
        return name in self._children.get(folder or ".", ()) or super().is_folder(path)

    def read(self, path: str) -> bytes | None:
        return self._edited[path].encode() if path in self._edited else super().read(path)
