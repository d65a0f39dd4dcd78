"""What a proof rests on, as few facts as will do, and a short proof from them.

A search that failed leaves a proof with one leaf for each version it looked at. Of the leaves,
those that say the same of several versions become one *statement*; what different versions ask of one
package is told as one weaker statement where that is enough; and statements without which there is
still no solution are left out. Versions that no statement tells apart are then one state, so that a
small search finds a short proof of the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pypm_model.markers import Diagram, all_of
from pypm_model.records import record, replace
from pypm_resolver.graph import Graph
from pypm_resolver.incompatibility import (
    Barred,
    Cause,
    Constrained,
    Depends,
    Incompatibility,
    Structure,
    Wanted,
    leaves,
)
from pypm_resolver.solver import Solver
from pypm_resolver.wording import of_requirement

_STEPS = 5_000
"""Steps of one small search after which it counts as undecided."""
_PATIENCE = 100_000
"""Steps of all small searches together after which the statements are left as they are."""

Terms = tuple[tuple[int, int], ...]


@record
class Statement:
    """What several leaves say alike of several candidates of one package."""

    terms: Terms
    """As of an `Incompatibility`; the first is about what the statement is about."""
    cause: Cause
    marker: Diagram
    texts: tuple[str, ...] = ()
    """Of a dependency: the requirement as written; several if the candidates have different ones."""
    item: int = -1
    """Of what a member asks for: the node of the member, extra or group; else -1."""


@record
class Grounds:
    """*proof* has no terms; its leaves are statements (`of`)."""

    statements: tuple[Statement, ...]
    proof: Incompatibility
    leaves: dict[int, Statement]

    def of(self, leaf: Incompatibility) -> Statement:
        """What a leaf of the proof stands for."""
        return self.leaves[id(leaf)]


@record
class _Refuted:
    """A proof in the states of a small search."""

    proof: Incompatibility
    leaves: list[tuple[Incompatibility, Statement]]
    states: list[list[int]]
    """By number of the node, what each bit stands for."""
    nodes: list[int]
    """By number of the node, its number in the graph."""


def grounds(graph: Graph, proof: Incompatibility) -> Grounds:
    """The statements that *proof*, which has no terms, rests on."""
    return _Reduction(graph, proof).grounds()


class _Reduction:
    def __init__(self, graph: Graph, proof: Incompatibility) -> None:
        self.graph = graph
        self.everything = graph.solver.everything
        self.leaves = leaves(proof)
        self.left = _PATIENCE
        self.given = {
            leaf.terms[0][0]: (leaf.terms[0][1], leaf.marker)
            for leaf in self.leaves
            if isinstance(leaf.cause, Structure) and len(leaf.terms) == 1
        }
        """By node: the states the root excludes, and where."""

    def grounds(self) -> Grounds:
        statements = self._grouped()
        if not self._fails(statements):
            # Nothing shorter within the budget: the leaves, in one step.
            return _flat(statements)
        statements = self._narrowed(self._fewest(self._joined(self._fewest(statements))))
        found = self._refuted(statements)
        assert found is not None, "what was refuted before is refuted again"
        return Grounds(tuple(statements), *_in_full(found))

    # Statements

    def _grouped(self) -> list[Statement]:
        """The leaves, those that differ only in the candidates they speak of as one."""
        groups: dict[object, list[tuple[Terms, Incompatibility]]] = {}
        for leaf in self.leaves:
            terms = self._open(leaf.terms) or leaf.terms
            key: object
            match leaf.cause:
                case Depends(requirement=requirement, extra=extra):
                    key = (terms[0][0], of_requirement(requirement), extra, terms[1:], leaf.marker)
                case Barred():
                    key = (terms[0][0], leaf.cause, terms[1:], leaf.marker)
                case Wanted() if self._item(leaf) < 0:
                    key = (terms[0][0], leaf.cause, terms[1:], leaf.marker)
                case _:
                    key = id(leaf)
            groups.setdefault(key, []).append((terms, leaf))
        statements = []
        for group in groups.values():
            terms, leaf = group[0]
            mask = 0
            for own, _ in group:
                mask |= own[0][1]
            texts = (of_requirement(leaf.cause.requirement),) if isinstance(leaf.cause, Depends) else ()
            marker = all_of(
                (leaf.marker, *(self.given[node][1] for node, _ in leaf.terms if node in self.given))
            )
            assert not isinstance(leaf.cause, tuple), "a leaf is derived from nothing"
            said_of = ((terms[0][0], mask), *terms[1:])
            statements.append(Statement(said_of, leaf.cause, marker, texts, self._item(leaf)))
        return statements

    def _item(self, leaf: Incompatibility) -> int:
        """The item whose requirement *leaf* is; -1 if it is none of a member's."""
        if not isinstance(leaf.cause, Wanted):
            return -1
        return next((node for node, _ in leaf.terms if self.graph.keys[node][0] == "item"), -1)

    def _open(self, terms: Terms) -> Terms:
        """*terms* without those that always hold, because the root asks for it."""
        return tuple(
            (node, term)
            for node, term in terms
            if node not in self.given or term | self.given[node][0] != self.everything[node]
        )

    def _joined(self, statements: list[Statement]) -> list[Statement]:
        """What versions of one package ask of another, in as few statements as will do."""
        groups: dict[object, list[Statement]] = {}
        for statement in statements:
            if isinstance(statement.cause, Depends) and len(statement.terms) > 1:
                nodes = tuple(node for node, _ in statement.terms)
                groups.setdefault((nodes, statement.cause.extra, statement.marker), []).append(statement)
        for group in groups.values():
            if len(group) == 1:
                continue
            whole = _join(group)
            if self._fails(_replaced(statements, group, [whole])):
                statements = _replaced(statements, group, [whole])
                continue
            group.sort(key=lambda statement: -statement.terms[0][1])
            done = [group[0]]
            for position, statement in enumerate(group[1:], 1):
                wider = [*done[:-1], _join([done[-1], statement])]
                if self._fails(_replaced(statements, group, [*wider, *group[position + 1 :]])):
                    done = wider
                else:
                    done.append(statement)
            statements = _replaced(statements, group, done)
        return statements

    def _fewest(self, statements: list[Statement]) -> list[Statement]:
        """*statements* without those that are not needed; the farthest from the members go first."""
        statements = self._used(statements)
        far = _distances(statements)
        for statement in sorted(statements, key=lambda s: (_rank(s), -far[id(s)])):
            rest = [other for other in statements if other is not statement]
            if len(rest) < len(statements) and self._fails(rest):
                statements = self._used(rest)
        return statements

    def _narrowed(self, statements: list[Statement]) -> list[Statement]:
        """Bars that speak only of versions that matter."""
        for original in list(statements):
            if not isinstance(original.cause, Barred):
                continue
            statement = original
            (node, _), *rest = statement.terms
            for part in _states(statements, node, self.everything[node]):
                mask = statement.terms[0][1]
                if not mask & ~part or not mask & part:
                    continue
                less = replace(statement, terms=((node, mask & ~part), *rest))
                if self._fails(_replaced(statements, [statement], [less])):
                    statements = _replaced(statements, [statement], [less])
                    statement = less
        return statements

    # The small search

    def _used(self, statements: list[Statement]) -> list[Statement]:
        found = self._refuted(statements) if self.left > 0 else None
        if found is None:
            return statements
        statement_of = {id(leaf): statement for leaf, statement in found.leaves}
        used = {id(statement_of[id(leaf)]) for leaf in leaves(found.proof)}
        return [statement for statement in statements if id(statement) in used]

    def _fails(self, statements: Sequence[Statement]) -> bool:
        return self.left > 0 and self._refuted(statements) is not None

    def _refuted(self, statements: Sequence[Statement]) -> _Refuted | None:
        """A proof that *statements* can not all be met; None if they can be, or if it takes too long to
        tell."""
        nodes = list(dict.fromkeys(node for statement in statements for node, _ in statement.terms))
        states = {node: _states(statements, node, self.everything[node]) for node in nodes}
        solver = Solver()
        number = {node: solver.add_node(len(states[node]) - 1) for node in nodes}
        small: list[tuple[Incompatibility, Statement]] = []
        for statement in statements:
            terms = tuple(
                (number[node], sum(1 << i for i, state in enumerate(states[node]) if state & term))
                for node, term in statement.terms
            )
            small.append((Incompatibility(terms, statement.cause, marker=statement.marker), statement))
            solver.add(small[-1][0])
        proof = self._search(solver)
        return None if proof is None else _Refuted(proof, small, [states[node] for node in nodes], nodes)

    def _search(self, solver: Solver) -> Incompatibility | None:
        while solver.conflicts + solver.decisions < _STEPS:
            while not solver.settled:
                self.left -= 1
                proof = solver.propagate()
                if proof is not None:
                    return proof
            node = solver.next_open()
            if node is None:
                return None
            solver.decide(node, solver.bits[node].bit_length() - 1)
        return None


