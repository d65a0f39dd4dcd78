"""What the last resolution of a workspace had to know, remembered between runs.

The next one will ask nearly all of it again. Asked at once, that is a few queries of the cache, and pages
that are to be confirmed are asked for side by side; met one after the other it takes as many rounds as the
chain of dependencies is long. What is asked for early changes no outcome (`pypm_resolver.session`).
"""

from __future__ import annotations

import json
from collections.abc import Iterable

from pypm.ops.remembered import asked_file, keep
from pypm.ops.world import World
from pypm_model.facts import Key, ListingKey, MetadataKey
from pypm_model.names import NormalizedName

_MOST = 20_000
"""Keys that are worth being kept."""


def recall(world: World, root: str) -> tuple[Key, ...]:
    """The keys that `remember` was given for the workspace at *root*; none if nothing can be read."""
    try:
        listings, metadata = json.loads(asked_file(world, root).read_bytes())
        return (
            *[ListingKey(NormalizedName(name), str(index)) for name, index in listings],
            *[
                MetadataKey(NormalizedName(name), str(version), str(index))
                for name, version, index in metadata
            ],
        )
    except (OSError, ValueError, TypeError, AttributeError):
        return ()


def remember(world: World, root: str, keys: Iterable[Key]) -> None:
    """Keeps *keys*, those of direct sources left out: what is there may be somebody's at work."""
    listings = sorted([key for key in keys if isinstance(key, ListingKey)])
    metadata = sorted([key for key in keys if isinstance(key, MetadataKey)])
    if len(listings) + len(metadata) <= _MOST:
        keep(asked_file(world, root), json.dumps([listings, metadata], separators=(",", ":")).encode())
