"""From a folder to its workspace: the only module that reads manifests.

`find_root` says where the workspace is, `discover` what is in it. With a snapshot of an earlier run
only manifests whose content changed are parsed, and pydantic is loaded only if a pypm table is among
them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from importlib import import_module
from typing import Any

from pypm_model.errors import Place, PypmError
from pypm_model.events import Warned
from pypm_model.requests import Origin

from pypm_workspace import uv
from pypm_workspace.checks import check
from pypm_workspace.configuration import Member, Settings, Written, completed
from pypm_workspace.errors import InvalidWorkspace, MemberOutsideRoot, MemberWithoutManifest, NoWorkspace
from pypm_workspace.faults import Complaints, Fault, InvalidManifest
from pypm_workspace.fields import Table
from pypm_workspace.globs import Segments, covers, has_magic, includes, name_matches, split
from pypm_workspace.inputs import FileSeen, FolderSeen, Inputs
from pypm_workspace.member import read_member
from pypm_workspace.positions import Positions, undotted
from pypm_workspace.snapshot import Remembered, Snapshot
from pypm_workspace.toml_reading import read_toml
from pypm_workspace.workspace import Workspace

VARIABLE = "PYP_WORKSPACE_ROOT"
WORKSPACE = "pypm-workspace.toml"
PROJECT = "pyproject.toml"
_pruned = frozenset({"__pycache__", "node_modules"})


@dataclass(frozen=True, slots=True)
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
    workspace above leaves out by its patterns is a workspace of one. Raises `NoWorkspace`, and
    `InvalidManifest` if the workspace's file cannot be read.
    """
    cwd = os.path.abspath(cwd)
    named = environ.get(VARIABLE)
    if named:
        root = os.path.normpath(os.path.join(cwd, named))
        kind = _kind(root)
        if kind is None:
            raise NoWorkspace(root, VARIABLE)
        return RootFound(root, kind, "variable")
    project: str | None = None
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
        above = os.path.dirname(folder)
        if above == folder:
            break
        folder = above
    if project is None:
        raise NoWorkspace(cwd)
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
    _, found = read_toml(_bytes(os.path.join(folder, file)) or b"", file)
    return {} if isinstance(found, Fault) else found


def _lists(root: str, file: str, project: str) -> bool:
    """Whether the workspace file at *root* has *project* among its members. Raises `InvalidManifest` if
    it cannot be parsed."""
    _, found = read_toml(_bytes(os.path.join(root, file)) or b"", file)
    if isinstance(found, Fault):
        raise InvalidManifest((found,))
    table = found.get("workspace")
    return includes(*_patterns(table if isinstance(table, dict) else {}), _relative(root, project))


def _uv_members(folder: str) -> tuple[tuple[str, ...], tuple[str, ...]] | None:
    table = uv.workspace_table(_document(folder, PROJECT))
    return None if table is None else _patterns(table)


def _patterns(table: Table) -> tuple[tuple[str, ...], tuple[str, ...]]:
    found = []
    for key in ("members", "exclude"):
        values = table.get(key)
        found.append(tuple(v for v in values if isinstance(v, str)) if isinstance(values, list) else ())
    return found[0], found[1]


def _is_project(folder: str) -> bool:
    """Whether the pyproject.toml in *folder* is more than the settings of some tool."""
    _, found = read_toml(_bytes(os.path.join(folder, PROJECT)) or b"", PROJECT)
    if isinstance(found, Fault):
        return True
    return "project" in found or "dependency-groups" in found or uv.workspace_table(found) is not None


def _bytes(path: str) -> bytes | None:
    try:
        with open(path, "rb") as file:
            return file.read()
    except (FileNotFoundError, NotADirectoryError):
        return None


@dataclass(eq=False)
class UnreadableManifest(PypmError):
    """The system refused to give a manifest."""

    code = "unreadable-manifest"
    exit = 2
    file: str
    reason: str

    def __str__(self) -> str:
        return f"cannot read {self.file}: {self.reason}"

    @property
    def places(self) -> tuple[Place, ...]:
        return (Place(self.file),)


def discover(root: str | os.PathLike[str], *, snapshot: Snapshot | None = None) -> Workspace:
    """The workspace at *root* (a folder `find_root` gave).

    Raises `InvalidManifest` with every fault of every manifest, `MemberWithoutManifest`,
    `MemberOutsideRoot`, `DuplicateMember`, `NarrowerSibling`, `ConflictingIndexes`,
    `InvalidWorkspace` (several of these), `NoWorkspace` or `UnreadableManifest`.
    """
    base = os.path.abspath(root)
    return _Discovery(base, snapshot if snapshot is not None and snapshot.root == base else None).run()


