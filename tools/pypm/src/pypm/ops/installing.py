"""Makes one environment hold what was chosen for it, whatever it was chosen from."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from pypm import _stamp
from pypm._verbs import VERSION
from pypm.ops.malware import refuse_malware
from pypm.ops.provisioning import provide, renewed
from pypm.ops.tools import Tools
from pypm.ops.venvs import check_place, start_compiling
from pypm.ops.world import World
from pypm_env.apply import Changes, apply
from pypm_env.dists import LINK_MODES, Installed, LinkMode, Wanted, WantedDist
from pypm_env.interpreters import Interpreter
from pypm_env.plan import Plan, plan, recreate_reason, refuse_foreign
from pypm_env.stale import look
from pypm_env.stale import torn as torn_in
from pypm_env.symlinks import NoSymbolicLinks, can_symlink
from pypm_model.errors import PypmError
from pypm_model.locks import Pin
from pypm_model.names import NormalizedName, normalize
from pypm_model.records import record, replace
from pypm_model.sources import MemberSource, PathSource
from pypm_store.tree import Tree

if TYPE_CHECKING:
    from pypm_env.compiling import Then


@record
class InstallOptions:
    """How to install: the same from our lock and from anyone's."""

    inexact: bool = False
    reinstall: tuple[str, ...] = ()
    reinstall_all: bool = False
    dry_run: bool = False
    force: bool = False
    """Replace an environment that pypm did not make."""
    editable: bool = True
    compile: bool = False
    link_mode: str = ""
    """As `link-mode` of the workspace; empty: as the environment variable or the workspace says."""


@record
class Target:
    """Where to install."""

    venv: Path
    prompt: str
    mode: LinkMode = "auto"
    requested: Collection[str] = ()
    """Names that somebody asked for, rather than that others need."""


@record
class Done:
    """What was done, or with ``dry_run`` would be."""

    plan: Plan
    packages: int
    changes: Changes | None = None


def install(
    tools: Tools,
    pins: Sequence[Pin],
    interpreter: Interpreter,
    target: Target,
    options: InstallOptions,
    *,
    agreed: Callable[[], None],
) -> Done:
    """Makes the environment hold *pins*. *agreed* is called as soon as nothing speaks against the
    environment, unless nothing is to be changed: what can be refused is refused before."""
    venv = target.venv
    check_reinstalls(options, pins)
    reinstall: bool | list[NormalizedName] = [normalize(name) for name in options.reinstall]
    if options.reinstall_all:
        reinstall = True
    changes: Changes | None = None
    refuse_malware(tools, pins)
    with tools.store.using():
        installed = look(venv, tools.store)
        torn = torn_in(installed, tools.store, interpreter.layout.site_packages)
        if not isinstance(reinstall, bool):
            reinstall = [*reinstall, *torn]
        adopt = allowed_to_replace(tools.world, [installed], options)
        if not options.dry_run:
            agreed()
        trees: Mapping[str, Tree] = {}
        if options.dry_run:
            dists = announced(tools, pins, installed, editable=options.editable)
        else:
            anew = recreate_reason(Wanted(interpreter, (), target.mode), installed)
            keeps = not (anew or options.reinstall or options.reinstall_all or installed.unfinished)
            lost = installed.stale | {one.info for one in installed.dists if one.name in torn}
            held = [one for one in installed.dists if one.info not in lost]
            present = {one.dist.tree for one in held} if keeps else set()
            provided = provide(
                tools,
                pins,
                interpreter,
                editable=options.editable,
                present=present,
                # All at once are looked at as they are put in.
                look=options.compile or not anew,
            )
            dists, trees = provided.dists, provided.trees
            if options.compile:
                lacking = compile_now(tools, dists, trees, installed, interpreter)
                reinstall = reinstall if isinstance(reinstall, bool) else [*reinstall, *lacking]
        dists = tuple(replace(dist, requested=dist.name in target.requested) for dist in dists)
        todo = plan(
            Wanted(interpreter, dists, target.mode),
            installed,
            inexact=options.inexact,
            reinstall=reinstall,
            adopt=adopt,
        )
        if not options.dry_run:
            if not todo.is_empty:
                _stamp.remove(str(tools.root))
            changes = apply(
                todo,
                tools.store,
                pypm_version=VERSION,
                trees=trees,
                renew=lambda digests: renewed(tools, pins, interpreter, digests),
                listener=tools.world.listener,
                prompt=target.prompt,
            )
            todo = changes.plan
    return Done(todo, len(dists), changes)


