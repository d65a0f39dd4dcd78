"""The metadata cache for a process that stays: what was read and decoded once is at hand the next time.

The answers are those of `MetadataCache`, always: sqlite tells when another connection, of this process or
another one, has written (``PRAGMA data_version``), and then all is forgotten; what this object writes
itself makes it forget what it knew of the same names. An answer that is given again is the same object,
so that whatever was derived from it can be found by its identity.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pypm_model.facts import Listing, ListingKey, Metadata, MetadataKey, NoMetadata
from pypm_model.names import NormalizedName
from pypm_store.metadata_cache import MetadataCache
from pypm_store.pages import FileRow, Page, PageContent

MOST = 50_000
"""Answers held; with more of them all are forgotten. Twenty times what 1,000 members ask for."""

Version = tuple[NormalizedName, str]


class _Known:
    """What is known of one name on one index."""

    __slots__ = ("files", "listings", "metadata")

    def __init__(self) -> None:
        self.listings: dict[tuple[str, str, ListingKey], tuple[Page, Listing | None]] = {}
        """By variant, name of the index, and key."""
        self.files: dict[str, tuple[FileRow, ...]] = {}
        """By version."""
        self.metadata: dict[MetadataKey, Metadata | NoMetadata] = {}


class MetadataMemory(MetadataCache):
    """A `MetadataCache` that remembers. For one thread at a time."""

    def __init__(self, folder: Path | None) -> None:
        super().__init__(folder)
        self._names: dict[tuple[str, str], _Known] = {}
        """By index and name."""
        self._values: dict[tuple[str, str], Any] = {}
        """By kind and key."""
        self._held = 0
        self._seen = self._file.version()

    def listings(
        self, index: str, keys: Iterable[ListingKey], *, index_name: str, variant: str = ""
    ) -> dict[ListingKey, tuple[Page, Listing | None]]:
        self._look()
        found: dict[ListingKey, tuple[Page, Listing | None]] = {}
        missing = []
        for key in keys:
            known = self._names.get((index, key.name))
            answer = known.listings.get((variant, index_name, key)) if known is not None else None
            if answer is None:
                missing.append(key)
            else:
                found[key] = answer
        if missing:
            more = super().listings(index, missing, index_name=index_name, variant=variant)
            for key, answer in more.items():
                self._of(index, key.name).listings[variant, index_name, key] = answer
            found.update(more)
        return found

    def files(self, index: str, versions: Iterable[Version]) -> dict[Version, tuple[FileRow, ...]]:
        self._look()
        found: dict[Version, tuple[FileRow, ...]] = {}
        missing = []
        for name, version in versions:
            known = self._names.get((index, name))
            rows = known.files.get(version) if known is not None else None
            if rows is None:
                missing.append((name, version))
            else:
                found[name, version] = rows
        if missing:
            more = super().files(index, missing)
            for (name, version), rows in more.items():
                self._of(index, name).files[version] = rows
            found.update(more)
        return found

    def metadata(self, index: str, keys: Iterable[MetadataKey]) -> dict[MetadataKey, Metadata | NoMetadata]:
        self._look()
        found: dict[MetadataKey, Metadata | NoMetadata] = {}
        missing = []
        for key in keys:
            known = self._names.get((index, key.name))
            fact = known.metadata.get(key) if known is not None else None
            if fact is None:
                missing.append(key)
            else:
                found[key] = fact
        if missing:
            more = super().metadata(index, missing)
            for key, fact in more.items():
                self._of(index, key.name).metadata[key] = fact
            found.update(more)
        return found

    def values(self, kind: str, keys: Iterable[str]) -> dict[str, Any]:
        self._look()
        found: dict[str, Any] = {}
        missing = []
        for key in keys:
            if (kind, key) in self._values:
                found[key] = self._values[kind, key]
            else:
                missing.append(key)
        if missing:
            more = super().values(kind, missing)
            for key, value in more.items():
                self._values[kind, key] = value
                self._held += 1
            found.update(more)
        return found

    # -- writing: what was known of the same names is forgotten first ---------------------------

    def put_pages(self, index: str, contents: Iterable[PageContent]) -> None:
        given = list(contents)
        self._drop(index, [content.page.name for content in given])
        super().put_pages(index, given)

    def touch_pages(self, index: str, pages: Iterable[Page]) -> None:
        given = list(pages)
        self._drop(index, [page.name for page in given])
        super().touch_pages(index, given)

    def put_listings(self, index: str, variant: str, listings: Iterable[tuple[Page, Listing]]) -> None:
        given = list(listings)
        self._drop(index, [page.name for page, _ in given])
        super().put_listings(index, variant, given)

    def put_metadata(self, index: str, facts: Iterable[Metadata | NoMetadata]) -> None:
        given = list(facts)
        self._drop(index, [fact.key.name for fact in given])
        super().put_metadata(index, given)

    def put_values(self, kind: str, values: Mapping[str, Any]) -> None:
        for key in values:
            self._values.pop((kind, key), None)
        super().put_values(kind, values)

    def forget_pages(self, before: float) -> int:
        self._forget()
        return super().forget_pages(before)

    # -- within ---------------------------------------------------------------------------------

    def _look(self) -> None:
        """Forgets all if somebody else has written since, or if it is too much."""
        version = self._file.version()
        if version != self._seen or self._held > MOST:
            self._forget()
            self._seen = version

    def _of(self, index: str, name: NormalizedName) -> _Known:
        self._held += 1
        return self._names.setdefault((index, name), _Known())

    def _drop(self, index: str, names: Iterable[NormalizedName]) -> None:
        for name in names:
            self._names.pop((index, name), None)

    def _forget(self) -> None:
        self._names.clear()
        self._values.clear()
        self._held = 0
