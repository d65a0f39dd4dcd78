"""The dependencies of one version, from the cheapest place that has them: the work of one thread.

1. the metadata file beside a wheel (PEP 658), its digest verified;
2. ranges of the wheel's end;
3. the whole wheel, which then stays in the store;
4. an sdist, which stays in the store too, if it says statically what it depends on; else it says that
   a build is needed. Of a large one that may not be built only the beginning is read.

What a server can do is learned once for a run: the first request of a kind to a host is made alone,
the others wait for what it teaches.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from pypm_index import metadata_text
from pypm_index.addresses import origin_text, redacted
from pypm_index.errors import FileGone, IndexFailed, WrongHash
from pypm_index.ports import Fetcher, Response
from pypm_index.records import NO_METADATA
from pypm_index.releases import address, has_metadata
from pypm_model.facts import Metadata, MetadataKey, NoMetadata
from pypm_model.later import later
from pypm_model.records import record
from pypm_store.pages import FileRow

if TYPE_CHECKING:
    import hashlib

    from pypm_index import sdist_metadata, wheel_tail
else:
    hashlib = later("hashlib")
    sdist_metadata = later("pypm_index.sdist_metadata")
    wheel_tail = later("pypm_index.wheel_tail")

SDIST_HEAD = 1 << 20
"""Bytes that are read of a larger sdist which may not be built: PKG-INFO is in most of them."""

Obtain = Callable[[FileRow, str], Path]
"""(row, name of its index) to the file: in the store, downloaded if need be, its digest checked."""


@record
class NeedsBuild:
    """Only a build of this sdist would tell."""

    key: MetadataKey
    sdist: Path | None
    """None: it may not be built, and was not fetched."""
    row: FileRow


class Lessons:
    """What servers can do, by origin and kind of request; first come, first to find out."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[tuple[str, str], bool] = {}
        self._probes: dict[tuple[str, str], threading.Lock] = {}

    def try_it(self, kind: str, url: str, attempt: Callable[[], bytes | None]) -> bytes | None:
        """The result of *attempt*, None meaning that the server cannot; not made if that is known."""
        key = kind, origin_text(url)
        with self._lock:
            known = self._known.get(key)
            probe = self._probes.setdefault(key, threading.Lock())
        if known is None:
            with probe:
                known = self._known.get(key)
                if known is None:
                    result = attempt()
                    self._known[key] = result is not None
                    return result
        return attempt() if known else None


