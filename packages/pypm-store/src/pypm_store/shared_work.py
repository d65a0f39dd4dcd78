"""Many small jobs done by two workers at once: this process and a fork of it, else two threads.

Linking and looking at files is one short system call after the other. Threads spend what they gain on
handing over the interpreter's lock (measured: two are as fast as one); a fork has a lock of its own,
knows all that this process knows, and costs some milliseconds.

Only on Linux: elsewhere a process that has threads, or has used the system's frameworks, may not go on
after a fork. There it does nothing but the given work and leaves without any cleaning up.
"""

from __future__ import annotations

import gc
import marshal
import os
from _thread import allocate_lock, start_new_thread

from pypm_store.atomic import write_all
from pypm_store.forking import fork, may_fork, processors

TYPE_CHECKING = False  # as in `typing`, which a sync that only links does not load
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeVar

    T = TypeVar("T")

_ITEM = 4
"""Bytes of a number in a pipe."""
_ITEMS = 1000
"""So many fit into any pipe, however small, before someone reads; and are written in one step."""
ALL = _ITEM * _ITEMS
"""Bytes of them."""


def share_out(
    jobs: int, work: Callable[[int], T], take: Callable[[int, T], None], *, workers: int = 2
) -> None:
    """Calls ``work(number)`` for every number below *jobs*, smaller ones first, and *take* with each
    number and answer, in any order, never twice at the same time and always in this process.

    With *workers* 1 all is done here; more than two do not pay. Answers must be what `marshal` takes:
    numbers, texts, tuples, lists. What *work* changes in memory may be lost; what it does to files
    must bear being done again, for a job that failed in the other process is repeated in this one.
    Raises the first exception of *work* or *take*; then no job is running any more.
    """
    if workers < 2 or jobs < 2 or processors() < 2:
        for number in range(jobs):
            take(number, work(number))
    elif not may_fork():
        _by_threads(jobs, work, take)
    else:
        _by_fork(jobs, work, take)


def _by_threads(jobs: int, work: Callable[[int], T], take: Callable[[int, T], None]) -> None:
    # One iterator for both: taking its next number is one step.
    waiting = iter(range(jobs))
    lock, ended = allocate_lock(), allocate_lock()
    failures: list[BaseException] = []

    def run() -> None:
        try:
            for number in waiting:
                if failures:
                    return
                answer = work(number)
                with lock:
                    take(number, answer)
        except BaseException as error:
            failures.append(error)

    def help() -> None:
        try:
            run()
        finally:
            ended.release()

    # `threading` itself takes longer to import than most of what is shared out here.
    ended.acquire()
    start_new_thread(help, ())
    try:
        run()
    finally:
        ended.acquire()
    if failures:
        raise failures[0]


def _by_fork(jobs: int, work: Callable[[int], T], take: Callable[[int, T], None]) -> None:
    at_once = -(-jobs // _ITEMS)
    queue, feed = os.pipe()
    os.write(feed, b"".join(map(item, range(0, jobs, at_once))))
    os.close(feed)
    answers, reply = os.pipe()
    here = os.getpid()
    try:
        pid = fork()
    except OSError:
        # No room for another process.
        pid = -1
    if pid == 0:
        code = 1
        try:
            gc.disable()
            os.close(answers)
            serve(here, jobs, at_once, queue, reply, work)
            code = 0
        finally:
            os._exit(code)
    os.close(reply)
    open_jobs = set(range(jobs))
    inbox = Inbox(answers)

    def note(number: int, answer: T) -> None:
        open_jobs.discard(number)
        take(number, answer)

    try:
        while batch := _next(queue, jobs, at_once):
            for number in batch:
                note(number, work(number))
            for number, answer in inbox.ready():
                note(number, answer)
        for number, answer in inbox.rest():
            note(number, answer)
        # What the other could not do, or not say because it was killed; here an error is raised.
        for number in sorted(open_jobs):
            note(number, work(number))
    finally:
        # Nothing is left to take: the other ends after what it has in hand.
        while os.read(queue, ALL):
            continue
        os.close(queue)
        os.close(answers)
        if pid > 0:
            try:  # noqa: SIM105 (contextlib is one module more)
                os.waitpid(pid, 0)
            except ChildProcessError:
                pass  # somebody else waited for it


def item(number: int) -> bytes:
    """The number of a job, or a length, as it goes through a pipe."""
    return number.to_bytes(_ITEM, "little")


def serve(parent: int, jobs: int, at_once: int, queue: int, reply: int, work: Callable[[int], Any]) -> None:
    """The forked process's part. It ends early when the other is gone or a job fails here."""
    while batch := _next(queue, jobs, at_once):
        for number in batch:
            if os.getppid() != parent:
                return
            message = marshal.dumps((number, work(number)))
            write_all(reply, item(len(message)) + message)


def _next(queue: int, jobs: int, at_once: int) -> range:
    """The jobs to do next; reading them off the pipe is one step for all who do it."""
    read = os.read(queue, _ITEM)
    if len(read) < _ITEM:
        return range(0)
    first = int.from_bytes(read, "little")
    return range(first, min(first + at_once, jobs))


class Inbox:
    """Answers as they come."""

    def __init__(self, handle: int) -> None:
        self._handle = handle
        self._buffer = b""

    def ready(self) -> list[tuple[int, Any]]:
        """Those that are there by now."""
        os.set_blocking(self._handle, False)
        try:  # noqa: SIM105
            self._read()
        except BlockingIOError:
            pass  # no more for now
        return self._whole()

    def some(self) -> list[tuple[int, Any]]:
        """Waits for some; none when no process is left that could give any."""
        while chunk := os.read(self._handle, 1 << 16):
            self._buffer += chunk
            if found := self._whole():
                return found
        return []

    def rest(self) -> list[tuple[int, Any]]:
        """All others; waits until the other process has none."""
        os.set_blocking(self._handle, True)
        self._read()
        return self._whole()

    def close(self) -> None:
        os.close(self._handle)

    def _read(self) -> None:
        while chunk := os.read(self._handle, 1 << 16):
            self._buffer += chunk

    def _whole(self) -> list[tuple[int, Any]]:
        found, at = [], 0
        while len(self._buffer) - at >= _ITEM:
            begin = at + _ITEM
            end = begin + int.from_bytes(self._buffer[at:begin], "little")
            if len(self._buffer) < end:
                break
            found.append(marshal.loads(self._buffer[begin:end]))
            at = end
        self._buffer = self._buffer[at:]
        return found
