"""Wheels and metadata from sdists, and from any tree whose build requirements are still to be found.

The build requirements of a tree are known only once it is unpacked and its backend was asked; who
resolves and installs them is the caller's business. So everything here takes a *prepare* function:
requirement texts in, a `BuildEnvironment` with them out (or a `PypmError`).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from pathlib import Path

from pypm_env.build.builder import Builder
from pypm_env.build.environment import BuildEnvironment
from pypm_env.build.host_process import remove
from pypm_env.build.inputs import Kind
from pypm_env.build.jobs import Built, Described, Job, Result, Settings
from pypm_env.build.system import BuildSystem, NothingToBuild, read_build_system
from pypm_model.errors import PypmError
from pypm_model.events import Listener, ignore
from pypm_model.records import field, record, replace
from pypm_store.sdist_archive import unpack_sdist

Prepare = Callable[[tuple[str, ...]], BuildEnvironment]
"""Makes a build environment that holds these requirements, resolved and installed; raises `PypmError`
if there is none. Called once for each distinct, sorted tuple."""


@record
class Source:
    """A tree to build from, and what for: a `Job` without its environment."""

    folder: Path
    kind: Kind
    name: str = ""
    version: str = ""
    source: str = ""
    settings: Settings = field(default_factory=dict)
    shown: str = ""


def build_sources(
    builder: Builder, sources: Iterable[Source], prepare: Prepare, listener: Listener = ignore
) -> tuple[Result, ...]:
    """What each source asks for, in order: its build requirements are read, the backend is asked for
    more, the environment with all of them is prepared, and the result is built or looked up.

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
            jobs[number] = (_job(source, environments.of(system.requires), system), system)
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
            complete = environments.of((*system.requires, *more))
            jobs[number] = (replace(job, environment=complete), system)
        except PypmError as error:
            results[number] = error
    # 3. The results.
    order = [number for number in order if number not in results]
    results.update(zip(order, builder.build((jobs[n][0] for n in order), listener), strict=True))
    return tuple(results[number] for number in range(len(wanted)))


def build_sdist_wheel(
    builder: Builder,
    archive: Path,
    sha256: str,
    prepare: Prepare,
    *,
    filename: str | None = None,
    subdirectory: str = "",
    name: str = "",
    version: str = "",
    settings: Settings | None = None,
) -> Path:
    """The wheel of the sdist *archive*, whose digest the caller has checked: from the store, or built
    now and kept there. *name* and *version* are what the wheel must have.

    Raises `UnsafeArchive` for an archive that may not be unpacked, `BuildFailed` and what *prepare* raises.
    """
    result = _from_archive(
        builder, archive, sha256, prepare, "wheel", filename, subdirectory, name, version, settings
    )
    if not isinstance(result, Built):
        raise TypeError(f"a wheel was asked for, not {result!r}")
    return result.wheel


def sdist_metadata(
    builder: Builder,
    archive: Path,
    sha256: str,
    prepare: Prepare,
    *,
    filename: str | None = None,
    subdirectory: str = "",
    name: str = "",
    version: str = "",
    settings: Settings | None = None,
) -> str:
    """METADATA of the sdist *archive* as its backend gives it. Raises as `build_sdist_wheel`."""
    result = _from_archive(
        builder, archive, sha256, prepare, "metadata", filename, subdirectory, name, version, settings
    )
    if not isinstance(result, Described):
        raise TypeError(f"metadata was asked for, not {result!r}")
    return result.text


def _from_archive(
    builder: Builder,
    archive: Path,
    sha256: str,
    prepare: Prepare,
    kind: Kind,
    filename: str | None,
    subdirectory: str,
    name: str,
    version: str,
    settings: Settings | None,
) -> Result:
    shown = filename or archive.name
    folder = builder.scratch / f"sdist{next(_numbers)}"
    try:
        root = unpack_sdist(archive, folder, filename=filename)
        tree = (root / subdirectory).resolve()
        if not tree.is_relative_to(root.resolve()) or not tree.is_dir():
            raise NothingToBuild(f"{shown}/{subdirectory}")
        identity = f"{sha256}/{subdirectory}" if subdirectory else sha256
        source = Source(tree, kind, name, version, identity, settings or {}, shown=f"{shown}/pyproject.toml")
        (result,) = build_sources(builder, [source], prepare)
    finally:
        remove(str(folder))
    if isinstance(result, PypmError):
        raise result
    return result


_numbers = itertools.count()


class _Environments:
    """Asks *prepare* once for each set of requirements; a failure is remembered too."""

    def __init__(self, prepare: Prepare) -> None:
        self._prepare = prepare
        self._known: dict[tuple[str, ...], BuildEnvironment | PypmError] = {}

    def of(self, requires: Iterable[str]) -> BuildEnvironment:
        key = tuple(sorted(set(requires)))
        if key not in self._known:
            try:
                self._known[key] = self._prepare(key)
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
        source.settings,
        system,
        source.shown,
    )
