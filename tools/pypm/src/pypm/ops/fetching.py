"""Wheels and sdists of pins: into the store, and wheels unpacked there while others are on their way."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from pypm.ops.tools import Tools
from pypm_model.artifacts import Artifact, Located
from pypm_model.events import Advanced, Finished, Started, Warned
from pypm_model.facts import MetadataKey
from pypm_model.locks import Pin
from pypm_model.records import record
from pypm_model.sources import IndexSource
from pypm_store.forks import Forks
from pypm_store.store import Store
from pypm_store.store_errors import WrongDigest
from pypm_store.tree import Tree
from pypm_store.tree_check import are_sound

UNPACKERS = 2
"""Processes, else threads, that unpack; more cost more than they bring."""
_SHARED = 4
"""Wheels from which processes pay; fewer are unpacked by threads."""


@record
class Wheel:
    """A wheel to be unpacked. *path* is where it is, if it is no file of an index."""

    pin: Pin
    artifact: Artifact
    path: Path | None = None


def kept_sdists(tools: Tools, sdists: Sequence[tuple[Pin, Artifact]]) -> dict[str, Path]:
    """Those of *sdists*, by digest, that are in the store."""
    found = ((file.sha256, tools.store.file(file.sha256)) for _, file in sdists)
    return {digest: path for digest, path in found if path is not None}


def fetch_and_unpack(
    tools: Tools,
    wheels: Sequence[Wheel],
    sdists: Sequence[tuple[Pin, Artifact]],
    trees: dict[str, Tree],
    archives: dict[str, Path],
) -> None:
    """Downloads what is missing and unpacks each wheel as soon as it is there; fills *trees*, and *archives*
    (where each sdist is) with those that it has not."""
    store, listener = tools.store, tools.world.listener
    trees.update(_sound(store, [wheel.artifact.sha256 for wheel in wheels]))
    todo = {wheel.artifact.sha256: wheel for wheel in wheels if wheel.artifact.sha256 not in trees}
    # What is kept is compared with its digest by who unpacks it: read once, and by two at a time.
    here = {digest: wheel.path or store.kept_file(digest) for digest, wheel in todo.items()}
    missing: dict[str, tuple[Pin, Artifact]] = {
        digest: (wheel.pin, wheel.artifact) for digest, wheel in todo.items() if here[digest] is None
    }
    missing.update((file.sha256, (pin, file)) for pin, file in sdists if file.sha256 not in archives)
    if not todo and not missing:
        return

    from concurrent.futures import ThreadPoolExecutor

    # The largest first: none of them is begun last, to be waited for alone.
    order = sorted(todo, key=lambda digest: -(todo[digest].artifact.size or 0))
    paths = dict[str, Path]()

    def work(number: int) -> None:
        """In a fork: nothing but the tree is left of it."""
        digest = order[number]
        path = here[digest] or store.vouched_file(digest)
        with suppress(WrongDigest):
            store.unpack(path, digest, filename=todo[digest].artifact.filename, threads=1)

    def unpacked(numbers: Iterable[int]) -> None:
        for number in numbers:
            tree = store.tree(order[number], check=False)
            if tree is not None:
                keep(order[number], tree)

    def keep(digest: str, tree: Tree) -> None:
        trees[digest] = tree
        listener(Advanced("unpack", todo[digest].pin.package.name))

    def unpack(digest: str, path: Path) -> None:
        keep(digest, store.unpack(path, digest, filename=todo[digest].artifact.filename, threads=1))

    def unpack_here(digest: str, path: Path) -> None:
        try:
            unpack(digest, path)
        except WrongDigest:
            if digest in missing or todo[digest].path is not None:
                raise
            # A kept one that was damaged is gone now, and is fetched.

    listener(Started("unpack", total=len(todo)))
    numbers = {digest: number for number, digest in enumerate(order)}
    with (
        Forks(len(todo), work, workers=UNPACKERS if len(todo) >= _SHARED else 0) as forks,
        ThreadPoolExecutor(UNPACKERS, thread_name_prefix="unpack") as pool,
    ):
        futures = []
        for digest, path in located_files(tools, here, missing):
            if digest not in todo:
                archives[digest] = path
                continue
            paths[digest] = path
            if forks.are_there:
                forks.add(numbers[digest])
                unpacked(forks.ended())
            else:
                futures.append(pool.submit(unpack_here, digest, path))
        unpacked(forks.rest())
        for future in futures:
            future.result()
    for digest in [digest for digest in order if digest not in trees]:
        if todo[digest].path is not None or paths[digest].exists():
            # It did not go well in a fork: here the reason is told.
            unpack_here(digest, paths[digest])
    lost = {d: (todo[d].pin, todo[d].artifact) for d in order if d not in trees}
    for digest, path in located_files(tools, {}, lost):
        unpack(digest, path)
    missing.update(lost)
    listener(Finished("unpack"))
    _compare(tools, [todo[digest] for digest in missing if digest in todo], trees)


def _compare(tools: Tools, fetched: Iterable[Wheel], trees: Mapping[str, Tree]) -> None:
    """Warns of wheels that say of themselves something else than their index did (PEP 658)."""
    known: dict[MetadataKey, tuple[str, Callable[[], bytes]]] = {}
    for wheel in fetched:
        # What comes from an address that another tool's lock gives was locked by no index.
        if isinstance(wheel.pin.package.source, IndexSource) and wheel.artifact.sha256 not in tools.addresses:
            package, tree = wheel.pin.package, trees[wheel.artifact.sha256]
            key = MetadataKey(package.name, package.version, wheel.pin.package.source.index)
            known[key] = (wheel.artifact.filename, (tree.site / tree.info / "METADATA").read_bytes)
    differing = tools.catalog.contradictions(known) if known else {}
    if differing:
        from pypm.ops.answers import forget

        forget(tools)
    for key, fields in differing.items():
        message = (
            f"{key.name} {key.version} has another {' and '.join(fields)} in its wheel than index "
            f"{key.index!r} said, which it was locked by: `pypm update {key.name}` locks by its wheel"
        )
        tools.world.listener(Warned("metadata-differs", message))


def located_files(
    tools: Tools, here: Mapping[str, Path | None], missing: Mapping[str, tuple[Pin, Artifact]]
) -> Iterator[tuple[str, Path]]:
    """(digest, path) of the files that are *here*, then of those that are *missing*, as they come."""
    for digest, path in here.items():
        if path is not None:
            yield digest, path
    if missing:
        from pypm_index.fetch import fetch_each

        catalog = tools.catalog
        known, wanted = [], []
        for digest, (pin, artifact) in missing.items():
            if digest in tools.addresses:
                known.append(Located(artifact, tools.addresses[digest]))
            else:
                wanted.append((pin.package.name, _index(pin), artifact))
        located = (*known, *catalog.locate(wanted))
        yield from fetch_each(
            located,
            tools.store,
            catalog.connect,
            listener=tools.world.listener,
            offline=tools.world.offline,
            relocate=lambda one: catalog.relocate(one) if one.index else None,
        )


def _sound(store: Store, digests: Sequence[str]) -> dict[str, Tree]:
    """The trees that are there and can be used as they are, or after mending."""
    found = {digest: tree for digest in digests if (tree := store.tree(digest, check=False)) is not None}
    # The largest first, so that those who look at them end together.
    trees = sorted(found.items(), key=lambda item: -len(item[1].files))
    for (digest, _), sound in zip(trees, are_sound([tree for _, tree in trees]), strict=True):
        if not sound:
            mended = store.tree(digest)
            if mended is None:
                del found[digest]
            else:
                found[digest] = mended
    return found


def _index(pin: Pin) -> str:
    assert isinstance(pin.package.source, IndexSource)
    return pin.package.source.index
