"""What licences a workspace lets in, and what of its packages is under another.

A rule is one licence: ``MIT``, ``Apache-2.0+``, ``GPL-2.0-only WITH Classpath-exception-2.0``, or the
beginning of identifiers and a star, ``GPL-*``. The rule that says most about a licence decides, of equal
ones the one that denies; so ``A WITH B`` can be let in where ``A`` is denied. A rule for ``A`` is one for
``A+`` and for ``A WITH B``, too: whoever may use A as it is may use it with more freedom.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, Literal

from pypm_audit.license_expressions import InvalidLicense, Leaf, canonical, holds, parse
from pypm_audit.licenses import EXCEPTION, License
from pypm_model.errors import Place, PypmError
from pypm_model.names import NormalizedName
from pypm_model.records import record

Verdict = Literal["allowed", "denied", "not-allowed", "unknown"]


class BadLicenseRule(PypmError):
    """A rule of ``[licenses]`` is no licence."""

    code: ClassVar[str] = "license-rule"
    exit: ClassVar[int] = 2
    rule: str
    reason: str
    place: Place

    def __str__(self) -> str:
        return f"{self.place}: {self.rule!r} {self.reason}"

    @property
    def places(self) -> tuple[Place, ...]:
        return (self.place,)

    @property
    def hint(self) -> str:
        return (
            "a rule is one SPDX licence (`MIT`, `GPL-2.0-only WITH Classpath-exception-2.0`), or a beginning"
            " and a star (`GPL-*`)"
        )


@record
class Rule:
    """One licence, or a family of them."""

    leaf: Leaf
    """Its id is only a beginning if *is_family*."""
    is_family: bool = False

    def weight(self, leaf: Leaf) -> int:
        """How much of *leaf* the rule speaks of: 0 if it is about something else."""
        mine = self.leaf
        if self.is_family:
            return 1 if leaf.id.casefold().startswith(mine.id.casefold()) else 0
        if mine.id != leaf.id or (mine.later and not leaf.later):
            return 0
        if mine.exception and mine.exception != leaf.exception:
            return 0
        return 2 + (mine.later and leaf.later) + 2 * bool(mine.exception)


@record
class Exemption:
    """A package whose licence somebody has looked at."""

    package: NormalizedName
    license: str
    """Canonical expression: what it is taken to be under where its metadata do not say, and what they may say
    without being found fault with. When they say something else the exemption does not hold."""
    reason: str
    place: Place = Place("pypm-workspace.toml")


@record
class Policy:
    """The rules of a workspace."""

    allow: tuple[Rule, ...] = ()
    """None: everything that is not denied."""
    deny: tuple[Rule, ...] = ()
    exemptions: tuple[Exemption, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.allow or self.deny)

    def is_good(self, leaf: Leaf) -> bool:
        """Whether one licence may be used."""
        against = max((rule.weight(leaf) for rule in self.deny), default=0)
        if not self.allow:
            return against == 0
        return max(rule.weight(leaf) for rule in self.allow) > against

    def verdict(self, license: License) -> Verdict:
        """What the rules say of *license*, exemptions aside. What is not known is let in by no rule."""
        if not self:
            return "allowed"
        if not license.expression:
            return "unknown"
        expression = parse(license.expression)
        if holds(expression, self.is_good):
            return "allowed"
        open_to = Policy(deny=self.deny)
        return "not-allowed" if holds(expression, open_to.is_good) else "denied"

    def exemption(self, package: NormalizedName, license: License) -> Exemption | None:
        """The one that holds for *package* under *license*."""
        return next(
            (e for e in self.exemptions if e.package == package and license.expression in ("", e.license)),
            None,
        )


def exempted(license: License, exemption: Exemption) -> License:
    """*license* as somebody who looked at the package says it is."""
    return license if license.expression else License(exemption.license, EXCEPTION, license.said)


def rule(text: str, place: Place) -> Rule:
    """The rule that *text* is. Raises `BadLicenseRule`."""
    words = text.strip()
    if words.endswith("*"):
        start = words[:-1]
        if not start or not all(c.isascii() and (c.isalnum() or c in ".-") for c in start):
            raise BadLicenseRule(text, "is no beginning of a licence's name", place)
        return Rule(Leaf(start), True)
    try:
        parsed = parse(words)
    except InvalidLicense:
        raise BadLicenseRule(text, "is no licence that SPDX lists", place) from None
    if not isinstance(parsed, Leaf):
        raise BadLicenseRule(text, "is more than one licence", place)
    return Rule(parsed)


def expression(text: str, place: Place) -> str:
    """The canonical expression that *text* is. Raises `BadLicenseRule`."""
    try:
        return canonical(text)
    except InvalidLicense:
        raise BadLicenseRule(text, "is no SPDX expression", place) from None


def unused(policy: Policy, used: Iterable[Exemption]) -> Sequence[Exemption]:
    """The exemptions that held for nothing."""
    held = set(used)
    return [each for each in policy.exemptions if each not in held]


def to_json(exemption: Exemption) -> dict[str, Any]:
    """*exemption* as JSON-ready data."""
    return {
        "package": exemption.package,
        "license": exemption.license,
        "reason": exemption.reason,
        **exemption.place.to_json(),
    }
