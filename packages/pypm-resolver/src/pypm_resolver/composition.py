"""Solutions for choices that have nothing to do with each other, put together.

Of n pairs of extras that exclude each other there are 2ⁿ combinations. Solved are only the one without all
those extras that were left out (the *base*), and each *group* of these without the others. What a group
changes against the base is taken wherever one of its items is active, whatever else is. That is right if what
two groups change never clashes; it is looked at here for all combinations at once, and groups that clash
have to be solved together.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations

from pypm_model.markers import (
    FALSE,
    TRUE,
    Diagram,
    all_of,
    any_of,
    assume,
    both,
    either,
    exists,
    hangs_on,
    implies,
    minus,
    negate,
)
from pypm_model.names import NormalizedName
from pypm_model.records import record
from pypm_resolver.choices import entered, is_possible, may_meet
from pypm_resolver.clusters import united
from pypm_resolver.expansion import fits_member
from pypm_resolver.files import strict_region
from pypm_resolver.fitting import Fitting
from pypm_resolver.graph import NodeKey
from pypm_resolver.incompatibility import Depends
from pypm_resolver.package import Package, cover_of
from pypm_resolver.problem import ItemKey, Problem, flag_name
from pypm_resolver.region import Found
from pypm_resolver.universe import Dependency, Universe, Unusable


@record
class Solved:
    """A region and what was found for it: one candidate for each name."""

    where: Diagram
    found: Found

    def names(self) -> Iterator[tuple[NormalizedName, int]]:
        """Every name with each of its candidates."""
        yield from self.found.chosen.items()

    def candidates(self, name: NormalizedName) -> Mapping[int, Diagram]:
        """The candidates of *name*, and where each of them is the one."""
        index = self.found.chosen.get(name)
        return {} if index is None else {index: self.where}

    def reached(self, key: NodeKey, index: int) -> Diagram:
        """Where a node is needed whose package is candidate *index*, of items 0."""
        found = self.found
        if key[0] != "item" and found.chosen.get(NormalizedName(key[1])) != index:
            return FALSE
        return found.reach.get(key, FALSE)

    def extras(self) -> Iterator[tuple[NodeKey, int]]:
        """The nodes of extras that are needed, with the candidate of their package."""
        for key in self.found.reach:
            if key[0] == "extra":
                yield key, self.found.chosen[NormalizedName(key[1])]

    def changed_by(self, name: NormalizedName) -> frozenset[ItemKey]:
        """The items that candidates of *name* hang on here."""
        return frozenset()


@record
class Composed:
    """What `Solved` says, where several candidates of a name serve parts of the region."""

    where: Diagram
    chosen: dict[NormalizedName, dict[int, Diagram]]
    reach: dict[NodeKey, dict[int, Diagram]]
    changed: dict[NormalizedName, frozenset[ItemKey]]

    def names(self) -> Iterator[tuple[NormalizedName, int]]:
        for name, found in self.chosen.items():
            for index in found:
                if self.reached(("package", name), index) != FALSE:
                    yield name, index

    def candidates(self, name: NormalizedName) -> Mapping[int, Diagram]:
        return self.chosen.get(name, {})

    def reached(self, key: NodeKey, index: int) -> Diagram:
        return self.reach.get(key, {}).get(index, FALSE)

    def extras(self) -> Iterator[tuple[NodeKey, int]]:
        for key, found in self.reach.items():
            if key[0] == "extra":
                yield from ((key, index) for index in found)

    def changed_by(self, name: NormalizedName) -> frozenset[ItemKey]:
        return self.changed.get(name, frozenset())


Part = Solved | Composed


class Group:
    """Items that are solved without those of other groups, and what was found."""

    def __init__(self, items: Sequence[ItemKey]) -> None:
        self.items = list(items)
        self.solved: list[Solved] = []


class Family:
    """A region that was solved without some items, and the groups of these."""

    def __init__(self, where: Diagram, base: Solved, groups: list[Group]) -> None:
        self.where = where
        self.base = base
        self.groups = groups
        self.together: list[Solved] = []
        """What was found for parts of all groups at once."""
        self.are_apart = False
        """Whether the groups are solved one by one: first all are tried together."""

    @property
    def holds_base(self) -> bool:
        """Whether the base is a part of the region; else it only says what is there without the items."""
        return both(self.where, self.base.where) != FALSE

    def without_others(self, problem: Problem, group: Group) -> Diagram:
        """The part of the region in which an item of *group* is active and none of another one."""
        others = any_of(problem.items[key].flag for g in self.groups if g is not group for key in g.items)
        own = any_of(problem.items[key].flag for key in group.items)
        return minus(both(self.where, own), others)

    def join(self, clusters: Sequence[frozenset[int]]) -> list[Group]:
        """Make one group of each set of positions that is told; those that are new."""
        new: list[Group] = []
        joined: set[int] = set()
        for cluster in sorted(united(clusters), key=min):
            new.append(Group([key for i in sorted(cluster) for key in self.groups[i].items]))
            joined |= cluster
        self.groups = [group for i, group in enumerate(self.groups) if i not in joined] + new
        return new


def groups_of(problem: Problem, left: Sequence[ItemKey]) -> list[Group]:
    """*left* in as few groups as there may be so that no two items of one group are ever active together:
    those need no solution of both."""
    groups: list[Group] = []
    for key in left:
        for group in groups:
            if not any(may_meet(problem, key, other) for other in group.items):
                group.items.append(key)
                break
        else:
            groups.append(Group([key]))
    return groups


def joined(problem: Problem, groups: Sequence[Group]) -> list[Group]:
    """*groups*, those in one that an old lock parted together: what clashed once is not found out again."""
    family = Family(problem.where, Solved(FALSE, Found({}, {})), list(groups))
    owners: dict[str, set[int]] = {}
    for position, group in enumerate(groups):
        for key in group.items:
            owners.setdefault(flag_name(key), set()).add(position)
    for rivals in problem.rivals():
        owned = [name for name in rivals if name in owners]
        for name in rivals:
            if name not in owned:
                owners.setdefault(name, set()).update(*(owners[other] for other in owned))
    clusters: list[frozenset[int]] = []
    for split in problem.splits:
        found = [owned for name, owned in owners.items() if len(owned) == 1 and hangs_on(split, name)]
        clusters.append(frozenset().union(*found))
    family.join([cluster for cluster in clusters if len(cluster) > 1])
    return family.groups


def compose(universe: Universe, family: Family) -> Composed | list[frozenset[int]]:
    """What *family* is together; else the sets of positions of groups that have to be solved together."""
    composing = _Composing(universe, family)
    if not composing.clusters:
        composing.walk()
    if not composing.clusters:
        composing.check_files()
    if composing.clusters:
        return sorted(united(composing.clusters), key=min)
    return Composed(composing.inside, composing.chosen, composing.reach, composing.changed)


class _Composing:
    def __init__(self, universe: Universe, family: Family) -> None:
        self.universe = universe
        self.problem = universe.problem
        self.family = family
        self.flags = [any_of(self.problem.items[key].flag for key in g.items) for g in family.groups]
        self.clusters: list[frozenset[int]] = []
        self.chosen: dict[NormalizedName, dict[int, Diagram]] = {}
        self.reach: dict[NodeKey, dict[int, Diagram]] = {}
        self.changed: dict[NormalizedName, frozenset[ItemKey]] = {}
        self._open: list[tuple[NodeKey, int]] = []
        self._choose()

    def _choose(self) -> None:
        """Where each candidate is the one, by what every group changes against the base."""
        family, problem = self.family, self.problem
        base = family.base.found.chosen
        left = [flag_name(key) for group in family.groups for key in group.items]
        # What is declared to conflict with them is left out where that is all the region says of them: what
        # nobody can choose does no harm, and a diagram of many conflicts may be large.
        loose = assume(family.where, dict.fromkeys(left, False))
        self.inside = loose if both(loose, problem.where) == family.where else family.where
        changes: dict[NormalizedName, list[tuple[int, int, Diagram]]] = {}
        for position, group in enumerate(family.groups):
            own = {flag_name(key) for key in group.items}
            others = {flag: False for flag in left if flag not in own}
            for solved in group.solved:
                where = assume(solved.where, others)
                for name, index in solved.found.chosen.items():
                    if base.get(name) != index:
                        changes.setdefault(name, []).append((position, index, where))
        for name, index in base.items():
            if name not in changes:
                self.chosen[name] = {index: TRUE}
        for name, found in changes.items():
            for (one, first, here), (other, second, there) in combinations(found, 2):
                if one != other and first != second:
                    self._clash(both(here, there))
            by_index: dict[int, list[Diagram]] = {}
            for _, index, where in found:
                by_index.setdefault(index, []).append(where)
            self.chosen[name] = {index: any_of(parts) for index, parts in by_index.items()}
            if name in base:
                rest = negate(any_of(self.chosen[name].values()))
                self.chosen[name] = {base[name]: rest, **self.chosen[name]}
            self.changed[name] = frozenset(
                key
                for position in {position for position, _, _ in found}
                for key in family.groups[position].items
                if any(hangs_on(where, flag_name(key)) for where in self.chosen[name].values())
            )

    def _clash(self, where: Diagram) -> None:
        """Note that something is wrong in *where*: the groups without which it would not be."""
        where = both(where, self.family.where)
        if not is_possible(self.problem, where):
            return
        needed = []
        for position, flag in enumerate(self.flags):
            less = minus(where, flag)
            if is_possible(self.problem, less):
                where = less
            else:
                needed.append(position)
        # What a group alone has was found to be right; if this is not so, nothing is taken for granted.
        self.clusters.append(frozenset(needed if len(needed) > 1 else range(len(self.flags))))

    # The walk from the items, as an installer does it

    def walk(self) -> None:
        for begin in entered(self.problem, self.family.where):
            item = self.problem.items[begin]
            self._grow(("item", *begin), 0, all_of((self.inside, item.flag, item.where)))
        while self._open:
            key, index = self._open.pop()
            where = self.reach[key][index]
            if key[0] == "item":
                if key[2]:
                    self._grow(("item", key[1], "", ""), 0, where)
                item = self.problem.items[NormalizedName(key[1]), key[2], key[3]]
                self._follow(self.universe.of_item(item), where)
                continue
            package = self._package(NormalizedName(key[1]))
            extra = NormalizedName(key[2]) if key[0] == "extra" else None
            found = self.universe.of_candidate(package, index, extra)
            if found is None or isinstance(found, Unusable):
                self._clash(where)
                continue
            self._follow(found, where)
            if extra is not None:
                self._join(package, index, extra)

    def _join(self, package: Package, index: int, extra: NormalizedName) -> None:
        for together in self.universe.joint(package, index):
            names = together.split(",")
            if extra in names:
                parts = (self.reach.get(("extra", package.name, n), {}).get(index, FALSE) for n in names)
                self._grow(("extra", package.name, together), index, all_of(parts))

    def _grow(self, key: NodeKey, index: int, where: Diagram) -> None:
        known = self.reach.setdefault(key, {})
        before = known.get(index, FALSE)
        after = either(before, where)
        if after != before:
            known[index] = after
            self._open.append((key, index))

    def _follow(self, dependencies: Sequence[Dependency], where: Diagram) -> None:
        for dependency in dependencies:
            inside = both(where, dependency.marker)
            if inside == FALSE:
                continue
            name = dependency.name
            if dependency.refused:
                self._clash(inside)
            elif name in self.problem.members:
                self._follow_member(dependency, inside)
            elif name not in self.chosen:
                self._clash(inside)
            else:
                self._follow_package(dependency, inside)

    def _follow_package(self, dependency: Dependency, inside: Diagram) -> None:
        name = dependency.name
        allowed = self._package(name).bits(dependency.specifier, dependency.source)
        left = inside
        for index, where in self.chosen[name].items():
            hit = both(inside, where)
            if hit == FALSE:
                continue
            left = minus(left, where)
            if not allowed >> index & 1:
                self._clash(hit)
                continue
            self._grow(("package", name), index, hit)
            for extra in dependency.extras:
                self._grow(("extra", name, extra), index, hit)
        if left != FALSE:
            self._clash(left)

    def _follow_member(self, dependency: Dependency, inside: Diagram) -> None:
        member = self.problem.members[dependency.name]
        if isinstance(dependency.cause, Depends) and not fits_member(dependency.specifier, member.version):
            self._clash(inside)
            return
        inside = both(inside, self.problem.pythons[member.name])
        self._grow(("item", member.name, "", ""), 0, inside)
        for extra in dependency.extras:
            if (member.name, extra, "") in self.problem.items:
                self._grow(("item", member.name, extra, ""), 0, inside)

    def _package(self, name: NormalizedName) -> Package:
        package = self.universe.package(name)
        assert isinstance(package, Package), "it was chosen"
        return package

    def check_files(self) -> None:
        """Whether candidates serve where they are needed now. Of one that does not serve everything, where it
        was needed by one of the solutions was judged there; no other environment may come to that."""
        fitting = Fitting(self.family.where, self.problem.expected)
        flags = [flag_name(item.key) for item in self.problem.items.values() if item.flag != TRUE]
        everyone = [self.family.base, *(solved for g in self.family.groups for solved in g.solved)]
        for name, found in self.chosen.items():
            package = self._package(name)
            for index in found:
                where = self.reach.get(("package", name), {}).get(index, FALSE)
                strict = strict_region(self.universe.requires_python(package, index))
                if not implies(where, strict):
                    self._clash(minus(where, strict))
                if not fitting.is_whole(cover_of(package, index)):
                    judged = any_of(each.reached(("package", name), index) for each in everyone)
                    self._clash(minus(where, exists(judged, flags)))
