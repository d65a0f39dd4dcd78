"""What an audit found, and what of it is to be passed over."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from pypm_audit.chains import Chain
from pypm_audit.matching import Vulnerability
from pypm_audit.severity import Severity
from pypm_model.errors import Place
from pypm_model.names import NormalizedName
from pypm_model.records import record

ADVISORIES = ("malware", "vulnerability")
STATES = ("yanked", "quarantined", "deprecated", "archived")
"""What an index says of a version or project; their ids are the same words."""
PUBLISHER_CHANGED, PROVENANCE_INVALID = "publisher-changed", "provenance-invalid"
"""What attestations say; their ids are the same words, too."""


@record
class Way:
    """How a package comes into a member, and which line of which file asks for its beginning."""

    chain: Chain
    place: Place

    def to_json(self) -> dict[str, Any]:
        return {
            "member": self.chain.member,
            "path": list(self.chain.names),
            "kind": self.chain.kind,
            "label": self.chain.label or None,
            "direct": self.chain.is_direct,
            **self.place.to_json(),
        }


@record
class Finding:
    """One thing that is known against one locked version."""

    kind: str
    """One of `ADVISORIES` and `STATES`, or what attestations say."""
    id: str
    package: NormalizedName
    version: str
    summary: str = ""
    aliases: tuple[str, ...] = ()
    severity: Severity = Severity()
    fixed: tuple[str, ...] = ()
    url: str = ""
    ways: tuple[Way, ...] = ()
    faults: tuple[str, ...] = ()

    @property
    def ids(self) -> tuple[str, ...]:
        """Every name it goes by."""
        return (self.id, *self.aliases)

    def to_json(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "id": self.id,
            "aliases": list(self.aliases),
            "package": self.package,
            "version": self.version,
            "summary": self.summary,
            "severity": {
                "rating": self.severity.rating,
                "score": self.severity.score,
                "vector": self.severity.vector or None,
            },
            "fixed": list(self.fixed),
            "url": self.url or None,
            "paths": [way.to_json() for way in self.ways],
            "unread": list(self.faults),
        }


def of_vulnerability(
    one: Vulnerability, package: NormalizedName, version: str, ways: Sequence[Way]
) -> Finding:
    """*one* as a finding."""
    return Finding(
        "malware" if one.is_malware else "vulnerability",
        one.id,
        package,
        version,
        one.summary,
        one.aliases,
        Severity("critical") if one.is_malware and one.severity.score is None else one.severity,
        one.fixed,
        one.url,
        tuple(ways),
        one.faults,
    )


@record
class Ignore:
    """What a workspace passes over for a while."""

    id: str
    """Of an advisory, under any of its names, or the kind of another finding."""
    reason: str
    expires: str
    """A moment, RFC 3339 in UTC: from then on it counts again."""
    package: str = ""
    """Normalised; empty: every one."""
    place: Place = Place("pypm-workspace.toml")

    def fits(self, finding: Finding) -> bool:
        """Whether it is about *finding*; ids are compared without regard to case."""
        wanted = self.id.casefold()
        return self.package in ("", finding.package) and any(i.casefold() == wanted for i in finding.ids)

    def to_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "reason": self.reason,
            "expires": self.expires,
            "package": self.package or None,
            **self.place.to_json(),
        }


@record
class Sifted:
    """Findings told apart by a workspace's ignores."""

    left: tuple[Finding, ...]
    ignored: tuple[tuple[Finding, Ignore], ...] = ()
    expired: tuple[Ignore, ...] = ()
    """Those that would fit a finding, and hold no longer."""
    unused: tuple[Ignore, ...] = ()
    """Those that fit none."""


def sift(findings: Iterable[Finding], ignores: Sequence[Ignore], now: str) -> Sifted:
    """*findings* without what *ignores* pass over at the moment *now* (RFC 3339 in UTC, whole seconds)."""
    left = []
    ignored = []
    fitting: set[Ignore] = set()
    for finding in findings:
        fits = [each for each in ignores if each.fits(finding)]
        fitting.update(fits)
        holds = next((each for each in fits if now < each.expires), None)
        if holds is None:
            left.append(finding)
        else:
            ignored.append((finding, holds))
    return Sifted(
        tuple(left),
        tuple(ignored),
        tuple(each for each in ignores if each in fitting and now >= each.expires),
        tuple(each for each in ignores if each not in fitting),
    )
