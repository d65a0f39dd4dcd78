"""Decision diagrams: sets of environments as interned integers.

A node asks one variable and has a child for each answer. For the Python axis the keys are cut points
and child *i* holds from cut *i-1* up to before cut *i*; for a field with a text the keys are values, with
one child each and a last one for every other value; a boolean has no keys and the children (false, true).
Variables come in the order of `variables.Variable` on every path, no node has children that are all
alike, and equal nodes have one number: so sets that are equal are the same integer.

*Within U* (see `variables`): a value of one field may decide a later variable. The child for such a value
never asks the decided variable, and a key is left out if its child is what the last child becomes when the
decided variables are put in (`specialise`). That keeps the form unique among the possible environments.

The tables belong to the process and grow with the number of different sets that were made; they are for one
thread at a time. Nothing here recurses over a diagram: depth is bounded by memory only.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any, ClassVar, NewType

from pypm_model.errors import PypmError
from pypm_model.markers.variables import (
    DEPENDENTS,
    END,
    ORDER,
    PYTHON,
    SET_RANK,
    SETS,
    Variable,
    decisions,
    is_boolean,
    is_text,
    number,
)

Diagram = NewType("Diagram", int)
FALSE = Diagram(0)
TRUE = Diagram(1)

Keys = tuple[Any, ...]
"""Cut points of the Python axis (tuples of numbers) or values (texts), ascending."""
_Pair = tuple[Diagram, Diagram]

_variable: list[int] = [END, END]
_keys: list[Keys] = [(), ()]
_children: list[tuple[Diagram, ...]] = [(), ()]
_support: list[int] = [0, 0]
_nodes: dict[tuple[int, Keys, tuple[Diagram, ...]], Diagram] = {}

_ands: dict[_Pair, Diagram] = {}
_ors: dict[_Pair, Diagram] = {}
_negations: dict[Diagram, Diagram] = {FALSE: TRUE, TRUE: FALSE}
_specialised: dict[tuple[Diagram, int, str], Diagram] = {}
_MEMO_LIMIT = 1_000_000
"""Results remembered per operation before they are forgotten all at once (about 150 MB)."""
STEP_LIMIT = 150_000
"""Nodes one operation may visit: some seconds. Real sets take hundreds; a diagram of hostile conditions
(pairs of many extras) can be exponential in their number."""


class TooComplex(PypmError):
    """A set of environments hangs on too many conditions at once to be worked out."""

    code: ClassVar[str] = "marker-too-complex"
    exit: ClassVar[int] = 2

    steps: int

    def __str__(self) -> str:
        return f"the conditions of a marker combine in too many ways (more than {self.steps} steps)"


def node(variable: int, keys: Keys, children: tuple[Diagram, ...]) -> Diagram:
    """The diagram that asks *variable*; in normal form, so it may be one of the children."""
    if variable == PYTHON:
        keys, children = _merge_neighbours(keys, children)
    elif keys:
        other = children[-1]
        kept = [i for i, key in enumerate(keys) if children[i] != specialise(other, variable, key)]
        if len(kept) < len(keys):
            keys = tuple([keys[i] for i in kept])
            children = (*[children[i] for i in kept], other)
    elif children[0] == children[-1]:
        return children[0]
    if len(children) == 1:
        return children[0]
    key = (variable, keys, children)
    known = _nodes.get(key)
    if known is not None:
        return known
    new = Diagram(len(_variable))
    support = 1 << variable
    for child in children:
        support |= _support[child]
    _variable.append(variable)
    _keys.append(keys)
    _children.append(children)
    _support.append(support)
    _nodes[key] = new
    return new


def _merge_neighbours(cuts: Keys, children: tuple[Diagram, ...]) -> tuple[Keys, tuple[Diagram, ...]]:
    if not any(left == right for left, right in pairwise(children)):
        return cuts, children
    kept_cuts, kept = [], [children[0]]
    for cut, child in zip(cuts, children[1:], strict=True):
        if child != kept[-1]:
            kept_cuts.append(cut)
            kept.append(child)
    return tuple(kept_cuts), tuple(kept)


def top(d: Diagram) -> int:
    """The number of the variable asked first; `END` for TRUE and FALSE."""
    return _variable[d]


def first_of(a: Diagram, b: Diagram) -> int:
    """The variable asked first by one of the two."""
    x, y = _variable[a], _variable[b]
    return x if x == y or ORDER[x] < ORDER[y] else y


def support(d: Diagram) -> int:
    """The bits (``1 << number``) of all variables that *d* asks."""
    return _support[d]


def branches(d: Diagram) -> tuple[Keys, tuple[Diagram, ...]]:
    """The keys and children of the first node."""
    return _keys[d], _children[d]


def cofactor(d: Diagram, variable: int, value: Any) -> Diagram:
    """*d* where *variable*, which no variable asked by *d* precedes, has *value*: a version's key for the
    Python axis, a text, or a truth value."""
    if _variable[d] != variable:
        return specialise(d, variable, value) if is_text(variable) else d
    keys, children = _keys[d], _children[d]
    if variable == PYTHON:
        return children[bisect_right(keys, value)]
    if not keys:
        return children[1 if value else 0]
    position = bisect_left(keys, value)
    if position < len(keys) and keys[position] == value:
        return children[position]
    return specialise(children[-1], variable, value)


def aligned(variable: int, a: Diagram, b: Diagram) -> tuple[Keys, list[Diagram], list[Diagram]]:
    """The children of both under *variable*, which is the first of the two, for common keys."""
    asks_a, asks_b = _variable[a] == variable, _variable[b] == variable
    keys_a, keys_b = _keys[a] if asks_a else (), _keys[b] if asks_b else ()
    if variable == PYTHON:
        if not asks_b:
            return keys_a, list(_children[a]), [b] * len(_children[a])
        if not asks_a:
            return keys_b, [a] * len(_children[b]), list(_children[b])
        if keys_a == keys_b:
            return keys_a, list(_children[a]), list(_children[b])
        cuts = tuple(sorted({*keys_a, *keys_b}))
        return cuts, _spread(a, cuts), _spread(b, cuts)
    if not keys_a and not keys_b:
        return (), list(_children[a]) if asks_a else [a, a], list(_children[b]) if asks_b else [b, b]
    keys = keys_a if keys_a == keys_b else tuple(sorted({*keys_a, *keys_b}))
    under_a = [cofactor(a, variable, key) for key in keys]
    under_b = [cofactor(b, variable, key) for key in keys]
    under_a.append(_children[a][-1] if asks_a else a)
    under_b.append(_children[b][-1] if asks_b else b)
    return keys, under_a, under_b


def _spread(d: Diagram, cuts: Keys) -> list[Diagram]:
    """The children of *d*, which asks the Python axis, for more cuts than its own."""
    own, children = _keys[d], _children[d]
    return [children[0], *[children[bisect_right(own, cut)] for cut in cuts]]


def specialise(d: Diagram, variable: int, value: str) -> Diagram:
    """*d* with the variables put in that follow from the text *variable* having *value*."""
    if not _support[d] & DEPENDENTS[variable]:
        return d
    memo = (d, variable, value)
    known = _specialised.get(memo)
    if known is None:
        known = substitute(d, decisions(ORDER[variable].name, value, _support[d]))
        _specialised[memo] = known
    return known


def reachable(d: Diagram, mask: int = -1) -> list[Diagram]:
    """The nodes of *d* that ask, or lead to, a variable of *mask*; children before parents."""
    if not _support[d] & mask:
        return []
    found = {d}
    stack = [d]
    while stack:
        for child in _children[stack.pop()]:
            if child not in found and _support[child] & mask:
                found.add(child)
                stack.append(child)
    return sorted(found)  # a node is made after its children


def substitute(d: Diagram, values: Mapping[int, str | bool]) -> Diagram:
    """*d* with the values of texts and booleans put in, by the number of the variable.

    *values* must hold what follows from them too (`variables.decisions` gives that).
    """
    mask = 0
    for variable in values:
        mask |= 1 << variable
    done: dict[Diagram, Diagram] = {}
    for old in _left_by(d, mask, values):
        variable, children = _variable[old], _children[old]
        if variable in values:
            child = _answer(old, values[variable])
            done[old] = done.get(child, child)
        else:
            done[old] = node(variable, _keys[old], tuple([done.get(c, c) for c in children]))
    return done.get(d, d)


def _left_by(d: Diagram, mask: int, values: Mapping[int, str | bool]) -> list[Diagram]:
    """`reachable` by the answers in *values*: where most of a thousand flags have one, that is little."""
    if not _support[d] & mask:
        return []
    found = {d}
    stack = [d]
    while stack:
        old = stack.pop()
        variable = _variable[old]
        for child in (_answer(old, values[variable]),) if variable in values else _children[old]:
            if child not in found and _support[child] & mask:
                found.add(child)
                stack.append(child)
    return sorted(found)


def _answer(d: Diagram, value: str | bool) -> Diagram:
    """The child of the first node for *value*, as it stands."""
    keys, children = _keys[d], _children[d]
    if not keys:
        return children[1 if value else 0]
    return children[keys.index(value)] if value in keys else children[-1]


def quantify(d: Diagram, variables: Iterable[int]) -> Diagram:
    """The environments that are in *d* for some value of *variables*.

    Exact for booleans of sets (extras, flags). For a text that decides later variables the answer may
    hold more, never less.
    """
    asked = set(variables)
    mask = 0
    for variable in asked:
        mask |= 1 << variable
    done: dict[Diagram, Diagram] = {}
    for old in reachable(d, mask):
        variable = _variable[old]
        children = [done.get(c, c) for c in _children[old]]
        done[old] = any_of(children) if variable in asked else node(variable, _keys[old], tuple(children))
    return done.get(d, d)


def both(a: Diagram, b: Diagram) -> Diagram:
    """The environments in *a* and in *b*. Raises `TooComplex`, as all that combines does."""
    if a == b or b == TRUE:
        return a
    if a == TRUE:
        return b
    if a == FALSE or b == FALSE:
        return FALSE
    pair = (a, b) if a < b else (b, a)
    known = _ands.get(pair)
    return _combine(_ands, FALSE, TRUE, pair) if known is None else known


def either(a: Diagram, b: Diagram) -> Diagram:
    """The environments in *a* or in *b*."""
    if a == b or b == FALSE:
        return a
    if a == FALSE:
        return b
    if a == TRUE or b == TRUE:
        return TRUE
    pair = (a, b) if a < b else (b, a)
    known = _ors.get(pair)
    return _combine(_ors, TRUE, FALSE, pair) if known is None else known


class _Frame:
    """Work on one pair: children of both, and the results so far."""

    __slots__ = ("keys", "left", "pair", "results", "right", "variable")

    def __init__(self, pair: _Pair) -> None:
        a, b = self.pair = pair
        x, y = _variable[a], _variable[b]
        self.variable = x if x == y or ORDER[x] < ORDER[y] else y
        self.results: list[Diagram] = []
        if is_boolean(self.variable):
            # The bulk of the work in a large workspace, where each member is a flag.
            self.keys: Keys = ()
            self.left: Sequence[Diagram] = _children[a] if x == self.variable else (a, a)
            self.right: Sequence[Diagram] = _children[b] if y == self.variable else (b, b)
        else:
            self.keys, self.left, self.right = aligned(self.variable, a, b)


def _combine(memo: dict[_Pair, Diagram], zero: Diagram, one: Diagram, pair: _Pair) -> Diagram:
    """The result of an operation with zero (absorbing) and one (neutral), depth first without recursion.

    Raises `TooComplex`.
    """
    if len(memo) > _MEMO_LIMIT:
        memo.clear()
    frames = [_Frame(pair)]
    result = zero
    steps = 0
    while frames:
        frame = frames[-1]
        left, right, results = frame.left, frame.right, frame.results
        for i in range(len(results), len(left)):
            a, b = left[i], right[i]
            if a == b or b == one:
                results.append(a)
            elif a == one:
                results.append(b)
            elif a == zero or b == zero:
                results.append(zero)
            else:
                child = (a, b) if a < b else (b, a)
                known = memo.get(child)
                if known is None:
                    frames.append(_Frame(child))
                    break
                results.append(known)
        else:
            result = node(frame.variable, frame.keys, tuple(results))
            memo[frame.pair] = result
            frames.pop()
            steps += 1
            if steps > STEP_LIMIT:
                raise TooComplex(STEP_LIMIT)
    return result


def negate(d: Diagram) -> Diagram:
    """The environments that are not in *d*."""
    known = _negations.get(d)
    if known is not None:
        return known
    for old in reachable(d):
        if old not in _negations:
            new = node(_variable[old], _keys[old], tuple([_negations[c] for c in _children[old]]))
            _negations[old] = new
            _negations[new] = old
    return _negations[d]


def minus(a: Diagram, b: Diagram) -> Diagram:
    """The environments in *a* and not in *b*."""
    return both(a, negate(b))


def implies(a: Diagram, b: Diagram) -> bool:
    """Whether every environment of *a* is in *b*."""
    return a == b or both(a, b) == a


def disjoint(a: Diagram, b: Diagram) -> bool:
    """Whether no environment is in both."""
    return both(a, b) == FALSE


def all_of(diagrams: Iterable[Diagram]) -> Diagram:
    """The environments in every one; TRUE for none."""
    return _balanced(both, list(diagrams), TRUE)


def any_of(diagrams: Iterable[Diagram]) -> Diagram:
    """The environments in at least one; FALSE for none."""
    return _balanced(either, list(diagrams), FALSE)


def _balanced(
    operation: Callable[[Diagram, Diagram], Diagram], rest: list[Diagram], empty: Diagram
) -> Diagram:
    # In pairs: a long row taken one by one would build every intermediate result.
    while len(rest) > 1:
        pairs = [operation(rest[i], rest[i + 1]) for i in range(0, len(rest) - 1, 2)]
        rest = [*pairs, rest[-1]] if len(rest) % 2 else pairs
    return rest[0] if rest else empty


def boolean(variable: Variable) -> Diagram:
    """Where the boolean *variable* is true."""
    return node(number(variable), (), (FALSE, TRUE))


def named(set_: str, name: str) -> Diagram:
    """Where *name*, normalised, is in the set ``extra``, ``extras`` or ``dependency_groups``."""
    return boolean(Variable(SET_RANK + SETS.index(set_), set_, literal=name))
