"""What is kept of earlier answers: bulk reads of the cache, and writes that are put off.

A listing made without a cut-off serves under every cut-off later than its newest upload; where a
newer upload is, the listing under the cut-off is kept as a variant of its own. Rows of files are kept
for versions that somebody wanted; those of others are read from the page as it came (`raw_pages`). What has
been fetched in this run and not been written yet is found here too.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from pypm_index.counting import usable
from pypm_index.cutoffs import Cutoffs
from pypm_index.raw_pages import RawPages
from pypm_index.settings import Index
from pypm_model.facts import Listing, ListingKey, Metadata, MetadataKey, NoMetadata
from pypm_model.later import later
from pypm_model.names import NormalizedName
from pypm_model.records import record, replace
from pypm_model.requests import BuildPolicy
from pypm_store.metadata_cache import MetadataCache
from pypm_store.pages import FileRow, Page
from pypm_store.pages import PageContent as Written

if TYPE_CHECKING:
    from pypm_index import choice, listings, page_fetch
    from pypm_index.page_fetch import PageContent
    from pypm_index.releases import Releases
else:
    choice = later("pypm_index.choice")
    listings = later("pypm_index.listings")
    page_fetch = later("pypm_index.page_fetch")

NEWEST = "newest-upload"
"""Kind of a small fact: per index identity and name, (the page's digest, its newest upload)."""

BASE = "files-base"
"""Kind of a small fact: per index identity, what stands before the shared path of its files."""

_NO_POLICY = BuildPolicy()

_FLUSH_AT = 64
"""Pages that may wait to be written. Writing each as it comes would cost more than fetching it: every
statement gives the interpreter away to the threads that read pages."""

_READ_AGAIN = 8
"""Pages read again that are held for the next question."""

Version = tuple[NormalizedName, str]


@record
class KeptListing:
    """An earlier answer of one index for one name."""

    page: Page
    listing: Listing | None
    """None: the index did not have the name."""


@record
class _Unwritten:
    """A page of this run."""

    page: Page
    content: PageContent | None
    """None: the index does not have the name."""


class Kept:
    """The cache, seen under one set of policies. For one thread."""

    def __init__(
        self, cache: MetadataCache, raw_pages: RawPages, cutoffs: Cutoffs, policy: BuildPolicy
    ) -> None:
        self.cache = cache
        self._raw_pages = raw_pages
        self._cutoffs = cutoffs
        self._policy = policy
        self._unwritten: dict[str, dict[NormalizedName, _Unwritten]] = {}
        self._touched: dict[str, list[Page]] = {}
        self._metadata: dict[str, list[Metadata | NoMetadata]] = {}
        self._waiting = 0
        self._read_again: OrderedDict[tuple[str, NormalizedName], tuple[Page, Releases]] = OrderedDict()
        self._more_rows: dict[tuple[Index, NormalizedName], tuple[Page, Releases]] = {}

    def cutoff(self, index: Index, name: NormalizedName) -> str:
        """The cut-off in force for *name* on *index*; empty: none."""
        return self._cutoffs.of(name, index.name)

    # -- listings ------------------------------------------------------------------------------

    def listings(self, index: Index, keys: Iterable[ListingKey]) -> dict[ListingKey, KeptListing]:
        """Earlier answers, under the cut-offs in force; keys never asked for are left out."""
        variants: dict[str, list[ListingKey]] = {}
        dated: list[tuple[ListingKey, str]] = []
        for key in keys:
            cutoff = self.cutoff(index, key.name)
            if cutoff:
                dated.append((key, cutoff))
            else:
                variants.setdefault("", []).append(key)
        newest = self._newest_uploads(index, [key.name for key, _ in dated])
        for key, cutoff in dated:
            _, upload = newest.get(key.name, ("", ""))
            variants.setdefault("" if upload and upload < cutoff else cutoff, []).append(key)
        found: dict[ListingKey, KeptListing] = {}
        for variant, some in variants.items():
            rows = self.cache.listings(index.identity, some, index_name=index.name, variant=variant)
            for key, (page, known) in rows.items():
                cutoff = self.cutoff(index, key.name)
                # The newest upload must be of this very page: another process may have replaced it.
                late = cutoff and not variant and newest[key.name][0] != page.digest
                if page.status == 200 and (known is None or late):
                    known = self._made_again(index, key, page, cutoff)
                    if known is None:
                        continue
                found[key] = KeptListing(page, known)
        return found

    def _newest_uploads(
        self, index: Index, names: list[NormalizedName]
    ) -> dict[NormalizedName, tuple[str, str]]:
        """(digest of the page, its newest upload) by name."""
        if not names:
            return {}
        prefix = f"{index.identity} "
        values = self.cache.values(NEWEST, [prefix + name for name in names])
        return {
            NormalizedName(key.removeprefix(prefix)): (value[0], value[1]) for key, value in values.items()
        }

    def _made_again(self, index: Index, key: ListingKey, page: Page, cutoff: str) -> Listing | None:
        """The listing under *cutoff*, from the page as it came; None if that is not there."""
        releases = self._releases(index, key.name, page)
        if releases is None:
            return None
        made = listings.listing(key, index.name, releases, cutoff)
        self.cache.put_listings(index.identity, cutoff, [(page, made.listing)])
        self.cache.put_values(NEWEST, {f"{index.identity} {key.name}": [page.digest, made.newest]})
        return made.listing

    # -- files ---------------------------------------------------------------------------------

    def rows(self, index: Index, versions: Iterable[Version]) -> dict[Version, tuple[FileRow, ...]]:
        """All files of the given versions, as the pages have them; unknown ones are left out."""
        found: dict[Version, tuple[FileRow, ...]] = {}
        cold: list[Version] = []
        unwritten = self._unwritten.get(index.identity, {})
        for name, version in versions:
            fresh = unwritten.get(name)
            if fresh is None:
                cold.append((name, version))
            elif fresh.content is not None and (rows := fresh.content.releases.rows(version)):
                found[name, version] = rows
        if not cold:
            return found
        found.update(self.cache.files(index.identity, cold))
        missing: dict[NormalizedName, list[str]] = {}
        for name, version in cold:
            if (name, version) not in found:
                missing.setdefault(name, []).append(version)
        pages = self.cache.pages(index.identity, missing) if missing else {}
        for name, page in pages.items():
            releases = self._releases(index, name, page)
            if releases is None:
                continue
            for version in missing[name]:
                if rows := releases.rows(version):
                    found[name, version] = rows
                    self._more_rows[index, name] = page, releases
        return found

    def all_rows(self, index: Index, name: NormalizedName) -> Mapping[str, tuple[FileRow, ...]]:
        """All files of all versions of *name*, by version; empty if the page is not kept."""
        fresh = self._unwritten.get(index.identity, {}).get(name)
        if fresh is not None:
            releases = None if fresh.content is None else fresh.content.releases
        else:
            page = self.cache.pages(index.identity, [name]).get(name)
            releases = None if page is None else self._releases(index, name, page)
        if releases is None:
            return {}
        return {version: releases.rows(version) for version in releases.versions}

    def _releases(self, index: Index, name: NormalizedName, page: Page) -> Releases | None:
        """What *page* says, read again from the page as it came; None if that is not there."""
        place = index.identity, name
        if place in self._read_again and self._read_again[place][0].digest == page.digest:
            self._read_again.move_to_end(place)
            return self._read_again[place][1]
        answer = self._raw_pages.read(index.identity, page) if page.status == 200 else None
        if answer is None:
            return None
        releases = page_fetch.read_releases(name, answer)
        self._read_again[place] = page, releases
        if len(self._read_again) > _READ_AGAIN:
            self._read_again.popitem(last=False)
        return releases

    def choose(self, index: Index, name: NormalizedName, rows: Iterable[FileRow]) -> FileRow | None:
        """The file among *rows* that is read for the version's dependencies."""
        return choice.best(self.usable(index, name, rows), name, self._policy)

    def usable(self, index: Index, name: NormalizedName, rows: Iterable[FileRow]) -> tuple[FileRow, ...]:
        """Those of *rows* that count under the cut-off in force and are not yanked (see `choice`)."""
        return usable(rows, self.cutoff(index, name))

    # -- metadata ------------------------------------------------------------------------------

    def metadata(self, index: Index, keys: Iterable[MetadataKey]) -> dict[MetadataKey, Metadata | NoMetadata]:
        """Dependencies known from earlier, from the files that the policies in force choose; left out
        is also what an allowed build would tell better."""
        wanted = tuple(keys)
        aliases = dict(zip(wanted, self._aliases(index, wanted), strict=True))
        found = self.cache.metadata(index.identity, aliases.values())
        good: dict[MetadataKey, Metadata | NoMetadata] = {}
        for key, alias in aliases.items():
            fact = found.get(alias)
            if fact is None:
                continue
            if isinstance(fact, NoMetadata) and fact.needs_build and self._policy.may_build(key.name):
                continue
            good[key] = fact if alias is key else replace(fact, key=key)
        return good

    def _aliases(self, index: Index, keys: tuple[MetadataKey, ...]) -> list[MetadataKey]:
        """The keys under which the cache has them: another than the key itself where a cut-off or
        ``no-binary`` makes another file of the version be read than would be otherwise."""
        policy = self._policy
        careful = [k for k in keys if self.cutoff(index, k.name) or not policy.takes_wheels(k.name)]
        if not careful:
            return list(keys)
        rows = self.rows(index, [(key.name, key.version) for key in careful])
        alias: dict[MetadataKey, MetadataKey] = {}
        for key in careful:
            files = rows.get((key.name, key.version), ())
            chosen = self.choose(index, key.name, files)
            if chosen is not None and chosen is not choice.best(usable(files, ""), key.name, _NO_POLICY):
                mark = f"{key.version} {chosen.artifact.filename} {chosen.artifact.sha256[:16]}"
                alias[key] = key._replace(version=mark)
        return [alias.get(key, key) for key in keys]

    # -- writing -------------------------------------------------------------------------------

    def keep_page(self, index: Index, page: Page, content: PageContent | None) -> None:
        """A page that is new or has changed; without *content*: the index does not have the name."""
        self._unwritten.setdefault(index.identity, {})[page.name] = _Unwritten(page, content)
        self._waiting += 1
        if self._waiting >= _FLUSH_AT:
            self.flush()

    def touch(self, index: Index, page: Page) -> None:
        """A page that was confirmed."""
        self._touched.setdefault(index.identity, []).append(page)

    def keep_metadata(self, index: Index, fact: Metadata | NoMetadata) -> None:
        """Dependencies as read from the file that was chosen."""
        (alias,) = self._aliases(index, (fact.key,))
        self._metadata.setdefault(index.identity, []).append(replace(fact, key=alias))

    def flush(self) -> None:
        """Writes what waits. Raises `pypm_store.cache_file.CacheUnusable`."""
        unwritten, self._unwritten = self._unwritten, {}
        touched, self._touched = self._touched, {}
        metadata, self._metadata = self._metadata, {}
        self._waiting = 0
        # Pages before metadata: a changed page drops what was known of its versions.
        for identity, pages in unwritten.items():
            self._write_pages(identity, pages)
        for identity, confirmed in touched.items():
            self.cache.touch_pages(identity, confirmed)
        for identity, facts in metadata.items():
            self.cache.put_metadata(identity, facts)
        self._write_more_rows()

    def _write_pages(self, identity: str, pages: Mapping[NormalizedName, _Unwritten]) -> None:
        written: list[Written] = []
        newest: dict[str, list[str]] = {}
        base = ""
        known = self.cache.pages(identity, pages)
        for name, fresh in pages.items():
            page, content = fresh.page, fresh.content
            if content is None:
                written.append(Written(page, {}, {}))
                continue
            # The cache compares files version by version: those whose rows it has must be given.
            for version in self.cache.files_of(identity, name) if name in known else ():
                content.releases.rows(version)
            written.append(Written(page, dict(content.releases.made), content.listings))
            newest[f"{identity} {name}"] = [page.digest, content.plain.newest]
            base = content.base or base
        self.cache.put_pages(identity, written)
        if newest:
            self.cache.put_values(NEWEST, newest)
        if base:
            self.cache.put_values(BASE, {identity: base})

    def _write_more_rows(self) -> None:
        """Rows of pages in the cache that were made from the pages as they came."""
        more, self._more_rows = self._more_rows, {}
        for (index, name), (page, releases) in more.items():
            key = ListingKey(name, index.name)
            variants = {"", self.cutoff(index, name)}
            variants_of: dict[str, Listing] = {}
            current = page
            for variant in variants:
                found = self.cache.listings(index.identity, [key], index_name=index.name, variant=variant)
                current, known = found.get(key, (page, None))
                if known is not None:
                    variants_of[variant] = known
            if current.digest == page.digest:
                files = {**self.cache.files_of(index.identity, name), **releases.made}
                self.cache.put_pages(index.identity, [Written(current, files, variants_of)])
