"""What it takes to build: headers, a compiler that links an extension, other toolchains, git."""

from __future__ import annotations

import os
import re
import shlex
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from pathlib import Path

from pypm.ops.doctor.commands import Ended, find, git_of, run
from pypm.ops.doctor.finding import Said, issue, missing, note, ok
from pypm.ops.doctor.patient import Patient
from pypm.ops.git import git_folder
from pypm.ops.merge_setup import ATTRIBUTES, CONFIG, LINE
from pypm_model.errors import PypmError
from pypm_model.requests import Origin
from pypm_model.sources import GitSource, IndexSource
from pypm_workspace.configuration import Member

_COMPILED = frozenset(
    ("cffi", "cython", "meson-python", "mypy", "nanobind", "numpy", "py-build-cmake", "pybind11", "pythran",
     "scikit-build", "scikit-build-core", "swig", "cmake", "ninja", "enscons")
)  # fmt: skip
"""Build requirements that are there to compile C or C++."""
_RUST = frozenset(("maturin", "setuptools-rust"))
_FROM_TAGS = frozenset(
    ("setuptools-scm", "hatch-vcs", "versioningit", "setuptools-git-versioning", "dunamai")
)
"""Build requirements that read the version from git."""
_OLDEST_GIT = (2, 17)
"""With partial clones and `git merge-file` as the merge driver uses it."""
_SOURCE = """#define PY_SSIZE_T_CLEAN
#include <Python.h>
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "pypmprobe", 0, -1, 0};
PyMODINIT_FUNC PyInit_pypmprobe(void) { return PyModule_Create(&module); }
"""


def why_compile(patient: Patient) -> str:
    """Why a C compiler is needed here, as a clause; empty if it is not."""
    for member in patient.members() if patient.workspace is not None else ():
        if found := why_compiled(patient, member):
            return found
    return _sdist_wanted(patient)


def why_compiled(patient: Patient, member: Member) -> str:
    """What says that *member* has C or C++ to compile, as a clause; empty if nothing does."""
    return _asks(patient, member, _COMPILED) or _legacy_extension(patient, member)


def headers(patient: Patient) -> Iterator[Said]:
    """Python's headers, for building extensions."""
    found = patient.interpreter()
    header = Path(found.paths["include"]) / "Python.h"
    if header.is_file():
        yield ok(f"{header.parent}")
        return
    major, minor = found.release
    fix = f"apt install python{major}.{minor}-dev (dnf install python{major}.{minor}-devel)"
    if sys.platform != "linux":
        fix = "use a Python that has them (python.org, or `brew install python`)"
    yield missing(why_compile(patient), f"the headers of {found.path} are missing ({header})", fix)


def compiler(patient: Patient) -> Iterator[Said]:
    """A C compiler, and whether it links an extension module."""
    needed = why_compile(patient)
    command = _compiler(patient)
    if command is None:
        yield missing(needed, "there is no C compiler", _install_compiler())
        return
    shown = shlex.join(command)
    interpreter = patient.interpreter()
    include = Path(interpreter.paths["include"])
    if not (include / "Python.h").is_file():
        yield ok(f"{shown}; it was not tried, because Python's headers are missing")
        return
    if sys.platform == "win32":
        yield ok(shown)
        return
    ended = _link(command, include, patient)
    if ended.code == 0:
        yield ok(f"{shown} links an extension for Python {interpreter.version}")
    else:
        errors = [line for line in ended.errors.splitlines() if "error" in line.lower()]
        told = (errors or [ended.last_line])[0].strip()
        failed = f"{shown} cannot make an extension module: {told}"
        yield (
            issue(f"{failed}: {needed}", _install_compiler()) if needed else note(failed, _install_compiler())
        )


def rust(patient: Patient) -> Iterator[Said]:
    """A Rust toolchain, for members that are built with it."""
    needed = next((text for m in _members(patient) if (text := _asks(patient, m, _RUST))), "")
    cargo = find("cargo", patient.environ)
    if cargo is None:
        yield missing(needed, "there is no Rust (cargo)", "install it from https://rustup.rs")
        return
    if not needed:
        yield ok(cargo)
        return
    ended = run([cargo, "--version"], patient.environ, seconds=20)
    if ended.code:
        yield issue(f"{cargo} does not work: {ended.last_line}: {needed}", "rustup default stable")
    else:
        yield ok(f"{ended.output.strip()} at {cargo}")


def git(patient: Patient) -> Iterator[Said]:
    """The git command, and whether it works in this folder."""
    command = find("git", patient.environ)
    if command is None:
        told, fix = "the git command is not installed", "apt install git (or: brew install git)"
        needed = _why_git(patient)
        if not needed and git_folder(patient.root) is not None:
            yield note(f"{told}, and this folder is in a git repository", fix)
        else:
            yield missing(needed, told, fix)
        return
    ended = run([command, "--version"], patient.environ)
    version = re.search(r"(\d+)\.(\d+)[.\d]*", ended.output)
    if ended.code or version is None:
        yield issue(f"{command} does not work: {ended.last_line}", "install git again")
        return
    if (int(version[1]), int(version[2])) < _OLDEST_GIT:
        yield note(
            f"git {version[0]} is old: {_OLDEST_GIT[0]}.{_OLDEST_GIT[1]} or later is tested",
            "install a newer git",
        )
    else:
        yield ok(f"git {version[0]} at {command}")
    if git_folder(patient.root) is not None:
        ended = run([command, "rev-parse", "--git-dir"], patient.environ, cwd=patient.root)
        if ended.code and "dubious ownership" in ended.errors:
            yield issue(
                f"git does not work in {patient.root}: the folder belongs to somebody else",
                f"git config --global --add safe.directory {shlex.quote(str(patient.root))}",
            )
        elif ended.code:
            yield issue(f"git does not work in {patient.root}: {ended.last_line}", "git status")


