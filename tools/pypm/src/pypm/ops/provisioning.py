"""From pins to unpacked trees in the store: fetch, unpack, build.

Building needs a build environment, which is a small lock of its own whose pins are provided in the
same way: `provide` and `build_environment` call each other, and that is all the recursion there is.
What fetching, resolving and building need is imported when one of them has to be done: mostly none has.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pypm.ops.direct_url import direct_url
from pypm.ops.fetching import Wheel, fetch_and_unpack, kept_sdists, located_files
from pypm.ops.lone_question import rules_of
from pypm.ops.malware import refuse_malware
from pypm.ops.tools import Tools
from pypm_env.dists import WantedDist
from pypm_env.interpreters import Interpreter
from pypm_model.artifacts import Artifact
from pypm_model.digests import sha256
from pypm_model.errors import Place, PypmError
from pypm_model.locks import Pin
from pypm_model.names import ROOT, NormalizedName
from pypm_model.records import record
from pypm_model.requests import Ask, Origin
from pypm_model.requirement_text import InvalidRequirement, parse, to_text
from pypm_model.sources import DirectSource, GitSource, IndexSource, MemberSource, PathSource, UrlSource
from pypm_store.tree import Tree
from pypm_workspace.configuration import Member

if TYPE_CHECKING:
    from pypm_env.build.environment import BuildEnvironment
    from pypm_env.build.inputs import Kind
    from pypm_env.build.jobs import Built, Result
    from pypm_env.build.sdist import Prepare, Source

BUILD = NormalizedName("(build)")
"""Stands for "the build of this project" where a resolution wants a member. No project's name."""
REMEMBERED = "build-environment"
"""Kind of a small fact: the wheels of a build environment, by what was asked."""


class BuildNotAllowed(PypmError):
    """Only an sdist fits, and its build backend may not run."""

    code: ClassVar[str] = "build-not-allowed"
    name: str
    version: str

    def __str__(self) -> str:
        return f"{self.name} {self.version} has no wheel for this environment, and its sdist may not be built"

    @property
    def hint(self) -> str:
        return (
            f'allow it: [resolution] build = {{ allow = ["{self.name}"] }}, or choose a version with a wheel'
        )


class BadBuildRequirement(PypmError):
    """A project's build backend asks for something that is no requirement."""

    code: ClassVar[str] = "bad-build-requirement"
    requirement: str
    reason: str

    def __str__(self) -> str:
        return f"a build asks for {self.requirement!r}, which is no requirement: {self.reason}"


@record
class _Project:
    """A source tree to be built."""

    pin: Pin
    source: Source
    editable: bool = False


@record
class File:
    """A wheel as a file of this machine."""

    pin: Pin
    path: Path
    filename: str
    sha256: str
    direct_url: str = ""
    """Text of `direct_url.json`; empty: it has none."""
    built: bool = False
    """Made on this machine."""


@record
class Provided:
    """What can be installed now."""

    dists: tuple[WantedDist, ...]
    """Sorted by name."""
    trees: Mapping[str, Tree]
    """By digest: those that were looked at on the way and found sound."""


def provide(
    tools: Tools,
    pins: Sequence[Pin],
    interpreter: Interpreter,
    *,
    editable: bool = True,
    present: Collection[str] = (),
    look: bool = True,
) -> Provided:
    """Makes sure the tree of every pin is in the store, but for the wheels (digests) that are *present*
    where they are wanted. Without *look* a tree that is there is taken to be sound: who uses it looks.

    Members and folders are built as editable wheels (as plain ones with *editable* False); a member
    without a build system is not installed itself. To be called inside ``store.using()``. Raises what
    fetching, unpacking and building raise; what was provided until then stays in the store. What is known to
    be malicious is refused before anything is fetched: `KnownMalware`.
    """
    refuse_malware(tools, pins)
    wheels, projects, sdists = _divided(tools, pins, editable)
    trees: dict[str, Tree] = {}
    here = set(present)
    if not look:
        here.update(
            digest for digest in (w.artifact.sha256 for w in wheels) if tools.store.manifest_size(digest)
        )
    archives = kept_sdists(tools, sdists)
    wanting = [w for w in wheels if w.artifact.sha256 not in here]
    fetch_and_unpack(tools, wanting, sdists, trees, archives)
    projects += [_sdist(tools, pin, file, archives) for pin, file in sdists]
    wanted = [_wanted(tools, wheel.pin, wheel.artifact.sha256) for wheel in wheels]
    wanted += _build(tools, projects, interpreter, trees)
    return Provided(tuple(sorted(wanted, key=lambda dist: dist.name)), trees)