def _states(statements: Iterable[Statement], node: int, everything: int) -> list[int]:
    """The states of *node* that no statement tells apart, as masks: the one of "not selected" last, the
    others by their newest version."""
    absent = (everything + 1) >> 1
    parts = [everything & ~absent] if everything != absent else []
    for statement in statements:
        for other, term in statement.terms:
            if other == node:
                parts = [piece for part in parts for piece in (part & term, part & ~term) if piece]
    return [*sorted(parts), absent]


def _in_full(found: _Refuted) -> tuple[Incompatibility, dict[int, Statement]]:
    """The proof in terms of all versions again, and what its leaves stand for."""
    statement_of = {id(leaf): statement for leaf, statement in found.leaves}
    known: dict[int, Statement] = {}
    full: dict[int, Incompatibility] = {}
    waiting = [found.proof]
    while waiting:
        one = waiting[-1]
        if id(one) in full:
            waiting.pop()
            continue
        if not isinstance(one.cause, tuple):
            statement = statement_of[id(one)]
            made = Incompatibility(statement.terms, statement.cause, marker=statement.marker)
            known[id(made)] = statement
        else:
            missing = [cause for cause in one.cause if id(cause) not in full]
            if missing:
                waiting += missing
                continue
            terms = tuple(
                (
                    found.nodes[node],
                    sum(state for i, state in enumerate(found.states[node]) if term >> i & 1),
                )
                for node, term in one.terms
            )
            first, second = one.cause
            made = Incompatibility(terms, (full[id(first)], full[id(second)]))
        full[id(one)] = made
    return full[id(found.proof)], known


