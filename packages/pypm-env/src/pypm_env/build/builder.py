"""Builds wheels, editables and metadata of many projects: looks results up, calls hooks, keeps results.

    with Builder(store=store, memory=memory) as builder:
        for result in builder.build([Job(folder, "editable", environment), ...]): ...

One build host per environment stays up for the life of the builder.
"""

from __future__ import annotations

import itertools
import json
import os
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TypeVar

from pypm_env.build.answers import (
    Metadata,
    checked_requirements,
    checked_wheel,
    metadata_in,
    metadata_of_wheel,
)
from pypm_env.build.environment import BuildEnvironment
from pypm_env.build.failures import BuildFailed, advice, tail
from pypm_env.build.hooks import Answered, Ended, HookCall, NoHook, Outcome, Raised, Unavailable
from pypm_env.build.host import BuildHost
from pypm_env.build.host_process import remove
from pypm_env.build.inputs import requirements_class
from pypm_env.build.jobs import FORGETFUL, Built, Described, Job, Memory, Result
from pypm_env.build.keys import Made, Repositories, folder_key, is_unchanged, source_key, steering
from pypm_env.build.scratch import scratch_folder
from pypm_env.build.system import BuildSystem, read_build_system
from pypm_model.errors import PypmError
from pypm_model.events import Advanced, Finished, Listener, Started, ignore
from pypm_model.records import replace
from pypm_store.files import digest_of
from pypm_store.store import Store

T = TypeVar("T")

_BUILD_HOOK = {"wheel": "build_wheel", "editable": "build_editable", "metadata": "build_wheel"}


