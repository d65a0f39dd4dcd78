"""Core metadata as text (METADATA, PKG-INFO): the few fields that a resolution needs.

Only the header block is looked at, by two regular expressions (40 µs; the standard library's mail
parser takes ten times as long). The block ends where `email.parser` ends it, and fields are read as
``packaging.metadata.parse_email`` reads them: a test compares.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from pypm_model import specifiers
from pypm_model.facts import Metadata, MetadataKey, NoMetadata
from pypm_model.names import NormalizedName, is_valid, normalize
from pypm_model.patterns import pattern
from pypm_model.records import record
from pypm_model.requirement_text import InvalidRequirement, parse
from pypm_model.requirements import Requirement
from pypm_model.versions import InvalidVersion, sort_key

# The first line that is neither a header nor the continuation of one (the blank line, if all is well).
_end = pattern(r"^(?!From |[\x21-\x39\x3b-\x7e]+:|[\t ])", re.MULTILINE)
_field = pattern(
    r"^(name|version|metadata-version|requires-dist|requires-python|provides-extra|dynamic)"
    r":[ \t]*(.*(?:\n[ \t].*)*)",
    re.MULTILINE | re.IGNORECASE,
)
_fold = pattern(r"\s*\n[ \t]+")


@record
class Headers:
    """The fields as written; those that occur once are empty if missing."""

    metadata_version: str = ""
    name: str = ""
    version: str = ""
    requires_python: str = ""
    requires_dist: tuple[str, ...] = ()
    provides_extra: tuple[str, ...] = ()
    dynamic: tuple[str, ...] = ()
    """Lower case."""

    @property
    def is_static(self) -> bool:
        """Whether an sdist's dependencies are what any wheel built from it will have (PEP 643)."""
        major, _, minor = self.metadata_version.partition(".")
        if not (major.isdigit() and minor.isdigit()) or (int(major), int(minor)) < (2, 2):
            return False
        return _DEPENDENCY_FIELDS.isdisjoint(self.dynamic) and bool(self.name and self.version)


_DEPENDENCY_FIELDS = {"requires-dist", "requires-python", "provides-extra", "version", "name"}


def read(data: bytes) -> Headers:
    """The fields in *data*. Never fails: what is not there is empty. Of a field that may occur once
    the first counts."""
    block, _ = _parts(data)
    single: dict[str, str] = {}
    requires: list[str] = []
    extras: list[str] = []
    dynamic: list[str] = []
    for field, value in _field.findall(block):
        field = field.lower()
        value = _fold.sub(" ", value).strip() if "\n" in value else value.strip()
        if field == "requires-dist":
            requires.append(value)
        elif field == "provides-extra":
            extras.append(value)
        elif field == "dynamic":
            dynamic.append(value.lower())
        else:
            single.setdefault(field, value)
    return Headers(
        single.get("metadata-version", ""),
        single.get("name", ""),
        single.get("version", ""),
        single.get("requires-python", ""),
        tuple(requires),
        tuple(extras),
        tuple(dynamic),
    )


def _parts(data: bytes) -> tuple[str, str]:
    """The fields, and what stands after them."""
    text = data.decode("utf-8", "replace").removeprefix("\ufeff")
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    end = _end.search(text)
    return (text, "") if end is None else (text[: end.start()], text[end.start() :])


def with_requirements(data: bytes, requires: Iterable[str]) -> bytes:
    """*data* with *requires* in the place of its own requirements."""
    head, rest = _parts(data)
    kept = _field.sub(lambda field: "" if field[1].lower() == "requires-dist" else field[0], head)
    lines = [line for line in kept.split("\n") if line] + [f"Requires-Dist: {line}" for line in requires]
    return ("\n".join(lines) + "\n" + rest).encode()


def facts(headers: Headers, key: MetadataKey, origin: str) -> Metadata | NoMetadata:
    """What *headers*, read from the file named *origin*, say of *key*.

    A Requires-Dist line that is no requirement is kept apart, one with the faults of old tools is
    repaired (`pypm_model.requirement_text.parse`). Metadata of another project or version is not
    believed.
    """
    if not headers.name and not headers.version:
        return NoMetadata(key, f"the metadata in {origin} is empty")
    wrong = _mismatch(headers, key.name, key.version)
    if wrong:
        return NoMetadata(key, f"the metadata in {origin} is of {wrong}")
    requires, invalid = requirements(headers.requires_dist)
    return Metadata(key, requires, extras(headers), requires_python(headers), origin, invalid)


def requirements(lines: Iterable[str]) -> tuple[tuple[Requirement, ...], tuple[str, ...]]:
    """(requirements in the order written, each once; the lines that are none)."""
    good: dict[Requirement, None] = {}
    bad: list[str] = []
    for line in lines:
        try:
            good[parse(line, lenient=True)] = None
        except InvalidRequirement:
            bad.append(line)
    return tuple(good), tuple(bad)


def extras(headers: Headers) -> tuple[NormalizedName, ...]:
    """The extras' names, normalised, sorted, each once."""
    return tuple(sorted({normalize(name) for name in headers.provides_extra if is_valid(name)}))


def requires_python(headers: Headers) -> str:
    """Requires-Python as normal text; one that is beyond repair asks for nothing, as pip has it."""
    try:
        return specifiers.lenient(headers.requires_python)
    except specifiers.InvalidSpecifier:
        return ""


def contradictions(fact: Metadata, there: Metadata | NoMetadata) -> tuple[str, ...]:
    """Names of the fields in which *there*, which is in the file itself, says something else than *fact*
    that was resolved with: what an index serves beside a wheel must be what is in it (PEP 658)."""
    if isinstance(there, NoMetadata):
        return ("Name", "Version")
    found = []
    if frozenset(fact.requires) != frozenset(there.requires):
        found.append("Requires-Dist")
    if fact.extras != there.extras:
        found.append("Provides-Extra")
    if fact.requires_python != there.requires_python:
        found.append("Requires-Python")
    return tuple(found)


def _mismatch(headers: Headers, name: NormalizedName, version: str) -> str:
    try:
        fits = normalize(headers.name) == name and sort_key(headers.version) == sort_key(version)
    except InvalidVersion:
        fits = False
    return "" if fits else f"{headers.name or 'a nameless project'} {headers.version or 'without a version'}"
