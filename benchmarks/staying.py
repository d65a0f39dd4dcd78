#!/usr/bin/env python3
"""What a pypm that stays costs: run by `benchmarks.cases` as a command that says itself what it measured.

    python staying.py watch    MANIFEST LOCK REQUIREMENT EDITS -- pypm watch --json
    python staying.py soak     MANIFEST LOCK REQUIREMENT EDITS -- pypm watch --json
    python staying.py idle     SECONDS -- pypm watch --json
    python staying.py resident MANIFEST REQUIREMENT EDITS          (with pypm's own interpreter)

``watch``: from the rename of a manifest, with the requirement added or taken out, to the rename of the lock,
as somebody sees it who looks at the file; ``resident`` the same within one process. The last line of the
output is JSON: wall and CPU seconds of one edit (medians; of the whole time for ``idle``), bytes of memory
(the peak; for ``soak`` how much it grew after the first fifth of the edits).
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

WARM = 4
"""Edits before the clock counts."""
LATEST = 60.0
"""Seconds an edit may take before it is taken to be lost."""


def main(argv: list[str]) -> int:
    """Runs what is asked for; 1 if the lock did not follow an edit."""
    words, _, command = " ".join(argv).partition(" -- ")
    kind, *arguments = words.split(" ")
    match kind:
        case "watch" | "soak":
            manifest, lock, requirement, edits = arguments
            with _watcher(command.split(" ")) as process:
                measured = _edits(
                    process, Path(manifest), Path(lock), requirement, int(edits), kind == "soak"
                )
        case "idle":
            with _watcher(command.split(" ")) as process:
                time.sleep(1)
                before = _cpu(process.pid)
                time.sleep(float(arguments[0]))
                used = _cpu(process.pid) - before
                measured = {"wall": float(arguments[0]), "cpu": used, "memory": _memory(process.pid, "VmHWM")}
        case _:
            manifest, requirement, edits = arguments
            measured = _resident(Path(manifest), requirement, int(edits))
    print(json.dumps(measured))
    return 0


@contextmanager
def _watcher(command: list[str]) -> Iterator[subprocess.Popen[str]]:
    """A watcher that is ready."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        for line in process.stdout:
            if json.loads(line)["event"] == "watching":
                break
        else:
            raise SystemExit(f"the watcher ended with {process.wait()}")
        yield process
    finally:
        process.terminate()
        process.stdout.close()
        process.wait()


def _texts(manifest: Path, requirement: str) -> tuple[str, str]:
    """The manifest with the requirement and without."""
    text = manifest.read_text(encoding="utf-8")
    return text.replace("dependencies = [\n", f'dependencies = [\n    "{requirement}",\n', 1), text


def _save(manifest: Path, text: str) -> None:
    beside = manifest.with_name(f".{manifest.name}.new")
    beside.write_text(text, encoding="utf-8")
    os.replace(beside, manifest)


def _edits(
    process: subprocess.Popen[str], manifest: Path, lock: Path, requirement: str, edits: int, soak: bool
) -> dict[str, float]:
    texts = _texts(manifest, requirement)
    assert process.stdout is not None
    walls: list[float] = []
    first = cpu = 0.0
    for at in range(WARM + edits):
        if at == WARM:
            cpu = _cpu(process.pid)
        if at == WARM + edits // 5:
            first = _memory(process.pid, "VmRSS")
        before = _identity(lock)
        _save(manifest, texts[at % 2])
        begin = time.perf_counter()
        while _identity(lock) == before:
            if time.perf_counter() - begin > LATEST:
                raise SystemExit(f"edit {at}: no new lock")
            time.sleep(0.0005)
        wall = time.perf_counter() - begin
        # What it does after it has written the lock is its own time, but not of the next edit.
        while json.loads(process.stdout.readline())["event"] != "locked":
            pass
        time.sleep(0 if soak else 0.15)
        if at >= WARM:
            walls.append(wall)
    memory = _memory(process.pid, "VmRSS") - first if soak else _memory(process.pid, "VmHWM")
    used = (_cpu(process.pid) - cpu) / edits
    return {"wall": statistics.median(walls), "cpu": used, "memory": max(memory, 0)}


def _identity(lock: Path) -> tuple[int, int]:
    try:
        status = lock.stat()
    except FileNotFoundError:
        return 0, 0
    return status.st_ino, status.st_mtime_ns


def _cpu(pid: int) -> float:
    """CPU seconds a process has used; 0 where nobody tells."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _memory(pid: int, name: str) -> float:
    """Bytes of a process's memory, as /proc calls them; 0 where nobody tells."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(name)), 0)


def _resident(manifest: Path, requirement: str, edits: int) -> dict[str, float]:
    from pypm.ops.resident import Resident
    from pypm.ops.world import World

    texts = _texts(manifest, requirement)
    walls, used = [], []
    with Resident(World(Path.cwd(), dict(os.environ))) as resident:
        resident.relock()
        for at in range(WARM + edits):
            resident.settle()
            _save(manifest, texts[at % 2])
            begin, cpu = time.perf_counter(), time.process_time()
            done = resident.relock([str(manifest.absolute())])
            if at >= WARM:
                walls.append(time.perf_counter() - begin)
                used.append(time.process_time() - cpu)
            if done is None or not done.wrote:
                raise SystemExit(f"edit {at}: no new lock")
    memory = _memory(os.getpid(), "VmHWM")
    return {"wall": statistics.median(walls), "cpu": statistics.median(used), "memory": memory}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
