"""The facts a session has been fed with. The first answer to a key stays for the whole session:
bits of an older listing must never meet bits of a newer one."""

from __future__ import annotations

from collections.abc import Iterable

from pypm_model.facts import (
    Absent,
    Direct,
    DirectKey,
    Fact,
    Key,
    Listing,
    ListingKey,
    Metadata,
    MetadataKey,
    NoMetadata,
)


class Knowledge:
    """Facts by key."""

    def __init__(self) -> None:
        self.listings: dict[ListingKey, Listing | Absent] = {}
        self.metadata: dict[MetadataKey, Metadata | NoMetadata] = {}
        self.directs: dict[DirectKey, Direct] = {}

    def feed(self, facts: Iterable[Fact]) -> None:
        """Remember *facts* whose keys are not answered yet."""
        for fact in facts:
            match fact:
                case Listing() | Absent():
                    self.listings.setdefault(fact.key, fact)
                case Metadata() | NoMetadata():
                    self.metadata.setdefault(fact.key, fact)
                case Direct():
                    self.directs.setdefault(fact.key, fact)

    def knows(self, key: Key) -> bool:
        """Whether *key* has been answered."""
        match key:
            case ListingKey():
                return key in self.listings
            case MetadataKey():
                return key in self.metadata
            case DirectKey():
                return key in self.directs
