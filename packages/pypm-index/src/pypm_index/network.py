"""Everything that waits for somebody: pages, metadata and direct sources, fetched by threads.

Loaded when the first thing must be fetched (see `later`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from pypm_index.crew import ELSEWHERE, Crew, Done, Elsewhere
from pypm_index.fetch import fetch_one
from pypm_index.metadata_fetch import MetadataFetch
from pypm_index.page_fetch import PageAnswer, PageContent, Unread, ask_for_page, read_answer
from pypm_index.page_readers import PageReaders
from pypm_index.ports import Fetcher
from pypm_index.raw_pages import RawPages
from pypm_index.releases import address
from pypm_index.settings import Index, Indexes
from pypm_index.transport import Transport
from pypm_model.artifacts import Artifact, Located
from pypm_model.events import Listener
from pypm_model.facts import DirectKey, MetadataKey
from pypm_model.later import later
from pypm_model.names import NormalizedName
from pypm_model.records import record, replace
from pypm_store.files import digest_of
from pypm_store.pages import FileRow
from pypm_store.pages import Page as KeptPage
from pypm_store.store import Store

if TYPE_CHECKING:
    from pypm_index import direct
    from pypm_index.direct import DirectNeedsBuild, Workplace
    from pypm_index.metadata_fetch import NeedsBuild
    from pypm_model.facts import Direct, Metadata, NoMetadata

    Result = PageAnswer | Metadata | NoMetadata | NeedsBuild | Direct | DirectNeedsBuild
else:
    direct = later("pypm_index.direct")

WORKERS = 32
"""Threads that wait for servers. More gain nothing once each question takes a thread's time to read."""


@record
class PageJob:
    """Token of a page that is being fetched."""

    index: Index
    name: NormalizedName


@record
class MetadataJob:
    """Token of a version's metadata."""

    key: MetadataKey
    row: FileRow
    whole: bool = True
    """A large sdist is worth fetching."""


@record
class DirectJob:
    """Token of a direct source."""

    key: DirectKey


Job = PageJob | MetadataJob | DirectJob


class Network:
    """The threads of one run and what they share."""

    def __init__(
        self,
        store: Store,
        indexes: Indexes,
        environ: Mapping[str, str],
        raw_pages: RawPages,
        *,
        listener: Listener,
        workers: int | None = None,
        fetcher: Fetcher | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.fetcher: Fetcher = fetcher if fetcher is not None else Transport(indexes, environ)
        self._store = store
        self._listener = listener
        self._clock = clock
        self._raw_pages = raw_pages
        self._crew: Crew[Result] = Crew(workers or WORKERS)
        self._readers: PageReaders | None = None
        self._metadata = MetadataFetch(self.fetcher, self.obtain)

    @property
    def busy(self) -> bool:
        """Whether something is under way."""
        return self._crew.under_way > 0

    def fetch_page(self, job: PageJob, known: KeptPage | None, cutoff: str, *, urgent: bool) -> None:
        """Begins to ask for a page; its end is a `PageAnswer`."""
        if self._readers is None:
            self._readers = PageReaders(self._raw_pages)
        readers = self._readers

        def ask(*, as_sent: bool) -> PageAnswer | Unread:
            return ask_for_page(self.fetcher, job.index, job.name, known, self._clock, as_sent=as_sent)

        def work() -> PageAnswer | Elsewhere:
            answer = ask(as_sent=readers.are_there)
            if not isinstance(answer, Unread):
                return answer
            kept, response = answer.kept, answer.response

            def take(content: PageContent | None) -> None:
                if content is not None:
                    self._crew.end(job, PageAnswer(kept, content))
                    return
                try:
                    self._crew.end(job, read_here())
                except BaseException as error:
                    self._crew.end(job, None, error)

            if self._raw_pages.write(job.index.identity, kept, response) and readers.give(
                job.index.identity, job.index.name, kept, cutoff, take
            ):
                return ELSEWHERE
            return read_here(answer if response.body else None)

        def read_here(answer: PageAnswer | Unread | None = None) -> PageAnswer:
            answer = answer or ask(as_sent=False)
            if isinstance(answer, Unread):
                return read_answer(job.index, answer, cutoff, self._raw_pages)
            return answer

        self._crew.give(job, work, urgent=urgent)

    def fetch_metadata(self, job: MetadataJob, *, urgent: bool) -> None:
        """Begins to read metadata; its end is `Metadata`, `NoMetadata` or `NeedsBuild`."""
        self._crew.give(job, lambda: self._metadata.read(job.key, job.row, whole=job.whole), urgent=urgent)

    def look(self, job: DirectJob, place: Workplace, *, urgent: bool) -> None:
        """Begins to look what is at a direct source; its end is `Direct` or `DirectNeedsBuild`."""
        self._crew.give(job, lambda: direct.look(job.key, place), urgent=urgent)

    def take(self, *, wait: bool) -> Done[Result] | None:
        """The next end of a job."""
        return self._crew.take(wait=wait)

    def obtain(self, row: FileRow, index: str) -> Path:
        """The file of *row*, in the store; of a local index, where it lies."""
        located = Located(row.artifact, address(row), index)
        return fetch_one(located, self._store, lambda: self.fetcher, listener=self._listener)

    def measured(self, row: FileRow, index: str) -> Artifact:
        """The file of *row* with its size and sha256, fetched for that."""
        path = self.obtain(row, index)
        return replace(row.artifact, size=path.stat().st_size, sha256=digest_of(path))

    def close(self) -> None:
        """Sends the threads home."""
        self._crew.dismiss()
        if self._readers is not None:
            self._readers.close()
        self.fetcher.close()
