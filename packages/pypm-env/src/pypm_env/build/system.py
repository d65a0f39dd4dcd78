"""What a source tree says about how it is built: the ``[build-system]`` table (PEP 517, PEP 518).

Reads one `pyproject.toml` per tree and nothing else; no backend runs here.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

from packaging.requirements import InvalidRequirement
from packaging.requirements import Requirement as Specifier

from pypm_model.errors import Place, PypmError
from pypm_model.records import field, record

LEGACY_BACKEND = "setuptools.build_meta:__legacy__"
"""The backend of a tree that names none (PEP 517)."""
LEGACY_REQUIRES = ("setuptools>=40.8.0",)
"""What a tree without ``[build-system]`` needs: the first setuptools that has `LEGACY_BACKEND`."""

_object = re.compile(r"[^\W\d]\w*(?:\.[^\W\d]\w*)*(?::[^\W\d]\w*(?:\.[^\W\d]\w*)*)?")
_position = re.compile(r"\s*\(at line (\d+), column (\d+)\)$")


@record
class BuildSystem:
    """How one tree is built, checked."""

    requires: tuple[str, ...] = LEGACY_REQUIRES
    """Requirement texts as the manifest writes them."""
    backend: str = LEGACY_BACKEND
    """``module`` or ``module:object.path``."""
    backend_path: tuple[str, ...] = ()
    """Folders in the tree, relative with ``/``, that are searched for the backend before all others."""
    manifest: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)
    """The whole parsed `pyproject.toml`; empty where the tree has none."""

    @property
    def project(self) -> Mapping[str, Any]:
        """The ``[project]`` table, empty where there is none."""
        table = self.manifest.get("project", {})
        return table if isinstance(table, Mapping) else {}

    def tool(self, name: str) -> Mapping[str, Any]:
        """The ``[tool.NAME]`` table, empty where there is none."""
        tools = self.manifest.get("tool", {})
        table = tools.get(name, {}) if isinstance(tools, Mapping) else {}
        return table if isinstance(table, Mapping) else {}


@record
class Fault:
    """One thing that is wrong in a manifest, and its line (from 1) if known."""

    message: str
    line: int | None = None
    column: int | None = None


class InvalidBuildSystem(PypmError):
    """A tree's `pyproject.toml` cannot be read or its ``[build-system]`` is wrong; all faults at once."""

    code: ClassVar[str] = "invalid-build-system"
    exit: ClassVar[int] = 2

    file: str
    faults: tuple[Fault, ...]

    def __str__(self) -> str:
        first = self.faults[0]
        more = f" (and {len(self.faults) - 1} more)" if len(self.faults) > 1 else ""
        return f"{Place(self.file, first.line, first.column)}: {first.message}{more}"

    @property
    def places(self) -> tuple[Place, ...]:
        return tuple(Place(self.file, fault.line, fault.column) for fault in self.faults)


class NothingToBuild(PypmError):
    """A folder holds neither `pyproject.toml` nor `setup.py`, so that no backend could build it."""

    code: ClassVar[str] = "nothing-to-build"

    folder: str

    def __str__(self) -> str:
        return f"{self.folder}: neither pyproject.toml nor setup.py, nothing says how to build this"


def read_build_system(folder: Path, *, shown: str | None = None) -> BuildSystem:
    """How the tree *folder* is built; *shown* is how its manifest is called in errors.

    A tree without ``[build-system]`` is built by setuptools as it was before PEP 517.
    Raises `InvalidBuildSystem` and `NothingToBuild`.
    """
    path = folder / "pyproject.toml"
    shown = shown or str(path)
    try:
        content = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        if not (folder / "setup.py").is_file():
            raise NothingToBuild(shown.removesuffix("pyproject.toml").rstrip("/\\: ") or ".") from None
        return BuildSystem()
    except OSError as error:
        raise InvalidBuildSystem(shown, (Fault(f"cannot be read: {error.strerror}"),)) from error
    return parse_build_system(content, folder, shown=shown)


def parse_build_system(content: bytes, folder: Path, *, shown: str) -> BuildSystem:
    """The build system that the manifest bytes *content* of the tree *folder* describe.

    Raises `InvalidBuildSystem` with every fault of the table and its line.
    """
    try:
        text = content.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise InvalidBuildSystem(shown, (Fault("not UTF-8", line),)) from error
    try:
        manifest = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise InvalidBuildSystem(shown, (_syntax_fault(str(error)),)) from error
    return build_system_of(manifest, folder, shown=shown, text=text)


