"""Advisories as the database keeps them: what `advisories.read` made of a record, and nothing else of it."""

from __future__ import annotations

import json
from typing import Any

from pypm_audit.advisories import Advisory, Affected, Event
from pypm_model.names import NormalizedName


def encode(one: Advisory) -> str:
    """*one* as a text."""
    affected = [
        [each.name, [[[e.kind, e.version] for e in events] for events in each.ranges], each.versions]
        for each in one.affected
    ]
    row: list[Any] = [one.id, one.aliases, one.summary, one.modified, one.withdrawn, one.vectors]
    row += [one.rating, one.url, affected, one.faults]
    return json.dumps(row, separators=(",", ":"), ensure_ascii=False)


def decode(text: str) -> Advisory:
    """What `encode` was given."""
    row = json.loads(text)
    identity, aliases, summary, modified, withdrawn, vectors, rating, url, affected, faults = row
    return Advisory(
        identity,
        tuple(aliases),
        summary,
        modified,
        withdrawn,
        tuple(vectors),
        rating,
        url,
        tuple(
            Affected(
                NormalizedName(name),
                tuple(tuple(Event(*event) for event in events) for events in ranges),
                tuple(versions),
            )
            for name, ranges, versions in affected
        ),
        tuple(faults),
    )
