"""The build host's own process: a script for a build environment's Python.

One such process serves one build environment. It imports a backend once and forks a child for every
hook call, so that each hook runs in a process of its own and what it does to itself (a changed folder
or environment, output, threads, a crash) reaches nobody else. What the first child of a backend
imported late is imported here before the next one is forked, and the regular expressions it compiled
are compiled: nothing else of a child's state comes back. The process answers to one parent over
two pipes and ends with it: at the end of its input it kills its children, removes the scratch folder
it was given (unless told ``{end}``) and exits, so that a parent that was killed leaves nothing behind.

Standard library only; Python 3.8 and later; POSIX only.

Protocol: one JSON object per line. In: ``{id, hook, backend, backend_path, cwd, arguments, log,
timeout}``. Out: first ``{ready}``; then per call ``{id, value}``, ``{id, missing}`` (the backend has
no such hook), ``{id, unavailable}`` (the backend cannot be imported), ``{id, raised}`` (what the hook
raised, one line; the traceback is in the log), ``{id, ended}`` (how the child ended if it gave no
answer), ``{id, timed_out}``, or ``{id, unsafe}`` (forking is not safe here: call the hook another way).
"""

from __future__ import annotations

import atexit
import contextlib
import faulthandler
import gc
import json
import os
import re
import select
import shutil
import signal
import sys
import threading
import time
import traceback
from importlib import import_module
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any, NoReturn

IMPORT_SECONDS = 120
"""The longest an import in the host may take; then the alarm ends the host."""


class BackendMissing(Exception):
    """The backend is not where its tree says it is."""


