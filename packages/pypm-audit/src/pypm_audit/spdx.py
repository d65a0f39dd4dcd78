"""A bill of materials as SPDX 2.3 JSON: equal bills give equal bytes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from pypm_audit.bill import Bill, Component
from pypm_audit.cyclonedx import uuid_of
from pypm_audit.license_expressions import leaves, parse

EPOCH = "1980-01-01T00:00:00Z"
"""When a bill is from that nobody has given a time: SPDX wants one."""
NAMESPACE = "https://spdx.org/spdxdocs/"
_NONE = "NOASSERTION"
_PURPOSES = {"application": "APPLICATION", "operating-system": "OPERATING-SYSTEM", "file": "FILE"}
_ALGORITHMS = {f"SHA-{bits}": f"SHA{bits}" for bits in (1, 256, 384, 512)}


def write(bill: Bill) -> str:
    """The text of *bill*. Its namespace is made from what it says."""
    every = sorted(bill.every(), key=lambda one: one.ref)
    ids = {one.ref: _id(one.ref) for one in every}
    subject = ids[bill.subject.ref]
    relations = [("SPDXRef-DOCUMENT", "DESCRIBES", subject)]
    for one in every:
        relations += [(ids[one.ref], "DEPENDS_ON", ids[need]) for need in one.needs if need in ids]
        relations += [(ids[one.ref], "CONTAINS", ids[part.ref]) for part in one.parts]
    document: dict[str, Any] = {
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": bill.subject.name,
        "creationInfo": {
            "created": bill.moment or EPOCH,
            "creators": [f"Tool: pypm-{bill.tool}"],
        },
        "documentDescribes": [subject],
        "packages": [_package(one, ids) for one in every],
        "relationships": [
            {"spdxElementId": first, "relationshipType": kind, "relatedSpdxElement": second}
            for first, kind, second in relations
        ],
    }
    if not bill.is_complete:
        document["creationInfo"]["comment"] = (
            "Not everything was at hand: some packages were not looked into."
        )
    if refs := _license_refs(every):
        document["hasExtractedLicensingInfos"] = [
            {"licenseId": ref, "extractedText": f"See the distributions that are under {ref}.", "name": ref}
            for ref in refs
        ]
    digest = sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()
    document["documentNamespace"] = f"{NAMESPACE}{_id(bill.subject.name)[8:]}-{uuid_of(digest)}"
    return json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def _id(ref: str) -> str:
    """An identifier of SPDX for *ref*: of letters, digits, ``.`` and ``-``, unique by a digest."""
    plain = "".join(c if c.isascii() and (c.isalnum() or c in ".-") else "-" for c in ref)
    plain = plain.removeprefix("pkg-pypi-")
    return f"SPDXRef-{plain[:80]}-{sha256(ref.encode()).hexdigest()[:8]}"


def _package(one: Component, ids: Mapping[str, str]) -> dict[str, Any]:
    expression = one.license.expression
    found: dict[str, Any] = {
        "SPDXID": ids[one.ref],
        "name": one.name,
        "downloadLocation": one.address or _NONE,
        "filesAnalyzed": False,
        "licenseConcluded": _NONE,
        "licenseDeclared": expression or _NONE,
        "copyrightText": _NONE,
        "primaryPackagePurpose": _PURPOSES.get(one.kind, "LIBRARY"),
    }
    said = one.license.said
    comments = [f"{name}: {value}" for name, value in one.properties]
    plain: dict[str, Any] = {
        "versionInfo": one.version,
        "summary": one.summary,
        "homepage": next((address for kind, address in one.links if kind == "website"), ""),
        "originator": f"Person: {_plain(one.author)}" if one.author else "",
        "licenseComments": f"The distribution says: {said}" if said else "",
        "packageFileName": one.files[0].filename if len(one.files) == 1 else "",
        "checksums": [
            {"algorithm": _ALGORITHMS[name], "checksumValue": value}
            for name, value in one.hashes
            if name in _ALGORITHMS
        ],
        "externalRefs": _references(one),
        "comment": "\n".join(comments),
    }
    return found | {key: value for key, value in plain.items() if value}


def _plain(author: str) -> str:
    """SPDX reads what is in parentheses as an address of mail."""
    return author.replace("(", "").replace(")", "").strip()


def _references(one: Component) -> list[dict[str, str]]:
    found = []
    if one.purl:
        # Several files are told by a package URL each: a checksum of a package is of its one file.
        several = [one.file_purl(file) for file in one.files] if len(one.files) > 1 else []
        for locator in (one.purl, *several):
            found.append(("PACKAGE-MANAGER", "purl", locator))
    if one.cpe.startswith("cpe:2.3:"):
        found.append(("SECURITY", "cpe23Type", one.cpe))
    return [
        {"referenceCategory": category, "referenceType": kind, "referenceLocator": locator}
        for category, kind, locator in found
    ]


def _license_refs(every: list[Component]) -> list[str]:
    """The licences that SPDX does not list."""
    named = {
        leaf.id for one in every if one.license.expression for leaf in leaves(parse(one.license.expression))
    }
    return sorted(each for each in named if each.startswith("LicenseRef-"))
