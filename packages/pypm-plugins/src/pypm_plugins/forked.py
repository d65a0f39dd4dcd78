"""The child as a fork of this process: the parent waits, and hands on the signals that were meant for it.

Linux only: elsewhere frameworks do not survive a fork. The terminal sends its signals (Ctrl-C, Ctrl-\\) to
both of us, so those are the child's affair; what another process sends to pypm, a service manager or a
test, is sent on. Which is which the kernel says with the signal.
"""

import _signal  # type: ignore[import-not-found]
import posix

from pypm_plugins.calling import Library

TYPE_CHECKING = False  # as `typing` has it
if TYPE_CHECKING:
    from collections.abc import Callable

_PR_SET_PDEATHSIG = 1
_ENDING = (
    _signal.SIGINT,
    _signal.SIGQUIT,
    _signal.SIGTERM,
    _signal.SIGHUP,
    _signal.SIGUSR1,
    _signal.SIGUSR2,
)
_CHANGED = (_signal.SIGINT, _signal.SIGPIPE, getattr(_signal, "SIGXFSZ", _signal.SIGPIPE))
"""What Python does otherwise than a program of the system."""
_FROM_PROCESS = 0
"""`si_code`: this and below is sent by a process, above is the kernel's."""


def run(child: "Callable[[], object]") -> int:
    """Runs *child* (which does not return) in a fork, and waits: the status as `waitpid` gives it.

    There may be no other threads. Signals are as they were at pypm's start: what was ignored stays so.
    """
    listened = (*_ENDING, _signal.SIGCHLD)
    _signal.signal(_signal.SIGCHLD, _signal.SIG_DFL)
    before = _signal.pthread_sigmask(_signal.SIG_BLOCK, listened)
    parent = posix.getpid()
    pid = posix.fork()
    if pid == 0:
        try:
            for number in _CHANGED:
                if _signal.getsignal(number) != _signal.SIG_IGN or number != _signal.SIGINT:
                    _signal.signal(number, _signal.SIG_DFL)
            _end_with(parent)
            _signal.pthread_sigmask(_signal.SIG_SETMASK, before)
            child()
        finally:
            posix._exit(126)
    while True:
        told = _signal.sigwaitinfo(listened)
        if told.si_signo != _signal.SIGCHLD:
            if told.si_code <= _FROM_PROCESS and told.si_pid != pid:
                posix.kill(pid, told.si_signo)
            continue
        ended, status = posix.waitpid(pid, posix.WNOHANG)
        if ended:
            return status


def _end_with(parent: int) -> None:
    """Asks the kernel to end this process when the parent is killed."""
    prctl = Library(None).function("prctl")
    if prctl is not None:
        prctl(_PR_SET_PDEATHSIG, int(_signal.SIGTERM), 0, 0, 0)
        if posix.getppid() != parent:
            posix._exit(128 + _signal.SIGTERM)
