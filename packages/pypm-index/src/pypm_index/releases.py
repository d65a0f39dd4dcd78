"""A project's files by version: what is kept cold, a row of its own for each version.

In a `FileRow` made here, ``url`` ends with ``/`` where `Artifact.path` has to be added to it (most
addresses repeat the path), and ``metadata`` is ``-`` where the page says that there is no metadata
file, None where it does not speak of metadata at all: read rows through `address` and `has_metadata`.
"""

from __future__ import annotations

from typing import NamedTuple

from pypm_model.artifacts import Artifact
from pypm_model.names import NormalizedName
from pypm_model.versions import sort_key
from pypm_store.pages import FileRow

from pypm_index import filenames
from pypm_index.addresses import shared_start
from pypm_index.records import NO_METADATA, FileRecord, Page


class Release(NamedTuple):
    """All wheels and sdists of one version."""

    version: str
    """As the file names spell it; of several spellings the shortest, then the first in the alphabet."""
    key: str
    """`pypm_model.versions.sort_key`."""
    files: tuple[FileRow, ...]
    """Sorted by file name, each name once (the first on the page)."""


def releases(name: NormalizedName, page: Page) -> tuple[Release, ...]:
    """The releases of the project *name*, ascending. Files that are neither wheel nor sdist of it, or
    whose version is invalid, are left out; so are versions of which nothing else is left.

    The same whatever the order of the page, unless a file name occurs twice on it.
    """
    silence = NO_METADATA if page.speaks_of_metadata else None
    groups: dict[str, tuple[list[str], dict[str, FileRecord]]] = {}
    spellings: dict[str, tuple[list[str], dict[str, FileRecord]]] = {}
    common: dict[tuple[str, str], tuple[list[str], dict[str, FileRecord]]] = {}
    for file in page.files:
        # Most files are one of many wheels of a version: what comes first in their names is known.
        pieces = file.filename.split("-") if file.filename.endswith(".whl") else ()
        if len(pieces) == 5:
            known = common.get((pieces[0], pieces[1]))
            if known is not None:
                known[1].setdefault(file.filename, file)
                continue
        parsed = filenames.parse(file.filename, name)
        if parsed is None:
            continue
        version = parsed.version
        group = spellings.get(version)
        if group is None:
            group = groups.setdefault(sort_key(version), ([], {}))
            group[0].append(version)
            spellings[version] = group
        group[1].setdefault(file.filename, file)
        if len(pieces) == 5:
            common[pieces[0], pieces[1]] = group
    return tuple(
        [
            Release(
                min(versions, key=_shortest) if len(versions) > 1 else versions[0],
                key,
                tuple([_row(by_name[filename], silence) for filename in sorted(by_name)]),
            )
            for key, (versions, by_name) in sorted(groups.items())
        ]
    )


def address(row: FileRow) -> str:
    """Where the file is, absolute; empty if the row does not know."""
    return row.url + row.artifact.path if row.url.endswith("/") else row.url


def has_metadata(row: FileRow) -> bool | None:
    """Whether a metadata file (PEP 658) is beside this one; None if the page does not say."""
    return None if row.metadata is None else row.metadata != NO_METADATA


def _shortest(version: str) -> tuple[int, str]:
    return len(version), version


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
