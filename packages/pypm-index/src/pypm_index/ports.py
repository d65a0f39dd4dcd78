"""The doors of this member: what it needs from the network, and what it asks the build side."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from pypm_model.names import NormalizedName
from pypm_model.records import record


@record
class Response:
    """A whole answer. Header names are in lower case."""

    status: int
    """200, 206, 304, 404, 410 or 416: everything else is raised as an error."""
    headers: Mapping[str, str]
    url: str
    """Where the answer came from, after redirects."""
    body: bytes
    """Unpacked; empty if it was asked for as sent and came packed."""
    packed: bytes = b""
    """The body as it was sent, if that was gzip: for those who keep it."""


class Stream(Protocol):
    """An answer whose body has not been read yet. Closed early, the rest is never sent."""

    @property
    def status(self) -> int: ...
    @property
    def headers(self) -> Mapping[str, str]: ...
    @property
    def url(self) -> str: ...
    def read(self, size: int) -> bytes:
        """Up to *size* bytes, empty at the end. Raises `IndexUnreachable` if the line breaks or
        ends before the announced length."""
        ...

    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class Fetcher(Protocol):
    """The way to the network. Both methods may be called from any thread.

    They try again what is worth it (no connection, 5xx, 429), follow redirects, send the
    credentials of *index* to its own origin only, and raise the errors of `pypm_index.errors`,
    which name *index* and *subject* (the package or the file).
    """

    def get(
        self,
        url: str,
        *,
        index: str = "",
        subject: str = "",
        headers: Mapping[str, str] | None = None,
        as_sent: bool = False,
    ) -> Response:
        """The whole answer; for pages, metadata files and ranges. *as_sent*: what comes as gzip is left
        so, in `Response.packed` alone, and whether it can be unpacked is not known."""
        ...

    def open(
        self, url: str, *, index: str = "", subject: str = "", headers: Mapping[str, str] | None = None
    ) -> Stream:
        """The answer with its body to be read; for files."""
        ...

    def close(self) -> None:
        """Ends all idle connections."""
        ...


@record
class BuildNeed:
    """Metadata that only a build backend can tell."""

    name: NormalizedName
    version: str
    """Empty if not known before."""
    folder: Path
    """The source tree: a folder of the user, or an unpacked sdist that is gone afterwards."""
    source: str
    """Where it came from, for messages: a file name, a path, a git address with its commit."""
    digest: str = ""
    """Of what the tree was unpacked from (sha256 or commit): equal digests are equal trees. Empty
    for a folder of the user."""
    subdirectory: str = ""
    """Where in it *folder* is; empty: it is all of it."""


BuildMetadata = Callable[[BuildNeed], bytes]
"""Gives the METADATA text. Called in the thread of `Catalog.wait`; what it raises ends the run."""
