"""A project's files by version: a whole page sorted, of which only what is asked for is made ready.

In a `FileRow` made here, ``url`` ends with ``/`` where `Artifact.path` has to be added to it (most
addresses repeat the path), and ``metadata`` is `NO_METADATA` where the page says that there is no
metadata file, None where it does not speak of metadata at all: read rows through `address` and
`has_metadata`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from pypm_index import filenames
from pypm_index.addresses import shared_start
from pypm_index.records import NO_METADATA, FileRecord, Light, Page
from pypm_model.artifacts import Artifact
from pypm_model.names import NormalizedName
from pypm_model.versions import sort_key
from pypm_store.pages import FileRow

_Group = tuple[list[str], dict[str, Light]]
"""Spellings of a version, and its files by name."""


class Releases:
    """The releases of one project, ascending.

    Files that are neither wheel nor sdist of it, or whose version is invalid, are left out; so are
    versions of which nothing else is left. The same whatever the order of the page, unless a file
    name occurs twice on it: then its first link counts.
    """

    def __init__(self, name: NormalizedName, page: Page) -> None:
        groups = _groups(name, page.lights)
        ordered = sorted(groups)
        self.keys: tuple[str, ...] = tuple(ordered)
        """`pypm_model.versions.sort_key` of each version."""
        self.versions: tuple[str, ...] = tuple([_spelling(groups[key][0]) for key in ordered])
        """As the file names spell them; of several spellings the shortest, then the first in the
        alphabet."""
        self.status = page.status
        self._lights = [groups[key][1] for key in ordered]
        self._position = {version: position for position, version in enumerate(self.versions)}
        self._record = page.record
        self._silence = NO_METADATA if page.speaks_of_metadata else None
        self._rows: dict[str, tuple[FileRow, ...]] = {}

    @property
    def lights(self) -> Iterable[Collection[Light]]:
        """The files of each of `versions`, in any order."""
        return [files.values() for files in self._lights]

    def rows(self, version: str) -> tuple[FileRow, ...]:
        """The files of *version* (spelled as in `versions`), sorted by name; empty if there is no
        such version. Made when first asked for."""
        rows = self._rows.get(version)
        if rows is None:
            position = self._position.get(version)
            if position is None:
                return ()
            lights = self._lights[position]
            rows = tuple([_row(self._record(lights[name][-1]), self._silence) for name in sorted(lights)])
            self._rows[version] = rows
        return rows

    @property
    def made(self) -> Mapping[str, tuple[FileRow, ...]]:
        """The rows that have been asked for, by version."""
        return self._rows


def address(row: FileRow) -> str:
    """Where the file is, absolute; empty if the row does not know."""
    return row.url + row.artifact.path if row.url.endswith("/") else row.url


def has_metadata(row: FileRow) -> bool | None:
    """Whether a metadata file (PEP 658) is beside this one; None if the page does not say."""
    return None if row.metadata is None else row.metadata != NO_METADATA


def _groups(name: NormalizedName, lights: Iterable[Light]) -> dict[str, _Group]:
    """Files by the sort key of their version."""
    groups: dict[str, _Group] = {}
    spellings: dict[str, _Group] = {}
    known: dict[str, dict[str, Light]] = {}
    for light in lights:
        filename = light[0]
        # Most files are one of many wheels of a version: what comes before their tags is known then.
        is_wheel = filename.endswith(".whl")
        start = filename.rsplit("-", 3)[0] if is_wheel else ""
        files = known.get(start)
        if files is None:
            parsed = filenames.parse(filename, name)
            if parsed is None:
                continue
            version = parsed.version
            group = spellings.get(version)
            if group is None:
                group = spellings[version] = groups.setdefault(sort_key(version), ([], {}))
                group[0].append(version)
            files = group[1]
            if is_wheel:
                known[start] = files
        files.setdefault(filename, light)
    return groups


def _spelling(versions: list[str]) -> str:
    return min(versions, key=lambda text: (len(text), text)) if len(versions) > 1 else versions[0]


def _row(file: FileRecord, silence: str | None) -> FileRow:
    filename, url, sha256, size, uploaded, requires_python, yanked, metadata = file
    start = shared_start(url, filename)
    path = ""
    if start:
        url, path = url[:start], url[start:]
    return FileRow(
        Artifact(filename, sha256, size, uploaded, path, requires_python, yanked),
        url,
        silence if metadata is None else metadata,
    )
