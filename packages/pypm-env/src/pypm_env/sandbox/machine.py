"""What this machine can wall off, and by which way: the first that is not refused.

The one seam to the system for everything here: tests put a machine of their own in its place.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from pypm_env.sandbox.session import CannotStart, Entry, Start, run_session
from pypm_env.sandbox.walls import CannotIsolate, Refused, Walls, open_to
from pypm_model.later import later
from pypm_model.records import record, replace

if TYPE_CHECKING:
    import shutil
    import subprocess

    from pypm_env.sandbox import bubblewrap, landlock, linux, namespaces, seatbelt
else:
    shutil = later("shutil")
    subprocess = later("subprocess")
    bubblewrap = later("pypm_env.sandbox.bubblewrap")
    landlock = later("pypm_env.sandbox.landlock")
    linux = later("pypm_env.sandbox.linux")
    namespaces = later("pypm_env.sandbox.namespaces")
    seatbelt = later("pypm_env.sandbox.seatbelt")


@record
class Machine:
    """The system as walls see it."""

    platform: str = sys.platform
    find: Callable[[str], str | None] = lambda name: shutil.which(name)
    kernel: Callable[[], linux.Kernel] = lambda: linux.Kernel()
    run: Callable[[Start, Entry | None], int] = run_session
    probe: Callable[[Sequence[str]], str] = lambda argv: _complaint(argv)
    """Runs a command line that does nothing but put up walls; empty if that went well, else why not."""


@record
class Way:
    """One way to run a program behind walls."""

    start: Start
    entry: Entry | None
    open_to: str
    """What is left open, as a phrase."""


def ways(machine: Machine, walls: Walls, start: Start) -> Iterator[Callable[[], Way]]:
    """Each way there is on this machine, the best first; making one may raise `Refused`."""
    if machine.platform == "linux":
        yield lambda: _namespaces(machine, walls, start)
        program = machine.find("bwrap")
        if program is not None:
            yield lambda: _prefixed(
                machine, lambda argv: bubblewrap.bubblewrap(program, walls, argv, start.cwd), walls, start
            )
        yield lambda: _landlock(machine, walls, start)
    elif machine.platform == "darwin" and machine.find(seatbelt.PROGRAM):
        yield lambda: _prefixed(machine, lambda argv: seatbelt.seatbelt(walls, argv), walls, start)


def run_behind(machine: Machine, walls: Walls, start: Start, tell: Callable[[str], None]) -> int:
    """Runs *start* behind *walls* by the first way that works, having told what is left open; its exit
    code. Raises `CannotIsolate` if none does, `CannotStart`."""
    if walls.is_open:
        tell(open_to(walls))
        return machine.run(start, None)
    reasons: list[str] = []
    for make in ways(machine, walls, start):
        try:
            way = make()
            return machine.run(way.start, _telling(way, tell))
        except Refused as error:
            reasons.append(str(error))
    raise CannotIsolate(wall_of(walls), tuple(reasons) or (f"there is no way to on {machine.platform}",))


def wall_of(walls: Walls) -> str:
    """The options, as they were given."""
    words = [f"--fs {walls.fs}" if walls.fs else "", "--no-net" if walls.no_net else ""]
    return " ".join(filter(None, ["--isolate" if walls.isolate else "", *words]))


def can_view(machine: Machine, walls: Walls) -> str:
    """Empty if *walls* (``cow``) can be had as they are, else why not: tried, in a process that ends."""
    entry = _namespaces(machine, walls, _NOTHING).entry if machine.platform == "linux" else None
    if entry is None:
        return f"no copy-on-write views on {machine.platform}"
    tried = Entry(entry.enter, None, lambda: os._exit(0))
    try:
        machine.run(_NOTHING, tried)
    except (Refused, CannotStart) as error:
        return str(error)
    return ""


_NOTHING = Start(("true",), {}, "/")


def _telling(way: Way, tell: Callable[[str], None]) -> Entry:
    """The entry, which tells what is open when the walls are up."""
    inner = way.entry or Entry(lambda: None)

    def last() -> None:
        if inner.last is not None:
            inner.last()
        tell(way.open_to)

    return Entry(inner.enter, inner.first, last, inner.outside)


def _namespaces(machine: Machine, walls: Walls, start: Start) -> Way:
    kernel = _kernel(machine)
    first = (lambda: namespaces.begin_as_first(kernel)) if walls.isolate else None
    enter, last = (
        lambda: namespaces.enter_namespaces(walls, kernel),
        lambda: namespaces.end_privileges(kernel),
    )
    outside = lambda: kernel.die_with_parent(signal.SIGKILL)  # noqa: E731
    return Way(start, Entry(enter, first, last, outside), open_to(walls))


def _landlock(machine: Machine, walls: Walls, start: Start) -> Way:
    kernel = _kernel(machine)
    if walls.temporary:
        start = replace(start, environment={**start.environment, "TMPDIR": walls.temporary})
    return Way(start, Entry(lambda: landlock.enter_landlock(walls, kernel)), open_to(walls, landlock=True))


def _kernel(machine: Machine) -> linux.Kernel:
    try:
        return machine.kernel()
    except OSError as error:
        raise Refused(f"the kernel: {error.strerror or error}") from error


def _prefixed(
    machine: Machine, line: Callable[[Sequence[str]], tuple[str, ...]], walls: Walls, start: Start
) -> Way:
    """By another program. That says only by its exit code that it could not, as would what it runs: so it
    is tried with something that cannot fail."""
    complaint = machine.probe(line(["true"]))
    if complaint:
        raise Refused(complaint)
    return Way(replace(start, argv=line(start.argv)), None, open_to(walls))


def _complaint(argv: Sequence[str]) -> str:
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace")
    lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
    return f"{os.path.basename(argv[0])}: {lines[-1]}" if done.returncode else ""
