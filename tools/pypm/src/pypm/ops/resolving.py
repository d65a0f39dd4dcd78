"""Stage five: the one loop, resolver and index taking turns."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, ClassVar

from pypm.ops.retained import Retained
from pypm_index.catalog import Catalog
from pypm_model.errors import Place, PypmError
from pypm_model.events import Finished, Listener, Started, Warned
from pypm_model.facts import Fact, Needs
from pypm_model.names import NormalizedName
from pypm_model.requests import Origin, Request, asks_of
from pypm_model.resolutions import Outcome, Resolution, Undecided, Unsolvable
from pypm_model.sources import GitSource, UrlSource
from pypm_resolver.session import Session
from pypm_resolver.verify import verify

if TYPE_CHECKING:
    from pypm.ops.story import Told

Locate = Callable[[Origin], Place]
_SHOWN = 3
"""Places shown of those that ask for a name nothing can be learned of."""
LONG = 60
"""Lines of a conflict's story that somebody may follow."""
_NAMED = 5
"""Packages named of those that the lines which are left out are about."""


class CannotResolve(PypmError):
    """The members' requirements cannot all be met: the derivation, in reading order."""

    code: ClassVar[str] = "conflict"
    summary: str
    lines: tuple[Told, ...]
    """The last one is the contradiction, which *summary* says."""
    region: str
    hints: tuple[str, ...]
    names: tuple[NormalizedName, ...]

    def __str__(self) -> str:
        return self.summary

    @property
    def story(self) -> tuple[tuple[str, tuple[Place, ...]], ...]:
        """The lines, without a last one that says no more than the summary. Nobody follows a proof of
        hundreds of lines: of one that is long, what members ask for is told, which is where it begins and
        what can be changed."""
        if len(self.lines) > LONG:
            asked = [(line.text, line.places) for line in self.lines if line.places]
            rest = len(self.lines) - len(asked)
            about = f", about {', '.join(self.names[:_NAMED])}{' and others' * (len(self.names) > _NAMED)}"
            return (*asked, (f"the proof has {rest} more lines{about}: --json tells them all", ()))
        calls_lines = self.lines[-1].text.startswith("so, with (")
        told = self.lines if calls_lines else self.lines[:-1]
        return tuple((line.text, line.places) for line in told)

    def to_json(self) -> dict[str, Any]:
        found = super().to_json()
        del found["lines"]
        return {**found, "story": [line.to_json() for line in self.lines]}

    @property
    def hint(self) -> str | None:
        return "; ".join(self.hints) or None

    @property
    def helps(self) -> tuple[str, ...]:
        return self.hints


class ResolutionUndecided(PypmError):
    """The step budget ran out before an answer was found: this is not a proof that there is none."""

    code: ClassVar[str] = "undecided"
    exit: ClassVar[int] = 3
    steps: int
    names: tuple[NormalizedName, ...]

    def __str__(self) -> str:
        return f"no answer after {self.steps} steps: neither solved nor shown to be impossible"

    @property
    def hint(self) -> str:
        return "; ".join(self.helps)

    @property
    def helps(self) -> tuple[str, ...]:
        more = "`max-steps` in [resolution] of pypm-workspace.toml says how many it may take"
        if not self.names:
            return (more,)
        return (
            f"most conflicts were about {', '.join(self.names[:5])}: tighter bounds on them would help",
            more,
        )


class UnsoundResolution(PypmError):
    """The independent check found the resolver's answer wrong: a fault in pypm; nothing was written."""

    code: ClassVar[str] = "unsound-resolution"
    violations: tuple[str, ...]

    def __str__(self) -> str:
        return f"the resolution failed its check and was not used: {self.violations[0]}"

    @property
    def story(self) -> tuple[tuple[str, tuple[Place, ...]], ...]:
        return tuple((text, ()) for text in self.violations[1:10])


