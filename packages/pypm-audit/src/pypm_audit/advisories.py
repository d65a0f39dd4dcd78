"""Advisories as OSV writes them, read one by one and leniently.

Databases are written by many hands. One record that cannot be read is a `Malformed` and hides no other; a
part that cannot be read is noted in `Advisory.faults`, and the rest of the record counts. Where it is in
doubt whether a version is affected, it is: a bound that cannot be read is taken as if it were not there.

Source: the OSV schema, https://ossf.github.io/osv-schema/ (1.7).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from pypm_model import names, versions
from pypm_model.names import NormalizedName
from pypm_model.records import record

ECOSYSTEM = "pypi"
MALWARE = "MAL-"
"""Ids of records about malicious packages begin so."""

EventKind = Literal["introduced", "fixed", "last_affected", "limit"]
_KINDS: tuple[EventKind, ...] = ("introduced", "fixed", "last_affected", "limit")
_ORDERED = ("ECOSYSTEM", "SEMVER")
"""Kinds of ranges whose bounds are versions; those of ``GIT`` are commits."""


@record
class Event:
    """One bound of a range: a PEP 440 version; ``0`` as *introduced* stands for the very first."""

    kind: EventKind
    version: str


@record
class Affected:
    """What a record says of one package. A version is affected that is listed or in one of the ranges."""

    name: NormalizedName
    ranges: tuple[tuple[Event, ...], ...] = ()
    versions: tuple[str, ...] = ()
    """As written; they need not be valid."""


@record
class Advisory:
    """One record, as far as it is about Python packages."""

    id: str
    aliases: tuple[str, ...] = ()
    """Ids of the same vulnerability in other databases."""
    summary: str = ""
    """One line; of a record without one, the first line of its details."""
    modified: str = ""
    """RFC 3339."""
    withdrawn: str = ""
    """RFC 3339; empty: it holds."""
    vectors: tuple[str, ...] = ()
    """CVSS vectors, of any version."""
    rating: str = ""
    """What the database calls its severity, lower case, where it gives no vector."""
    url: str = ""
    affected: tuple[Affected, ...] = ()
    faults: tuple[str, ...] = ()
    """What could not be read, a clause each."""

    @property
    def is_malware(self) -> bool:
        """Whether it is about a malicious release: by its own id or, as in merged records, by an alias."""
        return any(each.startswith(MALWARE) for each in (self.id, *self.aliases))

    @property
    def names(self) -> tuple[NormalizedName, ...]:
        """The packages it is about, sorted."""
        return tuple(sorted({each.name for each in self.affected}))


@record
class Malformed:
    """A record that could not be read at all: where it was found, and why."""

    source: str
    reason: str

    def __str__(self) -> str:
        return plain(f"{self.source}: {self.reason}")


def read(data: object, source: str) -> Advisory | Malformed:
    """The record in *data*, as `json` gives it; *source* names where it is from."""
    if not isinstance(data, Mapping):
        return Malformed(source, f"a record is an object, not {_kind(data)}")
    identity = plain(_text(data, "id"))
    if not identity:
        return Malformed(source, "a record needs an `id`")
    schema = data.get("schema_version", "1")
    if not isinstance(schema, str) or schema.split(".")[0] not in ("", "0", "1"):
        return Malformed(source, f"{identity}: schema version {schema!r} is not known")
    faults: list[str] = []
    every = _list(data, "affected", faults)
    affected = tuple(_affected(every, faults))
    return Advisory(
        id=identity,
        aliases=tuple(dict.fromkeys(_texts(data, "aliases", faults))),
        summary=_summary(data),
        modified=plain(_text(data, "modified")),
        withdrawn=plain(_text(data, "withdrawn")),
        vectors=_vectors([data, *every], faults),
        rating=_rating([data, *every]),
        url=_url(data),
        affected=affected,
        faults=tuple(dict.fromkeys(faults)),
    )


def plain(text: str) -> str:
    """*text* as one line without what a terminal would obey."""
    return "".join(sign if sign.isprintable() else " " for sign in text).strip()


def records_in(document: object) -> list[object]:
    """The records of a JSON document: one, a list of them, or an answer of the service (``vulns``)."""
    if isinstance(document, Mapping) and "id" not in document and isinstance(document.get("vulns"), list):
        document = document["vulns"]
    return document if isinstance(document, list) else [document]


def _affected(every: list[object], faults: list[str]) -> Iterator[Affected]:
    for entry in every:
        if not isinstance(entry, Mapping):
            faults.append(f"`affected` holds {_kind(entry)}")
            continue
        package = entry.get("package")
        if package is None:
            continue  # of a repository: versions are commits
        if not isinstance(package, Mapping):
            faults.append(f"`package` is {_kind(package)}")
            continue
        name = _name(package)
        if name is None:
            continue  # of another ecosystem
        if not names.is_valid(name):
            faults.append(f"{name!r} is no name of a package")
            continue
        ranges = tuple(
            events for found in _list(entry, "ranges", faults) if (events := _range(found, name, faults))
        )
        listed = tuple(dict.fromkeys(_texts(entry, "versions", faults)))
        yield Affected(names.normalize(name), ranges, listed)


def _name(package: Mapping[str, Any]) -> str | None:
    """The name of a Python package as written; None for one of another ecosystem."""
    ecosystem, name = package.get("ecosystem"), package.get("name")
    if isinstance(ecosystem, str) and ecosystem:
        if ecosystem.partition(":")[0].strip().lower() != ECOSYSTEM:
            return None
        return name.strip() if isinstance(name, str) else repr(name)
    purl = package.get("purl")
    if isinstance(purl, str) and purl.startswith(f"pkg:{ECOSYSTEM}/"):
        return purl.removeprefix(f"pkg:{ECOSYSTEM}/").partition("@")[0].partition("?")[0]
    return None


def _range(found: object, name: str, faults: list[str]) -> tuple[Event, ...]:
    if not isinstance(found, Mapping):
        faults.append(f"`ranges` of {name} holds {_kind(found)}")
        return ()
    if found.get("type") not in _ORDERED:
        return ()
    events = []
    for entry in _list(found, "events", faults):
        if not isinstance(entry, Mapping):
            faults.append(f"`events` of {name} holds {_kind(entry)}")
            continue
        for kind in _KINDS:
            if kind not in entry:
                continue
            version = entry[kind]
            if isinstance(version, str) and ((kind, version) == ("limit", "*") or version.strip() == "0"):
                if kind != "limit" or version != "*":
                    events.append(Event(kind, "0"))
            elif isinstance(version, str) and versions.is_valid(version):
                events.append(Event(kind, version.strip()))
            else:
                faults.append(f"{kind!r} of {name} is {version!r}, which is no version")
                if kind == "introduced":
                    events.append(Event(kind, "0"))
    if events and all(event.kind != "introduced" for event in events):
        faults.append(f"a range of {name} does not say where it begins")
        events.insert(0, Event("introduced", "0"))
    return tuple(events)


def _summary(data: Mapping[str, Any]) -> str:
    for text in (_text(data, "summary"), _text(data, "details")):
        lines = [line.strip(" #") for line in text.splitlines()]
        first = next(filter(None, map(plain, lines)), "")
        if first:
            return first if len(first) <= 200 else first[:197] + "..."
    return ""


def _vectors(places: list[object], faults: list[str]) -> tuple[str, ...]:
    """Of the record, and of what it says of packages."""
    found: dict[str, None] = {}
    for place in places:
        for entry in _list(place, "severity", faults) if isinstance(place, Mapping) else ():
            score = entry.get("score") if isinstance(entry, Mapping) else None
            if not isinstance(score, str):
                faults.append("`severity` holds something without a score")
            elif "/" in score:
                found[plain(score)] = None
    return tuple(found)


def _rating(places: list[object]) -> str:
    for place in places:
        for key in ("database_specific", "ecosystem_specific"):
            found = place.get(key) if isinstance(place, Mapping) else None
            word = found.get("severity") if isinstance(found, Mapping) else None
            if isinstance(word, str) and word.strip():
                return plain(word).lower()
    return ""


def _url(data: Mapping[str, Any]) -> str:
    """The advisory itself, or what comes first."""
    found: list[tuple[bool, int, str]] = []
    for entry in _list(data, "references", []):
        if isinstance(entry, Mapping) and _text(entry, "url").startswith(("https://", "http://")):
            found.append((entry.get("type") != "ADVISORY", len(found), plain(_text(entry, "url"))))
    return min(found)[2] if found else ""


def _text(data: Mapping[str, Any], key: str) -> str:
    found = data.get(key)
    return found.strip() if isinstance(found, str) else ""


def _texts(data: Mapping[str, Any], key: str, faults: list[str]) -> Iterator[str]:
    for entry in _list(data, key, faults):
        if isinstance(entry, str) and plain(entry):
            yield plain(entry)
        else:
            faults.append(f"`{key}` holds {_kind(entry)}")


def _list(data: Mapping[str, Any], key: str, faults: list[str]) -> list[Any]:
    found = data.get(key)
    if found is None or isinstance(found, list):
        return found or []
    faults.append(f"`{key}` is {_kind(found)}, not a list")
    return []


def _kind(value: object) -> str:
    match value:
        case None:
            return "nothing"
        case bool():
            return "a boolean"
        case str():
            return "a text" if value.strip() else "an empty text"
        case int() | float():
            return "a number"
        case list():
            return "a list"
        case _:
            return "an object"
