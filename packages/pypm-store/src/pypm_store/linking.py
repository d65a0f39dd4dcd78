"""How files come from a tree into an environment: hard links, reflinks or copies.

What a pair of folders can do is found out once by trying. Directories are made and files linked by
the tree's own lists: nothing is walked. Names are given relative to open folders: of a call with two
absolute paths, the system spends most of its time on finding the way to them.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pypm_model.later import later
from pypm_model.records import record
from pypm_store.atomic import beside_name
from pypm_store.cloning import reflink
from pypm_store.open_folder import opened
from pypm_store.tree import Tree

if TYPE_CHECKING:
    import shutil
else:
    shutil = later("shutil")

LinkMode = Literal["auto", "hardlink", "reflink", "copy"]
"""``auto`` is a hard link where that works, else a copy."""
Way = Literal["hardlink", "reflink", "copy"]

PROBE = "pypm-probe"
"""Named by this, in a folder of each kind, is what is tried with for a moment."""

_CANNOT = {
    errno.EXDEV, errno.EPERM, errno.EACCES, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL,
    errno.ENOTTY, errno.EBADF, errno.EMLINK,
}  # fmt: skip
"""A way that fails with one of these does not work for this pair (or, EMLINK, for this file)."""


@record
class Able:
    """What a store's and an environment's folder can do together."""

    hardlink: bool
    reflink: bool


_able: dict[tuple[int, int], Able] = {}


def able(source: Path, target: Path) -> Able:
    """What files in *source* can do in *target* (two folders that exist and can be written).

    Tried with a small file the first time for each pair of devices, remembered for this process.
    """
    pair = (os.stat(source).st_dev, os.stat(target).st_dev)
    found = _able.get(pair)
    if found is None:
        found = _able[pair] = _try(source, target)
    return found


def _try(source: Path, target: Path) -> Able:
    probe, copy = beside_name(source / PROBE), beside_name(target / PROBE)
    can: dict[str, bool] = {}
    try:
        with open(probe, "xb") as file:
            file.write(b"pypm")
        for name, way in (("hardlink", os.link), ("reflink", reflink)):
            try:
                way(probe, copy)
                can[name] = True
            except OSError:
                can[name] = False
            if os.path.lexists(copy):
                os.unlink(copy)
    except PermissionError:
        # A store that cannot be written: a hard link may still work, and falls back if not.
        return Able(hardlink=os.stat(source).st_dev == os.stat(target).st_dev, reflink=False)
    finally:
        if os.path.lexists(probe):
            os.unlink(probe)
    return Able(**can)


def choose(mode: LinkMode, source: Path, target: Path) -> Way:
    """The way to use for *mode* between two folders: what is asked for, or a copy where it cannot be."""
    if mode == "copy":
        return "copy"
    can = able(source, target)
    if mode == "reflink":
        return "reflink" if can.reflink else "copy"
    return "hardlink" if can.hardlink else "copy"


def _own(source: str, target: str) -> None:
    """Gives a copy the times of its source, which bytecode is compared with, and modes for a file
    that is the user's: writable."""
    status = os.stat(source)
    os.chmod(target, 0o755 if status.st_mode & 0o100 else 0o644)
    os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns))


def place(source: str, target: str, way: Way) -> None:
    """Makes *target*, which must not exist, the file *source* in the given way; a copy where that
    way fails for this one file (too many links, not the owner). Raises FileExistsError, OSError."""
    try:
        if way == "hardlink":
            os.link(source, target)
            return
        if way == "reflink":
            reflink(source, target)
            _own(source, target)
            return
    except OSError as error:
        if error.errno not in _CANNOT:
            raise
    _copy(source, target)


def _copy(source: str, target: str) -> None:
    try:
        with open(source, "rb") as read, open(target, "xb") as write:
            shutil.copyfileobj(read, write, 1 << 20)
        _own(source, target)
    except FileExistsError:
        raise
    except BaseException:
        if os.path.lexists(target):
            os.unlink(target)
        raise


def make_folders(base: str, folders: Iterable[str], made: set[str]) -> None:
    """Makes *folders* (parents first, relative to *base*, which exists) unless they are in *made*,
    and adds them to it. A folder that is there already is used."""
    mkdir = os.mkdir
    with opened(base) as below:
        for folder in folders:
            path = f"{base}/{folder}"
            if path in made:
                continue
            try:
                if below is None:
                    mkdir(path)
                else:
                    mkdir(folder, dir_fd=below)
            except OSError:
                if not os.path.isdir(path):
                    # Once more, for an error that says where.
                    mkdir(path)
            made.add(path)


def link_files(
    source: str,
    target: str,
    paths: Sequence[str],
    way: Way,
    *,
    taken: Callable[[str], None] | None = None,
) -> None:
    """Places ``source/path`` at ``target/path`` for all *paths*; their folders exist.

    Where something is at the target already, *taken* is called with the path and decides by
    removing it (then the file is placed) or leaving it; without *taken* FileExistsError is raised.
    """
    before, into = f"{source}/", f"{target}/"
    link = os.link
    with opened(source if way == "hardlink" else None) as here, opened(target) as there:
        relative = here is not None and there is not None
        for path in paths:
            if relative:
                try:
                    link(path, path, src_dir_fd=here, dst_dir_fd=there, follow_symlinks=False)
                    continue
                except OSError:
                    # Once more with whole paths, for another way or an error that says where.
                    pass
            try:
                place(before + path, into + path, way)
            except FileExistsError:
                if taken is None:
                    raise
                taken(path)
                if not os.path.lexists(into + path):
                    place(before + path, into + path, way)


def link_tree(
    tree: Tree,
    site_packages: Path,
    way: Way,
    *,
    made: set[str] | None = None,
    leave_out: Collection[str] = (),
    bytecode: Sequence[str] = (),
    taken: Callable[[str], None] | None = None,
) -> int:
    """Places all of the tree's ``site/`` in *site_packages*, which exists; the number of files.

    *made* holds folders (absolute, with ``/`` below *site_packages*) that are known to exist; share
    one set between the trees of an environment, also between threads. *leave_out* are files that
    the caller writes itself (RECORD), *bytecode* files of ``__pycache__`` folders to place as well
    (`pypm_store.tree.bytecode`). *taken*: see `link_files`.
    """
    source, target = str(tree.site), str(site_packages)
    known = set() if made is None else made
    make_folders(target, tree.folders, known)
    files: Sequence[str] = tree.files
    if leave_out:
        files = [path for path in files if path not in leave_out]
    link_files(source, target, files, way, taken=taken)
    if bytecode:
        make_folders(target, dict.fromkeys(path.rpartition("/")[0] for path in bytecode), known)
        link_files(source, target, bytecode, way, taken=taken)
    return len(files) + len(bytecode)
