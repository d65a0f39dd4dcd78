"""Paths that several distributions own: found while linking, settled afterwards the same way on every run.

Files of equal content are no conflict (an ``__init__.py`` that every part of a namespace brings). Of
different ones the distribution whose name sorts last wins, whatever the order of linking was, and a
warning names both: what pip and uv do silently by order of installation. Removing one owner gives the
path back to the other.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar

from pypm_env.dists import WantedDist
from pypm_env.placing import Extra, Target, extras, not_linked, path_line
from pypm_env.removal import remove_bytecode
from pypm_model.errors import PypmError
from pypm_model.events import Listener, Warned
from pypm_model.names import NormalizedName
from pypm_model.records import field, record
from pypm_store.atomic import write_new
from pypm_store.linking import Way, place
from pypm_store.tree import Tree

Shared = tuple[tuple[str, tuple[NormalizedName, ...]], ...]


class PathTaken(PypmError):
    """A file stands where a folder must be, or the other way round."""

    path: str
    distributions: tuple[str, ...]

    code: ClassVar[str] = "path-taken"

    def __str__(self) -> str:
        return f"{' and '.join(self.distributions)} cannot be installed: {self.path} is a file and a folder"


@record(frozen=False, eq=False)
class Owners:
    """Who owns which path among the distributions of one environment; read only if asked."""

    trees: Mapping[NormalizedName, Tree]
    dists: Mapping[NormalizedName, WantedDist]
    """Of the same names."""
    target: Target
    _tops: dict[str, list[NormalizedName]] | None = None
    _files: dict[NormalizedName, frozenset[str]] = field(default_factory=dict)
    _extras: dict[NormalizedName, dict[str, Extra]] = field(default_factory=dict)

    def of(self, path: str) -> tuple[NormalizedName, ...]:
        """Owners of *path* (relative to site-packages), sorted by name."""
        if path.startswith("../"):
            return tuple(name for name in sorted(self.trees) if path in self._extras_of(name))
        found = self._by_top().get(path.partition("/")[0], ())
        return tuple(name for name in found if path in self._files_of(name))

    def several(self) -> set[str]:
        """All paths with more than one owner. Reads everything that could have some."""
        counts: Counter[str] = Counter()
        for names in self._by_top().values():
            if len(names) > 1:
                for name in names:
                    counts.update(self._files_of(name))
        for name in self.trees:
            counts.update(self._extras_of(name).keys())
        return {path for path, count in counts.items() if count > 1 and len(self.of(path)) > 1}

    def put(self, path: str, name: NormalizedName, way: Way) -> None:
        """Make *path* the file of *name*, whatever is there."""
        full = os.path.normpath(os.path.join(self.target.site, path))
        if os.path.isdir(full) and not os.path.islink(full):
            raise self.taken(path)
        if os.path.lexists(full):
            os.unlink(full)
        tree = self.trees[name]
        if path.startswith("../"):
            put_extra(self._extras_of(name)[path], tree, self.target, way)
            return
        folder, module = os.path.split(full)
        os.makedirs(folder, exist_ok=True)
        place(str(tree.site / path), full, way)
        if module.endswith(".py"):
            # Bytecode is believed by size and second: that of the other owner's file could pass.
            remove_bytecode(folder, {module[:-3]})

    def taken(self, path: str) -> PathTaken:
        """The error that *path* is a file for one and a folder for another."""
        names = [name for name, tree in self.trees.items() if path in tree.folders or path in tree.files]
        names += [name for name in self.trees if any(_is_at(other, path) for other in self._extras_of(name))]
        return PathTaken(path, tuple(sorted(set(names))))

    def is_same(self, path: str, names: tuple[NormalizedName, ...]) -> bool:
        """Whether all of *names* have the same content for *path*."""
        contents = {self._content(path, name) for name in names}
        return len(contents) == 1

    def _content(self, path: str, name: NormalizedName) -> bytes:
        tree = self.trees[name]
        if not path.startswith("../"):
            return (tree.site / path).read_bytes()
        extra = self._extras_of(name)[path]
        return extra.content if extra.content is not None else (tree.root / extra.source).read_bytes()

    def _by_top(self) -> dict[str, list[NormalizedName]]:
        if self._tops is None:
            self._tops = {}
            for name in sorted(self.trees):
                for top in self.trees[name].top_level:
                    self._tops.setdefault(top.name, []).append(name)
        return self._tops

    def _files_of(self, name: NormalizedName) -> frozenset[str]:
        if name not in self._files:
            tree = self.trees[name]
            self._files[name] = frozenset(tree.files) - not_linked(tree, path_line(tree, self.dists[name])[0])
        return self._files[name]

    def _extras_of(self, name: NormalizedName) -> dict[str, Extra]:
        if name not in self._extras:
            self._extras[name] = {extra.path: extra for extra in extras(self.trees[name], self.target)}
        return self._extras[name]


def _is_at(other: str, path: str) -> bool:
    return other == path or other.startswith(path + "/")


def put_extra(extra: Extra, tree: Tree, target: Target, way: Way) -> None:
    """Write one script, data file or header. Raises FileExistsError if something is there."""
    put_extras([extra], tree, target, way, taken=None)


def put_extras(
    found: Sequence[Extra], tree: Tree, target: Target, way: Way, *, taken: Callable[[str], None] | None
) -> None:
    """Write scripts, data files and headers. Of a path where something is, *taken* is told and it is left;
    without *taken* FileExistsError is raised."""
    base, source = f"{target.root}/", f"{tree.root}/"
    skip = len(target.up) + 1
    for extra in found:
        full = base + extra.path[skip:]
        try:
            try:
                _put(extra, source, full, way)
            except FileNotFoundError:
                os.makedirs(os.path.dirname(full), exist_ok=True)
                _put(extra, source, full, way)
        except FileExistsError:
            if taken is None or not os.path.lexists(full):
                raise
            taken(extra.path)


def _put(extra: Extra, source: str, full: str, way: Way) -> None:
    if extra.content is None:
        place(source + extra.source, full, way)
        return
    # Everything we write ourselves is a launcher or a script: executable as far as the umask allows.
    write_new(full, extra.content, 0o777)


def settle(contested: set[str], owners: Owners, way: Way, listener: Listener) -> Shared:
    """Give each of *contested* to its owner; the paths that have several, with all of them.

    A path with one owner held something nobody owns (left by a killed run, or a user's): replaced.
    One without owners is left alone.
    """
    shared: list[tuple[str, tuple[NormalizedName, ...]]] = []
    clashes: dict[tuple[NormalizedName, ...], list[str]] = {}
    for path in sorted(contested):
        names = owners.of(path)
        if not names:
            continue
        owners.put(path, names[-1], way)
        if len(names) > 1:
            shared.append((path, names))
            if not owners.is_same(path, names):
                clashes.setdefault(names, []).append(path)
    for names, paths in clashes.items():
        more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
        message = f"{' and '.join(names)} both install {paths[0]}{more}: that of {names[-1]} is used"
        listener(Warned("file-conflict", message))
    return tuple(shared)
