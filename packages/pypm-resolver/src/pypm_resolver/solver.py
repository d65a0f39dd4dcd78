"""Conflict-driven search over one region: unit propagation, conflict resolution, backjumping.

Knows nodes, bits and incompatibilities, and nothing of packages, markers or facts. The words are
those of Dart pub's solver: a *decision* picks a version, a *derivation* follows from an
incompatibility all of whose other terms hold. Nothing recurses.
"""

from __future__ import annotations

from collections.abc import Iterable
from heapq import heappop, heappush
from itertools import chain

from pypm_resolver.incompatibility import Incompatibility, resolve


class Step:
    """One narrowing of a node's states."""

    __slots__ = ("before", "bits", "cause", "index", "level", "node")

    def __init__(
        self, node: int, before: int, bits: int, cause: Incompatibility | None, level: int, index: int
    ) -> None:
        self.node = node
        self.before = before
        self.bits = bits
        self.cause = cause
        self.level = level
        self.index = index


class Solver:
    """The partial solution and the incompatibilities it must respect.

    ``bits[node]`` are the states still possible; ``absent[node]`` is the bit that says "not
    selected". A node is *required* when that bit is gone and *fixed* when exactly one version is left.
    """

    def __init__(self) -> None:
        self.bits: list[int] = []
        self.everything: list[int] = []
        self.absent: list[int] = []
        self.rank: list[int] = []
        """Of a node, in choosing: 0 promoted, 1 as discovered, 2 demoted."""
        self.level = 0
        self.decisions = 0
        self.conflicts = 0
        self.looked_at = 0
        """Incompatibilities looked at: in a hard search, where much is learned, the bulk of the work."""
        self.fixed: list[int] = []
        """Nodes that became fixed, oldest first; may hold some that no longer are."""
        self.last_conflict: tuple[int, int] | None = None
        """(affected, culprit) of the latest conflict: the node whose version was rejected, and the
        node of the decision it clashed with."""
        self._watching: list[list[tuple[int, Incompatibility]]] = []
        """By node: (states outside of its term, incompatibility), terms of several states."""
        self._at: list[dict[int, list[Incompatibility]]] = []
        """By node and state: incompatibilities whose term is that one state."""
        self._added: list[tuple[int, Incompatibility]] = []
        """(level, incompatibility), levels ascending: those that may imply more at lower levels."""
        self._history: list[list[Step]] = []
        self._trail: list[Step] = []
        self._changed: list[int] = []
        self._open: list[tuple[int, int]] = []
        self._failed: Incompatibility | None = None

    def add_node(self, versions: int, rank: int = 1) -> int:
        """A new node with *versions* versions, nothing known about it."""
        node = len(self.bits)
        absent = 1 << versions
        everything = (absent << 1) - 1
        self.bits.append(everything)
        self.everything.append(everything)
        self.absent.append(absent)
        self.rank.append(rank)
        self._watching.append([])
        self._at.append({})
        self._history.append([])
        return node

    def is_fixed(self, node: int) -> bool:
        """Whether exactly one version of *node* is left and it is required."""
        bits = self.bits[node]
        return bits & (bits - 1) == 0 and bits != self.absent[node]

    def add(self, incompatibility: Incompatibility) -> None:
        """Respect one more incompatibility; its consequences are drawn by `propagate`."""
        if not incompatibility.terms:
            self._failed = incompatibility
            return
        self._watch(incompatibility)
        if self.level:
            self._added.append((self.level, incompatibility))
        self._draw(incompatibility)

    def _watch(self, incompatibility: Incompatibility) -> None:
        for node, term in incompatibility.terms:
            if term & (term - 1):
                self._watching[node].append((self.everything[node] & ~term, incompatibility))
            else:
                self._at[node].setdefault(term, []).append(incompatibility)

    def _draw(self, incompatibility: Incompatibility) -> None:
        """Draw what follows from one incompatibility; leave a conflict to `propagate`."""
        bits = self.bits
        unit = -1
        unit_bits = 0
        for node, term in incompatibility.terms:
            possible = bits[node]
            overlap = possible & term
            if overlap == possible:
                continue
            if not overlap or unit >= 0:
                return
            unit, unit_bits = node, term
        if unit >= 0:
            self._assign(unit, bits[unit] & ~unit_bits, incompatibility)
        else:
            self._changed.append(incompatibility.terms[0][0])

    def decide(self, node: int, version: int) -> None:
        """Choose *version* (an index) for *node* and open a new level."""
        self.level += 1
        self.decisions += 1
        self._assign(node, 1 << version, None)

    def next_open(self) -> int | None:
        """The node to choose a version for: required, several versions left; by rank, then age."""
        heap = self._open
        while heap:
            rank, node = heap[0]
            bits = self.bits[node]
            if bits & self.absent[node] or bits & (bits - 1) == 0 or rank != self.rank[node]:
                heappop(heap)
                continue
            return node
        return None

    def rerank(self, node: int, rank: int) -> None:
        """Change *node*'s turn in choosing."""
        self.rank[node] = rank
        heappush(self._open, (rank, node))

    def culprit(self, node: int) -> int | None:
        """The node whose narrowing led to the latest narrowing of *node*, if that was a derivation."""
        history = self._history[node]
        cause = history[-1].cause if history else None
        if cause is None:
            return None
        latest: Step | None = None
        for other, term in cause.terms:
            if other != node:
                step = self._satisfier(other, term)
                if latest is None or step.index > latest.index:
                    latest = step
        return latest.node if latest is not None else None

    def blame(self, node: int) -> Incompatibility:
        """What keeps *node*, which is ruled out, from being selected: apart from its own, the terms are of
        decisions."""
        cause = self._history[node][-1].cause
        assert cause is not None, "nobody decides that something is not selected"
        return self._by_decisions(node, cause)

    def why_not(self, node: int, version: int) -> Incompatibility | None:
        """What keeps *version* from being chosen for *node*, in the same way; None if nothing does, or if
        another one was simply preferred."""
        step = next((step for step in self._history[node] if not step.bits >> version & 1), None)
        return None if step is None or step.cause is None else self._by_decisions(node, step.cause)

    def _by_decisions(self, node: int, incompatibility: Incompatibility) -> Incompatibility:
        """*incompatibility*, all of whose terms but that of *node* hold, followed back to decisions."""
        while True:
            latest: Step | None = None
            for other, term in incompatibility.terms:
                if other != node:
                    step = self._satisfier(other, term)
                    if step.cause is not None and (latest is None or step.index > latest.index):
                        latest = step
            if latest is None or latest.cause is None:
                return incompatibility
            incompatibility = resolve(
                incompatibility, latest.cause, latest.node, self.everything[latest.node]
            )

    def restart(self) -> None:
        """Take back every decision; what was learned stays."""
        self._undo(0)

    def propagate(self) -> Incompatibility | None:
        """Draw all consequences, resolving conflicts on the way.

        Gives None when nothing contradicts, else the incompatibility without terms: the proof that
        there is no solution. Takes one conflict at most: call again until `settled`.
        """
        conflict = self._failed or self._propagate()
        if conflict is None:
            return None
        self.conflicts += 1
        learned = self._learn(conflict)
        return learned if not learned.terms else None

    @property
    def settled(self) -> bool:
        """Whether all consequences are drawn."""
        return not self._changed and self._failed is None

    def _assign(self, node: int, bits: int, cause: Incompatibility | None) -> None:
        before = self.bits[node]
        step = Step(node, before, bits, cause, self.level, len(self._trail))
        self._trail.append(step)
        self._history[node].append(step)
        self.bits[node] = bits
        self._changed.append(node)
        if not bits & self.absent[node]:
            if bits & (bits - 1):
                if before & self.absent[node]:
                    heappush(self._open, (self.rank[node], node))
            else:
                self.fixed.append(node)

    def _propagate(self) -> Incompatibility | None:
        """Draw consequences until nothing changes, or give an incompatibility all of whose terms hold.

        Something can follow from an incompatibility only when one of its terms begins to hold, so
        a changed node has only those looked at whose term on it holds now.
        """
        bits = self.bits
        changed = self._changed
        while changed:
            node = changed.pop()
            now = bits[node]
            if now & (now - 1):
                exact: Iterable[Incompatibility] = ()
            else:
                exact = self._at[node].get(now, ())
            watching = self._watching[node]
            self.looked_at += len(watching)
            for incompatibility in chain(exact, [i for outside, i in watching if not now & outside]):
                unit = -1
                unit_bits = 0
                for other, term in incompatibility.terms:
                    possible = bits[other]
                    overlap = possible & term
                    if overlap == possible:
                        continue
                    if not overlap or unit >= 0:
                        break
                    unit, unit_bits = other, term
                else:
                    if unit < 0:
                        # The rest of this node's incompatibilities is looked at again afterwards.
                        changed.append(node)
                        return incompatibility
                    self._assign(unit, bits[unit] & ~unit_bits, incompatibility)
        return None

    def _learn(self, conflict: Incompatibility) -> Incompatibility:
        """Resolve *conflict* until it says what should have been concluded at an earlier level;
        go back there and conclude it. Without terms: there is no such level."""
        incompatibility = conflict
        while incompatibility.terms:
            latest: Step | None = None
            previous: Step | None = None
            for node, term in incompatibility.terms:
                step = self._satisfier(node, term)
                if latest is None or step.index > latest.index:
                    if latest is not None and (previous is None or latest.index > previous.index):
                        previous = latest
                    latest = step
                elif previous is None or step.index > previous.index:
                    previous = step
            assert latest is not None
            level = previous.level if previous is not None else 0
            if latest.cause is None or latest.level > level:
                if incompatibility is not conflict:
                    self._watch(incompatibility)
                culprit = previous.node if previous is not None else latest.node
                self.last_conflict = (latest.node, culprit)
                self._undo(level)
                self._draw(incompatibility)
                return incompatibility
            incompatibility = resolve(
                incompatibility, latest.cause, latest.node, self.everything[latest.node]
            )
        return incompatibility

    def _satisfier(self, node: int, term: int) -> Step:
        """The earliest step after which *node* is within *term*."""
        for step in self._history[node]:
            if not step.bits & ~term:
                return step
        raise AssertionError("a term of a conflict is always satisfied")

    def _undo(self, level: int) -> None:
        trail = self._trail
        while trail and trail[-1].level > level:
            step = trail.pop()
            node = step.node
            self._history[node].pop()
            self.bits[node] = step.before
            if not step.before & self.absent[node]:
                heappush(self._open, (self.rank[node], node))
        self.level = level
        # What was added at a level now undone may have been unit at this one already.
        late: list[Incompatibility] = []
        while self._added and self._added[-1][0] > level:
            late.append(self._added.pop()[1])
        for incompatibility in reversed(late):
            if level:
                self._added.append((level, incompatibility))
            self._draw(incompatibility)
