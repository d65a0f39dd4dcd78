"""Remedies tried: only those that give a solution are said.

A conversation like the `Session`'s, after a conflict:

    trials = Trials(unsolvable, facts)
    while isinstance(state := trials.step(), Needs):
        trials.feed(answers_to(state.keys))
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from pypm_model.facts import Direct, Fact, FileClass, Listing, Metadata, Needs, NoMetadata
from pypm_model.names import NormalizedName
from pypm_model.records import replace
from pypm_model.requests import Origin
from pypm_model.requirements import Requirement
from pypm_model.resolutions import Remedy, Resolution, Unsolvable
from pypm_model.sources import IndexSource, Source
from pypm_model.specifiers import InvalidSpecifier, contains
from pypm_resolver.remedies import EVERY
from pypm_resolver.session import Session
from pypm_resolver.verify import verify

STEPS = 3_000
"""Decisions and conflicts one trial may take."""
TRIALS = 16
"""So many remedies are tried at most."""
KEYS = 600
"""So many facts may be asked for that the conflict did not need, in all trials together."""
HINTS = 4
"""When so many help, no more are tried."""


class Trials:
    """Tries the remedies of *unsolvable*; *facts* are those that are known already."""

    def __init__(
        self,
        unsolvable: Unsolvable,
        facts: Iterable[Fact],
        place: Callable[[Origin], str] = str,
    ) -> None:
        self._unsolvable = unsolvable
        self._facts = list(facts)
        self._place = place
        self._hints: list[str] = []
        self._helped: set[tuple[str, Origin | None]] = set()
        self._open = list(reversed(unsolvable.remedies[:TRIALS]))
        self._session: Session | None = None
        self._asked = 0

    def feed(self, facts: Iterable[Fact]) -> None:
        """Answer some of what was asked."""
        new = list(facts)
        self._facts += new
        if self._session is not None:
            self._session.feed([_lifted(fact, self._open[-1].lifted) for fact in new])

    def give_up(self) -> None:
        """Leave out the remedy being tried: what it needs to know can not be had."""
        self._open.pop()
        self._session = None

    def step(self) -> Needs | Unsolvable:
        """What is needed to go on; in the end the conflict with the hints that help."""
        while self._open and len(self._hints) < HINTS:
            remedy = self._open[-1]
            if (remedy.kind, remedy.origin) in self._helped:
                self.give_up()
                continue
            if self._session is None:
                budget = min(STEPS, remedy.request.max_steps)
                self._session = Session(replace(remedy.request, max_steps=budget))
                self._session.feed([_lifted(fact, remedy.lifted) for fact in self._facts])
            state = self._session.step()
            if isinstance(state, Needs) and self._asked < KEYS:
                self._asked += len(state.keys)
                return state
            if isinstance(state, Resolution):
                self._judge(remedy, state)
            self.give_up()
        return replace(self._unsolvable, hints=tuple(dict.fromkeys(self._hints)), remedies=())

    def _judge(self, remedy: Remedy, resolution: Resolution) -> None:
        facts = [_lifted(fact, remedy.lifted) for fact in self._facts]
        if verify(remedy.request, resolution, facts):
            return
        versions = _versions(remedy.name, resolution)
        if "{versions}" in remedy.text and not versions:
            return  # nobody needs it any more: that is not what the sentence promises
        against = _against(remedy.name, resolution, facts) if "{against}" in remedy.text else ""
        if "{against}" in remedy.text and not against:
            return  # nothing is overridden: it is not the override that helped
        if "{builds}" in remedy.text:
            builds = _builds(resolution, self._facts)
            if len(builds) < 2:
                return  # that has been tried alone
            self._hints.append(
                remedy.text.format(
                    builds=", ".join(builds[:-1]) + f" and {builds[-1]}",
                    quoted=", ".join(f'"{name}"' for name in builds),
                )
            )
            self._helped.add((remedy.kind, remedy.origin))
            return
        place = self._place(remedy.origin) if remedy.origin is not None else ""
        text = remedy.text.replace("{place}", place).replace("{versions}", versions)
        self._hints.append(text.replace("{against}", against))
        self._helped.add((remedy.kind, remedy.origin))


def _versions(name: NormalizedName | None, resolution: Resolution) -> str:
    versions = [package.version for package in resolution.packages if package.name == name]
    if not versions:
        return ""
    *most, last = versions
    return f" ({name} {', '.join(most)} and {last})" if most else f" ({name} {last})"


def _builds(resolution: Resolution, facts: Iterable[Fact]) -> list[NormalizedName]:
    """Names in *resolution* that only a build tells about, sorted."""
    unbuilt = {
        (fact.key.name, fact.key.version)
        for fact in facts
        if isinstance(fact, NoMetadata) and fact.needs_build
    }
    return sorted({p.name for p in resolution.packages if (p.name, p.version) in unbuilt})


def _against(name: NormalizedName | None, resolution: Resolution, facts: Iterable[Fact]) -> str:
    """Which packages of *resolution* ask for other versions of *name* than it has: "a asks", "a and b ask";
    empty if none does."""
    known: dict[tuple[NormalizedName, str, Source], tuple[Requirement, ...]] = {}
    for fact in facts:
        match fact:
            case Metadata(key=key, requires=requires):
                known.setdefault((key.name, key.version, IndexSource(key.index)), requires)
            case Direct():
                known.setdefault((fact.key.name, fact.version, fact.source), fact.requires)
    locked = [package.version for package in resolution.packages if package.name == name]
    owners: dict[str, None] = {}
    for package in resolution.packages:
        edges = (*package.dependencies, *(edge for _, more in package.extras for edge in more))
        if any(edge.name == name for edge in edges):
            for requirement in known.get((package.name, package.version, package.source), ()):
                if requirement.name == name and not _allows(requirement, locked):
                    owners.setdefault(package.name)
    if not owners:
        return ""
    *most, last = owners
    return f"{', '.join(most)} and {last} ask" if most else f"{last} asks"


def _allows(requirement: Requirement, versions: Iterable[str]) -> bool:
    try:
        return all(contains(requirement.specifier, version) for version in versions)
    except InvalidSpecifier:
        return True


def _lifted(fact: Fact, lifted: tuple[tuple[NormalizedName, str], ...]) -> Fact:
    """*fact* as it would be if what bars a name were not: the best that could be."""
    for name, kind in lifted:
        match fact:
            case Listing() if kind == "too-new" and fact.name == name and fact.too_new:
                anywhere = (FileClass("", None), fact.too_new)
                return Listing(
                    fact.key,
                    fact.name,
                    fact.index,
                    fact.versions,
                    fact.keys,
                    fact.prereleases,
                    fact.yanked,
                    0,
                    (*fact.classes, anywhere),
                    fact.yank_reasons,
                    fact.status,
                )
            case NoMetadata(key=key) if name in (key.name, EVERY) and (fact.needs_build or kind == "too-new"):
                return Metadata(key, (), ())
    return fact
