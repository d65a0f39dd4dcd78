"""The git command started, by who fetches repositories and by who asks the user's own."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from pypm_model.records import record


@record
class NotRun:
    """The command did not come to an end of its own, for this reason."""

    reason: str


def run_git(
    arguments: Sequence[str], environ: Mapping[str, str], *, seconds: float, folder: Path | None = None
) -> subprocess.CompletedProcess[str] | NotRun:
    """What ``git ARGUMENTS`` said, in English and as UTF-8 text, and how it ended. It is asked nothing on
    the terminal and stopped after *seconds*; *folder* is where it runs."""
    done = run_git_raw(arguments, environ, seconds=seconds, folder=folder)
    if isinstance(done, NotRun):
        return done
    return subprocess.CompletedProcess(done.args, done.returncode, _text(done.stdout), _text(done.stderr))


def _text(output: bytes) -> str:
    """As a file opened for text gives it: what was checked in with CRLF has plain line ends."""
    return output.decode("utf-8", "replace").replace("\r\n", "\n").replace("\r", "\n")


def run_git_raw(
    arguments: Sequence[str],
    environ: Mapping[str, str],
    *,
    seconds: float,
    folder: Path | None = None,
    given: bytes = b"",
) -> subprocess.CompletedProcess[bytes] | NotRun:
    """The same as bytes, with *given* on its standard input."""
    try:
        return subprocess.run(
            ["git", *arguments],
            cwd=folder,
            env={**environ, "LC_ALL": "C"},
            input=given,
            capture_output=True,
            timeout=seconds,
        )
    except FileNotFoundError:
        return NotRun("the git command is not installed")
    except subprocess.TimeoutExpired:
        return NotRun(f"it took more than {seconds:g} seconds")
