"""Checks a resolution against the request and the facts, without anything of the solver.

The packages are read as an installer reads them: a walk from every member, extra and group along the
edges whose markers hold. Done with whole sets of environments at once, so that nothing escapes because no
sample hit it; a few sampled environments are walked besides, on the marker texts as written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property, lru_cache
from itertools import chain, combinations

from pypm_model.activation import extra_flag, group_flag, member_flag
from pypm_model.dataflow import Edge as Reaching
from pypm_model.dataflow import fixpoint
from pypm_model.facts import Absent, Direct, Fact, FileClass, Listing, Metadata, NoMetadata
from pypm_model.locks import Edge, LockedPackage
from pypm_model.markers import (
    FALSE,
    TRUE,
    WHEELS_ONLY,
    Diagram,
    InvalidMarker,
    all_of,
    any_of,
    both,
    coverage,
    describe,
    disjoint,
    either,
    evaluate,
    minus,
    parse,
    requires_python,
    sample,
    without_extras,
)
from pypm_model.names import ROOT, NormalizedName
from pypm_model.records import record, replace
from pypm_model.requests import Ask, Conflict, MemberRequest, Request
from pypm_model.requirements import Requirement
from pypm_model.resolutions import Resolution
from pypm_model.sources import GitSource, IndexSource, MemberSource, PathSource, Source, UrlSource
from pypm_model.specifiers import InvalidSpecifier, contains, lenient
from pypm_model.targets import wheels_only
from pypm_resolver.direct_urls import same_place
from pypm_resolver.files import lower_bound
from pypm_resolver.problem import Problem


@record
class Violation:
    """One way in which a resolution is wrong; *text* is one sentence that names package and region."""

    kind: str
    """``missing``, ``specifier``, ``ambiguous``, ``requires-python``, ``files``, ``source``, ``facts``."""
    name: NormalizedName
    text: str


Node = tuple[int, str, str]
"""(position in the packages, extra or "", group or ""); an extra may be several with commas between them."""


def verify(request: Request, resolution: Resolution, facts: Iterable[Fact]) -> tuple[Violation, ...]:
    """What is wrong with *resolution*; empty when it is sound.

    Sound means: wherever a member's or package's requirement holds, exactly one entry of the name is selected
    that satisfies it, constraints and overrides counted in; entries of one name never meet; what is selected
    has a usable file somewhere where it is needed and a Requires-Python that allows it; extras asked
    for are there if the version has them.
    """
    return tuple(_Check(request, resolution, facts).run())


class _Check:
    def __init__(self, request: Request, resolution: Resolution, facts: Iterable[Fact]) -> None:
        self.request = request
        self.packages = resolution.packages
        self.members = {member.name: member for member in request.members}
        self.metadata: dict[tuple[NormalizedName, str, object], Metadata | Direct] = {}
        self.listings: dict[tuple[NormalizedName, str], Listing] = {}
        for fact in facts:
            match fact:
                case Metadata():
                    key = (fact.key.name, fact.key.version, IndexSource(fact.key.index))
                    self.metadata.setdefault(key, fact)
                case Direct():
                    self.metadata.setdefault((fact.key.name, fact.version, fact.source), fact)
                case Listing():
                    self.listings.setdefault((fact.name, fact.index), fact)
                case Absent() | NoMetadata():
                    pass
        self.by_name: dict[NormalizedName, list[int]] = {}
        for position, package in enumerate(self.packages):
            self.by_name.setdefault(package.name, []).append(position)
        self.violations: list[Violation] = []
        self.reach: dict[Node, Diagram] = {}
        self._sorted_edges: dict[Node, dict[NormalizedName, list[Edge]]] = {}
        for conflict in resolution.conflicts:
            self._check_conflict(conflict)
        self.problem = Problem(replace(request, conflicts=(*request.conflicts, *resolution.conflicts)))
        self.where = self.problem.where

    def run(self) -> list[Violation]:
        try:
            self._walk()
        except InvalidMarker as error:
            self._say("facts", ROOT, f"a marker of the lock can not be read: {error}")
            return self.violations
        for position, package in enumerate(self.packages):
            if package.name in self.members:
                self._check_member(position, self.members[package.name])
            else:
                self._check_package(position, package)
        self._check_ambiguity()
        self._check_samples(resolution_regions(self.where, self.reach.values()))
        return self.violations

    def _say(self, kind: str, name: NormalizedName, text: str) -> None:
        self.violations.append(Violation(kind, name, text))

    def _check_conflict(self, conflict: Conflict) -> None:
        """Only extras and groups of one member may be kept apart that nobody declared to conflict."""
        members = {member for member, _, _ in conflict.items}
        apart = len(set(conflict.items)) == 2 and all(extra or group for _, extra, group in conflict.items)
        if self.request.shared_environment or len(members) != 1 or not apart:
            self._say("conflict", min(members), f"{conflict.items} are kept apart, and need not be")

    # The walk

    def _roots(self) -> Iterable[tuple[Node, Diagram]]:
        """Every member, extra and group, and where it is entered."""
        for (name, extra, group), item in self.problem.items.items():
            for position in self.by_name.get(name, ()):
                if isinstance(self.packages[position].source, MemberSource):
                    yield (position, extra, group), all_of((self.where, item.where, item.flag))

    def _walk(self) -> None:
        def edges(node: Node) -> list[Reaching[Node]]:
            found: list[Reaching[Node]] = [((node[0], "", ""), TRUE, ())] if node[1] else []
            for edge in self._edges(node):
                marker = parse(edge.marker) if edge.marker else TRUE
                for position in self._targets(edge):
                    found += [((position, extra, ""), marker, ()) for extra in ("", *edge.extras)]
            return found

        self.reach = fixpoint(self._roots(), edges)

    def _edges(self, node: Node) -> tuple[Edge, ...]:
        package = self.packages[node[0]]
        if node[1]:
            names = node[1].split(",")
            return tuple(edge for extra, edges in package.extras if extra in names for edge in edges)
        if node[2]:
            return next((edges for group, edges in package.groups if group == node[2]), ())
        return package.dependencies

    def _edges_to(self, node: Node, name: NormalizedName) -> Sequence[Edge]:
        """Those edges of *node* that lead to *name*."""
        by_name = self._sorted_edges.get(node)
        if by_name is None:
            by_name = self._sorted_edges[node] = {}
            for edge in self._edges(node):
                by_name.setdefault(edge.name, []).append(edge)
        return by_name.get(name, ())

    def _targets(self, edge: Edge) -> list[int]:
        return [
            position
            for position in self.by_name.get(edge.name, ())
            if (not edge.version or self.packages[position].version == edge.version)
            and (edge.source is None or self.packages[position].source == edge.source)
        ]

    # The checks

    def _check_member(self, position: int, member: MemberRequest) -> None:
        parts: list[tuple[str, str, tuple[Ask, ...]]] = [("", "", member.dependencies)]
        parts += [(extra, "", asks) for extra, asks in member.extras]
        parts += [("", group, asks) for group, asks in member.groups]
        for extra, group, asks in parts:
            node = (position, extra, group)
            for ask in asks:

                def who(ask: Ask = ask, extra: str = extra, group: str = group) -> str:
                    return f"{_flag(member.name, extra, group)} ({ask.origin})"

                self._check_requirement(node, ask.requirement, parse(ask.requirement.marker), who, ask)

    def _check_package(self, position: int, package: LockedPackage) -> None:
        where = self.reach.get((position, "", ""), FALSE)
        label = f"{package.name} {package.version}"
        if where == FALSE:
            self._say("missing", package.name, f"{label} is locked, but nothing needs it")
            return
        fact = self.metadata.get((package.name, package.version, package.source))
        if fact is None:
            self._say("facts", package.name, f"{label} is locked, but its metadata was never seen")
            return
        strict = requires_python(lower_bound(fact.requires_python))
        if self._real(minus(where, strict)) != FALSE:
            text = f"{label} needs Python {fact.requires_python}, and is locked {describe(where)}"
            self._say("requires-python", package.name, text)
        self._check_files(package, where, label)
        self._check_constraints(package, where, label)
        self._check_provided(position, package, where, label)
        for requirement in fact.requires:
            marker = requirement.marker
            base = _under(marker, frozenset())
            self._check_requirement((position, "", ""), requirement, base, lambda: label, None)
            if "extra" not in marker:
                continue
            names = [extra for extra, _ in package.extras if f"'{extra}'" in marker]
            # No more than are joined by an `and` can bring anything together.
            most = min(len(names), marker.count(" and ") + 1)
            for some in chain.from_iterable(combinations(names, size) for size in range(1, most + 1)):
                less = any_of(_under(marker, frozenset(some) - {extra}) for extra in some)
                inside = minus(_under(marker, frozenset(some)), less)

                def who(some: tuple[NormalizedName, ...] = some) -> str:
                    return f"{package.name}[{','.join(some)}] {package.version}"

                self._check_requirement(self._together(position, some), requirement, inside, who, None)

    def _together(self, position: int, extras: tuple[str, ...]) -> Node:
        """The node of several extras of one package: reached where all of them are."""
        node = (position, ",".join(extras), "")
        if len(extras) > 1:
            self.reach[node] = all_of(self.reach.get((position, extra, ""), FALSE) for extra in extras)
        return node

    def _check_requirement(
        self, node: Node, requirement: Requirement, marker: Diagram, who: Callable[[], str], ask: Ask | None
    ) -> None:
        """*who* says whose requirement it is, if there is something to say."""
        name = requirement.name
        reached = self.reach.get(node, FALSE)
        if marker == FALSE or reached == FALSE or name in self.request.excludes:
            return
        wanted = [(requirement, both(reached, marker))]
        replaced = [o for o in self.request.overrides if o.requirement.name == name]
        if replaced and name not in self.members:
            wanted = [(o.requirement, both(reached, parse(o.requirement.marker))) for o in replaced]
        for one, where in wanted:
            self._check_served(node, one, where, who, ask)

    def _check_served(
        self, node: Node, requirement: Requirement, where: Diagram, who: Callable[[], str], ask: Ask | None
    ) -> None:
        name = requirement.name
        if name in self.members:
            where = both(where, requires_python(self.members[name].requires_python))
        # Several edges may bring the extras: each of them has to come everywhere.
        left: dict[NormalizedName | None, Diagram] = dict.fromkeys((None, *requirement.extras), where)
        for edge in self._edges_to(node, name):
            inside = both(where, parse(edge.marker))
            if inside == FALSE:
                continue
            targets = self._targets(edge)
            if len(targets) != 1:
                text = f"{who()} needs {name}: {len(targets)} entries answer to its edge"
                self._say("ambiguous", name, text)
                return
            brought = self._brought(edge, requirement, targets[0])
            left.update((extra, minus(left[extra], inside)) for extra in brought)
            self._check_version(self.packages[targets[0]], requirement, who, ask)
        bare = self._real(any_of(left.values()))
        if bare != FALSE:
            text = (
                f"{who()} needs {_words(requirement)}, and the lock selects nothing for it {describe(bare)}"
            )
            self._say("missing", name, text)

    def _brought(
        self, edge: Edge, requirement: Requirement, position: int
    ) -> tuple[NormalizedName | None, ...]:
        """What of *requirement* the edge serves: the package itself (None), and extras it asks for or
        that the package does not have."""
        if not requirement.extras:
            return (None,)
        target = self.packages[position]
        if target.name in self.members:
            known = {extra for extra, _ in self.members[target.name].extras}
        else:
            fact = self.metadata.get((target.name, target.version, target.source))
            known = set(fact.extras) if fact is not None else set()
        return (None, *(e for e in requirement.extras if e in edge.extras or e not in known))

    def _check_version(
        self, package: LockedPackage, requirement: Requirement, who: Callable[[], str], ask: Ask | None
    ) -> None:
        if ask is not None and package.name in self.members:
            return
        if package.version and not _allows(requirement.specifier, package.version):
            text = f"{who()} needs {_words(requirement)}, and the lock selects {package.version}"
            self._say("specifier", package.name, text)
        source = ask.source if ask is not None else None
        if isinstance(source, IndexSource) and source != package.source and package.name not in self.members:
            text = f"{who()} needs {package.name} from {source.index}, and the lock has it from elsewhere"
            self._say("source", package.name, text)

    def _check_constraints(self, package: LockedPackage, where: Diagram, label: str) -> None:
        for ask in self.request.constraints:
            requirement = ask.requirement
            if requirement.name != package.name or disjoint(where, parse(requirement.marker)):
                continue
            if not _allows(requirement.specifier, package.version):
                self._say(
                    "specifier", package.name, f"{label} is outside of the constraint {_words(requirement)}"
                )

    def _check_provided(self, position: int, package: LockedPackage, where: Diagram, label: str) -> None:
        """What the workspace provides comes from there, but for where a member asks for it elsewhere."""
        name = package.name
        provided = [each for each in self.request.provisions if each.name == name]
        if not provided:
            return
        elsewhere = FALSE
        for item in self.problem.items.values():
            asks = (w.ask for w in item.asks if w.requirement.name == name and w.ask.source is not None)
            for ask in asks:
                if all(ask.source != each.source for each in provided):
                    inside = any_of(
                        self.reach.get((p, *item.key[1:]), FALSE) for p in self.by_name[item.key[0]]
                    )
                    elsewhere = either(elsewhere, both(inside, parse(ask.requirement.marker)))
        for each in provided:
            inside = minus(both(where, parse(each.marker)), elsewhere)
            if not _is_from(package.source, each.source) and self._real(inside) != FALSE:
                text = f"{label} is not from where the workspace says, and locked {describe(inside)}"
                self._say("source", name, text)

    def _check_files(self, package: LockedPackage, where: Diagram, label: str) -> None:
        source = package.source
        listing = self.listings.get((package.name, source.index)) if isinstance(source, IndexSource) else None
        if listing is None:
            return
        if package.version not in listing.versions:
            self._say("files", package.name, f"{label} is not on its index any more")
            return
        bit = 1 << listing.versions.index(package.version)
        build = self.request.build
        wheels, sdists = build.takes_wheels(package.name), build.takes_sdists(package.name)
        # Sdists, which serve most, come last.
        usable = [
            files
            for files, mask in reversed(listing.classes)
            if mask & bit and (sdists if files.tags is None else wheels)
        ]
        if all(disjoint(where, _region(files)) for files in usable):
            self._say("files", package.name, f"{label} has no file for any environment it is locked for")
        for needed, built in self._needed:
            inside = self._real(both(where, needed))
            found = (files for files in usable if built or files.tags is not None)
            if inside != FALSE and all(disjoint(inside, _region(files)) for files in found):
                self._say("files", package.name, f"{label} has no file {describe(inside)}, and needs one")
        if listing.too_new & bit:
            self._say("files", package.name, f"{label} is newer than allowed")

    @cached_property
    def _needed(self) -> list[tuple[Diagram, bool]]:
        """Environments for each of which a file is needed, and whether it may be one that is built."""
        request = self.request
        asked = [parse(marker) for marker in (*request.environments, *request.required_environments)]
        found = [(both(part, _CPYTHON), False) for part, _ in wheels_only(asked)]
        for marker in request.required_environments:
            region = minus(both(parse(marker), _CPYTHON), WHEELS_ONLY)
            settled = both(region, self.problem.expected.settled)
            found.append((settled if both(settled, self.where) != FALSE else region, True))
        return found

    def _check_ambiguity(self) -> None:
        for name, positions in self.by_name.items():
            for i, first in enumerate(positions):
                for second in positions[i + 1 :]:
                    met = both(
                        self.reach.get((first, "", ""), FALSE), self.reach.get((second, "", ""), FALSE)
                    )
                    met = self._real(met)
                    if met != FALSE:
                        pair = f"{self.packages[first].version} and {self.packages[second].version}"
                        self._say("ambiguous", name, f"{name} {pair} are both selected {describe(met)}")

    def _real(self, where: Diagram) -> Diagram:
        """*where* without choices nobody can make: members without a shared environment are installed
        one at a time. Only asked of what looks wrong, as it costs one step per member."""
        if where == FALSE or self.request.shared_environment or len(self.members) < 2:
            return where
        return both(where, self._alone)

    @cached_property
    def _alone(self) -> Diagram:
        nobody, one = TRUE, FALSE
        # From the last of a diagram's variables to the first: each step puts something above what is there.
        for _, member in sorted(self.members.items(), reverse=True):
            active = any_of(parse(f"{flag!r} in dependency_groups") for flag in _flags(member))
            one = either(minus(one, active), both(nobody, active))
            nobody = minus(nobody, active)
        return one

    def _check_samples(self, regions: Sequence[Diagram]) -> None:
        """Walk single environments by the texts: one in each of *regions*."""
        if not self.request.shared_environment or self.request.conflicts:
            return
        flags = {flag for member in self.members.values() for flag in _flags(member)}
        roots: dict[Diagram, list[Node]] = {}
        for node, where in self._roots():
            roots.setdefault(where, []).append(node)
        steps: dict[Node, list[tuple[str, Sequence[Node]]]] = {}
        for region in regions if flags else ():
            environment = sample(region)
            if environment is not None:
                self._check_sample(environment, flags, roots, steps)

    def _steps(self, node: Node) -> list[tuple[str, Sequence[Node]]]:
        """Where a walk goes from *node*, by the text of the marker under which it does."""
        found: dict[str, dict[Node, None]] = {}
        for edge in self._edges(node):
            for position in self._targets(edge):
                nodes = [(position, "", ""), *[(position, str(extra), "") for extra in edge.extras]]
                found.setdefault(edge.marker, {}).update(dict.fromkeys(nodes))
        return [(marker, tuple(nodes)) for marker, nodes in found.items()]

    def _check_sample(
        self,
        environment: Mapping[str, str],
        flags: set[str],
        roots: Mapping[Diagram, list[Node]],
        steps: dict[Node, list[tuple[str, Sequence[Node]]]],
    ) -> None:
        """*steps* are those known from other samples."""
        texts: dict[str, bool] = {}
        open_nodes = [
            node for where, some in roots.items() if evaluate(where, environment, flags) for node in some
        ]
        seen = set(open_nodes)
        while open_nodes:
            node = open_nodes.pop()
            if node not in steps:
                steps[node] = self._steps(node)
            for marker, targets in steps[node]:
                if marker not in texts:
                    texts[marker] = evaluate(parse(marker), environment, flags)
                if texts[marker]:
                    fresh = [target for target in targets if target not in seen]
                    seen.update(fresh)
                    open_nodes += fresh
        selected: dict[NormalizedName, int] = {}
        for position, extra, group in seen:
            if not extra and not group:
                name = self.packages[position].name
                if selected.setdefault(name, position) != position:
                    python, system = (environment.get(v) for v in ("python_full_version", "sys_platform"))
                    text = f"two versions of {name} are selected with Python {python} on {system}"
                    self._say("ambiguous", name, text)


def resolution_regions(where: Diagram, reached: Iterable[Diagram]) -> list[Diagram]:
    """Up to eight regions worth a sample: all of it, and the smallest ones packages are locked for."""
    regions = dict.fromkeys([where, *reached])
    return [region for region in regions if region != FALSE][:8]


@lru_cache(maxsize=65536)
def _under(marker: str, extras: frozenset[str]) -> Diagram:
    """Where *marker* holds when *extras* are asked for and no others."""
    whole = parse(marker)
    return without_extras(whole, extras) if "extra" in marker else whole


def _is_from(source: Source, provided: Source) -> bool:
    if isinstance(source, (GitSource, UrlSource, PathSource)):
        return isinstance(provided, (GitSource, UrlSource, PathSource)) and same_place(source, provided)
    return source == provided


_CPYTHON = parse("platform_python_implementation == 'CPython'")


def _region(files: FileClass) -> Diagram:
    """Where files of one kind can be used."""
    return both(coverage(files.tags), requires_python(lower_bound(files.requires_python)))


def _flags(member: MemberRequest) -> list[str]:
    return [
        member_flag(member.name),
        *(extra_flag(member.name, extra) for extra, _ in member.extras),
        *(group_flag(member.name, group) for group, _ in member.groups),
    ]


def _flag(member: NormalizedName, extra: str, group: str) -> str:
    if extra:
        return extra_flag(member, NormalizedName(extra))
    return group_flag(member, NormalizedName(group)) if group else member_flag(member)


@lru_cache(maxsize=65536)
def _allows(specifier: str, version: str) -> bool:
    if not specifier:
        return True
    try:
        return contains(specifier, version)
    except InvalidSpecifier:
        return contains(lenient(specifier), version)


def _words(requirement: Requirement) -> str:
    extras = f"[{','.join(requirement.extras)}]" if requirement.extras else ""
    return f"{requirement.name}{extras}{requirement.specifier}"
