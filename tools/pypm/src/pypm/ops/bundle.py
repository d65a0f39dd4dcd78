"""``pypm pypylock``: interpreter, distributions and lock as one archive for machines without a network."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, ClassVar, Literal

from pypm._verbs import VERSION
from pypm.ops.bundle_sbom import SBOM, Runtime, bundle_bill
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
from pypm.ops.world import LOCK, World
from pypm_bundle import assembling, runtime
from pypm_bundle.archives import EPOCH, HARDEST, LATEST, LEVELS, format_of
from pypm_bundle.bundle_errors import BundleFormat, BundleTooLarge, GlibcTooNew, InterpreterNotMovable
from pypm_bundle.contents import Entry, Item, Packed, Written, in_order
from pypm_bundle.distributions import Distribution, Place, WheelFile, read_distribution
from pypm_bundle.elf_image import ElfImage
from pypm_bundle.libraries import glibc_of
from pypm_bundle.verifying import Verified, verify
from pypm_bundle.wheelhouse import wheelhouse
from pypm_bundle.writing import Packing, Summary, write
from pypm_env.interpreters import Interpreter, Layout
from pypm_env.venv import base_python
from pypm_model.environments import Environment
from pypm_model.errors import PypmError
from pypm_model.events import Warned
from pypm_model.lock_errors import LockUnsound
from pypm_model.lock_select import ChoicesExclude, select
from pypm_model.locks import Lock, Pin, Root
from pypm_model.names import ROOT
from pypm_model.records import record, replace
from pypm_workspace.workspace import Workspace

DEFAULT = "dist/venv.tar.gz"


class BadLevel(PypmError):
    """There is no such level of compression."""

    code: ClassVar[str] = "bad-level"
    exit: ClassVar[int] = 2
    level: int
    form: str
    hardest: int

    def __str__(self) -> str:
        return f"{self.form} is packed with a level from 1 to {self.hardest}, not {self.level}"


Kind = Literal["tree", "no-interpreter", "wheels"]
_SHOWN = 5
"""Parts that are told of a bundle which is too large."""


@record
class BundleOptions:
    """What to put into which archive."""

    output: str = DEFAULT
    """Relative to the current folder."""
    selection: Selection = Selection()
    frozen: bool = False
    level: int | None = None
    """How hard to pack; None: what wheels have packed is taken over."""
    kind: Kind = "tree"
    """``tree`` runs where it is unpacked; ``no-interpreter`` is installed for one of the machine; ``wheels``
    is a folder for installers."""
    most: int | None = None
    """Bytes that the archive may have."""
    glibc: tuple[int, int] | None = None
    """The oldest glibc it must run with; None: of this machine."""
    target: Target | None = None
    """The machine it is for; None: one like this."""
    interpreter: str = ""
    """Folder or archive (relative to the current folder) with the target's interpreter."""


@record
class BundleReport:
    """What was made."""

    summary: Summary
    kind: Kind
    python: str
    platform: str
    glibc: str
    members: tuple[str, ...]
    packages: int
    libraries: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """The report as JSON-ready data."""
        return {
            "file": self.summary.file,
            "sha256": self.summary.sha256,
            "size": self.summary.size,
            "unpacked": self.summary.unpacked,
            "files": self.summary.files,
            "kind": self.kind,
            "python": self.python,
            "platform": self.platform,
            "glibc": self.glibc or None,
            "members": list(self.members),
            "packages": self.packages,
            "libraries": list(self.libraries),
        }


