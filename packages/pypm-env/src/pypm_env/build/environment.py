"""The environment a backend runs in: a virtual environment of a few files that points into the store.

Nothing is linked: the environment's only ``.pth`` names the ``site`` folders of the trees, so that it
is made in about 2 ms, the backend and every Python it starts itself see the same packages, and
bytecode goes into the trees, where the next build finds it. Files are put in place one by one only
where a path does not do: programs, headers and data of a tree, and a regular package (one with an
``__init__``) that several trees share.
"""

from __future__ import annotations

import os
import re
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

from pypm_env.interpreters import Interpreter
from pypm_env.venv import create, python_path
from pypm_model.records import record

_PATHS = "_pypm_build.pth"
_dropped = re.compile(
    r"PYTHON|__PYVENV|PIP_|UV_|PYPM_|PYP_|TWINE_|FLIT_|HATCH_INDEX_|POETRY_HTTP_|POETRY_PYPI_|"
    r"VIRTUAL_ENV|PYPROJECT_|_PYPROJECT_|CONDA_DEFAULT_ENV$|NETRC$"
)
"""Variables of the caller's that a build must not see: they change Python, name another environment,
or hold credentials of package tools."""
_entry = re.compile(r"([^\s=\[#;][^=]*?)\s*=\s*([\w.]+)\s*:\s*([\w.]+)\s*(?:\[.*\])?\s*$")
_program = re.compile(r"[\w.+-]+")


@record
class BuildEnvironment:
    """What is installed for a build: an interpreter and unpacked wheels, nothing else."""

    interpreter: Interpreter
    site_packages: tuple[Path, ...]
    """Folders for the module search path in order: ``site`` of store trees, or any others. Programs,
    headers and data are taken from ``scripts``, ``headers`` and ``data`` beside a folder named ``site``."""
    digest: str
    """Names exactly these packages (the digests of their wheels); results are kept by it."""

    @property
    def identity(self) -> str:
        """Equal texts: a build in one gives what it gives in the other."""
        python = self.interpreter
        return (
            f"{self.digest} {python.implementation} {python.version} {python.tags[0] if python.tags else ''}"
        )


@record
class LaidOut:
    """A build environment on disk."""

    folder: Path
    python: Path
    scripts: Path


def lay_out(environment: BuildEnvironment, folder: Path) -> LaidOut:
    """Makes *environment* in the new folder *folder*."""
    interpreter = environment.interpreter
    create(folder, interpreter, final=folder, pypm_version="build")
    site = folder / interpreter.layout.site_packages
    scripts = folder / interpreter.layout.scripts
    laid_out = LaidOut(folder, python_path(folder, interpreter), scripts)
    trees = [Path(os.path.abspath(path)) for path in environment.site_packages]
    (site / _PATHS).write_text("".join(f"{_path_line(tree)}\n" for tree in trees), encoding="utf-8")
    for name in _shared_packages(trees):
        for tree in reversed(trees):  # the first on the path has the last word
            _place(tree / name, site / name)
    for tree in trees:
        for name, module, attribute in _programs(tree):
            _write_program(laid_out, name, module, attribute, windows=interpreter.is_windows)
        if tree.name == "site":
            _place_beside(tree.parent, laid_out, folder / interpreter.layout.include)
    return laid_out


def build_environ(laid_out: LaidOut, environ: Mapping[str, str], temporary: Path) -> dict[str, str]:
    """The process environment of a build: the caller's without what must not reach it, the build
    environment's programs first on PATH, *temporary* as the folder for temporary files."""
    kept = {name: value for name, value in environ.items() if not _dropped.match(name.upper())}
    path = kept.get("PATH", os.defpath)
    kept["PATH"] = f"{laid_out.scripts}{os.pathsep}{path}" if path else str(laid_out.scripts)
    kept["PYTHONNOUSERSITE"] = "1"
    for name in ("TMPDIR", "TEMP", "TMP"):
        kept[name] = str(temporary)
    return kept


