"""A wheel made into a tree: folders first, then the files, largest first, then the manifest."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from pypm_model.records import replace
from pypm_store.archive import Placed, WheelArchive
from pypm_store.atomic import write_all
from pypm_store.boot import boot_id
from pypm_store.import_names import import_names, module_name
from pypm_store.manifest import SETTLED
from pypm_store.open_folder import opened
from pypm_store.tree import TopLevel, TopLevelKind, Tree, write_manifest

_FLAGS: Final = (
    os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0)
)
_THREADED = 4 << 20
"""Bytes from which a second thread pays (zlib, hashing and writing run without the interpreter's lock)."""


def unpack_wheel(archive: WheelArchive, root: Path, *, threads: int = 2) -> Tree:
    """Unpacks *archive* into the folder *root*, which must not exist; the finished tree.

    Every file's CRC, size and RECORD hash is checked before it is written. Files are read-only, and
    so are folders but ``__pycache__``. Where the system cannot tell one start of the machine from
    another, all is put on the disk before this returns.

    Raises `UnsafeArchive` or OSError; then *root* is to be thrown away.
    """
    site = [one for one in archive.placed if one.room == "site"]
    other = [one for one in archive.placed if one.room != "site"]
    folders = _folders(one.path for one in site)
    caches = _caches(site)
    rooms = sorted({one.room for one in other})

    # 1. Folders.
    os.mkdir(root)
    base = f"{root}{os.sep}"
    made = [f"{base}site", *(f"{base}site/{folder}" for folder in folders)]
    for room in rooms:
        below = _folders(one.path for one in other if one.room == room)
        made += [f"{base}{room}", *(f"{base}{room}/{folder}" for folder in below)]
    for folder in made:
        os.mkdir(folder)
    for cache in caches:
        if cache not in folders:
            os.mkdir(f"{base}site/{cache}")

    # 2. Files.
    record = f"{archive.info}/RECORD"
    sizes: dict[str, int] = {f"{one.room}/{one.path}": one.entry.size for one in archive.placed}
    rows, records = _rows(site, record), "".join(f"{one.room}/{_row(one)}" for one in other)
    _write(f"{base}site/{record}", rows.encode(), 0o444)
    sizes[f"site/{record}"] = len(rows.encode())
    todo = [one for one in archive.placed if one.room != "site" or one.path != record]
    _write_all(archive, base, todo, threads)

    # 3. What it is, and the end.
    _protect(made, set(caches), base)
    site_files = sorted((one.path for one in site), key=lambda path: path.rpartition("/")[::2])
    listed = {
        room: tuple(sorted(one.path for one in other if one.room == room))
        for room in ("scripts", "data", "headers")
    }
    tree = Tree(
        root=root,
        name=archive.name,
        version=archive.version,
        info=archive.info,
        purelib=archive.purelib,
        tags=archive.tags,
        top_level=top_level(site_files, archive.info),
        import_names=import_names(archive.metadata(), site_files, archive.info),
        entry_points=archive.entry_points,
        folders=folders,
        caches=caches,
        files=tuple(site_files),
        scripts=listed["scripts"],
        data=listed["data"],
        headers=listed["headers"],
        sizes=(),
        executables=_executables(archive.placed),
        records=records,
        boot=boot_id(),
    )
    tree = replace(tree, sizes=tuple([sizes[path] for path in tree.paths()]))
    if not tree.boot:
        _settle(tree, made)
    write_manifest(tree)
    return tree


def _write_all(archive: WheelArchive, base: str, todo: list[Placed], threads: int) -> None:
    if threads < 2 or sum(one.entry.size for one in todo) < _THREADED:
        _work(archive, base, iter(todo))
        return
    # One list for all threads: taking the next item of a shared iterator is one step.
    waiting = iter(sorted(todo, key=lambda one: -one.entry.packed))
    failures: list[BaseException] = []

    def work() -> None:
        try:
            _work(archive, base, waiting, failures)
        except BaseException as error:
            failures.append(error)

    helpers = [threading.Thread(target=work, daemon=True) for _ in range(threads - 1)]
    for helper in helpers:
        helper.start()
    work()
    for helper in helpers:
        helper.join()
    if failures:
        raise failures[0]


def _work(
    archive: WheelArchive, base: str, todo: Iterator[Placed], failures: list[BaseException] | None = None
) -> None:
    read = archive.read
    with opened(base) as root:
        below = "" if root is not None else base
        for one in todo:
            if failures:
                return
            runnable = one.entry.executable or one.room == "scripts"
            _write(f"{below}{one.room}/{one.path}", read(one), 0o555 if runnable else 0o444, root)


def _write(path: str, content: bytes, mode: int, folder: int | None = None) -> None:
    handle = os.open(path, _FLAGS, mode, dir_fd=folder)
    try:
        if content:
            write_all(handle, content)
    finally:
        os.close(handle)


def _folders(paths: Iterable[str]) -> tuple[str, ...]:
    """All folders that *paths* lie in; sorted, so that a parent comes before its children."""
    found: set[str] = set()
    for path in paths:
        folder = path.rpartition("/")[0]
        while folder and folder not in found:
            found.add(folder)
            folder = folder.rpartition("/")[0]
    return tuple(sorted(found))


def _caches(site: list[Placed]) -> tuple[str, ...]:
    """A ``__pycache__`` for each folder with modules."""
    around = {one.path.rpartition("/")[0] for one in site if one.path.endswith(".py")}
    return tuple(sorted(f"{folder}/__pycache__" if folder else "__pycache__" for folder in around))


def _protect(made: list[str], caches: set[str], base: str) -> None:
    writable = {f"{base}site/{cache}" for cache in caches}
    for folder in made:
        if folder not in writable:
            os.chmod(folder, 0o555)


def _row(one: Placed) -> str:
    path, recorded = one.path, one.recorded
    if "," in path or '"' in path:
        path = f'"{path.replace(chr(34), chr(34) * 2)}"'
    return f"{path},,\n" if recorded is None else f"{path},{recorded.text},{one.entry.size}\n"


def _rows(site: list[Placed], record: str) -> str:
    """RECORD for what is in ``site/``; signatures sign the wheel's own RECORD and are rows like others."""
    return "".join(_row(one) for one in site if one.path != record) + f"{record},,\n"


def _executables(placed: tuple[Placed, ...]) -> frozenset[str]:
    return frozenset(
        f"{one.room}/{one.path}" for one in placed if one.entry.executable or one.room == "scripts"
    )


def top_level(files: Iterable[str], info: str) -> tuple[TopLevel, ...]:
    """The entries of a ``site/`` with *files*."""
    kinds: dict[str, TopLevelKind] = {}
    for path in files:
        top, slash, below = path.partition("/")
        if not slash:
            kinds[top] = "module" if module_name(top) else "other"
        elif top == info:
            kinds[top] = "info"
        elif "/" not in below and module_name(below) == "__init__":
            kinds[top] = "package"
        elif kinds.get(top, "other") == "other":
            is_module = module_name(path.rpartition("/")[2]) and top.isidentifier()
            kinds[top] = "namespace" if is_module else "other"
    return tuple(TopLevel(name, kinds[name]) for name in sorted(kinds))


def _settle(tree: Tree, folders: list[str]) -> None:
    """Puts every file and folder of the tree on the disk: slow, but the only way to know."""
    for path in [*(str(tree.root / path) for path in tree.paths()), *(folders if os.name != "nt" else ())]:
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
    (tree.root / SETTLED).touch()