class _Discovery:
    """The state of one run: what was read, seen and found wrong."""

    def __init__(self, root: str, snapshot: Snapshot | None) -> None:
        self.root = root
        self.snapshot = snapshot
        self.files: dict[str, FileSeen] = {}
        self.folders: dict[str, FolderSeen] = {}
        self.remembered: dict[str, Remembered] = {}
        self.texts: dict[str, str] = {}
        self.faults: list[Fault] = []
        self.errors: list[PypmError] = []
        self.warnings: list[Warned] = []

    def run(self) -> Workspace:
        # 1. the workspace file, and the root's own manifest, which may hold uv's settings
        file = self.manifest(WORKSPACE, self.read_workspace)
        own = self.manifest(PROJECT, self.read_project)
        if file is None and own is None:
            raise NoWorkspace(self.root)
        if file is not None:
            kind = "pypm"
            settings = completed(file.settings or Settings(), (own.settings if own else None) or Settings())
        else:
            settings = (own.settings if own else None) or Settings()
            kind = "uv" if settings.file else "project"
        self.stop_if_wrong()
        # 2. the folders of the members, and their manifests
        folders = self.member_folders(settings, kind)
        members = [own.member] if own is not None and own.member is not None else []
        for folder in folders:
            found = self.manifest(f"{folder}/{PROJECT}", self.read_project)
            if found is not None and found.member is not None:
                members.append(found.member)
        self.stop_if_wrong()
        if kind == "uv":
            members = [member for member in members if member.managed or member.path == "."]
        members = [m for m in members if not (m.is_virtual and not m.groups and kind != "project")]
        members.sort(key=lambda member: (member.name, member.path))
        # 3. what must hold between them, unless it was seen to hold for exactly these manifests
        state = _state(kind, self.remembered, members)
        checked = self.snapshot.checked(state) if self.snapshot else None
        if checked is None:
            checked = check(members, settings, lenient=kind == "uv", place=self.place)
        remembered = tuple(self.remembered[path] for path in sorted(self.remembered))
        return Workspace(
            root=self.root,
            kind=kind,
            name=settings.name
            or (_own_name(members) if kind != "pypm" else "")
            or os.path.basename(self.root),
            members=tuple(members),
            settings=settings,
            checked=checked,
            warnings=(
                *self.warnings,
                *(w for entry in remembered for w in entry.warnings),
                *checked.warnings,
            ),
            inputs=Inputs(
                tuple(self.files[path] for path in sorted(self.files)),
                tuple(self.folders[path] for path in sorted(self.folders)),
            ),
            remembered=remembered,
            state=state,
            read=self.text,
        )

    def stop_if_wrong(self) -> None:
        """Raise what was found so far, all of it."""
        errors = [*([InvalidManifest(tuple(self.faults))] if self.faults else []), *self.errors]
        if errors:
            raise errors[0] if len(errors) == 1 else InvalidWorkspace(tuple(errors))

    # reading

    def manifest(
        self, path: str, reader: Callable[[Table, str, Complaints], tuple[Member | None, Settings | None]]
    ) -> Remembered | None:
        """What the file at *path* says, remembered or read anew; None if there is no such file."""
        full = f"{self.root}/{path}"
        seen = self.see_file(path)
        if seen.mtime_ns < 0:
            return None
        if self.snapshot is not None and self.snapshot.trusts(seen):
            found = self.snapshot.recall(seen)
            if found is not None:
                self.remembered[path] = found
                return found
        try:
            data = _bytes(full)
        except OSError as error:
            raise UnreadableManifest(path, error.strerror or str(error)) from error
        if data is None:  # removed since
            self.files[path] = FileSeen(path, -1)
            return None
        digest = blake2b(data, digest_size=16).hexdigest()
        if self.snapshot is not None and self.snapshot.digest(path) == digest:
            found = self.snapshot.recall(seen)
            if found is not None:
                self.remembered[path] = found
                return found
        text, document = read_toml(data, path)
        self.texts[path] = text
        if isinstance(document, Fault):
            self.faults.append(document)
            entry = Remembered(seen, digest, None, None)
        else:
            complaints = Complaints(path, text)
            member, settings = reader(document, path, complaints)
            self.faults += complaints.faults()
            warnings = tuple(Warned("unknown-key", str(fault)) for fault in complaints.warnings())
            entry = Remembered(seen, digest, member, settings, warnings)
        self.remembered[path] = entry
        return entry

    def read_workspace(
        self, document: Table, path: str, complaints: Complaints
    ) -> tuple[Member | None, Settings | None]:
        return None, _pypm_tables().read_workspace_file(document, root=self.slashed, complaints=complaints)

    def read_project(
        self, document: Table, path: str, complaints: Complaints
    ) -> tuple[Member | None, Settings | None]:
        folder = os.path.dirname(path) or "."
        member = read_member(
            document, path=folder, root=self.slashed, complaints=complaints, tool_reader=_read_tool
        )
        if folder != ".":
            return member, None
        return member, uv.read_settings(document, file=path, root=self.slashed, complaints=complaints)

    @property
    def slashed(self) -> str:
        return self.root.replace(os.sep, "/")

    def text(self, path: str) -> str:
        """The text of a manifest for finding lines; as it was read in this run, if it was."""
        if path not in self.texts:
            try:
                data = _bytes(f"{self.root}/{path}")
            except OSError:
                data = None
            self.texts[path] = (data or b"").decode("utf-8-sig", "replace")
        return self.texts[path]

    def place(self, origin: Origin | Written) -> Place:
        path = undotted(origin.table)
        if isinstance(origin, Origin) and origin.item >= 0:
            path = (*path, origin.item)
        found = Positions(self.text(origin.file)).find(path)
        return Place(origin.file, *(found or (None, None)))

    # members' folders

    def member_folders(self, settings: Settings, kind: str) -> list[str]:
        """Folders of members but the root, sorted. Collects errors for wrong matches."""
        include, exclude = split(settings.members, settings.exclude)
        table = "workspace.members" if kind == "pypm" else "tool.uv.workspace.members"
        real_root = os.path.realpath(self.root)
        found: dict[str, str] = {}
        refused: set[str] = set()
        for number, (written, pattern) in enumerate(
            (text, parsed) for text, parsed in include if kind != "project"
        ):
            item = settings.members.index(written, number)
            origin = Written(settings.file, f"{table}[{item}]")
            matched = False
            for folder, linked in self.expand(pattern):
                matched = True
                if folder == ".":
                    if PROJECT not in self.remembered:
                        self.errors.append(MemberWithoutManifest(".", written, self.place(origin)))
                    continue
                if folder in found or folder in refused or covers(exclude, tuple(folder.split("/"))):
                    continue
                target = self.outside(folder, linked, real_root)
                if target is not None:
                    refused.add(folder)
                    self.errors.append(MemberOutsideRoot(folder, target, written, self.place(origin)))
                    continue
                if self.see_file(f"{folder}/{PROJECT}").mtime_ns >= 0:
                    found[folder] = os.path.realpath(f"{self.root}/{folder}") if linked else ""
                elif "**" in pattern:
                    del self.files[f"{folder}/{PROJECT}"]  # the folder's own times tell of a new one
                else:
                    refused.add(folder)
                    self.without_manifest(folder, pattern, written, origin, kind)
            if not matched and pattern:
                self.nothing_matched(written, pattern, origin, kind)
        return _without_aliases(found, self.root)

    def without_manifest(
        self, folder: str, pattern: Segments, written: str, origin: Written, kind: str
    ) -> None:
        """A folder was matched that has no manifest: an error, unless only caches are left in it."""
        full = f"{self.root}/{folder}"
        self.see_folder(folder)
        if has_magic(pattern[-1]) and _is_leftover(full):
            message = f"{folder} holds nothing but caches of a member that is gone: it is passed over"
            self.warnings.append(Warned("leftover-folder", message))
            return
        self.errors.append(MemberWithoutManifest(folder, written, self.place(origin)))

    def nothing_matched(self, written: str, pattern: Segments, origin: Written, kind: str) -> None:
        if kind == "pypm" and not any(map(has_magic, pattern)):
            folder = "/".join(pattern)
            self.errors.append(MemberWithoutManifest(folder, written, self.place(origin), exists=False))
            return
        message = f"{self.place(origin)}: `{written}` in `members` matches no folder"
        self.warnings.append(Warned("empty-pattern", message))

    def outside(self, folder: str, linked: bool, real_root: str) -> str | None:
        """Where *folder* really is if that is outside the root, else None."""
        full = os.path.normpath(f"{self.root}/{folder}")
        if full != self.root and not full.startswith(self.root.rstrip(os.sep) + os.sep):
            return folder
        if linked:
            real = os.path.realpath(full)
            if not real.startswith(real_root.rstrip(os.sep) + os.sep):
                return real
        return None

    def see_file(self, path: str) -> FileSeen:
        seen = self.files.get(path)
        if seen is None:
            try:
                stat = os.stat(f"{self.root}/{path}")
                seen = FileSeen(path, stat.st_mtime_ns, stat.st_size, stat.st_ino)
            except (FileNotFoundError, NotADirectoryError):
                seen = FileSeen(path, -1)
            except OSError as error:
                raise UnreadableManifest(path, error.strerror or str(error)) from error
            self.files[path] = seen
        return seen

    def see_folder(self, folder: str) -> None:
        if folder not in self.folders:
            try:
                self.folders[folder] = FolderSeen(folder, os.stat(f"{self.root}/{folder}").st_mtime_ns)
            except OSError:
                self.folders[folder] = FolderSeen(folder, -1)

    def expand(self, pattern: Segments) -> Iterator[tuple[str, bool]]:
        """Folders that *pattern* matches, sorted, and whether a symbolic link leads there."""
        waiting: list[tuple[str, Segments, bool]] = [(".", pattern, False)]
        while waiting:
            folder, rest, linked = waiting.pop()
            if not rest:
                yield folder, linked
                continue
            head, tail = rest[0], rest[1:]
            if head != "**" and not has_magic(head):
                child = head if folder == "." else f"{folder}/{head}"
                full = f"{self.root}/{child}"
                if os.path.isdir(full):
                    waiting.append((child, tail, linked or os.path.islink(full)))
                else:
                    self.see_folder(child)
                continue
            found = self.subfolders(folder)
            if head == "**":
                below = [
                    (name, link) for name, link in found if not name.startswith(".") and name not in _pruned
                ]
                for name, link in reversed(below):
                    if not link:  # links may lead in circles
                        waiting.append((name if folder == "." else f"{folder}/{name}", rest, linked))
                waiting.append((folder, tail, linked))
            else:
                for name, link in reversed(found):
                    if name_matches(head, name):
                        child = name if folder == "." else f"{folder}/{name}"
                        waiting.append((child, tail, linked or link))

    def subfolders(self, folder: str) -> list[tuple[str, bool]]:
        """Names of the folders in *folder*, sorted, and whether they are links."""
        self.see_folder(folder)
        try:
            with os.scandir(f"{self.root}/{folder}") as entries:
                return sorted(
                    (entry.name, entry.is_symlink())
                    for entry in entries
                    if entry.is_dir() and entry.name not in _pruned
                )
        except OSError:
            return []


