"""What must hold between the members of a workspace, and the Pythons that follow from it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from pypm_model import markers, specifiers, versions
from pypm_model.errors import Place, PypmError
from pypm_model.events import Warned
from pypm_model.later import later
from pypm_model.names import NormalizedName
from pypm_model.records import record
from pypm_model.requests import Origin
from pypm_model.sources import IndexSource, MemberSource
from pypm_workspace.configuration import IndexSetting, Member, Settings, SourceRule, Written
from pypm_workspace.edges import MemberEdge, asked_by, edges_between
from pypm_workspace.errors import ConflictingIndexes, DuplicateMember, InvalidWorkspace, NarrowerSibling
from pypm_workspace.faults import Fault, InvalidManifest, nearest

if TYPE_CHECKING:
    import graphlib
else:
    graphlib = later("graphlib")

DEFAULT_INDEX = "pypi"
"""The name of the default index, whatever its address: it may always be named."""

Placer = Callable[[Origin | Written], Place]


@record
class Checked:
    """What the checks found out about a sound workspace."""

    pythons: tuple[tuple[NormalizedName, str], ...]
    """The range each member is locked for, sorted by name; differs from what its manifest states
    where that states none, and in uv workspaces where a sibling is narrower."""
    warnings: tuple[Warned, ...]


def check(members: Sequence[Member], settings: Settings, *, lenient: bool, place: Placer) -> Checked:
    """The workspace's Pythons and warnings, or all that is wrong between its members as one error.

    *lenient* is for uv workspaces: they are locked for the Pythons that all members share, as uv has
    it; where they share none, a narrower sibling narrows its dependents, with a warning.
    Raises `DuplicateMember`, `NarrowerSibling`, `ConflictingIndexes`, `InvalidManifest` (a source that
    names no member or index), or `InvalidWorkspace` with several of them.
    """
    errors: list[PypmError] = _duplicates(members, place)
    if errors:
        raise errors[0] if len(errors) == 1 else InvalidWorkspace(tuple(errors))
    edges = edges_between(members)
    errors += _index_conflicts(members, settings, place)
    faults = _source_faults(members, settings, place)
    if faults:
        errors.append(InvalidManifest(faults))
    warnings = [*_cycles(members, edges, place), *_versions(members, edges, place)]
    pythons, narrow = _pythons(members, edges, lenient=lenient, place=place)
    for problem in narrow:
        if isinstance(problem, Warned):
            warnings.append(problem)
        else:
            errors.append(problem)
    if errors:
        raise errors[0] if len(errors) == 1 else InvalidWorkspace(tuple(errors))
    return Checked(tuple(sorted(pythons.items())), tuple(warnings))


def all_indexes(members: Iterable[Member], settings: Settings) -> tuple[IndexSetting, ...]:
    """The workspace's indexes in order; then those that single members define for their sources,
    explicit, each name once."""
    found = {index.name: index for index in settings.indexes}
    for member in members:
        if member.path != ".":
            for index in member.indexes:
                found.setdefault(index.name, IndexSetting(index.name, index.url, True, False, index.written))
    return tuple(found.values())


def _duplicates(members: Sequence[Member], place: Placer) -> list[PypmError]:
    seen: dict[NormalizedName, Member] = {}
    errors: list[PypmError] = []
    for member in members:
        first = seen.setdefault(member.name, member)
        if first is not member:
            places = [place(Written(m.file, "project.name")) for m in (first, member)]
            errors.append(DuplicateMember(member.name, places[0], places[1]))
    return errors


def _index_conflicts(members: Sequence[Member], settings: Settings, place: Placer) -> list[PypmError]:
    seen = {index.name: index for index in settings.indexes}
    errors: list[PypmError] = []
    for member in members:
        if member.path == ".":
            continue
        for index in member.indexes:
            first = seen.setdefault(index.name, index)
            if first.url.rstrip("/") != index.url.rstrip("/"):
                errors.append(ConflictingIndexes(index.name, place(first.written), place(index.written)))
    return errors


def _source_faults(members: Sequence[Member], settings: Settings, place: Placer) -> tuple[Fault, ...]:
    """Sources that name an index nobody defines, or a member that does not exist while it is asked for."""
    names = {member.name for member in members}
    indexes = {index.name for index in all_indexes(members, settings)} | {DEFAULT_INDEX}
    found: list[Fault] = []

    def look(rules: Iterable[SourceRule], asked: Callable[[], set[NormalizedName]]) -> None:
        for rule in rules:
            written = Written(rule.file, rule.table)
            match rule.source:
                case IndexSource(index) if index not in indexes and rule.name not in names:
                    message = f"source `{rule.name}` names the index `{index}`, which is not defined"
                    found.append(Fault(place(written), message, nearest(index, indexes)))
                case MemberSource() if rule.name not in names and rule.name in asked():
                    message = f"source `{rule.name}` says it is a member, but no member has that name"
                    found.append(Fault(place(written), message, nearest(rule.name, names)))

    for member in members:
        if member.path != ".":
            look(member.sources, partial(_asked_names, [member]))
    look(settings.sources, partial(_asked_names, members))
    for member in members:
        if member.path == ".":
            rest = [rule for rule in member.sources if rule not in settings.sources]
            look(rest, partial(_asked_names, [member]))
    return tuple(dict.fromkeys(found))


def _asked_names(members: Iterable[Member]) -> set[NormalizedName]:
    return {asked.requirement.name for member in members for _, _, asked in asked_by(member)}


def _cycles(members: Sequence[Member], edges: Sequence[MemberEdge], place: Placer) -> Iterable[Warned]:
    """A warning for each circle of runtime dependencies; one edge of a circle found is left out of
    the search for the next."""
    runtime: dict[tuple[NormalizedName, NormalizedName], MemberEdge] = {}
    below: dict[NormalizedName, list[NormalizedName]] = {member.name: [] for member in members}
    for edge in edges:
        if edge.kind == "runtime" and edge.parent != edge.child:
            runtime.setdefault((edge.parent, edge.child), edge)
            if edge.child not in below[edge.parent]:
                below[edge.parent].append(edge.child)
    while True:
        try:
            graphlib.TopologicalSorter(below).prepare()
            return
        except graphlib.CycleError as error:
            # graphlib names each node before the one that depends on it; a circle read backwards
            # from its smallest name is the same circle, and the same text on every run.
            ring: list[NormalizedName] = list(reversed(error.args[1][:-1]))
        start = ring.index(min(ring))
        ring = [*ring[start:], *ring[:start]]
        if (ring[0], ring[1 % len(ring)]) not in runtime:
            ring = [ring[0], *reversed(ring[1:])]
        steps = [runtime[pair] for pair in zip(ring, [*ring[1:], ring[0]], strict=True)]
        told = " -> ".join(f"{edge.parent} ({place(edge.origin)})" for edge in steps)
        yield Warned("member-cycle", f"members depend on each other in a circle: {told} -> {ring[0]}")
        below[ring[-1]].remove(ring[0])


def _versions(members: Sequence[Member], edges: Sequence[MemberEdge], place: Placer) -> Iterable[Warned]:
    """A warning for each requirement on a sibling that the sibling's version does not meet: here the
    sibling is used all the same, but what is published would not fit together."""
    known = {member.name: member.version for member in members}
    for edge in edges:
        version, wanted = known[edge.child], edge.requirement.specifier
        if version is not None and wanted and not specifiers.contains(wanted, version):
            yield Warned(
                "sibling-version",
                f"{place(edge.origin)}: `{edge.parent}` asks for `{edge.child}` {wanted}, "
                f"but the member is {version}; the member is used",
            )


def _pythons(
    members: Sequence[Member], edges: Sequence[MemberEdge], *, lenient: bool, place: Placer
) -> tuple[dict[NormalizedName, str], list[PypmError | Warned]]:
    stated = {member.name: member.requires_python for member in members}
    common = common_python(text for text in stated.values() if text)
    if lenient and all(fits(common, "", text) for text in stated.values() if text):
        # A uv workspace has one range: the one that all members share.
        return dict.fromkeys(stated, common), []
    pythons = {name: text or common for name, text in stated.items()}
    group_pythons: dict[tuple[str, str], str] = {
        (m.name, group): text for m in members for group, text in m.group_pythons
    }
    problems: list[PypmError | Warned] = []
    refused: set[tuple[NormalizedName, NormalizedName]] = set()
    changed = True
    while changed:
        changed = False
        for edge in edges:
            mine, theirs = pythons[edge.parent], pythons[edge.child]
            if edge.kind == "build" or mine == theirs or edge.parent == edge.child:
                continue
            if (edge.parent, edge.child) in refused:
                continue
            extra = group_pythons.get((edge.parent, edge.label), "") if edge.kind == "group" else ""
            if fits(specifiers.merge(mine, extra) if extra else mine, edge.requirement.marker, theirs):
                continue
            narrowed = common_python((mine, theirs))
            if lenient and markers.requires_python(specifiers.merge(mine, theirs)) != markers.FALSE:
                pythons[edge.parent] = narrowed
                changed = True
                problems.append(
                    Warned(
                        "narrower-sibling",
                        f"`{edge.parent}` supports Python {mine} but depends on `{edge.child}` "
                        f"({place(edge.origin)}), which supports {theirs}: it is locked for {narrowed} only",
                    )
                )
            else:
                refused.add((edge.parent, edge.child))
                by_name = {member.name: member for member in members}
                parent, child = by_name[edge.parent], by_name[edge.child]
                problems.append(
                    NarrowerSibling(
                        edge.parent,
                        edge.child,
                        mine,
                        theirs,
                        place(edge.origin),
                        place(Written(child.file, "project.requires-python")),
                        place(Written(parent.file, "project.requires-python")),
                    )
                )
    return pythons, problems


_fits: dict[tuple[str, str, str], bool] = {}


def fits(mine: str, marker: str, theirs: str) -> bool:
    """Whether every Python of *mine* in the region of *marker* is one of *theirs*."""
    key = (mine, marker, theirs)
    if key not in _fits:
        region = markers.both(markers.requires_python(mine), markers.parse(marker))
        _fits[key] = markers.implies(region, markers.requires_python(theirs))
    return _fits[key]


def common_python(texts: Iterable[str]) -> str:
    """The range all of *texts* share, with the fewest clauses; if they share none, everything from
    the lowest bound on (what is asked for together then has to be split)."""
    distinct = sorted(set(texts))
    if len(distinct) < 2:
        return distinct[0] if distinct else ""
    lower: dict[str, str] = {}
    upper: dict[str, str] = {}
    others: set[str] = set()
    for text in distinct:
        for clause in specifiers.parse(text):
            key = versions.sort_key(clause.text) if clause.operator in (">=", "<") else ""
            if clause.operator == ">=":
                lower[key] = str(clause)
            elif clause.operator == "<":
                upper[key] = str(clause)
            else:
                others.add(str(clause))
    bounds = [lower[max(lower)]] if lower else []
    bounds += [upper[min(upper)]] if upper else []
    merged = specifiers.canonical(",".join([*bounds, *sorted(others)]))
    if markers.requires_python(merged) == markers.FALSE:
        return lower[min(lower)] if lower else ""
    return merged
