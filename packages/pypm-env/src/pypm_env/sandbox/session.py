"""Runs what is in a sandbox and waits for its end, passing on what comes for it.

On a terminal everything in the foreground gets Ctrl-C at once: the sandbox decides what it means, and who
waits goes on waiting. A request to end (SIGTERM, or SIGHUP: the terminal has closed) is passed on, and
after a while insisted on.
"""

from __future__ import annotations

import errno
import os
import signal
import sys
from collections.abc import Callable, Collection
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from pypm_env.sandbox.walls import Refused
from pypm_model.later import later
from pypm_model.records import record

if TYPE_CHECKING:
    import shutil
    import subprocess
else:
    shutil = later("shutil")
    subprocess = later("subprocess")

GRACE = 3.0
"""Seconds between a request to end and the end."""


@record
class Start:
    """A program to run."""

    argv: tuple[str, ...]
    environment: dict[str, str]
    cwd: str
    is_shell: bool = False
    """A shell that is talked to: it ends when it is hung up on, not when it is asked to terminate."""


@record
class Entry:
    """How the process that becomes the program goes behind walls, each step in that process."""

    enter: Callable[[], None]
    """May raise `Refused`."""
    first: Callable[[], None] | None = None
    """If given, what follows happens in a process of its own, the first of its namespace, after this."""
    last: Callable[[], None] | None = None
    outside: Callable[[], None] | None = None
    """With *first*: what the process does that waits for it outside of the namespace."""


class CannotStart(Exception):
    """The program could not be run; the text is the system's reason."""

    def __init__(self, number: int) -> None:
        super().__init__(os.strerror(number).lower())
        self.number = number


def run_session(start: Start, entry: Entry | None = None) -> int:
    """Runs *start* behind the walls of *entry*; its exit code, 128 and the signal's number if one killed it.

    Raises `Refused` if a wall could not be put up, `CannotStart` if the program could not be run; then
    nothing of it was.
    """
    if os.name != "posix":
        return _run_elsewhere(start)
    sys.stdout.flush()
    sys.stderr.flush()
    reading, writing = os.pipe()
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, _PASSED)
    try:
        child = os.fork()
        if child == 0:
            try:
                os.close(reading)
                _become(start, entry, writing, blocked)
            finally:
                os._exit(127)
        os.close(writing)
        waiter = _Waiter(child, start.is_shell)
        with waiter:
            # Only now: what came meanwhile is passed on.
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
            report = _read(reading)
            code = waiter.wait()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
    _take_terminal_back()
    if report.startswith(b"refused "):
        raise Refused(report[8:].decode("utf-8", "replace"))
    if report.startswith(b"start "):
        raise CannotStart(int(report[6:]))
    return code


