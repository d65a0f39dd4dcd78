"""Diagrams as PEP 508 texts, and simpler diagrams."""

from __future__ import annotations

from typing import NamedTuple

from pypm_model.markers.cover import Cover, Term, cover
from pypm_model.markers.diagram import FALSE, TRUE, Diagram, both, either, negate

NEVER = "python_version < '0'"
"""The text of FALSE, which PEP 508 has no word for: no interpreter has such a version."""


class _Piece(NamedTuple):
    text: str
    is_or: bool
    """It has ``or`` in it and needs parentheses beside ``and``."""


def text(d: Diagram, given: Diagram = TRUE) -> str:
    """A short PEP 508 text that is true in just the environments of *d*, as far as those in *given* go;
    empty if it is true in all of them, `NEVER` if in none.

    The same for equal sets, in any process. ``both(parse(text(d, g)), g) == both(d, g)``, but for opposites
    of comparisons with ``platform_release`` and ``implementation_version`` (see `literals`).
    """
    must = both(d, given)
    if must == given:
        return ""
    if must == FALSE:
        return NEVER
    pieces = [_written(cover(must, either(d, negate(given)))).text]
    if given != TRUE:
        # Freedom may lead the greedy search astray.
        pieces.append(_written(cover(d, d)).text)
    return min(pieces, key=len)


def simplify(d: Diagram, given: Diagram) -> Diagram:
    """A diagram with a short text that has the same environments as *d* in *given*, and any others
    outside; TRUE or, if not that, FALSE where it is possible. Use `text` with *given* for the text itself."""
    must = both(d, given)
    if must == given:
        return TRUE
    if must == FALSE:
        return FALSE
    found = cover(must, either(d, negate(given)))
    return found.diagram if len(_written(found).text) <= len(_written(cover(d, d)).text) else d


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
    alternatives = [_Piece(" and ".join(texts), False) for texts in term.choice.texts]
    if not _has_rest(term):
        return alternatives
    condition, rest = _or([alternatives]), done[id(term.rest)]
    return [_Piece(f"{_enclosed(condition)} and {_enclosed(rest)}", False)]


def _or(terms: list[list[_Piece]]) -> _Piece:
    pieces = [piece for term in terms for piece in term]
    if len(pieces) == 1:
        return pieces[0]
    return _Piece(" or ".join([piece.text for piece in pieces]), True)


def _enclosed(piece: _Piece) -> str:
    return f"({piece.text})" if piece.is_or else piece.text