def _path_line(tree: Path) -> str:
    """What a ``.pth`` says to have *tree* on the path, its own ``.pth`` files obeyed."""
    if any(entry.endswith(".pth") for entry in _names(tree)) or not str(tree).isascii():
        return f"import site; site.addsitedir({str(tree)!a})"
    return str(tree)


def _names(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []


def _shared_packages(trees: list[Path]) -> list[str]:
    """Top-level regular packages that more than one tree has a part of."""
    count = Counter(name for tree in trees for name in _names(tree) if name.isidentifier())
    return sorted(
        name
        for name, number in count.items()
        if number > 1
        and name != "__pycache__"
        and any((tree / name / "__init__.py").is_file() for tree in trees)
    )


def _programs(tree: Path) -> Iterator[tuple[str, str, str]]:
    """(name, module, attribute) of the console scripts of all distributions in *tree*."""
    for folder in sorted(_names(tree)):
        if not folder.endswith(".dist-info"):
            continue
        try:
            text = (tree / folder / "entry_points.txt").read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            continue
        section = ""
        for line in text.splitlines():
            if line.startswith("["):
                section = line.strip()
            elif section == "[console_scripts]":
                found = _entry.match(line)
                if found and _program.fullmatch(found[1]) and not found[1].lower().startswith("python"):
                    yield found[1], found[2], found[3]


def _write_program(laid_out: LaidOut, name: str, module: str, attribute: str, *, windows: bool) -> None:
    first = attribute.partition(".")[0]
    body = f"import sys\nfrom {module} import {first}\nsys.exit({attribute}())\n"
    if windows:
        # Found by shells and by whatever looks for PATHEXT; CreateProcess itself wants an .exe.
        (laid_out.scripts / f"{name}-script.py").write_text(body, encoding="utf-8")
        command = f'@"{laid_out.python}" "%~dp0{name}-script.py" %*\r\n'
        (laid_out.scripts / f"{name}.cmd").write_text(command, encoding="utf-8", newline="")
        return
    _write_executable(laid_out.scripts / name, (_shebang(laid_out.python) + body).encode())


def _shebang(python: Path) -> str:
    """The first lines of a script; through the shell where the kernel would cut or split the path."""
    text = str(python)
    if len(text) <= 120 and " " not in text:
        return f"#!{text}\n"
    quoted = text.replace("'", "'\\''")
    return f"#!/bin/sh\n''''exec '{quoted}' \"$0\" \"$@\" #'''\n"


def _place_beside(tree: Path, laid_out: LaidOut, include: Path) -> None:
    """Puts programs, headers and data of the store tree *tree* into the environment."""
    for name in sorted(_names(tree / "scripts")):
        source = tree / "scripts" / name
        if source.is_file():
            content = source.read_bytes()
            if content.startswith((b"#!python\n", b"#!python\r\n", b"#!pythonw\n", b"#!python ")):
                content = _shebang(laid_out.python).encode() + content.partition(b"\n")[2]
            _write_executable(laid_out.scripts / name, content)
    if (tree / "headers").is_dir():
        folder = next((name for name in _names(tree / "site") if name.endswith(".dist-info")), "headers")
        _place(tree / "headers", include / folder.partition("-")[0])
    if (tree / "data").is_dir():
        _place(tree / "data", laid_out.folder)


def _write_executable(path: Path, content: bytes) -> None:
    path.unlink(missing_ok=True)  # it may be a link, even to the interpreter
    path.write_bytes(content)
    path.chmod(0o755)


def _place(source: Path, target: Path) -> None:
    """The files of *source* at *target*, merged with what is there; links where the platform has them."""
    if source.is_dir():
        target.mkdir(parents=True, exist_ok=True)
        for name in _names(source):
            if name != "__pycache__":
                _place(source / name, target / name)
    elif source.is_file():
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.is_symlink() or target.is_file():
            target.unlink()
        if os.name == "posix":
            target.symlink_to(source)
        else:
            shutil.copyfile(source, target)
