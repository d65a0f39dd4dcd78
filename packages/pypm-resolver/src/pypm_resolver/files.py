"""Where the files of a version can be used: its Requires-Python and what its wheels' tags cover.

Two questions, kept apart because they are answered with different rigour:

- *strict*: where Requires-Python lets the version be installed. Only lower bounds count: an upper bound is
  a guess about a future the author could not see, and honouring it makes resolvers fall back to
  releases from before the author started guessing.
- *files*: where there is a file, built (a wheel whose tags fit) or to be built (an sdist). A version
  without an sdist is never usable on all platforms there could be, so this is only asked of
  the environments that are expected to work (`Expected`).

Where nothing can be built (Pyodide, WASI: `pypm_model.targets`), an sdist is no file. That is only looked at
by locks that are for such a system by name: all others would be slower for it, and say the same.
"""

from __future__ import annotations

import re
from functools import lru_cache

from pypm_model.facts import FileClass
from pypm_model.markers import (
    FALSE,
    TRUE,
    WHEELS_ONLY,
    Diagram,
    all_of,
    any_of,
    both,
    coverage,
    either,
    implies,
    minus,
    negate,
    parse,
    python_bounds,
    requires_python,
)
from pypm_model.patterns import pattern
from pypm_model.records import NamedTuple, record
from pypm_model.specifiers import Clause, InvalidSpecifier
from pypm_model.specifiers import parse as parse_specifier
from pypm_model.targets import points, wheels_only
from pypm_model.versions import key_of

SETTLED_PYTHON = (3, 13)
"""The newest Python for which a maintained project can be expected to have wheels. Above it, a
version without wheels is kept: an older one with an sdist would be no better."""

PLATFORMS = tuple(
    f"sys_platform == '{system}' and platform_machine == '{machine}'"
    for system, machine in (
        ("linux", "x86_64"),
        ("linux", "aarch64"),
        ("darwin", "arm64"),
        ("win32", "AMD64"),
    )
)
"""Platforms people install on: one of them without a file is a reason to look at other versions."""

_atom = pattern(r"(py|cp)(\d)(\d*)(t?)(\+?)")


class Cover(NamedTuple):
    """Where a version can be used. A named tuple, because covers are looked up by the ten thousand."""

    strict: Diagram
    files: Diagram
    """Within *strict*, there is a file."""
    pythons: Diagram
    """Within *strict*, some CPython wheel or an sdist fits the Python, on whatever platform."""


NOWHERE = Cover(FALSE, FALSE, FALSE)


@lru_cache(maxsize=4096)
def lower_bound(specifier: str) -> str:
    """The highest lower bound in a Requires-Python text, as a specifier; empty if it has none.

    A text that is no specifier has none: it is the index's word against nobody's.
    """
    try:
        clauses = parse_specifier(specifier)
    except InvalidSpecifier:
        return ""
    best: tuple[str, bool] | None = None
    text = ""
    for clause in clauses:
        if clause.version is None or clause.operator not in (">=", ">", "~=", "=="):
            continue
        rank = (key_of(clause.version), clause.operator == ">")
        if best is None or rank > best:
            best = rank
            text = _from(clause)
    return text


def _from(clause: Clause) -> str:
    operator = ">" if clause.operator == ">" else ">="
    return operator + clause.text.removesuffix(".*")


@lru_cache(maxsize=4096)
def strict_region(specifier: str) -> Diagram:
    """Where the lower bound of a Requires-Python text holds."""
    return requires_python(lower_bound(specifier))


@lru_cache(maxsize=65536)
def class_cover(files: FileClass, wasm: bool = False) -> Cover:
    """Where files of one kind can be used; *wasm* says whether it is looked at where nothing is built."""
    strict = strict_region(files.requires_python)
    if files.tags is None:
        return Cover(strict, minus(strict, WHEELS_ONLY) if wasm else strict, strict)
    pythons = any_of(_pythons(python) for python in sorted({tag.split("|")[0] for tag in files.tags}))
    return Cover(strict, both(strict, coverage(files.tags)), both(strict, pythons))


@lru_cache(maxsize=1024)
def _pythons(tag: str) -> Diagram:
    found = _atom.fullmatch(tag)
    if found is None or found[4]:
        return FALSE
    _, major, minor, _, onwards = found.groups()
    if not minor:
        return requires_python(f">={major}")
    if onwards:
        return requires_python(f">={major}.{minor}")
    return requires_python(f"=={major}.{minor}.*")


