"""Which files of a project a backend reads to make metadata or an editable wheel.

Three backends are known well enough to name them (checked against flit_core 3.2 to 4.2, hatchling 1.5
to 1.33, setuptools 64 to 84); for every other, and for whatever can run code of the project's own, the
answer is "any file". A wheel holds the project's files, so any file counts for every backend.

Read besides `pyproject.toml`, readme and licence files:

- flit_core: where the module lies; with a dynamic version or description the module's own file and its
  version files, where what is asked for can be read without importing them.
- hatchling: `hatch.toml`, the version file of the ``regex`` source, the folders that hold modules and,
  where patterns choose files, all names; ignore files.
- setuptools: `MANIFEST.in`, a `setup.cfg` that speaks to other tools, a `setup.py` that only calls
  ``setup()``, files of ``file:`` fields, the module of an ``attr:`` whose value is a literal, the folders
  that hold modules.

Build hooks, plugins, a `setup.py` that computes, extension modules, forced inclusions, versions from
git and the like make it "any file", the last with the state of the repository.
"""

from __future__ import annotations

import ast
import fnmatch
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

from pypm_env.build.system import BuildSystem
from pypm_model.records import record, replace

Kind = Literal["wheel", "editable", "metadata"]
Names = Literal["none", "folders", "all"]

_LICENCE_GLOBS = ("COPYING*", "LICEN[CS]E*", "NOTICE*", "AUTHORS*")
_from_repository = re.compile(
    r"(?:^|-)(?:scm|vcs|git|pbr|versioneer|versioningit|versioning|dunamai)(?:-|$)|^pdm-backend$"
)
_separators = re.compile(r"[-_.]+")


@record
class Inputs:
    """What a result is made from, besides the build environment and the settings."""

    files: tuple[str, ...] = ()
    """Paths relative to the project, with ``/``, sorted: their contents count, or that there is none."""
    names: Names = "none"
    """``folders``: which folders there are, which of them hold modules, and top-level modules.
    ``all``: the name of every file."""
    everything: bool = False
    """Every file's contents."""
    repository: bool = False
    """The state of the git repository around the project."""


EVERYTHING = Inputs(everything=True)


def inputs(system: BuildSystem, folder: Path, kind: Kind) -> Inputs:
    """What the tree *folder* gives to a result of *kind*. Reads names and a few small files."""
    if _asks_version_control(system):
        return Inputs(everything=True, repository=True)
    if kind == "wheel" or system.backend_path or not system.project:
        return EVERYTHING
    match system.backend:
        case "flit_core.buildapi":
            found = _flit(system, folder)
        case "hatchling.build":
            found = _hatchling(system, folder)
        case "setuptools.build_meta" | "setuptools.build_meta:__legacy__":
            found = _setuptools(system, folder)
        case _:
            return EVERYTHING
    if found.everything:
        return found
    files = {"pyproject.toml", *found.files, *_documents(system.project, folder)}
    return replace(found, files=tuple(sorted(files)))


def is_plugged(system: BuildSystem) -> bool:
    """Whether the build requires anything but the backend itself: a plugin may change all it does."""
    own = {
        "flit_core.buildapi": {"flit-core"},
        "hatchling.build": {"hatchling"},
        "setuptools.build_meta": {"setuptools", "wheel"},
        "setuptools.build_meta:__legacy__": {"setuptools", "wheel"},
    }.get(system.backend, set())
    return not {required_name(text) for text in system.requires} <= own


def required_name(requirement: str) -> str:
    """The normalised project name a requirement text begins with."""
    found = re.match(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)", requirement)
    return _separators.sub("-", found[1]).lower() if found else ""


def _asks_version_control(system: BuildSystem) -> bool:
    return "version" in _texts(system.project.get("dynamic")) and any(
        _from_repository.search(required_name(text)) for text in system.requires
    )


def _documents(project: Mapping[str, Any], folder: Path) -> set[str]:
    """Readme and licence files."""
    found = set()
    for key in ("readme", "license"):
        value = project.get(key)
        if isinstance(value, Mapping):
            value = value.get("file")
        elif key == "license":
            value = None  # an SPDX expression
        if isinstance(value, str):
            found.add(value)
    licences = project.get("license-files")
    if isinstance(licences, Mapping):  # hatchling's form from before PEP 639
        found.update(_texts(licences.get("paths")))
        licences = licences.get("globs")
    globs = _texts(licences) if licences is not None else _LICENCE_GLOBS
    found.update(_matches(folder, globs))
    return found


