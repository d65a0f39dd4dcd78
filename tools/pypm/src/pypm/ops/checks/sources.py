"""Which Python files a member has, what they are for, and what others can import of it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from pathlib import Path, PurePosixPath
from stat import S_ISREG
from typing import Any

from pypm.ops.checks.packaged import packaged
from pypm.ops.checks.tables import table_at, texts_in
from pypm_model.patterns import pattern
from pypm_model.records import NamedTuple, record
from pypm_store.import_names import import_names
from pypm_workspace import globs
from pypm_workspace.configuration import CheckSettings, Member
from pypm_workspace.faults import Fault
from pypm_workspace.providers import Contents
from pypm_workspace.toml_reading import read_toml
from pypm_workspace.workspace import Workspace

SHIPPED, DEVELOPMENT, BUILD = "shipped", "development", "build"
"""What a file is for: what users of the member run, what its authors run, what builds it."""

_test_folders = frozenset(("tests", "test"))
_author_folders = frozenset(
    ("docs", "doc", "examples", "example", "samples", "benchmarks", "benchmark", "scripts", "notebooks")
)
"""At the head of a member."""
_vendors = frozenset(("_vendor", "_vendored", "vendored"))
_left_out = frozenset(("__pycache__", "node_modules", "site-packages"))
_made = frozenset(("build", "dist"))
"""At the head of a member: what builds leave there."""
_settings = (".cfg", ".ini", ".toml", ".yaml", ".yml")
_other_sources = (".pyx", ".pxd", ".ipynb")
_project = pattern(r"^\s*\[\s*(?:project|tool\s*\.\s*poetry)\s*\]", 8)
_setup = pattern(r"\bsetup\(")


class SourceFile(NamedTuple):
    """One file, as it was seen."""

    path: str
    """Relative to the member's folder, with ``/``."""
    kind: str
    size: int
    mtime_ns: int


@record(slots=False)
class MemberSources:
    """What a member's folder holds."""

    member: Member
    folder: Path
    files: tuple[SourceFile, ...]
    """Python sources and stubs, sorted by path."""
    others: tuple[str, ...]
    """Sources that are no Python, but import: Cython's and notebooks."""
    roots: tuple[str, ...]
    """Folders that importing begins in, as it is installed; empty for the member's own."""
    manifest: Mapping[str, Any]

    @cached_property
    def vendors(self) -> tuple[str, ...]:
        """Folders with copies of other projects, some of which are put on the path, as poetry-core does."""
        return tuple(sorted(place for place in self._folders if place.rpartition("/")[2] in _vendors))

    @property
    def tool(self) -> Mapping[str, Any]:
        """The settings of tools in its manifest."""
        found: Mapping[str, Any] = table_at(self.manifest, "tool")
        return found

    @cached_property
    def settings(self) -> tuple[str, ...]:
        """Files in its folder with the settings of tools, but for the manifest."""
        try:
            names = sorted(entry.name for entry in os.scandir(self.folder) if entry.is_file())
        except OSError:
            return ()
        return tuple(name for name in names if name.endswith(_settings) and name != "pyproject.toml")

    @cached_property
    def contents(self) -> Contents:
        """What can be imported of it once it is installed."""
        project = table_at(self.manifest, "project")
        declared = [
            name for key in ("import-names", "import-namespaces") for name in texts_in(project.get(key))
        ]
        found = {name.partition(";")[0].strip() for name in declared} - {""}
        for root in self.roots:
            inside = [
                _below(f.path, root) for f in self.files if f.kind == SHIPPED and f.path.endswith(".py")
            ]
            found.update(import_names("", [path for path in inside if path], ""))
        commands = {name for key in ("scripts", "gui-scripts") for name in table_at(project, key)}
        return Contents(
            tuple(sorted(found)),
            (),
            tuple(sorted(commands)),
            is_plugin=bool(table_at(project, "entry-points")),
        )

    @cached_property
    def python_path(self) -> tuple[str, ...]:
        """Folders that pytest puts on the path."""
        options = table_at(table_at(table_at(self.manifest, "tool"), "pytest"), "ini_options")
        found = texts_in(options.get("pythonpath"))
        return tuple(PurePosixPath(text).as_posix().removeprefix(".") for text in found)

    @cached_property
    def _places(self) -> frozenset[str]:
        """Modules (without their ending) and folders with some, relative to the member's folder."""
        found: set[str] = set()
        for file in self.files:
            found.add(file.path.rpartition(".")[0])
            folder = file.path.rpartition("/")[0]
            while folder and folder not in found:
                found.add(folder)
                folder = folder.rpartition("/")[0]
        return frozenset(found)

    def has(self, module: str, folders: Iterable[str]) -> bool:
        """Whether the dotted *module* is one of the member's own, seen from one of *folders*. Of a
        namespace package, the folder alone says nothing: others may be in it."""
        first, _, rest = module.partition(".")
        for folder in folders:
            place = f"{folder}/{first}" if folder else first
            if place not in self._places:
                continue
            is_namespace = place in self._folders and not self.is_package(place)
            if not is_namespace or not rest or f"{place}/{rest.partition('.')[0]}" in self._places:
                return True
        return False

    def has_beside(self, module: str) -> bool:
        """Whether any folder with files that are not shipped has the dotted *module*'s package."""
        return module.partition(".")[0] in self._names_beside

    @cached_property
    def _names_beside(self) -> frozenset[str]:
        paths = [file.path for file in self.files if file.kind != SHIPPED]
        packages = {path.rpartition("/")[0] for path in paths if path.endswith("/__init__.py")}
        places = packages | {path.rpartition(".")[0] for path in paths}
        return frozenset(place.rpartition("/")[2] for place in places)

    def is_package(self, folder: str) -> bool:
        """Whether *folder* has an ``__init__``."""
        return f"{folder}/__init__" in self._places

    @cached_property
    def _folders(self) -> frozenset[str]:
        return self._places - {file.path.rpartition(".")[0] for file in self.files}

    def module_of(self, path: str) -> str:
        """The dotted name that the file *path* is imported by; empty if it is not installed."""
        for root in self.roots:
            below = _below(path, root)
            if below:
                return below.rpartition(".")[0].replace("/", ".").removesuffix(".__init__")
        return ""