class BackendPathFinder:
    """Finds the backend, and every top-level module that is there, in ``backend-path`` only (PEP 517)."""

    def __init__(self, folders: list[str], backend: str) -> None:
        self.folders = folders
        self.top = backend.partition(".")[0]

    def find_spec(
        self, name: str, path: object = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if "." in name:
            return None
        spec = PathFinder.find_spec(name, self.folders)
        if spec is None and name == self.top:
            raise BackendMissing(f"no module {name!r} in backend-path")
        return spec

    def find_distributions(self, context: Any = None) -> Any:
        # Whoever calls this has loaded the module; importing it above would cost every start 20 ms.
        metadata = import_module("importlib.metadata")
        name = None if context is None else context.name
        where = metadata.DistributionFinder.Context(name=name, path=self.folders)
        return metadata.MetadataPathFinder.find_distributions(where)


def load(backend: str) -> Any:
    """The object a ``module:object.path`` names."""
    module, _, path = backend.partition(":")
    found: Any = import_module(module)
    for part in path.split(".") if path else ():
        found = getattr(found, part)
    return found


# --- in the child ------------------------------------------------------------------------------


def call_hook(call: dict[str, Any]) -> dict[str, Any]:
    """What the hook answers, as a part of the answer to the parent."""
    module = call["backend"].partition(":")[0]
    if call["backend_path"]:
        folders = [os.path.normpath(os.path.join(call["cwd"], folder)) for folder in call["backend_path"]]
        sys.meta_path.insert(0, BackendPathFinder(folders, module))
    try:
        backend = load(call["backend"])
    except (ImportError, AttributeError, BackendMissing) as error:
        print_theirs(error)
        return {"unavailable": one_line(error)}
    hook = getattr(backend, call["hook"], None)
    if hook is None:
        return {"missing": True}
    return {"value": hook(*call["arguments"])}


def print_theirs(error: BaseException) -> None:
    """Prints the traceback of *error* without the frames of this file and of importing that it came through
    first: of a log's last lines, few are shown."""
    ours = (print_theirs.__code__.co_filename, import_module.__code__.co_filename, "<frozen importlib.")
    frames = error.__traceback__
    while frames is not None and frames.tb_frame.f_code.co_filename.startswith(ours):
        frames = frames.tb_next
    traceback.print_exception(type(error), error, frames)


def one_line(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return (type(error).__name__ + (": " + text if text else ""))[:2000]


def late_modules(before: set[str], folders: tuple[str, ...]) -> list[str]:
    """Names of modules loaded since *before*, in order, that belong to the build environment."""
    names = []
    for name, module in list(sys.modules.items()):
        spec = getattr(module, "__spec__", None)
        if name in before or spec is None or spec.name != name:
            continue
        origin = spec.origin or ""
        if origin in ("built-in", "frozen") or origin.startswith(folders):
            names.append(name)
    return names


def late_patterns(before: set[Any]) -> list[tuple[str, int]]:
    """Regular expressions compiled since *before*: compiling is a third of what a small hook does."""
    return [(key[1], key[2]) for key in getattr(re, "_cache", ()) if key not in before and key[0] is str]


def run_child(call: dict[str, Any], result: int, wants_modules: bool, folders: tuple[str, ...]) -> NoReturn:
    """Calls the hook and ends the process; the answer goes to the pipe *result* as one line."""
    pipe = os.fstat(result)
    before = set(sys.modules)
    compiled = set(getattr(re, "_cache", ()))
    status = 0
    try:
        log = os.open(call["log"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.close(log)
        sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
        os.chdir(call["cwd"])
        answer = call_hook(call)
        if wants_modules and "value" in answer and threads() == 1:
            answer["modules"] = late_modules(before, folders)
            answer["patterns"] = late_patterns(compiled)
        line = json.dumps(answer)
    except BaseException as error:
        print_theirs(error)
        line = json.dumps({"raised": one_line(error)})
    try:
        # The end of an ordinary process, without tearing the interpreter down (5 ms and more).
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
    except BaseException:
        status = 1
    data = line.encode("ascii") + b"\n"
    if is_still(result, pipe):
        while data:
            data = data[os.write(result, data) :]
    else:
        with open(aside(call), "wb") as file:
            file.write(data)
    os._exit(status)


def is_still(fd: int, known: os.stat_result) -> bool:
    """Whether *fd* is what it was: a hook may have closed everything, and opened something else."""
    try:
        return os.path.samestat(os.fstat(fd), known)
    except OSError:
        return False


def aside(call: dict[str, Any]) -> str:
    """Where a child whose pipe is gone leaves its answer."""
    return str(call["log"]) + ".answer"


def threads() -> int:
    """How many threads this process has, those of extension modules counted where that can be seen."""
    try:
        return len(os.listdir("/proc/self/task"))
    except OSError:
        return threading.active_count()


# --- in the host -------------------------------------------------------------------------------


class Child:
    """A hook call that runs."""

    def __init__(self, call: dict[str, Any], pid: int, pipe: int, deadline: float | None) -> None:
        self.call = call
        self.pid = pid
        self.pipe = pipe
        self.deadline = deadline
        self.received = b""
        self.timed_out = False


class Host:
    """Takes calls, forks, waits and answers; one thread, no call may block but the poll."""

    def __init__(self, requests: int, answers: int, scratch: str) -> None:
        self.requests = requests
        self.answers = answers
        self.scratch = scratch
        self.buffer = b""
        self.children: dict[int, Child] = {}
        self.imported: set[str] = set()  # backends whose import in the host was tried
        self.asked: set[tuple[str, str]] = set()  # (backend, hook) whose late modules were asked for
        self.late: list[str] = []  # names to import before the next fork
        self.patterns: list[tuple[str, int]] = []  # to compile, likewise
        self.unsafe = ""
        self.ended = False
        # What a child may have preloaded for its successors: the standard library and the build
        # environment; never the project's own modules, which differ from call to call.
        folders = {os.path.dirname(os.__file__)} | {p for p in sys.path if p and os.path.isdir(p)}
        self.folders = tuple(sorted(os.path.join(folder, "") for folder in folders))
        self.poll = select.poll()
        self.poll.register(requests, select.POLLIN)
        self.woken, self.waker = os.pipe()
        for fd in (self.woken, self.waker):
            os.set_blocking(fd, False)
        self.poll.register(self.woken, select.POLLIN)
        signal.set_wakeup_fd(self.waker, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)

    def serve(self) -> None:
        self.send({"ready": ".".join(map(str, sys.version_info[:3]))})
        while True:
            for fd, _ in self.poll.poll(self.patience()):
                if fd == self.requests:
                    if not self.receive():
                        return
                elif fd == self.woken:
                    with contextlib.suppress(BlockingIOError):
                        os.read(self.woken, 4096)
                else:
                    self.drain(next(child for child in self.children.values() if child.pipe == fd))
            self.reap()
            self.kill_overdue()

    def patience(self) -> int | None:
        """Milliseconds until the next deadline, or None."""
        deadlines = [child.deadline for child in self.children.values() if child.deadline]
        if not deadlines:
            return None
        return max(0, int((min(deadlines) - time.monotonic()) * 1000) + 1)

    def receive(self) -> bool:
        """Starts what the parent asks for; False at the end of the input."""
        data = os.read(self.requests, 1 << 16)
        if not data:
            return False
        *lines, self.buffer = (self.buffer + data).split(b"\n")
        for line in lines:
            call = json.loads(line)
            if "end" in call:
                self.ended = True
                return False
            self.start(call)
        return True

    def start(self, call: dict[str, Any]) -> None:
        self.preload(call)
        if self.unsafe:
            self.send({"id": call["id"], "unsafe": self.unsafe})
            return
        key = (call["backend"], call["hook"])
        # A backend that lies in its tree is another one in every tree.
        wants_modules = not call["backend_path"] and key not in self.asked
        if wants_modules:
            self.asked.add(key)
        pipe, result = os.pipe()
        try:
            pid = os.fork()
        except OSError as error:
            os.close(pipe)
            os.close(result)
            self.send({"id": call["id"], "unsafe": "fork: " + str(error)})
            return
        if pid == 0:
            try:
                os.setpgid(0, 0)
                signal.set_wakeup_fd(-1)
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                signal.signal(signal.SIGINT, signal.default_int_handler)
                signal.signal(signal.SIGTERM, signal.SIG_DFL)
                for fd in [self.requests, self.answers, self.woken, self.waker, pipe]:
                    os.close(fd)
                for child in self.children.values():
                    os.close(child.pipe)
                run_child(call, result, wants_modules, self.folders)
            finally:
                os._exit(1)
        os.close(result)
        with contextlib.suppress(OSError):
            os.setpgid(pid, pid)  # by both sides, so that neither can be too late
        os.set_blocking(pipe, False)
        deadline = time.monotonic() + call["timeout"] if call["timeout"] else None
        self.children[pid] = Child(call, pid, pipe, deadline)
        self.poll.register(pipe, select.POLLIN)

    def preload(self, call: dict[str, Any]) -> None:
        """Imports the backend, and what earlier children imported late, unless that was done."""
        names, self.late = self.late, []
        module = call["backend"].partition(":")[0]
        if not call["backend_path"] and module not in self.imported:
            self.imported.add(module)
            names.insert(0, module)
        if not (names or self.patterns) or self.unsafe:
            return
        signal.alarm(IMPORT_SECONDS)
        for name in names:
            if name in sys.modules:
                continue
            try:
                import_module(name)
            except BaseException:
                # Not the host's trouble: the child imports it again and says what is wrong.
                continue
        for pattern, flags in self.patterns:
            with contextlib.suppress(Exception):
                re.compile(pattern, flags)
        self.patterns = []
        signal.alarm(0)
        os.chdir(self.scratch)
        if threads() > 1:
            self.unsafe = f"threads: importing {', '.join(names[:3])} started some"
        else:
            gc.collect()
            if hasattr(gc, "freeze"):  # PyPy has none
                gc.freeze()

    def drain(self, child: Child) -> None:
        """Reads what *child* has said so far."""
        while True:
            try:
                data = os.read(child.pipe, 1 << 16)
            except BlockingIOError:
                return
            if not data:
                self.poll.unregister(child.pipe)
                return
            child.received += data

    def reap(self) -> None:
        """Answers for children that have ended."""
        while self.children:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            child = self.children.get(pid)
            if child is None:
                continue
            try:
                self.drain(child)
                self.poll.unregister(child.pipe)
            except KeyError:
                pass
            os.close(child.pipe)
            del self.children[pid]
            if not child.received:
                with contextlib.suppress(OSError):
                    with open(aside(child.call), "rb") as file:
                        child.received = file.read()
                    os.unlink(aside(child.call))
            self.send(self.answer(child, status))

    def answer(self, child: Child, status: int) -> dict[str, Any]:
        answer: dict[str, Any] = {"id": child.call["id"]}
        line, newline, _ = child.received.partition(b"\n")
        if child.timed_out:
            answer["timed_out"] = True
        elif status == 0 and newline:
            try:
                said = json.loads(line)
                self.late += said.pop("modules", [])
                self.patterns += said.pop("patterns", [])
                answer.update(said)
            except (ValueError, AttributeError, TypeError):
                answer["ended"] = "gave an answer that makes no sense"
        elif os.WIFSIGNALED(status):
            number = os.WTERMSIG(status)
            try:
                answer["ended"] = "killed by " + signal.Signals(number).name
            except ValueError:
                answer["ended"] = f"killed by signal {number}"
        else:
            answer["ended"] = f"exited with status {os.WEXITSTATUS(status)} and gave no answer"
        if "value" not in answer:
            self.asked.discard((child.call["backend"], child.call["hook"]))
        return answer

    def kill_overdue(self) -> None:
        now = time.monotonic()
        for child in self.children.values():
            if child.deadline and child.deadline <= now:
                child.timed_out = True
                child.deadline = None
                kill(child.pid)

    def send(self, answer: dict[str, Any]) -> None:
        data = json.dumps(answer).encode("ascii") + b"\n"
        while data:
            data = data[os.write(self.answers, data) :]

    def close(self) -> None:
        for pid in self.children:
            kill(pid)
        for pid in list(self.children):
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, 0)


def kill(pid: int) -> None:
    """Ends a child and what it has started, unless that has left the child's process group."""
    with contextlib.suppress(OSError):
        os.killpg(pid, signal.SIGKILL)


def remove(folder: str) -> None:
    """Removes *folder*, read-only parts of it too. What cannot be removed stays, without an error."""
    shutil.rmtree(folder, ignore_errors=True)
    if os.path.isdir(folder):
        for parent, folders, _ in os.walk(folder):
            for name in folders:
                with contextlib.suppress(OSError):
                    os.chmod(os.path.join(parent, name), 0o700)
        shutil.rmtree(folder, ignore_errors=True)


def main(scratch: str) -> NoReturn:
    # The pipes move out of the way of 0, 1 and 2, which hooks may do with as they please.
    requests, answers = os.dup(0), os.dup(1)
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.close(null)
    os.dup2(2, 1)
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [path for path in sys.path if os.path.abspath(path) != here]
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    faulthandler.enable(2)
    host = Host(requests, answers, scratch)
    try:
        host.serve()
    except BrokenPipeError:
        pass
    finally:
        host.close()
        if not host.ended:
            remove(scratch)
        sys.stdout.flush()
        os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1])