def _pypm_tables() -> Any:
    """`pypm_workspace.settings`, loaded when the first pypm table has to be read: it brings pydantic
    (90 ms), which a run on remembered manifests does without. The only late import of this member."""
    return import_module("pypm_workspace.settings")


def _read_tool(table: Table, member: Member, root: str, complaints: Complaints) -> Member:
    found: Member = _pypm_tables().read_member_tool(table, member, root, complaints)
    return found


def _own_name(members: list[Member]) -> str:
    return next((m.display_name for m in members if m.path == "." and not m.is_virtual), "")


def _state(kind: str, remembered: Mapping[str, Remembered], members: list[Member]) -> str:
    digest = blake2b(kind.encode(), digest_size=16)
    for path in sorted(remembered):
        digest.update(f"\n{path} {remembered[path].digest}".encode())
    digest.update("\n".join(member.path for member in members).encode())
    return digest.hexdigest()


def _without_aliases(found: dict[str, str], root: str) -> list[str]:
    """Folders sorted; one that is only a link to another member, or a second link to one folder, is
    left out. *found* has the real folder of those that were reached by a link."""
    real_root = os.path.realpath(root)
    plain = {os.path.normpath(f"{real_root}/{folder}") for folder, real in found.items() if not real}
    kept = []
    for folder in sorted(found):
        real = found[folder]
        if real:
            if real in plain:
                continue
            plain.add(real)
        kept.append(folder)
    return kept


def _is_leftover(folder: str) -> bool:
    """Whether nothing but caches is left in *folder*, and something is: what version control leaves
    behind when a member goes away."""
    seen = False
    for _, folders, files in os.walk(folder):
        seen = seen or bool(folders or files)
        folders[:] = [
            f for f in folders if not (f in _pruned or f.startswith(".") or f.endswith(".egg-info"))
        ]
        if any(not (name.endswith(".pyc") or name.startswith(".")) for name in files):
            return False
    return seen
