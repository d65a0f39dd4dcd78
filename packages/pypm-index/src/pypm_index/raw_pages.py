"""Project pages as they came, for the versions whose files nobody has asked for yet.

A page may be five megabytes; making a row of the cache for each of its ten thousand files costs more
than all the rest of a resolution, and a lock uses ten of them. So the page is kept as it is, rows are made
for the versions that are wanted, and a version that is wanted later is found by reading the page again.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from pypm_index.ports import Response
from pypm_model.later import later
from pypm_model.names import NormalizedName
from pypm_store.atomic import write_atomically
from pypm_store.pages import Page

if TYPE_CHECKING:
    import hashlib

    from pypm_store import inflate
else:
    hashlib = later("hashlib")
    inflate = later("pypm_store.inflate")

_MAX_PAGE = 1 << 30
"""Bytes: more than any page has."""


class RawPages:
    """The pages below one folder. May be used from any thread and by several processes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def write(self, identity: str, page: Page, response: Response) -> bool:
        """Keeps the body of *response*, whose digest *page* has; whether that was possible. That a disk is
        full is found out by what is written next: here nothing depends on it."""
        place = self._place(identity, page.name)
        facts = {"url": response.url, "type": response.headers.get("content-type", "")}
        if response.packed:
            facts["packed"] = "gzip"
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            head = json.dumps(facts).encode() + b"\n"
            write_atomically(place, head + (response.packed or response.body), fsync=False)
        except OSError:
            return False
        return True

    def read(self, identity: str, page: Page) -> Response | None:
        """The answer that *page* was read from; None if it is gone, or is not that one (any more)."""
        try:
            head, _, body = self._place(identity, page.name).read_bytes().partition(b"\n")
            facts = json.loads(head)
            headers = {"content-type": str(facts["type"])}
            packed = body if facts.get("packed") == "gzip" else b""
            # Before it is unpacked: what is damaged is not what the digest was made of.
            if _digest(body) != page.digest:
                return None
            if packed:
                body = inflate.unpacked(packed, _MAX_PAGE)
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None
        return Response(200, headers, str(facts["url"]), body, packed)

    def _place(self, identity: str, name: NormalizedName) -> Path:
        # Some systems have devices for files, whatever the folder: ``nul``, ``aux``.
        return self._folder / identity / f"page-{name}"


def digest(response: Response) -> str:
    """What tells one content of a page from another: of the compressed form, if it came in one. The same
    page compressed in another way counts as changed, and is read again."""
    return _digest(response.packed or response.body)


def _digest(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=16).hexdigest()
