"""What manifests make a workspace: which folders are members, what they say, what is wrong.

Thinks, and looks at the disk only through the `Disk` it is given (`discover` has the real one).
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Protocol

from pypm_model.digests import blake2b
from pypm_model.errors import PypmError
from pypm_model.events import Warned
from pypm_model.later import later
from pypm_model.records import replace
from pypm_workspace.checks import check
from pypm_workspace.configuration import UV_TOML, Member, Settings, Written, completed
from pypm_workspace.errors import InvalidWorkspace, MemberOutsideRoot, MemberWithoutManifest, NoWorkspace
from pypm_workspace.faults import Complaints, Fault, InvalidManifest
from pypm_workspace.globs import Segments, covers, has_magic, is_absolute, name_matches, split
from pypm_workspace.inputs import FileSeen, FolderSeen, Inputs
from pypm_workspace.places import Places
from pypm_workspace.snapshot import Known, Remembered
from pypm_workspace.toml_reading import Table, read_toml
from pypm_workspace.workspace import UNNAMED, Workspace

if TYPE_CHECKING:
    from pypm_workspace import member as member_manifest
    from pypm_workspace import settings as pypm_tables
    from pypm_workspace import uv
else:
    # Nothing to do for these while no manifest has to be read; pypm's own tables bring in pydantic (90 ms).
    member_manifest = later("pypm_workspace.member")
    pypm_tables = later("pypm_workspace.settings")
    uv = later("pypm_workspace.uv")

WORKSPACE = "pypm-workspace.toml"
PROJECT = "pyproject.toml"
UV_LOCK = "uv.lock"


class Disk(Protocol):
    """The part of the disk below a workspace's root; paths are relative to it, with ``/``."""

    root: str
    """Absolute, as the system writes it."""

    def see_file(self, path: str) -> FileSeen:
        """The file's times; raises `UnreadableManifest` if the system refuses."""

    def see_folder(self, path: str) -> FolderSeen:
        """The folder's times."""

    def read(self, path: str) -> bytes | None:
        """The file's bytes, None if there is none; raises `UnreadableManifest`."""

    def subfolders(self, path: str) -> list[tuple[str, bool]]:
        """Names of the folders in *path*, sorted, and whether they are links; caches left out."""

    def is_folder(self, path: str) -> bool:
        """Whether *path* is a folder or a link to one."""

    def is_link(self, path: str) -> bool:
        """Whether *path* is a symbolic link."""

    def real(self, path: str) -> tuple[str, bool]:
        """Where *path* really is (absolute), and whether that is below the root's real place."""

    def is_leftover(self, path: str) -> bool:
        """Whether nothing but caches is left in the folder, and something is: what version control
        leaves behind when a member goes away."""


