"""A folder as an index: wheels and sdists in it, or one folder (or ``index.html``) per project.

Of it only digests of files are kept in the cache: looking is as quick, and files may be exchanged at
any time.
"""

from __future__ import annotations

import os
from pathlib import Path

from pypm_index import filenames, simple_html
from pypm_index.errors import BadIndex, BadPage
from pypm_index.listings import listing
from pypm_index.records import NO_METADATA, FileRecord, Page, UnreadablePage
from pypm_index.releases import Releases, address
from pypm_index.settings import Index
from pypm_model.facts import Listing, ListingKey
from pypm_model.names import NormalizedName, normalize
from pypm_model.records import replace
from pypm_store.files import digest_of
from pypm_store.metadata_cache import MetadataCache
from pypm_store.pages import FileRow

KIND = "file-sha256"
"""Kind of a small fact: sha256 of a file by size, time of change and path."""


class Folder:
    """The files of a local index, listed once for a run."""

    def __init__(self, index: Index, cache: MetadataCache) -> None:
        """Raises `BadIndex` if *index* is not a folder that can be read."""
        if index.folder is None:
            raise BadIndex(index.name, f"{index.url} is no folder")
        self.index = index
        self.path = index.folder
        self._flat: dict[NormalizedName, list[Path]] = {}
        self._projects: dict[NormalizedName, Path] = {}
        self._releases: dict[NormalizedName, Releases | None] = {}
        self._cache = cache
        try:
            with os.scandir(self.path) as scanned:
                entries = sorted(scanned, key=lambda entry: entry.name)
        except OSError as error:
            raise BadIndex(index.name, f"{self.path} cannot be read: {error.strerror}") from error
        for entry in entries:
            if entry.is_dir():
                self._projects.setdefault(normalize(entry.name), Path(entry.path))
            else:
                for name in filenames.project_names(entry.name):
                    self._flat.setdefault(name, []).append(Path(entry.path))

    def listing(self, key: ListingKey, cutoff: str) -> Listing | None:
        """The listing of the key's name; None if there is nothing of it. Raises `BadPage`."""
        found = self._found(key.name)
        return None if found is None else listing(key, self.index.name, found, cutoff).listing

    def rows(self, name: NormalizedName) -> dict[str, tuple[FileRow, ...]]:
        """The files by version, each with its size and sha256. Raises `BadPage`."""
        found = self._found(name)
        if found is None:
            return {}
        return {
            version: tuple([self._measured(row) for row in found.rows(version)]) for version in found.versions
        }

    def _found(self, name: NormalizedName) -> Releases | None:
        if name not in self._releases:
            page = self.page(name)
            self._releases[name] = None if page is None else Releases(name, page)
        return self._releases[name]

    def _measured(self, row: FileRow) -> FileRow:
        path = path_of(address(row))
        if row.artifact.sha256 or path is None:
            return row
        size, sha256 = measure(path, self._cache)
        return replace(row, artifact=replace(row.artifact, size=size, sha256=sha256))

    def page(self, name: NormalizedName) -> Page | None:
        """The page of *name*; None if nothing here may be of it. Raises `BadPage`."""
        files = [_record(path) for path in self._flat.get(name, ())]
        project = self._projects.get(name)
        if project is not None:
            page = project / "index.html"
            try:
                if page.is_file():
                    files += simple_html.read(page.read_bytes(), page.as_uri()).files
                else:
                    files += [_record(path) for path in sorted(project.iterdir()) if path.is_file()]
            except (OSError, UnreadablePage) as error:
                raise BadPage(self.index.name, name, str(page), str(error)) from error
        if not any(filenames.parse(file.filename, name) for file in files):
            return None
        return Page.of(files)


def measure(path: Path, cache: MetadataCache) -> tuple[int, str]:
    """(size, sha256) of a file; read only if it is not the one that was read before, by its size and
    time of change. Raises OSError."""
    stat = path.stat()
    key = f"{stat.st_size} {stat.st_mtime_ns} {path}"
    sha256 = cache.value(KIND, key)
    if not isinstance(sha256, str):
        sha256 = digest_of(path)
        cache.put_values(KIND, {key: sha256})
    return stat.st_size, sha256


def path_of(url: str) -> Path | None:
    """The file that a ``file://`` address names; None for another address."""
    return Index("", url).folder


def _record(path: Path) -> FileRecord:
    try:
        size: int | None = path.stat().st_size
    except OSError:
        size = None
    return FileRecord(path.name, path.as_uri(), size=size, metadata=NO_METADATA)
