"""Diagrams as PEP 508 texts, and simpler diagrams."""

from __future__ import annotations

from collections.abc import Iterable

from pypm_model.markers.cover import Cover, Term, cover
from pypm_model.markers.diagram import FALSE, TRUE, Diagram, TooComplex, both, either, negate
from pypm_model.records import NamedTuple

NEVER = "python_version < '0'"
"""The text of FALSE, which PEP 508 has no word for: no interpreter has such a version."""


_LONGEST = 1_000_000
"""Characters of a text that is still written."""


class _Piece(NamedTuple):
    """A text in parts: a condition that many others share is in it many times, so that it is written
    only when it is known to be the shorter one."""

    parts: tuple[str | _Piece, ...]
    is_or: bool
    """It has ``or`` in it and needs parentheses beside ``and``."""
    length: int

    @classmethod
    def of(cls, parts: Iterable[str | _Piece], is_or: bool) -> _Piece:
        found = tuple(parts)
        return cls(found, is_or, sum([len(p) if isinstance(p, str) else p.length for p in found]))

    @property
    def text(self) -> str:
        """Raises `TooComplex`."""
        if self.length > _LONGEST:
            raise TooComplex(_LONGEST)
        texts: list[str] = []
        stack: list[str | _Piece] = [self]
        while stack:
            part = stack.pop()
            if isinstance(part, str):
                texts.append(part)
            else:
                stack += reversed(part.parts)
        return "".join(texts)


def text(d: Diagram, given: Diagram = TRUE) -> str:
    """A short PEP 508 text that is true in just the environments of *d*, as far as those in *given* go;
    empty if it is true in all of them, `NEVER` if in none.

    The same for equal sets, in any process. ``both(parse(text(d, g)), g) == both(d, g)``, but for opposites
    of comparisons with ``platform_release`` and ``implementation_version`` (see `literals`). Raises
    `TooComplex` if it would be very long.
    """
    must = both(d, given)
    if must == given:
        return ""
    if must == FALSE:
        return NEVER
    pieces = [_written(cover(must, either(d, negate(given))))]
    if given != TRUE:
        # Freedom may lead the greedy search astray.
        pieces.append(_written(cover(d, d)))
    return min(pieces, key=lambda piece: piece.length).text


def simplify(d: Diagram, given: Diagram) -> Diagram:
    """A diagram with a short text that has the same environments as *d* in *given*, and any others
    outside; TRUE or, if not that, FALSE where it is possible. Use `text` with *given* for the text itself."""
    must = both(d, given)
    if must == given:
        return TRUE
    if must == FALSE:
        return FALSE
    found = cover(must, either(d, negate(given)))
    return found.diagram if _written(found).length <= _written(cover(d, d)).length else d


def _written(found: Cover) -> _Piece:
    """The text of a cover that is not empty and not everything; without recursion."""
    done: dict[int, _Piece] = {}
    stack: list[Cover] = [found]
    while stack:
        this = stack[-1]
        waiting = [term.rest for term in this.terms if id(term.rest) not in done and _has_rest(term)]
        if waiting:
            stack += waiting
            continue
        done[id(this)] = _or([_and(term, done) for term in this.terms])
        stack.pop()
    return done[id(found)]


def _has_rest(term: Term) -> bool:
    return term.rest.diagram != TRUE


def _and(term: Term, done: dict[int, _Piece]) -> list[_Piece]:
    """One term as alternatives."""
    assert term.choice is not None
    alternatives = [_Piece.of([" and ".join(texts)], False) for texts in term.choice.texts]
    if not _has_rest(term):
        return alternatives
    condition, rest = _or([alternatives]), done[id(term.rest)]
    return [_Piece.of([*_enclosed(condition), " and ", *_enclosed(rest)], False)]


def _or(terms: list[list[_Piece]]) -> _Piece:
    pieces = [piece for term in terms for piece in term]
    if len(pieces) == 1:
        return pieces[0]
    parts = [part for piece in pieces for part in (" or ", piece)]
    return _Piece.of(parts[1:], True)


def _enclosed(piece: _Piece) -> tuple[str | _Piece, ...]:
    return ("(", piece, ")") if piece.is_or else (piece,)