def _flat(statements: list[Statement]) -> Grounds:
    """All *statements* at once."""
    made = [Incompatibility(s.terms, s.cause, marker=s.marker) for s in statements]
    proof = made[0]
    for leaf in made[1:]:
        proof = Incompatibility((), (proof, leaf))
    return Grounds(tuple(statements), proof, {id(leaf): s for leaf, s in zip(made, statements, strict=True)})


def _join(group: Sequence[Statement]) -> Statement:
    """What all of *group*, dependencies of one package on another, say together: weaker, and true."""
    (node, mask), *rest = group[0].terms
    others = dict(rest)
    texts: dict[str, None] = dict.fromkeys(group[0].texts)
    for statement in group[1:]:
        mask |= statement.terms[0][1]
        for other, term in statement.terms[1:]:
            others[other] &= term
        texts.update(dict.fromkeys(statement.texts))
    return replace(group[0], terms=((node, mask), *others.items()), texts=tuple(texts))


def _replaced(
    statements: Sequence[Statement], old: Sequence[Statement], new: Sequence[Statement]
) -> list[Statement]:
    """*statements* with *new* in the place of the first of *old*."""
    gone = {id(statement) for statement in old}
    result: list[Statement] = []
    placed = False
    for statement in statements:
        if id(statement) not in gone:
            result.append(statement)
        elif not placed:
            placed = True
            result += new
    return result


def _rank(statement: Statement) -> int:
    """In which order statements are tried to be left out."""
    match statement.cause:
        case Depends():
            return 0
        case Barred():
            return 1
        case Constrained():
            return 2
        case _:
            return 3


def _distances(statements: Sequence[Statement]) -> dict[int, int]:
    """By identity of the statement: how many packages are between it and the members."""
    far: dict[int, int] = {}
    for statement in statements:
        if isinstance(statement.cause, Wanted):
            far.update((node, 0) for node, _ in statement.terms)
    grown = True
    while grown:
        grown = False
        for statement in statements:
            start = far.get(statement.terms[0][0])
            if start is None or not isinstance(statement.cause, Depends):
                continue
            for node, _ in statement.terms[1:]:
                if far.get(node, start + 2) > start + 1:
                    far[node] = start + 1
                    grown = True
    return {id(s): max((far.get(node, 0) for node, _ in s.terms), default=0) for s in statements}
