"""Threads that do the waiting: jobs in, results out, the more urgent first.

Threads are daemons and are never joined: a run that is interrupted does not wait for a server.
"""

from __future__ import annotations

import itertools
import queue
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from pypm_model.records import NamedTuple

T = TypeVar("T")


class Done(NamedTuple, Generic[T]):
    """How one job ended: with a result, or an error."""

    token: object
    result: T | None
    error: BaseException | None


class Elsewhere:
    """What a job gives whose end is told later, with `Crew.end`."""


ELSEWHERE = Elsewhere()


class Crew(Generic[T]):
    """Up to *workers* threads, started as jobs come. `give` and `take` are for one thread."""

    def __init__(self, workers: int) -> None:
        self._workers = max(1, workers)
        self._jobs: queue.PriorityQueue[tuple[int, int, object, Callable[[], T | Elsewhere] | None]]
        self._jobs = queue.PriorityQueue()
        self._done: queue.SimpleQueue[Done[T]] = queue.SimpleQueue()
        self._numbers = itertools.count()
        self._threads = 0
        self._under_way = 0

    @property
    def under_way(self) -> int:
        """Jobs given whose end has not been taken."""
        return self._under_way

    def give(self, token: object, job: Callable[[], T | Elsewhere], *, urgent: bool) -> None:
        """Has *job* done; its end carries *token*. Urgent jobs overtake those that are not."""
        self._under_way += 1
        self._jobs.put((0 if urgent else 1, next(self._numbers), token, job))
        if self._threads < min(self._workers, self._under_way):
            self._threads += 1
            threading.Thread(target=self._work, name="pypm-fetch", daemon=True).start()

    def end(self, token: object, result: T | None, error: BaseException | None = None) -> None:
        """The end of a job that was left to somebody else. From any thread."""
        self._done.put(Done(token, result, error))

    def take(self, *, wait: bool) -> Done[T] | None:
        """The end of the next job to end; None if there is none yet and *wait* is false."""
        try:
            done = self._done.get(block=wait)
        except queue.Empty:
            return None
        self._under_way -= 1
        return done

    def dismiss(self) -> None:
        """No more jobs: idle threads end now, busy ones after what they are at; waiting jobs are dropped."""
        while True:
            try:
                self._jobs.get_nowait()
            except queue.Empty:
                break
        for _ in range(self._threads):
            self._jobs.put((2, next(self._numbers), None, None))

    def _work(self) -> None:
        while True:
            _, _, token, job = self._jobs.get()
            if job is None:
                return
            try:
                result = job()
            except BaseException as error:
                self.end(token, None, error)
            else:
                if not isinstance(result, Elsewhere):
                    self.end(token, result)
