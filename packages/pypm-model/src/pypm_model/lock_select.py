"""What one environment needs of a lock: a walk from the entry points, and one file for each package."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import ClassVar

from pypm_model import markers, specifiers, wheel_tags
from pypm_model.activation import extra_flag, group_flag, member_flag
from pypm_model.artifacts import Artifact
from pypm_model.environments import Environment
from pypm_model.errors import Place, PypmError
from pypm_model.lock_errors import LockUnsound
from pypm_model.locks import Edge, Lock, LockedPackage, Manifest, Pin, Root
from pypm_model.names import ROOT, NormalizedName
from pypm_model.patterns import pattern
from pypm_model.records import record
from pypm_model.requests import BuildPolicy
from pypm_model.sources import IndexSource, MemberSource, PathSource, UrlSource
from pypm_model.wheel_tags import InvalidWheelName

ANY_BUILD = BuildPolicy(default=True)
"""Every sdist may be built."""


class NotLocked(PypmError):
    """The lock has no such entry point: a member, or a member's extra or group, was added since."""

    code: ClassVar[str] = "not-locked"
    root: Root
    extra: str = ""
    group: str = ""

    def __str__(self) -> str:
        if self.extra:
            return f"the lock has no extra {self.extra!r} of {self.root.member}"
        if self.group:
            return f"the lock has no group {self.group!r} of {self.root.member}"
        return f"the lock has no member {self.root.member}"

    @property
    def hint(self) -> str:
        return "run 'pypm lock'"


class ChoicesExclude(PypmError):
    """Extras or groups were chosen together that are locked apart: declared to conflict, or of a workspace
    whose members do not share an environment."""

    code: ClassVar[str] = "choices-exclude"
    exit: ClassVar[int] = 2
    choices: tuple[str, ...]
    """Of what was chosen, what the lock is split by: ``acme[http2]``, ``acme:dev``."""
    package: NormalizedName
    versions: tuple[str, ...]

    def __str__(self) -> str:
        return (
            f"{' and '.join(self.choices)} cannot be installed with the rest that is chosen: "
            f"{self.package} would be there in {' and '.join(self.versions)}"
        )

    @property
    def hint(self) -> str:
        return "choose one of them: they are locked apart"


class PythonNotCovered(PypmError):
    """The interpreter is none that *package* (empty: the lock as a whole) allows."""

    code: ClassVar[str] = "python-not-covered"
    package: str
    requires_python: str
    python: str

    def __str__(self) -> str:
        wants = f"{self.package or 'the lock'} requires Python {self.requires_python}"
        return f"{wants}, this is Python {self.python}"

    @property
    def hint(self) -> str:
        return "choose another interpreter with --python"


class EnvironmentNotCovered(PypmError):
    """The lock was made for *environments* (markers) only, and this is none of them."""

    code: ClassVar[str] = "environment-not-covered"
    environments: tuple[str, ...]

    def __str__(self) -> str:
        return f"the lock does not cover this environment, only: {' | '.join(self.environments)}"

    @property
    def hint(self) -> str:
        return (
            "add it to 'environments' in pypm-workspace.toml and run 'pypm lock'; for another target than "
            "this machine see 'pypm export --target'"
        )


_TOLD = 20
"""Packages that are named; the others are counted."""


@record
class Misfit:
    """A package none of whose files can be used, and why not."""

    name: NormalizedName
    version: str
    reason: str
    needs_leave: bool = False
    """It has an sdist, and the settings merely do not say that it may be built."""

    def __str__(self) -> str:
        return f"{self.name} {self.version} {self.reason}"


class NoFileFits(PypmError):
    """Packages none of whose files the environment can use; at least one."""

    code: ClassVar[str] = "no-file-fits"
    packages: tuple[Misfit, ...]
    python: str
    platform: str
    """The platform of the environment's best wheel tag."""

    @property
    def hint(self) -> str | None:
        names = ", ".join(f'"{each.name}"' for each in self.packages if each.needs_leave)
        return f"allow it: [resolution] build = {{ allow = [{names}] }}" if names else None

    @property
    def story(self) -> tuple[tuple[str, tuple[Place, ...]], ...]:
        return tuple((f"{each}", ()) for each in self.packages[1:_TOLD])

    def __str__(self) -> str:
        more = f" (and {len(self.packages) - 1} more packages)" if len(self.packages) > 1 else ""
        return f"on Python {self.python}, {self.platform}: {self.packages[0]}{more}"


