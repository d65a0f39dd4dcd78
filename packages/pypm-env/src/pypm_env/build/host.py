"""Calls hooks of build backends: through a forking host where that is safe, else a process per call.

`BuildHost` serves one build environment. It may be called from several threads; each call waits for
its own answer. A hook may crash, hang, print or change its process as it likes: it gets an answer of
its own and no other call notices. A host that dies (or finds that forking is not safe with this
backend) is replaced by plain children, and calls that were under way are made again.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import select
import subprocess
import sys
import threading
from collections.abc import Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from pypm_env.build.environment import BuildEnvironment, LaidOut, build_environ, lay_out
from pypm_env.build.hooks import Answered, Ended, HookCall, NoHook, Outcome, Raised, Unavailable, timed_out
from pypm_env.build.plain import PlainChildren

_SCRIPT = Path(__file__).with_name("host_process.py")


def can_fork() -> bool:
    """Whether children may be forked here: not on Windows, which cannot, nor on macOS, whose system
    libraries do not survive it."""
    return os.name == "posix" and sys.platform != "darwin" and hasattr(select, "poll")


class BuildHost:
    """Backends in one build environment, ready to be called.

    *scratch* is the folder everything is made in: the host's process removes all of it if this
    process is killed. Close it, or use it in a ``with`` block.
    """

    def __init__(
        self,
        environment: BuildEnvironment,
        scratch: Path,
        *,
        environ: Mapping[str, str],
        forking: bool | None = None,
    ) -> None:
        self.environment = environment
        self._scratch = scratch
        self._caller_environ = environ
        self._forking = can_fork() if forking is None else forking
        self._lock = threading.Lock()
        self._ready = False
        self._forker: _Forker | None = None
        self._plain: PlainChildren | None = None
        self._closed = False
        self.fell_back = ""
        """Why forking was given up, or empty."""

    def call(self, call: HookCall) -> Outcome:
        """Makes the call and waits for its end."""
        with self._lock:
            if self._closed:
                return Ended("stopped")
            self._prepare()
            forker, plain = self._forker, self._plain
        if forker is not None:
            answer = forker.call(call)
            if isinstance(answer, _Lost):
                with self._lock:
                    if self._closed:
                        return Ended("stopped")
                    self.fell_back = self.fell_back or answer.reason
                    self._forker = None
            else:
                return answer
        assert plain is not None
        return plain.call(call)

    def close(self) -> None:
        """Ends every call under way; later ones end at once."""
        with self._lock:
            self._closed = True
            forker, plain, self._forker = self._forker, self._plain, None
        if forker is not None:
            forker.close()
        if plain is not None:
            plain.close()

    def __enter__(self) -> BuildHost:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    def _prepare(self) -> None:
        """Makes the environment and starts the host, once."""
        if self._ready:
            return
        number = next(_numbers)
        laid_out = lay_out(self.environment, self._scratch / f"env{number}")
        temporary = self._scratch / f"tmp{number}"
        temporary.mkdir()
        environ = build_environ(laid_out, self._caller_environ, temporary)
        self._plain = PlainChildren(laid_out.python, environ)
        if self._forking:
            log = self._scratch / f"host{number}.log"
            try:
                self._forker = _Forker(laid_out, environ, self._scratch, log)
            except OSError as error:
                self.fell_back = f"the host does not start: {error}"
        self._ready = True


_numbers = itertools.count()


class _Lost:
    """The host cannot make this call: it is gone, or says so."""

    def __init__(self, reason: str) -> None:
        self.reason = reason


class _Forker:
    """The parent's end of `host_process`."""

    def __init__(self, laid_out: LaidOut, environ: Mapping[str, str], scratch: Path, log: Path) -> None:
        self._lock = threading.Lock()
        self._waiting: dict[int, tuple[HookCall, Future[Outcome | _Lost]]] = {}
        self._numbers = itertools.count()
        self._gone = ""
        with log.open("wb") as errors:
            self._process = subprocess.Popen(
                [str(laid_out.python), str(_SCRIPT), str(scratch)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                cwd=scratch,
                env=dict(environ),
                # Ctrl-C in the terminal is for pypm, which then ends its hosts.
                start_new_session=True,
            )
        self._reader = threading.Thread(target=self._read, name="build-host", daemon=True)
        self._reader.start()

    def call(self, call: HookCall) -> Outcome | _Lost:
        future: Future[Outcome | _Lost] = Future()
        with self._lock:
            if self._gone:
                return _Lost(self._gone)
            number = next(self._numbers)
            self._waiting[number] = (call, future)
            request = {
                "id": number,
                "hook": call.hook,
                "backend": call.backend,
                "backend_path": call.backend_path,
                "cwd": str(call.folder),
                "arguments": call.positional,
                "log": str(call.log),
                "timeout": call.timeout,
            }
            assert self._process.stdin is not None
            try:
                self._process.stdin.write(json.dumps(request).encode() + b"\n")
                self._process.stdin.flush()
            except OSError:
                return _Lost("the host ended")
        return future.result()

    def close(self) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(OSError, ValueError):
            self._process.stdin.write(b'{"end": true}\n')
            self._process.stdin.flush()
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join(10)

    def _read(self) -> None:
        """Hands answers to those who wait, until the host ends."""
        assert self._process.stdout is not None
        with self._process.stdout as answers:
            for line in answers:
                try:
                    answer = json.loads(line)
                except ValueError:
                    break
                if "ready" not in answer:
                    with self._lock:
                        call, future = self._waiting.pop(answer["id"])
                    future.set_result(_outcome(answer, call))
        with self._lock:
            self._gone = "the host ended"
            left, self._waiting = list(self._waiting.values()), {}
        for _, future in left:
            future.set_result(_Lost("the host ended"))


def _outcome(answer: dict[str, Any], call: HookCall) -> Outcome | _Lost:
    match answer:
        case {"value": value}:
            return Answered(value)
        case {"missing": _}:
            return NoHook()
        case {"unavailable": str(message)}:
            return Unavailable(message)
        case {"raised": str(message)}:
            return Raised(message)
        case {"timed_out": _}:
            return timed_out(call.timeout)
        case {"unsafe": str(reason)}:
            return _Lost(reason)
        case _:
            return Ended(str(answer.get("ended", "gave an answer that makes no sense")))
