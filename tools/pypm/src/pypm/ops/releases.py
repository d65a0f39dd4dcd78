"""Which versions there are of packages, as their indexes say now."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pypm.ops.tools import Tools
from pypm_model.facts import Listing, ListingKey
from pypm_model.names import NormalizedName


def listings(tools: Tools, names: Iterable[tuple[NormalizedName, str]]) -> Mapping[NormalizedName, Listing]:
    """The versions of packages by name, asked of the index named with each (empty: the first that has
    it); a name no index has is left out. Raises what the index raises."""
    keys = [ListingKey(name, index) for name, index in names]
    tools.catalog.request(keys)
    found = (fact for fact in tools.catalog.wait() if isinstance(fact, Listing)) if keys else ()
    return {listing.name: listing for listing in found}


def newest(listing: Listing, *, prereleases: bool = False) -> str:
    """The newest version that is neither yanked nor too new; a pre-release only if *prereleases*, or if
    there is nothing else. Empty if there is none."""
    usable = listing.all & ~(listing.yanked | listing.too_new)
    stable = usable if prereleases else usable & ~listing.prereleases or usable
    return listing.versions[stable.bit_length() - 1] if stable else ""
