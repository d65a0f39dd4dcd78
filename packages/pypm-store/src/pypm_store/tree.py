"""An unpacked wheel: what is in it, known from one small file without walking.

A tree is a folder named by the wheel's sha256::

    site/       purelib and platlib together, .dist-info included; read-only, but for an empty
                writable __pycache__ in every folder with modules, so that bytecode is made once
    scripts/ data/ headers/    the rooms of the wheel's .data folder, where it has them
    tree        this module's text: made last, read first
    settled     says that the tree is known to be on the disk, whole (`pypm_store.tree_check`)
    bytecode-cpython-312...    lists what is in the __pycache__ folders for one interpreter

``site/<info>/RECORD`` is RECORD as it is when only ``site/`` is installed: the files of ``site/`` by
their place there, RECORD's own row last. Rows of the other rooms are in `Tree.records`.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal

from pypm_model.records import NamedTuple, record
from pypm_store.atomic import write_atomically
from pypm_store.entry_points import EntryPoint
from pypm_store.manifest import FIRST, MANIFEST, Listed, bytecode_list, read_bytecode, read_manifest

TESTS = "tests"
"""A folder of this name is no part of a package that is imported to be used (pytest, which does import it,
makes bytecode of its own): its bytecode is not worth a file in each environment."""

TopLevelKind = Literal["package", "namespace", "module", "info", "other"]
"""``package``: a folder with an ``__init__``; ``namespace``: a folder without, that modules or packages
lie in (PEP 420); ``module``: one file; ``info``: the .dist-info folder; ``other``: folders of libraries,
``.pth`` files and the like."""


class TopLevel(NamedTuple):
    """One entry of ``site/``."""

    name: str
    kind: TopLevelKind


@record
class Tree:
    """One unpacked wheel. Paths have ``/`` and are relative to their room."""

    root: Path
    name: str
    """As the .dist-info folder spells it."""
    version: str
    info: str
    """The .dist-info folder's name."""
    purelib: bool
    """Whether ``site/`` belongs to purelib (else platlib); the same folder in nearly every scheme."""
    tags: tuple[str, ...]
    top_level: tuple[TopLevel, ...]
    """Sorted by name."""
    import_names: tuple[str, ...]
    """What can be imported: by METADATA's Import-Name (PEP 794), else the packages and modules found,
    with dots where they lie in namespaces. Sorted."""
    entry_points: tuple[EntryPoint, ...]
    folders: tuple[str, ...]
    """All below ``site/`` but ``__pycache__`` ones that hold nothing of the wheel; parents first."""
    caches: tuple[str, ...]
    """The writable ``__pycache__`` folders of ``site/``."""
    files: tuple[str, ...]
    """All files of ``site/``, those of one folder together."""
    scripts: tuple[str, ...]
    data: tuple[str, ...]
    headers: tuple[str, ...]
    sizes: tuple[int, ...]
    """Bytes of *files*, *scripts*, *data* and *headers*, one after the other."""
    executables: frozenset[str]
    """Files with the executable bit, with their room: ``site/acme/tool``. All scripts have it."""
    records: str
    """RECORD rows of the other rooms, with the room in the path: ``scripts/tool,sha256=...,12``."""
    boot: str
    """`pypm_store.boot.boot_id` of when it was made."""

    @property
    def site(self) -> Path:
        return self.root / "site"

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(self.sizes)

    @property
    def rooms(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """(room, its files), in the order of *sizes*."""
        return (
            ("site", self.files), ("scripts", self.scripts), ("data", self.data), ("headers", self.headers),
        )  # fmt: skip

    def paths(self) -> Iterator[str]:
        """All files with their room, in the order of *sizes*."""
        for room, names in self.rooms:
            for name in names:
                yield f"{room}/{name}"


def read_tree(root: Path) -> Tree | None:
    """The tree in the folder *root*; None if there is none, or its manifest is not whole.

    Says nothing about the files themselves: see `pypm_store.tree_check`.
    """
    listed = read_manifest(str(root))
    return None if listed is None else _tree(root, listed)


def write_manifest(tree: Tree) -> None:
    """Writes the manifest; a tree without one does not exist."""
    body = _written(tree).encode()
    content = b"%b\nend %08x\n" % (body, zlib.crc32(body))
    path = tree.root / MANIFEST
    with open(path, "xb") as file:
        file.write(content)


def _written(tree: Tree) -> str:
    paths = list(tree.paths())
    places = {path: number for number, path in enumerate(paths) if path in tree.executables}
    # A __pycache__ is known by the folder it lies in.
    folders = {folder: number for number, folder in enumerate(("", *tree.folders))}
    caches = [folders[cache.rpartition("/")[0]] for cache in tree.caches]
    records = tree.records.splitlines()
    points = ["\t".join(point) for point in tree.entry_points]
    head = [
        FIRST,
        tree.name,
        tree.version,
        tree.info,
        "1" if tree.purelib else "0",
        "\t".join(tree.tags),
        "\t".join(f"{top.kind}\t{top.name}" for top in tree.top_level),
        "\t".join(tree.import_names),
        tree.boot,
        " ".join(map(str, caches)),
        " ".join(map(str, tree.sizes)),
        " ".join(map(str, places.values())),
    ]
    lists = (points, tree.folders, tree.files, tree.scripts, tree.data, tree.headers, records)
    head.append(" ".join(str(len(one)) for one in lists))
    return "\n".join([*head, *(line for one in lists for line in one)])


def _tree(root: Path, listed: Listed) -> Tree:
    name, version, info, purelib, tags, tops, imports = listed.head
    top = _split(tops)
    kinds: Iterable[TopLevelKind] = top[::2]  # type: ignore[assignment]
    return Tree(
        root=root,
        name=name,
        version=version,
        info=info,
        purelib=purelib == "1",
        tags=_split(tags),
        top_level=tuple(map(TopLevel, top[1::2], kinds)),
        import_names=_split(imports),
        entry_points=tuple([EntryPoint(*point.split("\t")) for point in listed.points]),
        folders=listed.folders,
        caches=listed.caches,
        files=listed.files,
        scripts=listed.scripts,
        data=listed.data,
        headers=listed.headers,
        sizes=listed.sizes,
        executables=listed.executables,
        records="".join(f"{row}\n" for row in listed.records),
        boot=listed.boot,
    )


def _split(text: str) -> tuple[str, ...]:
    return tuple(text.split("\t")) if text else ()


def bytecode(tree: Tree, cache_tag: str) -> tuple[str, ...]:
    """Bytecode files of *tree* for the interpreter with *cache_tag* (``cpython-312``), below
    ``site/``: those that were listed by `list_bytecode`. Empty if none were."""
    return read_bytecode(str(tree.root), cache_tag) or ()


def is_compiled(tree: Tree, cache_tag: str) -> bool:
    """Whether `list_bytecode` was called, also if it found nothing: some trees hold nothing that compiles."""
    return os.path.exists(bytecode_list(tree.root, cache_tag))


def list_bytecode(tree: Tree, cache_tag: str) -> tuple[str, ...]:
    """Looks into the ``__pycache__`` folders and writes down what is there for *cache_tag*, for
    `bytecode` to read; called once after a tree has been compiled. What lies in folders of tests is left
    out: hardly an environment imports them."""
    ending = f".{cache_tag}.pyc"
    found: list[str] = []
    for cache in tree.caches:
        if TESTS in cache.split("/"):
            continue
        try:
            names = os.listdir(tree.site / cache)
        except FileNotFoundError:
            continue
        found += [f"{cache}/{name}" for name in sorted(names) if name.endswith(ending)]
    write_atomically(bytecode_list(tree.root, cache_tag), "".join(f"{path}\n" for path in found))
    return tuple(found)
