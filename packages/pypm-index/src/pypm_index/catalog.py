"""`Catalog`: facts for a resolution, from the cache where it is fresh, else from the indexes.

    catalog.request(state.keys, speculative=state.speculative)
    session.feed(catalog.wait())

What is fresh in the cache is answered in bulk, in this thread, without loading anything that speaks
to a network. The rest is fetched by threads; only this thread touches the facts.

The first index, in order of priority, that has a name is the only one that is asked for it. A failed
question is never remembered as "no such package": if an index cannot be asked the run stops, for an
answer of a later index would let that one take the name over. That *no* index has a name is always
asked anew.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from pypm_index.cutoffs import Cutoffs
from pypm_index.errors import OfflineMissing, UnknownIndex
from pypm_index.file_table import FileTable
from pypm_index.kept import Kept, KeptListing
from pypm_index.ledger import Ledger
from pypm_index.ports import BuildMetadata, Fetcher
from pypm_index.raw_pages import RawPages
from pypm_index.settings import Index, Indexes
from pypm_model.artifacts import Artifact, Located
from pypm_model.digests import of_text
from pypm_model.errors import PypmError
from pypm_model.events import Listener, Warned, ignore
from pypm_model.facts import (
    Absent,
    Direct,
    DirectKey,
    Fact,
    Key,
    Listing,
    ListingKey,
    Metadata,
    MetadataKey,
    NoMetadata,
)
from pypm_model.later import later
from pypm_model.names import NormalizedName
from pypm_model.records import replace
from pypm_model.requests import BuildPolicy
from pypm_model.sources import GitSource
from pypm_model.versions import sort_key
from pypm_store.metadata_cache import MetadataCache
from pypm_store.pages import FileRow, Page
from pypm_store.store import Store

if TYPE_CHECKING:
    from pypm_index import builds, direct, find_links, locating, metadata_text, network
    from pypm_index.direct import DirectNeedsBuild, Sourced, Workplace
    from pypm_index.find_links import Folder
    from pypm_index.metadata_fetch import NeedsBuild
    from pypm_index.network import Network
    from pypm_index.page_fetch import PageAnswer
else:
    # A run that finds everything in its cache pays for none of these: they bring in `ssl`, `http.client`
    # and the readers of pages.
    builds = later("pypm_index.builds")
    direct = later("pypm_index.direct")
    find_links = later("pypm_index.find_links")
    locating = later("pypm_index.locating")
    metadata_text = later("pypm_index.metadata_text")
    network = later("pypm_index.network")

Place = tuple[str, NormalizedName]
"""(name of an index, name of a package): one page."""


class Catalog:
    """What can be had. For one thread; use it as a context manager, or call `close`."""

    def __init__(
        self,
        store: Store,
        indexes: Indexes,
        *,
        cache: MetadataCache | None = None,
        offline: bool = False,
        refresh: bool | Collection[NormalizedName] = False,
        cutoffs: Cutoffs | None = None,
        build_policy: BuildPolicy | None = None,
        build_metadata: BuildMetadata | None = None,
        root: Path | None = None,
        sourced: Sourced | None = None,
        stated: Mapping[NormalizedName, Sequence[Metadata]] | None = None,
        listener: Listener = ignore,
        workers: int | None = None,
        environ: Mapping[str, str] = os.environ,
        fetcher: Fetcher | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """*cache*: None opens the one in *store*. *offline*: the cache answers, however old. *refresh*:
        pages from before this run are asked for again, all or those of the names given.
        *build_metadata* is called, in the thread of `wait`, for what only a build tells and
        *build_policy* allows; None: nothing is built. *root* is what relative direct sources are
        relative to, *sourced* what the projects there say of where their requirements come from (see
        `pypm_index.direct`). *stated* is what the user says that packages depend on, by name: the first with
        the version in its key, or none, counts, and nothing is asked or built for it. *fetcher* replaces the
        way to the network.
        """
        self._store = store
        self._indexes = indexes
        self._offline = offline
        self._refresh = refresh
        self._policy = build_policy if build_policy is not None else BuildPolicy()
        self._build_metadata = build_metadata
        self._root = root if root is not None else Path.cwd()
        self._sourced = sourced
        self._stated = stated if stated is not None else {}
        self._listener = listener
        self._workers = workers
        self._environ = environ
        self._fetcher = fetcher
        self._clock = clock
        self._started = clock()
        self.cache = cache if cache is not None else MetadataCache(store.path)
        """What indexes said earlier."""
        self._owns_cache = cache is None
        self._raw_pages = RawPages(store.path / "pages")
        self._kept = Kept(
            self.cache, self._raw_pages, cutoffs if cutoffs is not None else Cutoffs(), self._policy
        )
        if self.cache.warning is not None:
            listener(self.cache.warning)
        self._network: Network | None = None
        self._folders: dict[str, Folder] = {}

        self._files = FileTable(
            self._kept, indexes, self.cache, self._folder, self._connected, self._ask_again
        )
        self._ledger = Ledger()
        self._answered: dict[Place, Listing | None] = {}  # pages of this run; None: not there
        self._pages: dict[Place, Page] = {}  # those of them that are no folders
        self._stale: dict[Place, KeptListing | None] = {}  # pages being fetched: what was known before
        self._waiting: dict[Place, list[Key]] = {}  # what goes on when a page has been fetched
        self._builds: dict[Key, NeedsBuild | DirectNeedsBuild] = {}  # what waits to be needed
        self._warned: set[tuple[str, str]] = set()
        self._commits: Mapping[NormalizedName, tuple[GitSource, ...]] = {}
        self._anew: Collection[NormalizedName] = ()

    # -- asking ----------------------------------------------------------------------------------

    def request(self, keys: Iterable[Key], *, speculative: Iterable[Key] = ()) -> None:
        """Begins to find out about *keys*; `wait` will wait for them, and not for the *speculative*.

        What has been answered before is answered again. A speculative key that fails, as one of an index
        does that is not known (any more), is forgotten, and may be needed later. Raises `UnknownIndex`.
        """
        self._continue(self._ledger.ask(keys, filter(self._may_know, speculative)))

    def wait(self) -> tuple[Fact, ...]:
        """The facts that have arrived since the last time, when all needed ones are among them. Their
        order says nothing.

        Raises what stood in the way of a needed one: the errors of `pypm_index.errors`, of
        *build_metadata*, or of the store. A key that failed can be asked for again.
        """
        ledger = self._ledger
        while ledger.needed:
            error = ledger.failed()
            if error is not None:
                raise error
            done = self._network.take(wait=False) if self._network is not None else None
            if done is None:
                build = next((key for key in self._builds if key in ledger.needed), None)
                if build is not None:
                    self._build(build)
                    continue
                if self._network is None or not self._network.busy:
                    raise AssertionError(f"nothing is under way for {next(iter(ledger.needed))}")
                done = self._network.take(wait=True)
            if done is not None:
                self._take(done.token, done.result, done.error)
        while self._network is not None and (done := self._network.take(wait=False)) is not None:
            self._take(done.token, done.result, done.error)
        return ledger.hand_out()

    def close(self) -> None:
        """Writes what has been learned, and sends the threads home."""
        for waiting in self._builds.values():
            if isinstance(waiting.key, DirectKey):
                waiting.discard()
        self._builds = {}
        if self._network is not None:
            self._network.close()
            self._network = None
        self._kept.flush()
        if self._owns_cache:
            self.cache.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def known(self, keys: Iterable[ListingKey]) -> dict[ListingKey, Listing]:
        """What indexes said of *keys*, which name their index, however long ago; nothing is asked. What is
        not known is left out, and so are indexes that are not known any more."""
        by_index: dict[str, list[ListingKey]] = {}
        for key in keys:
            by_index.setdefault(key.index, []).append(key)
        found: dict[ListingKey, Listing] = {}
        for name, some in by_index.items():
            try:
                index = self._indexes.named(name)
            except UnknownIndex:
                continue
            if index.folder is not None:
                folder = self._folder(index)
                told = {key: folder.listing(key, self._kept.cutoff(index, key.name)) for key in some}
            else:
                told = {key: kept.listing for key, kept in self._kept.listings(index, some).items()}
            found.update((key, listing) for key, listing in told.items() if listing is not None)
        return found

    def state(self, keys: Iterable[ListingKey]) -> str | None:
        """A digest of what the pages say that have answered *keys* in this run; None if others did, or none.

        Whatever follows from the answers follows again from those of pages in the same state, under the same
        policies.
        """
        return self._state(keys, self._pages)

    def state_at_hand(self, keys: Iterable[ListingKey]) -> str | None:
        """The `state` there would be if *keys* were asked now, where no page would have to be asked for;
        None otherwise. Nothing is read but what is kept of the pages as such."""
        keys = list(keys)
        now = self._clock()
        pages: dict[Place, Page] = {}
        for index in self._indexes.all:
            names = [key.name for key in keys if key.index in ("", index.name)]
            if index.folder is None and names:
                found = self.cache.pages(index.identity, names)
                pages.update({(index.name, name): page for name, page in found.items()})
        for key in keys:
            for index in self._chain(key):
                page = pages.get((index.name, key.name))
                if page is None or not self._is_good(page, key, index, now):
                    return None
                if page.status == 200:
                    break
        return self._state(keys, pages)

    def _state(self, keys: Iterable[ListingKey], pages: Mapping[Place, Page]) -> str | None:
        told = []
        for key in keys:
            for index in self._chain(key):
                page = pages.get((index.name, key.name))
                if page is None or (page.status == 200 and not page.digest):
                    return None
                cutoff = self._kept.cutoff(index, key.name)
                told.append(f"{index.name} {index.identity} {key.name} {page.status} {page.digest} {cutoff}")
                if page.status == 200:
                    break
        return of_text("\n".join(told)) if told else None

    # -- files -----------------------------------------------------------------------------------

    def files(self, name: NormalizedName, version: str, index: str) -> tuple[Artifact, ...]:
        """The files of one version that count: not newer than the cut-off, not yanked (unless all
        are); sorted by file name. Where the index gives no digests ``sha256`` is empty: see `settle`."""
        return self.all_files([(name, version, index)])[name, version, index]

    def all_files(
        self, versions: Iterable[tuple[NormalizedName, str, str]]
    ) -> dict[tuple[NormalizedName, str, str], tuple[Artifact, ...]]:
        """`files` of many (name, version, index), in one query for each index."""
        return self._files.artifacts(versions)

    def settle(self, name: NormalizedName, version: str, index: str) -> tuple[Artifact, ...]:
        """`files`, each with its size and sha256: where the index gives none the file is downloaded,
        once, and stays in the store."""
        return self._files.settled(name, version, index)

    def locate(self, wanted: Sequence[tuple[NormalizedName, str, Artifact]]) -> tuple[Located, ...]:
        """Where to get files that a lock names: for each (package, name of its index, file), in order.

        A file with a `path` is below the place where its index has its files; that place, and the
        address of every other file, is told by the index's pages: by those in the cache, else by as
        few as will do. Raises `FileGone` if the index does not have a file (any more), `OfflineMissing`
        if nobody knows and none may be asked, and `UnknownIndex`.
        """
        return locating.locate(
            wanted, self._indexes, self._files.every_row, self.cache, offline=self._offline
        )

    def provenance(
        self, versions: Iterable[tuple[NormalizedName, str, str]]
    ) -> dict[tuple[NormalizedName, str, str], dict[str, str]]:
        """Addresses of attestations (PEP 740) of the files of each (name, version, name of the index), by
        digest, as the pages at hand have them; versions without any are left out. Nothing is asked."""
        return self._files.provenance(versions)

    def relocate(self, located: Located) -> Located | None:
        """Where the file is by the index's page as it is now, for one that was not found where
        `locate` said; None if the index does not have it any more."""
        return locating.relocate(located, self._indexes, self._files.every_row, self.cache)

    def contradictions(
        self, wheels: Mapping[MetadataKey, tuple[str, Callable[[], bytes]]]
    ) -> dict[MetadataKey, tuple[str, ...]]:
        """For wheels (file name, what reads METADATA of the unpacked wheel) names of the fields in which they
        say something else than the index said of them when they were resolved (PEP 658). Those that agree,
        and of which nothing was said, are left out. From now on what is in the wheel counts."""
        found = {}
        for name in dict.fromkeys(key.index for key in wheels):
            index = self._indexes.named(name)
            keys = [key for key in wheels if key.index == name]
            for key, fact in self._kept.metadata(index, keys).items():
                filename, read = wheels[key]
                if not isinstance(fact, Metadata) or fact.origin != filename:
                    continue
                own = metadata_text.facts(metadata_text.read(read()), key, filename)
                differing = metadata_text.contradictions(fact, own)
                if differing:
                    found[key] = differing
                    self._kept.keep_metadata(index, own)
        return found

    def connect(self) -> Fetcher:
        """The way to the network, made when it is first asked for."""
        return self._connected().fetcher

    def workplace(self) -> Workplace:
        """What `pypm_index.direct` needs for looking at direct sources, and for obtaining them."""
        return direct.Workplace(
            self._store,
            self.cache,
            self.connect,
            self._root,
            self._environ,
            self._listener,
            self._offline,
            self._refresh is True,
            self._clock,
            self._commits,
            self._anew,
            self._sourced if self._sourced is not None else direct.as_written,
        )

    def keep_commits(
        self,
        commits: Mapping[NormalizedName, tuple[GitSource, ...]],
        *,
        anew: Collection[NormalizedName] = (),
    ) -> None:
        """From now on branches and tags are taken to be at *commits*, by the name of what comes from
        there: where a lock has them. Where those of the names *anew* are now is asked, however lately that
        was done."""
        if (commits, anew) != (self._commits, self._anew):
            self._commits, self._anew = commits, anew
            self._ledger.forget_all(DirectKey)

    # -- pages -----------------------------------------------------------------------------------

    def _continue(self, keys: Sequence[Key]) -> None:
        """Goes as far with *keys* as can be gone without waiting."""
        self._list([key for key in keys if isinstance(key, ListingKey)])
        self._read([key for key in keys if isinstance(key, MetadataKey)])
        for key in keys:
            if isinstance(key, DirectKey):
                self._look(key)

    def _may_know(self, key: Key) -> bool:
        """Whether the index that *key* names, if it names one, is there."""
        if isinstance(key, DirectKey) or (isinstance(key, ListingKey) and not key.index):
            return True
        return any(index.name == key.index for index in self._indexes.all)

    def _chain(self, key: ListingKey) -> tuple[Index, ...]:
        return (self._indexes.named(key.index),) if key.index else self._indexes.implicit

    def _list(self, keys: Sequence[ListingKey]) -> None:
        """Answers *keys* as far as their indexes have answered, and asks the next index of each."""
        todo = keys
        while todo:
            by_index: dict[str, list[ListingKey]] = {}
            for key in todo:
                for index in self._chain(key):
                    place = index.name, key.name
                    if place not in self._answered:
                        by_index.setdefault(index.name, []).append(key)
                        break
                    listing = self._answered[place]
                    if listing is not None:
                        self._ledger.settle(key, listing if listing.key == key else replace(listing, key=key))
                        break
                else:
                    self._ledger.settle(key, Absent(key, tuple([index.name for index in self._chain(key)])))
            todo = [
                key for name, some in by_index.items() for key in self._ask(self._indexes.named(name), some)
            ]

    def _ask(self, index: Index, keys: Sequence[ListingKey]) -> list[ListingKey]:
        """Those of *keys* that *index* has answered at once; pages of the others are being fetched."""
        if index.folder is not None:
            folder = self._folder(index)
            for key in keys:
                self._answered[index.name, key.name] = folder.listing(key, self._kept.cutoff(index, key.name))
            return list(keys)
        answered: list[ListingKey] = []
        kept = self._kept.listings(index, keys)
        now = self._clock()
        for key in keys:
            place = index.name, key.name
            known = kept.get(key)
            if known is not None and self._is_good(known.page, key, index, now):
                self._answered[place] = known.listing
                self._pages[place] = known.page
                answered.append(key)
            elif self._offline:
                self._ledger.fail(key, OfflineMissing(f"the list of versions of {key.name}", index.name))
            elif place in self._waiting:
                self._waiting[place].append(key)
            else:
                self._start_page(index, key.name, known, key)
        return answered

    def _is_good(self, page: Page, key: ListingKey, index: Index, now: float) -> bool:
        if self._offline or page.fetched >= self._started:
            return True
        if self._refresh is True or (self._refresh is not False and key.name in self._refresh):
            return False
        if page.status != 200 and index == self._chain(key)[-1]:
            # Nobody has it: worth another look before a resolution fails because of it.
            return False
        return page.is_fresh(now)

    def _start_page(self, index: Index, name: NormalizedName, known: KeptListing | None, key: Key) -> None:
        place = index.name, name
        self._waiting[place] = [key]
        self._stale[place] = known
        fetching = self._connected()
        page: Page | None = known.page if known is not None else None
        cutoff = self._kept.cutoff(index, name)
        fetching.fetch_page(network.PageJob(index, name), page, cutoff, urgent=key in self._ledger.needed)

    def _take_page(self, index: Index, name: NormalizedName, answer: PageAnswer) -> None:
        place = index.name, name
        known = self._stale.pop(place, None)
        content = answer.content
        self._pages[place] = answer.kept
        if content is not None or answer.is_absent:
            self._kept.keep_page(index, answer.kept, content)
            self._answered[place] = None if content is None else content.dated.listing
        else:
            assert known is not None, "only a page that was known can be unchanged"
            self._kept.touch(index, answer.kept)
            self._answered[place] = known.listing
        if content is not None and content.newer:
            spoken = f"speaks version {content.newer} of the simple API, newer than this pypm"
            self._warn("index-api-newer", index.name, f"index {index.name!r} {spoken}")
        if content is not None and content.dated.undated:
            missing = "does not say when files were uploaded: they count as too new"
            self._warn("no-upload-times", index.name, f"index {index.name!r} {missing}")
        self._continue(self._waiting.pop(place, []))

    # -- metadata --------------------------------------------------------------------------------

    def _read(self, keys: Sequence[MetadataKey]) -> None:
        """Answers *keys* from the cache, and begins to fetch the rest."""
        by_index: dict[str, list[MetadataKey]] = {}
        for key in keys:
            stated = self._stated_of(key.name, key.version)
            if stated is not None:
                self._ledger.settle(key, replace(stated, key=key))
            else:
                by_index.setdefault(key.index, []).append(key)
        for name, some in by_index.items():
            index = self._indexes.named(name)
            if index.folder is not None:
                for key in some:
                    rows = self._folder(index).rows(key.name).get(key.version, ())
                    self._read_from(index, key, rows)
                continue
            known = self._kept.metadata(index, some)
            for key, fact in known.items():
                self._ledger.settle(key, fact)
            missing = [key for key in some if key not in known]
            if missing:
                rows_of = self._kept.rows(index, [(key.name, key.version) for key in missing])
                for key in missing:
                    self._read_from(index, key, rows_of.get((key.name, key.version), ()))

    def _stated_of(self, name: NormalizedName, version: str) -> Metadata | None:
        """What the user says of the version of a package."""
        if name not in self._stated:
            return None
        wanted = sort_key(version)
        for one in self._stated[name]:
            if not one.key.version or sort_key(one.key.version) == wanted:
                return one
        return None

    def _read_from(self, index: Index, key: MetadataKey, rows: Sequence[FileRow]) -> None:
        """Begins to read the best of *rows*; where there is none, looks at the page first."""
        if not rows:
            rows = self._other_spelling(index, key)
        if not rows and index.folder is None and self._is_lost(index, key):
            self._after_page(index, key)
            return
        row = self._kept.choose(index, key.name, rows)
        if row is None:
            reason = f"index {index.name!r} has no file of {key.name} {key.version} that may be used"
            self._ledger.settle(key, NoMetadata(key, reason))
        elif self._offline and index.folder is None and self._in_store(row) is None:
            self._ledger.fail(key, OfflineMissing(f"the metadata of {key.name} {key.version}", index.name))
        else:
            whole = self._may_build(key.name) or self._in_store(row) is not None
            job = network.MetadataJob(key, row, whole)
            self._connected().fetch_metadata(job, urgent=key in self._ledger.needed)

    def _other_spelling(self, index: Index, key: MetadataKey) -> Sequence[FileRow]:
        """The files of an equal version that the page spells in another way."""
        wanted = sort_key(key.version)
        every = (
            self._folder(index).rows(key.name)
            if index.folder is not None
            else self._kept.all_rows(index, key.name)
        )
        return next((rows for version, rows in every.items() if sort_key(version) == wanted), ())

    def _is_lost(self, index: Index, key: MetadataKey) -> bool:
        """Whether the page, which is not at hand, may have the version."""
        place = index.name, key.name
        if place not in self._answered:
            return True
        listing = self._answered[place]
        return listing is not None and sort_key(key.version) in listing.keys

    def _after_page(self, index: Index, key: MetadataKey) -> None:
        place = index.name, key.name
        if place in self._waiting:
            self._waiting[place].append(key)
        elif self._offline:
            self._ledger.fail(key, OfflineMissing(f"the list of versions of {key.name}", index.name))
        else:
            self._start_page(index, key.name, None, key)

    def _in_store(self, row: FileRow) -> Path | None:
        return self._store.file(row.artifact.sha256) if row.artifact.sha256 else None

    # -- direct sources and builds ---------------------------------------------------------------

    def _look(self, key: DirectKey) -> None:
        place = self.workplace()
        try:
            found = direct.look_here(key, place)
        except PypmError as error:
            self._ledger.fail(key, error)
            return
        if found is not None:
            self._take_direct(key, found)
        else:
            job = network.DirectJob(key)
            self._connected().look(job, place, urgent=key in self._ledger.needed)

    def _take_direct(self, key: DirectKey, found: Direct | DirectNeedsBuild) -> None:
        if isinstance(found, Direct):
            self._settle_direct(key, found)
            return
        # Of what only a build would tell: one that is said of a version says which it is as well.
        stated = next((one for one in self._stated.get(key.name, ()) if one.key.version), None)
        if stated is None:
            self._builds[key] = found
        else:
            found.discard()
            self._settle_direct(key, Direct(key, found.source, stated.key.version, (), ()))

    def _settle_direct(self, key: DirectKey, fact: Direct) -> None:
        """Answers *key* with what a source says, or what the user says of it instead."""
        stated = self._stated_of(fact.key.name, fact.version)
        if stated is None:
            fact = direct.from_root(fact, self._root)
        else:
            fact = replace(
                fact, requires=stated.requires, extras=stated.extras, requires_python=stated.requires_python
            )
        self._ledger.settle(key, fact)

    def _take_metadata(
        self, key: MetadataKey, row: FileRow, found: Metadata | NoMetadata | NeedsBuild
    ) -> None:
        if isinstance(found, (Metadata, NoMetadata)):
            fact = found
        elif not self._may_build(key.name):
            fact = builds.refused(found)
        else:
            known = builds.known(found, self.cache)
            if known is None:
                self._builds[key] = found
            else:
                self._ledger.settle(key, known)
            return
        index = self._indexes.named(key.index)
        if index.folder is None:
            self._kept.keep_metadata(index, fact)
        self._ledger.settle(key, fact)

    def _may_build(self, name: NormalizedName) -> bool:
        return self._build_metadata is not None and self._policy.may_build(name)

    def _build(self, key: Key) -> None:
        """Has the metadata of *key* built, here and now: that may take a resolution of its own."""
        waiting = self._builds.pop(key)
        try:
            fact = builds.built(waiting, self.cache, self._build_metadata, self._policy)
            if isinstance(key, DirectKey) and isinstance(fact, Direct):
                self._settle_direct(key, fact)
            else:
                self._ledger.settle(key, fact)
        except BaseException as error:
            self._ledger.fail(key, error)

    # -- ends of jobs ----------------------------------------------------------------------------

    def _take(self, token: Any, result: Any, error: BaseException | None) -> None:
        """One job of the network has ended; *token* is a ``Job`` of `pypm_index.network`."""
        if isinstance(token, network.PageJob):
            if error is None:
                self._take_page(token.index, token.name, result)
                return
            place = token.index.name, token.name
            self._stale.pop(place, None)
            for key in self._waiting.pop(place, []):
                self._ledger.fail(key, error)
        elif error is not None:
            self._ledger.fail(token.key, error)
        elif isinstance(token, network.MetadataJob):
            self._take_metadata(token.key, token.row, result)
        else:
            self._take_direct(token.key, result)

    def _warn(self, code: str, index: str, message: str) -> None:
        if (code, index) not in self._warned:
            self._warned.add((code, index))
            self._listener(Warned(code, message))

    # -- within ----------------------------------------------------------------------------------

    def _ask_again(self, index: Index, name: NormalizedName) -> bool:
        """Has the page of *name* fetched and waits for it; not when offline."""
        if self._offline:
            return False
        key = ListingKey(name, index.name)
        self._ledger.forget(key)
        self._ledger.ask([key])
        self._answered.pop((index.name, name), None)
        if (index.name, name) in self._waiting:
            self._waiting[index.name, name].append(key)
        else:
            self._start_page(index, name, self._kept.listings(index, [key]).get(key), key)
        self.wait()
        return True

    def _connected(self) -> Network:
        if self._network is None:
            self._network = network.Network(
                self._store,
                self._indexes,
                self._environ,
                self._raw_pages,
                listener=self._listener,
                workers=self._workers,
                fetcher=self._fetcher,
                clock=self._clock,
            )
        return self._network

    def _folder(self, index: Index) -> Folder:
        if index.name not in self._folders:
            self._folders[index.name] = find_links.Folder(index, self.cache)
        return self._folders[index.name]
