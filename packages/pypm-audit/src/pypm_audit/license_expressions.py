"""SPDX licence expressions as trees: what a choice (OR), a sum (AND) and an exception (WITH) mean.

Which identifiers there are, how they are spelled and what is a well-formed expression is
`packaging.licenses`' word (PEP 639); here is only what can be asked of one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import assert_never

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

from pypm_model.records import record


class InvalidLicense(ValueError):
    """The text is no SPDX licence expression; the text is one clause."""


@record
class Leaf:
    """One licence."""

    id: str
    """As SPDX spells it, without ``+``; ``LicenseRef-...`` for one that SPDX does not list."""
    later: bool = False
    """``+``: this version or any later one."""
    exception: str = ""
    """What the licence is granted WITH."""

    def __str__(self) -> str:
        name = f"{self.id}+" if self.later else self.id
        return f"{name} WITH {self.exception}" if self.exception else name


@record
class AnyOf:
    """A choice: one of them is enough."""

    parts: tuple[Expression, ...]


@record
class AllOf:
    """All of them hold at once."""

    parts: tuple[Expression, ...]


Expression = Leaf | AnyOf | AllOf


def canonical(text: str) -> str:
    """*text* as SPDX spells it. Raises `InvalidLicense`."""
    try:
        return str(canonicalize_license_expression(text))
    except InvalidLicenseExpression as error:
        raise InvalidLicense(str(error)) from None


def parse(text: str) -> Expression:
    """What *text* means: WITH binds closer than AND, AND closer than OR. Raises `InvalidLicense`."""
    words = canonical(text).replace("(", " ( ").replace(")", " ) ").split()
    words.reverse()
    return _choice(words)


def _choice(words: list[str]) -> Expression:
    parts = [_sum(words)]
    while words and words[-1] == "OR":
        words.pop()
        parts.append(_sum(words))
    return parts[0] if len(parts) == 1 else AnyOf(tuple(parts))


def _sum(words: list[str]) -> Expression:
    parts = [_one(words)]
    while words and words[-1] == "AND":
        words.pop()
        parts.append(_one(words))
    return parts[0] if len(parts) == 1 else AllOf(tuple(parts))


def _one(words: list[str]) -> Expression:
    word = words.pop()
    if word == "(":
        inner = _choice(words)
        words.pop()
        return inner
    exception = ""
    if words and words[-1] == "WITH":
        words.pop()
        exception = words.pop()
    return Leaf(word.removesuffix("+"), word.endswith("+"), exception)


def holds(expression: Expression, is_good: Callable[[Leaf], bool]) -> bool:
    """Whether the choices of *expression* can be made so that every licence which is left *is_good*."""
    match expression:
        case Leaf():
            return is_good(expression)
        case AnyOf(parts):
            return any(holds(part, is_good) for part in parts)
        case AllOf(parts):
            return all(holds(part, is_good) for part in parts)
        case _:
            assert_never(expression)


def leaves(expression: Expression) -> Iterator[Leaf]:
    """The licences that are named, in order, as often as they are."""
    match expression:
        case Leaf():
            yield expression
        case AnyOf(parts) | AllOf(parts):
            for part in parts:
                yield from leaves(part)
        case _:
            assert_never(expression)


def together(texts: list[str]) -> str:
    """The expression of what is under all of *texts* (at least one, canonical) at once."""
    kept = list(dict.fromkeys(texts))
    if len(kept) == 1:
        return kept[0]
    return " AND ".join(f"({text})" if " OR " in text else text for text in kept)
