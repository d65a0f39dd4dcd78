"""What a farm has to know of a tree: found out once for each tree and kept beside it.

The file ``farm`` in a tree's folder is lines of text::

    pypm-farm 2
    <1 if each file needs a link of its own, else 0>
    <folders that are never linked as a whole, separated by tabs>
    <names for a top_level.txt the wheel has not, separated by tabs>
    <rows of RECORD: for the files of .dist-info and those beside it>
    end
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from contextlib import suppress

from pypm_env.native_paths import leads_outward
from pypm_env.record_file import Row, read_rows, write_rows
from pypm_model.records import record
from pypm_store.atomic import write_atomically
from pypm_store.tree import Tree

NAME = "farm"
_HEAD, _END = "pypm-farm 2", "end"
_LARGEST = 4096
"""Bytes of an ``__init__.py`` that may do nothing but make its package a namespace."""
_PLUGINS = "pytest11"
"""The group of pytest's plugins. pytest rewrites assertions in modules of plugins that it finds in
``distribution.files``: ``acme.py`` and ``acme/__init__.py``, not what lies deeper."""
_ASKS_FOR_FILES = re.compile(
    rb"""\bdistribution\([^()]*\)\.files\b(?!\()          # distribution("cmake").files
       | \b(?:importlib_)?metadata\.files\(               # importlib.metadata.files("cmake")
       | \bimportlib[._]metadata\ import\b[^\n]*\bfiles\b  # from importlib.metadata import files""",
    re.VERBOSE,
)
_LARGEST_ASKER = 1 << 16
"""Bytes of a module that is looked into for that."""


@record
class Outline:
    """What decides how a tree is linked."""

    by_file: bool
    """Each file needs a link of its own: libraries look for others outside the wheel
    (`pypm_env.native_paths`), or its modules look for files of theirs in RECORD, as cmake's do."""
    opened: frozenset[str]
    """Folders below ``site/`` that are never linked as a whole. Other distributions put modules in them,
    too (PEP 420, and the two older ways), and installing one more part would write into the store; or
    their ``__init__.py`` has to be in RECORD."""
    top_level: tuple[str, ...]
    """Names that a top_level.txt should have; empty if the wheel has one, or nothing to import."""
    rows: tuple[Row, ...]
    """Of RECORD: files of .dist-info but RECORD, and files directly in ``site/``."""


def outline(tree: Tree) -> Outline:
    """The tree's outline, as it is kept or found out now."""
    try:
        with open(tree.root / NAME, encoding="utf-8", errors="surrogateescape", newline="\n") as file:
            known = _parsed(file.read())
    except OSError:
        known = None
    if known is not None:
        return known
    found = _found(tree)
    # Where it cannot be kept it is found out again the next time.
    with suppress(OSError):
        write_atomically(tree.root / NAME, _written(found).encode("utf-8", "surrogateescape"))
    return found


def _written(outline: Outline) -> str:
    lines = [
        _HEAD,
        str(int(outline.by_file)),
        "\t".join(sorted(outline.opened)),
        "\t".join(outline.top_level),
    ]
    return "\n".join(lines) + "\n" + write_rows(list(outline.rows)) + _END + "\n"


def _parsed(text: str) -> Outline | None:
    if not text.startswith(_HEAD + "\n") or not text.endswith(f"\n{_END}\n"):
        return None
    _, by_file, opened, tops, rows = text.removesuffix(f"{_END}\n").split("\n", 4)
    return Outline(
        by_file == "1",
        frozenset(opened.split("\t") if opened else ()),
        tuple(tops.split("\t") if tops else ()),
        tuple(read_rows(rows)),
    )


def _found(tree: Tree) -> Outline:
    text = (tree.site / tree.info / "RECORD").read_bytes().decode("utf-8", "surrogateescape")
    inside = tree.info + "/"
    rows = [
        row
        for row in read_rows(text)
        if (row.path.startswith(inside) and row.path != inside + "RECORD") or "/" not in row.path
    ]
    tops: tuple[str, ...] = ()
    if inside + "top_level.txt" not in tree.files:
        kinds = ("package", "namespace", "module")
        tops = tuple(dict.fromkeys(t.name.partition(".")[0] for t in tree.top_level if t.kind in kinds))
    by_file = leads_outward(tree) or _asks_for_its_files(tree)
    return Outline(by_file, frozenset((*_opened(tree), *_plugins(tree))), tops, tuple(rows))


def _plugins(tree: Tree) -> Iterator[str]:
    """Packages in which pytest looks for assertions to rewrite."""
    if any(point.group == _PLUGINS for point in tree.entry_points):
        for top in tree.top_level:
            if top.kind == "package":
                yield top.name


def _asks_for_its_files(tree: Tree) -> bool:
    """Whether a module at the top, or in a package at the top, asks for files of a distribution: most often
    for its own."""
    for path in tree.files:
        if path.endswith(".py") and path.count("/") <= 1:
            file = tree.site / path
            if file.stat().st_size <= _LARGEST_ASKER and _ASKS_FOR_FILES.search(file.read_bytes()):
                return True
    return False


def _opened(tree: Tree) -> Iterator[str]:
    """Folders that are namespaces, whichever of the three ways makes them one; parents first."""
    folders = set(tree.folders)
    files = set(tree.files)
    below: dict[str, list[str]] = {}
    for folder in folders:
        below.setdefault(folder.rpartition("/")[0], []).append(folder)
    waiting = [
        top.name for top in tree.top_level if top.kind in ("package", "namespace") and top.name in folders
    ]
    while waiting:
        folder = waiting.pop()
        if not folder.rpartition("/")[2].isidentifier():
            continue
        init = f"{folder}/__init__.py"
        if init in files:
            is_open = _extends(tree, init)
        else:
            is_open = not _has_compiled_init(folder, files) and _has_modules(folder, files)
        if is_open:
            yield folder
            waiting += below.get(folder, ())


def _extends(tree: Tree, init: str) -> bool:
    """Whether a package's ``__init__.py`` lets others add to it (pkgutil, pkg_resources)."""
    path = tree.site / init
    if path.stat().st_size > _LARGEST:
        return False
    text = path.read_bytes()
    return b"extend_path" in text or b"declare_namespace" in text


def _has_compiled_init(folder: str, files: Collection[str]) -> bool:
    start = f"{folder}/__init__."
    return any(path.startswith(start) for path in files)


def _has_modules(folder: str, files: Collection[str]) -> bool:
    start = f"{folder}/"
    return any(path.startswith(start) and path.endswith((".py", ".so", ".pyd", ".pyi")) for path in files)