def wheel_files(tools: Tools, pins: Sequence[Pin], interpreter: Interpreter) -> tuple[File, ...]:
    """The wheel of every pin as a file, sorted by name: fetched, or built for *interpreter*; members and
    folders as plain ones, a member without a build system not at all. Nothing is unpacked but what is built.
    To be called inside ``store.using()``. Raises what fetching and building raise."""
    refuse_malware(tools, pins)
    wheels, projects, sdists = _divided(tools, pins, False)
    store = tools.store
    here = {w.artifact.sha256: w.path or store.file(w.artifact.sha256) for w in wheels}
    missing = {w.artifact.sha256: (w.pin, w.artifact) for w in wheels if here[w.artifact.sha256] is None}
    archives = kept_sdists(tools, sdists)
    missing.update((file.sha256, (pin, file)) for pin, file in sdists if file.sha256 not in archives)
    paths = dict(located_files(tools, here, missing))
    found = [
        File(w.pin, paths[w.artifact.sha256], w.artifact.filename, w.artifact.sha256, _origin(tools, w.pin))
        for w in wheels
    ]
    projects += [_sdist(tools, pin, file, {**archives, **paths}) for pin, file in sdists]
    for project, built in zip(projects, _built(tools, projects, interpreter), strict=True):
        origin = _origin(tools, project.pin)
        found.append(File(project.pin, built.wheel, built.wheel.name, built.sha256, origin, built=True))
    return tuple(sorted(found, key=lambda file: file.pin.package.name))


def _origin(tools: Tools, pin: Pin) -> str:
    """`direct_url.json` of what is where others can find it, too: what came from a folder names none."""
    addressed = isinstance(pin.package.source, UrlSource | GitSource)
    return direct_url(tools.root, pin, editable=False) if addressed else ""


def _divided(
    tools: Tools, pins: Sequence[Pin], editable: bool
) -> tuple[list[Wheel], list[_Project], list[tuple[Pin, Artifact]]]:
    """What of *pins* is a wheel, what is built from a folder, and what from an sdist of an index."""
    wheels: list[Wheel] = []
    projects: list[_Project] = []
    sdists: list[tuple[Pin, Artifact]] = []
    for pin in pins:
        match pin.package.source:
            case IndexSource() if pin.file is not None and pin.file.is_wheel:
                wheels.append(Wheel(pin, pin.file))
            case IndexSource() if pin.file is not None:
                sdists.append((pin, pin.file))
            case MemberSource(path):
                member = tools.member_at(path)
                if member.build is not None:
                    projects.append(_member(tools, pin, member, editable))
            case PathSource() | UrlSource() | GitSource() as source:
                found = _direct(tools, pin, source, editable)
                (wheels if isinstance(found, Wheel) else projects).append(found)  # type: ignore[arg-type]
    return wheels, projects, sdists


def renewed(
    tools: Tools, pins: Sequence[Pin], interpreter: Interpreter, digests: Collection[str]
) -> Mapping[str, Tree]:
    """The trees *digests* of wheels among *pins*, fetched and unpacked again where they are damaged."""
    return provide(tools, [pin for pin in pins if _digest(pin) in digests], interpreter).trees


def _digest(pin: Pin) -> str:
    """Of the file that is installed as it is; empty for what is built."""
    match pin.package.source:
        case PathSource(sha256=digest) | UrlSource(sha256=digest):
            return digest
        case _:
            return pin.file.sha256 if pin.file is not None else ""


def build_all(tools: Tools, sources: Sequence[Source], interpreter: Interpreter) -> tuple[Result, ...]:
    """What each of *sources* asks for, built for *interpreter* unless it is kept already; an error stands in
    its source's place."""
    from pypm_env.build.sdist import build_sources

    prepare = prepare_for(tools, interpreter)
    return build_sources(tools.builder, sources, prepare, tools.world.listener, besides=tools.build_besides)


