"""What is kept of earlier answers: bulk reads of the cache, and writes that wait for an idle moment.

A listing made without a cut-off serves under every cut-off later than its newest upload; where a
newer upload is, the listing under the cut-off is kept as a variant of its own. What has been fetched
in this run and not been written yet is found here too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from pypm_model.facts import Listing, ListingKey, Metadata, MetadataKey, NoMetadata
from pypm_model.names import NormalizedName
from pypm_model.requests import BuildPolicy
from pypm_store.metadata_cache import MetadataCache
from pypm_store.pages import FileRow, Page, PageContent

from pypm_index.choice import best, usable
from pypm_index.cutoffs import Cutoffs
from pypm_index.listings import listing
from pypm_index.releases import Release
from pypm_index.settings import Index

NEWEST = "newest-upload"
"""Kind of a small fact: per index identity and name, (the page's digest, its newest upload)."""

BASE = "files-base"
"""Kind of a small fact: per index identity, what stands before the shared path of its files."""

_NO_POLICY = BuildPolicy()

_FLUSH_AT = 64
"""Pages that may wait to be written before it is done without an idle moment."""


@dataclass(frozen=True, slots=True)
class KeptListing:
    """An earlier answer of one index for one name."""

    page: Page
    listing: Listing | None
    """None: the index did not have the name."""


class Kept:
    """The cache, seen under one set of policies. For one thread."""

    def __init__(self, cache: MetadataCache, cutoffs: Cutoffs, policy: BuildPolicy) -> None:
        self.cache = cache
        self._cutoffs = cutoffs
        self._policy = policy
        self._pages: dict[str, dict[NormalizedName, PageContent]] = {}
        self._newest: dict[str, list[str]] = {}
        self._bases: dict[str, str] = {}
        self._touched: dict[str, list[Page]] = {}
        self._metadata: dict[str, list[Metadata | NoMetadata]] = {}
        self._waiting = 0

    # -- listings ------------------------------------------------------------------------------

    def listings(self, index: Index, keys: Iterable[ListingKey]) -> dict[ListingKey, KeptListing]:
        """Earlier answers, under the cut-offs in force; keys never asked for are left out."""
        variants: dict[str, list[ListingKey]] = {}
        dated: list[tuple[ListingKey, str]] = []
        for key in keys:
            cutoff = self._cutoffs.of(key.name, index.name)
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
                cutoff = self._cutoffs.of(key.name, index.name)
                # The newest upload must be of this very page: another process may have replaced it.
                late = cutoff and not variant and newest[key.name][0] != page.digest
                if page.status == 200 and (known is None or late):
                    known = self._made_again(index, key, page, cutoff)
                    if known is None:
                        continue
                found[key] = KeptListing(page, known)
        return found

    def cutoff(self, index: Index, name: NormalizedName) -> str:
        """The cut-off in force for *name* on *index*; empty: none."""
        return self._cutoffs.of(name, index.name)

    def _newest_uploads(
        self, index: Index, names: list[NormalizedName]
    ) -> dict[NormalizedName, tuple[str, str]]:
        if not names:
            return {}
        prefix = f"{index.identity} "
        values = self.cache.values(NEWEST, [prefix + name for name in names])
        return {
            NormalizedName(key.removeprefix(prefix)): (value[0], value[1]) for key, value in values.items()
        }

    def _made_again(self, index: Index, key: ListingKey, page: Page, cutoff: str) -> Listing | None:
        """The listing under *cutoff*, from the cold rows; None if these are not there."""
        name = key.name
        plain_key = ListingKey(name, index.name)
        plain = self.cache.listings(index.identity, [plain_key], index_name=index.name)
        before = plain.get(plain_key, (page, None))[1]
        if before is None:
            return None
        rows = self.cache.files_of(index.identity, name)
        keys = dict(zip(before.versions, before.keys, strict=True))
        if rows.keys() != keys.keys():
            return None
        releases = [Release(version, keys[version], rows[version]) for version in before.versions]
        made = listing(key, index.name, releases, status=before.status, cutoff=cutoff)
        self.cache.put_listings(index.identity, cutoff, [(page, made.listing)])
        self.cache.put_values(NEWEST, {f"{index.identity} {name}": [page.digest, made.newest]})
        return made.listing

    # -- files ---------------------------------------------------------------------------------

    def rows(
        self, index: Index, versions: Iterable[tuple[NormalizedName, str]]
    ) -> dict[tuple[NormalizedName, str], tuple[FileRow, ...]]:
        """All files of the given versions, as the pages have them; unknown ones are left out."""
        found: dict[tuple[NormalizedName, str], tuple[FileRow, ...]] = {}
        cold: list[tuple[NormalizedName, str]] = []
        unwritten = self._pages.get(index.identity, {})
        for name, version in versions:
            content = unwritten.get(name)
            if content is None:
                cold.append((name, version))
            elif version in content.files:
                found[name, version] = tuple(content.files[version])
        if cold:
            found.update(self.cache.files(index.identity, cold))
        return found

    def all_rows(self, index: Index, name: NormalizedName) -> Mapping[str, tuple[FileRow, ...]]:
        """All files of all versions of *name*, by version."""
        content = self._pages.get(index.identity, {}).get(name)
        if content is not None:
            return {version: tuple(rows) for version, rows in content.files.items()}
        return self.cache.files_of(index.identity, name)

    def choose(self, index: Index, name: NormalizedName, rows: Iterable[FileRow]) -> FileRow | None:
        """The file among *rows* that is read for the version's dependencies."""
        return best(self.usable(index, name, rows), name, self._policy)

    def usable(self, index: Index, name: NormalizedName, rows: Iterable[FileRow]) -> tuple[FileRow, ...]:
        """Those of *rows* that count under the cut-off in force and are not yanked (see `choice`)."""
        return usable(rows, self._cutoffs.of(name, index.name))

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
        careful = [
            key
            for key in keys
            if self._cutoffs.of(key.name, index.name) or self._policy.no_binary & {key.name, "*"}
        ]
        if not careful:
            return list(keys)
        rows = self.rows(index, [(key.name, key.version) for key in careful])
        alias: dict[MetadataKey, MetadataKey] = {}
        for key in careful:
            files = rows.get((key.name, key.version), ())
            chosen = self.choose(index, key.name, files)
            if chosen is not None and chosen is not best(usable(files, ""), key.name, _NO_POLICY):
                mark = f"{key.version} {chosen.artifact.filename} {chosen.artifact.sha256[:16]}"
                alias[key] = replace(key, version=mark)
        return [alias.get(key, key) for key in keys]

    # -- writing -------------------------------------------------------------------------------

    def keep_page(self, index: Index, content: PageContent, newest: str, base: str) -> None:
        """A page that is new or has changed; *newest*: its newest upload, *base*: where its files are."""
        self._pages.setdefault(index.identity, {})[content.page.name] = content
        self._newest[f"{index.identity} {content.page.name}"] = [content.page.digest, newest]
        if base:
            self._bases[index.identity] = base
        self._waiting += 1
        if self._waiting >= _FLUSH_AT:
            self.flush()

    def keep_absence(self, index: Index, page: Page) -> None:
        """The index does not have the name."""
        self._pages.setdefault(index.identity, {})[page.name] = PageContent(page, {}, {})
        self._waiting += 1

    def touch(self, index: Index, page: Page) -> None:
        """A page that was confirmed."""
        self._touched.setdefault(index.identity, []).append(page)

    def keep_metadata(self, index: Index, fact: Metadata | NoMetadata) -> None:
        """Dependencies as read from the file that was chosen."""
        (alias,) = self._aliases(index, (fact.key,))
        self._metadata.setdefault(index.identity, []).append(replace(fact, key=alias))

    def flush(self) -> None:
        """Writes what waits. Raises `pypm_store.cache_file.CacheUnusable`."""
        pages, self._pages = self._pages, {}
        touched, self._touched = self._touched, {}
        newest, self._newest = self._newest, {}
        bases, self._bases = self._bases, {}
        metadata, self._metadata = self._metadata, {}
        self._waiting = 0
        # Pages before metadata: a changed page drops what was known of its versions.
        for identity, contents in pages.items():
            self.cache.put_pages(identity, contents.values())
        for identity, confirmed in touched.items():
            self.cache.touch_pages(identity, confirmed)
        if newest:
            self.cache.put_values(NEWEST, newest)
        if bases:
            self.cache.put_values(BASE, bases)
        for identity, facts in metadata.items():
            self.cache.put_metadata(identity, facts)
