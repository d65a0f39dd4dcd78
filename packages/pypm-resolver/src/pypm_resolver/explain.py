"""A proof as a short story: who asked for what, what follows, and where that meets.

The proof is made short first (`pypm_resolver.core`). Then its derivation is followed as the error
reports of Dart's solver do: a chain of facts is told in the order in which a reader would follow it, from
the members on, and ends with what follows from it; only what is used twice gets a number. Every line
is made from a claim that is true of the facts that were fed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pypm_model.claims import Bars, Ends, Follows, Requires, Supports, Unknown
from pypm_model.markers import FALSE, Diagram, all_of, describe, simplify, text
from pypm_model.names import ROOT, NormalizedName
from pypm_model.requests import Origin
from pypm_model.resolutions import Reason, Unsolvable
from pypm_resolver.chain import Branch, Chain
from pypm_resolver.core import Core, Statement, core
from pypm_resolver.incompatibility import Barred, Incompatibility, Wanted
from pypm_resolver.lines import Line, Lines, merged, origin_key
from pypm_resolver.region import Region
from pypm_resolver.remedies import remedies
from pypm_resolver.sentences import said

LONG = 3
"""Facts in a row after which it is said what follows from them, before another row meets it."""


def explain(region: Region, proof: Incompatibility) -> Unsolvable:
    """The story of *proof*, which has no terms and hangs on no marker in *region*."""
    found = core(region.graph, proof)
    where = _where(region, found)
    story = _Story(region, found, where)
    story.tell()
    everywhere = where == region.problem.where
    return Unsolvable(
        tuple(story.reasons),
        "" if everywhere else text(where, region.problem.where),
        (),
        remedies(region, found, where),
        tuple(story.names),
    )


def _where(region: Region, found: Core) -> Diagram:
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
    def __init__(self, region: Region, found: Core, where: Diagram) -> None:
        self.problem = region.problem
        self.everything = region.solver.everything
        self.core = found
        everywhere = where == self.problem.where
        self.place = "" if everywhere else describe(simplify(where, self.problem.where))
        self.lines = Lines(region, where)
        self.reasons: list[Reason] = []
        self.names: dict[NormalizedName, None] = {}
        self._position: dict[str, int] = {}
        """Of what has been said."""
        self._path: list[NormalizedName] = []
        """What the story has led to, latest last."""
        self._concluded: dict[int, int] = {}
        """By identity of a derived incompatibility: the position of the line that says it."""

    def tell(self) -> None:
        lemmas, uses = _lemmas(self.core.proof)
        numbers: dict[int, int] = {}
        for lemma in lemmas:
            known = {id(one) for one in lemmas if one is not lemma}
            parts = _parts(lemma, known)
            if lemma is self.core.proof:
                chain = Chain(parts, self.everything, self._rank)
                self._end(chain, self._tell_branches(chain), numbers)
                continue
            used = self._tell_parts(parts)
            position = self._conclude(lemma.terms, used, numbers)
            self._concluded[id(lemma)] = position
            if uses[id(lemma)] > 1 and position not in numbers:
                numbers[position] = len(numbers) + 1
                told = self.reasons[position]
                self.reasons[position] = Reason(
                    f"{told.text} ({numbers[position]})", told.asks, told.uses, told.claim, numbers[position]
                )

    # Rows of facts

    def _tell_branches(self, chain: Chain) -> list[int]:
        """The last chain, which ends in a contradiction: each requirement that meets there with what it
        comes from, and what follows if that was a long way."""
        used: list[int] = []
        branches = sorted(chain.branches(), key=self._order)
        for branch in branches:
            mine = self._tell_parts(branch.parts)
            if branch.term is not None and len(branches) > 1 and len(set(mine)) >= LONG:
                mine = [self._conclude((branch.term,), mine, {}, self._who(branch.parts))]
            used += mine
        return used

    def _tell_parts(self, parts: Sequence[Incompatibility]) -> list[int]:
        """Say the facts among *parts*; the positions of what they and earlier conclusions say."""
        used = [self._concluded[id(part)] for part in parts if id(part) in self._concluded]
        lines: list[Line] = []
        for part in parts:
            if id(part) not in self._concluded:
                lines += self.lines.of(self.core.of(part))
        for line in self._ordered(lines):
            used.append(self._say(line))
        return used

    def _ordered(self, lines: Sequence[Line]) -> list[Line]:
        """Each line after one that leads to its subject, as soon as possible; members in their order."""
        waiting = sorted(lines, key=_place)
        ordered: list[Line] = []
        while waiting:
            following = (line for name in reversed(self._path) for line in waiting if line.subject == name)
            line = next(following, waiting[0])
            waiting.remove(line)
            ordered.append(line)
            if line.target is not None:
                self._path.append(line.target)
        return ordered

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
        for statement in self.core.statements:
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

    def _conclude(
        self,
        terms: Iterable[tuple[int, int]],
        used: Sequence[int],
        numbers: dict[int, int],
        who: str = "",
    ) -> int:
        claim = Follows(merged(self.lines.term(node, bits) for node, bits in terms), who)
        words = _with(said(claim), used, numbers, len(self.reasons))
        if words not in self._position:
            self._position[words] = len(self.reasons)
            self.reasons.append(Reason(words, (), tuple(sorted(set(used))), claim))
        return self._position[words]

    def _rank(self, part: Incompatibility) -> int:
        """Requirements are followed from the members on; what bars versions comes to meet them."""
        if isinstance(part.cause, tuple):
            return 2
        statement = self.core.of(part)
        if statement.item >= 0:
            return 0
        return 1 if len(part.terms) > 1 else 3

    def _who(self, parts: Sequence[Incompatibility]) -> str:
        """The member that all of *parts* come from, if it is one."""
        if any(isinstance(part.cause, tuple) for part in parts):
            return ""
        items = {self.core.of(part).item for part in parts} - {-1}
        return self.lines.item_words(items.pop()) if len(items) == 1 else ""

    def _order(self, branch: Branch) -> tuple[str, str, str, int]:
        """Branches come in the order of the manifests that they begin in; those of no member last."""
        origins = [_origin(self.core.of(p)) for p in branch.parts if not isinstance(p.cause, tuple)]
        return min((origin for origin in origins if origin), default=("~", "", "", 0))

    # The end

    def _end(self, chain: Chain, used: Sequence[int], numbers: dict[int, int]) -> None:
        asks = [r.asks[0] for r in self.reasons if isinstance(r.claim, Requires)]
        members = tuple(dict.fromkeys(ask.origin.member for ask in asks))
        unknown = [r.claim.name for r in self.reasons if isinstance(r.claim, Unknown)]
        barred = any(isinstance(r.claim, Bars) for r in self.reasons)
        package = self.lines.graph.packages.get(chain.meeting) if chain.meeting is not None else None
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
        words = _with(said(claim), used, numbers, len(self.reasons))
        self.reasons.append(Reason(words, (), tuple(sorted(set(used))), claim))


def _lemmas(proof: Incompatibility) -> tuple[list[Incompatibility], dict[int, int]]:
    """The derived incompatibilities that are told as such, each after those it rests on, *proof* last; and
    how often each derived one is used."""
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
    return (told or [proof]), uses


def _parts(lemma: Incompatibility, lemmas: set[int]) -> list[Incompatibility]:
    """What the chain that ends in *lemma* rests on, in the order in which it was concluded."""
    parts: list[Incompatibility] = []
    one = lemma
    while isinstance(one.cause, tuple) and id(one) not in lemmas:
        parts.append(one.cause[1])
        one = one.cause[0]
    return [*parts, one]


def _place(line: Line) -> tuple[bool, tuple[str, str, str, int]]:
    """Lines about members in the order of their manifests, the others after them as they come."""
    if line.subject is not None or not line.asks:
        return (True, ("", "", "", 0))
    return (False, origin_key(line.asks[0].origin))


def _origin(statement: Statement) -> tuple[str, str, str, int] | None:
    if isinstance(statement.cause, Wanted) and statement.item >= 0:
        return origin_key(statement.cause.ask.origin)
    return None


def _with(words: str, used: Sequence[int], numbers: dict[int, int], position: int) -> str:
    """*words* with the numbers of those conclusions they rest on that do not stand right before them."""
    called = sorted({numbers[one] for one in used if one in numbers and one != position - 1})
    if not called:
        return words
    return f"so, with {' and '.join(f'({number})' for number in called)}, {words.removeprefix('so ')}"
