"""``pypm self link``: a launcher that starts the interpreter bare.

An ordinary console script starts Python with ``site``, which costs as much again as the interpreter
itself. Ours asks for ``-I -S``, puts pypm's own folder on the path, and turns ``site`` on only when
more than the entry table is needed.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import ClassVar

import pypm
from pypm.ops.world import World
from pypm_model.errors import PypmError
from pypm_model.records import record
from pypm_store.atomic import write_atomically

_HEAD = "#!{python} -IS\n"
_LONG_HEAD = """#!/bin/sh
''':'
exec '{python}' -IS "$0" "$@"
'''
"""
"""For interpreters whose path is too long for the kernel or holds a space."""
_BODY = """\
import sys
sys.path.insert(0, {source!r})
from pypm._entry import program
program()
"""
_WINDOWS = '@"{python}" -IS "%~dp0pypm-launcher.py" %*\r\n'
SHEBANG_LIMIT = 127
"""Bytes of a first line that every supported kernel reads whole."""


class NoFolderOnPath(PypmError):
    """No folder on PATH can be written to."""

    code: ClassVar[str] = "no-folder-on-path"
    tried: tuple[str, ...]

    def __str__(self) -> str:
        return "no folder on PATH below your home can be written to"

    @property
    def hint(self) -> str:
        return "name one: pypm self link DIR"


class LauncherInTheWay(PypmError):
    """A file of that name exists and is not ours."""

    code: ClassVar[str] = "launcher-in-the-way"
    path: str

    def __str__(self) -> str:
        return f"{self.path} exists and was not written by pypm"


@record
class Linked:
    """Where the launcher was written, and whether its folder is on PATH."""

    launcher: str
    on_path: bool


def link(world: World, folder: str | None) -> Linked:
    """Writes the launcher into *folder*, or into the first fitting folder of PATH below the home.

    An existing launcher of ours is replaced, any other file of that name is not touched.
    """
    target = Path(folder).absolute() if folder else _choose(world)
    target.mkdir(parents=True, exist_ok=True)
    source = str(Path(pypm.__file__).resolve().parent.parent)
    python = sys.executable
    body = _BODY.format(source=source)
    if sys.platform == "win32":
        write_atomically(target / "pypm-launcher.py", body.encode())
        launcher = target / "pypm.cmd"
        _refuse_foreign(launcher)
        write_atomically(launcher, _WINDOWS.format(python=python).encode())
    else:
        launcher = target / "pypm"
        _refuse_foreign(launcher)
        head = _HEAD.format(python=python)
        if len(os.fsencode(head)) > SHEBANG_LIMIT or " " in python:
            head = _LONG_HEAD.format(python=python.replace("'", "'\"'\"'"))
        write_atomically(launcher, (head + body).encode())
        launcher.chmod(0o755)
    on_path = str(target) in world.environ.get("PATH", "").split(os.pathsep)
    return Linked(str(launcher), on_path)


def _choose(world: World) -> Path:
    home = Path(world.environ.get("HOME") or world.environ.get("USERPROFILE") or Path.home())
    folders = [Path(p) for p in world.environ.get("PATH", "").split(os.pathsep) if p]
    virtual = world.environ.get("VIRTUAL_ENV")
    below = [f for f in folders if f.is_relative_to(home) and not (virtual and f.is_relative_to(virtual))]
    preferred = [home / ".local" / "bin", home / "bin"]
    for candidate in [*(p for p in preferred if p in below), *below]:
        if candidate.is_dir() and os.access(candidate, os.W_OK):
            return candidate
    raise NoFolderOnPath(tuple(map(str, below)))


def _refuse_foreign(launcher: Path) -> None:
    try:
        text = launcher.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return
    if "pypm" not in text:
        raise LauncherInTheWay(str(launcher))
