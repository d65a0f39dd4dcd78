"""Locked versions against advisories: each vulnerability once, under whatever names it goes."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from pypm_audit.advisories import MALWARE, Advisory
from pypm_audit.affected import fixed_versions, is_affected
from pypm_audit.severity import Severity, severity
from pypm_model.names import NormalizedName
from pypm_model.records import record
from pypm_model.versions import sort_key

Subject = tuple[NormalizedName, str]
"""A package and the version of it that is locked."""

_preferred = (MALWARE, "GHSA-", "PYSEC-", "CVE-")
"""Of a vulnerability's ids the one with the first of these beginnings is shown."""


@record
class Vulnerability:
    """What one or several advisories, which name each other as aliases, say of one locked version."""

    id: str
    aliases: tuple[str, ...]
    """All other ids, sorted."""
    summary: str = ""
    severity: Severity = Severity()
    fixed: tuple[str, ...] = ()
    """Versions above the locked one that end it, ascending."""
    is_malware: bool = False
    url: str = ""
    faults: tuple[str, ...] = ()
    """What of the advisories could not be read."""

    @property
    def ids(self) -> tuple[str, ...]:
        """Every name it goes by."""
        return (self.id, *self.aliases)


def match(
    subjects: Iterable[Subject],
    advisories: Iterable[Advisory],
    told: Mapping[Subject, Collection[str]] | None = None,
) -> Mapping[Subject, tuple[Vulnerability, ...]]:
    """The vulnerabilities of each subject that has one: malware first, then the worst, then by id.
    Withdrawn advisories count for nothing.

    *told* are ids that somebody else says are about a subject: that counts where the record itself is
    silent, or not wholly readable.
    """
    advisories = list(advisories)
    by_id: dict[str, list[Advisory]] = {}
    for advisory in advisories:
        by_id.setdefault(advisory.id, []).append(advisory)
    by_name: dict[NormalizedName, list[Advisory]] = {}
    for advisory in advisories:
        for name in () if advisory.withdrawn else advisory.names:
            by_name.setdefault(name, []).append(advisory)
    found = {}
    for name, version in dict.fromkeys(subjects):
        hits = [each for each in by_name.get(name, ()) if is_affected(each, name, version)]
        for advisory in (a for i in (told or {}).get((name, version), ()) for a in by_id.get(i, ())):
            is_vague = advisory.faults or name not in advisory.names
            if is_vague and not advisory.withdrawn and advisory not in hits:
                hits.append(advisory)
        if hits:
            merged = [_merged(group, name, version) for group in _groups(hits)]
            found[name, version] = tuple(sorted(merged, key=_order))
    return found


def _groups(advisories: Sequence[Advisory]) -> list[list[Advisory]]:
    """Advisories that share an id or alias, also by way of a third one, together."""
    groups: list[tuple[set[str], list[Advisory]]] = []
    for advisory in sorted(advisories, key=lambda each: each.id):
        ids, members = {advisory.id, *advisory.aliases}, [advisory]
        apart = []
        for known, others in groups:
            if known & ids:
                ids |= known
                members = others + members
            else:
                apart.append((known, others))
        groups = [*apart, (ids, members)]
    return [members for _, members in groups]


def _merged(group: Sequence[Advisory], name: NormalizedName, version: str) -> Vulnerability:
    ranked = sorted(group, key=lambda each: _rank(each.id))
    ids = sorted({i for each in group for i in (each.id, *each.aliases)}, key=_rank)
    # What is no id of a record stays an alias: a CVE that only an alias names is looked up less well.
    first = ranked[0].id
    fixed = {sort_key(v): v for each in ranked for v in fixed_versions(each, name, version)}
    return Vulnerability(
        id=first,
        aliases=tuple(sorted(each for each in ids if each != first)),
        summary=next((each.summary for each in ranked if each.summary), ""),
        severity=severity(
            (vector for each in ranked for vector in each.vectors),
            (each.rating for each in ranked if each.rating),
        ),
        fixed=tuple(fixed[key] for key in sorted(fixed)),
        is_malware=any(each.is_malware for each in ranked),
        url=next((each.url for each in ranked if each.url), ""),
        faults=tuple(dict.fromkeys(fault for each in ranked for fault in each.faults)),
    )


def _rank(identity: str) -> tuple[int, str]:
    place = next((n for n, start in enumerate(_preferred) if identity.startswith(start)), len(_preferred))
    return place, identity


def _order(one: Vulnerability) -> tuple[bool, int, float, str]:
    return not one.is_malware, one.severity.rank, -(one.severity.score or 0), one.id
