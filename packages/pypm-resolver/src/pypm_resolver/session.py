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

from pypm_model.facts import Fact, Needs
from pypm_model.later import later
from pypm_model.records import replace
from pypm_model.requests import Conflict, Request
from pypm_model.resolutions import Resolution, Undecided, Unsolvable
from pypm_resolver.expansion import Missing
from pypm_resolver.knowledge import Knowledge
from pypm_resolver.merge import merge
from pypm_resolver.prefetch import Prefetch
from pypm_resolver.problem import Problem
from pypm_resolver.region import Exhausted
from pypm_resolver.regions import Exclusive, Impossible, Regions
from pypm_resolver.universe import Universe

if TYPE_CHECKING:
    from pypm_resolver import explain
else:
    explain = later("pypm_resolver.explain")


_PREPARED = 3
"""Rounds in which a session that was fed ahead is missing something before it guesses what else it will."""


class Session:
    """One resolution of *request*."""

    def __init__(self, request: Request) -> None:
        self._knowledge = Knowledge()
        self._apart: tuple[Conflict, ...] = ()
        """Extras and groups that were found to exclude each other."""
        self._rounds = 0
        """How often facts were missing."""
        self._has_begun = self._is_prepared = False
        self._begin(request)
        self._outcome: Resolution | Unsolvable | Undecided | None = None

    def _begin(self, request: Request) -> None:
        self._problem = Problem(request)
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
            case Missing(keys=keys):
                self._rounds += 1
                if self._is_prepared and self._rounds <= _PREPARED:
                    return Needs(keys)
                guesses = self._prefetch.keys(regions.current)
                return Needs(keys, tuple(key for key in guesses if key not in keys))
            case Impossible(region=region, proof=proof):
                self._outcome = explain.explain(region, proof)
            case Exhausted():
                self._outcome = self._undecided(regions)
            case Exclusive(conflicts=conflicts):
                # Now they are known, they are kept apart from the start, as declared ones are.
                self._apart += conflicts
                request = self._problem.request
                self._begin(replace(request, conflicts=(*request.conflicts, *conflicts)))
            case _:
                found = merge(self._universe, state, regions.steps)
                self._outcome = replace(found, conflicts=self._apart) if self._apart else found
        return None

    def _undecided(self, regions: Regions) -> Undecided:
        region = regions.current
        assert region is not None
        worst = sorted(region.rejections.items(), key=lambda entry: (-entry[1], entry[0]))
        packages = [region.node_package(node) for node, _ in worst]
        names = dict.fromkeys(package.name for package in packages if package is not None)
        return Undecided(regions.steps, tuple(names)[:10])
