"""``pypm import``: another tool's project as ours, with the versions it had."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

from pypm.ops.importing.comparing import Moved, compared, not_built, other_commits, unknown_files
from pypm.ops.importing.decoding import decoded
from pypm.ops.importing.finding import Found, NothingToImport, files_for_import, find
from pypm.ops.importing.manifest import MANIFEST, converted
from pypm.ops.importing.records import Draft, Lost, Pins, Read
from pypm.ops.importing.repository import Project, as_member, below, lost_of, of_workspace, pins_of_all
from pypm.ops.init import projects_below
from pypm.ops.locking import Locked, Locking, lock_workspace
from pypm.ops.resolving import CannotResolve
from pypm.ops.toolbox import open_tools
from pypm.ops.world import LOCK, World
from pypm.ops.writing import write_all
from pypm_model import names, requirement_text
from pypm_model.errors import PypmError
from pypm_model.names import NormalizedName
from pypm_model.patterns import pattern
from pypm_model.records import record, replace
from pypm_workspace.configuration import Asked, IndexSetting, Settings
from pypm_workspace.discover import discover, find_root
from pypm_workspace.errors import NoWorkspace
from pypm_workspace.templates import workspace_file
from pypm_workspace.workspace import Workspace

_build_hint = pattern(r'\[resolution\] build = \{ allow = \["([^"]+)"\] \}')
_APART = "`shared-environment = false`"
"""What the resolver's hint says that would help."""
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


class BadName(PypmError):
    """What is allowed to be built is no name of a package."""

    code: ClassVar[str] = "bad-name"
    exit: ClassVar[int] = 2
    name: str

    def __str__(self) -> str:
        return f"--allow-build {self.name}: no name of a package"


@record
class ImportOptions:
    """What to import; without *file* what is found in the current folder."""

    file: str | None = None
    force: bool = False
    dry_run: bool = False
    allow_build: tuple[str, ...] = ()
    """Names whose sdists may be built, which the workspace's file then says."""


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
    """Converts the manifest of the current folder where it must be, and those of the projects below that it
    depends on or, where it has none, that are there; they become a workspace. Locks them with the
    versions that the other tool's locks have, where they fit. All of it is written, or nothing."""
    folder = world.cwd.resolve()
    projects = _projects(world, folder, options)
    plan = _planned(world, folder, projects, _allowed(options))
    if (plan.root / LOCK).exists() and not options.force:
        raise AlreadyLocked(LOCK)
    pins = pins_of_all(projects)
    plan, workspace, locked = _locked(world, plan, pins)
    texts = dict(plan.texts)
    if not options.dry_run:
        write_all(world, workspace, texts, locked, None)
    kept, moved = compared(pins, locked.lock)
    lost = [lost for project in projects for lost in lost_of(project, project.found.lost)]
    lost += [*plan.lost, *unknown_files(pins, locked.lock), *other_commits(pins, locked.lock)]
    lost += not_built(workspace.build_policy, locked.lock)
    files = (*texts, *((LOCK,) if locked.is_new else ()), *workspace.settings.lock_export)
    read = tuple(project.file(file) for project in projects for file in project.found.read)
    return ImportReport(read, files, kept, moved, tuple(dict.fromkeys(lost)), options.dry_run)


@record
class _Plan:
    """The files to write, by their paths from the workspace's root, and what there was no place for."""

    root: Path
    texts: tuple[tuple[str, str], ...]
    lost: tuple[Lost, ...]
    settings: Settings | None = None
    """What the workspace's file says, where several projects get one."""

    def apart(self, why: str) -> _Plan:
        """The same with an environment for each member, *why* being that they do not fit into one."""
        assert self.settings is not None
        text = workspace_file(replace(self.settings, shared_environment=False))
        reason = f"false, so that each member has an environment of its own: {why}"
        lost = Lost(WORKSPACE, "shared-environment", reason)
        return _Plan(self.root, (*self.texts[:-1], (WORKSPACE, text)), (*self.lost, lost))


def _projects(world: World, folder: Path, options: ImportOptions) -> tuple[Project, ...]:
    """What there is to import: the folder's own project first, if it has one."""
    read = _reader(folder)

    def names(below: str) -> list[str]:
        return files_for_import(folder / below)

    try:
        here = find(read, names("."), options.file)
    except NothingToImport:
        if options.file is not None or _is_in_workspace(world, folder):
            raise
        found = below(read, names, None, projects_below(folder))
        if not any(project.found.draft or project.found.pins for project in found):
            raise
        return found
    own = Project(".", here)
    return (own,) if _is_in_workspace(world, folder) else (own, *below(read, names, here.draft, ()))


def _is_in_workspace(world: World, folder: Path) -> bool:
    """Whether a workspace's file says already which projects belong together."""
    try:
        return find_root(folder, world.environ).kind != "project"
    except NoWorkspace:
        return False


def _allowed(options: ImportOptions) -> tuple[NormalizedName, ...]:
    for name in options.allow_build:
        if not names.is_valid(name):
            raise BadName(name)
    return tuple(sorted({names.normalize(name) for name in options.allow_build}))


