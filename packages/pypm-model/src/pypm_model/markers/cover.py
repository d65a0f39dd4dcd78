"""A set of environments as few, short conditions, using the freedom of what does not matter.

Given what *must* be covered and what *may* be, `cover` finds conditions that hold wherever they must and
nowhere they may not: an irredundant sum in the manner of Minato and Morreale ("Fast generation of
prime-irredundant covers from binary decision diagrams", 1993), with variables of many values, and factored:
conditions on one variable are followed by conditions on later ones, not multiplied out. Greedy, so short
rather than shortest. Depends on the structure of the diagrams alone: equal sets give equal conditions in
every process.
"""

from __future__ import annotations

from collections.abc import Generator

from pypm_model.markers.diagram import (
    FALSE,
    TRUE,
    Diagram,
    aligned,
    all_of,
    any_of,
    both,
    first_of,
    implies,
    minus,
    node,
    specialise,
)
from pypm_model.markers.literals import Choice, choose
from pypm_model.markers.variables import is_text
from pypm_model.records import NamedTuple


class Term(NamedTuple):
    """A condition on one variable (None: none) and, with ``and``, one of *rest*."""

    choice: Choice | None
    rest: Cover


class Cover(NamedTuple):
    """One of *terms* holds. A term without choice and rest is always true."""

    terms: tuple[Term, ...]
    diagram: Diagram
    """What the terms cover."""


NOTHING = Cover((), FALSE)
EVERYTHING = Cover((Term(None, NOTHING),), TRUE)

_Bounds = tuple[Diagram, Diagram]
_covers: dict[_Bounds, Cover] = {}


def cover(must: Diagram, may: Diagram) -> Cover:
    """Conditions for a set between *must* and *may*, which it implies. Remembers answers."""
    # A stack of generators instead of recursion: a set may ask a thousand flags one after the other.
    known = _known(must, may)
    if known is not None:
        return known
    stack = [((must, may), _cover(must, may))]
    answer: Cover | None = None
    while True:
        bounds, work = stack[-1]
        try:
            asked = next(work) if answer is None else work.send(answer)
        except StopIteration as done:
            answer = _covers[bounds] = done.value
            stack.pop()
            if not stack:
                return _covers[bounds]
        else:
            answer = _known(*asked)
            if answer is None:
                stack.append((asked, _cover(*asked)))


def _known(must: Diagram, may: Diagram) -> Cover | None:
    if must == FALSE:
        return NOTHING
    if may == TRUE:
        return EVERYTHING
    return _covers.get((must, may))


def _cover(must: Diagram, may: Diagram) -> Generator[_Bounds, Cover, Cover]:
    variable = first_of(must, may)
    keys, left, limits = aligned(variable, must, may)
    count = len(left)

    def fit(d: Diagram, i: int) -> Diagram:
        """*d* as it is under child *i*."""
        return specialise(d, variable, keys[i]) if i < len(keys) and is_text(variable) else d

    found: list[tuple[tuple[int, ...], Term]] = []
    covered = [FALSE] * count
    while any(rest != FALSE for rest in left):
        # 1. The child whose need is allowed under the most children: it makes the most general term.
        seed, allowed = -1, list[int]()
        for i in range(count):
            if left[i] != FALSE:
                under = [j for j in range(count) if implies(fit(left[i], j), limits[j])]
                if len(under) > len(allowed):
                    seed, allowed = i, under
        need = left[seed]
        # 2. The condition on this variable: none, or one that covers every child that shares the need.
        if len(allowed) == count:
            choice, chosen = None, tuple(range(count))
        else:
            shared = [j for j in allowed if j == seed or both(fit(need, j), left[j]) != FALSE]
            choice = choose(variable, keys, frozenset(shared), frozenset(allowed))
            chosen = choice.chosen
        # 3. The conditions on later variables.
        limit = all_of([limits[j] for j in chosen])
        if not implies(need, limit):
            # Allowed only by what a value of this variable decides, which later conditions do not know.
            limit = need
        rest = yield need, limit
        for j in chosen:
            here = fit(rest.diagram, j)
            left[j] = minus(left[j], here)
            covered[j] = any_of((covered[j], here))
        found.append((chosen, Term(choice, rest)))
    # 4. What a later, more general condition covers too is taken out of an earlier one.
    for each in found[:-1]:
        chosen, term = each
        others = [other for other in found if other is not each]
        alone = [
            j
            for j in chosen
            if not implies(
                fit(term.rest.diagram, j),
                any_of([fit(other.rest.diagram, j) for under, other in others if j in under]),
            )
        ]
        if not alone:
            found = others
        elif term.choice is not None and len(alone) < len(chosen):
            choice = choose(variable, keys, frozenset(alone), frozenset(chosen))
            found[found.index(each)] = (choice.chosen, Term(choice, term.rest))
    terms = _in_order(found, count)
    return Cover(terms, node(variable, keys, tuple(covered)))


def _in_order(found: list[tuple[tuple[int, ...], Term]], count: int) -> tuple[Term, ...]:
    """Conditions on this variable first, in the order of its values; then those on later ones."""
    terms: list[Term] = []
    for _, term in sorted(found, key=lambda each: (len(each[0]) == count, each[0])):
        terms += term.rest.terms if term.choice is None else (term,)
    return tuple(terms)
