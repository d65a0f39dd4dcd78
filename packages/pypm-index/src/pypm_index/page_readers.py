"""Forks of this process that read pages: unpacking, parsing and sorting them is most of a cold lock.

The pages of a hundred packages are thirty megabytes of JSON, and the better part of a second of work that
holds the interpreter's lock, which the resolution and the talk with the server wait for. A page lies in
`RawPages` before it is read, so that a fork needs only be told which one; its answer is the text that the
cache keeps of a page anyway. Only on Linux (see `pypm_store.forking`): elsewhere the threads that fetch
pages read them too.

A fork touches no file but the pages, and is killed when it is no longer wanted. What it cannot read, for
whatever reason, is asked for again and read by the thread that fetches it: only there errors are told.
"""

from __future__ import annotations

import gc
import marshal
import os
import signal
import socket
import struct
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any

from pypm_index import simple_json
from pypm_index.listings import Dated
from pypm_index.page_fetch import PageContent, content_of, read_page, read_releases
from pypm_index.raw_pages import RawPages
from pypm_index.releases import Releases
from pypm_model.facts import ListingKey
from pypm_model.names import NormalizedName
from pypm_store.atomic import write_all
from pypm_store.fact_codec import decode_files, decode_listing, encode_files, encode_listing
from pypm_store.forking import close_feed, feed, fork, may_fork, processors
from pypm_store.pages import FileRow, Page

MOST = 3
"""Forks that pay: the server and what is left in this process keep up with no more."""
_LENGTH = struct.Struct("=L")
_QUESTION = 1 << 16
"""Bytes: no question is as long."""

Take = Callable[[PageContent | None], None]
"""Gets what a page says; None if no fork could read it. Called in a thread of its own."""


class PageReaders:
    """The forks of one run. `give` may be called from any thread."""

    def __init__(self, raw_pages: RawPages) -> None:
        """None are made where forks are not safe, or where there is one processor only."""
        self._raw_pages = raw_pages
        self._lock = threading.Lock()
        self._open: dict[int, tuple[str, Page, str, str, Take]] = {}
        self._number = 0
        self._pids: list[int] = []
        self._questions: socket.socket | None = None
        if not may_fork() or processors() < 2:
            return
        # Packets: a question is taken whole, by the first fork that has nothing to do.
        self._questions, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        feed(self._questions.fileno())
        handles: list[int] = []
        with suppress(OSError):
            for _ in range(min(processors(), MOST)):
                answers, reply = os.pipe()
                pid = fork()
                if pid == 0:
                    try:
                        _serve(theirs, reply, raw_pages)
                    finally:
                        os._exit(0)
                os.close(reply)
                self._pids.append(pid)
                handles.append(answers)
        theirs.close()
        for handle in handles:
            threading.Thread(target=self._listen, args=(handle,), name="pypm-pages", daemon=True).start()

    @property
    def are_there(self) -> bool:
        """Whether there are any that still work."""
        return bool(self._pids)

    def give(self, identity: str, index: str, page: Page, cutoff: str, take: Take) -> bool:
        """Has the page read that lies in the raw pages of *identity*; False if that cannot be done."""
        with self._lock:
            if not self._pids or self._questions is None:
                return False
            self._number += 1
            number = self._number
            self._open[number] = identity, page, index, cutoff, take
        question = marshal.dumps((number, identity, index, page.name, page.digest, cutoff))
        try:
            if len(question) > _QUESTION:
                raise OSError("too long")
            self._questions.send(question)
        except OSError:
            with self._lock:
                # Whoever takes it out of the open ones answers it.
                return self._open.pop(number, None) is None
        return True

    def close(self) -> None:
        """Ends the forks, whatever they are at."""
        with self._lock:
            pids, self._pids = self._pids, []
            self._open.clear()
        if self._questions is not None:
            close_feed(self._questions.detach())
        _end(pids)

    def _listen(self, handle: int) -> None:
        """The thread that takes the answers of one fork."""
        with open(handle, "rb") as stream:
            while len(head := stream.read(_LENGTH.size)) == _LENGTH.size:
                (length,) = _LENGTH.unpack(head)
                message = stream.read(length)
                if len(message) < length:
                    break
                number, answer = marshal.loads(message)
                with self._lock:
                    asked = self._open.pop(number, None)
                if asked is not None:
                    self._answer(asked, answer)
        # It was killed. Which page it had in hand is not known: all that are open are read elsewhere.
        with self._lock:
            pids, self._pids = self._pids, []
            left, self._open = list(self._open.values()), {}
        _end(pids)
        for asked in left:
            self._answer(asked, None)

    def _answer(self, asked: tuple[str, Page, str, str, Take], answer: Any) -> None:
        identity, page, index, cutoff, take = asked
        if answer is None:
            take(None)
            return
        plain, newest, dated, undated, base, newer, files = answer
        key = ListingKey(page.name, index)
        every = Dated(decode_listing(plain, key, index), newest)
        counting = every
        if dated is not None:
            counting = Dated(decode_listing(dated, key, index), newest, undated)

        def again() -> Releases | None:
            response = self._raw_pages.read(identity, page)
            return read_releases(page.name, response) if response is not None else None

        rows = {version: decode_files(text) for version, text in files}
        releases = ReadElsewhere(every.listing.versions, rows, again)
        take(PageContent(releases, every, counting, cutoff, base, newer))


