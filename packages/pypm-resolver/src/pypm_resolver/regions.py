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
from pypm_resolver.choices import entered
from pypm_resolver.expansion import Missing
from pypm_resolver.fitting import Cut
from pypm_resolver.graph import NodeKey
from pypm_resolver.incompatibility import Barred, Incompatibility, leaves
from pypm_resolver.package import Package, cover_of
from pypm_resolver.problem import ItemKey, Problem
from pypm_resolver.region import EXHAUSTED, Apart, Exclude, Exhausted, Failed, Found, Region
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
class _Piece:
    """A region to be solved; *first* are the items it was cut off for."""

    where: Diagram
    first: frozenset[ItemKey] = frozenset()


@record
class Exclusive:
    """Two extras or groups of one member exclude each other where both are active: each pair is to be kept
    apart from the start."""

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
        self._exclusive: dict[Conflict, None] = {}
        self._around: dict[Diagram, Impossible] = {}
        """Regions in which files are judged for all there is, and how each failed before."""
        self._helped: dict[Diagram, Found] = {}
        """Those of them in which that has been found to help, and what was found."""
        self._open = self._first_regions()
        self._piece = _Piece(FALSE)

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
                piece = self._open.pop()
                active = entered(self.problem, piece.where)
                if not active and self.problem.items:
                    continue  # nobody can choose anything there
                self._piece = piece
                self.current = Region(
                    self.universe,
                    piece.where,
                    active,
                    piece.first,
                    self._earlier,
                    self._ranks,
                    self.problem.request.max_steps - self.used,
                    self.problem.where if piece.where in self._around else None,
                )
            region = self.current
            outcome = region.advance()
            if isinstance(outcome, Missing):
                return outcome
            if isinstance(outcome, Exhausted):
                return EXHAUSTED
            if isinstance(outcome, Exclude):
                return Exclusive(tuple(map(Conflict, outcome.pairs)))
            if isinstance(outcome, Failed) and region.where in self._helped:
                outcome = self._helped[region.where]
            if isinstance(outcome, Failed):
                markers = markers_of(outcome.proof)
                pair = region.pair(outcome.proof)
                if pair is not None:
                    self._exclusive[Conflict(pair)] = None
                    self.used += region.steps
                    self.current = None
                    continue  # nobody installs both: the rest is solved without this region
                if not markers:
                    if region.where in self._around or not self._lacks_files(region, outcome.proof):
                        return Impossible(region, outcome.proof)
                    self._around[region.where] = Impossible(region, outcome.proof)
                    self._open.append(self._piece)
                    self.used += region.steps
                    self.current = None
                    continue
                outcome = Cut(markers[0])
            self.used += region.steps
            self.current = None
            if isinstance(outcome, Apart):
                self._part(self._piece, outcome.left)
                continue
            if isinstance(outcome, Cut):
                if region.where in self._around and implies(region.where, outcome.marker):
                    return self._around[region.where]
                self._cut(self._piece, outcome.marker)
                continue
            if region.where in self._around.keys() - self._helped.keys():
                self._helped[region.where] = outcome
                self._open.insert(0, self._piece)
                continue
            left = any_of(self.problem.items[key].flag for key in outcome.left)
            self.solved.append(Solved(minus(region.where, left), outcome))
            self._exclusive.update((Conflict(pair), None) for pair in outcome.pairs)
            if outcome.left:
                self._open.append(_Piece(both(region.where, left), frozenset(outcome.left)))
            for name, index in outcome.chosen.items():
                known = self._earlier.setdefault(name, [])
                if index not in known:
                    known.append(index)

    def _unserved(self) -> Impossible | None:
        """How a region failed that was solved with files judged for all there is, if a candidate turns out to
        have none anywhere that it is chosen for."""
        for solved in self.solved:
            within = [where for where in self._around if implies(solved.where, where)]
            if not within:
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
                    return self._around[within[0]]
        return None

    def _lacks_files(self, region: Region, proof: Incompatibility) -> bool:
        """Whether it is for want of files that *region*, a part of all there is, can not be solved."""
        kinds = {leaf.cause.kind for leaf in leaves(proof) if isinstance(leaf.cause, Barred)}
        return region.where != self.problem.where and not kinds.isdisjoint(("files", "required"))

    def _first_regions(self) -> list[_Piece]:
        where = self.problem.where
        preferred = [both(where, parse(split)) for split in self.problem.request.preferred_splits]
        pieces: list[Diagram] = []
        for piece in (*preferred, minus(where, any_of(preferred))):
            rest = minus(piece, any_of(pieces))
            if rest != FALSE:
                pieces.append(rest)
        return [_Piece(where) for where in self._ordered(pieces)]

    def _cut(self, piece: _Piece, marker: Diagram) -> None:
        pieces = [both(piece.where, marker), minus(piece.where, marker)]
        assert FALSE not in pieces, "a cut leaves something on both sides"
        # What few wheels there are for WebAssembly shall not decide what everybody else gets.
        late = [] if self._is_late(piece.where) else [where for where in pieces if self._is_late(where)]
        self._open[:0] = [_Piece(where, piece.first) for where in late]
        now = self._ordered([where for where in pieces if where not in late])
        self._open += [_Piece(where, piece.first) for where in now]

    def _is_late(self, where: Diagram) -> bool:
        return self.problem.expected.wasm and implies(where, WHEELS_ONLY)

    def _part(self, piece: _Piece, left: tuple[ItemKey, ...]) -> None:
        """Solve each member with items in *left* alone; the first item alone, if that is the same."""
        items = self.problem.items
        members: dict[NormalizedName, list[ItemKey]] = {}
        for key in left:
            members.setdefault(NormalizedName(key[0]), []).append(key)
        if self.problem.request.shared_environment or len(members) < 2:
            self._cut(piece, items[left[0]].flag)
            return
        where = piece.where
        parts: list[_Piece] = []
        for keys in members.values():
            flags = any_of(items[key].flag for key in keys)
            parts.append(_Piece(both(where, flags), frozenset(keys)))
            where = minus(where, flags)
        self._open += reversed(parts)

    def _ordered(self, pieces: list[Diagram]) -> list[Diagram]:
        """The piece to solve first comes last: the one with the newest Python (for the strategy
        ``fewest`` the oldest), of equal ones the first. Systems without builds are solved at the end."""
        newest_first = self.problem.request.fork_strategy != "fewest"
        ranked = sorted(enumerate(pieces), key=lambda entry: -entry[0])
        ranked.sort(key=lambda entry: _python_rank(entry[1]), reverse=not newest_first)
        ranked.sort(key=lambda entry: not self._is_late(entry[1]))
        return [piece for _, piece in ranked]


def _python_rank(where: Diagram) -> tuple[str, str]:
    lower, upper = python_bounds(where)
    return (sort_key(upper) if upper else "~", sort_key(lower) if lower else "")


def markers_of(proof: Incompatibility) -> list[Diagram]:
    """The markers a proof hangs on, in the order in which its leaves are met."""
    return list(dict.fromkeys(leaf.marker for leaf in leaves(proof) if leaf.markers))