_PASSED = frozenset(
    getattr(signal, name) for name in ("SIGINT", "SIGQUIT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)


def _become(start: Start, entry: Entry | None, report: int, blocked: Collection[int]) -> None:
    """In the child: the walls, then the program. Comes back only if that failed, having said why."""
    try:
        if entry is not None:
            entry.enter()
            if entry.first is not None:
                _in_a_process_namespace(entry.first, entry.outside, start, report, blocked)
        os.chdir(start.cwd)
        if entry is not None and entry.last is not None:
            entry.last()
        for name in ("SIGPIPE", "SIGXFSZ"):
            if hasattr(signal, name):
                signal.signal(getattr(signal, name), signal.SIG_DFL)  # Python had them ignored
        for number in _PASSED:
            if signal.getsignal(number) not in (signal.SIG_IGN, None):
                signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        os.execvpe(start.argv[0], list(start.argv), start.environment)
    except Refused as error:
        os.write(report, b"refused " + str(error).encode())
    except OSError as error:
        os.write(report, b"start " + str(error.errno or 0).encode())


def _in_a_process_namespace(
    first: Callable[[], None],
    outside: Callable[[], None] | None,
    start: Start,
    report: int,
    blocked: Collection[int],
) -> None:
    """Goes on two processes further in: the outer waits for the first of the namespace, which must not be
    the program itself (the kernel treats it in its own way, and it has to bury orphans)."""
    parent = os.getppid()
    if outside is not None:
        # Now, not before: the namespaces it has entered made the kernel forget it.
        outside()
    if os.getppid() != parent:
        os._exit(127)  # it was gone already
    child = os.fork()
    if child:
        os.close(report)
        with _Waiter(child, False) as waiter:
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
            os._exit(waiter.wait())
    first()
    child = os.fork()
    if child:
        os.close(report)
        with _Waiter(child, start.is_shell, buries=True) as waiter:
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
            os._exit(waiter.wait())


def _read(handle: int) -> bytes:
    """What the child says; nothing when it has become the program."""
    with os.fdopen(handle, "rb") as pipe:
        return pipe.read()


class _Waiter:
    """Waits for one child, passing on signals that come meanwhile. Use in a ``with`` block."""

    def __init__(self, child: int, is_shell: bool, *, buries: bool = False) -> None:
        self._child = child
        self._is_shell = is_shell
        self._buries = buries
        """Other children end here, too."""
        self._asked = 0
        """The signal that asked for the end, if one did."""
        self._before: dict[int, Any] = {}

    def __enter__(self) -> _Waiter:
        for number in _PASSED:
            if signal.getsignal(number) != signal.SIG_IGN:  # as `nohup` wants it
                self._before[number] = signal.signal(number, self._pass_on)
        self._before[signal.SIGALRM] = signal.signal(signal.SIGALRM, self._insist)
        return self

    def __exit__(self, *raised: object) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def wait(self) -> int:
        """The exit code."""
        while True:
            ended, status = os.waitpid(-1 if self._buries else self._child, 0)
            if ended == self._child:
                break
        if self._asked:
            return 128 + self._asked
        code = os.waitstatus_to_exitcode(status)
        return code if code >= 0 else 128 - code

    def _pass_on(self, number: int, frame: object) -> None:
        if number in (signal.SIGINT, signal.SIGQUIT):
            if not _is_in_foreground():
                self._send(number)
            return
        self._asked = number
        self._send(signal.SIGHUP if self._is_shell else number)
        self._send(signal.SIGCONT)
        signal.setitimer(signal.ITIMER_REAL, GRACE)

    def _insist(self, number: int, frame: object) -> None:
        self._send(signal.SIGKILL)

    def _send(self, number: int) -> None:
        with suppress(ProcessLookupError):
            os.kill(self._child, number)


def _terminal() -> int | None:
    return next((handle for handle in (0, 1, 2) if os.isatty(handle)), None)


def _is_in_foreground() -> bool:
    """Whether the terminal sends this process, and with it the child, what is typed."""
    handle = _terminal()
    try:
        return handle is not None and os.tcgetpgrp(handle) == os.getpgrp()
    except OSError:
        return False


def _take_terminal_back() -> None:
    """From a shell that was killed before it could give it back."""
    handle = _terminal()
    try:
        if handle is not None and os.tcgetpgrp(handle) != os.getpgrp():
            before = signal.signal(signal.SIGTTOU, signal.SIG_IGN)
            os.tcsetpgrp(handle, os.getpgrp())
            signal.signal(signal.SIGTTOU, before)
    except OSError:
        pass


def _run_elsewhere(start: Start) -> int:
    """Where there is no fork: Ctrl-C reaches both, and only the program heeds it."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    program = shutil.which(start.argv[0], path=start.environment.get("PATH"))
    try:
        if program is None:
            raise CannotStart(errno.ENOENT)
        return subprocess.run([program, *start.argv[1:]], env=start.environment, cwd=start.cwd).returncode
    except OSError as error:
        raise CannotStart(error.errno or errno.ENOENT) from error
    finally:
        signal.signal(signal.SIGINT, before)
