"""Bills of materials inside of wheels (PEP 770): what was compiled in or copied along, in CycloneDX or SPDX.

Read for what can be said in either form again: names, versions, package URLs, licences, digests and who
needs whom. A bill that cannot be read is reported by the caller, and hides no other.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pypm_audit.bill import Component
from pypm_audit.license_expressions import InvalidLicense, canonical, together
from pypm_audit.licenses import License
from pypm_model.patterns import pattern
from pypm_model.records import record, replace

MOST = 32 << 20
"""Bytes that are read of one."""
KINDS = frozenset(
    (
        "application", "container", "cryptographic-asset", "data", "device", "device-driver", "file",
        "firmware", "framework", "library", "machine-learning-model", "operating-system", "platform",
    )
)  # fmt: skip
"""Types of components in CycloneDX 1.6."""
ALGORITHMS = frozenset(
    (
        "MD5", "SHA-1", "SHA-256", "SHA-384", "SHA-512", "SHA3-256", "SHA3-384", "SHA3-512",
        "BLAKE2b-256", "BLAKE2b-384", "BLAKE2b-512", "BLAKE3",
    )
)  # fmt: skip
_SPDX_ALGORITHMS = {name.replace("SHA-", "SHA"): name for name in ALGORITHMS}
_hexadecimal = pattern(r"[0-9a-fA-F]{32}|[0-9a-fA-F]{40}|[0-9a-fA-F]{64}|[0-9a-fA-F]{96}|[0-9a-fA-F]{128}")
_NEEDS = frozenset({"DEPENDS_ON", "CONTAINS", "STATIC_LINK", "DYNAMIC_LINK", "HAS_PREREQUISITE"})
_NEEDED = frozenset({"DEPENDENCY_OF", "CONTAINED_BY", "PREREQUISITE_FOR", "BUILD_DEPENDENCY_OF"})


class UnreadableBill(ValueError):
    """The text is no bill that can be read; says why in one clause."""


@record
class Embedded:
    """What one bill inside of a wheel says."""

    components: tuple[Component, ...]
    """Their refs and needs are the bill's own; the wheel itself is none of them."""
    top: tuple[str, ...]
    """Refs of those that the wheel itself needs."""

    def under(self, ref: str) -> Iterator[Component]:
        """The components as parts of the one that is called *ref*: what is the same thing in several bills is
        called the same there."""
        names = {one.ref: _named(ref, one) for one in self.components}
        for one in self.components:
            needs = sorted({names[each] for each in one.needs if each in names} - {names[one.ref]})
            yield replace(one, ref=names[one.ref], needs=tuple(needs))

    def tops(self, ref: str) -> list[str]:
        """What the one that is called *ref* needs, by the names that `under` gives."""
        wanted = set(self.top)
        return [_named(ref, one) for one in self.components if one.ref in wanted]


def _named(ref: str, one: Component) -> str:
    return f"{ref}#{one.purl or f'{one.kind}:{one.name}@{one.version}'}"


def read(data: bytes) -> Embedded:
    """What the bill *data* says. Raises `UnreadableBill`."""
    if len(data) > MOST:
        raise UnreadableBill(f"it is larger than {MOST} bytes")
    try:
        bill = json.loads(data)
    except (ValueError, RecursionError):
        raise UnreadableBill("it is no JSON") from None
    if isinstance(bill, dict) and bill.get("bomFormat") == "CycloneDX":
        return _cyclonedx(bill)
    if isinstance(bill, dict) and str(bill.get("spdxVersion", "")).startswith("SPDX-2."):
        return _spdx(bill)
    raise UnreadableBill("it is neither CycloneDX nor SPDX 2")


# --- CycloneDX -----------------------------------------------------------------------------------


