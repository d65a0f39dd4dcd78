"""The regions of a resolution: solved one by one, cut in two only when that is forced.

A region that fails although it might succeed in parts (its proof hangs on markers that are not
constant in it) is cut at one of those markers, and so is one where the best candidate of a package
serves a part only. Cutting ends, because every cut makes one more marker constant. Each region prefers
what the regions before it have chosen, so that versions differ between regions only where they must.

Where a region was cut off for other reasons, a package that has no file in it at all is no reason to fail, as
it would not have been without the cut: such a region is tried again with files judged as if it were not one,
and then solved at the end, to keep what the others have.
"""

from __future__ import annotations

from pypm_model.markers import FALSE, WHEELS_ONLY, Diagram, any_of, both, implies, minus, parse, python_bounds
from pypm_model.names import NormalizedName
from pypm_model.records import record
from pypm_model.requests import Conflict
from pypm_model.versions import sort_key
from pypm_resolver.expansion import Missing
from pypm_resolver.fitting import Cut
from pypm_resolver.graph import NodeKey
from pypm_resolver.incompatibility import Barred, Incompatibility, Structure, leaves
from pypm_resolver.package import Package, cover_of
from pypm_resolver.problem import ItemKey, Problem
from pypm_resolver.region import EXHAUSTED, Exhausted, Failed, Found, Region
from pypm_resolver.universe import Universe


@record
class Solved:
    """A region and what was found for it."""

    where: Diagram
    found: Found


@record
class Impossible:
    """A region in which there is no solution, for reasons that hold in all of it."""

    region: Region
    proof: Incompatibility


@record
class Exclusive:
    """All regions are done, and in some there is no solution because two extras or groups of one member,
    both active there, exclude each other: each pair is to be kept apart."""

    conflicts: tuple[Conflict, ...]


