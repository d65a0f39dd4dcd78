"""One Python process per hook call, through pyproject-hooks: works on every platform."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from pyproject_hooks import BackendUnavailable, BuildBackendHookCaller, HookMissing

from pypm_env.build.hooks import Answered, Ended, HookCall, NoHook, Outcome, Raised, Unavailable, timed_out


class PlainChildren:
    """Calls hooks with the interpreter *python*; may be used from several threads."""

    def __init__(self, python: Path, environ: Mapping[str, str]) -> None:
        self._python = str(python)
        self._environ = dict(environ)
        self._running: set[subprocess.Popen[bytes]] = set()
        self._lock = threading.Lock()
        self._closed = False

    def call(self, call: HookCall) -> Outcome:
        """Makes the call and waits for its end."""

        def run(
            cmd: Sequence[str], cwd: str | None = None, extra_environ: Mapping[str, str] | None = None
        ) -> None:
            self._run(cmd, cwd, {**self._environ, **(extra_environ or {})}, call)

        hooks = BuildBackendHookCaller(
            str(call.folder),
            call.backend,
            list(call.backend_path),
            runner=run,
            python_executable=self._python,
        )
        arguments = dict(call.arguments)
        if call.hook.startswith("prepare_metadata"):
            arguments["_allow_fallback"] = False
        try:
            # For a missing get_requires_* pyproject-hooks answers [], which means the same as `NoHook`.
            return Answered(getattr(hooks, call.hook)(**arguments))
        except HookMissing:
            return NoHook()
        except BackendUnavailable as error:
            with call.log.open("a", encoding="utf-8") as log:
                log.write(error.traceback)
            return Unavailable(_last_line(call.log) or call.backend)
        except _ChildTimedOut:
            return timed_out(call.timeout)
        except _ChildFailed as error:
            last = _last_line(call.log)
            return Raised(last) if error.status == 1 and last else Ended(_how(error.status))

    def close(self) -> None:
        """Ends every call under way; later ones end at once."""
        with self._lock:
            self._closed = True
            running = list(self._running)
        for process in running:
            kill_tree(process)

    def _run(
        self, command: Sequence[str], cwd: str | None, environ: Mapping[str, str], call: HookCall
    ) -> None:
        with call.log.open("wb") as log:
            with self._lock:
                if self._closed:
                    raise _ChildFailed(-signal.SIGTERM)
                process = subprocess.Popen(
                    command,
                    cwd=cwd,
                    env=environ,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=os.name == "posix",
                )
                self._running.add(process)
            try:
                status = process.wait(call.timeout)
            except subprocess.TimeoutExpired:
                raise _ChildTimedOut from None
            finally:
                if process.poll() is None:
                    kill_tree(process)
                    process.wait()
                with self._lock:
                    self._running.discard(process)
        if status != 0:
            raise _ChildFailed(status)


class _ChildFailed(Exception):
    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class _ChildTimedOut(Exception):
    pass


def kill_tree(process: subprocess.Popen[bytes]) -> None:
    """Ends *process*, the leader of a session of its own, and what it started."""
    if sys.platform == "win32":
        command = ["taskkill", "/F", "/T", "/PID", str(process.pid)]
        with contextlib.suppress(OSError):
            subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
        process.kill()
    else:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)


def _how(status: int) -> str:
    if status < 0:
        try:
            return f"killed by {signal.Signals(-status).name}"
        except ValueError:
            return f"killed by signal {-status}"
    return f"exited with status {status} and gave no answer"


def _last_line(log: Path) -> str:
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").rstrip().splitlines()
    except OSError:
        return ""
    return lines[-1].strip()[:2000] if lines else ""
