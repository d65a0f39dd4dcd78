"""The store of a machine: bytes and unpacked wheels by digest, shared by all workspaces and processes.

Layout below the root (`PYPM_CACHE_DIR`, else the platform's cache folder)::

    v1/files/<sha256[:2]>/<sha256>    wheels and sdists as downloaded
    v1/trees/<sha256>/                wheels unpacked once (`pypm_store.tree`)
    v1/built/<key>/<wheel>            wheels built from sdists, repositories and members
    v1/envs/<digest>/                 environments of tools and scripts, made once for equal content
    v1/tools/                         which of them answers what was asked for
    v1/leases/                        which environment uses which trees
    v1/remade/                        which trees were damaged and made anew, and when
    v1/references/                    which tool or script uses which of the store's environments
    v1/recipes/                       what syncs put in, to be done again (names trees)
    v1/blueprints/                    how environments are made anew without looking closer
    v1/answers/                       what resolutions gave, while the indexes' pages stay the same
    v1/resolved/                      which locks came out of a resolution, by a digest of their text
    v1/interpreters/                  what interpreters said of themselves (`pypm_env.probe`)
    v1/locks/                         one small file per thing being made
    v1/meta-3.sqlite                  what indexes said (`pypm_store.metadata_cache`)

The number is the layout's: a store written by a newer pypm has another folder and is left alone.

Everything is made beside its place, under a lock of its own, and renamed: a process that is killed
leaves nothing that could be taken for the whole, and two that want the same thing make it once. What
was written before the machine stopped is believed only after its contents have been compared with
their hashes (or were known to be on the disk): see `pypm_store.tree_check`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Self

from pypm_model.later import later
from pypm_model.records import record, replace
from pypm_store.atomic import beside_name, remove_tree, rename_over
from pypm_store.files import Files, Incoming, checked_digest, digest_of
from pypm_store.locations import default_root, layout_folder
from pypm_store.locks import hold_until_exit, holding
from pypm_store.manifest import MANIFEST
from pypm_store.store_errors import StoreUnwritable, WrongDigest, unwritable
from pypm_store.tree import Tree, read_tree

if TYPE_CHECKING:
    import shutil

    from pypm_store import archive, exchange, leases, remade, tree_check, unpacking, upkeep
    from pypm_store.leases import Named
else:
    shutil = later("shutil")
    archive = later("pypm_store.archive")
    exchange = later("pypm_store.exchange")
    leases = later("pypm_store.leases")
    remade = later("pypm_store.remade")
    tree_check = later("pypm_store.tree_check")
    unpacking = later("pypm_store.unpacking")
    upkeep = later("pypm_store.upkeep")

__all__ = ["Built", "Incoming", "Store", "StoreUnwritable", "Tree", "WrongDigest"]

_KEY = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-")
_TAG = "Signature: 8a477f597d28d172789f06886806bc55\n# This folder is a cache made by pypm.\n"


@record
class Built:
    """A wheel that was built on this machine."""

    path: Path
    """With its real file name."""
    sha256: str


class Store:
    """One store. Cheap to make; holds no open files. May be used from several threads."""

    def __init__(self, root: Path) -> None:
        self.root = root
        """What the user knows: the cache folder."""
        self.path = layout_folder(root)
        """This layout's part of it."""
        self._locks = self.path / "locks"
        self._files = Files(self.path / "files", self._locks)

    @classmethod
    def open(cls, root: Path | None = None, environ: Mapping[str, str] | None = None) -> Self:
        """The store at *root*, else where *environ* (default: the process's) and the platform say.

        Makes the folders. Raises `StoreUnwritable` if that cannot be done.
        """
        chosen = default_root(os.environ if environ is None else environ) if root is None else root.absolute()
        store = cls(chosen)
        try:
            store._locks.mkdir(parents=True, exist_ok=True)
            tag = chosen / "CACHEDIR.TAG"
            if not tag.exists():
                # Tells backup programs to leave the folder out (bford.info/cachedir).
                tag.write_text(_TAG, encoding="ascii")
        except OSError as error:
            raise unwritable(chosen, error) from error
        return store

    def folder(self, name: str) -> Path:
        """A folder of its own for another member's kind of thing (``git``, ``envs``), made if missing."""
        path = self.path / name
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise unwritable(path, error) from error
        return path

    def using(self, timeout: float | None = None) -> AbstractContextManager[None]:
        """A block in which nothing is pruned or cleaned: held from the moment a tree is looked up
        until its user has a lease. Any number of processes at once; not to be nested with `prune`."""
        return holding(self._locks / "in-use", shared=True, timeout=timeout)

    # -- files --------------------------------------------------------------------------------

    def has_file(self, sha256: str) -> bool:
        """Whether the wheel or sdist is kept, without reading it."""
        return self._files.has(sha256)

    def kept_file(self, sha256: str) -> Path | None:
        """The wheel or sdist as it is kept, or None. Nothing says yet that its content is right: `unpack`
        does, and removes it if it is not."""
        return self._files.place(sha256) if self._files.has(sha256) else None

    def file(self, sha256: str) -> Path | None:
        """The kept wheel or sdist (its name there is the digest), or None. Its content is compared
        with the digest once per process (1 s per GB); a damaged file is removed."""
        return self._files.get(sha256)

    def vouched_file(self, sha256: str) -> Path:
        """The kept file, taken for what it should be: another process of this run has compared its
        content with the digest just now."""
        return self._files.vouched(sha256)

    def partial(self, sha256: str) -> int:
        """Bytes of it that an earlier, unfinished download left: `writing` goes on from there."""
        try:
            return os.stat(self._files.partial(sha256)).st_size
        except FileNotFoundError:
            return 0

    def writing(self, sha256: str | None = None, *, label: str = "") -> AbstractContextManager[Incoming]:
        """A file being written, hashed as it comes; in its place when the block ends well.

        ::

            with store.writing(sha256, label=filename) as incoming:
                if not incoming.complete:           # else another process has just finished it
                    for chunk in download(start=incoming.offset):
                        incoming.write(chunk)
            path = incoming.path

        With a digest, one process at a time writes a file (others wait) and what is there when the
        block ends by an exception is kept for resuming; `Incoming.restart` drops it. Without, the
        place is found by the digest of what came (`Incoming.sha256`). Raises `WrongDigest`, naming
        the file *label*, when the content is another: nothing is kept then. Raises `StoreUnwritable`.
        """
        return self._files.writing(sha256, label=label)

    # -- trees --------------------------------------------------------------------------------

    def tree_path(self, sha256: str) -> Path:
        """Where the wheel's tree is, if it is."""
        return self.path / "trees" / checked_digest(sha256)

    def tree(self, sha256: str, *, check: bool = True) -> Tree | None:
        """The unpacked wheel, or None if it is missing or damaged: then `unpack` makes it anew.

        With *check* its files are looked at (`pypm_store.tree_check`); what only had its modes or
        times changed is put right. Without, only the manifest is read (for asking what is in it).
        """
        tree = read_tree(self.tree_path(sha256))
        if tree is None or not check or tree_check.is_sound(tree):
            return tree
        with holding(self._locks / f"tree-{sha256}"):
            return self._sound_tree(sha256)

    def manifest_size(self, sha256: str) -> int:
        """Bytes of the list of a tree's files, 0 if there is no tree: how much there is to do with it,
        known without reading anything."""
        try:
            return os.stat(self.tree_path(sha256) / MANIFEST).st_size
        except FileNotFoundError:
            return 0

    def unpack(
        self,
        wheel: Path,
        sha256: str,
        *,
        filename: str | None = None,
        threads: int = 2,
        limits: archive.Limits | None = None,
    ) -> Tree:
        """The tree of the wheel at *wheel*, whose name as a wheel is *filename* (default: the
        path's own, which a file in this store has not).

        If the tree is there and sound already, or another process is making it, that one is
        returned. Raises `UnsafeArchive`, `WrongDigest` if the file at *wheel* is another, or
        `StoreUnwritable`; then the store is as it was.
        """
        place = self.tree_path(sha256)
        making = place.with_name(f".making-{sha256}")
        with holding(self._locks / f"tree-{sha256}"):
            tree = self._sound_tree(sha256)
            if tree is not None:
                return tree
            self._files.check(wheel, sha256, filename or wheel.name)
            with archive.WheelArchive(
                wheel, filename=filename, limits=limits or archive.DEFAULT_LIMITS
            ) as opened:
                try:
                    # Left by a process that was killed: nobody else has this lock.
                    remove_tree(making)
                    place.parent.mkdir(parents=True, exist_ok=True)
                    tree = unpacking.unpack_wheel(opened, making, threads=threads)
                    self._put_tree(making, place)
                except OSError as error:
                    raise unwritable(place.parent, error) from error
                finally:
                    remove_tree(making)
            return replace(tree, root=place)

    def _put_tree(self, making: Path, place: Path) -> None:
        """Under the tree's lock: the new tree in its place. Who holds files of a damaged one is told."""
        if not os.path.lexists(place):
            exchange.replace_tree(making, place)
            return
        # Before, lest a kill leave nobody told; and after, when nobody can link the old files any more.
        remade.note_remade(self.path, place.name)
        exchange.replace_tree(making, place)
        remade.note_remade(self.path, place.name)

    def remake(self, sha256: str) -> Tree | None:
        """The tree, mended or made anew of the wheel that is kept here. If none is, None: then a damaged tree
        is gone, and who needs it has to fetch it. Raises `StoreUnwritable` and what `unpack` raises."""
        tree = self.tree(sha256)
        if tree is not None:
            return tree
        place = self.tree_path(sha256)
        before = read_tree(place)
        wheel = self.file(sha256)
        if wheel is not None and before is not None and before.tags:
            stem = before.info.removesuffix(".dist-info")
            return self.unpack(wheel, sha256, filename=f"{stem}-{before.tags[0]}.whl")
        for built in self.path.glob("built/*/sha256"):
            found = self.built(built.parent.name)
            if found is not None and found.sha256 == sha256:
                return self.unpack(found.path, sha256)
        with holding(self._locks / f"tree-{sha256}"):
            if os.path.lexists(place) and self._sound_tree(sha256) is None:
                try:
                    _remove(place)
                    remade.note_remade(self.path, sha256)
                except OSError as error:
                    raise unwritable(place, error) from error
        return None

    def remade(self) -> Mapping[str, int]:
        """When trees (by digest) were made anew that had been damaged, in nanoseconds."""
        return remade.remade(self.path)

    def _sound_tree(self, sha256: str) -> Tree | None:
        """Under the tree's lock: the tree, mended if that is possible."""
        tree = read_tree(self.tree_path(sha256))
        if tree is None or tree_check.is_sound(tree) or tree_check.mend(tree):
            return tree
        return None

    # -- built wheels -------------------------------------------------------------------------

    def built(self, key: str) -> Built | None:
        """The wheel that was built for *key* (letters, digits, ``._-``), if it is there and whole."""
        place = self._built_place(key)
        try:
            names = sorted(os.listdir(place))
        except FileNotFoundError:
            return None
        wheels = [name for name in names if name.endswith(".whl")]
        if len(wheels) != 1 or "sha256" not in names:
            return None
        sha256 = (place / "sha256").read_text(encoding="ascii").strip()
        path = place / wheels[0]
        if digest_of(path) != sha256:
            return None
        return Built(path, sha256)

    def add_built(self, key: str, wheel: Path) -> Built:
        """Copies a wheel that was built for *key* into the store. If there is one already, by
        another process, that one stays and is returned. Raises `StoreUnwritable`."""
        place = self._built_place(key)
        with holding(self._locks / f"built-{key}"):
            found = self.built(key)
            if found is not None:
                return found
            making = Path(beside_name(place))
            try:
                making.mkdir(parents=True)
                shutil.copyfile(wheel, making / wheel.name)
                sha256 = digest_of(making / wheel.name)
                (making / "sha256").write_text(f"{sha256}\n", encoding="ascii")
                _remove(place)
                rename_over(making, place)
            except OSError as error:
                raise unwritable(place.parent, error) from error
            finally:
                remove_tree(making)
            return Built(place / wheel.name, sha256)

    @contextmanager
    def building(self, key: str) -> Iterator[Built | None]:
        """A block in which this process alone builds for *key*, so that nothing is built twice; what
        is there already, else None: then build and call `add_built` inside the block."""
        with holding(self._locks / f"building-{key}"):
            yield self.built(key)

    def _built_place(self, key: str) -> Path:
        if not (key[:1].isalnum() and key.isascii() and len(key) <= 200 and not set(key) - _KEY):
            raise ValueError(f"no key: {key!r}")
        return self.path / "built" / key

    # -- leases and upkeep --------------------------------------------------------------------

    def lease(self, owner: Path, digests: Iterable[str], *, needs: bool = False) -> None:
        """Says that *owner* (an environment's folder, absolute) uses these wheels and no others.
        `prune` keeps them as long as the owner is there; if it *needs* them, `clean` does, too."""
        lease = leases.Lease(owner.absolute(), frozenset(map(checked_digest, digests)), needs)
        try:
            leases.write_lease(self.path / "leases", lease)
        except OSError as error:
            raise unwritable(self.path / "leases", error) from error

    def release(self, owner: Path) -> None:
        """Ends the owner's lease."""
        leases.drop_lease(self.path / "leases", owner.absolute())

    def environment_path(self, digest: str) -> Path:
        """Where the store's environment of this name is, if it is."""
        return self.path / "envs" / digest

    def refer(self, owner: Path, digest: str) -> None:
        """Says that *owner* (a script, a remembered tool; absolute) uses this environment of the store.
        `prune` keeps it as long as the owner is there."""
        try:
            leases.write_lease(self.path / "references", leases.Lease(owner, frozenset({digest})))
        except OSError as error:
            raise unwritable(self.path / "references", error) from error

    def references(self) -> list[leases.Lease]:
        """Who uses which of the store's environments, also those that are gone."""
        return leases.read_leases(self.path / "references")

    def use_until_exit(self, digest: str) -> None:
        """Keeps this environment of the store from `prune` and `clean` until this process, and what it
        becomes, has ended."""
        hold_until_exit(self._locks / upkeep.in_use(digest))

    def leases(self) -> list[leases.Lease]:
        """All leases, also of owners that are gone."""
        return leases.read_leases(self.path / "leases")

    def prune(self, named: Named | None = None, *, timeout: float | None = 10) -> upkeep.Pruned:
        """Removes what no environment that is still there uses, and what killed processes left. *named* says
        what the environment in a folder names in its own record, which may be older than its lease.
        Raises `StoreBusy` if another process uses the store for *timeout* seconds."""
        with holding(self._locks / "in-use", timeout=timeout):
            return upkeep.prune_store(self.path, named or leases.nothing)

    def clean(self, named: Named | None = None, *, timeout: float | None = 10) -> int:
        """Removes everything of this layout but what environments are made of that link to it; bytes
        that were freed. Environments go on working. *named* and what is raised are as for `prune`."""
        with holding(self._locks / "in-use", timeout=timeout):
            return upkeep.clean_store(self.path, named or leases.nothing)

    def size(self) -> upkeep.Usage:
        """What the store takes, by kind."""
        return upkeep.measure_store(self.path)


def _remove(place: Path) -> None:
    """Removes a folder so that no one sees half of it."""
    if os.path.lexists(place):
        aside = beside_name(place)
        rename_over(place, aside)
        remove_tree(aside)
