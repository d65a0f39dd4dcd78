"""Project pages as they came, for the versions whose files nobody has asked for yet.

A page may be five megabytes; making a row of the cache for each of its ten thousand files costs more
than all the rest of a resolution, and a lock uses ten of them. So the page is kept as it is, rows are made
for the versions that are wanted, and a version that is wanted later is found by reading the page again.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from pypm_index.ports import Response
from pypm_model.names import NormalizedName
from pypm_store.atomic import write_atomically
from pypm_store.pages import Page


class RawPages:
    """The pages below one folder. May be used from any thread and by several processes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def write(self, identity: str, page: Page, response: Response) -> None:
        """Keeps the body of *response*, whose digest *page* has. That a disk is full is found out by
        what is written next: here nothing depends on it."""
        place = self._place(identity, page.name)
        head = json.dumps({"url": response.url, "type": response.headers.get("content-type", "")})
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(place, head.encode() + b"\n" + response.body, fsync=False)
        except OSError:
            return

    def read(self, identity: str, page: Page) -> Response | None:
        """The answer that *page* was read from; None if it is gone, or is not that one (any more)."""
        try:
            head, _, body = self._place(identity, page.name).read_bytes().partition(b"\n")
            facts = json.loads(head)
            answer = Response(200, {"content-type": str(facts["type"])}, str(facts["url"]), body)
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return answer if digest(body) == page.digest else None

    def _place(self, identity: str, name: NormalizedName) -> Path:
        # Some systems have devices for files, whatever the folder: ``nul``, ``aux``.
        return self._folder / identity / f"page-{name}"


def digest(body: bytes) -> str:
    """What tells one content of a page from another."""
    return hashlib.blake2b(body, digest_size=16).hexdigest()
