"""Conflict-driven search over one region: unit propagation, conflict resolution, backjumping.

Knows nodes, bits and incompatibilities, and nothing of packages, markers or facts. The words are
those of Dart pub's solver: a *decision* picks a version, a *derivation* follows from an
incompatibility all of whose other terms hold. Nothing recurses.
"""

from __future__ import annotations

from heapq import heappop, heappush

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
        self.fixed: list[int] = []
        """Nodes that became fixed, oldest first; may hold some that no longer are."""
        self.last_conflict: tuple[int, int] | None = None
        """(affected, culprit) of the latest conflict: the node whose version was rejected, and the
        node of the decision it clashed with."""
        self._watching: list[list[Incompatibility]] = []
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
        self._history.append([])
        return node

    def is_required(self, node: int) -> bool:
        return not self.bits[node] & self.absent[node]

    def is_fixed(self, node: int) -> bool:
        """Whether exactly one version of *node* is left and it is required."""
        bits = self.bits[node]
        return bits & (bits - 1) == 0 and bits != self.absent[node]

    def add(self, incompatibility: Incompatibility) -> None:
        """Respect one more incompatibility; its consequences are drawn by `propagate`."""
        bits = self.bits
        unit = -1
        unit_bits = 0
        contradicted = False
        undecided = 0
        for node, term in incompatibility.terms:
            self._watching[node].append(incompatibility)
            possible = bits[node]
            overlap = possible & term
            if not overlap:
                contradicted = True
            elif overlap != possible:
                undecided += 1
                unit, unit_bits = node, term
        if contradicted or undecided > 1:
            return
        if undecided:
            # May hold at a lower level already than the one its consequence is drawn at; `_undo`
            # has the nodes it takes back looked at again.
            self._assign(unit, bits[unit] & ~unit_bits, incompatibility)
        elif incompatibility.terms:
            self._changed.append(incompatibility.terms[0][0])
        else:
            self._failed = incompatibility

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
        bits = self.bits
        changed = self._changed
        while changed:
            node = changed.pop()
            for incompatibility in self._watching[node]:
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
                        # The rest of this node's incompatibilities is seen again: the conflict
                        # is resolved by going back beyond the step that changed it.
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
                    for node, _ in incompatibility.terms:
                        self._watching[node].append(incompatibility)
                culprit = previous.node if previous is not None else latest.node
                self.last_conflict = (latest.node, culprit)
                self._undo(level)
                term = dict(incompatibility.terms)[latest.node]
                self._assign(latest.node, self.bits[latest.node] & ~term, incompatibility)
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
            # Incompatibilities added at a higher level may be unit already at this one.
            self._changed.append(node)
            if not step.before & self.absent[node]:
                heappush(self._open, (self.rank[node], node))
        self.level = level