def _matches(folder: Path, globs: Iterable[str]) -> set[str]:
    """Files that fit, and patterns that no file fits."""
    found: set[str] = set()
    top: list[str] | None = None
    for pattern in globs:
        if "/" in pattern or "\\" in pattern or "**" in pattern:
            try:
                hits = [path.relative_to(folder).as_posix() for path in folder.glob(pattern)]
            except (ValueError, NotImplementedError, IndexError):
                hits = []
        else:
            top = _listing(folder) if top is None else top
            hits = fnmatch.filter(top, pattern)
        found.update(hits or (pattern,))
    return found


def _listing(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []


def _texts(value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value,)
    return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list) else ()


# --- flit_core -----------------------------------------------------------------------------------


def _flit(system: BuildSystem, folder: Path) -> Inputs:
    if is_plugged(system):
        return EVERYTHING
    tool, name = system.tool("flit"), system.project.get("name")
    module = tool.get("module", {})
    module = module.get("name") if isinstance(module, Mapping) else None
    if not isinstance(module, str):
        if not isinstance(name, str):
            return EVERYTHING
        module = _separators.sub("_", name).lower()
        candidates = {module, name.replace("-", "_")}  # before flit_core 3.3 the second
    else:
        candidates = {module}
    if "external-data" in tool or set(tool) - {"module", "sdist"}:
        return EVERYTHING
    bases = [base + each.replace(".", "/") for each in sorted(candidates) for base in ("", "src/")]
    # What is read is where the module lies: a change from a file to a package is another path.
    files = [f"{base}/" for base in bases] + [f"{base}.py?" for base in bases]
    wanted = {"version", "description"} & set(_texts(system.project.get("dynamic")))
    if wanted:
        own = [
            path
            for base in bases
            for path in (f"{base}.py", *(f"{base}/{name}.py" for name in _FLIT_VERSION_FILES))
        ]
        if not wanted <= _literals([folder / path for path in own]):
            return EVERYTHING  # flit imports the module then, which may do anything
        files += own
    return Inputs(tuple(files))


_FLIT_VERSION_FILES = ("__init__", "version", "_version", "__version__")


def _literals(paths: Iterable[Path]) -> set[str]:
    """Which of version and description stand in one of the modules as literals."""
    found = set()
    for path in paths:
        try:
            tree = ast.parse(path.read_bytes())
        except (OSError, SyntaxError, ValueError):
            continue
        if ast.get_docstring(tree):
            found.add("description")
        if _is_literal(tree, "__version__"):
            found.add("version")
    return found


def _is_literal(tree: ast.Module, name: str) -> bool:
    """Whether the module assigns *name* exactly once at its top level, and a literal."""
    values = []
    for node in tree.body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        if any(isinstance(target, ast.Name) and target.id == name for target in targets):
            values.append(getattr(node, "value", None))
    return len(values) == 1 and isinstance(values[0], ast.Constant)


# --- hatchling -----------------------------------------------------------------------------------

_HATCH_LAYOUT = {"packages", "sources", "dev-mode-dirs", "dev-mode-exact", "reproducible", "directory"}
_HATCH_PATTERNS = {"include", "exclude", "only-include", "artifacts", "only-packages", "ignore-vcs"}
_HATCH_TARGET = {"strict-naming", "core-metadata-version", "macos-max-compat", "versions", "bypass-selection"}


def _hatchling(system: BuildSystem, folder: Path) -> Inputs:
    tool = system.tool("hatch")
    version, metadata, build = (_table(tool, key) for key in ("version", "metadata", "build"))
    if is_plugged(system) or metadata.get("hooks") or (folder / "hatch.toml").exists():
        return EVERYTHING
    files = []
    if "version" in _texts(system.project.get("dynamic")):
        if version.get("source", "regex") != "regex" or not isinstance(version.get("path"), str):
            return EVERYTHING
        files.append(version["path"])
    targets = _table(build, "targets")
    names: Names = "folders"
    for table, allowed in ((build, {"targets"}), (_table(targets, "wheel"), _HATCH_TARGET)):
        keys = {key for key in table if table[key]} - allowed - _HATCH_LAYOUT
        if keys - _HATCH_PATTERNS:
            return EVERYTHING
        if keys:
            names = "all"
    files += _ignore_files(folder)
    return Inputs((*files, "hatch.toml"), names)


def _ignore_files(folder: Path) -> list[str]:
    """The nearest ignore file of each version control system, here or above up to its repository."""
    found = []
    for name, boundary in ((".gitignore", ".git"), (".hgignore", ".hg")):
        for above in (folder, *folder.parents):
            if (above / name).is_file():
                found.append(os.path.relpath(above / name, folder).replace(os.sep, "/"))
                break
            if (above / boundary).exists():
                break
    return found


