"""Makes site-packages a farm: symbolic links to what lies in the store, real .dist-info folders.

RECORD names links, not what is behind them: whoever uninstalls or upgrades a distribution takes its links
away and cannot reach the store.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from pypm_env.contests import PathTaken, put_extras
from pypm_env.dists import InstalledDist, WantedDist
from pypm_env.farm_layout import Layout, Part, Shape, lay_out
from pypm_env.interpreters import Layout as Places
from pypm_env.outline import NAME as OUTLINE
from pypm_env.outline import outline
from pypm_env.placing import Extra, Target, extras, info_files, not_linked, path_line
from pypm_env.record_file import Row, read_rows, row_of, write_rows
from pypm_model.events import Advanced, Listener, Warned
from pypm_model.names import NormalizedName
from pypm_model.records import field, record, replace
from pypm_store.atomic import write_anew
from pypm_store.linking import Way, make_folders
from pypm_store.open_folder import opened
from pypm_store.shared_work import share_out
from pypm_store.tree import Tree, bytecode, is_compiled
from pypm_store.tree_check import is_sound

TOLD = "_pypm_farm.txt"
"""A file that says what the links are. It is no distribution's: an uninstaller that sees nothing but files it
may remove would take all of site-packages."""
SAYS = (
    "The packages here are symbolic links into pypm's store, which all environments on this machine share.\n"
    "Edit nothing behind them; `pypm sync --link-mode copy` makes an environment that is yours to change.\n"
)


@record(frozen=False, eq=False)
class Farmed:
    """What was put in."""

    dists: list[InstalledDist] = field(default_factory=list)
    links: int = 0
    bytecode: int = 0
    uncompiled: list[str] = field(default_factory=list)
    taken: list[str] = field(default_factory=list)
    """Scripts and data files where something was: for `pypm_env.contests.settle`."""


def is_outlined(tree: Tree) -> bool:
    """Whether all that a farm has to know of it is known without its files."""
    return os.path.exists(f"{tree.root}{os.sep}{OUTLINE}")


def reshaped_by(
    changing: Iterable[Tree], kept: Sequence[tuple[WantedDist, Tree | None]]
) -> set[NormalizedName]:
    """Those of *kept* whose links may be others when the trees *changing* come or go: they have a top-level
    name in common, or nothing is known of them."""
    tops = {top.name for tree in changing for top in tree.top_level if top.kind != "info"}
    return {
        dist.name for dist, tree in kept if tree is None or any(top.name in tops for top in tree.top_level)
    }


def link_farm(
    puts: Sequence[tuple[WantedDist, Tree]],
    kept: Sequence[tuple[WantedDist, Tree]],
    target: Target,
    way: Way,
    cache_tag: str,
    made: set[str],
    listener: Listener,
    *,
    sound: Collection[str],
    again: Callable[[WantedDist], Tree],
    fresh: bool,
    workers: int,
) -> Farmed:
    """Puts *puts* in, beside *kept*, which are there. Scripts and data are placed in *way*.

    Trees whose digests are in *sound* were looked at; each other is looked at just before it is put in, by
    the same one of *workers*, and *again* is asked for one that is damaged. Folders in *made* are known to
    exist; *fresh* says that nothing else does. Raises what *again* does, `PathTaken`, `ProtectedPath`,
    `InvalidEntryPoint`, OSError.
    """
    site = str(target.site)
    parts = [part_of(dist, tree, target.layout) for dist, tree in (*puts, *kept)]
    layout = lay_out(parts) if fresh else _layout(parts, {dist.name for dist, _ in puts}, site)
    told = os.path.join(site, TOLD)
    if not os.path.exists(told):
        write_anew(told, SAYS.encode())
    farmed = Farmed()
    # The largest first, so that both workers end together.
    parts[: len(puts)] = sorted(parts[: len(puts)], key=lambda part: -len(part.tree.files))
    unsound: list[int] = []

    def put(part: Part) -> _Answer:
        contents = contents_of(part, layout.shapes[part.name], layout.shared, target, cache_tag)
        return _Put(part, target, way, made, fresh).put(contents)

    def work(number: int) -> _Answer | None:
        part = parts[number]
        return put(part) if part.dist.tree in sound or is_sound(part.tree) else None

    def take(number: int, answer: _Answer | None) -> None:
        if answer is None:
            unsound.append(number)
            return
        part = parts[number]
        record_time, line, links, pycs, taken = answer
        farmed.dists.append(InstalledDist(part.dist, part.tree.info, record_time, line))
        farmed.links += links
        farmed.bytecode += pycs
        farmed.taken += taken
        if cache_tag and part.tree.caches and not is_compiled(part.tree, cache_tag):
            farmed.uncompiled.append(part.dist.tree)
        listener(Advanced("link", part.name))

    share_out(len(puts), work, take, workers=workers)
    for number in unsound:
        parts[number] = replace(parts[number], tree=again(parts[number].dist))
        take(number, put(parts[number]))
    _tell_conflicts(layout, {part.name: part.tree for part in parts}, listener)
    return farmed


_Answer = tuple[int, str, int, int, list[str]]
"""RECORD's time, the line for the shared .pth file, links, those to bytecode, and paths of scripts and data
where something was."""


def part_of(dist: WantedDist, tree: Tree, places: Places) -> Part:
    """*dist* as it is laid out. Its tree is read if nothing else says what is in it."""
    inside = f"{places.site_packages}/"
    names = (f"lib/{name[6:]}" if name.startswith("lib64/") else name for name in tree.data)
    beside = tuple(name[len(inside) :] for name in names if name.startswith(inside))
    return Part(dist, tree, outline(tree), not_linked(tree, path_line(tree, dist)[0]), beside)


def _layout(parts: Sequence[Part], names: set[NormalizedName], site: str) -> Layout:
    """The layout, in which folders that are there already, and are real ones, stay."""
    real: set[str] = set()
    while True:
        layout = lay_out(parts, real)
        found = {
            path
            for name in names
            for path in layout.shapes[name].whole
            if os.path.isdir(f"{site}/{path}") and not os.path.islink(f"{site}/{path}")
        }
        if found <= real:
            return layout
        real |= found


def _tell_conflicts(layout: Layout, trees: Mapping[NormalizedName, Tree], listener: Listener) -> None:
    clashes: dict[tuple[NormalizedName, ...], list[str]] = {}
    for path, names in layout.shared.items():
        if len({(trees[name].site / path).read_bytes() for name in names}) > 1:
            clashes.setdefault(names, []).append(path)
    for names, paths in clashes.items():
        more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
        message = f"{' and '.join(names)} both install {paths[0]}{more}: that of {names[-1]} is used"
        listener(Warned("file-conflict", message))


def _with_parents(folders: Iterable[str], info: str) -> list[str]:
    """*folders* of .dist-info and those above them, parents first, without *info* itself."""
    found: dict[str, None] = {}
    for folder in folders:
        pieces = folder.split("/")
        for length in range(2, len(pieces) + 1):
            found["/".join(pieces[:length])] = None
    found.pop(info, None)
    return list(found)


@record
class Contents:
    """All that one distribution puts into an environment, paths relative to site-packages. What is a link
    leads to the same path in the tree."""

    others: Sequence[Extra]
    written: Sequence[tuple[str, bytes]]
    """(path, content) of files in .dist-info, RECORD first."""
    info_folders: Sequence[str]
    info_links: Sequence[str]
    folders: Sequence[str]
    whole: Sequence[str]
    """Folders that are links."""
    files: Sequence[str]
    bytecode: Sequence[str]
    """Of modules that are linked one by one: what the store has. Folders have theirs with them."""


def contents_of(
    part: Part, shape: Shape, shared: Mapping[str, Sequence[NormalizedName]], target: Target, cache_tag: str
) -> Contents:
    """What *part* puts in, as *shape* has it; of *shared* files the last owner's is linked.

    Raises `InvalidEntryPoint`, `ProtectedPath`, OSError."""
    tree, info = part.tree, part.tree.info
    others = extras(tree, target)
    own = list(info_files(part.dist.requested, part.dist.direct_url))
    if part.outline.top_level:
        own.append(("top_level.txt", "".join(f"{name}\n" for name in part.outline.top_level).encode()))
    linked = [row for row in part.outline.rows if row.path.startswith(info + "/")]
    linked = [row for row in linked if row.path not in part.left_out]
    rows = [*_rows(part, shape), *linked, *(extra.row for extra in others)]
    rows += [row_of(f"{info}/{name}", content) for name, content in own]
    rows.append(Row(f"{info}/RECORD"))
    inner = _with_parents(dict.fromkeys(row.path.rpartition("/")[0] for row in linked), info)
    mine = [path for path in shape.files if shared.get(path, (part.name,))[-1] == part.name]
    return Contents(
        others,
        [
            (f"{info}/RECORD", write_rows(rows).encode("utf-8", "surrogateescape")),
            *((f"{info}/{name}", content) for name, content in own),
        ],
        [info, *inner],
        [row.path for row in linked],
        shape.folders,
        shape.whole,
        mine,
        _bytecode(tree, mine, shared, cache_tag),
    )


def _rows(part: Part, shape: Shape) -> list[Row]:
    """Of the links in site-packages."""
    rows = [Row(path) for path in shape.whole]
    if not shape.files:
        return rows
    known = {row.path: row for row in part.outline.rows}
    if any(path not in known for path in shape.files):
        text = (part.tree.site / part.tree.info / "RECORD").read_bytes().decode("utf-8", "surrogateescape")
        known = {row.path: row for row in read_rows(text)}
    return rows + [known.get(path, Row(path)) for path in shape.files]


def _bytecode(
    tree: Tree, files: Sequence[str], shared: Mapping[str, Sequence[NormalizedName]], cache_tag: str
) -> list[str]:
    modules = {path[:-3] for path in files if path.endswith(".py") and path not in shared}
    if not modules or not cache_tag:
        return []
    ending = f".{cache_tag}.pyc"
    found = []
    for path in bytecode(tree, cache_tag):
        folder, _, name = path.rpartition("/")
        above = folder.rpartition("/")[0]
        module = f"{above}/{name.removesuffix(ending)}" if above else name.removesuffix(ending)
        if module in modules:
            found.append(path)
    return found


@record(frozen=False, eq=False)
class _Put:
    """One distribution being put in."""

    part: Part
    target: Target
    way: Way
    made: set[str]
    fresh: bool
    links: int = 0
    bytecode: int = 0
    taken: list[str] = field(default_factory=list)

    def put(self, contents: Contents) -> _Answer:
        """Possibly by another process, and possibly once more after it failed there."""
        part, site = self.part, str(self.target.site)
        self._make_folders(contents.info_folders)
        # RECORD first: from here on whatever is put in can be taken out again.
        record_time, *_ = [write_anew(f"{site}/{path}", content) for path, content in contents.written]
        self._link(contents.info_links, folder=False)
        self._make_folders(contents.folders)
        self._link(contents.whole, folder=True)
        self._link(contents.files, folder=False)
        put_extras(contents.others, part.tree, self.target, self.way, taken=self.taken.append)
        self._link_bytecode(contents.bytecode)
        return record_time, path_line(part.tree, part.dist)[1], self.links, self.bytecode, self.taken

    def _link(self, paths: Iterable[str], *, folder: bool) -> None:
        site, source = str(self.target.site), f"{self.part.tree.root}{os.sep}site{os.sep}"
        with opened(site) as here:
            for path in paths:
                self.links += 1
                place = path if here is not None else f"{site}/{path}"
                try:
                    os.symlink(source + path, place, target_is_directory=folder, dir_fd=here)
                except FileExistsError as error:
                    # Nobody's, or another's whose say it is not.
                    try:
                        os.unlink(place, dir_fd=here)
                    except (IsADirectoryError, PermissionError):
                        raise PathTaken(path, (str(self.part.name),)) from error
                    os.symlink(source + path, place, target_is_directory=folder, dir_fd=here)

    def _make_folders(self, folders: Sequence[str]) -> None:
        if not self.fresh:
            for folder in folders:
                path = f"{self.target.site}/{folder}"
                if path not in self.made and os.path.islink(path):
                    # Nothing may ever be written behind it.
                    os.unlink(path)
        make_folders(str(self.target.site), folders, self.made)

    def _link_bytecode(self, paths: Sequence[str]) -> None:
        site, source = str(self.target.site), str(self.part.tree.site)
        for path in paths:
            make_folders(site, [path.rpartition("/")[0]], self.made)
            try:
                os.symlink(f"{source}/{path}", f"{site}/{path}")
            except FileExistsError:
                continue
            self.bytecode += 1
