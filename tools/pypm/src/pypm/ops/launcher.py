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
import pypm_plugins
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
_ENTRY = "\nfrom pypm._entry import program\nprogram()\n"
"""What every launcher of ours ends with, and nobody else's."""
_BODY = "import sys\nsys.path[:0] = {sources!r}" + _ENTRY
_WINDOWS_SCRIPT = "pypm-launcher.py"
_WINDOWS = '@"{python}" -IS "%~dp0pypm-launcher.py" %*\r\n'
SHEBANG_LIMIT = 127
"""Bytes of a first line that every supported kernel reads whole."""


class NoFolderOnPath(PypmError):
    """No folder on PATH is the user's own, or none of them can be written to."""

    code: ClassVar[str] = "no-folder-on-path"
    tried: tuple[str, ...]

    def __str__(self) -> str:
        return "no folder of your own on PATH can be written to"

    @property
    def hint(self) -> str:
        return "put ~/.local/bin on PATH, or name a folder: pypm self link DIR"


class LauncherInTheWay(PypmError):
    """A file or folder of that name exists and is not ours."""

    code: ClassVar[str] = "launcher-in-the-way"
    path: str

    def __str__(self) -> str:
        return f"{self.path} exists and was not written by `pypm self link`"

    @property
    def hint(self) -> str:
        return "remove it, or name another folder: pypm self link DIR"


@record
class Linked:
    """Where the launcher was written, and whether its folder is on PATH."""

    launcher: str
    on_path: bool


def link(world: World, folder: str | None) -> Linked:
    """Writes the launcher into *folder*, or into the first fitting folder of PATH below the home.

    An existing launcher of ours is replaced, anything else of that name is not touched. Raises
    `LauncherInTheWay` and `NoFolderOnPath`.
    """
    target = Path(folder).absolute() if folder else _choose(world)
    target.mkdir(parents=True, exist_ok=True)
    # pypm-plugins, too: to start a plugin takes nothing else. They are in one folder unless linked.
    heads = (str(Path(each.__file__ or "").resolve().parent.parent) for each in (pypm, pypm_plugins))
    python = sys.executable
    body = _BODY.format(sources=[*dict.fromkeys(heads)])
    if sys.platform == "win32":
        launcher, script = target / "pypm.cmd", target / "pypm-launcher.py"
        _refuse_foreign(launcher, _WINDOWS_SCRIPT)
        _refuse_foreign(script, _ENTRY)
        write_atomically(script, body.encode())
        write_atomically(launcher, _WINDOWS.format(python=python).encode())
    else:
        launcher = target / "pypm"
        _refuse_foreign(launcher, _ENTRY)
        head = _HEAD.format(python=python)
        if len(os.fsencode(head)) > SHEBANG_LIMIT or " " in python:
            head = _LONG_HEAD.format(python=python.replace("'", "'\"'\"'"))
        write_atomically(launcher, (head + body).encode())
        launcher.chmod(0o755)
    on_path = str(target) in world.environ.get("PATH", "").split(os.pathsep)
    return Linked(str(launcher), on_path)


def _choose(world: World) -> Path:
    """A folder of PATH that is the user's to fill: below the home, and neither of an environment nor of
    another tool, as ``~/.cargo/bin`` and ``~/.pyenv/shims`` are."""
    home = Path(world.environ.get("HOME") or world.environ.get("USERPROFILE") or Path.home())
    folders = [Path(p) for p in world.environ.get("PATH", "").split(os.pathsep) if p]
    virtual = world.environ.get("VIRTUAL_ENV")
    below = [
        folder
        for folder in folders
        if folder.is_relative_to(home)
        and not (virtual and folder.is_relative_to(virtual))
        and not (folder.parent / "pyvenv.cfg").exists()
        and not any(part.startswith(".") and part != ".local" for part in folder.relative_to(home).parts)
    ]
    preferred = [home / ".local" / "bin", home / "bin"]
    for candidate in [*(p for p in preferred if p in below), *below]:
        if candidate.is_dir() and os.access(candidate, os.W_OK):
            return candidate
    raise NoFolderOnPath(tuple(map(str, below)))


def _refuse_foreign(launcher: Path, ours: str) -> None:
    """Raises `LauncherInTheWay` unless nothing is there, or a file that says *ours*. What a link leads to is
    another's, whatever it says."""
    if not os.path.lexists(launcher):
        return
    if launcher.is_symlink() or not launcher.is_file():
        raise LauncherInTheWay(str(launcher))
    if ours not in launcher.read_text(encoding="utf-8", errors="replace"):
        raise LauncherInTheWay(str(launcher))
