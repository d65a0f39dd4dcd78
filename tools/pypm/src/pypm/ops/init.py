"""``pypm init``: start a project or workspace, or make a uv workspace pypm's own."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from pypm.ops.git import Repository
from pypm.ops.merge_setup import teach
from pypm.ops.world import World
from pypm_model import names
from pypm_model.errors import PypmError
from pypm_model.events import Warned
from pypm_model.records import record, replace
from pypm_store.atomic import write_atomically
from pypm_workspace.discover import discover, find_root
from pypm_workspace.errors import NoWorkspace
from pypm_workspace.templates import (
    module_places,
    new_project,
    new_workspace,
    tables_of,
    with_project,
    workspace_file,
)

MANIFEST = "pyproject.toml"
WORKSPACE = "pypm-workspace.toml"
_OF_PROJECTS = {"project", "dependency-groups", "build-system"}
_SKIPPED = {"node_modules", "build", "dist", "venv", "__pycache__"}


class AlreadyThere(PypmError):
    """There is a project or workspace already."""

    code: ClassVar[str] = "already-there"
    file: str
    without_project: bool = False
    """It is a manifest without ``[project]``, to which none can be added."""

    def __str__(self) -> str:
        lacking = " and has no [project]" if self.without_project else ""
        return f"{self.file} exists already{lacking}"

    @property
    def hint(self) -> str | None:
        if self.without_project:
            return "write one: at the least, `name` and `version` of the project"
        if self.file.endswith(MANIFEST):
            return "`pypm sync` works on it as it is; `pypm init --workspace` makes it a workspace"
        return None


class BadProjectName(PypmError):
    """The name is none a project may have."""

    code: ClassVar[str] = "bad-project-name"
    exit: ClassVar[int] = 2
    name: str

    def __str__(self) -> str:
        return f"{self.name!r} is no name for a project: letters, digits, and - _ . between them"

    @property
    def hint(self) -> str:
        return "give one with --name"


@record
class InitOptions:
    """*folder* relative to the current one; *workspace* makes a workspace file; *package* a module too;
    *git* sets up merges of the lock, and nothing else where there is a project or workspace."""

    folder: str = "."
    name: str | None = None
    workspace: bool = False
    package: bool = True
    requires_python: str | None = None
    git: bool = False


@record
class InitReport:
    """Files that were written, relative to the folder, and what was made."""

    folder: str
    kind: str
    """``project``, ``workspace`` or ``uv-workspace``; ``git`` if there was one already."""
    files: tuple[str, ...]
    git_config: tuple[str, ...] = ()
    """Keys of the repository's configuration that were set."""


def init(world: World, options: InitOptions) -> InitReport:
    """Writes new files; of existing ones, a manifest that holds only the settings of tools gets the project's
    tables, and .gitattributes a line.

    A uv workspace gets the pypm file that says the same. Folders below with manifests become the
    members of a new workspace. Else a project is made (a member, if a workspace above has the folder).
    """
    folder = (world.cwd / options.folder).resolve()
    if not options.git:
        return _started(world, folder, options)
    repository = Repository(folder, world.environ)
    if (folder / WORKSPACE).exists() or ((folder / MANIFEST).exists() and not options.workspace):
        report = InitReport(str(folder), "git", ())
    else:
        report = _started(world, folder, options)
    files, keys = teach(repository)
    return replace(report, files=(*report.files, *files), git_config=keys)


def _started(world: World, folder: Path, options: InitOptions) -> InitReport:
    if (folder / WORKSPACE).exists():
        raise AlreadyThere(WORKSPACE)
    manifest: str | None = None
    if (folder / MANIFEST).exists():
        found = discover(folder)
        if found.kind == "uv":
            # What uv builds without being told, a file of ours must allow.
            settings = replace(found.settings, build_default=found.build_policy.default)
            return _write(folder, "uv-workspace", {WORKSPACE: workspace_file(settings)})
        # It has been read: it is UTF-8, and TOML.
        manifest = (folder / MANIFEST).read_bytes().decode()
        tables = tables_of(manifest)
        if not options.workspace and tables & _OF_PROJECTS:
            legacy = "build-system" in tables and "project" not in tables
            raise AlreadyThere(MANIFEST, without_project=legacy)
    name = options.name or folder.name
    if not names.is_valid(name):
        raise BadProjectName(name)
    patterns = _patterns(folder)
    if options.workspace or patterns:
        text = new_workspace(names.normalize(name), patterns or ("packages/*",))
        return _write(folder, "workspace", {WORKSPACE: text})
    python = options.requires_python or _python_of(folder.parent) or ">=3.11"
    has_module = any((folder / place).exists() for place in module_places(name))
    files = new_project(name, requires_python=python, package=options.package, has_module=has_module)
    if manifest is not None:
        files[MANIFEST] = with_project(manifest, files[MANIFEST])
    report = _write(folder, "project", files)
    if find_root(folder, {}).reason == "not-a-member":
        message = f"{folder} is no member of the workspace above: no entry of its `members` matches it"
        world.listener(Warned("not-a-member", message))
    return report


def _write(folder: Path, kind: str, files: dict[str, str]) -> InitReport:
    for path, text in files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(target, text)
    return InitReport(str(folder), kind, tuple(files))


def _patterns(folder: Path) -> tuple[str, ...]:
    """Patterns for the projects one or two folders below: ``packages/*``, or a folder itself."""
    found: set[str] = set()
    if not folder.is_dir():
        return ()
    for child in sorted(folder.iterdir()):
        if not child.is_dir() or child.name in _SKIPPED or child.name.startswith("."):
            continue
        if (child / MANIFEST).exists():
            found.add(child.name)
            continue
        below = [each for each in child.iterdir() if each.is_dir() and each.name not in _SKIPPED]
        with_manifest = [each for each in below if (each / MANIFEST).exists()]
        if with_manifest and len(with_manifest) == len([b for b in below if not b.name.startswith(".")]):
            found.add(f"{child.name}/*")
        else:
            found.update(f"{child.name}/{each.name}" for each in with_manifest)
    return tuple(sorted(found))


def projects_below(folder: Path) -> tuple[str, ...]:
    """The folders that `_patterns` finds, by their paths from *folder*."""
    found = {
        each.relative_to(folder).as_posix()
        for pattern in _patterns(folder)
        for each in folder.glob(pattern)
        if (each / MANIFEST).is_file()
    }
    return tuple(sorted(found))


def _python_of(folder: Path) -> str | None:
    """The range that the members of the workspace above share, if they all state the same."""
    for above in (folder, *folder.parents):
        if (above / WORKSPACE).exists():
            try:
                ranges = {m.requires_python for m in discover(above).members if m.requires_python}
            except (PypmError, NoWorkspace):
                return None
            return ranges.pop() if len(ranges) == 1 else None
    return None
