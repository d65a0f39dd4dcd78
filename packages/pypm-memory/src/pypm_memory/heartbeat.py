"""Keeps the leases of a process running for as long as it lives: one thread, which ends with the last."""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections.abc import Callable
from contextlib import suppress
from sqlite3 import Connection

from pypm_memory import promises
from pypm_memory.database import Database
from pypm_memory.memory_errors import MemoryUnusable

BEATS = 4
"""In the time of a lease: one that comes late does not lose it."""


class Heartbeat:
    """The promises that this process holds in one file."""

    def __init__(self, database: Database, steady: Callable[[], float]) -> None:
        self._database = database
        self._steady = steady
        self._process = os.getpid()
        self._held: dict[str, tuple[int, float]] = {}
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def hold(self, token: str, generation: int, lease: float) -> None:
        """Keeps a lease running from now on."""
        if self._process != os.getpid():
            # Forked: what the parent holds it holds, and its thread is not here.
            self._process, self._held, self._thread = os.getpid(), {}, None
            self._lock = threading.Lock()
        with self._lock:
            self._held[token] = (generation, lease)
            if self._thread is None:
                self._thread = threading.Thread(
                    target=_beat, args=(weakref.ref(self),), name="pypm-memory", daemon=True
                )
                self._thread.start()

    def drop(self, token: str) -> None:
        """Lets a lease run out, unless it is settled."""
        self._held.pop(token, None)

    def held(self) -> list[tuple[str, int]]:
        """Token and generation of all that this process holds."""
        if self._process != os.getpid():
            return []
        return [(token, generation) for token, (generation, _) in list(self._held.items())]

    def _renew(self) -> float | None:
        """One beat; how long until the next, or None when there is nothing left to hold."""
        with self._lock:
            if not self._held:
                self._thread = None
                return None
            held = dict(self._held)

        def work(connection: Connection) -> list[str]:
            steady = self._steady()
            return [t for t, (g, _) in held.items() if not promises.renew(connection, t, g, steady)]

        with suppress(MemoryUnusable):  # the next beat may have more luck
            for token in self._database.write(work):
                self.drop(token)
        return min(lease for _, lease in held.values()) / BEATS


def _beat(of: weakref.ref[Heartbeat]) -> None:
    """Beats until there is nothing to hold, or the memory is gone."""
    while (heartbeat := of()) is not None:
        pause = heartbeat._renew()
        if pause is None:
            return
        del heartbeat  # a memory that nobody has any more is not kept by this thread
        time.sleep(pause)