def sources_of(workspace: Workspace, member: Member) -> MemberSources:
    """The sources of *member*, but for those that are another member's or another project's."""
    root = Path(workspace.root)
    folder = root / member.path
    _, manifest = read_toml(workspace.read(member.file).encode(), member.file)
    document = {} if isinstance(manifest, Fault) else manifest
    nested = {other.path for other in workspace.members if other is not member}
    settings = (workspace.settings.check, member.check)
    left_out = _patterns(each.exclude for each in settings)
    found = list(_walk(folder, "" if member.path == "." else member.path, nested))
    found = [one for one in found if not globs.covers(left_out, tuple(one[0].split("/")))]
    python = [one for one in found if not one[0].endswith(_other_sources)]
    roots = _roots(document, [path for path, _, _ in python])
    kinds = _Kinds(member, roots, settings, _packaged(member, document, roots, python))
    files = tuple(sorted(SourceFile(path, kinds.of(path), size, time) for path, size, time in python))
    others = tuple(sorted(path for path, _, _ in found if path.endswith(_other_sources)))
    return MemberSources(member, folder, files, others, roots, document)


def _walk(folder: Path, base: str, nested: set[str]) -> Iterator[tuple[str, int, int]]:
    """(path, size, time) of the sources below *folder*, whose path from the root is *base*."""
    todo = [""]
    while todo:
        below = todo.pop()
        try:
            entries = list(os.scandir(folder / below))
        except OSError:
            continue  # no right to look, or just removed
        if below and _is_foreign({entry.name for entry in entries}, folder / below):
            continue
        for entry in entries:
            path = f"{below}/{entry.name}" if below else entry.name
            if entry.is_dir(follow_symlinks=False):
                if (
                    entry.name.startswith(".")
                    or entry.name in _left_out
                    or entry.name.endswith(".egg-info")
                    or (not below and entry.name in _made)
                    or (f"{base}/{path}" if base else path) in nested
                ):
                    continue
                todo.append(path)
            elif entry.name.endswith((".py", ".pyi", ".pyw", *_other_sources)):
                try:
                    seen = entry.stat()
                except OSError:
                    continue  # a link to nowhere
                if S_ISREG(seen.st_mode):  # reading a pipe would wait for a writer
                    yield path, seen.st_size, seen.st_mtime_ns


def _is_foreign(names: set[str], folder: Path) -> bool:
    """Whether a folder is an environment, or another project that is no member: a template, a fixture."""
    if "pyvenv.cfg" in names:
        return True
    marks = [("pyproject.toml", _project)]
    if "__init__.py" not in names:
        marks.append(("setup.py", _setup))  # in a package, it is a module of that name
    return any(name in names and mark.search(_text(folder / name)) is not None for name, mark in marks)


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


