"""What is kept of one page of an index: how it was answered, its files, its listings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pypm_model.artifacts import Artifact
from pypm_model.facts import Listing
from pypm_model.names import NormalizedName
from pypm_model.records import record

SETTLED = (200, 404, 410)
"""Statuses that say something about a name: it is there, or it is not."""


@record
class FileRow:
    """One file of a version as an index page has it, with what is needed to get it."""

    artifact: Artifact
    url: str = ""
    """Absolute address without credentials and fragment; empty where `Artifact.path` below the
    index's base for files gives it."""
    metadata: str | None = None
    """The file's METADATA can be had by itself (PEP 658): its sha256, or empty if the index gives
    none. None: the index does not say that it can."""
    provenance: str = ""
    """Absolute address of its attestations (PEP 740), where the index has some."""


@record
class Page:
    """How an index answered for one name, and how long that answer is good for."""

    name: NormalizedName
    status: int
    """200, or 404 or 410: the index does not have the name. Nothing else is ever kept."""
    fetched: float
    """When it was fetched or last found unchanged: seconds since the epoch."""
    max_age: int
    """Seconds after *fetched* in which it need not be asked for again."""
    etag: str = ""
    last_modified: str = ""
    digest: str = ""
    """Of the page's content, as the caller likes: equal digests need not be parsed again."""
    address: str = ""
    """Where the page was found in the end (after redirects), without credentials: what relative
    addresses in it are relative to."""

    def is_fresh(self, now: float) -> bool:
        """Whether it need not be asked for again at *now* (seconds since the epoch). A clock that
        was set back makes it stale, not fresh for ever."""
        return 0 <= now - self.fetched < self.max_age


@record
class PageContent:
    """A page with everything that was read from it."""

    page: Page
    files: Mapping[str, Sequence[FileRow]]
    """Per version, spelled as in the listing. Empty for an absent name."""
    listings: Mapping[str, Listing]
    """The hot record per *variant*: a text for what the listing depends on besides the page, such
    as the cut-off of exclude-newer; ``""`` where there is none."""