def select(
    lock: Lock, environment: Environment, roots: Sequence[Root], *, build: BuildPolicy = ANY_BUILD
) -> tuple[Pin, ...]:
    """What *environment* needs so that *roots* can be used in it, sorted by name.

    An edge is followed where its marker holds in the environment with the flags of all *roots* active
    (`pypm_model.activation`). Members that are reached are among the pins, the virtual root never is.
    A wheel is better the earlier its best tag is in ``environment.tags``, then by its build number; an
    sdist is taken where no wheel fits and *build* allows it.

    Raises `NotLocked`, `EnvironmentNotCovered`, `PythonNotCovered`, `ChoicesExclude`, `LockUnsound`, and
    `NoFileFits` with all packages that have no file.
    """
    _check_covered(lock, environment)
    flags = _flags(roots)
    reached = _walk(lock, roots, _conditions(environment, flags))
    _check_one_version(
        reached, [flag for flag in sorted(flags) if any(f"'{flag}'" in s for s in lock.splits)]
    )
    chooser = _Chooser(environment, build)
    pins, misfits = [], []
    for package, extras in sorted(reached, key=lambda found: found[0].name):
        _check_python(package, environment)
        file = chooser.choose(package)
        if isinstance(file, Misfit):
            misfits.append(file)
        elif package.name != ROOT:
            pins.append(Pin(package, extras, file))
    if misfits:
        platform = environment.tags[0].rpartition("-")[2] if environment.tags else "unknown platform"
        raise NoFileFits(tuple(misfits), environment.python, platform)
    return tuple(pins)


def _flags(roots: Iterable[Root]) -> set[str]:
    """What is active (`pypm_model.activation`) when *roots* are installed together."""
    flags: set[str] = set()
    for root in roots:
        if root.project:
            flags.add(member_flag(root.member))
            flags.update(extra_flag(root.member, extra) for extra in root.extras)
        flags.update(group_flag(root.member, group) for group in root.groups)
    return flags


def _conditions(environment: Environment, flags: set[str]) -> Callable[[str], bool]:
    """Whether a marker holds; each different text is evaluated once."""
    known: dict[str, bool] = {"": True}

    def holds(marker: str) -> bool:
        value = known.get(marker)
        if value is None:
            value = markers.evaluate(markers.parse(marker), environment.markers, flags)
            known[marker] = value
        return value

    return holds


Reached = list[tuple[LockedPackage, tuple[NormalizedName, ...]]]
"""Packages with the extras that are asked of them, in the lock's order."""


def _walk(lock: Lock, roots: Sequence[Root], holds: Callable[[str], bool]) -> Reached:
    """Everything that *roots* lead to, breadth first, each package and extra once."""
    by_name: dict[str, list[int]] = {}
    for position, package in enumerate(lock.packages):
        by_name.setdefault(package.name, []).append(position)
    found: dict[int, set[NormalizedName]] = {}
    queue: deque[tuple[Edge, ...]] = deque()

    def enter(position: int, extras: Iterable[NormalizedName]) -> None:
        package = lock.packages[position]
        if position not in found:
            found[position] = set()
            queue.append(package.dependencies)
        for extra in extras:
            if extra not in found[position]:
                found[position].add(extra)
                # An extra that the package does not have was warned of when the lock was made.
                queue.append(dict(package.extras).get(extra, ()))

    for root in roots:
        _enter_root(lock, by_name, root, enter, queue)
    while queue:
        for edge in queue.popleft():
            if holds(edge.marker):
                enter(_target(lock, by_name, edge), edge.extras)
    return [(lock.packages[position], tuple(sorted(found[position]))) for position in sorted(found)]


def _enter_root(
    lock: Lock,
    by_name: Mapping[str, list[int]],
    root: Root,
    enter: Callable[[int, Iterable[NormalizedName]], None],
    queue: deque[tuple[Edge, ...]],
) -> None:
    positions = [
        position
        for position in by_name.get(root.member, ())
        if isinstance(lock.packages[position].source, MemberSource)
    ]
    if not positions:
        raise NotLocked(root)
    member = lock.packages[positions[0]]
    manifest = member.manifest or Manifest()
    groups = {**{name: () for name, _ in manifest.groups}, **dict(member.groups)}
    extras = {name for name, _ in (*manifest.extras, *member.extras)}
    for extra in root.extras:
        if extra not in extras:
            raise NotLocked(root, extra=extra)
    for group in root.groups:
        if group not in groups:
            raise NotLocked(root, group=group)
        queue.append(groups[group])
    if root.project:
        enter(positions[0], root.extras)


def _target(lock: Lock, by_name: Mapping[str, list[int]], edge: Edge) -> int:
    """The one package that *edge* leads to."""
    targets = [
        position
        for position in by_name.get(edge.name, ())
        if (not edge.version or edge.version == lock.packages[position].version)
        and (edge.source is None or edge.source == lock.packages[position].source)
    ]
    if len(targets) == 1:
        return targets[0]
    wanted = f"{edge.name} {edge.version}".rstrip()
    raise LockUnsound(
        edge.name, f"is locked {len(targets)} times as {wanted}" if targets else f"is missing ({wanted})"
    )