class UnknownReinstall(PypmError):
    """A package to be installed again is none of those that are to be installed."""

    code: ClassVar[str] = "unknown-reinstall"
    exit: ClassVar[int] = 2
    names: tuple[str, ...]

    def __str__(self) -> str:
        return f"not to be installed here: {', '.join(self.names)}"


def check_reinstalls(options: InstallOptions, pins: Iterable[Pin]) -> None:
    """Raises `UnknownReinstall` if what is to be installed again is not among *pins*."""
    unknown = {normalize(name) for name in options.reinstall} - {pin.package.name for pin in pins}
    if unknown:
        raise UnknownReinstall(tuple(sorted(unknown)))


def allowed_to_replace(world: World, found: Iterable[Installed], options: InstallOptions) -> bool:
    """Whether environments among *found* that pypm did not make may be replaced: with ``--force``, or if
    the user says so of each. Raises `ForeignEnvironment` if not, and `UnusableFolder`."""
    adopt = options.force
    for installed in found:
        check_place(installed.folder)
        if installed.kind == "foreign" and not options.force and world.asker and not options.dry_run:
            adopt = world.asker(f"{installed.folder} is an environment that pypm did not make. Replace it?")
        refuse_foreign(installed, adopt=adopt)
    return adopt


def compile_later(tools: Tools, done: Done, interpreter: Interpreter, then: Then | None = None) -> None:
    """Has bytecode made of what was installed without it, and *then* something done, in a process that nobody
    waits for."""
    if done.changes is not None:
        start_compiling(tools.world, tools.store, done.changes.uncompiled, interpreter, then)


class BadLinkMode(PypmError):
    """`PYPM_LINK_MODE` is no link mode."""

    code: ClassVar[str] = "bad-link-mode"
    exit: ClassVar[int] = 2
    value: str

    def __str__(self) -> str:
        return f"PYPM_LINK_MODE is {self.value!r}, which is no link mode"

    @property
    def hint(self) -> str:
        return f"one of {', '.join(LINK_MODES)}"


def link_mode_for(tools: Tools, asked: str, venv: Path, *, of_member: bool) -> LinkMode:
    """How files are put into the environment *venv*: as *asked*, else as the variable says, else the
    workspace. ``auto`` makes a farm of a member's environment where its folder can hold symbolic links,
    and a linked one of what a user may want to change by hand. Raises `BadLinkMode`, `NoSymbolicLinks`."""
    mode = asked or tools.world.environ.get("PYPM_LINK_MODE") or tools.settings.link_mode or "auto"
    if mode not in LINK_MODES:
        raise BadLinkMode(mode)
    if mode == "farm" or (mode == "auto" and of_member):
        if can_symlink(venv.parent):
            return "farm"
        if mode == "farm":
            raise NoSymbolicLinks(str(venv.parent))
        return "auto"
    return mode


def announced(
    tools: Tools, pins: Iterable[Pin], installed: Installed, *, editable: bool
) -> tuple[WantedDist, ...]:
    """What would be installed, without fetching or building: a project counts as unchanged if it is
    installed already in the same way."""
    present = {one.name: one.dist for one in installed.dists}
    found = []
    for pin in pins:
        package = pin.package
        if isinstance(package.source, MemberSource) and tools.member_at(package.source.path).build is None:
            continue
        if pin.file is not None and pin.file.is_wheel:
            found.append(WantedDist(package.name, package.version, pin.file.sha256))
        else:
            now = present.get(package.name)
            same = now is not None and package.version in ("", now.version)
            is_folder = isinstance(package.source, MemberSource)
            is_folder |= isinstance(package.source, PathSource) and package.source.editable
            wanted = WantedDist(package.name, package.version, "", editable=editable and is_folder)
            same = same and now is not None and now.editable == wanted.editable
            found.append(now if now is not None and same else wanted)
    return tuple(found)


def compile_now(
    tools: Tools,
    dists: Sequence[WantedDist],
    trees: Mapping[str, Tree],
    installed: Installed,
    interpreter: Interpreter,
) -> list[NormalizedName]:
    """Has bytecode made of *dists* in the store; names of those that are *installed* without it. *trees* are
    those that are at hand, by digest."""
    from pypm_env.compiling import compile_trees, lacks_bytecode

    found = {
        dist: tree
        for dist in dists
        if (tree := trees.get(dist.tree) or tools.store.tree(dist.tree, check=False)) is not None
    }
    compile_trees(found.values(), interpreter.path, interpreter.cache_tag)
    here = {one.dist.tree for one in installed.dists if one.is_ours}
    site = installed.folder / interpreter.layout.site_packages
    return [
        dist.name
        for dist, tree in found.items()
        if dist.tree in here and lacks_bytecode(site, tree, interpreter.cache_tag)
    ]
