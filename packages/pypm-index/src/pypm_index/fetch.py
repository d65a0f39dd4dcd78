"""Files into the store: in parallel, hashed as they come, resumed where a download broke off.

What comes with another sha256 or size than promised is not kept and ends the run. A line that breaks
is taken up again by a range request where the server can; else the file is fetched from its start.
"""

from __future__ import annotations

import queue
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from pypm_index.addresses import redacted
from pypm_index.errors import FileGone, IndexFailed, IndexUnreachable, OfflineMissing, WrongHash, WrongSize
from pypm_index.ports import Fetcher, Stream
from pypm_index.settings import Index
from pypm_model.artifacts import Located
from pypm_model.events import Advanced, Finished, Listener, Started, ignore
from pypm_store.files import digest_of
from pypm_store.store import Incoming, Store, WrongDigest

WORK = "download"
WORKERS = 8
"""Downloads at a time: enough to fill a line, few enough that each is quick."""

_CHUNK = 1 << 18
_ATTEMPTS = 4
"""Times that a line may break for one file without a single byte more."""

Relocate = Callable[[Located], Located | None]
"""Where a file is that is not where it was said to be; None if nowhere."""


def fetch_each(
    located: Sequence[Located],
    store: Store,
    connect: Callable[[], Fetcher],
    *,
    listener: Listener = ignore,
    workers: int = WORKERS,
    offline: bool = False,
    relocate: Relocate | None = None,
) -> Iterator[tuple[str, Path]]:
    """(sha256, path in the store) of each file as soon as it is there, so that unpacking can begin
    while others are on their way: first those that need not be fetched, then as they come, the
    largest begun first. Each must have a sha256.

    Raises what `fetch` raises. An iterator that is given up ends the downloads after their current
    piece. *relocate* is called in the caller's thread.
    """
    missing: list[Located] = []
    for one in {one.artifact.sha256: one for one in located}.values():
        path = local_path(one) or store.file(one.artifact.sha256)
        if path is None:
            missing.append(one)
        else:
            yield one.artifact.sha256, _checked(one, path)
    if not missing:
        return
    if offline:
        raise OfflineMissing(missing[0].artifact.filename, missing[0].index)
    missing.sort(key=lambda one: (-(one.artifact.size or 0), one.artifact.filename))
    listener(Started(WORK, total=sum(one.artifact.size or 0 for one in missing)))
    with _Downloads(missing, store, connect(), listener, workers, relocate is not None) as downloads:
        left = len(missing)
        while left:
            one, result = downloads.next()
            if isinstance(result, FileGone) and relocate is not None:
                elsewhere = relocate(one)
                if elsewhere is not None:
                    downloads.add(elsewhere)
                    continue
            if isinstance(result, BaseException):
                raise result
            left -= 1
            yield one.artifact.sha256, result
    listener(Finished(WORK))


def fetch_one(
    located: Located, store: Store, connect: Callable[[], Fetcher], *, listener: Listener = ignore
) -> Path:
    """One file, in the store (of a ``file://`` address: where it lies). Its sha256 may be unknown:
    then the place in the store tells it."""
    path = local_path(located)
    if path is None and located.artifact.sha256:
        path = store.file(located.artifact.sha256)
    if path is not None:
        return _checked(located, path)
    return _download(located, store, connect(), listener, threading.Event())


def local_path(located: Located) -> Path | None:
    """Where a file is that needs no fetching; None if it is on the web."""
    return Index("", located.url).folder


def _checked(located: Located, path: Path) -> Path:
    """*path*, if it is in the store, or is the right file of a local folder."""
    artifact = located.artifact
    if local_path(located) is not None:
        if not path.is_file():
            raise FileGone(located.index, artifact.filename, str(path), 404)
        actual = digest_of(path) if artifact.sha256 else ""
        if actual != artifact.sha256:
            raise WrongHash(located.index, artifact.filename, str(path), artifact.sha256, actual)
    return path