def _check_one_version(reached: Reached, splitting: Sequence[str]) -> None:
    """Raises if a package is there twice: because of the choices *splitting* the lock, or for no reason."""
    versions: dict[NormalizedName, list[str]] = {}
    for package, _ in reached:
        versions.setdefault(package.name, []).append(package.version or "(dynamic)")
    for name, found in versions.items():
        if len(found) > 1 and splitting:
            raise ChoicesExclude(tuple(splitting), name, tuple(found))
        if len(found) > 1:
            raise LockUnsound(name, f"has several versions in one environment: {', '.join(found)}")


_release = pattern(r"[0-9]+(?:\.[0-9]+)*")


def python_release(environment: Environment) -> str:
    """The interpreter's release: a pre-release counts as what it will be, as it does for pip and uv."""
    match = _release.match(environment.python)
    return match[0] if match else environment.python


def _check_covered(lock: Lock, environment: Environment) -> None:
    if lock.requires_python and not specifiers.contains(lock.requires_python, python_release(environment)):
        raise PythonNotCovered("", lock.requires_python, environment.python)
    if lock.environments and not any(
        markers.evaluate(markers.parse(marker), environment.markers) for marker in lock.environments
    ):
        raise EnvironmentNotCovered(lock.environments)


def _check_python(package: LockedPackage, environment: Environment) -> None:
    """Members mean what they say; of others only the lower bounds count, as in resolving: an upper bound is
    a guess about Pythons that did not exist, and pypm would have to prefer releases older than the guess."""
    requires = package.requires_python
    if requires and not isinstance(package.source, MemberSource):
        requires = specifiers.without_upper_bounds(requires)
    if requires and not specifiers.contains(requires, python_release(environment)):
        raise PythonNotCovered(package.name, package.requires_python, environment.python)


class _Chooser:
    """Chooses files for one environment; the rank of each compressed tag set is found once."""

    def __init__(self, environment: Environment, build: BuildPolicy) -> None:
        self._ranks = {tag: rank for rank, tag in reversed(list(enumerate(environment.tags)))}
        self._known: dict[str, int | None] = {}
        self._build = build
        self._is_built = not markers.evaluate(markers.WHEELS_ONLY, environment.markers)

    def choose(self, package: LockedPackage) -> Artifact | Misfit | None:
        """The file to install; None for members and direct sources, which have none to choose."""
        match package.source:
            case IndexSource():
                return self._choose(package)
            case UrlSource(url=address) | PathSource(path=address):
                filename = re.split(r"[?#]", address)[0].rpartition("/")[2]
                if filename.endswith(".whl") and self._key(Artifact(filename, "")) is None:
                    return Misfit(package.name, package.version, f"is {filename}, which does not fit")
        return None

    def _choose(self, package: LockedPackage) -> Artifact | Misfit:
        name, policy = package.name, self._build
        sdists = [file for file in package.files if not file.is_wheel and self._is_built]
        if policy.takes_wheels(name):
            keys = [
                (key, file)
                for file in package.files
                if file.is_wheel and (key := self._key(file)) is not None
            ]
            if keys:
                return min(keys, key=lambda pair: pair[0])[1]
            has_wheels = any(file.is_wheel for file in package.files)
            reason = "has no wheel for it" if has_wheels else "has no wheel"
        else:
            reason = "may not be installed from a wheel"
        if not self._is_built:
            return Misfit(name, package.version, f"{reason}, and nothing is built there")
        if not sdists:
            return Misfit(
                name, package.version, f"{reason} and no sdist" if package.files else "has no files at all"
            )
        if not policy.may_build(name):
            needs_leave = policy.takes_sdists(name)
            return Misfit(name, package.version, f"{reason}, and its sdist may not be built", needs_leave)
        return min(sdists, key=_sdist_order)

    def _key(self, file: Artifact) -> tuple[int, tuple[int, ...], str] | None:
        """Sorts wheels, best first; None if the environment cannot use this one."""
        compressed = file.filename[:-4].rsplit("-", 3)[1:]
        tags = "-".join(compressed)
        if tags not in self._known:
            found = (
                [self._ranks[t] for t in wheel_tags.expand(*compressed) if t in self._ranks]
                if compressed
                else []
            )
            self._known[tags] = min(found, default=None)
        rank = self._known[tags]
        if rank is None:
            return None
        try:
            number = wheel_tags.parse_wheel_filename(file.filename).build
        except InvalidWheelName:
            return None
        # Higher build numbers first; of equal numbers the greater text.
        return (rank, (-number[0],) if number else (1,), _inverted(number[1]) if number else "")


def _inverted(text: str) -> str:
    """A text that sorts the other way round among texts of ASCII."""
    return "".join([chr(0x10FFFF - ord(c)) for c in text]) + "\U0010ffff"


def _sdist_order(file: Artifact) -> tuple[int, str]:
    """``.tar.gz`` before anything else (PEP 625)."""
    return (0 if file.filename.endswith(".tar.gz") else 1, file.filename)
