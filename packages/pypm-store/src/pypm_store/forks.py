"""Jobs that become possible one by one, done by forks of this process."""

from __future__ import annotations

import gc
import os
from _thread import allocate_lock, start_new_thread
from collections.abc import Callable
from contextlib import suppress
from heapq import heappop, heappush
from typing import Self

from pypm_store.forking import close_feed, feed, fork, may_fork, processors
from pypm_store.shared_work import ALL, Inbox, item, serve


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
                        serve(here, jobs, 1, queue, reply, work)
                        code = 0
                    finally:
                        os._exit(code)
                self._pids.append(pid)
        os.close(reply)
        self._queue = queue
        self._inbox = Inbox(answers)
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
            os.write(self._feed, item(heappop(self._possible)))
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
        while os.read(self._queue, ALL):
            continue
        self._reading.acquire()
        os.close(self._queue)
        self._inbox.close()
        for pid in self._pids:
            with suppress(ChildProcessError):
                os.waitpid(pid, 0)
