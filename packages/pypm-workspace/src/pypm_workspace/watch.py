"""Folders looked after by the system: which files in them have changed, as it happens.

What is told is a hint and no more: events come late, come twice, and are lost when there are too many. Who
waits here has to look at what is told of, and at everything from time to time.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from contextlib import suppress
from types import TracebackType
from typing import ClassVar, Self

from watchfiles._rust_notify import RustNotify, WatchfilesRustInternalError

from pypm_model.errors import PypmError

# `watchfiles.watch` makes its watches when it is first asked for changes, and waits for a fixed time; the
# class behind it, which the library documents as well, makes them at once: what happens between a look and
# the next is told.

QUICK, CALM = 5, 25
"""Milliseconds between two looks at what the system has told, and without news after which a burst is over.
Longer is slower to answer, shorter wakes an idle process more often (0.6 and 0.2 % of a processor)."""
BURST = 250
"""Milliseconds after which a burst that does not end is handed out all the same."""
POLL = 300
"""Milliseconds between two looks of a `Poller`."""


class WatchRefused(PypmError):
    """The system does not watch so many folders, or none of this kind."""

    code: ClassVar[str] = "watch-refused"
    folders: int
    reason: str

    def __str__(self) -> str:
        return f"the system refuses to watch {self.folders} folders: {self.reason}"

    @property
    def hint(self) -> str:
        return "use --poll, or raise the limit (on Linux: fs.inotify.max_user_watches and max_user_instances)"


class Watcher:
    """Watches folders, each without those below it. Use it as a context manager."""

    def __init__(self) -> None:
        self._notify: RustNotify | None = None
        self._folders: dict[str, tuple[int, int]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._notify is not None:
            self._notify.close()

    def follow(self, folders: Iterable[str]) -> bool:
        """Watches *folders* from now on, those that are there, and no others; whether that is any change. A
        folder that another one has taken the place of counts as another.

        Raises `WatchRefused`.
        """
        wanted = _there(folders)
        if wanted == self._folders:
            return False
        before, self._notify, self._folders = self._notify, None, {}
        while wanted and self._notify is None:
            try:
                # False: with errors of permission it would also pass over a limit that is reached.
                self._notify = RustNotify(sorted(wanted), False, False, POLL, False, False)
            except (OSError, WatchfilesRustInternalError) as error:
                left = _there(wanted)
                if left == wanted:
                    self._notify = before
                    raise WatchRefused(len(wanted), str(error)) from error
                wanted = left  # one went away just now
        # Not earlier: between two watchers nothing may go unseen.
        if before is not None:
            before.close()
        self._folders = wanted
        return True

    def wait(self, milliseconds: int, *, step: int = QUICK) -> frozenset[str]:
        """Paths that have changed, as soon as there are some and *step* milliseconds have brought no more;
        none after *milliseconds*, or if a signal came in."""
        if self._notify is None:
            raise AssertionError("nothing is watched")
        found = self._notify.watch(BURST, step, max(milliseconds, step), None)
        return frozenset() if isinstance(found, str) else frozenset(path for _, path in found)


class Poller:
    """What `Watcher` is, where the system tells nothing: looks at the files again and again.

    The library's own way of doing so compares times in whole seconds, and so passes over an edit that
    follows another one quickly.
    """

    def __init__(self) -> None:
        self._folders: dict[str, tuple[int, int]] = {}
        self._seen: dict[str, _Status] = {}
        """By path: what is in the folders."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def follow(self, folders: Iterable[str]) -> bool:
        """See `Watcher.follow`; refuses none."""
        wanted = _there(folders)
        if wanted == self._folders:
            return False
        self._folders, self._seen = wanted, _statuses(wanted)
        return True

    def wait(self, milliseconds: int, *, step: int = QUICK) -> frozenset[str]:
        """Paths that have changed since the last look, `POLL` milliseconds (or fewer) from now."""
        time.sleep(min(milliseconds, POLL) / 1000)
        before, self._seen = self._seen, _statuses(self._folders)
        return frozenset(path for path, _ in before.items() ^ self._seen.items())


_Status = tuple[int, int, int]


def _statuses(folders: Iterable[str]) -> dict[str, _Status]:
    """What tells a file in one of *folders* from one that was written anew: time, size, inode."""
    found = {}
    for folder in folders:
        with suppress(OSError), os.scandir(folder) as entries:
            for entry in entries:
                with suppress(OSError):
                    status = os.stat(entry.path)
                    found[entry.path] = (status.st_mtime_ns, status.st_size, status.st_ino)
    return found


def _there(folders: Iterable[str]) -> dict[str, tuple[int, int]]:
    """Those of *folders* that can be read, and what tells each from one that takes its place."""
    found = {}
    for folder in folders:
        try:
            status = os.stat(folder)
        except OSError:
            continue
        if os.access(folder, os.R_OK):
            found[folder] = (status.st_dev, status.st_ino)
    return found
