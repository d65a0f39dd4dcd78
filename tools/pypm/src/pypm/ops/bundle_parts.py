"""What a bundle, or an image for containers, is made of: an interpreter's files, and what wheels become."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Literal

from pypm.ops.bundle_sbom import Runtime, bundle_bill
from pypm.ops.bundle_target import (
    Target,
    check_built,
    environment_of,
    for_glibc,
    given_interpreter,
)
from pypm.ops.epoch import epoch_of
from pypm.ops.in_step import write_in_step
from pypm.ops.locking import Locked, Locking, lock_workspace
from pypm.ops.opening import open_workspace
from pypm.ops.provisioning import File, wheel_files
from pypm.ops.roots import roots_of
from pypm.ops.selection import Selection
from pypm.ops.sync import MembersApart, asked_by, pythons_of
from pypm.ops.toolbox import open_tools
from pypm.ops.tools import Tools
from pypm.ops.venvs import environment_in
from pypm.ops.world import World
from pypm_bundle import runtime
from pypm_bundle.archives import EPOCH, LATEST
from pypm_bundle.bundle_errors import GlibcTooNew, InterpreterNotMovable
from pypm_bundle.contents import Item
from pypm_bundle.distributions import Distribution, Place, WheelFile, read_distribution
from pypm_bundle.elf_image import ElfImage
from pypm_bundle.libraries import glibc_of
from pypm_bundle.wheelhouse import wheelhouse
from pypm_env.interpreters import Interpreter, Layout
from pypm_env.venv import base_python
from pypm_model.environments import Environment
from pypm_model.events import Warned
from pypm_model.lock_errors import LockUnsound
from pypm_model.lock_select import ChoicesExclude, NoFileFits, python_release, select
from pypm_model.locks import Lock, Pin, Root
from pypm_model.names import normalize
from pypm_model.records import record, replace
from pypm_model.specifiers import contains
from pypm_model.versions import sort_key
from pypm_workspace.workspace import Workspace

ZONES = normalize("tzdata")
"""The distribution in which ``zoneinfo`` looks for what the machine does not have."""

Kind = Literal["tree", "no-interpreter", "wheels"]


@record
class Chosen:
    """What is to be gathered, for which machine."""

    selection: Selection = Selection()
    frozen: bool = False
    kind: Kind = "tree"
    glibc: tuple[int, int] | None = None
    """The oldest glibc it must run with; None: of this machine."""
    target: Target | None = None
    """The machine it is for; None: one like this."""
    interpreter: str = ""
    """Folder or archive (relative to the current folder) with the target's interpreter."""
    time: int = EPOCH
    """Of files that are packed anew."""


@record
class Parts:
    """What a bundle is made of."""

    own: tuple[Item, ...]
    """The interpreter's files, or the wheels where those are all."""
    files: tuple[File, ...]
    distributions: tuple[Distribution, ...]
    """One of each of *files*."""
    members: frozenset[str]
    """File names of the wheels that are members."""
    pinned: frozenset[str]
    """Digests of wheels that are the same everywhere."""
    python: dict[str, object]
    executable: str
    """The interpreter's name in ``bin``."""
    platform: str
    runtime: Runtime | None
    libraries: tuple[str, ...]
    left_out: tuple[str, ...]
    glibc: tuple[tuple[str, tuple[int, int]], ...]
    """(path, the oldest glibc it runs with)."""

    @property
    def time_zones(self) -> str:
        """The version of the time zones that come along; empty for none."""
        return next((file.pin.package.version for file in self.files if file.pin.package.name == ZONES), "")

    @property
    def needed_glibc(self) -> tuple[int, int]:
        """The oldest glibc that all of it runs with; (0, 0) if it needs none."""
        return max((version for _, version in self.glibc), default=(0, 0))


@record
class Gathered:
    """What was found, and where."""

    tools: Tools
    workspace: Workspace
    locked: Locked
    roots: tuple[Root, ...]
    interpreter: Interpreter
    parts: Parts


