"""Where the files that a lock names are today: a lock has no addresses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from pypm_index.addresses import files_base
from pypm_index.errors import FileGone, OfflineMissing
from pypm_index.filenames import project_names
from pypm_index.kept import BASE
from pypm_index.releases import address
from pypm_index.settings import Index, Indexes
from pypm_model.artifacts import Artifact, Located
from pypm_model.names import NormalizedName
from pypm_store.metadata_cache import MetadataCache
from pypm_store.pages import FileRow


class RowsOf(Protocol):
    """Every file of a name on an index: from the cache, or by the page as it is now."""

    def __call__(
        self, name: NormalizedName, index: Index, *, refresh: bool = False
    ) -> tuple[FileRow, ...]: ...


def locate(
    wanted: Sequence[tuple[NormalizedName, str, Artifact]],
    indexes: Indexes,
    rows_of: RowsOf,
    cache: MetadataCache,
    *,
    offline: bool = False,
) -> tuple[Located, ...]:
    """See `pypm_index.catalog.Catalog.locate`."""
    by_name = {index.name: index for index in indexes.all}
    used = {by_name[name].identity for _, name, _ in wanted if name in by_name}
    bases: dict[str, str] = cache.values(BASE, used)
    found: list[Located] = []
    pages: dict[tuple[str, NormalizedName], dict[str, FileRow]] = {}
    for name, index_name, artifact in wanted:
        index = indexes.named(index_name)
        base = bases.get(index.identity, "")
        if artifact.path and base:
            found.append(Located(artifact, base + artifact.path, index_name))
            continue
        page = pages.get((index_name, name))
        if page is None:
            page = pages[index_name, name] = _by_filename(rows_of(name, index))
        row = page.get(artifact.filename)
        if row is None:
            # The page in the cache may be older than the lock.
            page = pages[index_name, name] = _by_filename(rows_of(name, index, refresh=True))
            row = page.get(artifact.filename)
        if row is None and offline and index.folder is None:
            raise OfflineMissing(artifact.filename, index_name)
        if row is None:
            raise FileGone(index_name, artifact.filename, f"{index.url}{name}/", 404)
        url = address(row)
        if files_base(url):
            bases.setdefault(index.identity, files_base(url))
        found.append(Located(artifact, url, index_name))
    return tuple(found)


def relocate(located: Located, indexes: Indexes, rows_of: RowsOf, cache: MetadataCache) -> Located | None:
    """See `pypm_index.catalog.Catalog.relocate`."""
    index = indexes.named(located.index)
    filename = located.artifact.filename
    for name in project_names(filename):
        row = _by_filename(rows_of(name, index, refresh=True)).get(filename)
        if row is not None and address(row) != located.url:
            if files_base(address(row)):
                cache.put_values(BASE, {index.identity: files_base(address(row))})
            return Located(located.artifact, address(row), located.index)
    return None


def _by_filename(rows: Sequence[FileRow]) -> dict[str, FileRow]:
    return {row.artifact.filename: row for row in rows}
