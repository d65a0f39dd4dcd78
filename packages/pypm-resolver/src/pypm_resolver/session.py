"""A resolution as a conversation: ask for facts, be fed, and in the end an outcome.

    session = Session(request)
    while isinstance(state := session.step(), Needs):
        session.feed(answers_to(state.keys))

The session waits for nothing and starts nothing. Equal requests and facts give equal outcomes, whatever
the order in which facts are fed and whether speculative keys are answered.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from pypm_model.facts import DirectKey, Fact, Needs
from pypm_model.later import later
from pypm_model.names import NormalizedName
from pypm_model.records import replace
from pypm_model.requests import Conflict, Request
from pypm_model.resolutions import Resolution, Undecided, Unsolvable
from pypm_resolver.expansion import Missing
from pypm_resolver.knowledge import Knowledge
from pypm_resolver.merge import merge
from pypm_resolver.prefetch import Prefetch
from pypm_resolver.problem import Problem
from pypm_resolver.region import Exhausted
from pypm_resolver.regions import Exclusive, Impossible, Regions, lacks_files
from pypm_resolver.settling import held, may_move
from pypm_resolver.universe import Universe

if TYPE_CHECKING:
    from pypm_resolver import explain
else:
    explain = later("pypm_resolver.explain")


_PREPARED = 3
"""Rounds in which a session that was fed ahead is missing something before it guesses what else it will."""
_SETTLING = 3
"""How often a resolution is resolved again until it stays as it is; once does nearly always."""


class Session:
    """One resolution of *request*."""

    def __init__(self, request: Request) -> None:
        self._asked = request
        self._knowledge = Knowledge()
        self._apart: tuple[Conflict, ...] = ()
        """Extras and groups that were found to exclude each other."""
        self._rounds = 0
        """How often facts were missing."""
        self._has_begun = self._is_prepared = False
        self._found: Resolution | None = None
        """What was found, while it is found out whether that stays when it is locked again."""
        self._again = 0
        """How often it was locked again."""
        self._met: set[NormalizedName] = set()
        """Names that the workspace provides directly, and that packages turned out to ask for."""
        self._detours = 0
        """For all that was begun and left: something was in the way."""
        self._begin(request)
        self._outcome: Resolution | Unsolvable | Undecided | None = None

    def _begin(self, request: Request) -> None:
        self._problem = Problem(request, self._met)
        self._universe = Universe(self._problem, self._knowledge)
        self._prefetch: Prefetch | None = None
        self._regions: Regions | None = None

    def feed(self, facts: Iterable[Fact]) -> None:
        """Answer some of what was asked, in any order; a second answer to a key is not looked at. What is fed
        before the first step is taken to be nearly all that will be asked."""
        self._is_prepared = self._is_prepared or not self._has_begun
        self._knowledge.feed(facts)

    def step(self) -> Needs | Resolution | Unsolvable | Undecided:
        """Go on as far as the facts allow. `Needs` until the end; then always the same outcome."""
        self._has_begun = True
        while self._outcome is None:
            needs = self._go_on()
            if needs is not None:
                return needs
        return self._outcome

    def _go_on(self) -> Needs | None:
        """One step; None once it led to an outcome, or to a new beginning."""
        if self._regions is None:
            missing = self._problem.missing(self._knowledge)
            if missing:
                return Needs(missing)
            self._problem.settle_sources(self._knowledge)
            self._prefetch = Prefetch(self._universe)
            self._regions = Regions(self._universe)
        assert self._prefetch is not None
        regions = self._regions
        state = regions.advance()
        match state:
            case Missing(keys=keys) if met := {key.name for key in keys if isinstance(key, DirectKey)}:
                # Sources have to be settled before anything is searched.
                self._met |= met
                self._begin(self._problem.request)
            case Missing(keys=keys):
                self._rounds += 1
                if self._is_prepared and self._rounds <= _PREPARED:
                    return Needs(keys)
                guesses = self._prefetch.keys(regions.current)
                speculative = (key for key in guesses if key not in keys and not isinstance(key, DirectKey))
                return Needs(keys, tuple(speculative))
            case Exclusive(conflicts=conflicts):
                self._detours += 1
                # Now they are known, they are kept apart from the start, as declared ones are.
                self._apart += conflicts
                request = self._problem.request
                self._begin(replace(request, conflicts=(*request.conflicts, *conflicts)))
            case Impossible() | Exhausted() if self._found is not None:
                self._outcome = self._found  # as it was found: it fits
            case Impossible() if self._problem.request.preferred_splits:
                # Where an old lock was parted has nothing to do with why there is no answer.
                self._detours += 1
                self._asked = replace(self._asked, preferred_splits=())
                self._begin_anew(self._asked)
            case Impossible(proof=proof) if self._asked.preferences and lacks_files(proof):
                # Nor have its versions: they have parted regions, and files are judged in each.
                self._detours += 1
                self._asked = replace(self._asked, preferences=(), preferred_where="")
                self._begin_anew(self._asked)
            case Impossible(region=region, proof=proof):
                self._outcome = explain.explain(region, proof)
            case Exhausted():
                self._outcome = self._undecided(regions)
            case _:
                found = merge(self._universe, state, regions.steps, self._detours + regions.detours)
                found = replace(found, conflicts=self._apart) if self._apart else found
                if self._are_splits_idle(found):
                    # They part nothing any more, and what was found in one would be kept in the next.
                    self._detours += 1
                    self._asked = replace(self._asked, preferred_splits=())
                    self._begin_anew(self._asked)
                else:
                    self._settle(found, len(state))
        return None

    def _are_splits_idle(self, found: Resolution) -> bool:
        """Whether the old lock was parted for the sake of packages none of which is *found*."""
        if self._asked.is_part:
            return False  # they are in the rest of it
        parted = {name for name, known in self._asked.preferences if len(known) > 1}
        is_parted = bool(parted and self._problem.request.preferred_splits and self._found is None)
        return is_parted and not any(package.name in parted for package in found.packages)

    def _settle(self, found: Resolution, parts: int) -> None:
        """Take what was *found* in so many *parts*, if locking it again gives the same: or else what
        that gives."""
        last, self._found = self._found, found
        is_same = last is not None and (last.packages, last.splits) == (found.packages, found.splits)
        if not is_same and self._again < _SETTLING and may_move(found, parts):
            again = held(self._asked, found, self._problem.environment)
            if _kept(again) != _kept(self._asked):
                self._again += 1
                self._detours += 1
                self._begin_anew(again)
                return
        self._outcome = found

    def _begin_anew(self, request: Request) -> None:
        self._apart = ()
        self._begin(request)

    def _undecided(self, regions: Regions) -> Undecided:
        region = regions.current
        assert region is not None
        worst = sorted(region.rejections.items(), key=lambda entry: (-entry[1], entry[0]))
        packages = [region.node_package(node) for node, _ in worst]
        names = dict.fromkeys(package.name for package in packages if package is not None)
        return Undecided(regions.steps, tuple(names)[:10])


def _kept(request: Request) -> tuple[object, ...]:
    """What *request* has of an old lock."""
    return request.preferences, request.preferred_splits
