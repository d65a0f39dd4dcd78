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
import struct
from _thread import allocate_lock, start_new_thread
from collections.abc import Callable
from contextlib import suppress
from heapq import heappop, heappush
from typing import Any, Self, TypeVar

from pypm_store.atomic import write_all
from pypm_store.forking import close_feed, feed, fork, may_fork, processors

T = TypeVar("T")

_ITEM = struct.Struct("=L")
_LENGTH = struct.Struct("=L")
_ITEMS = 1000
"""So many fit into any pipe, however small, before someone reads; and are written in one step."""


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
    os.write(feed, b"".join(map(_ITEM.pack, range(0, jobs, at_once))))
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
            _serve(here, jobs, at_once, queue, reply, work)
            code = 0
        finally:
            os._exit(code)
    os.close(reply)
    open_jobs = set(range(jobs))
    inbox = _Inbox(answers)

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
        while os.read(queue, _ITEM.size * _ITEMS):
            continue
        os.close(queue)
        os.close(answers)
        if pid > 0:
            with suppress(ChildProcessError):
                os.waitpid(pid, 0)


class Forks:
    """Forks of this process that do jobs as they become possible; elsewhere, or where it would not pay,
    none, and every job is left over.

    ::

        with Forks(len(files), work) as forks:      # before other threads are started
            for number in possible():
                forks.add(number)
                done(forks.ended())
            done(forks.rest())
            for number in forks.left():
                work(number)

    Of the jobs that are possible the one with the lowest number is begun next: give the longest the lowest,
    and none of them is begun last, to be waited for alone.
    """

    def __init__(self, jobs: int, work: Callable[[int], object], *, workers: int = 2) -> None:
        """Of *work* what `share_out` says holds: a job that fails or is lost there is left over."""
        self._pids: list[int] = []
        queue, self._feed = os.pipe()
        feed(self._feed)
        answers, reply = os.pipe()
        here = os.getpid()
        if not (jobs > 1 and may_fork() and processors() > 1):
            workers = 0
        with suppress(OSError):
            for _ in range(workers):
                pid = fork()
                if pid == 0:
                    code = 1
                    try:
                        gc.disable()
                        os.close(answers)
                        _serve(here, jobs, 1, queue, reply, work)
                        code = 0
                    finally:
                        os._exit(code)
                self._pids.append(pid)
        os.close(reply)
        self._queue = queue
        self._inbox = _Inbox(answers)
        self._lock, self._reading = allocate_lock(), allocate_lock()
        # Guarded by the lock:
        self._open: set[int] = set()
        self._possible: list[int] = []
        self._ended: list[int] = []
        # One that waits in the pipe, so that nobody waits for this process.
        self._places = len(self._pids) + 1
        self._is_all = False
        self._reading.acquire()
        start_new_thread(self._read, ())

    @property
    def are_there(self) -> bool:
        """Whether there are any."""
        return bool(self._pids)

    def add(self, number: int) -> None:
        """This job can be done now; each is added once."""
        with self._lock:
            self._open.add(number)
            heappush(self._possible, number)
            self._hand_out()

    def ended(self) -> list[int]:
        """Jobs that were done meanwhile."""
        with self._lock:
            ended, self._ended = self._ended, []
            return ended

    def rest(self) -> list[int]:
        """Waits for all that were added; those that were done since `ended`."""
        with self._lock:
            self._is_all = True
            self._hand_out()
        with self._reading:
            return self.ended()

    def left(self) -> list[int]:
        """Those that were added and not done: to be done here."""
        with self._lock:
            return sorted(self._open)

    def _hand_out(self) -> None:
        """As many as are wanted now; nothing more to come closes the pipe, which ends the forks."""
        while self._feed >= 0 and self._places and self._possible:
            os.write(self._feed, _ITEM.pack(heappop(self._possible)))
            self._places -= 1
        if self._is_all and not self._possible and self._feed >= 0:
            close_feed(self._feed)
            self._feed = -1

    def _read(self) -> None:
        """The thread that takes the answers, until the last fork has ended."""
        try:
            while answers := self._inbox.some():
                with self._lock:
                    for number, _ in answers:
                        self._open.discard(number)
                        self._ended.append(number)
                        self._places += 1
                    self._hand_out()
        finally:
            self._reading.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Ends all of them after what they have in hand."""
        with self._lock:
            self._possible.clear()
            self._is_all = True
            self._hand_out()
        while os.read(self._queue, _ITEM.size * _ITEMS):
            continue
        self._reading.acquire()
        os.close(self._queue)
        self._inbox.close()
        for pid in self._pids:
            with suppress(ChildProcessError):
                os.waitpid(pid, 0)


def _serve(parent: int, jobs: int, at_once: int, queue: int, reply: int, work: Callable[[int], Any]) -> None:
    """The forked process's part. It ends early when the other is gone or a job fails here."""
    while batch := _next(queue, jobs, at_once):
        for number in batch:
            if os.getppid() != parent:
                return
            message = marshal.dumps((number, work(number)))
            write_all(reply, _LENGTH.pack(len(message)) + message)


def _next(queue: int, jobs: int, at_once: int) -> range:
    """The jobs to do next; reading them off the pipe is one step for all who do it."""
    item = os.read(queue, _ITEM.size)
    if len(item) < _ITEM.size:
        return range(0)
    (first,) = _ITEM.unpack(item)
    return range(first, min(first + at_once, jobs))


class _Inbox:
    """Answers as they come."""

    def __init__(self, handle: int) -> None:
        self._handle = handle
        self._buffer = b""

    def ready(self) -> list[tuple[int, Any]]:
        """Those that are there by now."""
        os.set_blocking(self._handle, False)
        with suppress(BlockingIOError):
            self._read()
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
        while len(self._buffer) - at >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._buffer, at)
            end = at + _LENGTH.size + length
            if len(self._buffer) < end:
                break
            found.append(marshal.loads(self._buffer[at + _LENGTH.size : end]))
            at = end
        self._buffer = self._buffer[at:]
        return found
