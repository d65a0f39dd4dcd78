"""``pypm watch``: stay, and lock again whenever a manifest changes.

What the system tells of changes is only a reason to look; what is done hangs on what is found. So a change
that comes while a lock is being made, twice, or never, makes no difference: after each lock all is looked at
again, and now and then without any reason.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar

from pypm.ops.ending import Ending
from pypm.ops.git import NoRepository, Repository
from pypm.ops.resident import ChangedMeanwhile, HalfWritten, Relocked, Resident
from pypm.ops.resolving import CannotResolve, ResolutionUndecided
from pypm.ops.sync import SyncOptions
from pypm.ops.watch_events import (
    Advised,
    Locked,
    Mended,
    NotSynced,
    Stopped,
    Synced,
    TaskEnded,
    TaskStarted,
    Trouble,
    WatchEvent,
    Watching,
    error_json,
)
from pypm.ops.watch_task import WatchTask
from pypm.ops.world import World
from pypm_model.errors import PypmError
from pypm_model.events import Event, Warned
from pypm_model.records import record, replace
from pypm_workspace.watch import CALM, POLL, QUICK, Poller, Watcher

GRACE = 0.4
"""Seconds for which manifests that cannot be read are not spoken of: somebody may be writing them."""
LONGEST = 5.0
"""Seconds after which they are, though others come and go."""
HEARTBEAT = 30.0
"""Seconds without news after which all is looked at again; and what an index refused is asked once more."""
SLICE = 2.0
"""Seconds for which is waited at a time: that long a machine that was suspended takes to be noticed."""
CALMED = 120.0
"""Seconds without news after which it may take a moment longer to hear of some."""
BUSY = 0.05
"""The same while a task runs, or git is at work."""
HURRIED = 3
"""Locks thrown away because something changed meanwhile, before one is written all the same."""


@record
class WatchOptions:
    """What to do after each lock."""

    sync: SyncOptions | None = None
    task: WatchTask | None = None
    task_name: str = ""
    poll: bool = False


class Gone(PypmError):
    """The folder of the workspace is not there any more."""

    code: ClassVar[str] = "workspace-gone"
    root: str

    def __str__(self) -> str:
        return f"{self.root} is not there any more"


def watch(
    world: World,
    options: WatchOptions,
    tell: Callable[[WatchEvent], None],
    ending: Ending,
    *,
    now: Callable[[], float] = time.time,
) -> None:
    """Watches the workspace around the current folder until *ending* is asked for. *now* is the time of day.

    Raises what finding the workspace raises, `Gone`, and `WatchRefused`. Anything else is told.
    """
    watching = _Watching(world, options, tell, ending, now)
    try:
        watching.run()
    except KeyboardInterrupt:
        if ending.code is None:
            raise
    except Gone:
        watching.end()
        tell(Stopped())
        raise
    finally:
        watching.end()
    tell(Stopped())


class _Watching:
    def __init__(
        self,
        world: World,
        options: WatchOptions,
        tell: Callable[[WatchEvent], None],
        ending: Ending,
        now: Callable[[], float],
    ) -> None:
        self._outer = world.listener
        self._world = replace(world, listener=self._listen)
        self._options = options
        self._tell = tell
        self._ending = ending
        self._now = now
        self._trouble: Exception | None = None
        """What was told to stand in the way."""
        self._unread_since: float | None = None
        self._unread_first = 0.0
        self._unread: dict[str, Any] = {}
        """When the manifests began to be no workspace."""
        self._last_news = time.monotonic()
        self._hurried = 0
        self._retry = False
        """The next heartbeat tries again even if nothing has changed."""
        self._warnings: set[tuple[str, str]] = set()
        self._fresh_warnings: set[tuple[str, str]] = set()
        self._repository: Repository | None = None

    def run(self) -> None:
        follower = Poller if self._options.poll else Watcher
        with Resident(self._world) as resident, follower() as watcher:
            self._resident, self._watcher = resident, watcher
            with suppress(NoRepository):
                self._repository = Repository(Path(resident.root), self._world.environ)
            again = self._turn(frozenset(), force=True)
            self._tell(Watching(resident.root, len(resident.folders)))
            beat = time.monotonic()
            paths: frozenset[str] = frozenset()
            while self._ending.code is None:
                before = self._now()
                wait = self._patience(again)
                paths |= watcher.wait(round(wait * 1000), step=self._step())
                self._watch_task()
                if self._ending.code is not None:
                    break
                if paths and not resident.concerns(paths):
                    paths = frozenset()
                # A machine that slept, or whose clock was set, may have missed anything.
                jumped = not -1 < self._now() - before - wait < 5 and not paths
                due = time.monotonic() - beat >= HEARTBEAT
                if not (paths or again or jumped or due):
                    continue
                if self._is_git_at_work():
                    again = True
                    continue
                self._last_news = time.monotonic() if paths else self._last_news
                force = bool(paths) and resident.unfathomable(paths)
                if due or jumped:
                    beat = time.monotonic()
                    force = force or self._retry or resident.unfathomable()
                again = self._turn(paths, force=force)
                paths = frozenset()

    def end(self) -> None:
        """Leaves nothing running behind."""
        task = self._options.task
        if task is not None and task.runs:
            self._tell(TaskEnded(self._options.task_name, task.stop(), stopped=True))

    # -- one turn ------------------------------------------------------------------------------------

    def _turn(self, paths: frozenset[str], *, force: bool) -> bool:
        """Looks, locks if it must be, and does what follows; whether to look again soon, news or not."""
        resident = self._resident
        while True:
            self._fresh_warnings = set()
            try:
                done = resident.relock(paths, force=force, hasty=self._is_hasty())
            except ChangedMeanwhile:
                self._hurried += 1
                self._follow()
                return True
            except Exception as error:  # whatever it is, the next change may mend it
                again = self._fail(error)
            else:
                again = False
                self._succeed(done)
            # What is watched hangs on what was found; between looking and watching anything may happen.
            if not self._follow():
                return again
            paths, force = frozenset(), False

    def _follow(self) -> bool:
        return self._watcher.follow(self._resident.folders)

    def _succeed(self, done: Relocked | None) -> None:
        self._unread_since, self._hurried, self._retry = None, 0, False
        mended, self._trouble = self._trouble, None
        if mended is not None:
            self._tell(Mended(mended))
        if done is None:
            return
        # Those of a lock that fitted say nothing of the resolution.
        for code, message in sorted(self._fresh_warnings - self._warnings):
            self._tell(Advised(code, message))
        self._warnings = self._fresh_warnings
        self._tell(Locked(done))
        task = self._options.task
        if task is not None and task.runs:
            self._tell(TaskEnded(self._options.task_name, task.stop(), stopped=True))
        if self._sync() and task is not None:
            self._start(task)
        self._resident.settle()

    def _fail(self, error: Exception) -> bool:
        """Tells what stands in the way, unless that has been told; whether to look again soon. Raises
        `Gone`."""
        if not Path(self._resident.root).is_dir():
            raise Gone(self._resident.root)
        if isinstance(error, HalfWritten) or not self._resident.is_readable:
            clock, told = time.monotonic(), error_json(error)
            if self._unread_since is None:
                self._unread_first = self._unread_since = clock
            elif told != self._unread and clock - self._unread_first < LONGEST:
                # Another one than before: somebody is at work.
                self._unread_since = clock
            self._unread = told
            if clock - self._unread_since < GRACE:
                return True
            self._retry = False
        else:
            # A conflict is one until a manifest changes; an index that did not answer may do so.
            self._retry = not isinstance(error, (CannotResolve, ResolutionUndecided))
        if self._trouble is None or error_json(self._trouble) != error_json(error):
            self._trouble = error
            self._tell(Trouble(error))
        self._unread_since = None
        return False

    def _is_hasty(self) -> bool:
        """Whether nobody is to be waited for any more."""
        waited = self._unread_since is not None and time.monotonic() - self._unread_since >= GRACE
        return waited or self._hurried >= HURRIED

    def _is_git_at_work(self) -> bool:
        return self._repository is not None and self._repository.is_at_work(self._now())

    def _patience(self, again: bool) -> float:
        """Seconds to wait for news."""
        if self._unread_since is not None and again:
            return max(self._unread_since + GRACE - time.monotonic(), 0.01)
        task = self._options.task
        if again or (task is not None and task.runs):
            return BUSY
        return POLL / 1000 if self._options.poll else SLICE

    def _step(self) -> int:
        """How closely to listen: who has just edited something will soon edit more."""
        return QUICK if time.monotonic() - self._last_news < CALMED else CALM

    # -- what follows --------------------------------------------------------------------------------

    def _sync(self) -> bool:
        """Brings the environment along, if that is wanted; False if it could not be."""
        if self._options.sync is None:
            return True
        try:
            report = self._resident.sync(self._options.sync)
        except Exception as error:
            self._tell(NotSynced(error))
            return False
        self._tell(Synced(report))
        return True

    def _start(self, task: WatchTask) -> None:
        with self._ending.shielded():
            task.start()
        self._tell(TaskStarted(self._options.task_name))

    def _watch_task(self) -> None:
        task = self._options.task
        if task is not None and (code := task.ended()) is not None:
            self._tell(TaskEnded(self._options.task_name, code))

    def _listen(self, event: Event) -> None:
        """A warning is told when the lock is, and only if it was not there the last time."""
        if isinstance(event, Warned):
            self._fresh_warnings.add((event.code, event.message))
        else:
            self._outer(event)
