"""A chain of a proof: facts and conclusions from which, one after the other, something follows."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pypm_model.records import record
from pypm_resolver.incompatibility import Incompatibility


@record
class Branch:
    """Those parts of a chain that lead to one requirement on the node at which all meet."""

    parts: tuple[Incompatibility, ...]
    term: tuple[int, int] | None
    """What can not be, according to these parts alone; None if that is not one term."""


class Chain:
    """*parts* from which a contradiction follows, drawn anew: those of a lower *rank* first.

    ``parts`` are then in the order of their conclusions, the last one contradicted by what follows from
    the others; parts that are not needed for that are left out. Where it can not be drawn part by part
    they stay as they are.
    """

    def __init__(
        self, parts: Sequence[Incompatibility], everything: Sequence[int], rank: Callable[[Incompatibility], int]
    ) -> None:
        self.parts = tuple(parts)
        self._makers: dict[int, list[int]] = {}
        """By node: the parts that narrow it."""
        self._inputs: list[list[int]] = []
        """By part: the nodes whose states it rests on."""
        drawn = self._drawn(sorted(parts, key=rank), everything)
        self._is_plain = drawn is not None
        if drawn is not None:
            self.parts = drawn
        last = self.parts[-1].terms
        self.meeting: int | None = last[-1][0] if last else None
        """The node at which the requirements meet that can not all be met."""

    def _drawn(
        self, waiting: list[Incompatibility], everything: Sequence[int]
    ) -> tuple[Incompatibility, ...] | None:
        bits: dict[int, int] = {}
        drawn: list[Incompatibility] = []
        while waiting:
            for part in waiting:
                open_terms = [(n, term) for n, term in part.terms if bits.get(n, everything[n]) & ~term]
                if len(open_terms) <= 1:
                    break
            else:
                return None
            waiting.remove(part)
            if not open_terms:
                return (*drawn, part)
            ((node, term),) = open_terms
            if bits.get(node, everything[node]) & term:
                bits[node] = bits.get(node, everything[node]) & ~term
                self._makers.setdefault(node, []).append(len(drawn))
                self._inputs.append([other for other, _ in part.terms if other != node])
                drawn.append(part)
        return None

    def branches(self) -> list[Branch]:
        """The parts by the requirement on `meeting` that they lead to; all in one if it is not that plain."""
        if not self._is_plain or self.meeting is None:
            return [Branch(self.parts, None)]
        last = len(self.parts) - 1
        self._inputs.append([node for node, _ in self.parts[last].terms if node != self.meeting])
        found: list[Branch] = []
        told: set[int] = set()
        for head in (*self._makers.get(self.meeting, ()), last):
            closure = self._closure(head)
            told |= closure
            term = dict(self.parts[head].terms)[self.meeting]
            found.append(Branch(tuple(self.parts[i] for i in sorted(closure)), (self.meeting, term)))
        self.parts = tuple(part for i, part in enumerate(self.parts) if i in told)
        return found

    def _closure(self, head: int) -> set[int]:
        """The parts that *head* rests on, itself included."""
        found: set[int] = set()
        waiting = [head]
        while waiting:
            part = waiting.pop()
            if part in found:
                continue
            found.add(part)
            waiting += [
                maker for node in self._inputs[part] for maker in self._makers.get(node, ()) if maker < part
            ]
        return found
