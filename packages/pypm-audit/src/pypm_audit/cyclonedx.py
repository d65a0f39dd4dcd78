"""A bill of materials as CycloneDX 1.6 JSON: equal bills give equal bytes."""

from __future__ import annotations

import json
from collections.abc import Iterable
from hashlib import sha256
from typing import Any

from pypm_audit.bill import Bill, Component
from pypm_audit.license_expressions import Leaf, parse

SCHEMA = "http://cyclonedx.org/schema/bom-1.6.schema.json"


def write(bill: Bill) -> str:
    """The text of *bill*. Its serial number is made from what it says."""
    document: dict[str, Any] = {
        "$schema": SCHEMA,
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            **({"timestamp": bill.moment} if bill.moment else {}),
            "tools": {"components": [{"type": "application", "name": "pypm", "version": bill.tool}]},
            "component": _component(bill.subject),
        },
        "components": [_component(one) for one in bill.components],
        "dependencies": _dependencies(bill.every()),
        "compositions": [
            {
                "aggregate": "complete",
                "dependencies": [bill.subject.ref, *(one.ref for one in bill.components)],
            },
            {
                "aggregate": "complete" if bill.is_complete else "incomplete",
                "assemblies": [bill.subject.ref],
            },
        ],
    }
    digest = sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()
    document["serialNumber"] = f"urn:uuid:{uuid_of(digest)}"
    return json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def uuid_of(digest: str) -> str:
    """A UUID (RFC 9562, version 8) of a sha256."""
    variant = "89ab"[int(digest[16], 16) % 4]
    return f"{digest[:8]}-{digest[8:12]}-8{digest[13:16]}-{variant}{digest[17:20]}-{digest[20:32]}"


def _component(one: Component) -> dict[str, Any]:
    found: dict[str, Any] = {"type": one.kind, "bom-ref": one.ref, "name": one.name}
    plain = {
        "version": one.version,
        "purl": one.purl,
        "cpe": one.cpe,
        "description": one.summary,
        "licenses": _licenses(one),
        "hashes": [{"alg": name, "content": value} for name, value in one.hashes],
        "externalReferences": _references(one),
        "properties": [{"name": name, "value": value} for name, value in one.properties],
        "components": [_component(part) for part in one.parts],
        "scope": "excluded" if one.is_excluded else "",
        "authors": [{"name": one.author}] if one.author else [],
    }
    return found | {key: value for key, value in plain.items() if value}


def _licenses(one: Component) -> list[dict[str, Any]]:
    license = one.license
    if not license.expression:
        return [{"license": {"name": license.said}}] if license.said else []
    parsed = parse(license.expression)
    is_listed = isinstance(parsed, Leaf) and not (parsed.later or parsed.exception)
    if is_listed and not license.expression.startswith("LicenseRef-"):
        return [{"license": {"id": license.expression}}]
    return [{"expression": license.expression}]


def _references(one: Component) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [{"type": kind, "url": address} for kind, address in one.links]
    if one.address:
        kind = "vcs" if one.address.startswith("git+") else "distribution"
        found.append({"type": kind, "url": one.address})
    for file in one.files:
        # No lock has the address of an index: what can be said is relative to one.
        found.append(
            {
                "type": "distribution",
                "url": file.path or file.filename,
                "comment": file.filename,
                "hashes": [{"alg": "SHA-256", "content": file.sha256}],
            }
        )
    return found


def _dependencies(every: Iterable[Component]) -> list[dict[str, Any]]:
    """Who needs whom; also those that need nobody, so that it is known of them."""
    found = [
        {"ref": one.ref} | ({"dependsOn": list(one.needs)} if one.needs else {})
        for one in sorted(every, key=lambda one: one.ref)
    ]
    return found
