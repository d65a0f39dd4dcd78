"""What a distribution puts into an environment besides its modules: scripts, data, headers, and the files
of its .dist-info that the installer writes. Works out contents and places; writes nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from pypm_env.dists import WantedDist
from pypm_env.interpreters import Interpreter, Layout
from pypm_env.launchers import LauncherKit, launcher, script_with_interpreter, windows_programs
from pypm_env.record_file import Row, quote, read_rows, row_of, write_rows
from pypm_env.venv import python_path
from pypm_model.errors import PypmError
from pypm_model.records import record
from pypm_store.tree import Tree

INSTALLER = b"pypm\n"
WRITTEN = ("INSTALLER", "REQUESTED", "direct_url.json")
"""Files of .dist-info that say how it was installed: a wheel's own are not taken over."""
_ENVIRONMENT_FILES = ("pyvenv.cfg", ".gitignore", "pypm-state", "pypm-journal", "pypm-lease", "lib64")
_PROTECTED_SCRIPTS = ("activate", "deactivate", "python", "pypy", "graalpy")


class ProtectedPath(PypmError):
    """A wheel wants to write over a file the environment itself is made of."""

    distribution: str
    path: str

    code: ClassVar[str] = "protected-path"

    def __str__(self) -> str:
        return f"{self.distribution} would write over the environment's own {self.path}"


@record
class Target:
    """Where things go: one environment, which may still stand beside its final place."""

    root: Path
    site: Path
    layout: Layout
    kit: LauncherKit
    """Names the final place."""
    up: str
    """From site-packages to the root: ``../../..``."""


@record
class Extra:
    """One file outside the tree's ``site/``."""

    path: str
    """Relative to site-packages, with ``/``."""
    row: Row
    content: bytes | None = None
    """None: it is *source* in the tree."""
    source: str = ""


def target_of(root: Path, final: Path, interpreter: Interpreter) -> Target:
    """The environment in *root* that will be (or is) *final*."""
    console, gui = b"", b""
    if interpreter.is_windows:
        console, gui = windows_programs(interpreter.base_prefix, interpreter.markers["platform_machine"])
    python = str(python_path(final, interpreter))
    kit = LauncherKit(python, interpreter.is_windows, console, gui)
    layout = interpreter.layout
    up = "/".join([".."] * (layout.site_packages.count("/") + 1))
    return Target(root, root / layout.site_packages, layout, kit, up)


def extras(tree: Tree, target: Target) -> list[Extra]:
    """The scripts, data and headers of *tree*, in this order. Reads scripts, and nothing else.

    Raises `InvalidEntryPoint` and `ProtectedPath`.
    """
    found: list[Extra] = []
    if not (tree.entry_points or tree.records):
        return found
    up, layout = target.up, target.layout
    rows = {row.path: row for row in read_rows(tree.records)}
    for name in tree.scripts:
        content = script_with_interpreter(target.kit, (tree.root / "scripts" / name).read_bytes())
        found.append(_extra(f"{up}/{layout.scripts}/{name}", rows, "scripts/" + name, content))
    for point in tree.entry_points:
        if point.group not in ("console_scripts", "gui_scripts"):
            continue
        gui = point.group == "gui_scripts"
        for name, content in launcher(target.kit, tree.name, point.name, point.value, gui=gui):
            path = f"{up}/{layout.scripts}/{name}"
            # The entry point is what counts, should a script of the same name lie in the wheel.
            found = [extra for extra in found if extra.path != path]
            found.append(Extra(path, row_of(path, content), content))
    for name in tree.data:
        found.append(_extra(f"{up}/{name}", rows, "data/" + name))
    for name in tree.headers:
        found.append(_extra(f"{up}/{layout.include}/{tree.name}/{name}", rows, "headers/" + name))
    for extra in found:
        _check(tree, extra.path.removeprefix(up + "/"), layout)
    return found


def record_text(tree: Tree, dist: WantedDist, others: list[Extra], left_out: frozenset[str]) -> str:
    """RECORD of *dist* as installed: the tree's without *left_out* (see `not_linked`), *others*, and what
    `info_files` gives."""
    info = tree.info
    own = f"{info}/RECORD"
    text = _read(tree, own)
    text = text.removesuffix(f"{quote(own)},,\n")
    if any(path in text for path in left_out):
        text = write_rows([row for row in read_rows(text) if row.path not in left_out])
    rows = [extra.row for extra in others]
    rows += [
        row_of(f"{info}/{name}", content) for name, content in info_files(dist.requested, dist.direct_url)
    ]
    return text + write_rows([*rows, Row(own)])


def info_files(requested: bool, direct_url: str) -> Iterator[tuple[str, bytes]]:
    """(name, content) of the files the installer writes into .dist-info, but RECORD (PEP 376, 610, 627)."""
    yield "INSTALLER", INSTALLER
    if requested:
        yield "REQUESTED", b""
    if direct_url:
        yield "direct_url.json", direct_url.encode()


def not_linked(tree: Tree, pth: str) -> frozenset[str]:
    """Files of the tree that the environment has in a version of its own, or in `MEMBERS_PTH`: *pth* is
    the first that `path_line` gives."""
    names = [f"{tree.info}/{name}" for name in ("RECORD", *WRITTEN)]
    return frozenset([*names, pth] if pth else names)


def path_line(tree: Tree, dist: WantedDist) -> tuple[str, str]:
    """(the .pth file's name, its line) if *tree* is an editable member that is one path and nothing
    else (PEP 660, the usual src layout), else two empty texts."""
    tops = [top.name for top in tree.top_level if top.kind != "info"]
    if not dist.editable or len(tops) != 1 or not tops[0].endswith(".pth") or tops[0] not in tree.files:
        return "", ""
    lines = [line for line in _read(tree, tops[0]).splitlines() if line.strip() and not line.startswith("#")]
    if len(lines) != 1 or lines[0].startswith(("import ", "import\t")):
        return "", ""
    return tops[0], lines[0].rstrip()


def _read(tree: Tree, path: str) -> str:
    with open(f"{tree.root}/site/{path}", "rb") as file:
        return file.read().decode("utf-8", "surrogateescape")


def _extra(path: str, rows: dict[str, Row], source: str, content: bytes | None = None) -> Extra:
    if content is not None:
        return Extra(path, row_of(path, content), content)
    row = rows.get(source, Row(source))
    return Extra(path, Row(path, row.digest, row.size), None, source)


def _check(tree: Tree, path: str, layout: Layout) -> None:
    folded = os.path.normpath(path).replace(os.sep, "/").casefold()
    folder, _, name = folded.rpartition("/")
    stem = name.removesuffix(".exe").removesuffix(".bat").removesuffix(".ps1").rstrip("0123456789.tw")
    if folded in _ENVIRONMENT_FILES or (
        folder == layout.scripts.casefold() and (stem in _PROTECTED_SCRIPTS or name.startswith("activate."))
    ):
        raise ProtectedPath(tree.name, path)
