"""An environment made from a blueprint (`pypm_env.blueprint`): links, files and names, nothing worked out.

What is done again most often (`.venv` was removed, CI checks the same commit out once more) is done here, by
two small processes: of an install from a warm store, a fifth of the time went into loading what plans and
applies. Whatever is unusual is `CannotFollow`: then nothing was changed, and `pypm_env.apply` does it or says
what is wrong. For Linux; imports next to nothing, which a test pins.
"""

from __future__ import annotations

import os

from pypm_env.own_files import STATE
from pypm_env.record_hash import record_hash
from pypm_model.digests import sha256
from pypm_store.atomic import beside_name, remove_tree, write_new
from pypm_store.lease_file import LEASES, put_lease
from pypm_store.lock_file import IN_USE, LOCKS, held_now
from pypm_store.looking import is_settled, look_whole
from pypm_store.manifest import bytecode_list, read_bytecode, read_manifest
from pypm_store.shared_work import share_out

TYPE_CHECKING = False  # as in `typing`, which is not loaded
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import TypeAlias

    Written: TypeAlias = tuple[str, bool, bytes]
    """(path below the environment, whether it is executable, content)"""
    Record: TypeAlias = tuple[int, tuple[bytes | tuple[bytes, int], ...]]
    """RECORD: so many bytes of the tree's own; then texts, and rows as (quoted path, number of the file)."""
    Farmed: TypeAlias = tuple[tuple[str, ...], tuple[str, ...]]
    """Of a farm: real folders, parents first; paths of symbolic links, to the same in the tree."""
    Part: TypeAlias = tuple[
        str, str, frozenset[str], tuple[Written, ...], tuple[tuple[str, str], ...], Record, Farmed | None
    ]
    """A distribution: its tree, its .dist-info folder, files of the tree that are not linked, files that are
    written, (path below the tree, path below the environment) of what is linked from its other rooms; and
    what it is in a farm, if it is one."""
    Blueprint: TypeAlias = tuple[
        int,
        str,
        str,
        tuple[str, ...],
        tuple[tuple[str, str], ...],
        tuple[Written, ...],
        tuple[Part, ...],
        tuple[str | int, ...],
    ]
    """The longest place; site-packages; the tag of its bytecode; folders, parents first; (target, path) of
    symbolic links; files; distributions, the largest first; pypm's record, with numbers for times: 0 is that
    of site-packages, n that of the n-th distribution's RECORD. `PLACE` in a content is the place."""

PLACE = b"/pypm-place-5d41c0"
"""Stands in contents for the folder that the environment will be."""


class CannotFollow(Exception):
    """Something is not as the blueprint has it, or somebody else is at work."""


def environment_lock(folder: str) -> str:
    """The name of the lock that whoever changes the environment in *folder* holds."""
    return f"environment-{sha256(os.fsencode(os.path.realpath(folder))).hexdigest()[:24]}"


def is_plain(place: str) -> bool:
    """Whether an absolute path stands for itself in every script: no shell needs quotes for it."""
    bare = place.replace("/", "").replace("-", "").replace("_", "").replace(".", "")
    return bare.isascii() and bare.isalnum()


def make(blueprint: Blueprint, store: str, place: str) -> None:
    """Makes *place*, where nothing is, the environment of *blueprint*, out of trees in *store* (the layout's
    folder), which gets a lease for it.

    Raises `CannotFollow`, or what interrupts it; then everything is as it was.
    """
    if not is_plain(place) or len(place) > blueprint[0]:
        raise CannotFollow
    folder, name = os.path.split(place)
    if any(other.startswith(f".{name}.") and other.endswith(".new") for other in os.listdir(folder)):
        raise CannotFollow  # a killed run's, or that of one that is at work
    locks = f"{store}/{LOCKS}"
    own_lock = f"{locks}/{environment_lock(place)}"
    in_use = held_now(f"{locks}/{IN_USE}", shared=True)
    own = None if in_use is None else held_now(own_lock, shared=False)
    try:
        if own is None or os.path.lexists(place):
            raise CannotFollow
        _make(blueprint, store, place)
    except OSError as error:
        raise CannotFollow from error
    finally:
        if own is not None:
            os.unlink(own_lock)
            os.close(own)
        if in_use is not None:
            os.close(in_use)


