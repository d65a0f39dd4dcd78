"""Whether what is locked is still said to be published by whom the lock names (PEP 740)."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence

from pypm.ops.publishers import addresses_of, fetch
from pypm.ops.tools import Tools
from pypm_audit.findings import PUBLISHER_CHANGED, Finding
from pypm_audit.severity import Severity
from pypm_model.events import Warned
from pypm_model.locks import LockedPackage, Publisher
from pypm_model.publishers import BadProvenance, publishers_in, shown
from pypm_model.sources import IndexSource

TOLD = "publishers"
"""Kind of a small fact: when, and whom, an index named at an address."""
FRESH = 600.0
"""Seconds for which an answer is taken to be still right."""


def published(tools: Tools, packages: Sequence[LockedPackage]) -> tuple[Finding, ...]:
    """Those of *packages* of which their indexes name another publisher now than the lock does. What cannot
    be asked is warned of; what an index has no attestations of (any more) says nothing."""
    with_publisher = [package for package in packages if package.publishers]
    addresses = addresses_of(tools, with_publisher)
    asked: dict[str, tuple[LockedPackage, str, str, str]] = {}
    for package in with_publisher:
        told = addresses.get((package.name, package.version, package.source), {})
        first = next((file for file in package.files if file.sha256 in told), None)
        if first is not None and isinstance(package.source, IndexSource):
            place = told[first.sha256]
            asked[first.sha256] = (package, place, package.source.index, first.filename)
    now = _now(tools, {digest: (at, index, name) for digest, (_, at, index, name) in asked.items()})
    return tuple(_differing({digest: asked[digest][0] for digest in asked}, now))


def _differing(
    asked: Mapping[str, LockedPackage], now: Mapping[str, tuple[Publisher, ...]]
) -> Iterator[Finding]:
    for digest, package in asked.items():
        found = now.get(digest)
        if found is not None and found != package.publishers:
            summary = f"its index says that {shown(found)} published it, the lock {shown(package.publishers)}"
            kind = PUBLISHER_CHANGED
            yield Finding(kind, kind, package.name, package.version, summary, severity=Severity("high"))


def _now(tools: Tools, wanted: Mapping[str, tuple[str, str, str]]) -> dict[str, tuple[Publisher, ...]]:
    """Whom the indexes name, by digest; what they said lately is not asked again."""
    known = {} if tools.world.refresh else tools.cache.values(TOLD, [at for at, _, _ in wanted.values()])
    found: dict[str, tuple[Publisher, ...]] = {}
    missing = {}
    for digest, one in wanted.items():
        when, told = known.get(one[0], (0.0, []))
        if 0 <= time.time() - when < FRESH:
            found[digest] = tuple(tuple((k, v) for k, v in each) for each in told)
        else:
            missing[digest] = one
    documents = fetch(tools, missing)
    reasons = list(documents.reasons)
    facts = {}
    for digest, text in documents.texts.items():
        address, _, filename = wanted[digest]
        try:
            found[digest] = publishers_in(text)
        except BadProvenance as error:
            reasons.append(f"the provenance of {filename} cannot be read: {error}")
            continue
        facts[address] = [time.time(), found[digest]]
    tools.cache.put_values(TOLD, facts)
    for reason in reasons:
        tools.world.listener(Warned("provenance-unread", reason))
    return found
