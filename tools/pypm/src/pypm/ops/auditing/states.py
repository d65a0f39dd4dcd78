"""What indexes say of locked versions and their projects: yanked (PEP 592), and project status (PEP 792)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pypm.ops.tools import Tools
from pypm_audit.advisories import plain
from pypm_audit.findings import STATES, Finding
from pypm_audit.severity import Severity
from pypm_model.errors import PypmError
from pypm_model.events import Warned
from pypm_model.facts import Listing, ListingKey
from pypm_model.locks import LockedPackage
from pypm_model.records import record
from pypm_model.sources import IndexSource
from pypm_model.versions import InvalidVersion, sort_key

_MEANING = {
    "quarantined": "the project is quarantined: its index holds it for unsafe, probably for malicious",
    "deprecated": "the project is deprecated: something else has taken its place",
    "archived": "the project is archived: nothing more will be released, fixes neither",
}


@record
class States:
    """What is said against versions, and of how many nothing is known."""

    findings: tuple[Finding, ...]
    unknown: int
    """Packages of indexes whose page is not at hand."""


def states(tools: Tools, packages: Sequence[LockedPackage], *, asking: bool) -> States:
    """What the indexes say of *packages*: as the cache has it, however old, or, if *asking*, as they say now.
    An index that cannot be asked is warned of, and the cache has to do."""
    keys = dict.fromkeys(
        ListingKey(package.name, package.source.index)
        for package in packages
        if isinstance(package.source, IndexSource)
    )
    known: Mapping[ListingKey, Listing] = {}
    if asking and keys:
        try:
            tools.catalog.request(keys)
            known = {fact.key: fact for fact in tools.catalog.wait() if isinstance(fact, Listing)}
        except PypmError as error:
            message = f"whether versions are yanked is told from the cache: {error}"
            tools.world.listener(Warned("index-not-asked", message))
    if not known:
        known = tools.catalog.known(keys)
    found = []
    for package in packages:
        if isinstance(package.source, IndexSource):
            listing = known.get(ListingKey(package.name, package.source.index))
            if listing is not None:
                found += _of(package, listing)
    return States(tuple(found), sum(key not in known for key in keys))


def _of(package: LockedPackage, listing: Listing) -> list[Finding]:
    found = []
    if listing.status in STATES:
        severity = Severity("critical") if listing.status == "quarantined" else Severity()
        found.append(_finding(listing.status, package, _MEANING[listing.status], severity))
    position = _position(listing, package.version)
    if position is not None and listing.yanked >> position & 1:
        reason = plain(dict(listing.yank_reasons).get(position, ""))
        summary = f"its publisher has withdrawn it: {reason}" if reason else "its publisher has withdrawn it"
        found.append(_finding("yanked", package, summary, Severity()))
    return found


def _finding(kind: str, package: LockedPackage, summary: str, severity: Severity) -> Finding:
    return Finding(kind, kind, package.name, package.version, summary, severity=severity)


def _position(listing: Listing, version: str) -> int | None:
    try:
        return listing.keys.index(sort_key(version))
    except (InvalidVersion, ValueError):
        return None