def _table(table: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = table.get(key, {})
    return value if isinstance(value, Mapping) else {}


# --- setuptools ----------------------------------------------------------------------------------

_SETUPTOOLS = {"packages", "package-dir", "py-modules", "dynamic", "zip-safe", "include-package-data",
               "package-data", "exclude-package-data", "license-files", "platforms"}  # fmt: skip


def _setuptools(system: BuildSystem, folder: Path) -> Inputs:
    tool = system.tool("setuptools")
    if is_plugged(system) or set(tool) - _SETUPTOOLS:
        return EVERYTHING
    if not _is_shim(folder / "setup.py") or not _says_nothing(folder / "setup.cfg"):
        return EVERYTHING
    files = ["setup.py", "setup.cfg", "MANIFEST.in"]
    files += _matches(folder, _texts(tool.get("license-files")))
    for field in _table(tool, "dynamic").values():
        if not isinstance(field, Mapping):
            return EVERYTHING
        if "attr" in field:
            source = _attribute_file(folder, field["attr"], tool)
            if source is None:
                return EVERYTHING
            files.append(source)
        files += _texts(field.get("file"))
    if {"scripts", "gui-scripts", "entry-points"} & set(_texts(system.project.get("dynamic"))) - set(
        _table(tool, "dynamic")
    ):
        return EVERYTHING
    return Inputs(tuple(files), "folders")


def _attribute_file(folder: Path, attribute: object, tool: Mapping[str, Any]) -> str | None:
    """The one file with the literal that ``attr: package.module.NAME`` speaks of, else None."""
    if not isinstance(attribute, str) or "." not in attribute:
        return None
    module, _, name = attribute.rpartition(".")
    path = module.replace(".", "/")
    folders = _table(tool, "package-dir")
    if set(folders) - {""}:
        return None
    hits = []
    for base in {str(folders.get("", "")).strip("/"), "", "src"}:
        prefix = f"{base}/" if base else ""
        hits += [
            f"{prefix}{path}{end}"
            for end in (".py", "/__init__.py")
            if (folder / f"{prefix}{path}{end}").is_file()
        ]
    if len(hits) != 1:
        return None
    try:
        tree = ast.parse((folder / hits[0]).read_bytes())
    except (OSError, SyntaxError, ValueError):
        return None
    return hits[0] if _is_literal(tree, name) else None


def _is_shim(path: Path) -> bool:
    """Whether a `setup.py` is absent or only imports setuptools and calls ``setup()``."""
    try:
        body = list(ast.parse(path.read_bytes()).body)
    except FileNotFoundError:
        return True
    except (OSError, SyntaxError, ValueError):
        return False
    if body and isinstance(body[-1], ast.If) and ast.unparse(body[-1].test) == "__name__ == '__main__'":
        body[-1:] = body[-1].body
    allowed = {"import setuptools", "from setuptools import setup", "setup()", "setuptools.setup()"}
    documented = (
        body[1:]
        if body and isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant)
        else body
    )
    return all(ast.unparse(node) in allowed for node in documented)


def _says_nothing(path: Path) -> bool:
    """Whether a `setup.cfg` is absent or speaks only to other tools."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return True
    except (OSError, UnicodeDecodeError):
        return False
    sections = set(re.findall(r"^\[\s*([^\]:]+)", text, re.MULTILINE))
    ours = {"metadata", "options", "options.packages.find", "global", "egg_info", "bdist_wheel", "build_ext",
            "build", "build_py", "install", "editable_wheel", "dist_info", "sdist", "aliases"}  # fmt: skip
    return not any(section in ours or section.startswith("options.") for section in sections)


# --- requirements ----------------------------------------------------------------------------------


def requirements_class(system: BuildSystem, folder: Path) -> str | None:
    """Names a class of projects that all get one answer from ``get_requires_for_build_*`` of one
    backend in one environment, so that one of them is asked for all; None: ask for this one alone."""
    if system.backend_path or not system.project or is_plugged(system):
        return None
    match system.backend:
        case "flit_core.buildapi":
            wanted = {"version", "description"} & set(_texts(system.project.get("dynamic")))
            return None if wanted else "flit"
        case "hatchling.build":
            build = _table(system.tool("hatch"), "build")
            target = _table(_table(build, "targets"), "wheel")
            asking = {"hooks", "dependencies", "require-runtime-dependencies", "require-runtime-features"}
            plain = not asking & (set(build) | set(target)) and not (folder / "hatch.toml").exists()
            return "hatchling" if plain else None
        case "setuptools.build_meta":
            plain = _is_shim(folder / "setup.py") and _says_nothing(folder / "setup.cfg")
            return "setuptools" if plain else None
    return None