class Regions:
    """All regions of one problem; `advance` until it gives something else than `Missing`."""

    def __init__(self, universe: Universe) -> None:
        self.universe = universe
        self.problem: Problem = universe.problem
        self.solved: list[Solved] = []
        self.current: Region | None = None
        self.used = 0
        """Steps of the regions that are done."""
        self._earlier: dict[NormalizedName, list[int]] = {}
        self._ranks: dict[NodeKey, int] = {}
        self._flags = frozenset(
            item.flag for item in self.problem.items.values() if not self.problem.request.shared_environment
        )
        self._exclusive: dict[Conflict, None] = {}
        self._around: dict[Diagram, Impossible] = {}
        """Regions in which files are judged for all there is, and how each failed before."""
        self._helped: dict[Diagram, Found] = {}
        """Those of them in which that has been found to help, and what was found."""
        self._open = self._first_regions()

    @property
    def steps(self) -> int:
        """Decisions and conflicts so far."""
        return self.used + (self.current.steps if self.current is not None else 0)

    def advance(self) -> Missing | Impossible | Exhausted | Exclusive | tuple[Solved, ...]:
        """Solve region after region, until facts are missing or all is decided."""
        while True:
            if self.current is None:
                if not self._open:
                    if self._exclusive:
                        return Exclusive(tuple(self._exclusive))
                    return self._unserved() or tuple(self.solved)
                where = self._open.pop()
                self.current = Region(
                    self.universe,
                    where,
                    self._rivals(where),
                    self._earlier,
                    self._ranks,
                    self.problem.request.max_steps - self.used,
                    self.problem.where if where in self._around else None,
                )
            region = self.current
            outcome = region.advance()
            if isinstance(outcome, Missing):
                return outcome
            if isinstance(outcome, Exhausted):
                return EXHAUSTED
            if isinstance(outcome, Failed) and region.where in self._helped:
                outcome = self._helped[region.where]
            if isinstance(outcome, Failed):
                markers = markers_of(outcome.proof)
                pair = () if markers else self._pair(region, outcome.proof)
                if pair:
                    # Nobody installs both where nothing is shared: the rest is solved without this region.
                    self._exclusive[Conflict(pair)] = None
                    self.used += region.steps
                    self.current = None
                    continue
                if not markers:
                    if region.where in self._around or not self._lacks_files(region, outcome.proof):
                        return Impossible(region, outcome.proof)
                    self._around[region.where] = Impossible(region, outcome.proof)
                    self._open.append(region.where)
                    self.used += region.steps
                    self.current = None
                    continue
                outcome = Cut(markers[0])
            self.used += region.steps
            self.current = None
            if isinstance(outcome, Cut):
                if region.where in self._around and implies(region.where, outcome.marker):
                    return self._around[region.where]
                self._cut(region.where, outcome.marker)
                continue
            if region.where in self._around.keys() - self._helped.keys():
                self._helped[region.where] = outcome
                self._open.insert(0, region.where)
                continue
            self.solved.append(Solved(region.where, outcome))
            for name, index in outcome.chosen.items():
                known = self._earlier.setdefault(name, [])
                if index not in known:
                    known.append(index)

    def _unserved(self) -> Impossible | None:
        """How a region failed that was solved with files judged for all there is, if a candidate turns out to
        have none anywhere that it is chosen for."""
        for solved in self.solved:
            if solved.where not in self._around:
                continue
            for name, index in solved.found.chosen.items():
                package = self.universe.package(name)
                assert isinstance(package, Package)
                needed = any_of(
                    each.found.reach[("package", name)]
                    for each in self.solved
                    if each.found.chosen.get(name) == index
                )
                if both(needed, cover_of(package, index).files) == FALSE:
                    return self._around[solved.where]
        return None

    def _lacks_files(self, region: Region, proof: Incompatibility) -> bool:
        """Whether it is for want of files that *region*, a part of all there is, can not be solved."""
        kinds = {leaf.cause.kind for leaf in leaves(proof) if isinstance(leaf.cause, Barred)}
        return region.where != self.problem.where and not kinds.isdisjoint(("files", "required"))

    def _first_regions(self) -> list[Diagram]:
        where = self.problem.where
        preferred = [both(where, parse(split)) for split in self.problem.request.preferred_splits]
        pieces: list[Diagram] = []
        for piece in (*preferred, minus(where, any_of(preferred))):
            rest = minus(piece, any_of(pieces))
            if rest != FALSE:
                pieces.append(rest)
        return self._ordered(pieces)

    def _cut(self, where: Diagram, marker: Diagram) -> None:
        pieces = [both(where, marker), minus(where, marker)]
        assert FALSE not in pieces, "a cut leaves something on both sides"
        # What few wheels there are for WebAssembly shall not decide what everybody else gets.
        late = [] if self._is_late(where) else [piece for piece in pieces if self._is_late(piece)]
        self._open[:0] = late
        self._open += self._ordered([piece for piece in pieces if piece not in late])

    def _is_late(self, where: Diagram) -> bool:
        return self.problem.expected.wasm and implies(where, WHEELS_ONLY)

    def _ordered(self, pieces: list[Diagram]) -> list[Diagram]:
        """The piece to solve first comes last: the one with the newest Python (for the strategy
        ``fewest`` the oldest), of equal ones the first. Systems without builds are solved at the end."""
        newest_first = self.problem.request.fork_strategy != "fewest"
        ranked = sorted(enumerate(pieces), key=lambda entry: -entry[0])
        ranked.sort(key=lambda entry: _python_rank(entry[1]), reverse=not newest_first)
        ranked.sort(key=lambda entry: not self._is_late(entry[1]))
        return [piece for _, piece in ranked]

    def _rivals(self, where: Diagram) -> frozenset[NormalizedName]:
        """Members that are not entered in *where*, because the item of another one is."""
        if not self._flags:
            return frozenset()
        for item in self.problem.items.values():
            if implies(where, item.flag):
                return frozenset(self.problem.members) - {item.key[0]}
        return frozenset()

    def _pair(self, region: Region, proof: Incompatibility) -> tuple[ItemKey, ...]:
        """The two extras or groups of one member that the proof hangs on, if it is these that exclude
        each other and members do not share an environment."""
        if self.problem.request.shared_environment:
            return ()
        entered = []
        for leaf in leaves(proof):
            if isinstance(leaf.cause, Structure) and len(leaf.terms) == 1:
                key = region.graph.keys[leaf.terms[0][0]]
                entered.append(region.graph.item(leaf.terms[0][0]).key if key[0] == "item" else None)
        pair = tuple(sorted({key for key in entered if key is not None and (key[1] or key[2])}))
        members = {key[0] for key in entered if key is not None}
        return pair if len(pair) == 2 and len(members) == 1 else ()


def _python_rank(where: Diagram) -> tuple[str, str]:
    lower, upper = python_bounds(where)
    return (sort_key(upper) if upper else "~", sort_key(lower) if lower else "")


def markers_of(proof: Incompatibility) -> list[Diagram]:
    """The markers a proof hangs on, in the order in which its leaves are met."""
    return list(dict.fromkeys(leaf.marker for leaf in leaves(proof) if leaf.markers))
