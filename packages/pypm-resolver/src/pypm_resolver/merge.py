"""Regions put together: one graph of locked packages, its edges marked where they do not hold everywhere."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pypm_model.facts import Direct, Listing
from pypm_model.locks import Edge, LockedPackage
from pypm_model.markers import FALSE, Diagram, both, either, text
from pypm_model.names import NormalizedName
from pypm_model.requirement_text import to_text
from pypm_model.resolutions import Resolution
from pypm_model.sources import MemberSource, PathSource
from pypm_model.versions import sort_key
from pypm_resolver.expansion import fits_member
from pypm_resolver.files import lower_bound
from pypm_resolver.graph import NodeKey
from pypm_resolver.incompatibility import Wanted
from pypm_resolver.package import Package
from pypm_resolver.problem import Item
from pypm_resolver.regions import Solved
from pypm_resolver.universe import Dependency, Universe
from pypm_resolver.wording import of_requirement

Entry = tuple[NormalizedName, int]
"""(name, candidate); members have candidate -1."""


def merge(universe: Universe, solved: tuple[Solved, ...], steps: int) -> Resolution:
    """The resolution that *solved*, the solved regions, make together."""
    merger = _Merger(universe, solved)
    packages = [*merger.members(), *merger.packages()]
    packages.sort(key=lambda p: (p.name, sort_key(p.version) if p.version else "", repr(p.source)))
    return Resolution(tuple(packages), merger.splits(), tuple(merger.warnings), steps)


class _Merger:
    def __init__(self, universe: Universe, solved: tuple[Solved, ...]) -> None:
        self.universe = universe
        self.problem = universe.problem
        self.solved = solved
        self.warnings: dict[str, None] = dict.fromkeys(self.problem.warnings)
        self.entries: dict[NormalizedName, list[int]] = {}
        self.extras_asked: dict[Entry, set[NormalizedName]] = {}
        for region in solved:
            chosen = region.found.chosen
            for name, index in chosen.items():
                known = self.entries.setdefault(name, [])
                if index not in known:
                    known.append(index)
            for key in region.found.reach:
                if key[0] == "extra":
                    entry = (NormalizedName(key[1]), chosen[NormalizedName(key[1])])
                    self.extras_asked.setdefault(entry, set()).add(NormalizedName(key[2]))

    def splits(self) -> tuple[str, ...]:
        """Markers of the regions that differ; regions with equal versions are one."""
        several = sorted(name for name, found in self.entries.items() if len(found) > 1)
        if not several:
            return ()
        groups: dict[tuple[int, ...], Diagram] = {}
        for region in self.solved:
            picks = tuple(region.found.chosen.get(name, -1) for name in several)
            groups[picks] = either(groups.get(picks, FALSE), region.where)
        return tuple(sorted(text(where, self.problem.where) for where in groups.values()))

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
                yield self._package(package, index)

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
        for region in self.solved:
            found = region.found
            if owner is not None and found.chosen.get(owner[0]) != owner[1]:
                continue
            given = either(given, found.reach.get(parts[0][0], FALSE))
            for key, dependencies in parts:
                reached = found.reach.get(key, FALSE)
                if reached == FALSE:
                    continue
                for dependency in dependencies:
                    inside = both(reached, dependency.marker)
                    if inside == FALSE:
                        continue
                    entry: Entry = (dependency.name, -1)
                    if dependency.name in self.problem.members:
                        self._note_range(dependency)
                        inside = both(inside, self.problem.pythons[dependency.name])
                        if inside == FALSE:
                            continue
                    else:
                        entry = (dependency.name, found.chosen[dependency.name])
                    known = conditions.setdefault(entry, {})
                    for extra in (None, *self._known_extras(entry, dependency.extras)):
                        known[extra] = either(known.get(extra, FALSE), inside)
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
        groups: dict[Diagram, list[NormalizedName]] = {by_extra[None]: []}
        for extra, where in by_extra.items():
            if extra is not None:
                groups.setdefault(where, []).append(extra)
        for where, extras in groups.items():
            yield Edge(name, tuple(sorted(extras)), text(where, given), version, source)


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
