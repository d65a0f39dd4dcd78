"""A command that is started anew each time something has changed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

_PATIENCE = 5.0
"""Seconds between asking a command to end and ending it."""


class WatchTask:
    """One command line, running or not. Its processes are a group of their own, so that all of them can be
    ended."""

    def __init__(self, argv: tuple[str, ...], cwd: Path, environ: Mapping[str, str], *, quiet: bool) -> None:
        """*quiet*: what it prints goes to stderr, as stdout is for something else."""
        self._argv = argv
        self._cwd = cwd
        self._environ = dict(environ)
        self._quiet = quiet
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def runs(self) -> bool:
        """Whether it was started and its end has not been taken."""
        return self._process is not None

    def start(self) -> None:
        """Starts the command. Raises OSError."""
        assert self._process is None
        out = sys.stderr.fileno() if self._quiet else None
        own_group: dict[str, Any] = {"process_group": 0}
        if sys.platform == "win32":
            own_group = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
        self._process = subprocess.Popen(
            self._argv,
            cwd=self._cwd,
            env=self._environ,
            stdin=subprocess.DEVNULL,
            stdout=out,
            **own_group,
        )

    def ended(self) -> int | None:
        """The exit code, once, if it has ended."""
        code = self._process.poll() if self._process is not None else None
        if code is not None:
            self._process = None
        return code if code is None or code >= 0 else 128 - code

    def stop(self) -> int:
        """Ends the command and all it has started; its exit code."""
        process, self._process = self._process, None
        assert process is not None
        self._end(process, hard=False)
        with suppress(subprocess.TimeoutExpired):
            process.wait(_PATIENCE)
        # Also what outlives the command that started it.
        self._end(process, hard=True)
        code = process.wait()
        return code if code >= 0 else 128 - code

    def _end(self, process: subprocess.Popen[bytes], *, hard: bool) -> None:
        if sys.platform == "win32":
            if hard:
                process.kill()
            else:
                process.send_signal(signal.CTRL_BREAK_EVENT)
            return
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL if hard else signal.SIGTERM)