class _Downloads:
    """Threads that download; results are taken one by one."""

    def __init__(
        self,
        located: Sequence[Located],
        store: Store,
        fetcher: Fetcher,
        listener: Listener,
        workers: int,
        may_move: bool,
    ) -> None:
        """*may_move*: a file that is gone may be found elsewhere, and ends nothing."""
        self._todo: queue.SimpleQueue[Located | None] = queue.SimpleQueue()
        self._done: queue.SimpleQueue[tuple[Located, Path | BaseException]] = queue.SimpleQueue()
        self._store = store
        self._fetcher = fetcher
        self._listener = listener
        self._may_move = may_move
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._work, name="pypm-download", daemon=True)
            for _ in range(max(1, min(workers, len(located))))
        ]
        for one in located:
            self._todo.put(one)

    def add(self, located: Located) -> None:
        """One more."""
        self._todo.put(located)

    def next(self) -> tuple[Located, Path | BaseException]:
        """The next file that has ended, well or not."""
        return self._done.get()

    def __enter__(self) -> _Downloads:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for _thread in self._threads:
            self._todo.put(None)

    def _work(self) -> None:
        while (one := self._todo.get()) is not None and not self._stop.is_set():
            try:
                path = _download(one, self._store, self._fetcher, self._listener, self._stop)
            except BaseException as error:
                self._done.put((one, error))
                if not (self._may_move and isinstance(error, FileGone)):
                    self._stop.set()  # before the next is begun, not when somebody has time to look
            else:
                self._done.put((one, path))


class _Stopped(Exception):
    """Somebody else's failure ended this download; what has come stays for the next run."""


def _download(
    located: Located, store: Store, fetcher: Fetcher, listener: Listener, stop: threading.Event
) -> Path:
    artifact = located.artifact
    expected = artifact.sha256 or None
    try:
        with store.writing(expected, label=artifact.filename) as incoming:
            if not incoming.complete:
                _fill(located, incoming, fetcher, listener, stop)
    except WrongDigest as error:
        shown = redacted(located.url)
        raise WrongHash(located.index, artifact.filename, shown, error.expected, error.actual) from error
    return incoming.path


def _fill(
    located: Located, incoming: Incoming, fetcher: Fetcher, listener: Listener, stop: threading.Event
) -> None:
    """Writes the whole file, over several connections if need be."""
    artifact = located.artifact
    size = artifact.size
    if incoming.offset and size is not None and incoming.offset > size:
        incoming.restart()
    if incoming.offset:
        listener(Advanced(WORK, artifact.filename, incoming.offset))
    failures, reached = 0, incoming.offset
    while size is None or incoming.offset < size or not incoming.offset:
        try:
            _take(located, incoming, fetcher, listener, stop)
            break
        except IndexUnreachable as error:
            # A line that breaks now and then is good as long as something comes through.
            failures = failures + 1 if incoming.offset <= reached else 1
            reached = max(reached, incoming.offset)
            if failures >= _ATTEMPTS:
                error.attempts = failures
                raise
            stop.wait(0.2 * failures)
    if size is not None and incoming.offset != size:
        got = incoming.offset
        incoming.restart()
        raise WrongSize(located.index, artifact.filename, redacted(located.url), size, got)


def _take(
    located: Located, incoming: Incoming, fetcher: Fetcher, listener: Listener, stop: threading.Event
) -> None:
    """Writes what one connection brings."""
    artifact = located.artifact
    start = incoming.offset
    headers = {"Range": f"bytes={start}-"} if start else {}
    with fetcher.open(located.url, index=located.index, subject=artifact.filename, headers=headers) as stream:
        if stream.status in (404, 410):
            raise FileGone(located.index, artifact.filename, redacted(located.url), stream.status)
        if start and not _continues(stream, start):
            # No ranges here, or the rest is not what was asked for: from the beginning.
            listener(Advanced(WORK, artifact.filename, -start))
            incoming.restart()
            if stream.status != 200:
                raise IndexUnreachable(
                    located.index,
                    artifact.filename,
                    redacted(located.url),
                    "it cannot go on where it broke off",
                )
        elif not start and stream.status != 200:
            raise IndexFailed(located.index, artifact.filename, redacted(located.url), stream.status)
        while chunk := stream.read(_CHUNK):
            if stop.is_set():
                raise _Stopped
            incoming.write(chunk)
            listener(Advanced(WORK, artifact.filename, len(chunk)))
            if artifact.size is not None and incoming.offset > artifact.size:
                got = incoming.offset
                incoming.restart()
                raise WrongSize(located.index, artifact.filename, redacted(located.url), artifact.size, got)


def _continues(stream: Stream, start: int) -> bool:
    if stream.status != 206:
        return False
    found = re.match(r"bytes (\d+)-", stream.headers.get("content-range", ""))
    return found is not None and int(found[1]) == start
