"""A proof as a short story: who asked for what, what follows, and where that meets.

The proof is made short first (`pypm_resolver.grounds`). Then its derivation is followed as the error
reports of Dart's solver do: a chain of facts is told in the order in which a reader would follow it, from
the members on, and ends with what follows from it; only what is used twice gets a number. Every line
is made from a claim that is true of the facts that were fed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pypm_model.claims import Bars, Ends, Follows, Requires, Supports, Unknown
from pypm_model.markers import FALSE, Diagram, all_of, describe, simplify, text
from pypm_model.names import ROOT, NormalizedName
from pypm_model.records import replace
from pypm_model.requests import Origin
from pypm_model.resolutions import Reason, Unsolvable
from pypm_resolver.chain import Drawn, Step, drawn
from pypm_resolver.grounds import Grounds, grounds
from pypm_resolver.incompatibility import Barred, Incompatibility, Wanted
from pypm_resolver.lines import Line, Lines, merged, origin_key
from pypm_resolver.region import Region
from pypm_resolver.remedies import remedies
from pypm_resolver.sentences import said

LONG = 3
"""Facts in a row after which it is said what follows from them, before another row meets it."""


def explain(region: Region, proof: Incompatibility) -> Unsolvable:
    """The story of *proof*, which has no terms and hangs on no marker in *region*."""
    found = grounds(region.graph, proof)
    where = _where(region, found)
    story = _Story(region, found, where)
    story.tell()
    everywhere = where == region.problem.where
    return Unsolvable(
        _numbered(story.reasons),
        "" if everywhere else text(where, region.problem.where),
        (),
        remedies(region, found, where),
        tuple(story.names),
    )


def _where(region: Region, found: Grounds) -> Diagram:
    """Where the proof holds: where all its facts do; files and Requires-Python were judged for the region
    that was solved."""
    if any(
        isinstance(s.cause, Barred) and s.cause.kind in ("python", "files", "required")
        for s in found.statements
    ):
        return region.where
    where = all_of((region.problem.where, *(s.marker for s in found.statements)))
    return where if where != FALSE else region.where


class _Story:
    def __init__(self, region: Region, found: Grounds, where: Diagram) -> None:
        self.problem = region.problem
        self.everything = region.solver.everything
        self.grounds = found
        everywhere = where == self.problem.where
        self.place = "" if everywhere else describe(simplify(where, self.problem.where))
        self.lines = Lines(region, where)
        self.reasons: list[Reason] = []
        self.names: dict[NormalizedName, None] = {}
        self._position: dict[str, int] = {}
        """Of what has been said."""
        self._concluded: dict[int, int] = {}
        """By identity of a derived incompatibility: the position of the line that says it."""

    def tell(self) -> None:
        lemmas = _lemmas(self.grounds.proof)
        known = {id(one) for one in lemmas}
        for lemma in lemmas:
            parts = _parts(lemma, known - {id(lemma)})
            found = drawn(parts, lemma.terms, self.everything, self._rank, self._first)
            is_last = lemma is self.grounds.proof
            rests = self._tell_steps(found, with_conclusions=is_last)
            used = sorted({position for head in found.last for position in rests[head]})
            if is_last:
                self._end(found.meeting, used)
            else:
                self._concluded[id(lemma)] = self._conclude(lemma.terms, used)

    # Rows of facts

    def _tell_steps(self, found: Drawn, *, with_conclusions: bool) -> list[tuple[int, ...]]:
        """Say what the steps say; by step, the positions of the lines it rests on. What follows from a
        step is said where it is used twice, or where a long row is left for another one."""
        rests: list[tuple[int, ...]] = []
        begun = len(self.reasons)
        for step in found.steps:
            used = {position for each in step.rests_on for position in rests[each]}
            used.update(self._tell_part(step.part))
            is_row = step.is_left and len(self.reasons) - begun >= LONG and len(used) >= LONG
            is_shared = step.times > 1 and bool(step.rests_on)
            if with_conclusions and step.out and step is not found.steps[-1] and (is_row or is_shared):
                used = {self._conclude((step.out,), sorted(used), self._who(found, step))}
                begun = len(self.reasons)
            rests.append(tuple(sorted(used)))
        return rests

    def _tell_part(self, part: Incompatibility) -> list[int]:
        if id(part) in self._concluded:
            return [self._concluded[id(part)]]
        return [self._say(line) for line in self.lines.of(self.grounds.of(part))]

    def _rank(self, part: Incompatibility) -> int:
        """Requirements are followed from the members on; what bars versions comes to meet them."""
        if id(part) in self._concluded:
            return 2
        if self.grounds.of(part).item >= 0:
            return 0
        return 1 if len(part.terms) > 1 else 3

    def _first(self, parts: Sequence[Incompatibility]) -> tuple[object, ...]:
        """What comes from members is told in the order of their manifests, before what does not."""
        statements = [self.grounds.of(part) for part in parts if id(part) not in self._concluded]
        keys = [
            origin_key(statement.cause.ask.origin)
            for statement in statements
            if isinstance(statement.cause, Wanted) and statement.item >= 0
        ]
        return (not keys, *min(keys, default=()))

    def _who(self, found: Drawn, step: Step) -> str:
        """The member that all a step rests on comes from, if it is one."""
        waiting, seen = [step], []
        while waiting:
            one = waiting.pop()
            seen.append(one)
            waiting += [found.steps[each] for each in one.rests_on]
        if any(id(one.part) in self._concluded for one in seen):
            return ""
        items = {self.grounds.of(one.part).item for one in seen} - {-1}
        return self.lines.item_words(items.pop()) if len(items) == 1 else ""

    def _say(self, line: Line) -> int:
        words = said(line.claim)
        for name in (line.subject, line.target):
            if name is not None:
                self.names.setdefault(name)
        if words not in self._position:
            self._position[words] = len(self.reasons)
            self.reasons.append(Reason(words, line.asks, (), line.claim))
            self._support(line)
        return self._position[words]

    def _support(self, line: Line) -> None:
        """For whom a version needs too new a Python."""
        if not isinstance(line.claim, Bars) or line.claim.kind != "python":
            return
        for statement in self.grounds.statements:
            if not isinstance(statement.cause, Wanted) or statement.item < 0:
                continue
            member = self.problem.members[statement.cause.ask.origin.member]
            if not member.requires_python or member.name == ROOT:
                continue
            origin = Origin(member.name, statement.cause.ask.origin.file, "project.requires-python")
            claim = Supports(member.name, member.requires_python)
            if said(claim) not in self._position:
                self._position[said(claim)] = len(self.reasons)
                self.reasons.append(Reason(said(claim), (), (), claim, origins=(origin,)))

    def _conclude(self, terms: Iterable[tuple[int, int]], used: Sequence[int], who: str = "") -> int:
        claim = Follows(merged(self.lines.term(node, bits) for node, bits in terms), who)
        if said(claim) not in self._position:
            self._position[said(claim)] = len(self.reasons)
            self.reasons.append(Reason(said(claim), (), tuple(used), claim))
        return self._position[said(claim)]

    # The end

    def _end(self, meeting: int | None, used: Sequence[int]) -> None:
        asks = [r.asks[0] for r in self.reasons if isinstance(r.claim, Requires)]
        members = tuple(dict.fromkeys(ask.origin.member for ask in asks))
        unknown = [r.claim.name for r in self.reasons if isinstance(r.claim, Unknown)]
        barred = any(isinstance(r.claim, Bars) for r in self.reasons)
        package = self.lines.graph.packages.get(meeting) if meeting is not None else None
        together = self.problem.request.shared_environment and len(members) == 2 and ROOT not in members
        requirements = tuple(
            dict.fromkeys(r.claim.requirement for r in self.reasons if isinstance(r.claim, Requires))
        )
        if len(unknown) == 1 and not barred:
            claim = Ends(unknown[0], is_unknown=True, place=self.place)
        elif package is not None and package.versions:
            claim = Ends(package.name, (), members if together else (), place=self.place)
        else:
            claim = Ends(None, requirements, members if together else (), place=self.place)
        self.reasons.append(Reason(said(claim), (), tuple(used), claim))


def _lemmas(proof: Incompatibility) -> list[Incompatibility]:
    """The derived incompatibilities that are told as such, each after those it rests on, *proof* last."""
    uses: dict[int, int] = {}
    seconds: set[int] = set()
    order: list[Incompatibility] = []
    done: set[int] = set()
    waiting = [proof]
    while waiting:
        one = waiting[-1]
        if id(one) in done or not isinstance(one.cause, tuple):
            waiting.pop()
            continue
        missing = [c for c in reversed(one.cause) if isinstance(c.cause, tuple) and id(c) not in done]
        if missing:
            waiting += missing
            continue
        waiting.pop()
        done.add(id(one))
        order.append(one)
        for cause in one.cause:
            uses[id(cause)] = uses.get(id(cause), 0) + 1
        seconds.add(id(one.cause[1]))
    told = [one for one in order if one is proof or id(one) in seconds or uses[id(one)] > 1]
    return told or [proof]


def _parts(lemma: Incompatibility, lemmas: set[int]) -> list[Incompatibility]:
    """What the chain that ends in *lemma* rests on, in the order in which it was concluded."""
    parts: list[Incompatibility] = []
    one = lemma
    while isinstance(one.cause, tuple) and id(one) not in lemmas:
        parts.append(one.cause[1])
        one = one.cause[0]
    return [*parts, one]


def _numbered(reasons: Sequence[Reason]) -> tuple[Reason, ...]:
    """*reasons* with numbers on those conclusions that a line farther down rests on as well."""
    users: dict[int, list[int]] = {}
    for position, reason in enumerate(reasons):
        for use in reason.uses:
            users.setdefault(use, []).append(position)
    numbers: dict[int, int] = {}
    for position, reason in enumerate(reasons):
        if isinstance(reason.claim, Follows) and len(users.get(position, ())) > 1:
            numbers[position] = len(numbers) + 1
    told = []
    for position, reason in enumerate(reasons):
        words = reason.text
        called = [numbers[use] for use in reason.uses if use in numbers and use != position - 1]
        if called:
            words = f"so, with {', '.join(f'({n})' for n in called)}, {words.removeprefix('so ')}"
        if position in numbers:
            words = f"({numbers[position]}) {words}"
        told.append(replace(reason, text=words, number=numbers.get(position, 0)))
    return tuple(told)