def bundle(world: World, options: BundleOptions) -> BundleReport:
    """Locks unless *frozen*, then writes the archive. Raises what locking, providing and writing raise."""
    packing = _packing(world, options)
    if options.target is not None:
        # What builds the members is any Python of this machine that fits them.
        environ = {key: value for key, value in world.environ.items() if key != "PYPM_PYTHON"}
        world = replace(world, environ=environ)
    workspace = open_workspace(world)
    with open_tools(world, workspace) as tools:
        locked = lock_workspace(tools, workspace, Locking(frozen=options.frozen))
        if locked.is_new:
            write_in_step(tools, workspace, locked)
        selection = replace(options.selection, no_default_groups=True)
        roots = roots_of(world, workspace, locked.lock, selection)
        prefer = base_python(environment_in(workspace.root))
        interpreter = tools.interpreter(pythons_of(locked.lock, roots), prefer=prefer)
        target = options.target
        given = interpreter if target is None else _given(tools, options, target)
        environment = for_glibc(given.environment, options.glibc)
        pins = _pins(tools, workspace, locked.lock, environment, roots)
        with tools.store.using():
            files = wheel_files(tools, pins, interpreter)
            if target is not None:
                check_built(files, environment, target.platform)
            asked = asked_by(locked.lock, roots)
            parts = _parts(tools, options, given, files, asked, packing.time)
            return _written(tools, workspace, locked, roots, options, parts, packing)


def _given(tools: Tools, options: BundleOptions, target: Target) -> Interpreter:
    """The target's interpreter, or what is known of it where none goes into the bundle."""
    if options.kind == "tree":
        source = tools.world.cwd / options.interpreter
        return given_interpreter(source, options.interpreter, target, tools.scratch())
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


def verified(world: World, file: str) -> Verified:
    """The bundle *file*, an archive or a folder, if it is as it was written. Raises what
    `pypm_bundle.verifying.verify` raises."""
    return verify(world.cwd / file, file)


def _packing(world: World, options: BundleOptions) -> Packing:
    form = format_of(options.output)
    if form is None:
        raise BundleFormat(options.output)
    hardest = HARDEST[form]
    if options.level is not None and not 1 <= options.level <= hardest:
        raise BadLevel(options.level, form, hardest)
    level = options.level if options.level is not None else LEVELS[form]
    return Packing(
        form, level, options.level is None, _file_time(epoch_of(world)), max(2, min(4, os.cpu_count() or 2))
    )


def _file_time(epoch: int | None) -> int:
    """Of all files: *epoch* or the nearest that all formats can say, without one the oldest of these."""
    return EPOCH if epoch is None else min(max(epoch, EPOCH), LATEST)


def _pins(
    tools: Tools, workspace: Workspace, lock: Lock, environment: Environment, roots: Sequence[Root]
) -> tuple[Pin, ...]:
    try:
        return tuple(select(lock, environment, roots, build=tools.build_policy))
    except (ChoicesExclude, LockUnsound):
        if workspace.settings.shared_environment or len(roots) < 2:
            raise
        raise MembersApart(tuple(root.member for root in roots)) from None


@record
class _Parts:
    """What a bundle is made of."""

    items: tuple[Item, ...]
    """In order, but for the lock."""
    files: tuple[File, ...]
    distributions: tuple[Distribution, ...]
    """One of each of *files*."""
    pinned: frozenset[str]
    """Digests of wheels that are the same everywhere."""
    python: dict[str, object]
    platform: str
    runtime: Runtime | None
    libraries: tuple[str, ...]
    left_out: tuple[str, ...]
    glibc: tuple[tuple[str, tuple[int, int]], ...]
    """(path, the oldest glibc it runs with)."""


