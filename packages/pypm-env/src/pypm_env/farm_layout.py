"""Which links a farm's site-packages is made of. Pure: trees in, paths out.

One link stands for a whole folder of a tree where nobody else has, or may get, anything in that folder.
Otherwise the folder is a real one, and its entries are linked one level deeper.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from pypm_env.contests import PathTaken
from pypm_env.dists import WantedDist
from pypm_env.outline import Outline
from pypm_model.names import NormalizedName
from pypm_model.records import field, record
from pypm_store.tree import Tree


@record
class Part:
    """One distribution of a farm."""

    dist: WantedDist
    tree: Tree
    outline: Outline
    left_out: frozenset[str]
    """Files that are not linked: the environment has its own."""
    beside: tuple[str, ...] = ()
    """Files it puts into site-packages from elsewhere than ``site/``: their folders must be real."""

    @property
    def name(self) -> NormalizedName:
        return self.dist.name


@record(frozen=False, eq=False)
class Shape:
    """What one distribution puts into site-packages, but for .dist-info. Paths relative to it."""

    folders: list[str] = field(default_factory=list)
    """Real ones, parents first."""
    whole: list[str] = field(default_factory=list)
    """Folders that are links."""
    files: list[str] = field(default_factory=list)
    """Files that are links, also those of which another distribution has the say."""


@record
class Layout:
    """A farm's site-packages."""

    shapes: Mapping[NormalizedName, Shape]
    shared: Mapping[str, tuple[NormalizedName, ...]]
    """Files that several distributions own, and which, sorted; the last one's is linked."""


def lay_out(parts: Sequence[Part], real: Collection[str] = ()) -> Layout:
    """The layout of a farm that holds *parts*; *real* are folders that have to be real ones.

    Raises `PathTaken`. Takes a step for each top-level entry, and one for each file of trees of which a
    folder has to be opened.
    """
    forced = set(real)
    for part in parts:
        for path in part.beside:
            forced.update(_parents(path))
    shapes = {part.name: Shape() for part in parts}
    shared: dict[str, tuple[NormalizedName, ...]] = {}
    contents = _Contents()
    owners: dict[str, list[Part]] = {}
    for part in sorted(parts, key=lambda part: part.name):
        for top in part.tree.top_level:
            if top.kind != "info":
                owners.setdefault(top.name, []).append(part)
    waiting = sorted(owners.items(), reverse=True)
    while waiting:
        path, found = waiting.pop()
        folders = [part for part in found if contents.is_folder(part, path)]
        files = [part for part in found if part not in folders and path not in part.left_out]
        if folders and files:
            raise PathTaken(path, tuple(sorted(str(part.name) for part in found)))
        if files:
            for part in files:
                shapes[part.name].files.append(path)
            if len(files) > 1:
                shared[path] = tuple(part.name for part in files)
        elif len(folders) == 1 and not _is_open(folders[0], path, forced):
            shapes[folders[0].name].whole.append(path)
        elif folders:
            below: dict[str, list[Part]] = {}
            for part in folders:
                shapes[part.name].folders.append(path)
                for child in contents.of(part, path):
                    below.setdefault(child, []).append(part)
            waiting += sorted(below.items(), reverse=True)
    return Layout(shapes, shared)


def _is_open(part: Part, path: str, forced: Collection[str]) -> bool:
    return part.outline.by_file or path in part.outline.opened or path in forced


def _parents(path: str) -> Iterable[str]:
    while path := path.rpartition("/")[0]:
        yield path


@record(frozen=False, eq=False)
class _Contents:
    """What is in folders of trees, listed when first asked for."""

    _folders: dict[NormalizedName, frozenset[str]] = field(default_factory=dict)
    _below: dict[NormalizedName, dict[str, list[str]]] = field(default_factory=dict)

    def is_folder(self, part: Part, path: str) -> bool:
        if "/" not in path and part.name not in self._folders:
            # Most entries are looked at once: no set is made for them.
            return path in part.tree.folders
        if part.name not in self._folders:
            self._folders[part.name] = frozenset(part.tree.folders)
        return path in self._folders[part.name]

    def of(self, part: Part, folder: str) -> list[str]:
        """Entries of *folder*, as paths."""
        if part.name not in self._below:
            below: dict[str, list[str]] = {}
            for path in (*part.tree.folders, *part.tree.files):
                below.setdefault(path.rpartition("/")[0], []).append(path)
            self._below[part.name] = below
            self._folders[part.name] = frozenset(part.tree.folders)
        return self._below[part.name].get(folder, [])
