"""``pypm pypylock``: interpreter, distributions and lock as one archive for machines without a network."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from pypm._verbs import VERSION
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
from pypm_bundle.bundle_errors import BundleFormat
from pypm_bundle.contents import Entry, Written
from pypm_bundle.distributions import Place, WheelFile, read_distribution
from pypm_bundle.libraries import glibc_of
from pypm_bundle.verifying import Verified, verify
from pypm_bundle.writing import Packing, Summary, write
from pypm_env.interpreters import Interpreter
from pypm_env.venv import base_python
from pypm_model.errors import PypmError
from pypm_model.events import Warned
from pypm_model.lock_errors import LockUnsound
from pypm_model.lock_select import ChoicesExclude, select
from pypm_model.locks import Lock, Pin, Root
from pypm_model.names import ROOT
from pypm_model.records import record, replace
from pypm_workspace.workspace import Workspace

DEFAULT = "dist/venv.tar.gz"


class BadEpoch(PypmError):
    """SOURCE_DATE_EPOCH is no moment."""

    code: ClassVar[str] = "bad-epoch"
    exit: ClassVar[int] = 2
    value: str

    def __str__(self) -> str:
        return f"SOURCE_DATE_EPOCH is {self.value!r}, which is no number of seconds since 1970"


class BadLevel(PypmError):
    """There is no such level of compression."""

    code: ClassVar[str] = "bad-level"
    exit: ClassVar[int] = 2
    level: int
    form: str
    hardest: int

    def __str__(self) -> str:
        return f"{self.form} is packed with a level from 1 to {self.hardest}, not {self.level}"


@record
class BundleOptions:
    """What to put into which archive."""

    output: str = DEFAULT
    """Relative to the current folder."""
    selection: Selection = Selection()
    frozen: bool = False
    level: int | None = None
    """How hard to pack; None: what wheels have packed is taken over."""


@record
class BundleReport:
    """What was made."""

    summary: Summary
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
            "python": self.python,
            "platform": self.platform,
            "glibc": self.glibc or None,
            "members": list(self.members),
            "packages": self.packages,
            "libraries": list(self.libraries),
        }


def bundle(world: World, options: BundleOptions) -> BundleReport:
    """Locks unless *frozen*, then writes the archive. Raises what locking, providing and writing raise."""
    form = format_of(options.output)
    if form is None:
        raise BundleFormat(options.output)
    hardest = HARDEST[form]
    if options.level is not None and not 1 <= options.level <= hardest:
        raise BadLevel(options.level, form, hardest)
    level = options.level if options.level is not None else LEVELS[form]
    workers = max(2, min(4, os.cpu_count() or 2))
    packing = Packing(form, level, options.level is None, _time(world), workers)
    workspace = open_workspace(world)
    with open_tools(world, workspace) as tools:
        locked = lock_workspace(tools, workspace, Locking(frozen=options.frozen))
        if locked.is_new:
            write_in_step(tools, workspace, locked)
        selection = replace(options.selection, no_default_groups=True)
        roots = roots_of(world, workspace, locked.lock, selection)
        prefer = base_python(environment_in(workspace.root))
        interpreter = tools.interpreter(pythons_of(locked.lock, roots), prefer=prefer)
        pins = _pins(tools, workspace, locked.lock, interpreter, roots)
        with tools.store.using():
            files = wheel_files(tools, pins, interpreter)
            return _written(
                tools, workspace, locked, interpreter, roots, files, world.cwd / options.output, packing
            )


def verified(world: World, file: str) -> Verified:
    """The bundle *file*, an archive or a folder, if it is as it was written. Raises what
    `pypm_bundle.verifying.verify` raises."""
    return verify(world.cwd / file, file)


def _pins(
    tools: Tools, workspace: Workspace, lock: Lock, interpreter: Interpreter, roots: Sequence[Root]
) -> tuple[Pin, ...]:
    try:
        return tuple(select(lock, interpreter.environment, roots, build=tools.build_policy))
    except (ChoicesExclude, LockUnsound):
        if workspace.settings.shared_environment or len(roots) < 2:
            raise
        raise MembersApart(tuple(root.member for root in roots)) from None


def _written(
    tools: Tools,
    workspace: Workspace,
    locked: Locked,
    interpreter: Interpreter,
    roots: Sequence[Root],
    files: Sequence[File],
    target: Path,
    packing: Packing,
) -> BundleReport:
    listener = tools.world.listener
    scratch = tools.scratch()
    # Where things go hangs on the interpreter, and what it must bring along on the wheels.
    base = runtime.basis(interpreter, scratch)
    place = Place(base.python, base.site_packages, interpreter.layout.include)
    asked = asked_by(locked.lock, roots)
    distributions = [read_distribution(_wheel(file, asked), place) for file in files]
    inside = frozenset(
        name
        for one in distributions
        for path, image in one.libraries
        for name in (path.rpartition("/")[2], image.soname)
    )
    wheels = [(path, image) for one in distributions for path, image in one.libraries]
    moved = runtime.complete(base, wheels, inside)
    _warn(tools, moved)
    lock = Entry(LOCK, Written(locked.text.encode()))
    own = [*moved.items, *assembling.tools(base.python), lock]
    items = assembling.assembled(own, distributions, listener)
    members = [root.member for root in roots if root.project and root.member != ROOT]
    glibc = max([moved.glibc, *(glibc_of(image) for _, image in wheels)])
    facts = assembling.facts(
        name=workspace.name,
        members=members,
        python={
            "version": interpreter.version,
            "implementation": interpreter.implementation,
            "executable": f"bin/{base.python}",
            "site-packages": base.site_packages,
        },
        platform=_platform(interpreter),
        glibc=glibc,
        lock=LOCK,
        distributions=distributions,
        pinned=frozenset(file.sha256 for file in files if not file.built),
        libraries=moved.libraries,
        left_out=moved.left_out,
        pypm=VERSION,
    )
    summary = write(target, items, facts, packing, listener)
    return BundleReport(
        summary,
        interpreter.version,
        _platform(interpreter),
        ".".join(map(str, glibc)) if glibc != (0, 0) else "",
        tuple(sorted(members)),
        len(distributions),
        moved.libraries,
    )


def _wheel(file: File, asked: frozenset[str]) -> WheelFile:
    package = file.pin.package
    return WheelFile(
        file.path, file.filename, file.sha256, package.version, package.name in asked, file.direct_url
    )


def _warn(tools: Tools, moved: runtime.Runtime) -> None:
    """Says what a bundle cannot bring along."""
    for path, name in moved.drivers:
        tools.world.listener(
            Warned("not-bundled", f"{path} needs {name} of a driver: the machine it runs on must have it")
        )
    for path, name in moved.missing:
        tools.world.listener(
            Warned("not-bundled", f"{path} needs {name}, which is in no wheel and not on this machine")
        )
    if not moved.has_certificates:
        tools.world.listener(
            Warned("no-certificates", "this machine has no certificates of authorities to bring along")
        )


def _platform(interpreter: Interpreter) -> str:
    return f"{interpreter.markers['sys_platform']}-{interpreter.markers['platform_machine']}"


def _time(world: World) -> int:
    """Of all files: SOURCE_DATE_EPOCH or the nearest that all formats can say, else the oldest of these."""
    text = world.environ.get("SOURCE_DATE_EPOCH", "").strip()
    if not text:
        return EPOCH
    if not text.isascii() or not text.isdigit() or len(text) > 10:
        raise BadEpoch(text)
    return min(max(int(text), EPOCH), LATEST)
