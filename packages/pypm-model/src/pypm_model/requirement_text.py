"""Dependency specifiers (PEP 508) as text: ``name[extra]>=1,<2; marker`` and ``name @ url ; marker``.

The grammar is the one ``packaging`` reads, but for project and extra names, which must end in a letter
or digit as PEP 508 has it. Markers are checked for their form only.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from pypm_model import marker_text, specifiers
from pypm_model.later import later
from pypm_model.marker_text import InvalidMarkerText
from pypm_model.names import NormalizedName, normalize
from pypm_model.patterns import pattern
from pypm_model.requirements import Requirement
from pypm_model.specifiers import InvalidSpecifier

if TYPE_CHECKING:
    from urllib import parse as urls
else:
    urls = later("urllib.parse")  # few addresses need it


class InvalidRequirement(ValueError):
    """The text is no dependency specifier; *position* (from 0) is where it stops being one."""

    def __init__(self, text: str, position: int, reason: str) -> None:
        self.text = text
        self.position = position
        self.reason = reason
        super().__init__(f"invalid requirement {text!r}: {reason} (column {position + 1})")


def _is_url(text: str) -> bool:
    """False for what nobody can take apart: a bracket too many, or a host that is no address."""
    if text.isascii() and "[" not in text and "]" not in text:
        return True
    try:
        urls.urlsplit(text)
    except ValueError:
        return False
    return True


_name = r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?"
_head = pattern(rf"[ \t]*({_name})(?![A-Za-z0-9._-])[ \t]*(?:\[[ \t]*([^\]]*?)[ \t]*\][ \t]*)?")
_extra = pattern(_name)
_comma = pattern(r"[ \t]*,[ \t]*")
_url = pattern(r"@[ \t]*([^ \t]+)(?:[ \t]*\Z|[ \t]+(?=;))")
_clauses = pattern(r"(\([ \t]*)?([^;()\r\n]*?)[ \t]*(\))?[ \t]*(?=;|\Z)")


@lru_cache(maxsize=65536)
def parse(text: str, *, lenient: bool = False) -> Requirement:
    """The requirement that *text* states; remembers answers. Raises `InvalidRequirement`.

    With *lenient*, for metadata of others, blanks around the text do not matter and faults that
    `pypm_model.specifiers.lenient` knows are repaired, an open parenthesis is closed, and a dependency
    specifier with nothing wrong means what it means without.
    """
    try:
        return _parse(text)
    except InvalidRequirement as fault:
        if not lenient:
            raise
        repaired = _repaired(text)
        if repaired is None:
            raise
        try:
            return _parse(repaired)
        except InvalidRequirement:
            raise fault from None


def _parse(text: str) -> Requirement:
    # 1. The name and its extras.
    head = _head.match(text)
    if head is None:
        start = len(text) - len(text.lstrip(" \t"))
        raise InvalidRequirement(text, start, "expected the name of a package")
    name, extras = head.groups()
    position = head.end()
    # 2. Where from, or which versions.
    url = specifier = ""
    if text.startswith("@", position):
        match = _url.match(text, position)
        if match is None:
            raise InvalidRequirement(text, position, "expected an address after '@', then a blank and ';'")
        url = match[1]
        if not _is_url(url):
            raise InvalidRequirement(text, match.start(1), "that is no URL")
        position = match.end()
    elif position < len(text) and text[position] != ";":
        specifier, position = _specifier(text, position)
    # 3. Where it applies.
    marker = _marker(text, position)
    return Requirement(normalize(name), _extras(text, head) if extras else (), specifier, marker, url)


def _extras(text: str, head: re.Match[str]) -> tuple[NormalizedName, ...]:
    found: set[NormalizedName] = set()
    for item in _comma.split(head[2]):
        if _extra.fullmatch(item) is None:
            reason = f"{item!r} is no name of an extra" if item else "expected the name of an extra"
            raise InvalidRequirement(text, head.start(2), reason)
        found.add(normalize(item))
    return tuple(sorted(found))


def _specifier(text: str, position: int) -> tuple[str, int]:
    """The normal specifier that starts at *position*, and where it ends."""
    match = _clauses.match(text, position)
    if match is None or bool(match[1]) != bool(match[3]):
        opened = text.startswith("(", position)
        reason = "expected ')' after the versions" if opened else "expected versions, ';' or '@'"
        raise InvalidRequirement(text, position, reason)
    clauses = match[2]
    try:
        specifier = specifiers.canonical(clauses)
    except InvalidSpecifier as fault:
        at = max(text.find(fault.clause, position), position)
        reason = f"{fault.clause!r} is no version specifier"
        raise InvalidRequirement(text, at, f"{reason}: {fault.reason}" if fault.reason else reason) from None
    # A comma may stand at the end (packaging accepts it), not at the start or twice.
    if "," in clauses and not all(c.strip() for c in clauses.split(",")[:-1]):
        raise InvalidRequirement(text, match.start(2) + clauses.find(","), "expected a version before ','")
    return specifier, match.end()


def _marker(text: str, position: int) -> str:
    if position == len(text):
        return ""
    if text[position] != ";":
        raise InvalidRequirement(text, position, "expected ';' or the end")
    try:
        marker = marker_text.normal(text[position + 1 :])
    except InvalidMarkerText as fault:
        raise InvalidRequirement(text, position + 1 + fault.position, fault.reason) from None
    if not marker:
        raise InvalidRequirement(text, len(text), "expected a marker after ';'")
    return marker


def _repaired(text: str) -> str | None:
    """*text* with the known faults of old metadata repaired, or None where nothing is known to help."""
    text = " ".join(text.split())
    head = _head.match(text)
    if head is None:
        return None
    rest = text[head.end() :]
    if rest.startswith("@"):
        return text
    clauses, semicolon, marker = rest.partition(";")
    try:
        specifier = specifiers.lenient(clauses.strip().strip("()"))
    except InvalidSpecifier:
        return None
    repaired = text[: head.end()] + specifier
    return f"{repaired};{marker}" if semicolon and marker.strip() else repaired


def to_text(requirement: Requirement) -> str:
    """The normal text of *requirement*, such that ``parse(to_text(r)) == r``."""
    name, extras, specifier, marker, url = requirement
    text = f"{name}[{','.join(extras)}]" if extras else name
    if url:
        return f"{text} @ {url} ; {marker}" if marker else f"{text} @ {url}"
    return f"{text}{specifier}; {marker}" if marker else f"{text}{specifier}"
