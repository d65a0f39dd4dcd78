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

from collections.abc import Iterable

from pypm_model.markers import (
    FALSE,
    TRUE,
    WHEELS_ONLY,
    Diagram,
    any_of,
    assume,
    both,
    hangs_on,
    implies,
    minus,
    python_bounds,
)
from pypm_model.names import NormalizedName
from pypm_model.records import record
from pypm_model.requests import Conflict
from pypm_model.versions import sort_key
from pypm_resolver.choices import entered
from pypm_resolver.composition import Composed, Family, Group, Part, Solved, compose, groups_of, joined
from pypm_resolver.expansion import Missing
from pypm_resolver.fitting import Cut
from pypm_resolver.graph import NodeKey
from pypm_resolver.incompatibility import Barred, Incompatibility, leaves
from pypm_resolver.package import Package, cover_of
from pypm_resolver.problem import ItemKey, Problem, flag_name
from pypm_resolver.region import EXHAUSTED, Apart, Exclude, Exhausted, Failed, Found, Region
from pypm_resolver.universe import Universe


@record
class Impossible:
    """A region in which there is no solution, for reasons that hold in all of it."""

    region: Region
    proof: Incompatibility


@record
class _Piece:
    """A region to be solved; *first* are the items it was cut off for, in a *family* those of *group* or, as
    long as that is None, all that were left out. *left* are items that are left out from the start."""

    where: Diagram
    first: frozenset[ItemKey] = frozenset()
    family: Family | None = None
    group: Group | None = None
    left: tuple[ItemKey, ...] = ()

    def part(self, where: Diagram, first: frozenset[ItemKey] | None = None) -> _Piece:
        """A part of it."""
        return _Piece(where, self.first if first is None else first, self.family, self.group, self.left)


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
        self.detours = 0
        """How often something was in the way of what would have been chosen, in these and between them."""
        self._earlier: dict[NormalizedName, list[int]] = {}
        self._ranks: dict[NodeKey, int] = {}
        self._exclusive: dict[Conflict, None] = {}
        self._impossible: Impossible | None = None
        """The first region without a solution, where members do not share an environment."""
        self._around: dict[Diagram, Impossible] = {}
        """Regions in which files are judged for all there is, and how each failed before."""
        self._helped: dict[Diagram, Found] = {}
        """Those of them in which that has been found to help, and what was found."""
        self._families: list[Family] = []
        """Regions whose left items are solved group by group."""
        self._open = self._first_regions()
        self._piece = _Piece(FALSE)

    @property
    def steps(self) -> int:
        """Decisions and conflicts so far."""
        return self.used + (self.current.steps if self.current is not None else 0)

    def advance(self) -> Missing | Impossible | Exhausted | Exclusive | tuple[Part, ...]:
        """Solve region after region, until facts are missing or all is decided."""
        while True:
            if self.current is None:
                if not self._open:
                    if self._exclusive:
                        return Exclusive(tuple(self._exclusive))
                    if self._impossible is not None:
                        return self._impossible
                    composed = self._composed()
                    if composed is None:
                        continue
                    return self._unserved() or composed
                piece = self._open.pop()
                where = minus(piece.where, self._any_active(piece.left))
                active = entered(self.problem, where)
                if not active and self.problem.items:
                    continue  # nobody can choose anything there
                self._piece = piece
                self.current = Region(
                    self.universe,
                    where,
                    active,
                    piece.first,
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
                return self._impossible or EXHAUSTED
            if isinstance(outcome, Exclude):
                return Exclusive(tuple(map(Conflict, outcome.pairs)))
            if isinstance(outcome, Failed) and region.where in self._helped:
                outcome = self._helped[region.where]
            if isinstance(outcome, Failed):
                markers = markers_of(outcome.proof)
                pair = region.pair(outcome.proof)
                if pair is not None:
                    self._exclusive[Conflict(pair)] = None
                    self._leave(region)
                    continue  # nobody installs both: the rest is solved without this region
                if not markers:
                    impossible = Impossible(region, outcome.proof)
                    is_part = region.where != self.problem.where
                    if is_part and region.where not in self._around and lacks_files(outcome.proof):
                        self._around[region.where] = impossible
                        self._open.append(self._piece)
                    elif self.problem.request.shared_environment:
                        return impossible
                    else:
                        # Another region may tell what excludes each other, and then nobody chooses this.
                        self._impossible = self._impossible or impossible
                    self._leave(region)
                    continue
                outcome = Cut(markers[0])
            self._leave(region)
            if isinstance(outcome, Apart):
                if not self._takes_apart(self._piece):
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
            self._exclusive.update((Conflict(pair), None) for pair in outcome.pairs)
            if not (outcome.left and self._takes_apart(self._piece)):
                self._note(self._piece, outcome)

    def _leave(self, region: Region) -> None:
        self.used += region.steps
        self.detours += region.detours
        self.current = None

    def _note(self, piece: _Piece, found: Found) -> None:
        """Note what was found for *piece*, and open what is left of it."""
        left = (*piece.left, *found.left)
        active = self._any_active(left)
        solved = Solved(minus(piece.where, active), found)
        self.solved.append(solved)
        self._prefer(solved)
        if piece.group is not None:
            piece.group.solved.append(solved)
        elif piece.family is not None:
            piece.family.together.append(solved)
        if not left:
            return
        others = set(left)
        if piece.family is None:
            for where, items in self._multiplying(piece.where, left):
                groups = joined(self.problem, groups_of(self.problem, items))
                if len(groups) < 2:
                    continue
                family = Family(where, solved, groups)
                rest = _Piece(both(where, self._any_active(items)), frozenset(items), family)
                others -= rest.first
                if not (piece.left and self._takes_apart(rest)):
                    self._open_parted(rest)
        if others:
            where = both(piece.where, self._any_active(others))
            if piece.family is None:
                where = minus(where, self._any_active(set(left) - others))
            self._open_parted(_Piece(where, frozenset(others), piece.family, piece.group))

    def _multiplying(
        self, where: Diagram, left: tuple[ItemKey, ...]
    ) -> list[tuple[Diagram, tuple[ItemKey, ...]]]:
        """Items among those *left* out in *where* of which many combinations may be chosen, with the part of
        it in which they are: all of them where members share an environment, else those of each member."""
        if self.problem.request.shared_environment:
            return [(where, left)]
        found = []
        for member, own in _by_member(left).items():
            if len(own) > 1:
                others = self._any_active(key for key in left if key[0] != member)
                found.append((minus(both(where, self._any_active(own)), others), tuple(own)))
        return found

    def _open_parted(self, piece: _Piece) -> None:
        """Open *piece*, in the parts in which the old lock has it."""
        if not self.problem.request.shared_environment:
            self._open.append(piece)
            return
        self._open += [
            piece.part(where) for where in self._ordered(_parted([piece.where], self.problem.splits))
        ]

    def _any_active(self, items: Iterable[ItemKey]) -> Diagram:
        return any_of(self.problem.items[key].flag for key in items)

    def _prefer(self, solved: Solved) -> None:
        for name, index in solved.found.chosen.items():
            known = self._earlier.setdefault(name, [])
            if index not in known:
                known.append(index)

    def _takes_apart(self, piece: _Piece) -> bool:
        """Whether *piece* is one of those in which all that was left out of a region was tried together. That
        does not go, so the groups of it are opened one by one instead."""
        family = piece.family
        if family is None or family.are_apart:
            return False
        family.are_apart = True
        self._families.append(family)
        self._open = [each for each in self._open if each.family is not family]
        self._forget(family.together)
        self._open_groups(family, family.groups)
        return True

    def _open_groups(self, family: Family, groups: list[Group]) -> None:
        for group in reversed(groups):
            where = family.without_others(self.problem, group)
            self._open_parted(_Piece(where, frozenset(group.items), family, group))

    def _forget(self, solved: list[Solved]) -> None:
        self.solved = [each for each in self.solved if all(each is not other for other in solved)]
        self._earlier.clear()
        for each in self.solved:
            self._prefer(each)

    def _composed(self) -> tuple[Part, ...] | None:
        """Everything that was found, families put together; None if parts of one are to be solved anew."""
        parts: list[Part] = list(self.solved)
        for family in self._families:
            if len(family.groups) < 2:
                continue
            found = compose(self.universe, family)
            groups = family.groups
            if not isinstance(found, Composed):
                clashing = [groups[i] for cluster in found for i in cluster]
                self._forget([solved for group in clashing for solved in group.solved])
                self._open_groups(family, family.join(found))
                return None
            mine = {id(each) for group in groups for each in group.solved}
            parts = [each for each in parts if id(each) not in mine]
            at = next(i for i, each in enumerate(parts) if each is family.base)
            parts[at : at + family.holds_base] = [found]
        return tuple(parts)

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

    def _first_regions(self) -> list[_Piece]:
        where = self.problem.where
        optional = {flag_name(i.key): i.key for i in self.problem.items.values() if i.flag != TRUE}
        if self.problem.request.shared_environment and optional:
            # Items that the old lock was split by are left out from the start, as they were then.
            left = {
                name: key
                for name, key in optional.items()
                if any(hangs_on(split, name) for split in self.problem.splits)
            }
            nobody = dict.fromkeys(left, False)
            pieces = _parted([where], [assume(split, nobody) for split in self.problem.splits])
            return [_Piece(piece, left=tuple(left.values())) for piece in self._ordered(pieces)]
        preferred = [both(where, split) for split in self.problem.splits]
        pieces = []
        for piece in (*preferred, minus(where, any_of(preferred))):
            rest = minus(piece, any_of(pieces))
            if rest != FALSE:
                pieces.append(rest)
        return [_Piece(where) for where in self._ordered(pieces)]

    def _cut(self, piece: _Piece, marker: Diagram) -> None:
        self.detours += 1
        pieces = [both(piece.where, marker), minus(piece.where, marker)]
        assert FALSE not in pieces, "a cut leaves something on both sides"
        # What few wheels there are for WebAssembly shall not decide what everybody else gets.
        late = [] if self._is_late(piece.where) else [where for where in pieces if self._is_late(where)]
        self._open[:0] = [piece.part(where) for where in late]
        now = self._ordered([where for where in pieces if where not in late])
        self._open += [piece.part(where) for where in now]

    def _is_late(self, where: Diagram) -> bool:
        return self.problem.expected.wasm and implies(where, WHEELS_ONLY)

    def _part(self, piece: _Piece, left: tuple[ItemKey, ...]) -> None:
        """Solve each member with items in *left* alone; the first item alone, if that is the same."""
        items = self.problem.items
        members = _by_member(left)
        if self.problem.request.shared_environment or len(members) < 2:
            self._cut(piece, items[left[0]].flag)
            return
        where = piece.where
        parts: list[_Piece] = []
        for keys in members.values():
            flags = any_of(items[key].flag for key in keys)
            parts.append(piece.part(both(where, flags), frozenset(keys)))
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


def _by_member(keys: Iterable[ItemKey]) -> dict[NormalizedName, list[ItemKey]]:
    found: dict[NormalizedName, list[ItemKey]] = {}
    for key in keys:
        found.setdefault(key[0], []).append(key)
    return found


def _python_rank(where: Diagram) -> tuple[str, str]:
    lower, upper = python_bounds(where)
    return (sort_key(upper) if upper else "~", sort_key(lower) if lower else "")


def _parted(pieces: list[Diagram], cells: Iterable[Diagram]) -> list[Diagram]:
    """*pieces* cut so that each is within every one of *cells* or outside of it."""
    for cell in dict.fromkeys(cells):
        parts = [part for piece in pieces for part in (both(piece, cell), minus(piece, cell))]
        pieces = [part for part in parts if part != FALSE]
    return pieces


def lacks_files(proof: Incompatibility) -> bool:
    """Whether it is for want of files, too, that there is no solution."""
    kinds = {leaf.cause.kind for leaf in leaves(proof) if isinstance(leaf.cause, Barred)}
    return not kinds.isdisjoint(("files", "required"))


def markers_of(proof: Incompatibility) -> list[Diagram]:
    """The markers a proof hangs on, in the order in which its leaves are met."""
    return list(dict.fromkeys(leaf.marker for leaf in leaves(proof) if leaf.markers))