def _locked(world: World, plan: _Plan, pins: Pins) -> tuple[_Plan, Workspace, Locked]:
    """The lock of *plan*; of one where the members are apart, as they were with the other tool, if they
    cannot be locked for one environment and can be so."""
    workspace = discover(plan.root, edited=dict(plan.texts))
    for warning in workspace.warnings:
        world.listener(warning)
    with open_tools(world, workspace) as tools:
        try:
            locking = Locking(preferences=pins.versions, commits=pins.commits)
            return plan, workspace, lock_workspace(tools, workspace, locking)
        except CannotResolve as error:
            if (plan.root / WORKSPACE).exists():
                raise
            if plan.settings is None or not any(_APART in hint for hint in error.hints):
                raise replace(error, hints=_hints(error.hints, pins, workspace)) from None
            why = error.summary
    return _locked(world, plan.apart(why), pins)


def _hints(hints: Iterable[str], pins: Pins, workspace: Workspace) -> tuple[str, ...]:
    """*hints* for a workspace whose file is not there yet: what may be built is said on the command line. And
    what differs from the tool that is left: its indexes are not all asked for every name."""
    found = []
    for hint in hints:
        match = _build_hint.search(hint)
        if match is None:
            found.append(hint)
            continue
        allowed = sorted({match[1], *pins.sdists})
        found.append(
            hint.replace(match[0], "pypm import" + "".join(f" --allow-build {name}" for name in allowed))
        )
    first = [index.name for index in workspace.settings.indexes if not (index.explicit or index.default)]
    if first:
        asked = " and ".join(first)
        found.append(
            f"a name that {asked} has is taken from there alone: leave out what is for some names only"
        )
    return tuple(found)


def _reader(folder: Path) -> Read:
    def read(path: str) -> str | None:
        try:
            return decoded((folder / path).read_bytes(), path)
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
            return None

    return read


def _planned(
    world: World, folder: Path, projects: tuple[Project, ...], allowed: tuple[NormalizedName, ...]
) -> _Plan:
    members = {name: each.folder for each in projects[1:] or projects if (name := _name_of(folder, each))}
    own = projects[0] if projects[0].folder == "." else None
    if own is None or len(projects) > 1:
        texts, lost = _members(folder, projects, members)
        shared = replace(of_workspace(projects), build_allow=allowed)
        paths = tuple(project.folder for project in projects if project.folder != ".")
        settings = replace(_settings(shared), members=paths)
        texts[WORKSPACE] = workspace_file(settings)
        return _Plan(folder, tuple(texts.items()), lost, settings)
    return _alone(world, folder, own.found, allowed)


def _members(
    folder: Path, projects: Iterable[Project], members: Mapping[NormalizedName, str]
) -> tuple[dict[str, str], tuple[Lost, ...]]:
    texts: dict[str, str] = {}
    lost: list[Lost] = []
    for project in projects:
        draft = as_member(project, members)
        if draft is None:
            continue
        before = _reader(folder)(project.file(MANIFEST)) or ""
        python = "" if draft.file == MANIFEST else PYTHON
        text, left = converted(
            before, draft, name=(folder / project.folder).resolve().name, requires_python=python
        )
        lost += lost_of(project, left)
        if text != before:
            texts[project.file(MANIFEST)] = text
    return texts, tuple(lost)


def _name_of(folder: Path, project: Project) -> NormalizedName | None:
    """The name of the project, if it has one."""
    draft = project.found.draft
    if draft is not None and draft.name:
        return names.normalize(draft.name)
    document = tomllib.loads(_reader(folder)(project.file(MANIFEST)) or "")
    name = document.get("project", {}).get("name")
    return names.normalize(name) if isinstance(name, str) else None


def _alone(world: World, folder: Path, found: Found, allowed: tuple[NormalizedName, ...]) -> _Plan:
    draft = found.draft
    if draft is None and allowed:
        draft = Draft(MANIFEST)
    if draft is None:
        return _Plan(Path(find_root(folder, world.environ).root).resolve(), (), ())
    draft = replace(draft, build_allow=allowed)
    python = "" if draft.file == MANIFEST else PYTHON
    before = _reader(folder)(MANIFEST) or ""
    text, lost = converted(before, draft, name=folder.name, requires_python=python)
    if text == before and not draft.is_of_workspace:
        return _Plan(Path(find_root(folder, world.environ).root).resolve(), (), lost)
    root, path = _placed(world, folder, text)
    texts = {path: text} if text != before else {}
    if draft.is_of_workspace:
        if path != MANIFEST or (root / WORKSPACE).exists():
            lost += tuple(_for_the_workspace(draft))
        else:
            texts[WORKSPACE] = workspace_file(_settings(draft))
    return _Plan(root, tuple(texts.items()), lost)


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
        build_allow=draft.build_allow,
    )


def _asked(texts: Iterable[str], table: str) -> tuple[Asked, ...]:
    return tuple(Asked(requirement_text.parse(text), table, item) for item, text in enumerate(texts))


def _for_the_workspace(draft: Draft) -> Iterator[Lost]:
    """What belongs in a workspace file that is there already."""
    for index in draft.indexes:
        yield Lost(draft.file, f"index {index.name}", f"write it as [[index]] in {WORKSPACE}: {index.url}")
    lists = (
        ("constraints", draft.constraints),
        ("overrides", draft.overrides),
        ("excludes", draft.excludes),
        ("build.allow", draft.build_allow),
    )
    for key, texts in lists:
        for text in texts:
            yield Lost(draft.file, text, f"write it under [resolution] {key} in {WORKSPACE}")
    for link in draft.find_links:
        yield Lost(draft.file, link, f"write it under [resolution] find-links in {WORKSPACE}")