class _Kinds:
    """What each file of a member is for, by convention and by its settings."""

    def __init__(
        self,
        member: Member,
        roots: tuple[str, ...],
        settings: Iterable[CheckSettings],
        heads: frozenset[str] | None,
    ) -> None:
        """*heads* are the names in the member's folder that are installed; None: nobody says."""
        self._heads = heads
        self._tests = _patterns(each.tests for each in settings)
        self._backends = member.build.backend_path if member.build else ()
        self._roots = [root for root in roots if root]
        # What is not installed is nobody's but the authors'; a project that is not built is run as it is.
        self._ships_all = not self._roots or member.build is None
        self._is_virtual = member.is_virtual

    def of(self, path: str) -> str:
        *folders, name = path.split("/")
        if not folders and name == "setup.py":
            return BUILD
        if any(_below(path, PurePosixPath(folder).as_posix()) for folder in self._backends if folder != "."):
            return BUILD
        is_test = (
            self._is_virtual
            or name == "conftest.py"
            or name.startswith("test_")
            or name.rpartition(".")[0].endswith("_test")
            or not _test_folders.isdisjoint(folders)
            or globs.covers(self._tests, (*folders, name))
        )
        if is_test or (not folders and name == "noxfile.py"):
            return DEVELOPMENT
        if any(_below(path, root) for root in self._roots):
            return SHIPPED
        if self._heads is not None and _head(path) not in self._heads:
            return DEVELOPMENT
        if folders and folders[0] in _author_folders:
            return DEVELOPMENT
        return SHIPPED if self._ships_all else DEVELOPMENT


def _packaged(
    member: Member, manifest: Mapping[str, Any], roots: tuple[str, ...], found: Iterable[tuple[str, int, int]]
) -> frozenset[str] | None:
    """The names in the member's folder that are installed, where importing begins there and it is known."""
    if member.build is None or "" not in roots:
        return None
    heads: set[str] = set()
    packages: set[str] = set()
    for path, _, _ in found:
        heads.add(_head(path))
        folder, _, rest = path.partition("/")
        if rest == "__init__.py":
            packages.add(folder)
    return packaged(manifest, member.build.backend, member.name, heads, packages)


def _head(path: str) -> str:
    """The name of the module or package in the member's folder that *path* is, or is in."""
    return path.partition("/")[0].partition(".")[0]


def _roots(manifest: Mapping[str, Any], paths: Iterable[str]) -> tuple[str, ...]:
    """Where importing begins: what the build backend's settings say, else ``src``, else the folder itself."""
    tool = table_at(manifest, "tool")
    setuptools = table_at(tool, "setuptools")
    found = [
        *texts_in(table_at(setuptools, "package-dir").get("")),
        *texts_in(table_at(table_at(setuptools, "packages"), "find").get("where")),
        *texts_in(table_at(table_at(tool, "uv"), "build-backend").get("module-root")),
        *texts_in(table_at(table_at(tool, "pdm"), "build").get("package-dir")),
        *texts_in(table_at(tool, "maturin").get("python-source")),
    ]
    wheel = table_at(
        table_at(table_at(table_at(table_at(tool, "hatch"), "build"), "targets"), "wheel"), "packages", list
    )
    scikit = table_at(table_at(table_at(tool, "scikit-build"), "wheel"), "packages", list)
    found += [text.rstrip("/").rpartition("/")[0] for text in (*texts_in(wheel), *texts_in(scikit))]
    for one in table_at(table_at(tool, "poetry"), "packages", list):
        if isinstance(one, dict):
            found += texts_in(one.get("from", ""))
    if not found:
        found = (
            ["src"] if any(path.startswith("src/") and path != "src/__init__.py" for path in paths) else [""]
        )
    tidy = ["" if root in ("", ".") else PurePosixPath(root).as_posix() for root in found]
    # The innermost first: a file is named from there.
    return tuple(sorted(set(tidy), key=lambda root: (-len(root), root)))


def own_folders(sources: MemberSources, path: str) -> tuple[str, ...]:
    """Folders in which a module of the member's own is looked for, seen from its file *path*: the one its
    outermost package lies in and those above, and those that importing begins in."""
    above: list[str] = []
    folder = path
    while folder:
        folder = folder.rpartition("/")[0]
        # Modules of one package see each other by the package's name alone.
        if above or not sources.is_package(folder):
            above.append(folder)
    return (*above, *sources.roots, *sources.python_path, *sources.vendors)


def is_vendored(path: str) -> bool:
    """Whether the file *path* is a copy of another project's, which its member answers for no more than for
    what it installs."""
    return not _vendors.isdisjoint(path.split("/")[:-1])


def _patterns(texts: Iterable[Iterable[str]]) -> list[globs.Segments]:
    return [globs.segments(text) for some in texts for text in some]


def _below(path: str, folder: str) -> str:
    """*path* relative to *folder*; empty if it is not in there."""
    if not folder:
        return path
    return path.removeprefix(f"{folder}/") if path.startswith(f"{folder}/") else ""
