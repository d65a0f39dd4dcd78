"""``pypm import``: another tool's project as ours, with the versions it had."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, ClassVar

from pypm.ops.importing.finding import Found, find
from pypm.ops.importing.manifest import MANIFEST, converted
from pypm.ops.importing.records import CannotImport, Draft, Lost, Pins, Read
from pypm.ops.locking import Locked, Locking, lock_workspace
from pypm.ops.toolbox import open_tools
from pypm.ops.world import LOCK, World
from pypm.ops.writing import write_all
from pypm_model import requirement_text
from pypm_model.errors import PypmError
from pypm_model.records import record
from pypm_model.sources import GitSource, IndexSource
from pypm_workspace.configuration import Asked, IndexSetting, Settings
from pypm_workspace.discover import discover, find_root
from pypm_workspace.errors import NoWorkspace
from pypm_workspace.templates import workspace_file

WORKSPACE = "pypm-workspace.toml"
PYTHON = ">=3.11"
"""What a manifest that is made says where nobody said anything, as `pypm init` does."""


class AlreadyLocked(PypmError):
    """There is a pypm.lock, whose versions an import would replace."""

    code: ClassVar[str] = "already-locked"
    file: str

    def __str__(self) -> str:
        return f"there is a {self.file} already"

    @property
    def hint(self) -> str:
        return "--force prefers the imported versions to its own"


@record
class ImportOptions:
    """What to import; without *file* what is found in the current folder."""

    file: str | None = None
    force: bool = False
    dry_run: bool = False


@record
class Moved:
    """A version that was pinned and is locked otherwise."""

    name: str
    pinned: tuple[str, ...]
    locked: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        return {"name": self.name, "pinned": list(self.pinned), "locked": list(self.locked)}


@record
class ImportReport:
    """What was taken, what was not."""

    read: tuple[str, ...]
    """Files, relative to the folder."""
    written: tuple[str, ...]
    """Files, relative to the workspace's root."""
    kept: int
    """Names that are locked at a version they were pinned at."""
    moved: tuple[Moved, ...]
    lost: tuple[Lost, ...]
    dry_run: bool

    def to_json(self) -> dict[str, Any]:
        return {
            "read": list(self.read),
            "written": list(self.written),
            "kept": self.kept,
            "moved": [each.to_json() for each in self.moved],
            "lost": [{"file": each.file, "key": each.key, "reason": each.reason} for each in self.lost],
            "dry-run": self.dry_run,
        }


def import_(world: World, options: ImportOptions) -> ImportReport:
    """Converts the manifest of the current folder where it must be, and locks it with the versions that the
    other tool's lock has, where they fit. All of it is written, or nothing."""
    folder = world.cwd.resolve()
    found = find(_reader(folder), (path.name for path in folder.iterdir()), options.file)
    root, texts, lost = _texts(world, folder, found)
    if (root / LOCK).exists() and not options.force:
        raise AlreadyLocked(LOCK)
    workspace = discover(root, edited=texts)
    for warning in workspace.warnings:
        world.listener(warning)
    pins = found.pins or Pins("", ())
    with open_tools(world, workspace) as tools:
        locked = lock_workspace(tools, workspace, Locking(preferences=pins.versions, commits=pins.commits))
    if not options.dry_run:
        write_all(world, workspace, texts, locked, None)
    kept, moved = _compared(pins, locked)
    lost += (*_unknown_files(pins, locked), *_other_commits(pins, locked))
    files = (*texts, *((LOCK,) if locked.is_new else ()), *workspace.settings.lock_export)
    return ImportReport(found.read, files, kept, moved, (*found.lost, *lost), options.dry_run)


def _reader(folder: Path) -> Read:
    def read(path: str) -> str | None:
        try:
            return (folder / path).read_bytes().decode("utf-8")
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
            return None
        except UnicodeDecodeError:
            raise CannotImport(path, "not UTF-8 text") from None

    return read