def prepare_for(tools: Tools, interpreter: Interpreter) -> Prepare:
    """`build_environment` for one interpreter, as the build side calls it."""
    return lambda requires, owner: build_environment(tools, interpreter, requires, owner)


def build_environment(
    tools: Tools, interpreter: Interpreter, requires: tuple[str, ...], owner: str = ""
) -> BuildEnvironment:
    """An environment that holds *requires*, resolved apart from what is installed from where the workspace
    says that packages come, the member *owner* if these are a member's (`ROOT`: one that says nothing of its
    own). Remembered until ``--refresh``. Raises what resolving and `provide` raise."""
    asks = tuple([ask for item, text in enumerate(requires) for ask in _asks(tools, text, item, owner)])
    key = _question(tools, interpreter, requires, asks)
    known = None if tools.world.refresh else tools.cache.value(REMEMBERED, key)
    if known is not None:
        trees = [tools.store.tree(digest) for digest in known]
        if all(trees):
            return _environment(interpreter, [(t.root, d) for t, d in zip(trees, known, strict=True) if t])
    from pypm.ops.lone_lock import lone_pins

    held = _constraints(tools)
    place = partial(_build_place, tools)
    pins = lone_pins(tools, interpreter, BUILD, asks, place, held, for_build=True)
    digests = [dist.tree for dist in provide(tools, pins, interpreter, editable=False).dists]
    tools.cache.put_values(REMEMBERED, {key: digests})
    return _environment(interpreter, [(tools.store.tree_path(digest), digest) for digest in digests])


def _environment(interpreter: Interpreter, trees: Sequence[tuple[Path, str]]) -> BuildEnvironment:
    from pypm_env.build.environment import BuildEnvironment

    names = sha256("\n".join(sorted(digest for _, digest in trees)).encode())
    return BuildEnvironment(interpreter, tuple(root / "site" for root, _ in trees), names.hexdigest())


def _question(tools: Tools, interpreter: Interpreter, requires: tuple[str, ...], asks: Sequence[Ask]) -> str:
    """Everything that decides which packages answer *requires*."""
    facts: dict[str, Any] = {
        "requires": requires,
        "python": [interpreter.identity, interpreter.version, interpreter.tags[:1]],
        "rules": rules_of(tools),
        "from": [[to_text(one.requirement), str(one.source)] for one in asks if one.source],
        "root": str(tools.root),
    }
    if tools.settings.build_constraints:
        facts["constraints"] = [to_text(entry.requirement) for entry in tools.settings.build_constraints]
    return sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def _asks(tools: Tools, text: str, item: int, owner: str) -> Iterable[Ask]:
    """One build requirement of *owner*, in parts where several sources serve it. A member of the workspace is
    built from its folder."""
    from pypm_workspace.direct_reference import direct_reference

    try:
        requirement = parse(text)
    except InvalidRequirement as error:
        raise BadBuildRequirement(text, str(error)) from None
    origin = Origin(BUILD, "pyproject.toml", "build-system.requires", item)
    folder = tools.member_paths.get(requirement.name)
    if folder is not None:
        return (Ask(requirement._replace(url=""), origin, PathSource(folder)),)
    if owner and tools.workspace is not None:
        member = tools.workspace.by_name.get(NormalizedName(owner))
        return tools.ask_maker.build_asks(member, requirement, origin)
    if requirement.url:
        source = direct_reference(requirement.url, base=".", root=str(tools.root).replace("\\", "/"))
        return (Ask(requirement._replace(url=""), origin, source),)
    return (Ask(requirement, origin),)


def _constraints(tools: Tools) -> list[Ask]:
    """What the workspace has for all builds."""
    settings = tools.settings
    return [
        Ask(
            requirement,
            Origin(ROOT, "pyproject.toml" if table.startswith("tool.") else settings.file, table, item),
        )
        for requirement, table, item in settings.build_constraints
    ]


def _build_place(tools: Tools, origin: Origin) -> Place:
    if origin.member == ROOT and tools.workspace is not None:
        return tools.workspace.place(origin)
    return Place(f"{origin.table} of the project that is built")


# --- builds --------------------------------------------------------------------------------------