def _make(blueprint: Blueprint, store: str, place: str) -> None:
    _, site, cache_tag, folders, links, files, parts, state = blueprint
    beside, trees, leases = beside_name(place), f"{store}/trees", f"{store}/{LEASES}"

    def work(number: int) -> None:
        if number:
            _put(parts[number - 1], trees, f"{beside}/{site}", cache_tag, beside, place)
            return
        for target, path in links:
            os.symlink(target, f"{beside}/{path}")
        for path, executable, content in files:
            write_new(f"{beside}/{path}", content.replace(PLACE, place.encode()), _mode(executable))

    try:
        os.mkdir(beside)
        for folder in folders:
            os.mkdir(f"{beside}/{folder}")
        share_out(len(parts) + 1, work, lambda number, answer: None)
        paths = [site, *(f"{site}/{part[1]}/RECORD" for part in parts)]
        times = [os.stat(f"{beside}/{path}").st_mtime_ns for path in paths]
        text = "".join([one if isinstance(one, str) else str(times[one]) for one in state])
        content = text.encode("utf-8", "surrogateescape").replace(PLACE, place.encode())
        write_new(f"{beside}/{STATE}", content)
        # Of an owner that is not there, should that be the end, a lease means nothing.
        os.makedirs(leases, exist_ok=True)
        needs = any(part[6] for part in parts)
        put_lease(leases, place, {part[0] for part in parts}, needs=needs, made_in=beside)
        os.rename(beside, place)
    except BaseException:
        remove_tree(beside)
        raise


def _put(part: Part, trees: str, site: str, cache_tag: str, root: str, place: str) -> None:
    """One distribution; the same as `pypm_env.putting` does."""
    digest, info, left_out, written, others, (head, tail), farmed = part
    tree = f"{trees}/{digest}"
    listed = read_manifest(tree)
    if (
        listed is None
        or not look_whole(tree, listed.rooms(), listed.sizes, listed.folders, listed.executables)
        or not is_settled(tree, listed.boot)
    ):
        raise CannotFollow
    compiles = bool(cache_tag and listed.caches)
    if compiles and not os.path.exists(bytecode_list(tree, cache_tag)):
        raise CannotFollow  # it is to be compiled, and that is not our work
    if farmed is None:
        compiled = (compiles and read_bytecode(tree, cache_tag)) or ()
        _link([path for path in listed.files if path not in left_out], compiled, listed.folders, tree, site)
    else:
        _link_farm(*farmed, tree, site)
    for source, path in others:
        os.link(f"{tree}/{source}", f"{root}/{path}", follow_symlinks=False)
    contents = [content.replace(PLACE, place.encode()) for _, _, content in written]
    for (path, executable, _), content in zip(written, contents, strict=True):
        write_new(f"{root}/{path}", content, _mode(executable))
    text = []
    if head:
        with open(f"{tree}/site/{info}/RECORD", "rb", 0) as file:
            text.append(file.read(head))
    for one in tail:
        if isinstance(one, bytes):
            text.append(one)
        else:
            quoted, number = one
            text.append(
                b"%b,%b,%d\n" % (quoted, record_hash(contents[number]).encode(), len(contents[number]))
            )
    write_new(f"{site}/{info}/RECORD", b"".join(text))


def _link(
    files: Iterable[str], compiled: Iterable[str], folders: Iterable[str], tree: str, site: str
) -> None:
    caches = dict.fromkeys([path.rpartition("/")[0] for path in compiled])
    here = os.open(f"{tree}/site", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    there = os.open(site, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        _make_folders(folders, there)
        _make_folders(caches, there)
        link = os.link
        for paths in (files, compiled):
            for path in paths:
                link(path, path, src_dir_fd=here, dst_dir_fd=there, follow_symlinks=False)
    finally:
        os.close(there)
        os.close(here)


def _link_farm(folders: Iterable[str], paths: Iterable[str], tree: str, site: str) -> None:
    there = os.open(site, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        _make_folders(folders, there)
        for path in paths:
            os.symlink(f"{tree}/site/{path}", path, dir_fd=there)
    finally:
        os.close(there)


def _make_folders(folders: Iterable[str], base: int) -> None:
    for folder in folders:
        try:
            os.mkdir(folder, dir_fd=base)
        except FileExistsError:
            continue


def _mode(executable: bool) -> int:
    return 0o777 if executable else 0o666