def build_system_of(
    manifest: Mapping[str, Any], folder: Path, *, shown: str, text: str | None = None
) -> BuildSystem:
    """The build system of a manifest that is parsed already; *text*, if at hand, gives the lines."""
    table = manifest.get("build-system")
    if table is None:
        return BuildSystem(manifest=manifest)
    where = _Lines(text or "")
    faults: list[Fault] = []
    if not isinstance(table, Mapping):
        raise InvalidBuildSystem(shown, (Fault("build-system must be a table", where.of(None)),))
    requires = _requires(table, where, faults)
    backend = table.get("build-backend", LEGACY_BACKEND)
    if not isinstance(backend, str) or not _object.fullmatch(backend):
        message = f"build-system.build-backend must name a module or module:object, not {backend!r}"
        faults.append(Fault(message, where.of("build-backend")))
        backend = ""
    paths = _backend_path(table, folder, where, faults)
    if faults:
        raise InvalidBuildSystem(shown, tuple(faults))
    return BuildSystem(requires, backend, paths, manifest)


def _requires(table: Mapping[str, Any], where: _Lines, faults: list[Fault]) -> tuple[str, ...]:
    if "requires" not in table:
        faults.append(Fault("build-system.requires is missing", where.of("requires")))
        return ()
    requires = table["requires"]
    if not isinstance(requires, list) or not all(isinstance(item, str) for item in requires):
        faults.append(Fault("build-system.requires must be a list of strings", where.of("requires")))
        return ()
    for item in requires:
        if (reason := _wrong(item)) is not None:
            message = f"build-system.requires: {item!r} is no requirement: {reason}"
            faults.append(Fault(message, where.of("requires")))
    return tuple(requires)


@lru_cache(maxsize=1024)
def _wrong(requirement: str) -> str | None:
    """Why the text is no requirement, or None. The members of a workspace mostly say the same."""
    try:
        Specifier(requirement)
    except InvalidRequirement as error:
        return str(error).splitlines()[0]
    return None


def _backend_path(
    table: Mapping[str, Any], folder: Path, where: _Lines, faults: list[Fault]
) -> tuple[str, ...]:
    """PEP 517: relative, existing, and, after links are followed, in the tree."""
    if "backend-path" not in table:
        return ()
    line = where.of("backend-path")
    paths = table["backend-path"]
    if not isinstance(paths, list) or not all(isinstance(item, str) for item in paths):
        faults.append(Fault("build-system.backend-path must be a list of strings", line))
        return ()
    if "build-backend" not in table:
        faults.append(Fault("build-system.backend-path needs a build-backend", line))
    root = folder.resolve()
    for item in paths:
        if "\0" in item:
            faults.append(Fault(f"build-system.backend-path: {item!r} is no path", line))
            continue
        target = (root / item).resolve()
        if not target.is_relative_to(root):
            faults.append(Fault(f"build-system.backend-path: {item!r} is outside the source tree", line))
        elif not target.is_dir():
            faults.append(Fault(f"build-system.backend-path: {item!r} is no folder", line))
    return tuple(paths)


def _syntax_fault(message: str) -> Fault:
    found = _position.search(message)
    if found is None:
        return Fault(f"not TOML: {message}")
    return Fault(f"not TOML: {message[: found.start()]}", int(found[1]), int(found[2]))


@record
class _Lines:
    """Finds lines of the ``[build-system]`` table in the text: tomllib keeps no positions."""

    text: str

    def of(self, key: str | None) -> int | None:
        """The line of *key* in the table, else of the table's header, else None."""
        inside = False
        header = None
        for number, line in enumerate(self.text.splitlines(), 1):
            stripped = line.strip()
            if re.match(r"\[\s*[\"']?build-system[\"']?\s*\]", stripped):
                inside, header = True, number
            elif stripped.startswith("["):
                inside = False
            elif key is not None and (
                (inside and re.match(rf"[\"']?{key}[\"']?\s*=", stripped))
                or re.match(rf"build-system\s*\.\s*{key}\s*=", stripped)
            ):
                return number
        return header