def _parts(
    tools: Tools,
    options: BundleOptions,
    interpreter: Interpreter,
    files: Sequence[File],
    asked: frozenset[str],
    time: int,
) -> _Parts:
    kind, scratch = options.kind, tools.scratch()
    threads = "t" if interpreter.is_free_threaded else ""
    minor = ".".join(map(str, interpreter.release))
    place = Place(f"python{minor}{threads}", interpreter.layout.site_packages, interpreter.layout.include)
    base = None
    if kind == "tree":
        # Where things go hangs on the interpreter, and what it must bring along on the wheels.
        base = runtime.basis(interpreter, scratch, foreign=options.target is not None)
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
        built = [(wheel, file.built) for wheel, file in zip(wheels, files, strict=True)]
        items = wheelhouse(built, scratch / "wheels", time)
    else:
        if base is not None:
            moved = runtime.complete(base, images, _inside(images))
            _warn(tools, moved)
            own += moved.items
            glibc += moved.glibc
            libraries, left_out = moved.libraries, moved.left_out
        own += assembling.tools(place.python, inside=base is not None)
        items = assembling.assembled(own, distributions, tools.world.listener)
    python: dict[str, object] = {
        "version": interpreter.version if kind == "tree" else minor,
        "minor": minor,
        "implementation": interpreter.implementation,
        "executable": f"bin/{place.python}",
        "site-packages": place.site_packages,
    }
    pinned = frozenset(file.sha256 for file in files if not file.built)
    here = f"{interpreter.markers['sys_platform']}-{interpreter.markers['platform_machine']}"
    platform = here if options.target is None else options.target.platform
    inside = Runtime(interpreter.version, libraries) if base is not None else None
    return _Parts(
        tuple(items), tuple(files), tuple(distributions), pinned, python, platform, inside, libraries,
        left_out, tuple(glibc),
    )  # fmt: skip


def _inside(images: Sequence[tuple[str, ElfImage]]) -> frozenset[str]:
    """Names of libraries that wheels bring themselves."""
    return frozenset(
        name for path, image in images for name in (path.rpartition("/")[2], image.soname) if name
    )


def _written(
    tools: Tools,
    workspace: Workspace,
    locked: Locked,
    roots: Sequence[Root],
    options: BundleOptions,
    parts: _Parts,
    packing: Packing,
) -> BundleReport:
    needs = sorted(parts.glibc, key=lambda one: one[1], reverse=True)
    newest = needs[0][1] if needs else (0, 0)
    if options.glibc is not None and newest > options.glibc:
        culprits = tuple((path, _dotted(one)) for path, one in needs if one > options.glibc)
        raise GlibcTooNew(_dotted(options.glibc), culprits)
    members = tuple(sorted(root.member for root in roots if root.project and root.member != ROOT))
    facts = assembling.facts(
        kind=options.kind,
        name=workspace.name,
        members=members,
        python=parts.python,
        platform=parts.platform,
        glibc=newest,
        lock=LOCK,
        sbom=SBOM,
        distributions=parts.distributions,
        pinned=parts.pinned,
        libraries=parts.libraries,
        left_out=parts.left_out,
        pypm=VERSION,
    )
    bill = bundle_bill(
        tools,
        workspace,
        locked.lock,
        roots,
        list(zip(parts.files, parts.distributions, strict=True)),
        parts.runtime,
    )
    added = [Entry(LOCK, Written(locked.text.encode())), Entry(SBOM, Written(bill.encode()))]
    items = in_order([*parts.items, *added])
    target = tools.world.cwd / options.output
    try:
        summary = write(target, items, facts, packing, tools.world.listener, most=options.most)
    except BundleTooLarge as error:
        raise BundleTooLarge(options.output, error.most, _largest(parts)) from None
    version = str(parts.python["version"])
    glibc = _dotted(newest) if newest != (0, 0) else ""
    count = len(parts.distributions)
    return BundleReport(
        summary, options.kind, version, parts.platform, glibc, members, count, parts.libraries
    )


def _largest(parts: _Parts) -> tuple[tuple[str, int], ...]:
    """The distributions that take most, as they are packed in their wheels."""
    sizes = [
        (
            f"{one.name} {one.version}",
            sum(
                i.content.packed for i in one.items if isinstance(i, Entry) and isinstance(i.content, Packed)
            ),
        )
        for one in parts.distributions
    ]
    return tuple(sorted(sizes, key=lambda one: (-one[1], one[0]))[:_SHOWN])


def _dotted(version: tuple[int, int]) -> str:
    return ".".join(map(str, version))


def _wheel(file: File, asked: frozenset[str]) -> WheelFile:
    package = file.pin.package
    return WheelFile(
        file.path, file.filename, file.sha256, package.version, package.name in asked, file.direct_url
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