class Discovery:
    """The state of one run: what was read, seen and found wrong."""

    def __init__(
        self, disk: Disk, snapshot: Known | None, on_disk: Callable[[str], bytes | None] | None = None
    ) -> None:
        self.disk = disk
        self.on_disk = None if on_disk is None else (lambda path: _shown(on_disk, path))
        self.root = disk.root
        self.snapshot = snapshot
        self.files: dict[str, FileSeen] = {}
        self.folders: dict[str, FolderSeen] = {}
        self.remembered: dict[str, Remembered] = {}
        self.texts: dict[str, str] = {}
        self.places = Places(self.text, self.on_disk)
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
            settings = completed(file.settings or Settings(), self.uv_settings(own, beside_ours=True))
        else:
            settings = self.uv_settings(own)
            kind = "uv" if settings.file else "project"
            if not settings.of_uv and self.see_file(UV_LOCK).mtime_ns >= 0:
                settings = replace(settings, of_uv=True)
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
            checked = check(members, settings, lenient=kind == "uv", place=self.places.of)
        remembered = tuple(self.remembered[path] for path in sorted(self.remembered))
        stated = settings.name or (_own_name(members) if kind != "pypm" else "")
        return Workspace(
            root=self.root,
            kind=kind,
            name=stated or posixpath.basename(self.slashed),
            title=stated or UNNAMED,
            members=tuple(members),
            settings=settings,
            checked=checked,
            warnings=(
                *self.warnings,
                *(w for entry in remembered for w in entry.warnings),
                *checked.warnings,
            ),
            inputs=self.inputs,
            remembered=remembered,
            state=state,
            read=self.text,
            on_disk=self.on_disk,
        )

    def stop_if_wrong(self) -> None:
        """Raise what was found so far, all of it."""
        errors = [*([InvalidManifest(tuple(self.faults))] if self.faults else []), *self.errors]
        if errors:
            raise errors[0] if len(errors) == 1 else InvalidWorkspace(tuple(errors))

    @property
    def inputs(self) -> Inputs:
        """What was looked at so far."""
        return Inputs(
            tuple(self.files[path] for path in sorted(self.files)),
            tuple(self.folders[path] for path in sorted(self.folders)),
        )

    # reading

    def manifest(
        self, path: str, reader: Callable[[Table, str, Complaints], tuple[Member | None, Settings | None]]
    ) -> Remembered | None:
        """What the file at *path* says, remembered or read anew; None if there is no such file."""
        seen = self.see_file(path)
        if seen.mtime_ns < 0:
            return None
        if self.snapshot is not None and self.snapshot.trusts(seen):
            found = self.snapshot.recall(seen)
            if found is not None:
                self.remembered[path] = found
                return found
        data = self.disk.read(path)
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
            complaints = Complaints(path, text, above=uv.UV if path == UV_TOML else ())
            member, settings = reader(document, path, complaints)
            self.faults += complaints.faults()
            warnings = tuple(Warned(code, str(fault)) for code, fault in complaints.warnings())
            entry = Remembered(seen, digest, member, settings, warnings)
        self.remembered[path] = entry
        return entry

    def read_workspace(
        self, document: Table, path: str, complaints: Complaints
    ) -> tuple[Member | None, Settings | None]:
        return None, pypm_tables.read_workspace_file(document, root=self.slashed, complaints=complaints)

    def read_project(
        self, document: Table, path: str, complaints: Complaints
    ) -> tuple[Member | None, Settings | None]:
        folder = posixpath.dirname(path) or "."
        member = member_manifest.read_member(
            document, path=folder, root=self.slashed, complaints=complaints, tool_reader=_read_tool
        )
        if folder != ".":
            return member, None
        tool = document.get("tool")
        if not (isinstance(tool, dict) and "uv" in tool):
            return member, Settings()
        return member, uv.read_settings(document, file=path, root=self.slashed, complaints=complaints)

    def uv_settings(self, own: Remembered | None, *, beside_ours: bool = False) -> Settings:
        """What uv is told at the root: in its manifest, and in a file of uv's own, which is looked for
        *beside_ours* only if the manifest has something for uv."""
        settings = (own.settings if own else None) or Settings()
        if beside_ours and not settings.of_uv:
            return settings
        found = self.manifest(UV_TOML, self.read_uv_file)
        if found is None or found.settings is None:
            return settings
        return uv.with_file(settings, found.settings)

    def read_uv_file(
        self, document: Table, path: str, complaints: Complaints
    ) -> tuple[Member | None, Settings | None]:
        return None, uv.read_file(document, root=self.slashed, complaints=complaints)

    @property
    def slashed(self) -> str:
        return self.root.replace("\\", "/")

    def text(self, path: str) -> str:
        """The text of a manifest for finding lines; as it was read in this run, if it was."""
        if path not in self.texts:
            self.texts[path] = _shown(self.disk.read, path)
        return self.texts[path]

    # members' folders

    def member_folders(self, settings: Settings, kind: str) -> list[str]:
        """Folders of members but the root, sorted. Collects errors for wrong matches."""
        include, exclude = split(settings.members, settings.exclude)
        table = "workspace.members" if kind == "pypm" else "tool.uv.workspace.members"
        found: dict[str, str] = {}
        refused: set[str] = set()
        for number, (written, pattern) in enumerate(
            (text, parsed) for text, parsed in include if kind != "project"
        ):
            item = settings.members.index(written, number)
            origin = Written(settings.file, f"{table}[{item}]")
            matched = False
            if is_absolute(written):
                remedy = "patterns are relative to the root"
                self.faults.append(Fault(self.places.of(origin), f"`{written}` is an absolute path", remedy))
                continue
            for folder, linked in self.expand(pattern):
                matched = True
                if folder == ".":
                    if PROJECT not in self.remembered:
                        self.errors.append(MemberWithoutManifest(".", written, self.places.of(origin)))
                    continue
                if folder in found or folder in refused or covers(exclude, tuple(folder.split("/"))):
                    continue
                target = self.outside(folder, linked)
                if target is not None:
                    refused.add(folder)
                    self.errors.append(MemberOutsideRoot(folder, target, written, self.places.of(origin)))
                    continue
                if self.see_file(f"{folder}/{PROJECT}").mtime_ns >= 0:
                    found[folder] = self.disk.real(folder)[0] if linked else ""
                elif "**" in pattern:
                    del self.files[f"{folder}/{PROJECT}"]  # the folder's own times tell of a new one
                else:
                    refused.add(folder)
                    self.without_manifest(folder, pattern, written, origin, kind)
            if not matched and pattern:
                self.nothing_matched(written, pattern, origin, kind)
        return self.without_aliases(found)

    def without_manifest(
        self, folder: str, pattern: Segments, written: str, origin: Written, kind: str
    ) -> None:
        """A folder was matched that has no manifest: an error, unless only caches are left in it."""
        self.see_folder(folder)
        if has_magic(pattern[-1]) and self.disk.is_leftover(folder):
            message = f"{folder} holds nothing but caches of a member that is gone: it is passed over"
            self.warnings.append(Warned("leftover-folder", message))
            return
        self.errors.append(MemberWithoutManifest(folder, written, self.places.of(origin)))

    def nothing_matched(self, written: str, pattern: Segments, origin: Written, kind: str) -> None:
        if kind == "pypm" and not any(map(has_magic, pattern)):
            folder = "/".join(pattern)
            self.errors.append(MemberWithoutManifest(folder, written, self.places.of(origin), exists=False))
            return
        message = f"{self.places.of(origin)}: `{written}` in `members` matches no folder"
        self.warnings.append(Warned("empty-pattern", message))

    def outside(self, folder: str, linked: bool) -> str | None:
        """Where *folder* really is if that is outside the root, else None."""
        if folder.startswith("../"):
            return folder
        if linked:
            real, inside = self.disk.real(folder)
            return None if inside else real
        return None

    def without_aliases(self, found: dict[str, str]) -> list[str]:
        """Folders sorted; one that is only a link to another member, or a second link to one folder,
        is left out. *found* has the real folder of those that were reached by a link."""
        if not any(found.values()):
            return sorted(found)
        known = {self.disk.real(folder)[0] for folder, real in found.items() if not real}
        kept = []
        for folder in sorted(found):
            real = found[folder]
            if real and real in known:
                continue
            known.add(real)
            kept.append(folder)
        return kept

    def see_file(self, path: str) -> FileSeen:
        if path not in self.files:
            self.files[path] = self.disk.see_file(path)
        return self.files[path]

    def see_folder(self, path: str) -> None:
        if path not in self.folders:
            self.folders[path] = self.disk.see_folder(path)

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
                if self.disk.is_folder(child):
                    waiting.append((child, tail, linked or self.disk.is_link(child)))
                else:
                    self.see_folder(child)
                continue
            self.see_folder(folder)
            found = self.disk.subfolders(folder)
            if head == "**":
                below = [(name, link) for name, link in found if not name.startswith(".")]
                for name, link in reversed(below):
                    if not link:  # links may lead in circles
                        waiting.append((name if folder == "." else f"{folder}/{name}", rest, linked))
                waiting.append((folder, tail, linked))
            else:
                for name, link in reversed(found):
                    if name_matches(head, name):
                        child = name if folder == "." else f"{folder}/{name}"
                        waiting.append((child, tail, linked or link))


def _read_tool(table: Table, member: Member, root: str, complaints: Complaints) -> Member:
    return pypm_tables.read_member_tool(table, member, root, complaints)


def _own_name(members: list[Member]) -> str:
    return next((m.display_name for m in members if m.path == "." and not m.is_virtual), "")


def _state(kind: str, remembered: Mapping[str, Remembered], members: list[Member]) -> str:
    digest = blake2b(kind.encode(), digest_size=16)
    for path in sorted(remembered):
        digest.update(f"\n{path} {remembered[path].digest}".encode())
    digest.update("\n".join(member.path for member in members).encode())
    return digest.hexdigest()


def _shown(read: Callable[[str], bytes | None], path: str) -> str:
    """What *read* has at *path*, for showing lines of it."""
    try:
        data = read(path)
    except PypmError:
        data = None
    return (data or b"").decode("utf-8-sig", "replace")