def resolve(
    request: Request,
    catalog: Catalog,
    place: Locate,
    listener: Listener,
    retained: Retained | None = None,
) -> Resolution:
    """The answer to *request*, checked. Raises `CannotResolve`, `ResolutionUndecided`,
    `UnsoundResolution`, and what the index raises."""
    facts: list[Fact] = []
    listener(Started("resolve"))
    try:
        session = Session(request)
        if retained is not None and retained.keys:
            # What an earlier run had to know is at hand, and will be asked for: all at once, ahead of the
            # rounds in which it would be met. What may be asked for early changes no outcome.
            catalog.request((), speculative=retained.keys)
            facts += catalog.wait()
            session.feed(facts)
        state = run(session, catalog, facts)
    except PypmError as error:
        error.askers = error.askers or _askers(request, error, place)
        raise
    listener(Finished("resolve"))
    match state:
        case Unsolvable():
            raise conflict(with_hints(state, facts, catalog, place), place)
        case Undecided(steps, names):
            raise ResolutionUndecided(steps, names)
        case Resolution():
            _verify(request, state, facts)
            for warning in state.warnings:
                listener(Warned("resolution", warning))
            if retained is not None:
                retained.learn(state, facts)
            return state


def attempt(request: Request, catalog: Catalog, place: Locate) -> tuple[Resolution | None, list[Fact]]:
    """The answer to *request*, checked, or None if there is none, and what the catalog said. Raises
    `UnsoundResolution`, and what the index raises."""
    facts: list[Fact] = []
    try:
        state = run(Session(request), catalog, facts)
    except PypmError as error:
        error.askers = error.askers or _askers(request, error, place)
        raise
    if not isinstance(state, Resolution):
        return None, facts
    _verify(request, state, facts)
    return state, facts


def _verify(request: Request, resolution: Resolution, facts: Iterable[Fact]) -> None:
    violations = verify(request, resolution, facts)
    if violations:
        raise UnsoundResolution(tuple(str(violation) for violation in violations))


def run(session: Session, catalog: Catalog, facts: list[Fact]) -> Outcome:
    """The outcome of *session*; what the catalog answers is added to *facts*. Raises what the index
    raises."""
    while isinstance(state := session.step(), Needs):
        catalog.request(state.keys, speculative=state.speculative)
        answers = catalog.wait()
        facts += answers
        session.feed(answers)
    return state


def with_hints(unsolvable: Unsolvable, facts: Iterable[Fact], catalog: Catalog, place: Locate) -> Unsolvable:
    """*unsolvable* with those of its remedies that help: each is resolved once more, with the same
    catalog. One that would need what can not be had now is left out."""
    from pypm_resolver.trials import Trials

    trials = Trials(unsolvable, facts, lambda origin: str(place(origin)))
    while isinstance(state := trials.step(), Needs):
        try:
            catalog.request(state.keys, speculative=state.speculative)
            trials.feed(catalog.wait())
        except PypmError:
            trials.give_up()
    return state


def conflict(unsolvable: Unsolvable, place: Locate) -> CannotResolve:
    """The error that tells *unsolvable*."""
    from pypm.ops.story import told
    from pypm_resolver.sentences import said

    end = unsolvable.story[-1]
    return CannotResolve(
        # It ends the story there, and begins it here, where no line has been told yet.
        (said(end.claim) if end.claim is not None else end.text).removeprefix("so "),
        tuple(told(reason, place) for reason in unsolvable.story),
        unsolvable.region,
        unsolvable.hints,
        unsolvable.names,
    )


def _askers(request: Request, error: PypmError, place: Locate) -> tuple[Place, ...]:
    """Where members ask for what *error*, of an index or a direct source, is about; none if no member
    asks for it itself."""
    names = {getattr(error, "name", ""), getattr(error, "subject", "")} - {""}
    url = getattr(error, "url", "")
    found = []
    for ask in asks_of(request):
        direct = isinstance(ask.source, (GitSource, UrlSource)) and url and ask.source.url == url
        if ask.requirement.name in names or direct:
            found.append(place(ask.origin))
    return tuple(_unique(found))[:_SHOWN]


def _unique(places: Iterable[Place]) -> list[Place]:
    return list(dict.fromkeys(places))
