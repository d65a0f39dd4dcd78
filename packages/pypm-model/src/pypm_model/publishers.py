"""Who published a file, by the attestations that its index has (PEP 740).

A publisher is what an identity is made of: ``kind`` (``GitHub``, ``GitLab``, ``Google``) and what that kind
says besides, such as ``repository`` and ``workflow``. What changes from upload to upload is no part of it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pypm_model.locks import Publisher

_OF_ONE_UPLOAD = ("claims", "vcs_ref")
_LONGEST = 500
"""Characters of a value, and more than any identity has."""


class BadProvenance(ValueError):
    """The text is no provenance object; says why in one clause."""


def publisher_of(table: Mapping[str, Any]) -> Publisher | None:
    """The publisher that *table* describes; None if it has no kind."""
    found = {
        key: value
        for key, value in table.items()
        if isinstance(value, str) and 0 < len(value) <= _LONGEST and value.isprintable() and key.isprintable()
    }
    kind = found.pop("kind", "")
    for key in _OF_ONE_UPLOAD:
        found.pop(key, None)
    return (("kind", kind), *sorted(found.items())) if kind else None


def publishers_in(provenance: bytes) -> tuple[Publisher, ...]:
    """The publishers that a provenance object names, each once, sorted. They are what the index says: no
    signature is verified. Raises `BadProvenance`."""
    try:
        data = json.loads(provenance)
    except (ValueError, RecursionError):
        raise BadProvenance("it is no JSON") from None
    bundles = data.get("attestation_bundles") if isinstance(data, dict) else None
    if not isinstance(bundles, list):
        raise BadProvenance("it has no list of attestations")
    tables = (bundle.get("publisher") for bundle in bundles if isinstance(bundle, dict))
    found = {publisher_of(table) for table in tables if isinstance(table, dict)} - {None}
    return tuple(sorted(each for each in found if each is not None))


def shown(publishers: tuple[Publisher, ...]) -> str:
    """For a reader: ``GitHub psf/requests (publish.yml)``."""
    return " and ".join(map(_one, publishers)) or "nobody"


def _one(publisher: Publisher) -> str:
    facts = dict(publisher)
    kind = facts.pop("kind")
    name = facts.pop("repository", "") or facts.pop("email", "")
    rest = ", ".join(facts.values())
    return " ".join(part for part in (kind, name, f"({rest})" if rest else "") if part)
