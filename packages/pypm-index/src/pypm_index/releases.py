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
from pypm_model.names import NormalizedName, normalize
from pypm_model.versions import sort_key
from pypm_store.pages import FileRow

Tagged = tuple[str, Light]
"""What a wheel's name ends with, ``py3-none-any.whl``, empty for an sdist; and the file."""

_Group = tuple[list[str], dict[str, Tagged]]
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
    def lights(self) -> Iterable[Collection[Tagged]]:
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
            rows = tuple([_row(self._record(lights[name][1][-1]), self._silence) for name in sorted(lights)])
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
    ours: set[str] = set()  # the project's name as its files spell it
    # The files of a version stand together, and nearly all are wheels: what comes before their tags is
    # then the same as before. One turn for every file of every page, written for few calls.
    start, width = "/", 1
    files: dict[str, Tagged] = {}
    for light in lights:
        filename = light[0]
        is_wheel = filename.endswith(".whl")
        if is_wheel and filename.startswith(start) and filename.count("-", width) == 2:
            files.setdefault(filename, (filename[width:], light))
            continue
        if is_wheel:
            pieces = filename.split("-")
            is_common = len(pieces) == 5 and pieces[0] in ours
        else:
            pieces = filename[:-7].rsplit("-", 1)
            is_common = len(pieces) == 2 and pieces[0] in ours and filename.endswith(".tar.gz")
        group = spellings.get(pieces[1]) if is_common else None
        if group is None:
            if is_common and filenames.is_plain(pieces[1]):
                version = pieces[1]
            else:
                parsed = filenames.parse(filename, name)
                if parsed is None:
                    continue
                version = parsed.version
                if normalize(pieces[0]) == name:
                    ours.add(pieces[0])
            group = spellings.get(version)
            if group is None:
                group = spellings[version] = groups.setdefault(sort_key(version), ([], {}))
                group[0].append(version)
        if is_wheel:
            start, files = "-".join(pieces[:-3]) + "-", group[1]
            width = len(start)
            files.setdefault(filename, (filename[width:], light))
        else:
            group[1].setdefault(filename, ("", light))
    return groups


def _spelling(versions: list[str]) -> str:
    return min(versions, key=lambda text: (len(text), text)) if len(versions) > 1 else versions[0]


def _row(file: FileRecord, silence: str | None) -> FileRow:
    filename, url, sha256, size, uploaded, requires_python, yanked, metadata, provenance = file
    start = shared_start(url, filename)
    path = ""
    if start:
        url, path = url[:start], url[start:]
    return FileRow(
        Artifact(filename, sha256, size, uploaded, path, requires_python, yanked),
        url,
        silence if metadata is None else metadata,
        provenance,
    )