@contextmanager
def gathered(world: World, chosen: Chosen) -> Iterator[Gathered]:
    """What *chosen* is made of, for as long as the block lasts. Locks unless frozen. Raises what locking and
    providing raise, and `GlibcTooNew`."""
    target = chosen.target
    if target is not None:
        # What builds the members is any Python of this machine that fits them.
        environ = {key: value for key, value in world.environ.items() if key != "PYPM_PYTHON"}
        world = replace(world, environ=environ)
    workspace = open_workspace(world)
    with open_tools(world, workspace) as tools:
        locked = lock_workspace(tools, workspace, Locking(frozen=chosen.frozen))
        if locked.is_new:
            write_in_step(tools, workspace, locked)
        selection = replace(chosen.selection, no_default_groups=True)
        roots = roots_of(world, workspace, locked.lock, selection)
        # Whatever environment is here: of the same lock the same bundle comes, in a new clone, too.
        interpreter = tools.interpreter(pythons_of(locked.lock, roots))
        if target is None:
            _tell_another_python(tools, workspace, interpreter)
        given = interpreter if target is None else _given(tools, chosen, target)
        environment = for_glibc(given.environment, chosen.glibc)
        pins = _pins(tools, workspace, locked.lock, environment, roots, chosen.glibc)
        if chosen.kind == "tree":
            pins = _with_time_zones(pins, locked.lock, environment)
        with tools.store.using():
            files = wheel_files(tools, pins, interpreter)
            if target is not None:
                check_built(files, environment, target.platform)
            asked = asked_by(locked.lock, roots)
            parts = _parts(tools, chosen, given, files, asked)
            _check_glibc(parts, chosen.glibc)
            yield Gathered(tools, workspace, locked, roots, given, parts)


def _tell_another_python(tools: Tools, workspace: Workspace, chosen: Interpreter) -> None:
    """What was tried in the environment may have been tried on another Python."""
    present = base_python(environment_in(workspace.root))
    if present and os.path.realpath(present) != chosen.real_path:
        message = (
            f"the environment here is on another Python ({present}): what is packed has {chosen.version}; "
            "--python or .python-version says which"
        )
        tools.world.listener(Warned("another-python", message))


def _check_glibc(parts: Parts, most: tuple[int, int] | None) -> None:
    if most is not None and parts.needed_glibc > most:
        needs = sorted(parts.glibc, key=lambda one: one[1], reverse=True)
        raise GlibcTooNew(dotted(most), tuple((path, dotted(one)) for path, one in needs if one > most))


def _given(tools: Tools, chosen: Chosen, target: Target) -> Interpreter:
    """The target's interpreter, or what is known of it where none goes into the bundle."""
    if chosen.kind == "tree":
        source = tools.world.cwd / chosen.interpreter
        return given_interpreter(source, chosen.interpreter, target, tools.scratch())
    environment = environment_of(target)
    major, minor = target.release
    windows = target.system == "windows"
    site = "Lib/site-packages" if windows else f"lib/python{major}.{minor}/site-packages"
    include = "Include" if windows else f"include/site/python{major}.{minor}"
    return Interpreter(
        path="",
        real_path="",
        version=target.python,
        implementation="cpython",
        markers=environment.markers,
        tags=environment.tags,
        prefix="",
        base_prefix="",
        is_free_threaded=False,
        cache_tag=f"cpython-{major}{minor}",
        layout=Layout("Scripts" if windows else "bin", site, include),
        paths={},
    )


def _pins(
    tools: Tools,
    workspace: Workspace,
    lock: Lock,
    environment: Environment,
    roots: Sequence[Root],
    glibc: tuple[int, int] | None,
) -> tuple[Pin, ...]:
    try:
        return tuple(select(lock, environment, roots, build=tools.build_policy))
    except NoFileFits as error:
        if glibc is None:
            raise
        raise replace(error, platform=f"{error.platform} with glibc {dotted(glibc)}") from None
    except (ChoicesExclude, LockUnsound):
        if workspace.settings.shared_environment or len(roots) < 2:
            raise
        raise MembersApart(tuple(root.member for root in roots)) from None


def _with_time_zones(pins: tuple[Pin, ...], lock: Lock, environment: Environment) -> tuple[Pin, ...]:
    """*pins* with the zones that are locked for other platforms, which have none of their own: the standard
    library falls back on them where a machine has no `/usr/share/zoneinfo`."""
    if any(pin.package.name == ZONES for pin in pins):
        return pins
    found = [
        (package, wheel)
        for package in lock.packages
        if package.name == ZONES
        and (not package.requires_python or contains(package.requires_python, python_release(environment)))
        for wheel in package.files
        if wheel.filename.endswith("-none-any.whl")
    ]
    if not found:
        return pins
    package, wheel = max(found, key=lambda one: sort_key(one[0].version))
    return tuple(sorted((*pins, Pin(package, (), wheel)), key=lambda pin: pin.package.name))