class Builder:
    """Builds; to be used in a ``with`` block, by one thread.

    *workers* hooks run at a time (default: one per processor, at least 2, at most 8); a hook that runs
    longer than *timeout* seconds is ended. *forking* False calls every hook in a plain child.
    *temporary* is where the builder makes its own folder (default: where
    the system has temporary files).
    """

    def __init__(
        self,
        *,
        store: Store | None = None,
        memory: Memory = FORGETFUL,
        environ: Mapping[str, str] | None = None,
        workers: int | None = None,
        timeout: float | None = None,
        forking: bool | None = None,
        temporary: Path | None = None,
    ) -> None:
        self._store = store
        self._memory = memory
        self._environ = dict(os.environ if environ is None else environ)
        self._steering = steering(self._environ)
        self._workers = workers or max(2, min(8, os.cpu_count() or 2))
        self._timeout = timeout
        self._forking = forking
        self._temporary = temporary
        self._repositories = Repositories()
        self._just_made: dict[tuple[Path, str], Made | None] = {}
        self._hosts: dict[tuple[str, tuple[Path, ...]], BuildHost] = {}
        self._lock = threading.Lock()
        self._folders: list[Path] = []
        self._numbers = itertools.count()
        self._stack = ExitStack()
        self._scratch: Path | None = None

    def __enter__(self) -> Builder:
        self._scratch = self._stack.enter_context(scratch_folder(self._temporary))
        self._stack.callback(self._stop)
        return self

    def __exit__(self, *raised: object) -> None:
        self._stack.close()
        self._scratch = None

    @property
    def scratch(self) -> Path:
        """A folder that goes away with the builder."""
        if self._scratch is None:
            raise RuntimeError("a builder is used in a with block")
        return self._scratch

    # --- what can be asked -----------------------------------------------------------------------

    def build(self, jobs: Iterable[Job], listener: Listener = ignore) -> tuple[Result, ...]:
        """The result of each job, in order; an error is in its job's place."""
        read = [_with_system(job) for job in jobs]
        wanted = [entry[0] for entry in read]
        keys: dict[int, Made | None] = {}
        remembered: Mapping[str, str] = {}
        if any(job.kind == "metadata" for job in wanted):
            keys = {
                n: self._made_before(job)
                for n, job in enumerate(wanted)
                if job.kind == "metadata" and job.system
            }
            self._just_made.clear()
            remembered = self._memory.get([made.key for made in keys.values() if isinstance(made, Made)])
        fresh: dict[str, str] = {}

        def do(number: int) -> Result:
            job, wrong = read[number]
            if wrong is not None:
                return wrong
            try:
                return result_of(job, keys[number] if number in keys else self._made(job))
            except PypmError as error:  # the store's, most likely
                return error

        def result_of(job: Job, made: Made | None) -> Result:
            if job.kind != "metadata":
                return self._wheel(job, made)
            if made is not None and made.key in remembered:
                return Described(job, remembered[made.key], kept=True)
            text = self._metadata(job)
            if isinstance(text, PypmError):
                return text
            if made is not None:
                fresh[made.key] = text
            return Described(job, text, kept=False)

        results = self._each(do, [job.subject for job in wanted], listener)
        if fresh:
            self._memory.put(fresh)
        return results

    def requirements(
        self, jobs: Iterable[Job], listener: Listener = ignore
    ) -> tuple[tuple[str, ...] | PypmError, ...]:
        """What each job's backend wants installed besides ``build-system.requires``
        (``get_requires_for_build_wheel``, ``_editable``), in order; an error is in its job's place."""
        read = [_with_system(job) for job in jobs]
        wanted = [entry[0] for entry in read]
        classes = [self._class_of(job) for job in wanted]
        first: dict[tuple[str, ...], int] = {}
        for number, each in enumerate(classes):
            if each is not None:
                first.setdefault(each, number)
        known, keys = self._known_requirements(wanted, classes)
        asked = [n for n, each in enumerate(classes) if n not in known and (each is None or first[each] == n)]
        subjects = [wanted[n].subject for n in asked]
        answers = dict(
            zip(asked, self._each(lambda n: self._ask(wanted[asked[n]]), subjects, listener), strict=True)
        )
        fresh = {
            keys[n]: json.dumps(found)
            for n, found in answers.items()
            if n in keys and isinstance(found, tuple)
        }
        if fresh:
            self._memory.put(fresh)
        answers.update(known)
        # Where the one that was asked for all failed, each of them says for itself what is wrong.
        left = [
            n
            for n, each in enumerate(classes)
            if n not in answers and each is not None and isinstance(answers[first[each]], PypmError)
        ]
        subjects = [wanted[n].subject for n in left]
        own = self._each(lambda n: self._ask(wanted[left[n]]), subjects, listener)
        answers.update(zip(left, own, strict=True))
        return tuple(
            answers[n] if n in answers else answers[first[each]]  # type: ignore[index]
            for n, each in enumerate(classes)
        )

    def _made_before(self, job: Job) -> Made | None:
        """`_made`, as `requirements` has worked it out just before, if it had to."""
        place = job.folder, job.environment.identity
        return self._just_made[place] if place in self._just_made else self._made(job)

    def _known_requirements(
        self, jobs: Sequence[Job], classes: Sequence[tuple[str, ...] | None]
    ) -> tuple[dict[int, tuple[str, ...] | PypmError], dict[int, str]]:
        """What is remembered of backends that may look at any file before they answer, and the keys of those
        that metadata is wanted of."""
        keys = {}
        for number, (job, each) in enumerate(zip(jobs, classes, strict=True)):
            if each is None and job.kind == "metadata" and job.system:
                made = self._just_made[job.folder, job.environment.identity] = self._made(job)
                if made is not None:
                    keys[number] = f"requires {made.key}"
        texts = self._memory.get(list(keys.values())) if keys else {}
        return {n: tuple(json.loads(texts[key])) for n, key in keys.items() if key in texts}, keys

    # --- wheels ----------------------------------------------------------------------------------

    def _wheel(self, job: Job, made: Made | None) -> Result:
        if self._store is None or made is None:
            return self._make(job, made)
        found = self._store.built(made.key)
        if found is None:
            with self._store.building(made.key) as found:
                if found is None:
                    return self._make(job, made)
        wrong = checked_wheel(found.path.parent, found.path.name, name=job.name, version=job.version)
        if isinstance(wrong, str):
            return self._failed(job, _BUILD_HOOK[job.kind], wrong)
        return Built(job, found.path, found.sha256, kept=True, key=made.key)

    def _make(self, job: Job, made: Made | None) -> Result:
        folder = self._empty_folder()
        wheel = self._build_wheel(job, folder)
        if isinstance(wheel, PypmError):
            self._give_back(folder)
            return wheel
        key = self._key_after(job, made)
        if self._store is None or key is None:
            return Built(job, wheel, digest_of(wheel), kept=False, key=None)
        kept = self._store.add_built(key, wheel)
        self._give_back(folder)
        return Built(job, kept.path, kept.sha256, kept=False, key=key)

    def _key_after(self, job: Job, made: Made | None) -> str | None:
        """What a result may be kept under, now that it is there: nothing if files that count have
        changed meanwhile, under the backend's hands or somebody else's.

        An editable install may also use what its build left in the tree (extension modules beside
        their sources): where any file counts, it is kept under the tree's state after the build, and
        is made again when that is gone.
        """
        if made is None or not is_unchanged(job.folder, made):
            return None
        if not made.everything or job.kind != "editable":
            return made.key
        after = self._made(job)
        return None if after is None else after.key

    def _build_wheel(self, job: Job, folder: Path) -> Path | PypmError:
        hook = _BUILD_HOOK[job.kind]
        arguments = {"wheel_directory": str(folder), "metadata_directory": None}
        answer = self._call(job, hook, arguments)
        if isinstance(answer, PypmError):
            return answer
        wheel = checked_wheel(folder, answer, name=job.name, version=job.version)
        return wheel if isinstance(wheel, Path) else self._failed(job, hook, wheel)

    # --- metadata --------------------------------------------------------------------------------

    def _metadata(self, job: Job) -> str | PypmError:
        """METADATA by ``prepare_metadata_for_build_wheel``, or out of a wheel."""
        hook = "prepare_metadata_for_build_wheel"
        folder = self._empty_folder()
        try:
            answer = self._call(job, hook, {"metadata_directory": str(folder)}, missing=_MISSING)
            if isinstance(answer, PypmError):
                return answer
            if answer is _MISSING:
                wheel = self._build_wheel(job, folder)
                if isinstance(wheel, PypmError):
                    return wheel
                found = metadata_of_wheel(wheel)
                hook = "build_wheel"
            else:
                found = metadata_in(folder, answer)
            return found.text if isinstance(found, Metadata) else self._failed(job, hook, found)
        finally:
            self._give_back(folder)

    # --- requirements ----------------------------------------------------------------------------

    def _class_of(self, job: Job) -> tuple[str, ...] | None:
        system = job.system
        each = None if system is None else requirements_class(system, job.folder)
        if system is None or each is None:
            return None
        return (each, job.kind, system.backend, job.environment.identity, json.dumps(job.settings))

    def _ask(self, job: Job) -> tuple[str, ...] | PypmError:
        hook = f"get_requires_for_build_{'editable' if job.kind == 'editable' else 'wheel'}"
        answer = self._call(job, hook, {}, missing=[])
        if isinstance(answer, PypmError):
            return answer
        found = checked_requirements(answer)
        return found if isinstance(found, tuple) else self._failed(job, hook, found)

    # --- hooks -----------------------------------------------------------------------------------

    def _call(self, job: Job, hook: str, arguments: Mapping[str, Any], *, missing: object = None) -> Any:
        """What the hook returned; *missing*, if given, where the backend has no such hook."""
        try:
            system = _system(job)
            host = self._host(job.environment)
        except PypmError as error:
            return error
        except OSError as error:
            return self._failed(job, hook, f"its environment cannot be made: {error}")
        log = self.scratch / f"{next(self._numbers)}.log"
        given = {"config_settings": dict(job.settings) or None, **arguments}
        folder = Path(os.path.abspath(job.folder))
        call = HookCall(hook, folder, system.backend, system.backend_path, given, log, self._timeout)
        outcome = host.call(call)
        try:
            match outcome:
                case Answered(value):
                    return value
                case NoHook() if missing is not None:
                    return missing
                case _:
                    return self._failed(job, hook, _reason(outcome, hook), log=log, system=system)
        finally:
            log.unlink(missing_ok=True)

    def _failed(
        self, job: Job, hook: str, reason: str, *, log: Path | None = None, system: BuildSystem | None = None
    ) -> BuildFailed:
        system = system or job.system or BuildSystem()
        printed = tail(log) if log is not None else None
        text = printed.text if printed else ""
        requires, python = system.requires, job.environment.interpreter.version
        hint = advice(f"{text}\n{reason}", requires=requires, python=python)
        if hint is None and hook == "build_editable" and "no such hook" in reason:
            hint = "use a newer version of the backend, or install the project as an ordinary wheel"
        lines = printed.lines() if printed else ()
        return BuildFailed(job.subject, hook, reason, system.backend, lines, hint)

    def _host(self, environment: BuildEnvironment) -> BuildHost:
        which = (environment.identity, environment.site_packages)
        with self._lock:
            host = self._hosts.get(which)
            if host is None:
                host = BuildHost(environment, self.scratch, environ=self._environ, forking=self._forking)
                self._hosts[which] = host
            return host

    # --- the rest --------------------------------------------------------------------------------

    def _made(self, job: Job) -> Made | None:
        """What the result would be made from as things stand."""
        given = (job.kind, _system(job), job.environment, job.settings, self._steering)
        if job.source:
            return Made(source_key(job.source, job.subdirectory, *given), {}, everything=False)
        return folder_key(job.folder, *given, self._repositories)

    def _empty_folder(self) -> Path:
        """A folder in the scratch folder that nobody else uses until it is given back."""
        with self._lock:
            if self._folders:
                return self._folders.pop()
        folder = self.scratch / f"out{next(self._numbers)}"
        folder.mkdir()
        return folder

    def _give_back(self, folder: Path) -> None:
        """Empties *folder* for the next result: making and removing one for each costs 2 ms."""
        for entry in os.scandir(folder):
            if entry.is_dir(follow_symlinks=False):
                remove(entry.path)
            else:
                os.unlink(entry.path)
        with self._lock:
            self._folders.append(folder)

    def _each(self, do: Callable[[int], T], subjects: Sequence[str], listener: Listener) -> tuple[T, ...]:
        """``do(n)`` for every subject, *workers* at a time; in order."""
        if not subjects:
            return ()
        listener(Started("build", total=len(subjects)))
        pool = ThreadPoolExecutor(min(self._workers, len(subjects)), thread_name_prefix="build")
        try:
            futures: dict[Future[T], int] = {pool.submit(do, n): n for n in range(len(subjects))}
            for future in as_completed(futures):
                future.result()
                listener(Advanced("build", subjects[futures[future]]))
        except BaseException:
            # An interrupt, most likely: children are ended, so that the threads come back.
            self._stop()
            raise
        finally:
            pool.shutdown(cancel_futures=True)
        listener(Finished("build"))
        return tuple(future.result() for future in futures)

    def _stop(self) -> None:
        with self._lock:
            hosts, self._hosts = list(self._hosts.values()), {}
        for host in hosts:
            host.close()


_MISSING = object()


def _system(job: Job) -> BuildSystem:
    return job.system or read_build_system(job.folder, shown=job.shown or None)


def _with_system(job: Job) -> tuple[Job, PypmError | None]:
    """The job with its tree's build system, or why that cannot be read."""
    try:
        return replace(job, system=_system(job)), None
    except PypmError as error:
        return job, error


def _reason(outcome: Outcome, hook: str) -> str:
    match outcome:
        case NoHook():
            return f"the backend has no such hook ({hook})"
        case Unavailable(message):
            return f"the backend cannot be imported: {message}"
        case Raised(message):
            return message
        case Ended(how):
            return f"its process was {how}" if how.startswith("killed") else how
        case Answered():
            return ""
