"""Programs that checks start: found on PATH, given little time, never asked for input."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from pypm.ops.doctor.patient import NotKnown, Patient
from pypm.ops.git import git_folder
from pypm_model.records import record

SECONDS = 10.0


@record
class Ended:
    """How a program ended."""

    code: int
    output: str
    errors: str

    @property
    def last_line(self) -> str:
        """The last thing it said, for a message."""
        said = [line.strip() for line in (self.errors or self.output).splitlines() if line.strip()]
        return said[-1] if said else f"exit code {self.code}"


def find(program: str, environ: Mapping[str, str]) -> str | None:
    """The path of *program*, or None."""
    return shutil.which(program, path=environ.get("PATH", ""))


def git_of(patient: Patient) -> str | None:
    """The git to ask about the repository around the workspace, None if there is none. Raises `NotKnown`."""
    if git_folder(patient.root) is None:
        return None
    command = find("git", patient.environ)
    if command is None:
        raise NotKnown("the git command is not installed")
    return command


def run(
    argv: Sequence[str], environ: Mapping[str, str], *, cwd: Path | None = None, seconds: float = SECONDS
) -> Ended:
    """Runs *argv*. Raises `NotKnown` if it cannot be started or does not end in time."""
    try:
        done = subprocess.run(
            list(argv),
            cwd=cwd,
            env={**environ, "LC_ALL": "C.UTF-8"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise NotKnown(f"{argv[0]} gave no answer within {seconds:g} seconds") from None
    except OSError as error:
        raise NotKnown(f"{argv[0]} cannot be started: {(error.strerror or str(error)).lower()}") from None
    return Ended(done.returncode, done.stdout, done.stderr)