def _end(pids: Iterable[int]) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        with suppress(ChildProcessError):
            os.waitpid(pid, 0)


class ReadElsewhere:
    """The files of a page that another process has read: those of the likeliest versions are at hand, for
    others the page is read again. For one thread."""

    def __init__(
        self,
        versions: tuple[str, ...],
        rows: dict[str, tuple[FileRow, ...]],
        again: Callable[[], Releases | None],
    ) -> None:
        """*again* gives None if the page is gone: then the versions that are not at hand have no files."""
        self.versions = versions
        self._rows = rows
        self._again = again
        self._whole: Releases | None = None

    @property
    def made(self) -> Mapping[str, tuple[FileRow, ...]]:
        """See `pypm_index.page_fetch.Rows`."""
        return self._rows

    def rows(self, version: str) -> tuple[FileRow, ...]:
        """See `pypm_index.page_fetch.Rows`."""
        found = self._rows.get(version)
        if found is None:
            if version not in self.versions:
                return ()
            self._whole = self._whole or self._again()
            if self._whole is None:
                return ()
            found = self._rows[version] = self._whole.rows(version)
        return found


def _serve(questions: socket.socket, reply: int, raw_pages: RawPages) -> None:
    """The forked process's part, until the other closes its end or is gone."""
    gc.disable()
    simple_json.prepare()
    while question := questions.recv(_QUESTION):
        number, identity, index, name, digest, cutoff = marshal.loads(question)
        answer: Any = None
        with suppress(Exception):
            answer = _read(raw_pages, identity, index, NormalizedName(name), digest, cutoff)
        message = marshal.dumps((number, answer))
        write_all(reply, _LENGTH.pack(len(message)) + message)


def _read(
    raw_pages: RawPages, identity: str, index: str, name: NormalizedName, digest: str, cutoff: str
) -> tuple[str, str, str | None, bool, str, str, Iterable[tuple[str, str]]] | None:
    response = raw_pages.read(identity, Page(name, 200, 0.0, 0, digest=digest))
    if response is None:
        return None
    content = content_of(index, name, read_page(response), cutoff)
    plain, dated = content.plain, content.dated
    return (
        encode_listing(plain.listing),
        plain.newest,
        None if dated is plain else encode_listing(dated.listing),
        dated.undated,
        content.base,
        content.newer,
        [(version, encode_files(rows)) for version, rows in content.releases.made.items()],
    )