class MetadataFetch:
    """Reads metadata of files on one or several indexes. May be used from any thread."""

    def __init__(self, fetcher: Fetcher, obtain: Obtain) -> None:
        self._fetcher = fetcher
        self._obtain = obtain
        self._lessons = Lessons()

    def read(
        self, key: MetadataKey, row: FileRow, *, whole: bool = True
    ) -> Metadata | NoMetadata | NeedsBuild:
        """What *row*'s file says of *key*. Unless *whole*, no more than the beginning of a large sdist is
        read: one that may not be built could not be installed either, and is not worth a long download.
        Raises the errors of `pypm_index.errors`."""
        filename = row.artifact.filename
        if row.artifact.is_wheel:
            try:
                text = self._of_wheel(row, key.index)
            except wheel_tail.NotAWheel as error:
                return NoMetadata(key, f"{filename} cannot be read: {error}")
            return metadata_text.facts(metadata_text.read(text), key, filename)
        if not whole and (row.artifact.size or 0) > SDIST_HEAD and not address(row).startswith("file:"):
            headers = sdist_metadata.of_beginning(self._beginning(row, key.index))
            return (
                NeedsBuild(key, None, row) if headers is None else metadata_text.facts(headers, key, filename)
            )
        sdist = self._obtain(row, key.index)
        return of_sdist_file(key, row, sdist)

    def text(self, row: FileRow, index: str) -> bytes:
        """METADATA of a wheel or PKG-INFO of an sdist, whole. Raises the errors of `pypm_index.errors`,
        `NotAWheel` and `NotAnSdist`."""
        if row.artifact.is_wheel:
            return self._of_wheel(row, index)
        return sdist_metadata.text_of_sdist(self._obtain(row, index))

    def _of_wheel(self, row: FileRow, index: str) -> bytes:
        url = address(row)
        if url.startswith("file:"):
            return of_wheel_file(self._obtain(row, index))
        said = has_metadata(row)
        text: bytes | None = None
        if said:
            text = self._beside(row, url, index)
        elif said is None:
            text = self._lessons.try_it("metadata", url, lambda: self._beside(row, url, index))
        if text is None:
            text = self._lessons.try_it("ranges", url, lambda: self._tail(row, url, index))
        if text is None:
            return of_wheel_file(self._obtain(row, index))
        return text

    def _beside(self, row: FileRow, url: str, index: str) -> bytes | None:
        """The metadata file; None if there is none."""
        path, mark, query = url.partition("?")
        beside = f"{path}.metadata{mark}{query}"
        filename = row.artifact.filename + ".metadata"
        response = self._fetcher.get(beside, index=index, subject=filename)
        if response.status != 200:
            return None
        expected = row.metadata if row.metadata != NO_METADATA else None
        if expected:
            got = hashlib.sha256(response.body).hexdigest()
            if got != expected:
                raise WrongHash(index, filename, redacted(beside), expected, got)
        elif not re.search(rb"(?im)^metadata-version[ \t]*:", response.body[:4096]):
            # Servers that answer every path with a page of their own have not said yes.
            return None
        return response.body

    def _tail(self, row: FileRow, url: str, index: str) -> bytes | None:
        """METADATA by range requests; None if the server does not do ranges."""
        filename = row.artifact.filename
        size = row.artifact.size
        # Some servers do not know "the last N bytes": where the size is known they need not.
        wanted = (
            f"bytes=-{wheel_tail.TAIL}" if not size else f"bytes={max(0, size - wheel_tail.TAIL)}-{size - 1}"
        )
        first = self._range(url, index, filename, wanted)
        if first is None:
            return None
        found = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+)", first.headers.get("content-range", "").strip())
        if found is None:
            return None
        start, end, total = int(found[1]), int(found[2]) + 1, int(found[3])
        if end != total or end - start != len(first.body):
            return None

        def read_range(begin: int, until: int) -> bytes:
            answer = self._range(url, index, filename, f"bytes={begin}-{until - 1}")
            if answer is None:
                raise wheel_tail.NotAWheel("the server stopped giving ranges of it")
            return answer.body

        return wheel_tail.read_metadata(total, first.body, read_range)

    def _beginning(self, row: FileRow, index: str) -> bytes:
        """The first bytes of the file, of a server that does ranges or not. They are not verified, as the end
        of a wheel is not: what is built and installed is."""
        url, filename = address(row), row.artifact.filename
        asked = {"Range": f"bytes=0-{SDIST_HEAD - 1}"}
        with self._fetcher.open(url, index=index, subject=filename, headers=asked) as stream:
            if stream.status in (404, 410):
                raise FileGone(index, filename, redacted(url), stream.status)
            if stream.status not in (200, 206):
                raise IndexFailed(index, filename, redacted(url), stream.status)
            data = bytearray()
            while len(data) < SDIST_HEAD and (chunk := stream.read(1 << 16)):
                data += chunk
        return bytes(data)

    def _range(self, url: str, index: str, filename: str, wanted: str) -> Response | None:
        """The range; None if the server cannot (then the rest of the file is not fetched)."""
        try:
            with self._fetcher.open(url, index=index, subject=filename, headers={"Range": wanted}) as stream:
                if stream.status in (404, 410):
                    raise FileGone(index, filename, redacted(url), stream.status)
                if stream.status != 206 or stream.headers.get("content-encoding", "identity") != "identity":
                    return None
                chunks = []
                while chunk := stream.read(1 << 20):
                    chunks.append(chunk)
                return Response(206, stream.headers, stream.url, b"".join(chunks))
        except IndexFailed as error:
            if error.status in (400, 405, 406, 416, 501):
                return None
            raise


def of_sdist_file(key: MetadataKey, row: FileRow, sdist: Path) -> Metadata | NoMetadata | NeedsBuild:
    """What the sdist at *sdist* says of *key*."""
    filename = row.artifact.filename
    try:
        headers = sdist_metadata.of_sdist(sdist)
    except sdist_metadata.NotAnSdist as error:
        return NoMetadata(key, f"{filename}: {error}")
    if headers is None:
        return NeedsBuild(key, sdist, row)
    return metadata_text.facts(headers, key, filename)


def of_wheel_file(path: Path) -> bytes:
    """METADATA of the wheel at *path*. Raises `NotAWheel`, OSError."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)

        def read_range(start: int, end: int) -> bytes:
            file.seek(start)
            return file.read(end - start)

        return wheel_tail.read_metadata(size, read_range(max(0, size - wheel_tail.TAIL), size), read_range)
