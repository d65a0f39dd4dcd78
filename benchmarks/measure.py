"""Whole runs of commands measured: wall time, CPU of the process and its children, peak memory.

Commands are started by a small process of their own (`_STARTER`): the kernel counts what a process had
in memory before it became the command as part of its peak, so the floor is that of a bare interpreter
(some 9 MB) and not of this program. On Linux the starter also adopts what a command leaves running behind it
(pypm compiles bytecode after it has returned), waits for it outside of the measured time, so that it
disturbs no other run, and counts its CPU apart.

Contenders run in turns, A B A B, because a machine gets slower and faster over minutes; ratios are taken
pair by pair.
"""

from __future__ import annotations

import json
import marshal
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

MEGABYTE = 1_000_000
BLOCK = 512
"""Bytes that `os.stat_result.st_blocks` counts in."""
LINGER = 600.0
"""Seconds a command's leftovers may go on before the next run starts all the same."""

_STARTER = """
import marshal, os, signal, sys, time
source, sink = os.fdopen(0, "rb"), os.fdopen(1, "wb")
unit = 1 if sys.platform == "darwin" else 1024
child = 0
def stop(number, frame):
    if child:
        try:
            os.killpg(child, signal.SIGKILL)
        except OSError:
            pass
def end(number, frame):
    stop(number, frame)
    os._exit(1)
signal.signal(signal.SIGALRM, stop)
signal.signal(signal.SIGTERM, end)
while True:
    try:
        argv, cwd, env, log, limit, linger = marshal.load(source)
    except EOFError:
        break
    os.chdir(cwd)
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]
    begin = time.perf_counter()
    try:
        child = os.posix_spawn(argv[0], argv, env, file_actions=actions, setpgroup=0)
    except OSError as error:
        with open(log, "w") as file:
            file.write(str(error))
        answer = 0.0, 0.0, 0.0, 0, 127
    else:
        signal.setitimer(signal.ITIMER_REAL, limit)
        _, status, used = os.wait4(child, 0)
        wall = time.perf_counter() - begin
        signal.setitimer(signal.ITIMER_REAL, 0)
        behind, latest = 0.0, time.monotonic() + linger
        while time.monotonic() < latest:
            try:
                pid, _, more = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                break
            if pid:
                behind += more.ru_utime + more.ru_stime
            else:
                time.sleep(0.005)
        code = os.waitstatus_to_exitcode(status)
        answer = wall, used.ru_utime + used.ru_stime, behind, used.ru_maxrss * unit, code
    marshal.dump(answer, sink)
    sink.flush()
"""

_ADOPT = """
import os, sys
try:
    import ctypes
    ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)
except Exception:
    pass
os.execv(sys.executable, [sys.executable, "-ISc", sys.argv[1]])
"""
"""PR_SET_CHILD_SUBREAPER lasts beyond exec, so the starter itself need not load ctypes."""


@dataclass(frozen=True, slots=True)
class Command:
    """One command line, where and in which environment it runs."""

    argv: tuple[str, ...]
    cwd: Path
    env: Mapping[str, str] = field(default_factory=dict)
    limit: float = 1800.0
    """Seconds after which it is killed."""
    makes: Path | None = None
    """A file that it writes, whose size counts; or a folder, of which counts what it takes on the disk."""
    measures: bool = False
    """It measures something itself: the last line of its output is JSON with ``wall``, ``cpu`` and
    ``memory``, which count in place of its own (see `benchmarks.staying`)."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One run. What this platform cannot tell is None."""

    wall: float
    """Seconds."""
    cpu: float | None
    """Seconds, user and system, of the process and the children it waited for."""
    memory: int | None
    """Bytes: the largest resident set of any one process of it."""
    behind: float = 0.0
    """CPU seconds of what went on after the command had returned."""
    requests: int | None = None
    """That the index got."""
    size: int | None = None
    """Bytes of the file or folder that was made, if it is about one."""


def size_of(path: Path) -> int:
    """Bytes of a file; of a folder what it and all below it take on the disk. A file that has another name
    elsewhere, as a hard link to one in a cache has, takes nothing."""
    if not path.is_dir():
        return path.stat().st_size
    taken = 0
    names: dict[tuple[int, int], int] = {}
    folders = [path]
    while folders:
        with os.scandir(folders.pop()) as entries:
            for entry in entries:
                status = entry.stat(follow_symlinks=False)
                if entry.is_dir(follow_symlinks=False):
                    folders.append(Path(entry.path))
                else:
                    key = status.st_dev, status.st_ino
                    names[key] = names.get(key, 0) + 1
                    if names[key] < status.st_nlink:
                        continue
                taken += status.st_blocks * BLOCK
    return taken


class RunFailed(Exception):
    """A command ended with another code than 0; the text tells which and the end of its output."""