def _parts(
    tools: Tools,
    chosen: Chosen,
    interpreter: Interpreter,
    files: Sequence[File],
    asked: frozenset[str],
) -> Parts:
    kind, scratch = chosen.kind, tools.scratch()
    threads = "t" if interpreter.is_free_threaded else ""
    minor = ".".join(map(str, interpreter.release))
    place = Place(f"python{minor}{threads}", interpreter.layout.site_packages, interpreter.layout.include)
    base = None
    if kind == "tree":
        # Where things go hangs on the interpreter, and what it must bring along on the wheels.
        base = runtime.basis(interpreter, scratch, foreign=chosen.target is not None)
        place = replace(place, site_packages=base.site_packages)
    elif kind == "no-interpreter" and interpreter.is_windows:
        raise InterpreterNotMovable(interpreter.path or "of Windows", "there, --only-wheels makes bundles")
    wheels = [_wheel(file, asked) for file in files]
    distributions = [read_distribution(wheel, place) for wheel in wheels]
    images = [pair for one in distributions for pair in one.libraries]
    glibc = [(path, glibc_of(image)) for path, image in images]
    libraries: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    own: list[Item] = []
    if kind == "wheels":
        own += wheelhouse(wheels, scratch / "wheels", chosen.time)
    elif base is not None:
        moved = runtime.complete(base, images, _inside(images))
        _warn(tools, moved)
        own += moved.items
        glibc += moved.glibc
        libraries, left_out = moved.libraries, moved.left_out
    python: dict[str, object] = {
        "version": interpreter.version if kind == "tree" else minor,
        "minor": minor,
        "implementation": interpreter.implementation,
        "executable": f"bin/{place.python}",
        "site-packages": place.site_packages,
    }
    pinned = frozenset(file.sha256 for file in files if not file.built)
    here = f"{interpreter.markers['sys_platform']}-{interpreter.markers['platform_machine']}"
    platform = here if chosen.target is None else chosen.target.platform
    inside = Runtime(interpreter.version, libraries) if base is not None else None
    members = frozenset(file.filename for file in files if file.pin.package.manifest is not None)
    return Parts(
        tuple(own), tuple(files), tuple(distributions), members, pinned, python, place.python, platform,
        inside, libraries, left_out, tuple(glibc),
    )  # fmt: skip


def _inside(images: Sequence[tuple[str, ElfImage]]) -> frozenset[str]:
    """Names of libraries that wheels bring themselves."""
    return frozenset(
        name for path, image in images for name in (path.rpartition("/")[2], image.soname) if name
    )


def _wheel(file: File, asked: frozenset[str]) -> WheelFile:
    package = file.pin.package
    return WheelFile(
        file.path,
        file.filename,
        file.sha256,
        package.version,
        package.name in asked,
        file.direct_url,
        file.built,
    )


def _warn(tools: Tools, moved: runtime.Runtime) -> None:
    """Says what a bundle cannot bring along."""
    reasons = (
        (moved.drivers, "which comes with a driver: the machine it runs on must have it"),
        (moved.missing, "which is in no wheel and not here: the machine it runs on must have it"),
    )
    for found, reason in reasons:
        for name in sorted({name for _, name in found}):
            needing = [path for path, library in found if library == name]
            more = f" and {len(needing) - 1} more" if len(needing) > 1 else ""
            tools.world.listener(Warned("not-bundled", f"{needing[0]}{more} need {name}, {reason}"))
    if left := [name for name in moved.left_out if name != "tkinter"]:
        tools.world.listener(
            Warned(
                "not-bundled", f"the standard library's {', '.join(left)} needs libraries that are not here"
            )
        )
    if not moved.has_certificates:
        tools.world.listener(
            Warned("no-certificates", "this machine has no certificates of authorities to bring along")
        )


def dotted(version: tuple[int, int]) -> str:
    """``2.28``."""
    return ".".join(map(str, version))


def time_of(world: World) -> int:
    """Of all files: SOURCE_DATE_EPOCH or the nearest that all formats can say, else the oldest of these."""
    epoch = epoch_of(world)
    return EPOCH if epoch is None else min(max(epoch, EPOCH), LATEST)


def bill_of(found: Gathered) -> str:
    """The bill of materials of what was found."""
    parts = found.parts
    wheels = list(zip(parts.files, parts.distributions, strict=True))
    return bundle_bill(found.tools, found.workspace, found.locked.lock, found.roots, wheels, parts.runtime)
