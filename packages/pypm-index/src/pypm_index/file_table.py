"""The files of versions, and where they are: the cold side of a catalog."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from pypm_index.kept import Kept, Version
from pypm_index.settings import Index, Indexes
from pypm_model.artifacts import Artifact
from pypm_model.later import later
from pypm_model.names import NormalizedName
from pypm_model.records import replace
from pypm_store.metadata_cache import MetadataCache
from pypm_store.pages import FileRow

if TYPE_CHECKING:
    from pypm_index import releases
    from pypm_index.find_links import Folder
    from pypm_index.network import Network
else:
    releases = later("pypm_index.releases")

MEASURED = "measured-file"
"""Kind of a small fact: (size, sha256) by address, of files of which the index does not give them."""


class FileTable:
    """Files of indexes on the web, from the cache, and of local folders."""

    def __init__(
        self,
        kept: Kept,
        indexes: Indexes,
        cache: MetadataCache,
        folder: Callable[[Index], Folder],
        connected: Callable[[], Network],
        ask_again: Callable[[Index, NormalizedName], bool],
    ) -> None:
        """*ask_again* has a page fetched and waits for it; False: that cannot be done (offline)."""
        self._kept = kept
        self._indexes = indexes
        self._cache = cache
        self._folder = folder
        self._connected = connected
        self._ask_again = ask_again
        self._attested: dict[tuple[NormalizedName, str, str], dict[str, str]] = {}
        """Addresses of attestations by digest, of the versions that were looked at."""

    def artifacts(
        self, versions: Iterable[tuple[NormalizedName, str, str]]
    ) -> dict[tuple[NormalizedName, str, str], tuple[Artifact, ...]]:
        """The files that count of each (name, version, name of the index), sorted by name; one query
        for each index."""
        found = {}
        for index, some in _by_index(versions).items():
            for (name, version), rows in self._usable(self._indexes.named(index), some).items():
                found[name, version, index] = tuple([row.artifact for row in rows])
                self._attested[name, version, index] = _attested(rows)
        return found

    def provenance(
        self, versions: Iterable[tuple[NormalizedName, str, str]]
    ) -> dict[tuple[NormalizedName, str, str], dict[str, str]]:
        """Addresses of attestations by digest, of each (name, version, name of the index) that has any. Of
        what `artifacts` was asked before nothing is read again."""
        asked = tuple(versions)
        unknown = [version for version in asked if version not in self._attested]
        for index, some in _by_index(unknown).items():
            home = self._indexes.named(index)
            for (name, version), rows in ({} if home.folder else self._kept.rows(home, some)).items():
                self._attested[name, version, index] = _attested(rows)
        return {version: told for version in asked if (told := self._attested.get(version))}

    def settled(self, name: NormalizedName, version: str, index: str) -> tuple[Artifact, ...]:
        """The same of one version, each with its size and sha256."""
        rows = self._usable(self._indexes.named(index), [(name, version)])[name, version]
        return tuple([self._measured(row, index) for row in rows])

    def every_row(self, name: NormalizedName, index: Index, *, refresh: bool = False) -> tuple[FileRow, ...]:
        """Every file of *name* on *index*, whatever the policies: from the cache, however old, or, with
        *refresh* or where it has none, by the page as it is now. Empty if the index has not the name."""
        rows: Mapping[str, tuple[FileRow, ...]] = {}
        if index.folder is not None:
            rows = self._folder(index).rows(name)
        else:
            if not refresh:
                rows = self._kept.all_rows(index, name)
            if not rows:
                self._ask_again(index, name)
                rows = self._kept.all_rows(index, name)
        return tuple([row for some in rows.values() for row in some])

    def _usable(self, index: Index, versions: Sequence[Version]) -> dict[Version, tuple[FileRow, ...]]:
        if index.folder is not None:
            folder = self._folder(index)
            rows = {(name, version): folder.rows(name).get(version, ()) for name, version in versions}
        else:
            rows = self._kept.rows(index, versions)
        return {
            (name, version): self._kept.usable(index, name, rows.get((name, version), ()))
            for name, version in versions
        }

    def _measured(self, row: FileRow, index: str) -> Artifact:
        if row.artifact.sha256:
            return row.artifact
        url = releases.address(row)
        known = self._cache.value(MEASURED, url)
        if known is None:
            measured = self._connected().measured(row, index)
            self._cache.put_values(MEASURED, {url: [measured.size, measured.sha256]})
            return measured
        size, sha256 = known
        return replace(row.artifact, size=size, sha256=sha256)


def _by_index(versions: Iterable[tuple[NormalizedName, str, str]]) -> dict[str, list[Version]]:
    found: dict[str, list[Version]] = {}
    for name, version, index in versions:
        found.setdefault(index, []).append((name, version))
    return found


def _attested(rows: Iterable[FileRow]) -> dict[str, str]:
    return {row.artifact.sha256: row.provenance for row in rows if row.provenance}