def _build(
    tools: Tools, projects: Sequence[_Project], interpreter: Interpreter, trees: dict[str, Tree]
) -> list[WantedDist]:
    """Builds what is not kept already, and unpacks it; fills *trees*."""
    wanted = []
    for project, result in zip(projects, _built(tools, projects, interpreter), strict=True):
        digest = result.sha256
        trees[digest] = tree = tools.store.unpack(result.wheel, digest)
        wanted.append(_wanted(tools, project.pin, digest, editable=project.editable, version=tree.version))
    return wanted


def _built(tools: Tools, projects: Sequence[_Project], interpreter: Interpreter) -> list[Built]:
    """The wheels of *projects*, built unless they are kept already; the first failure is raised when all
    are through."""
    if not projects:
        return []
    from pypm_env.build.jobs import Built

    results = build_all(tools, [project.source for project in projects], interpreter)
    failures = [result for result in results if isinstance(result, PypmError)]
    if failures:
        raise failures[0]
    return [result for result in results if isinstance(result, Built)]


def _member(tools: Tools, pin: Pin, member: Member, editable: bool) -> _Project:
    """A member with a build system."""
    from pypm_env.build.sdist import Source

    kind: Kind = "editable" if editable else "wheel"
    folder, owner = tools.root / member.path, build_owner(tools, member)
    return _Project(pin, Source(folder, kind, member.name, shown=member.file, owner=owner), editable)


def build_owner(tools: Tools, member: Member) -> str:
    """Whose sources count for what the build of *member* needs, as `build_environment` takes it."""
    if any(not isinstance(rule.source, MemberSource) for rule in member.sources):
        return member.name
    return ROOT if tools.settings.sources else ""


def _sdist(tools: Tools, pin: Pin, file: Artifact, archives: Mapping[str, Path]) -> _Project:
    """An sdist of an index, unpacked. One of a local folder is where it lies, and not in the store."""
    from pypm_env.build.sdist import Source
    from pypm_store.sdist_archive import unpack_sdist

    package = pin.package
    if not tools.build_policy.may_build(package.name):
        raise BuildNotAllowed(package.name, package.version)
    folder = unpack_sdist(archives[file.sha256], tools.scratch(), filename=file.filename)
    shown = f"{file.filename}: pyproject.toml"
    return _Project(pin, Source(folder, "wheel", package.name, package.version, file.sha256, shown=shown))


def _direct(tools: Tools, pin: Pin, source: DirectSource, editable: bool) -> Wheel | _Project:
    """What is at a direct source: a wheel, or a tree to be built."""
    from pypm_env.build.sdist import Source
    from pypm_index.addresses import filename_of
    from pypm_index.direct import check_wheel_name, obtain, subfolder
    from pypm_store.sdist_archive import unpack_sdist

    package = pin.package
    subdirectory = "" if isinstance(source, PathSource) else source.subdirectory
    scratch = tools.scratch()
    path = obtain(source, scratch / "tree", tools.catalog.workplace())
    if path.is_dir():
        as_editable = editable and isinstance(source, PathSource) and source.editable
        # The version of a folder that may be edited is what it is now.
        digest, version = (source.commit, package.version) if isinstance(source, GitSource) else ("", "")
        shown = f"{package.name}: pyproject.toml"
        kind: Kind = "editable" if as_editable else "wheel"
        tree = Source(path, kind, package.name, version, digest, subdirectory, shown=shown)
        return _Project(pin, tree, as_editable)
    assert not isinstance(source, GitSource)
    filename = path.name if isinstance(source, PathSource) else filename_of(source.url)
    if filename.endswith(".whl"):
        check_wheel_name(filename, package.name, package.version)
        return Wheel(pin, Artifact(filename, source.sha256), path)
    folder = subfolder(unpack_sdist(path, scratch / "sdist", filename=filename), subdirectory, filename)
    tree = Source(folder, "wheel", package.name, package.version, source.sha256, subdirectory, shown=filename)
    return _Project(pin, tree)


# --- records -------------------------------------------------------------------------------------


def _wanted(tools: Tools, pin: Pin, digest: str, *, editable: bool = False, version: str = "") -> WantedDist:
    package = pin.package
    return WantedDist(
        package.name,
        package.version or version,
        digest,
        direct_url=direct_url(tools.root, pin, editable=editable),
        editable=editable,
    )
