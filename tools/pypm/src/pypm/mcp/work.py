"""Child processes that do what calls ask for: started, listened to, and ended with all they started."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable, Coroutine, Mapping
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any

from pypm.mcp.child import NO_PIPE, PATIENCE_SECONDS
from pypm_model.events import Advanced, Event, Finished, Started, Warned
from pypm_model.records import record

_CHUNK = 64 * 1024
_KINDS: dict[str, Callable[..., Event]] = {
    kind.__name__: kind for kind in (Started, Advanced, Finished, Warned)
}

Hear = Callable[[Event], None]


@record
class Job:
    """One verb to be run."""

    words: tuple[str, ...]
    """Of the command line, the verb first."""
    cwd: Path
    environ: Mapping[str, str]
    writes: bool = False
    """It is interrupted before it is killed: it has something to put back."""
    stays: bool = False
    """It may take as long as it likes: it has no share of the places that others wait for."""
    output_limit: int = 64 * 1024 * 1024
    """Bytes of each stream that are kept, the last ones."""


@record
class Ended:
    """How it ended, and what it wrote."""

    status: int
    out: str
    err: str


class Workshop:
    """Runs jobs, so many at a time. For one event loop."""

    def __init__(self, at_once: int) -> None:
        self._places = asyncio.Semaphore(at_once)
        self._endings: set[asyncio.Task[None]] = set()

    async def run(self, job: Job, hear: Hear) -> Ended:
        """What became of *job*; *hear* is told its events. If this is cancelled, the process and all it has
        started are ended."""
        async with nullcontext() if job.stays else self._places:
            return await self._run(job, hear)

    async def close(self) -> None:
        """Waits until all that was cancelled has ended."""
        while self._endings:
            await asyncio.wait(self._endings)

    async def _run(self, job: Job, hear: Hear) -> Ended:
        posix = os.name == "posix"
        inner, outer = os.pipe() if posix else (NO_PIPE, NO_PIPE)
        argv = (sys.executable, "-P", "-m", "pypm.mcp.child", str(outer), *job.words)
        try:
            process = await asyncio.create_subprocess_exec(
                *argv,
                cwd=job.cwd,
                env=job.environ,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                start_new_session=posix,
                pass_fds=(outer,) if posix else (),
            )
        except BaseException:
            if posix:
                os.close(inner)
            raise
        finally:
            if posix:
                os.close(outer)
        assert process.stdout is not None and process.stderr is not None
        reading = asyncio.gather(
            _all_of(process.stdout, job.output_limit),
            _all_of(process.stderr, job.output_limit),
            _events(inner, hear) if posix else _nothing(),
            process.wait(),
        )
        try:
            out, err, _, status = await reading
        except BaseException:
            reading.cancel()
            _signal(process, signal.SIGINT if job.writes and posix else signal.SIGTERM)
            self._keep(_end(process, PATIENCE_SECONDS if job.writes else 0.0))
            raise
        return Ended(status, out, err)

    def _keep(self, ending: Coroutine[Any, Any, None]) -> None:
        # A task of its own: whoever was cancelled cannot wait.
        task = asyncio.get_running_loop().create_task(ending)
        self._endings.add(task)
        task.add_done_callback(self._endings.discard)


async def _end(process: asyncio.subprocess.Process, patience: float) -> None:
    """Kills the group of *process*, after the time it has to end by itself."""
    if patience:
        with suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), patience)
    _signal(process, getattr(signal, "SIGKILL", signal.SIGTERM))
    await process.wait()


def _signal(process: asyncio.subprocess.Process, number: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        if os.name == "posix":
            os.killpg(process.pid, number)
        else:
            process.kill()


async def _all_of(stream: asyncio.StreamReader, limit: int) -> str:
    kept = bytearray()
    while chunk := await stream.read(_CHUNK):
        kept += chunk
        if len(kept) > 2 * limit:
            del kept[:-limit]
    return bytes(kept[-limit:]).decode("utf-8", "replace")


async def _events(handle: int, hear: Hear) -> None:
    """Tells *hear* what comes through the pipe, until all who could write to it have gone."""
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    pipe = os.fdopen(handle, "rb", buffering=0)
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), pipe)
    try:
        while line := await reader.readline():
            facts = json.loads(line)
            hear(_KINDS[facts.pop("event")](**facts))
    finally:
        transport.close()


async def _nothing() -> None:
    return None
