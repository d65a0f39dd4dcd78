"""A conflict's story as data: each line with what it claims, who asks for it, and the lines it rests on."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from pypm_model.claims import Claim, Term
from pypm_model.errors import Place
from pypm_model.records import field_names, record
from pypm_model.requests import Origin
from pypm_model.resolutions import Reason
from pypm_resolver.sentences import of_range
from pypm_resolver.wording import of_requirement


@record
class Asked:
    """A requirement of a member, as it is written, and where."""

    member: str
    requirement: str
    place: Place

    def to_json(self) -> dict[str, Any]:
        return {"member": self.member, "requirement": self.requirement, **self.place.to_json()}


@record
class Told:
    """One line. *uses* are positions of earlier lines in the story."""

    text: str
    claim: Claim | None
    asks: tuple[Asked, ...]
    places: tuple[Place, ...]
    """Where it speaks of, the requirements' own places first, each once."""
    uses: tuple[int, ...]

    def to_json(self) -> dict[str, Any]:
        return {
            "text": self.text,
            "claim": None if self.claim is None else claim_json(self.claim),
            "asks": [ask.to_json() for ask in self.asks],
            "places": [place.to_json() for place in self.places],
            "uses": list(self.uses),
        }


def told(reason: Reason, place: Callable[[Origin], Place]) -> Told:
    """*reason* with its places found."""
    asks = tuple(
        Asked(ask.origin.member, of_requirement(ask.requirement), place(ask.origin)) for ask in reason.asks
    )
    ranged = (place(ask.ranged) for ask in reason.asks if ask.ranged is not None)
    places = dict.fromkeys((*(ask.place for ask in asks), *ranged, *map(place, reason.origins)))
    return Told(reason.text, reason.claim, asks, tuple(places), reason.uses)


def claim_json(claim: Claim) -> dict[str, Any]:
    """*claim* as data: ``says`` is the name of its record, ``depends-on``, and its fields are named
    likewise. A term has all versions there are (``known``), those it is about, and these as a ``range``."""
    return {"says": _kebab(claim.__class__.__name__), **_fields(claim)}


def _fields(one: object) -> dict[str, Any]:
    return {name.replace("_", "-"): _plain(getattr(one, name)) for name in field_names(one.__class__)}


def _plain(value: Any) -> Any:
    if isinstance(value, Term):
        return {**_fields(value), "range": of_range(value)}
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    return value


def _kebab(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "-", name).lower()
