"""Wheels and metadata from trees whose build requirements are still to be found.

The build requirements of a tree are known only once it is unpacked and its backend was asked; who
resolves and installs them is the caller's business. So everything here takes a *prepare* function:
requirement texts in, a `BuildEnvironment` with them out (or a `PypmError`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from pypm_env.build.builder import Builder
from pypm_env.build.environment import BuildEnvironment
from pypm_env.build.inputs import Kind
from pypm_env.build.jobs import Job, Result, Settings
from pypm_env.build.system import BuildSystem, read_build_system
from pypm_model.errors import PypmError
from pypm_model.events import Listener, ignore
from pypm_model.names import NormalizedName, normalize
from pypm_model.records import field, record, replace

Prepare = Callable[[tuple[str, ...], str], BuildEnvironment]
"""Makes a build environment that holds these requirements of that owner, resolved and installed; raises
`PypmError` if there is none. Called once for each distinct, sorted tuple of an owner."""


@record
class Source:
    """A tree to build from, and what for: a `Job` without its environment."""

    folder: Path
    kind: Kind
    name: str = ""
    version: str = ""
    source: str = ""
    subdirectory: str = ""
    settings: Settings = field(default_factory=dict)
    shown: str = ""
    owner: str = ""
    """Whose the build requirements are, where it matters to *prepare*."""


def build_sources(
    builder: Builder,
    sources: Iterable[Source],
    prepare: Prepare,
    listener: Listener = ignore,
    *,
    besides: Mapping[NormalizedName, tuple[str, ...]] | None = None,
) -> tuple[Result, ...]:
    """What each source asks for, in order: its build requirements are read, the backend is asked for
    more, the environment with all of them is prepared, and the result is built or looked up. *besides* has
    what projects of these names need to be built and do not say.

    An error (also one of *prepare*) stands in its source's place.
    """
    wanted = tuple(sources)
    results: dict[int, Result] = {}
    environments = _Environments(prepare)
    # 1. What the manifests say, and an environment to ask the backends in.
    jobs: dict[int, tuple[Job, BuildSystem]] = {}
    for number, source in enumerate(wanted):
        try:
            system = read_build_system(source.folder, shown=source.shown or None)
            needed = (*system.requires, *_besides(source, besides))
            jobs[number] = (_job(source, environments.of(needed, source.owner), system), system)
        except PypmError as error:
            results[number] = error
    # 2. What the backends want besides.
    order = list(jobs)
    for number, more in zip(order, builder.requirements((jobs[n][0] for n in order), listener), strict=True):
        job, system = jobs[number]
        if isinstance(more, PypmError):
            results[number] = more
            continue
        try:
            source = wanted[number]
            complete = environments.of((*system.requires, *_besides(source, besides), *more), source.owner)
            jobs[number] = (replace(job, environment=complete), system)
        except PypmError as error:
            results[number] = error
    # 3. The results.
    order = [number for number in order if number not in results]
    results.update(zip(order, builder.build((jobs[n][0] for n in order), listener), strict=True))
    return tuple(results[number] for number in range(len(wanted)))


def _besides(source: Source, besides: Mapping[NormalizedName, tuple[str, ...]] | None) -> tuple[str, ...]:
    return besides.get(normalize(source.name), ()) if besides else ()


class _Environments:
    """Asks *prepare* once for each set of requirements; a failure is remembered too."""

    def __init__(self, prepare: Prepare) -> None:
        self._prepare = prepare
        self._known: dict[tuple[tuple[str, ...], str], BuildEnvironment | PypmError] = {}

    def of(self, requires: Iterable[str], owner: str) -> BuildEnvironment:
        key = tuple(sorted(set(requires))), owner
        if key not in self._known:
            try:
                self._known[key] = self._prepare(*key)
            except PypmError as error:
                self._known[key] = error
        found = self._known[key]
        if isinstance(found, PypmError):
            raise found
        return found


def _job(source: Source, environment: BuildEnvironment, system: BuildSystem) -> Job:
    return Job(
        source.folder,
        source.kind,
        environment,
        source.name,
        source.version,
        source.source,
        source.subdirectory,
        source.settings,
        system,
        source.shown,
    )