class Stopwatch:
    """Runs and measures commands. A context manager; *folder* keeps the output of the last command."""

    def __init__(self, folder: Path, requests: Callable[[], int] | None = None) -> None:
        """*requests* tells how many there were so far."""
        self.log = folder / "output.log"
        self.requests = requests
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Stopwatch:
        if hasattr(os, "posix_spawn"):
            self.process = subprocess.Popen(
                [sys.executable, "-ISc", _ADOPT, _STARTER], stdin=subprocess.PIPE, stdout=subprocess.PIPE
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process is not None:
            assert self.process.stdin is not None and self.process.stdout is not None
            if kind is not None:
                self.process.terminate()  # and what it is waiting for with it
            self.process.stdin.close()
            self.process.wait()
            self.process.stdout.close()

    def run(self, commands: Sequence[Command]) -> Sample:
        """The commands one after the other as one sample: times added, the largest memory.

        Raises `RunFailed`.
        """
        before = self.requests() if self.requests is not None else 0
        samples = [self._run(command) for command in commands]
        made = self.requests() - before if self.requests is not None else None
        return Sample(
            sum(sample.wall for sample in samples),
            None
            if any(sample.cpu is None for sample in samples)
            else sum(sample.cpu or 0.0 for sample in samples),
            max((sample.memory for sample in samples if sample.memory is not None), default=None),
            sum(sample.behind for sample in samples),
            made,
            max(map(size_of, {each.makes for each in commands if each.makes is not None}), default=None),
        )

    def _run(self, command: Command) -> Sample:
        program = shutil.which(command.argv[0], path=command.env.get("PATH")) or command.argv[0]
        argv = [program, *command.argv[1:]]
        if self.process is None:
            return self._run_plainly(argv, command)
        assert self.process.stdin is not None and self.process.stdout is not None
        job = (argv, str(command.cwd), dict(command.env), str(self.log), command.limit, LINGER)
        marshal.dump(job, self.process.stdin)
        self.process.stdin.flush()
        answer: Any = marshal.load(self.process.stdout)
        wall, cpu, behind, memory, code = answer
        self._check(command, code)
        return self._told() if command.measures else Sample(wall, cpu, memory, behind)

    def _told(self) -> Sample:
        """What the last command measured."""
        last = self.log.read_text(encoding="utf-8", errors="replace").rstrip().rpartition("\n")[2]
        told = json.loads(last)
        return Sample(float(told["wall"]), float(told["cpu"]), int(told["memory"]))

    def _run_plainly(self, argv: list[str], command: Command) -> Sample:
        """Where there is no posix_spawn: wall time only."""
        with open(self.log, "wb") as log:
            begin = time.perf_counter()
            try:
                code = subprocess.run(
                    argv,
                    cwd=command.cwd,
                    env=dict(command.env),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    timeout=command.limit,
                ).returncode
            except (OSError, subprocess.TimeoutExpired) as error:
                log.write(str(error).encode())
                code = 127
            wall = time.perf_counter() - begin
        self._check(command, code)
        return self._told() if command.measures else Sample(wall, None, None)

    def _check(self, command: Command, code: int) -> None:
        if code == 0:
            return
        try:
            tail = self.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-12:]
        except OSError:
            tail = []
        words = " ".join([os.path.basename(command.argv[0]), *command.argv[1:]])
        raise RunFailed("\n".join([f"`{words[:200]}` ended with {code}", *tail]))


Prepare = Callable[[int], Sequence[Command]]
"""Makes the state one run starts from (unmeasured) and gives the commands to be measured."""


@dataclass(frozen=True, slots=True)
class Contender:
    """One tool's way to do a case's work."""

    name: str
    prepare: Prepare
    once: bool = False
    """Slow, and only shown beside: one measured run is enough."""


@dataclass(slots=True)
class Result:
    """What one contender did."""

    samples: list[Sample] = field(default_factory=list)
    failure: str = ""


def race(
    stopwatch: Stopwatch,
    contenders: Sequence[Contender],
    runs: int,
    *,
    warm_up: bool = True,
    budget: float = 300.0,
    clock: Callable[[], float] = time.monotonic,
) -> dict[str, Result]:
    """Runs the contenders in turns, *runs* rounds after an unmeasured one, fewer if a round more would go
    over *budget* seconds (at least one). A contender that fails is out of the race; the others go on."""
    results = {contender.name: Result() for contender in contenders}
    begin = clock()
    for at in range(0 if warm_up else 1, runs + 1):
        started = clock()
        for contender in contenders:
            result = results[contender.name]
            if result.failure or (contender.once and result.samples):
                continue
            try:
                sample = stopwatch.run(contender.prepare(at))
            except RunFailed as error:
                result.failure = str(error)
            else:
                if at:
                    result.samples.append(sample)
        if at and clock() - begin + (clock() - started) > budget:
            break
    return results


Measure = Callable[[Sample], float | None]


def median(result: Result, of: Measure) -> float | None:
    """The median over the samples; None if there are none or the platform cannot tell."""
    values = [value for sample in result.samples if (value := of(sample)) is not None]
    return statistics.median(values) if values else None


def ratio(result: Result, against: Result, of: Measure) -> float | None:
    """The median of the ratios of the pairs, in the order in which they ran; None without pairs."""
    pairs = [(of(a), of(b)) for a, b in zip(result.samples, against.samples, strict=False)]
    ratios = [a / b for a, b in pairs if a is not None and b]
    return statistics.median(ratios) if ratios else None
