"""One contradiction drawn anew, part by part, and put into the order in which it is best told.

What a lemma or a whole proof rests on are facts and earlier lemmas. From them, and from what the lemma
supposes, one conclusion is drawn after the other until one is contradicted. A *step* is such a
conclusion: that some states of one node are out, because of one part and of earlier steps.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pypm_model.records import record
from pypm_resolver.incompatibility import Incompatibility


@record
class Step:
    """A conclusion, in the order of telling: after all those it rests on."""

    part: Incompatibility
    out: tuple[int, int] | None
    """The node, and its states that are out according to this step; None if it is not that plain."""
    rests_on: tuple[int, ...]
    """Positions of earlier steps."""
    times: int
    """How many later steps rest on it."""
    is_left: bool
    """What is told next does not go on from here but begins elsewhere."""


@record
class Drawn:
    """*steps* that all together contradict each other at the node *meeting*; *last* are those that say
    something of it."""

    steps: tuple[Step, ...]
    meeting: int | None
    last: tuple[int, ...]


def drawn(
    parts: Sequence[Incompatibility],
    supposed: Sequence[tuple[int, int]],
    everything: Sequence[int],
    rank: Callable[[Incompatibility], int],
    order: Callable[[Sequence[Incompatibility]], tuple[object, ...]],
) -> Drawn:
    """The contradiction that *parts* lead to where the terms *supposed* hold: of a lower *rank* first;
    of those that meet, the first in *order*, a key for all that one rests on, is told first. Parts that
    are not needed are left out."""
    return _Drawing(parts, supposed, everything, rank).drawn(order)


class _Drawing:
    def __init__(
        self,
        parts: Sequence[Incompatibility],
        supposed: Sequence[tuple[int, int]],
        everything: Sequence[int],
        rank: Callable[[Incompatibility], int],
    ) -> None:
        self.parts = list(parts)
        self.everything = everything
        self.bits = dict(supposed)
        self.done: list[Incompatibility] = []
        self.out: list[tuple[int, int]] = []
        """Of what is done: what it says is out."""
        self.inputs: list[list[int]] = []
        """Of what is done: what it rests on, directly."""
        self.makers: dict[int, list[int]] = {}
        """By node: what is done that narrowed it."""
        self.is_plain = self._draw(sorted(parts, key=rank))

    def _draw(self, waiting: list[Incompatibility]) -> bool:
        """Whether a contradiction is reached, by a part that is then the last one done."""
        while waiting:
            # A requirement is followed from who has it to what it asks for, as long as there is one.
            part, unmet, backward = None, [], True
            for candidate in waiting:
                left = [(n, term) for n, term in candidate.terms if self._possible(n) & ~term]
                if len(left) > 1:
                    continue
                is_backward = bool(left) and len(candidate.terms) > 1 and left[0] == candidate.terms[0]
                if part is None or (backward and not is_backward):
                    part, unmet, backward = candidate, left, is_backward
                if not is_backward:
                    break
            if part is None:
                return False
            waiting.remove(part)
            # What contradicts is said of the node it speaks of last: the target of a dependency.
            node, term = unmet[0] if unmet else part.terms[-1]
            if unmet and not self._possible(node) & term:
                continue
            inputs = [maker for n, _ in part.terms if n != node for maker in self.makers.get(n, ())]
            self.inputs.append(inputs)
            self.out.append((node, term))
            self.done.append(part)
            if not unmet:
                return True
            self.makers.setdefault(node, []).append(len(self.done) - 1)
            self.bits[node] = self._possible(node) & ~term
        return False

    def _possible(self, node: int) -> int:
        return self.bits.get(node, self.everything[node])

    def drawn(self, order: Callable[[Sequence[Incompatibility]], tuple[object, ...]]) -> Drawn:
        if not self.is_plain:
            steps = tuple(Step(part, None, (), 1, False) for part in self.parts)
            return Drawn(steps, None, tuple(range(len(steps))))
        end = len(self.done) - 1
        meeting = self.out[end][0]
        heads = [*self.makers.get(meeting, ()), end]
        first = {head: order([self.done[i] for i in sorted(self._closure(head))]) for head in range(end + 1)}
        told: list[int] = []
        follows: set[int] = set()
        waiting = [(head, False) for head in sorted(heads, key=lambda i: first[i], reverse=True)]
        while waiting:
            one, is_ready = waiting.pop()
            if one in told:
                continue
            if not is_ready:
                waiting.append((one, True))
                inputs = sorted(self.inputs[one], key=lambda i: first[i], reverse=True)
                waiting += [(i, False) for i in inputs if i not in told]
                continue
            if told and told[-1] in self.inputs[one]:
                follows.add(told[-1])
            told.append(one)
        position = {one: i for i, one in enumerate(told)}
        return Drawn(
            tuple(
                Step(
                    self.done[one],
                    self.out[one],
                    tuple(sorted({position[i] for i in self.inputs[one]})),
                    sum(one in self.inputs[other] for other in told) + (one in heads),
                    one not in follows,
                )
                for one in told
            ),
            meeting,
            tuple(position[head] for head in heads),
        )

    def _closure(self, head: int) -> set[int]:
        found: set[int] = set()
        waiting = [head]
        while waiting:
            one = waiting.pop()
            if one not in found:
                found.add(one)
                waiting += self.inputs[one]
        return found
