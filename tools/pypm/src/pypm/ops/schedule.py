"""Tasks over members: which runs there are, what each waits for, and running them.

A run is one task in one member. ``needs = ["x"]`` waits for x in the same member, ``"^x"`` for x in
every member this one depends on. What several runs wait for is run once.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, ClassVar

from pypm_model.errors import Place, PypmError
from pypm_model.later import later
from pypm_model.records import field, record

if TYPE_CHECKING:
    import subprocess
    from concurrent import futures
else:
    subprocess = later("subprocess")
    futures = later("concurrent.futures")


@record(order=True)
class Run:
    """One task in one member."""

    member: str
    task: str

    def __str__(self) -> str:
        return f"{self.member}:{self.task}"


@record
class Job:
    """A run with its command and the runs that must have succeeded before it."""

    run: Run
    command: str
    cwd: str
    after: frozenset[Run] = frozenset()
    environment: Mapping[str, str] = field(default_factory=dict)
    """Variables set for this command; for a `Runner`, all there are."""


@record
class Finished:
    """How one run ended; *code* is None for one that never started because another failed."""

    run: Run
    code: int | None


class TaskCycle(PypmError):
    """Tasks that wait for each other, or for themselves."""

    code: ClassVar[str] = "task-cycle"
    exit: ClassVar[int] = 2
    cycle: tuple[str, ...]
    """Ends with the one it begins with."""
    tables: tuple[Place, ...]
    """Where the tasks are written."""

    def __str__(self) -> str:
        if len(self.cycle) == 2:
            return f"{self.tables[0]}: task {self.cycle[0]} needs itself"
        return f"{self.tables[0]}: tasks wait for each other: {' -> '.join(self.cycle)}"

    @property
    def places(self) -> tuple[Place, ...]:
        return self.tables


def check_order(jobs: Mapping[Run, Job], place: Callable[[Run], Place]) -> None:
    """Raises `TaskCycle` if some jobs can never start; *place* tells where the task of a run is written."""
    done: set[Run] = set()
    for start in sorted(jobs):
        path: list[Run] = []
        stack: list[tuple[Run, bool]] = [(start, False)]
        while stack:
            run, leaving = stack.pop()
            if leaving:
                done.add(path.pop())
                continue
            if run in path:
                cycle = path[path.index(run) :]
                places = tuple(dict.fromkeys(map(place, cycle)))
                raise TaskCycle((*map(str, cycle), str(run)), places)
            if run in done:
                continue
            path.append(run)
            stack.append((run, True))
            stack += [(needed, False) for needed in sorted(jobs[run].after, reverse=True)]


@record(frozen=False, eq=False)
class Runner:
    """Runs jobs in order, several at a time; after a failure nothing new starts.

    *emit* gets (run, line of output without its end); None lets the command have the terminal, which
    is right when there is one job. *announce* is told of each job as it starts.
    """

    jobs: Mapping[Run, Job]
    parallel: int
    emit: Callable[[Run, str], None] | None
    announce: Callable[[Job], None]
    _processes: set[subprocess.Popen[str]] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def run(self) -> tuple[Finished, ...]:
        """Runs all jobs and gives how each ended, in the order of their ends."""
        waiting = dict(self.jobs)
        succeeded: set[Run] = set()
        ended: list[Finished] = []
        running: dict[futures.Future[int], Run] = {}
        failed = False
        with futures.ThreadPoolExecutor(max_workers=self.parallel) as pool:
            try:
                while waiting or running:
                    if not failed:
                        for run in self._ready(waiting.values(), succeeded)[: self.parallel - len(running)]:
                            running[pool.submit(self._execute, waiting.pop(run))] = run
                    if not running:
                        break
                    finished, _ = futures.wait(running, return_when=futures.FIRST_COMPLETED)
                    for future in finished:
                        run = running.pop(future)
                        code = future.result()
                        ended.append(Finished(run, code))
                        if code == 0:
                            succeeded.add(run)
                        else:
                            failed = True
            except BaseException:
                self._terminate()
                raise
        return (*ended, *(Finished(run, None) for run in sorted(waiting)))

    def _ready(self, jobs: Iterable[Job], succeeded: set[Run]) -> list[Run]:
        return sorted(job.run for job in jobs if job.after <= succeeded)

    def _execute(self, job: Job) -> int:
        if not job.command:
            return 0  # a task that only names what it needs
        self.announce(job)
        captured = None if self.emit is None else subprocess.PIPE
        process = subprocess.Popen(
            job.command,
            shell=True,
            cwd=job.cwd,
            env=job.environment,
            stdout=captured,
            stderr=None if captured is None else subprocess.STDOUT,
            stdin=None if captured is None else subprocess.DEVNULL,
            text=True,
            encoding="utf-8",
            errors="replace",
        )
        with self._lock:
            self._processes.add(process)
        if self.emit is not None and process.stdout is not None:
            for line in process.stdout:
                self.emit(job.run, line.rstrip("\n"))
        code = process.wait()
        with self._lock:
            self._processes.discard(process)
        return code if code >= 0 else 128 - code

    def _terminate(self) -> None:
        with self._lock:
            for process in self._processes:
                process.terminate()