def _texts(world: World, folder: Path, found: Found) -> tuple[Path, dict[str, str], tuple[Lost, ...]]:
    """The workspace's root, the files to write by their paths from there, and what there was no place for."""
    draft = found.draft
    if draft is None:
        return Path(find_root(folder, world.environ).root).resolve(), {}, ()
    python = "" if draft.file == MANIFEST else PYTHON
    before = _reader(folder)(MANIFEST) or ""
    text, lost = converted(before, draft, name=folder.name, requires_python=python)
    if text == before and not draft.is_of_workspace:
        return Path(find_root(folder, world.environ).root).resolve(), {}, lost
    root, path = _placed(world, folder, text)
    texts = {path: text}
    if draft.is_of_workspace:
        if path != MANIFEST or (root / WORKSPACE).exists():
            lost += tuple(_for_the_workspace(draft))
        else:
            texts[WORKSPACE] = workspace_file(_settings(draft))
    return root, texts, lost


def _placed(world: World, folder: Path, text: str) -> tuple[Path, str]:
    """The root of the workspace that *folder* is in once its manifest is *text*, and that manifest's path
    from there."""
    try:
        root = Path(find_root(folder, world.environ).root).resolve()
    except NoWorkspace:
        return folder, MANIFEST
    if root != folder and folder.is_relative_to(root):
        below = folder.relative_to(root).as_posix()
        path = f"{below}/{MANIFEST}"
        if below in discover(root, edited={path: text}).by_path:
            return root, path
    return folder, MANIFEST


def _settings(draft: Draft) -> Settings:
    return Settings(
        indexes=tuple(IndexSetting(i.name, i.url, i.explicit, i.default) for i in draft.indexes),
        find_links=draft.find_links,
        constraints=_asked(draft.constraints, "resolution.constraints"),
        overrides=_asked(draft.overrides, "resolution.overrides"),
        excludes=draft.excludes,
    )


def _asked(texts: Iterable[str], table: str) -> tuple[Asked, ...]:
    return tuple(Asked(requirement_text.parse(text), table, item) for item, text in enumerate(texts))


def _for_the_workspace(draft: Draft) -> Iterator[Lost]:
    """What belongs in a workspace file that is there already."""
    for index in draft.indexes:
        yield Lost(draft.file, f"index {index.name}", f"write it as [[index]] in {WORKSPACE}: {index.url}")
    lists = (("constraints", draft.constraints), ("overrides", draft.overrides), ("excludes", draft.excludes))
    for key, texts in lists:
        for text in texts:
            yield Lost(draft.file, text, f"write it under [resolution] {key} in {WORKSPACE}")
    for link in draft.find_links:
        yield Lost(draft.file, link, f"write it under [resolution] find-links in {WORKSPACE}")


def _unknown_files(pins: Pins, locked: Locked) -> Iterator[Lost]:
    """Names that kept their version, but none of whose files is one that the other tool knew: somebody
    changed them, or the index is another one."""
    digests, versions = dict(pins.digests), dict(pins.versions)
    for package in locked.lock.packages:
        known = digests.get(package.name, frozenset())
        pinned = any(each.version == package.version for each in versions.get(package.name, ()))
        if known and pinned and package.files and not known & {file.sha256 for file in package.files}:
            reason = f"none of the files of {package.version} has a sha256 that it knows"
            yield Lost(pins.file, package.name, reason)


def _other_commits(pins: Pins, locked: Locked) -> Iterator[Lost]:
    """Repositories that are locked at another commit than the other tool had."""
    for name, sources in pins.commits:
        commits = {each.commit for each in sources}
        for package in locked.lock.packages:
            source = package.source
            if package.name == name and not (isinstance(source, GitSource) and source.commit in commits):
                yield Lost(pins.file, f"package.{name}", "is not at the commit that it has: see pypm.lock")


def _compared(pins: Pins, locked: Locked) -> tuple[int, tuple[Moved, ...]]:
    """How many pins were kept, and which were not, among the names that are locked."""
    versions: dict[str, list[str]] = {}
    for package in locked.lock.packages:
        if isinstance(package.source, IndexSource):
            versions.setdefault(package.name, []).append(package.version)
    kept, moved = 0, []
    for name, preferences in pins.versions:
        pinned = tuple(dict.fromkeys(each.version for each in preferences))
        now = tuple(versions.get(name, ()))
        if now and not set(now) <= set(pinned):
            moved.append(Moved(name, pinned, now))
        elif now:
            kept += 1
    return kept, tuple(moved)
