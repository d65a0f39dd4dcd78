"""``pypm sync --lock FILE``: install what anyone's `pylock.toml` (PEP 751) says, and nothing else."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from pypm.ops.installing import InstallOptions, Target, install, link_mode_for
from pypm.ops.opening import open_workspace
from pypm.ops.selection import Selection
from pypm.ops.synced import SyncReport
from pypm.ops.toolbox import open_tools
from pypm.ops.tools import Tools
from pypm.ops.venvs import environment_in
from pypm.ops.world import World
from pypm_env.venv import base_python
from pypm_index.addresses import redacted, without_userinfo
from pypm_index.errors import WrongSize
from pypm_index.fetch import fetch_each, local_path
from pypm_model.artifacts import Artifact, Located
from pypm_model.errors import PypmError
from pypm_model.events import Warned
from pypm_model.lock_changes import LockDiff
from pypm_model.lock_select import select
from pypm_model.locks import Edge, Lock, LockedPackage, Root
from pypm_model.names import ROOT, NormalizedName, normalize
from pypm_model.pylock_read import read_pylock
from pypm_model.pylock_records import (
    Pylock,
    PylockFile,
    PylockInvalid,
    PylockPackage,
    PylockUnsupported,
)
from pypm_model.pylock_select import choose
from pypm_model.records import record
from pypm_model.sources import GitSource, IndexSource, MemberSource, PathSource, Source, UrlSource
from pypm_model.versions import sort_key
from pypm_model.wheel_tags import InvalidWheelName, WheelName, parse_wheel_filename
from pypm_workspace.errors import NoWorkspace
from pypm_workspace.workspace import Workspace

_scheme = re.compile(r"[a-z][a-z0-9]*(?=://)", re.IGNORECASE)
FETCHED = frozenset({"http", "https", "file"})
CLONED = frozenset({"http", "https", "ssh", "git", "file"})


class PylockMissing(PypmError):
    """There is no such file."""

    code: ClassVar[str] = "pylock-missing"
    exit: ClassVar[int] = 2
    file: str

    def __str__(self) -> str:
        return f"there is no file {self.file}"


@record
class PylockOptions:
    """What to install from which file, and how."""

    file: str = "pylock.toml"
    """Relative to the current folder."""
    selection: Selection = Selection()
    """Extras and groups of the file; it knows no members."""
    how: InstallOptions = InstallOptions()


def sync_pylock(world: World, options: PylockOptions) -> SyncReport:
    """Makes ``.venv`` of the workspace around the current folder, or of the folder itself if there is
    none, what the file says for the interpreter. No index is asked, but for what builds an sdist."""
    path = world.cwd / options.file
    try:
        text = path.read_bytes().decode("utf-8")
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        raise PylockMissing(options.file) from None
    except UnicodeDecodeError:
        raise PylockInvalid(options.file, "not UTF-8 text") from None
    lock = read_pylock(text, options.file)
    if lock.version != "1.0":
        world.listener(
            Warned("pylock-newer", f"{options.file} has lock-version {lock.version}; what is new is ignored")
        )
    workspace = _workspace(world)
    with open_tools(world, workspace) as tools:
        venv = environment_in(tools.root)
        interpreter = tools.interpreter(lock.requires_python, prefer=base_python(venv))
        extras, groups = _chosen(lock, options.selection)
        packages = choose(lock, interpreter.environment, extras=extras, groups=groups)
        files = _Files(options.file, path.parent.resolve())
        graph = _as_lock([files.package(package) for package in packages])
        pins = select(graph, interpreter.environment, [Root(ROOT)], build=tools.build_policy)
        tools.addresses = files.addresses
        used = {pin.file.sha256 for pin in pins if pin.file is not None} | files.archives
        done = install(
            tools,
            pins,
            interpreter,
            Target(
                venv,
                workspace.name if workspace else tools.root.name,
                link_mode_for(tools, options.how.link_mode, venv, of_member=False),
            ),
            options.how,
            agreed=lambda: _check_and_fetch(
                tools, [one for one in files.located if one.artifact.sha256 in used], files.archives
            ),
        )
    return SyncReport(
        str(venv),
        interpreter.version,
        done.plan,
        lock_changed=False,
        lock_diff=LockDiff(),
        members=0,
        packages=done.packages,
        dry_run=options.how.dry_run,
    )


def _workspace(world: World) -> Workspace | None:
    try:
        return open_workspace(world)
    except NoWorkspace:
        return None


def _chosen(lock: Pylock, selection: Selection) -> tuple[set[NormalizedName], set[NormalizedName]]:
    """The extras and the groups that *selection* means in *lock*."""
    extras = {*map(normalize, selection.extras), *(lock.extras if selection.all_extras else ())}
    groups = {*map(normalize, selection.groups), *(lock.groups if selection.all_groups else ())}
    defaults = set() if selection.no_default_groups else set(lock.default_groups)
    return extras, groups | (defaults - {"dev"} if selection.no_dev else defaults)


def _as_lock(packages: Sequence[LockedPackage]) -> Lock:
    """A lock whose root asks for all of *packages*: files are then chosen as from our own locks."""
    root = LockedPackage(
        ROOT, "", MemberSource("."), dependencies=tuple(Edge(package.name) for package in packages)
    )
    return Lock(packages=(root, *packages))


class _Files:
    """Makes our records of entries, and gathers where their files are."""

    def __init__(self, file: str, folder: Path) -> None:
        self._file = file
        self._folder = folder
        self.located: list[Located] = []
        self.archives: set[str] = set()
        """Digests of archives."""

    @property
    def addresses(self) -> Mapping[str, str]:
        return {one.artifact.sha256: one.url for one in self.located}

    def package(self, entry: PylockPackage) -> LockedPackage:
        artifacts = tuple(self._artifacts(entry))
        version = entry.version
        if not version:
            named = (_wheel_name(artifact.filename) for artifact in artifacts)
            version = next((found.version for found in named if found is not None), "")
        return LockedPackage(entry.name, version, self._source(entry), files=artifacts)

    def _source(self, entry: PylockPackage) -> Source:
        if entry.commit is not None:
            commit = entry.commit
            here = self._local(commit.path) if commit.path else None
            url = here.as_uri() if here is not None and (here.exists() or not commit.url) else commit.url
            self._check_scheme(entry, url, CLONED)
            return GitSource(without_userinfo(url), commit.requested, commit.commit, commit.subdirectory)
        if entry.folder is not None:
            folder = self._local(entry.folder.path) / entry.folder.subdirectory
            return PathSource(folder.as_posix(), entry.folder.editable)
        if entry.archive is not None:
            located = self._located(entry, entry.archive)
            self.archives.add(entry.archive.sha256)
            return UrlSource(without_userinfo(located.url), entry.archive.subdirectory, entry.archive.sha256)
        return IndexSource("")

    def _artifacts(self, entry: PylockPackage) -> Iterator[Artifact]:
        for file in (*entry.wheels, *((entry.sdist,) if entry.sdist else ())):
            if file.name.endswith(".whl"):
                self._check_wheel(entry, file.name)
            yield self._located(entry, file).artifact

    def _check_wheel(self, entry: PylockPackage, filename: str) -> None:
        """A wheel is one of its package's; one whose name cannot be read fits nowhere."""
        found = _wheel_name(filename)
        if found is None:
            return
        other_version = entry.version and sort_key(found.version) != sort_key(entry.version)
        if found.name != entry.name or other_version:
            raise PylockInvalid(
                self._file, f"{entry.name} {entry.version}: {filename} is a wheel of something else"
            )

    def _located(self, entry: PylockPackage, file: PylockFile) -> Located:
        here = self._local(file.path) if file.path else None
        url = here.as_uri() if here is not None and (here.exists() or not file.url) else file.url
        self._check_scheme(entry, url, FETCHED)
        located = Located(Artifact(file.name, file.sha256, file.size), url)
        self.located.append(located)
        return located

    def _local(self, path: str) -> Path:
        return (self._folder / path).resolve()

    def _check_scheme(self, entry: PylockPackage, url: str, known: frozenset[str]) -> None:
        match = _scheme.match(url)
        if match is None or match[0].lower() not in known:
            raise PylockUnsupported(
                self._file, entry.name, f"is at {redacted(url)}, where pypm takes nothing from"
            )


def _wheel_name(filename: str) -> WheelName | None:
    try:
        return parse_wheel_filename(filename)
    except InvalidWheelName:
        return None


def _check_and_fetch(tools: Tools, located: Sequence[Located], archives: set[str]) -> None:
    """Sees that files which are here already have the size that is promised (those that are fetched are
    measured then), and fetches the archives."""
    for one in located:
        path = local_path(one) or tools.store.file(one.artifact.sha256)
        size = path.stat().st_size if path is not None and path.is_file() else None
        if size is not None and one.artifact.size not in (None, size):
            raise WrongSize("", one.artifact.filename, redacted(one.url), one.artifact.size or 0, size)
    wanted = [one for one in located if one.artifact.sha256 in archives]
    if wanted:
        for _ in fetch_each(
            wanted,
            tools.store,
            tools.catalog.connect,
            listener=tools.world.listener,
            offline=tools.world.offline,
        ):
            pass
