"""Blueprints: all that an environment is made of, worked out once, for `pypm_env.from_blueprint` to make it.

A blueprint names no place: what depends on one is worked out for `PLACE`, by the code that `apply` uses too.
Reads trees; writes nothing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pypm_env.contests import PathTaken
from pypm_env.dists import InstalledDist, Wanted, WantedDist
from pypm_env.farm import SAYS, TOLD, contents_of, part_of
from pypm_env.farm_layout import lay_out
from pypm_env.from_blueprint import PLACE
from pypm_env.launchers import LONGEST_SHEBANG, shebang_line
from pypm_env.placing import Extra, Target, extras, info_files, not_linked, record_text, target_of
from pypm_env.record_file import quote, write_rows
from pypm_env.state_file import State, write_state
from pypm_env.venv import skeleton
from pypm_store.tree import Tree, is_compiled, read_tree

if TYPE_CHECKING:
    from pypm_env.from_blueprint import Blueprint, Farmed, Part, Record, Written
    from pypm_store.store import Store

_MODES = ("auto", "hardlink", "farm")
_TIME = 7_000_000_000_000_000_000
"""Stands for the time of site-packages in the record, with n more for that of the n-th RECORD (year 2191)."""
_TIMES = re.compile(r"\b7000000000000(\d{6})\b")
_MOST = 10_000
"""Distributions: no environment has as many."""


class _NoSuchRow(Exception):
    """A file that names the place is not in RECORD where it should be."""


class _Shared(Exception):
    """Several distributions have a file of one name, which is to be told."""


def blueprint(wanted: Wanted, store: Store, *, pypm_version: str, prompt: str) -> Blueprint | None:
    """How to make *wanted* anywhere, out of the trees in *store*; None if it takes more than links and files:
    another link mode, editable members, paths that several own, trees that are gone or not compiled yet."""
    interpreter, place = wanted.interpreter, Path(PLACE.decode())
    is_linked = wanted.link_mode in _MODES and not any(dist.editable for dist in wanted.dists)
    if interpreter.is_windows or not is_linked or not 0 < len(wanted.dists) <= _MOST:
        return None
    trees: list[tuple[WantedDist, Tree]] = []
    for dist in wanted.dists:
        tree = read_tree(store.tree_path(dist.tree))
        tag = interpreter.cache_tag
        if tree is None or (tag and tree.caches and not is_compiled(tree, tag)):
            return None
        trees.append((dist, tree))
    trees.sort(key=lambda one: -len(one[1].files))
    target = target_of(place, place, interpreter)
    site = interpreter.layout.site_packages
    is_farm = wanted.link_mode == "farm"
    try:
        if is_farm:
            parts = _farm(trees, target, site, interpreter.cache_tag)
        else:
            parts = [_part(*one, target, site) for one in trees]
    except (_NoSuchRow, _Shared, PathTaken):
        return None
    frame = skeleton(interpreter, final=place, pypm_version=pypm_version, prompt=prompt)
    rooms = dict.fromkeys(frame.folders)
    files = [*frame.files, (f"{site}/{TOLD}", SAYS)] if is_farm else frame.files
    paths = [*(path for _, path in frame.links), *(path for path, _ in files)]
    for (_, _, left_out, written, others, _, farmed), (_, tree) in zip(parts, trees, strict=True):
        own = [*(path for path, _, _ in written), *(path for _, path in others)]
        rooms.update(dict.fromkeys(folder for path in own for folder in _folders(path)))
        linked = [path for path in tree.files if path not in left_out] if farmed is None else farmed[1]
        paths += [*own, *(f"{site}/{path}" for path in linked)]
    infos = [f"{site}/{tree.info}" for _, tree in trees]
    rooms = {folder: None for folder in rooms if folder not in infos}
    # Nothing twice, and nothing behind a link.
    if len(set(paths)) < len(paths) or not rooms.keys().isdisjoint(paths):
        return None
    return (
        LONGEST_SHEBANG - len(shebang_line(target.kit.python)) + len(PLACE),
        site,
        interpreter.cache_tag,
        tuple(rooms),
        frame.links,
        tuple([(path, False, _bytes(text)) for path, text in files]),
        tuple(parts),
        _state(wanted, trees, site),
    )


def _part(dist: WantedDist, tree: Tree, target: Target, site: str) -> Part:
    found = extras(tree, target)
    left_out = not_linked(tree, "")
    own = [(f"{tree.info}/{name}", text) for name, text in info_files(dist.requested, dist.direct_url)]
    return _told(tree, found, own, record_text(tree, dist, found, left_out), left_out, None, target, site)


def _farm(trees: Sequence[tuple[WantedDist, Tree]], target: Target, site: str, cache_tag: str) -> list[Part]:
    """Raises `PathTaken` and `_Shared`."""
    laid = [part_of(dist, tree, target.layout) for dist, tree in trees]
    layout = lay_out(laid)
    if layout.shared:
        raise _Shared
    parts = []
    for part in laid:
        put = contents_of(part, layout.shapes[part.name], {}, target, cache_tag)
        (_, record), *own = put.written
        caches = dict.fromkeys([path.rpartition("/")[0] for path in put.bytecode])
        folders = dict.fromkeys([*put.info_folders, *put.folders, *caches])
        links = (*put.info_links, *put.whole, *put.files, *put.bytecode)
        text = record.decode("utf-8", "surrogateescape")
        tree, nothing = part.tree, frozenset[str]()
        parts.append(_told(tree, put.others, own, text, nothing, (tuple(folders), links), target, site))
    return parts


def _told(
    tree: Tree,
    others: Sequence[Extra],
    own: Sequence[tuple[str, bytes]],
    record: str,
    left_out: frozenset[str],
    farmed: Farmed | None,
    target: Target,
    site: str,
) -> Part:
    skip = len(target.up) + 1
    ours = [extra for extra in others if extra.content is not None]
    written: list[Written] = [(extra.path[skip:], True, extra.content or b"") for extra in ours]
    written += [(f"{site}/{path}", False, content) for path, content in own]
    linked = [(extra.source, extra.path[skip:]) for extra in others if extra.content is None]
    rows = _record(tree, record, ours)
    return (tree.root.name, tree.info, left_out, tuple(written), tuple(linked), rows, farmed)


def _record(tree: Tree, text: str, ours: list[Extra]) -> Record:
    """RECORD, with what the tree's has too left out, and rows of files that name the place open."""
    own = f"{tree.info}/RECORD"
    shared = (tree.site / own).read_bytes().removesuffix(_bytes(f"{quote(own)},,\n"))
    whole = _bytes(text)
    head = len(shared) if whole.startswith(shared) else 0
    pieces: list[bytes | tuple[bytes, int]] = [whole[head:]]
    for number, extra in enumerate(ours):
        last = pieces[-1]
        if PLACE in (extra.content or b"") and isinstance(last, bytes):
            before, row, after = last.partition(_bytes(write_rows([extra.row])))
            if not row:
                raise _NoSuchRow
            pieces[-1:] = [before, (_bytes(quote(extra.path)), number), after]
    return head, tuple(pieces)


def _state(wanted: Wanted, trees: list[tuple[WantedDist, Tree]], site: str) -> tuple[str | int, ...]:
    dists = [InstalledDist(dist, tree.info, _TIME + number) for number, (dist, tree) in enumerate(trees, 1)]
    state = State(PLACE.decode(), wanted.interpreter.identity, wanted.link_mode, site, _TIME, tuple(dists))
    parts = _TIMES.split(write_state(state))
    return tuple([int(part) if at % 2 else part for at, part in enumerate(parts)])


def _folders(path: str) -> list[str]:
    """The folders of a file, parents first."""
    parts = path.split("/")[:-1]
    return ["/".join(parts[:end]) for end in range(1, len(parts) + 1)]


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