def _cyclonedx(bill: Mapping[str, Any]) -> Embedded:
    own = _table(_table(bill, "metadata"), "component")
    subject = _text(own, "bom-ref")
    needs = {
        _text(each, "ref"): {ref for ref in _list(each, "dependsOn") if isinstance(ref, str)}
        for each in _tables(bill, "dependencies")
    }
    found: dict[str, Component] = {}
    waiting = [*reversed(_tables(own, "components")), *reversed(_tables(bill, "components"))]
    number = 0
    while waiting:
        each = waiting.pop()
        waiting += reversed(_tables(each, "components"))
        number += 1
        ref = _text(each, "bom-ref") or f"#{number}"
        if ref == subject or not _text(each, "name"):
            continue
        found[ref] = Component(
            ref,
            _text(each, "name"),
            _text(each, "version"),
            _text(each, "type") if _text(each, "type") in KINDS else "library",
            _purl(_text(each, "purl")),
            _text(each, "cpe"),
            _text(each, "description"),
            license=_license(_cyclonedx_licenses(each)),
            hashes=_hashes((_text(one, "alg"), _text(one, "content")) for one in _tables(each, "hashes")),
            needs=tuple(sorted(needs.get(ref, ()))),
        )
    return Embedded(tuple(found.values()), _top(found, needs.get(subject, set())))


def _cyclonedx_licenses(each: Mapping[str, Any]) -> Iterator[str]:
    for choice in _tables(each, "licenses"):
        one = _table(choice, "license")
        yield _text(choice, "expression") or _text(one, "id") or _text(one, "name")


# --- SPDX ----------------------------------------------------------------------------------------


def _spdx(bill: Mapping[str, Any]) -> Embedded:
    described = {ref for ref in _list(bill, "documentDescribes") if isinstance(ref, str)}
    needs: dict[str, set[str]] = {}
    for each in _tables(bill, "relationships"):
        first, kind, second = (
            _text(each, key) for key in ("spdxElementId", "relationshipType", "relatedSpdxElement")
        )
        if kind == "DESCRIBES":
            described.add(second)
        elif kind == "DESCRIBED_BY":
            described.add(first)
        elif kind in _NEEDS:
            needs.setdefault(first, set()).add(second)
        elif kind in _NEEDED:
            needs.setdefault(second, set()).add(first)
    found: dict[str, Component] = {}
    for each in _tables(bill, "packages"):
        ref = _text(each, "SPDXID")
        if not ref or ref in described or not _text(each, "name"):
            continue
        outside = [
            (_text(one, "referenceType"), _text(one, "referenceLocator"))
            for one in _tables(each, "externalRefs")
        ]
        sums = [(_text(one, "algorithm"), _text(one, "checksumValue")) for one in _tables(each, "checksums")]
        found[ref] = Component(
            ref,
            _text(each, "name"),
            _text(each, "versionInfo"),
            "library",
            _purl(next((at for kind, at in outside if kind == "purl"), "")),
            next((at for kind, at in outside if kind.startswith("cpe2")), ""),
            _text(each, "summary"),
            license=_license(
                one
                for one in (_text(each, "licenseConcluded"), _text(each, "licenseDeclared"))
                if one not in ("", "NOASSERTION", "NONE")
            ),
            hashes=_hashes((_SPDX_ALGORITHMS.get(name, name), value) for name, value in sums),
            needs=tuple(sorted(needs.get(ref, ()))),
        )
    return Embedded(tuple(found.values()), _top(found, {n for one in described for n in needs.get(one, ())}))


# --- both ----------------------------------------------------------------------------------------


def _top(found: Mapping[str, Component], asked: set[str]) -> tuple[str, ...]:
    """What the wheel needs: what it says that it does, and what nobody else in the bill needs."""
    needed = {ref for one in found.values() for ref in one.needs if ref != one.ref}
    return tuple(sorted(ref for ref in found if ref in asked or ref not in needed))


def _license(texts: Iterator[str]) -> License:
    said = [text for text in dict.fromkeys(texts) if text]
    try:
        return License(together([canonical(text) for text in said]), "embedded") if said else License()
    except InvalidLicense:
        return License(said="; ".join(said))


def _hashes(pairs: Iterator[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    return tuple(
        sorted(
            {(a, value.lower()) for a, value in pairs if a in ALGORITHMS and _hexadecimal.fullmatch(value)}
        )
    )


def _purl(text: str) -> str:
    return text if text.startswith("pkg:") and text.isprintable() and " " not in text else ""


def _text(table: Mapping[str, Any], key: str) -> str:
    value = table.get(key)
    return value if isinstance(value, str) else ""


def _list(table: Mapping[str, Any], key: str) -> Sequence[Any]:
    value = table.get(key)
    return value if isinstance(value, list) else ()


def _table(table: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = table.get(key)
    return value if isinstance(value, dict) else {}


def _tables(table: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    return [each for each in _list(table, key) if isinstance(each, dict)]