def merge_driver(patient: Patient) -> Iterator[Said]:
    """Whether git merges locks with pypm."""
    command = git_of(patient)
    if command is None:
        yield ok("the workspace is in no git repository")
        return
    try:
        lines = (patient.root / ATTRIBUTES).read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        lines = []
    key, value = CONFIG[-1]
    ended = run([command, "config", "--get", key], patient.environ, cwd=patient.root)
    told, set_up = LINE in map(str.strip, lines), ended.output.strip() == value
    if told and set_up:
        yield ok("git merges pypm.lock with pypm")
    elif told:
        yield note(
            "this clone does not know how to merge pypm.lock: conflicts stay in the text", "pypm init --git"
        )
    else:
        yield ok("git merges pypm.lock as a text; `pypm lock` mends what comes of it")


def _members(patient: Patient) -> tuple[Member, ...]:
    return patient.members() if patient.workspace is not None else ()


def _asks(patient: Patient, member: Member, names: frozenset[str]) -> str:
    """The build requirement of *member* that is among *names*, as a clause with its place."""
    for asked in member.build.requires if member.build else ():
        if asked.requirement.name in names:
            place = patient.here.place(Origin(member.name, member.file, asked.table, asked.item))
            return f"`{member.name}` is built with {asked.requirement.name} ({place})"
    return ""


def _legacy_extension(patient: Patient, member: Member) -> str:
    """Whether *member* has extension modules that setuptools compiles."""
    if member.build is None:
        return ""
    folder = patient.root / member.path
    signs = (
        ("setup.py", r"\bext_modules\b"),
        ("pyproject.toml", r"(?m)^\s*(\[\[tool\.setuptools\.)?ext-modules\b"),
    )
    for file, sign in signs:
        try:
            text = (folder / file).read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        if re.search(sign, text):
            shown = file if member.path == "." else f"{member.path}/{file}"
            return f"`{member.name}` has extension modules ({shown})"
    return ""


def _sdist_wanted(patient: Patient) -> str:
    """A locked package that is built here because no wheel of it fits, unless it is installed already."""
    if not patient.lock_is_there:
        return ""
    try:
        pins = patient.pins()
        installed = {
            (one.name, one.dist.version) for each in patient.environments() for one in each.installed.dists
        }
    except PypmError:
        return ""  # what is wrong there is told by the checks of the lock and the interpreter
    for pin in pins.values():
        package = pin.package
        is_sdist = isinstance(package.source, IndexSource) and pin.file is not None and not pin.file.is_wheel
        if is_sdist and (package.name, package.version) not in installed:
            return f"{package.name} {package.version} is locked, and has no wheel for this machine"
    return ""


def _why_git(patient: Patient) -> str:
    if patient.workspace is None:
        return ""
    if patient.lock_is_there:
        for package in patient.lock().packages:
            if isinstance(package.source, GitSource):
                return f"{package.name} is locked from a git repository"
    for member in _members(patient):
        for rule in (*member.sources, *patient.here.settings.sources):
            if isinstance(rule.source, GitSource):
                return f"{rule.name} comes from a git repository ({rule.file})"
        if found := _asks(patient, member, _FROM_TAGS):
            return found
    return ""


def _compiler(patient: Patient) -> list[str] | None:
    """The command: ``CC``, the one the interpreter was built with if it is there, else a usual name."""
    chosen = patient.environ.get("CC", "")
    if chosen:
        words = shlex.split(chosen)
        return [found, *words[1:]] if words and (found := find(words[0], patient.environ)) else None
    if sys.platform == "win32":
        found = find("cl", patient.environ) or _visual_studio(patient)
        return [found] if found else None
    usual = (sysconfig.get_config_var("CC") or "cc").split()[0]
    for name in (usual, "cc", "gcc", "clang"):
        if (path := find(name, patient.environ)) is not None:
            return [path]
    return None


def _visual_studio(patient: Patient) -> str | None:
    """Where Visual Studio's C++ tools are, by its own finder."""
    programs = patient.environ.get("ProgramFiles(x86)", r"C:\Program Files (x86)")
    finder = Path(programs) / "Microsoft Visual Studio" / "Installer" / "vswhere.exe"
    if not finder.is_file():
        return None
    wanted = "Microsoft.VisualStudio.Component.VC.Tools.x86.x64"
    asked = [str(finder), "-latest", "-products", "*", "-requires", wanted, "-property", "installationPath"]
    return run(asked, patient.environ).output.strip() or None


def _link(command: list[str], include: Path, patient: Patient) -> Ended:
    shared = ["-bundle", "-undefined", "dynamic_lookup"] if sys.platform == "darwin" else ["-shared"]
    with tempfile.TemporaryDirectory(prefix="pypm-doctor-") as folder:
        source, target = os.path.join(folder, "probe.c"), os.path.join(folder, "probe.so")
        Path(source).write_text(_SOURCE, encoding="ascii")
        argv = [*command, "-fPIC", *shared, f"-I{include}", source, "-o", target]
        return run(argv, patient.environ, seconds=20)


def _install_compiler() -> str:
    if sys.platform == "darwin":
        return "xcode-select --install"
    if sys.platform == "win32":
        return "install the Microsoft C++ Build Tools"
    return "apt install build-essential (dnf install gcc)"
