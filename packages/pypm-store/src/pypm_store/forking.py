"""Forks of this process that do a part of its work, and may be several kinds at once.

A fork ends when the pipe through which it is told what to do ends. That end must be open in one process
only: another fork that has it too would keep the first one waiting for ever, also after this process was
killed. So ends of that kind are named here, and every fork closes all but its own.
"""

from __future__ import annotations

import os
import sys
import warnings
from _thread import allocate_lock

TYPE_CHECKING = False  # as in `typing`, which a sync that only links does not load
if TYPE_CHECKING:
    from collections.abc import Callable

_lock = allocate_lock()
_feeds: set[int] = set()
"""Guarded by the lock, like their being closed: a fork has either all of them or knows of all it has."""


def may_fork() -> bool:
    """Whether this process may go on in a fork, and gains by it: on Linux, with the interpreter's lock."""
    # Without the interpreter's lock threads are as good.
    locked: Callable[[], bool] = getattr(sys, "_is_gil_enabled", lambda: True)
    return sys.platform == "linux" and locked()


def processors() -> int:
    """Those that this process may run on."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def feed(handle: int) -> int:
    """*handle*, from now on closed in every fork: the end through which some fork is told what to do."""
    with _lock:
        _feeds.add(handle)
    return handle


def close_feed(handle: int) -> None:
    """Closes what `feed` was told of."""
    with _lock:
        _feeds.discard(handle)
        os.close(handle)


def fork() -> int:
    """`os.fork`, for a child that does no more than the given work and leaves with `os._exit`. All that was
    given to `feed` is closed in it. Raises OSError."""
    with warnings.catch_warnings():
        # Python warns when there are threads: locks that these hold stay locked in the child. It uses none.
        warnings.simplefilter("ignore", DeprecationWarning)
        with _lock:
            pid = os.fork()
            if pid == 0:
                for handle in _feeds:
                    os.close(handle)
                _feeds.clear()
    return pid
