"""Regions put together: one graph of locked packages, its edges marked where they do not hold everywhere."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from pypm_model.facts import Direct, Listing
from pypm_model.locks import Edge, LockedPackage
from pypm_model.markers import FALSE, TRUE, Diagram, any_of, both, either, minus, text
from pypm_model.names import NormalizedName
from pypm_model.requirement_text import to_text
from pypm_model.resolutions import Gap, Resolution
from pypm_model.sources import MemberSource, PathSource
from pypm_model.versions import sort_key
from pypm_resolver.choices import is_possible, one_at_a_time
from pypm_resolver.composition import Composed, Part
from pypm_resolver.expansion import fits_member
from pypm_resolver.files import lower_bound
from pypm_resolver.fitting import Fitting
from pypm_resolver.gaps import gap
from pypm_resolver.graph import NodeKey
from pypm_resolver.incompatibility import Wanted
from pypm_resolver.package import Package, cover_of
from pypm_resolver.problem import Item, ItemKey
from pypm_resolver.universe import Dependency, Universe
from pypm_resolver.wording import of_requirement

Entry = tuple[NormalizedName, int]
"""(name, candidate); members have candidate -1."""
_MEMBER: Mapping[int, Diagram] = {-1: TRUE}


def merge(universe: Universe, parts: tuple[Part, ...], steps: int, detours: int) -> Resolution:
    """The resolution that *parts*, what was found for the regions, make together."""
    merger = _Merger(universe, parts)
    packages = [*merger.members(), *merger.packages()]
    packages.sort(key=lambda p: (p.name, sort_key(p.version) if p.version else "", repr(p.source)))
    gaps = tuple(merger.gaps)
    return Resolution(tuple(packages), merger.splits(), tuple(merger.warnings), steps, detours, gaps)


class _Merger:
    def __init__(self, universe: Universe, parts: tuple[Part, ...]) -> None:
        self.universe = universe
        self.problem = universe.problem
        self.fitting = Fitting(self.problem.where, self.problem.expected)
        self.parts = parts
        self.is_composed = any(isinstance(part, Composed) for part in parts)
        self.warnings: dict[str, None] = dict.fromkeys(self.problem.warnings)
        self.gaps: list[Gap] = []
        self.entries: dict[NormalizedName, list[int]] = {}
        self.extras_asked: dict[Entry, set[NormalizedName]] = {}
        for part in parts:
            for name, index in part.names():
                known = self.entries.setdefault(name, [])
                if index not in known:
                    known.append(index)
            for key, index in part.extras():
                entry = (NormalizedName(key[1]), index)
                self.extras_asked.setdefault(entry, set()).add(NormalizedName(key[2]))

    def splits(self) -> tuple[str, ...]:
        """Markers of the regions that differ; regions with equal versions are one. Names whose versions hang
        on choices that have nothing to do with each other split everything each for itself."""
        several = sorted(name for name, found in self.entries.items() if len(found) > 1)
        if not several:
            return ()
        if kept := self._kept_splits(several):
            return kept
        splits: dict[str, None] = {}
        for names in self._blocks(several):
            cells: dict[tuple[int, ...], Diagram] = {}
            for part in self.parts:
                for picks, where in _cells(part, names):
                    cells[picks] = either(cells.get(picks, FALSE), where)
            within = self.problem.where
            if self.is_composed:
                within = both(self.problem.environment, self.problem.exclusions(*cells.values()))
            splits.update(dict.fromkeys(sorted(text(where, within) for where in cells.values())))
        return tuple(splits)

    def _kept_splits(self, several: Sequence[NormalizedName]) -> tuple[str, ...]:
        """The splits of the old lock, if the same names are there in the same versions and are parted by
        them: how a region was found leaves no trace in what is kept."""
        whole = self.problem.where
        for name in several:
            package = self.universe.package(name)
            assert isinstance(package, Package)
            versions = {package.versions[index] for index in self.entries[name]}
            if versions != {preference[0] for preference in self.problem.preferences.get(name, ())}:
                return ()
        gone = [n for n, found in self.problem.preferences.items() if len(found) > 1 and n not in several]
        if gone or not self.problem.splits:
            return ()
        left = set(several)
        cells: list[Diagram] = []
        splits = tuple(text(both(whole, split), whole) for split in self.problem.splits)
        for split in self.problem.splits:
            cell = both(whole, split)
            if cell == FALSE or any(both(cell, other) != FALSE for other in cells):
                return ()
            cells.append(cell)
            if not is_possible(self.problem, minus(whole, any_of(cells))):
                left -= {name for name in left if self._are_parting(cells, name)}
                cells = []
        return () if left or cells else splits

    def _are_parting(self, cells: Sequence[Diagram], name: NormalizedName) -> bool:
        """Whether in each of *cells* no more than one candidate of *name* is needed."""
        needed = [
            any_of(part.reached(("package", name), index) for part in self.parts)
            for index in self.entries[name]
        ]
        problem = self.problem
        return all(sum(is_possible(problem, both(cell, where)) for where in needed) <= 1 for cell in cells)

    def _blocks(self, names: Sequence[NormalizedName]) -> list[list[NormalizedName]]:
        """*names*, those together whose versions hang on the same choices; first those that hang on none."""
        blocks: list[tuple[frozenset[ItemKey], list[NormalizedName]]] = []
        for name in names:
            items: frozenset[ItemKey] = frozenset().union(*(part.changed_by(name) for part in self.parts))
            same = [block for block in blocks if block[0] & items or not (block[0] or items)]
            blocks = [block for block in blocks if block not in same]
            together = sorted([name, *(each for _, mine in same for each in mine)])
            blocks.append((items.union(*(other for other, _ in same)), together))
        return [mine for _, mine in sorted(blocks, key=lambda block: (bool(block[0]), block[1]))]

    def members(self) -> Iterable[LockedPackage]:
        problem = self.problem
        for name, member in problem.members.items():
            yield LockedPackage(
                name,
                member.version or "",
                MemberSource(member.path),
                member.requires_python,
                self._item_edges(problem.items[(name, "", "")]),
                tuple((e, self._item_edges(problem.items[(name, e, "")])) for e, _ in sorted(member.extras)),
                tuple((g, self._item_edges(problem.items[(name, "", g)])) for g, _ in sorted(member.groups)),
            )

    def packages(self) -> Iterable[LockedPackage]:
        for name, candidates in self.entries.items():
            package = self.universe.package(name)
            assert isinstance(package, Package)
            for origin in package.origins:
                status = origin.fact.status if isinstance(origin.fact, Listing) else ""
                if status and status != "active":
                    self.warnings.setdefault(f"{name} is marked as {status} by its index")
            for index in candidates:
                if package.yanked >> index & 1:
                    self.warnings.setdefault(_yanked(package, index))
                self._note_gap(package, index)
                yield self._package(package, index)

    def _note_gap(self, package: Package, index: int) -> None:
        """Notes where a version that is needed has no file."""
        cover = cover_of(package, index)
        if self.fitting.is_whole(cover):
            return
        scope = any_of(part.reached(("package", package.name), index) for part in self.parts)
        if where := gap(self.problem.expected, cover.files, scope):
            self.gaps.append(Gap(package.name, package.versions[index], where))

    def _package(self, package: Package, index: int) -> LockedPackage:
        name = package.name
        provided = self.universe.extras(package, index)
        extras: list[tuple[NormalizedName, tuple[Edge, ...]]] = []
        asked = sorted(self.extras_asked.get((name, index), ()))
        several = [extra for extra in asked if "," in extra]
        for extra in asked:
            if extra in several:
                continue
            if extra not in provided:
                version = package.versions[index]
                self.warnings.setdefault(f"{name} {version} has no extra {extra}")
                continue
            # What several extras bring together is kept under the first, where the others are asked for.
            parts = [
                (("extra", name, each), self._dependencies(package, index, each))
                for each in asked
                if each == extra or (each in several and each.split(",")[0] == extra)
            ]
            extras.append((extra, self._edges(parts, (name, index))))
        return LockedPackage(
            name,
            package.versions[index],
            package.source(index),
            self._requires_python(package, index),
            self._edges([(("package", name), self._dependencies(package, index))], (name, index)),
            tuple(extras),
            requires=_asked_by_folder(package, index),
        )

    def _dependencies(
        self, package: Package, index: int, extra: NormalizedName | None = None
    ) -> tuple[Dependency, ...]:
        found = self.universe.of_candidate(package, index, extra)
        assert isinstance(found, tuple)
        return found

    def _requires_python(self, package: Package, index: int) -> str:
        """The lower bound that counts; where metadata says nothing, what all files agree on."""
        said = lower_bound(self.universe.requires_python(package, index))
        if said:
            return said
        fact = package.origin(index).fact
        if not isinstance(fact, Listing):
            return ""
        bit = 1 << (index - package.origin(index).offset)
        texts = {lower_bound(files.requires_python) for files, mask in fact.classes if mask & bit}
        return texts.pop() if len(texts) == 1 else ""

    def _item_edges(self, item: Item) -> tuple[Edge, ...]:
        return self._edges([(("item", *item.key), self.universe.of_item(item))], None)

    def _edges(
        self, parts: Sequence[tuple[NodeKey, tuple[Dependency, ...]]], owner: Entry | None
    ) -> tuple[Edge, ...]:
        """The edges of one node: the first of *parts*; what the others depend on counts where they are
        needed. *owner* is the candidate they belong to, None for items."""
        conditions: dict[Entry, dict[NormalizedName | None, Diagram]] = {}
        given = FALSE
        slot = owner[1] if owner is not None else 0
        for region in self.parts:
            given = either(given, region.reached(parts[0][0], slot))
            for key, dependencies in parts:
                reached = region.reached(key, slot)
                if reached == FALSE:
                    continue
                for dependency in dependencies:
                    inside = both(reached, dependency.marker)
                    if inside == FALSE:
                        continue
                    if dependency.name in self.problem.members:
                        self._note_range(dependency)
                        inside = both(inside, self.problem.pythons[dependency.name])
                        candidates = _MEMBER
                    else:
                        candidates = region.candidates(dependency.name)
                    is_one = len(candidates) == 1
                    for index, where in candidates.items():
                        hit = inside if is_one else both(inside, where)
                        if hit == FALSE:
                            continue
                        entry: Entry = (dependency.name, index)
                        known = conditions.setdefault(entry, {})
                        known[None] = either(known.get(None, FALSE), hit)
                        for extra in self._known_extras(entry, dependency.extras):
                            known[extra] = either(known.get(extra, FALSE), hit)
        edges = [
            edge for entry, by_extra in conditions.items() for edge in self._edges_to(entry, by_extra, given)
        ]
        return tuple(
            sorted(
                edges, key=lambda e: (e.name, sort_key(e.version) if e.version else "", e.marker, e.extras)
            )
        )

    def _note_range(self, dependency: Dependency) -> None:
        member = self.problem.members[dependency.name]
        if isinstance(dependency.cause, Wanted) and not fits_member(dependency.specifier, member.version):
            origin = dependency.cause.ask.origin
            self.warnings.setdefault(
                f"{origin.member} requires {of_requirement(dependency.cause.requirement)} ({origin}), "
                f"and the workspace has {member.name} {member.version}"
            )

    def _known_extras(self, entry: Entry, extras: tuple[NormalizedName, ...]) -> tuple[NormalizedName, ...]:
        if not extras:
            return ()
        name, index = entry
        if index < 0:
            known = {extra for extra, _ in self.problem.members[name].extras}
            for extra in extras:
                if extra not in known:
                    self.warnings.setdefault(f"{name} has no extra {extra}")
            return tuple(extra for extra in extras if extra in known)
        package = self.universe.package(name)
        assert isinstance(package, Package)
        provided = self.universe.extras(package, index)
        return tuple(extra for extra in extras if extra in provided)

    def _edges_to(
        self, entry: Entry, by_extra: dict[NormalizedName | None, Diagram], given: Diagram
    ) -> Iterable[Edge]:
        name, index = entry
        version = ""
        source = None
        others = self.entries.get(name, [])
        if index >= 0 and len(others) > 1:
            package = self.universe.package(name)
            assert isinstance(package, Package)
            version = package.versions[index]
            if sum(package.versions[other] == version for other in others) > 1:
                source = package.source(index)
        possible = TRUE
        if self.is_composed:
            # Of composed parts, what is declared to conflict is not said by *given*, which may be much: here
            # is what speaks of the same choices.
            possible = self.problem.exclusions(by_extra[None], given)
            given = both(given, possible)
        for where, extras in grouped(by_extra).items():
            if both(where, possible) == FALSE:
                continue
            marker = text(where, given)
            if self.problem.are_apart and "dependency_groups" in marker:
                # What two members ask together nobody can choose: nothing is said of it.
                within = both(given, one_at_a_time(self.problem, where, given))
                inside = both(where, within)
                if inside == FALSE:
                    continue
                marker = text(inside, within)
            yield Edge(name, tuple(sorted(extras)), marker, version, source)


def grouped(by_extra: Mapping[NormalizedName | None, Diagram]) -> dict[Diagram, list[NormalizedName]]:
    """Where an edge is to lead to a package (None) and to extras of it, as edges: each with the extras that
    are asked for in the same environments, first that of the package itself."""
    groups: dict[Diagram, list[NormalizedName]] = {by_extra[None]: []}
    for extra, where in by_extra.items():
        if extra is not None:
            groups.setdefault(where, []).append(extra)
    return groups


def _cells(part: Part, names: Sequence[NormalizedName]) -> list[tuple[tuple[int, ...], Diagram]]:
    """The pieces of *part* in each of which every one of *names* has one candidate, -1 for none."""
    cells: list[tuple[tuple[int, ...], Diagram]] = [((), part.where)]
    for name in names:
        candidates = part.candidates(name)
        refined = []
        for picks, where in cells:
            rest = where
            for index, served in candidates.items():
                if (inside := both(where, served)) != FALSE:
                    refined.append(((*picks, index), inside))
                    rest = minus(rest, served)
            if rest != FALSE:
                refined.append(((*picks, -1), rest))
        cells = refined
    return cells


def _yanked(package: Package, index: int) -> str:
    """That candidate *index* is yanked, with the reason its index gives."""
    origin = package.origin(index)
    reasons = dict(origin.fact.yank_reasons) if isinstance(origin.fact, Listing) else {}
    reason = reasons.get(index - origin.offset, "")
    return f"{package.name} {package.versions[index]} is yanked" + (f": {reason}" if reason else "")


def _asked_by_folder(package: Package, index: int) -> tuple[str, ...]:
    """What a folder asks for, by which is judged later whether it asks for the same."""
    fact, source = package.origin(index).fact, package.source(index)
    if isinstance(fact, Direct) and isinstance(source, PathSource) and not source.sha256:
        return tuple(sorted({to_text(requirement) for requirement in fact.requires}))
    return ()