def covers(
    classes: tuple[tuple[FileClass, int], ...],
    every: int,
    *,
    wheels: bool = True,
    sdists: bool = True,
    wasm: bool = False,
) -> tuple[tuple[Cover, int], ...]:
    """The versions in the mask *every*, grouped by where they can be used.

    *wheels* and *sdists* say which kinds may be used at all, *wasm* whether it is told where nothing is
    built. Groups are disjoint, in no special order.
    """
    # 1. Most versions have an sdist or a pure wheel: it serves all there is under its Requires-Python, and
    #    what the other files with the same text cover need not be known.
    serves: dict[str, int] = {}
    others: list[tuple[FileClass, int]] = []
    for files, mask in classes:
        python, tags = files
        if tags is None:
            if sdists and wasm:
                others.append((files, mask))
            elif sdists:
                serves[python] = serves.get(python, 0) | mask
        elif wheels:
            if _PURE in tags and implies(strict_region(python), _PYTHON_3):
                serves[python] = serves.get(python, 0) | mask
            else:
                others.append((files, mask))
    groups: dict[Cover, int] = {NOWHERE: every}
    for python, mask in serves.items():
        strict = strict_region(python)
        groups = _joined(groups, mask, Cover(strict, strict, strict))
    # 2. What is left, the wheels of a set of versions taken together: hundreds of classes come down to few.
    left: dict[tuple[str, int, bool], set[str]] = {}
    for (python, tags), mask in others:
        todo = mask & ~serves.get(python, 0)
        if todo:
            left.setdefault((python, todo, tags is None), set()).update(tags or ())
    for (python, todo, is_sdist), atoms in left.items():
        files = FileClass(python, None if is_sdist else tuple(sorted(atoms)))
        # Covers only grow, so a version whose files serve all of a Requires-Python is done with it.
        here = class_cover(files, wasm).files if wasm else strict_region(python)
        for cover, versions in groups.items():
            if versions & todo and implies(here, cover.files):
                todo &= ~versions
        if todo:
            groups = _joined(groups, todo, class_cover(files, wasm))
    return tuple(groups.items())


_PURE = "py3|*|*"
_PYTHON_3 = requires_python(">=3")


def _joined(groups: dict[Cover, int], mask: int, cover: Cover) -> dict[Cover, int]:
    """*groups* with *cover* added to that of the versions in *mask*."""
    split: dict[Cover, int] = {}
    for known, versions in groups.items():
        inside = versions & mask
        if inside:
            joined = cover if known is NOWHERE else _join(known, cover)
            split[joined] = split.get(joined, 0) | inside
        if versions != inside:
            split[known] = split.get(known, 0) | versions & ~inside
    return split


def _join(first: Cover, second: Cover) -> Cover:
    if first == second:
        return first
    return Cover(
        either(first.strict, second.strict),
        either(first.files, second.files),
        either(first.pythons, second.pythons),
    )


@record
class Needed:
    """Environments in which no version may be without a file."""

    where: Diagram
    counts: Diagram
    """The environments that are looked at."""
    at: tuple[Diagram, ...]
    """How to cut a region of which only a part is concerned, the best way first."""


class Place(NamedTuple):
    """A platform on which another version is better than none."""

    where: Diagram
    """The environments that are looked at."""
    marker: Diagram


@record
class Expected:
    """The environments in which a version is expected to have a file."""

    settled: Diagram
    """Pythons that count."""
    platforms: tuple[Place, ...]
    """Better another version than none on one of these."""
    required: tuple[Needed, ...]
    """No version without a file somewhere in each of these."""
    wasm: bool
    """Whether the lock is for a system where nothing is built."""


def expected(where: Diagram, environments: tuple[str, ...], required: tuple[str, ...]) -> Expected:
    """What to expect of files for a lock that covers *where*, which *environments* name; *required* are the
    user's required environments."""
    lowest, _ = python_bounds(where)
    found = re.match(r"(\d+)\.(\d+)", lowest or "")
    newest = max(SETTLED_PYTHON, (int(found[1]), int(found[2])) if found else SETTLED_PYTHON)
    settled = parse(
        f"python_full_version < '{newest[0]}.{newest[1] + 1}'"
        " and platform_python_implementation == 'CPython' and implementation_name == 'cpython'"
    )
    regions = [parse(marker) for marker in required]
    wasm = [
        (part, system)
        for part, system in wheels_only([*map(parse, environments), *regions])
        if both(part, where) != FALSE
    ]
    # Which Python has a wheel is known of each there: none is too new to be settled.
    places = [Place(both(marker, settled), marker) for marker in map(parse, PLATFORMS)]
    places += [Place(all_of((point, part, _CPYTHON)), point) for part, _ in wasm for point in points(part)]
    needed = [_needed(region, where, settled) for region in regions if not implies(region, WHEELS_ONLY)]
    needed += [Needed(part, _CPYTHON, (negate(system), negate(part))) for part, system in wasm]
    return Expected(settled, tuple(places), tuple(needed), bool(wasm))


_CPYTHON = parse("platform_python_implementation == 'CPython'")


def _needed(region: Diagram, where: Diagram, settled: Diagram) -> Needed:
    """What is needed in *region*: on Pythons that count; on all if it is of other ones only."""
    counts = settled if both(both(region, where), settled) != FALSE else TRUE
    return Needed(region, counts, (negate(region),))
