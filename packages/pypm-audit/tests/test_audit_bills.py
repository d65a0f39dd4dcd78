"""Bills of materials: what is in them, that the official schemas take them, and bills inside of wheels."""

from __future__ import annotations

import json
import sysconfig
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL
from spdx_tools.spdx.parser.jsonlikedict.json_like_dict_parser import JsonLikeDictParser
from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document

from pypm_audit import cyclonedx, spdx
from pypm_audit.bill import Bill
from pypm_audit.bill_of_lock import Described, Subject, bill_of_lock, newest_upload
from pypm_audit.core_metadata import About
from pypm_audit.embedded import UnreadableBill, read
from pypm_model.artifacts import Artifact
from pypm_model.locks import Edge, Lock, LockedPackage, Manifest, Root
from pypm_model.names import ROOT, NormalizedName, normalize
from pypm_model.records import replace
from pypm_model.sources import GitSource, IndexSource, MemberSource, PathSource, Source, UrlSource

PYPI = IndexSource("pypi")
_strict = JsonStrictValidator(SchemaVersion.V1_6)


def name(text: str) -> NormalizedName:
    return normalize(text)


def edges(*texts: str) -> tuple[Edge, ...]:
    """``name``, ``name[extra]``, either with a marker after ``;``."""
    found = []
    for text in texts:
        head, _, marker = text.partition(";")
        plain, _, extra = head.strip().rstrip("]").partition("[")
        found.append(Edge(name(plain), (name(extra),) if extra else (), marker.strip()))
    return tuple(found)


def package(called: str, *needs: str, source: Source = PYPI, files: int = 1, **extras: str) -> LockedPackage:
    return LockedPackage(
        name(called),
        "1.0",
        source,
        dependencies=edges(*needs),
        extras=tuple((name(extra), edges(need)) for extra, need in extras.items()),
        files=tuple(
            Artifact(f"{called}-1.0-py3-none-{n}.whl", f"{n + 1:064x}", 10, f"2026-01-0{n + 1}T00:00:00Z")
            for n in range(files)
        ),
    )


def member(called: str, *needs: str, **groups: str) -> LockedPackage:
    told = tuple((name(group), edges(need)) for group, need in groups.items())
    return LockedPackage(
        name(called),
        "2.0",
        MemberSource(f"packages/{called}"),
        dependencies=edges(*needs),
        groups=told,
        manifest=Manifest(),
    )


LOCK = Lock(
    requires_python=">=3.11",
    packages=(
        LockedPackage(
            ROOT, "", MemberSource("."), groups=((name("lint"), edges("ruff")),), manifest=Manifest()
        ),
        member("app", "web"),
        member("web", "fast[more]", "winonly; sys_platform == 'win32'", dev="tool"),
        package("fast", "base", files=2, more="extra"),
        package("base", source=GitSource("https://example.test/base", "main", "c" * 40)),
        package("extra", source=UrlSource("https://example.test/extra-1.0.tar.gz", "", "e" * 64), files=0),
        package("winonly", source=IndexSource("internal")),
        package("tool", "base"),
        package("ruff"),
        package("local", source=PathSource("vendor/local"), files=0),
    ),
)


def bill(*roots: Root, described: dict[int, Described] | None = None, lock: Lock = LOCK) -> Bill:
    chosen = roots or (Root(name("app")), Root(name("web")))
    return bill_of_lock(lock, chosen, described or {}, Subject("mono", "0", "2026-01-01T00:00:00Z"))


def checked(one: Bill) -> tuple[dict[str, Any], dict[str, Any]]:
    """*one* in both forms, which the official validators take."""
    first, second = cyclonedx.write(one), spdx.write(one)
    assert _strict.validate_str(first) is None
    document = JsonLikeDictParser().parse(json.loads(second))
    said = [each.validation_message for each in validate_full_spdx_document(document)]
    # "+" is SPDX's own (annex D.2); that library does not know it.
    assert [each for each in said if "Apache-2.0+" not in each] == []
    return json.loads(first), json.loads(second)


def needs(document: dict[str, Any]) -> dict[str, list[str]]:
    return {each["ref"]: each.get("dependsOn", []) for each in document["dependencies"]}


FAST, EXTRA = "pkg:pypi/fast@1.0", "pkg:pypi/extra@1.0"


def test_what_needs_what_from_each_member() -> None:
    document, _ = checked(bill())
    graph = {
        ref.partition("?")[0]: [n.partition("?")[0] for n in some] for ref, some in needs(document).items()
    }
    assert graph == {
        "workspace:mono": ["member:app", "member:web"],
        "member:app": ["member:web"],
        "member:web": [FAST, "pkg:pypi/winonly@1.0"],
        FAST: ["pkg:pypi/base@1.0", EXTRA],
        "pkg:pypi/base@1.0": [],
        EXTRA: [],
        "pkg:pypi/winonly@1.0": [],
    }
    assert document["metadata"]["component"]["name"] == "mono"


def test_one_member_is_the_subject_itself() -> None:
    document, other = checked(bill(Root(name("web"))))
    assert document["metadata"]["component"]["bom-ref"] == "member:web"
    assert all(each["bom-ref"] != "member:web" for each in document["components"])
    first = next(each for each in other["relationships"] if each["relationshipType"] == "DESCRIBES")
    assert first["relatedSpdxElement"] == other["documentDescribes"][0]


def test_what_only_groups_ask_for_does_not_run() -> None:
    document, _ = checked(bill(Root(name("web"), (), (name("dev"),)), Root(ROOT, (), (name("lint"),), False)))
    scopes = {each["name"]: each.get("scope") for each in document["components"]}
    assert scopes["tool"] == scopes["ruff"] == "excluded"
    assert scopes["fast"] is scopes["base"] is None
    graph = needs(document)
    assert "pkg:pypi/tool@1.0" in graph["member:web"]
    assert graph["workspace:mono"] == ["member:web", "pkg:pypi/ruff@1.0"]


def test_names_places_and_digests() -> None:
    document, other = checked(bill())
    found = {each["name"]: each for each in document["components"]}
    for each in document["components"]:
        if "purl" in each:
            assert PackageURL.from_string(each["purl"]).to_string() == each["purl"]
    assert "purl" not in found["web"] and found["web"]["properties"][0]["value"] == "packages/web"
    vcs = PackageURL.from_string(found["base"]["purl"]).qualifiers
    assert vcs == {"vcs_url": f"git+https://example.test/base@{'c' * 40}"}
    assert found["extra"]["hashes"] == [{"alg": "SHA-256", "content": "e" * 64}]
    assert found["winonly"]["properties"] == [
        {"name": "pypm:index", "value": "internal"},
        {"name": "pypm:marker", "value": "sys_platform == 'win32'"},
    ]
    # Of two files neither is the package: each has its own digest.
    assert "hashes" not in found["fast"]
    told = [r["hashes"][0]["content"] for r in found["fast"]["externalReferences"]]
    assert told == [f"{1:064x}", f"{2:064x}"]
    packages = {each["name"]: each for each in other["packages"]}
    purls = [PackageURL.from_string(r["referenceLocator"]) for r in packages["fast"]["externalRefs"]]
    assert [p.qualifiers.get("checksum") for p in purls] == [None, f"sha256:{1:064x}", f"sha256:{2:064x}"]
    assert packages["winonly"]["checksums"] == [{"algorithm": "SHA256", "checksumValue": f"{1:064x}"}]
    assert packages["base"]["downloadLocation"] == f"git+https://example.test/base@{'c' * 40}"


def test_equal_locks_give_equal_bytes_and_others_another_serial_number() -> None:
    backwards = replace(LOCK, packages=tuple(reversed(LOCK.packages)))
    first, again = bill(), bill(lock=backwards)
    for write in (cyclonedx.write, spdx.write):
        assert write(first) == write(again)
        assert write(first) != write(bill(Root(name("web"))))
    serial = json.loads(cyclonedx.write(first))["serialNumber"]
    assert serial != json.loads(cyclonedx.write(bill(Root(name("web")))))["serialNumber"]


def test_the_time_is_that_of_the_newest_file() -> None:
    assert newest_upload(LOCK, range(len(LOCK.packages))) == "2026-01-02T00:00:00Z"
    assert newest_upload(LOCK, [0]) == ""
    timeless = replace(bill(), moment="")
    document, other = checked(timeless)
    assert "timestamp" not in document["metadata"]
    assert other["creationInfo"]["created"] == "1980-01-01T00:00:00Z"


@pytest.mark.parametrize(
    ("expression", "said", "expected"),
    [
        ("MIT", "", [{"license": {"id": "MIT"}}]),
        ("MIT OR Apache-2.0", "", [{"expression": "MIT OR Apache-2.0"}]),
        ("Apache-2.0+", "", [{"expression": "Apache-2.0+"}]),
        ("LicenseRef-Ours AND MIT", "", [{"expression": "LicenseRef-Ours AND MIT"}]),
        ("", "BSD", [{"license": {"name": "BSD"}}]),
        ("", "", None),
    ],
)
def test_licences_are_told_as_they_are_known(expression: str, said: str, expected: object) -> None:
    about = About(license_expression=expression, license=said, author="Ann (ann@x.test)")
    document, other = checked(bill(described={3: Described(about)}))
    (fast,) = (each for each in document["components"] if each["name"] == "fast")
    assert fast.get("licenses") == expected
    (same,) = (each for each in other["packages"] if each["name"] == "fast")
    assert same["licenseDeclared"] == (expression or "NOASSERTION")
    assert [each["licenseId"] for each in other.get("hasExtractedLicensingInfos", [])] == (
        ["LicenseRef-Ours"] if "Ours" in expression else []
    )


AUDITWHEEL = {
    "bomFormat": "CycloneDX",
    "specVersion": "1.4",
    "metadata": {"component": {"type": "library", "bom-ref": "me", "name": "fast"}},
    "components": [
        {"type": "library", "bom-ref": "me", "name": "fast"},
        {
            "type": "library",
            "bom-ref": "ssl",
            "name": "openssl",
            "version": "3.0",
            "purl": "pkg:rpm/almalinux/openssl@3.0",
            "cpe": "cpe:2.3:a:openssl:openssl:3.0:*:*:*:*:*:*:*",
            "licenses": [{"license": {"id": "Apache-2.0"}}],
            "hashes": [{"alg": "SHA-256", "content": "A" * 64}, {"alg": "XYZ", "content": "1"}],
            "components": [{"type": "file", "name": "libcrypto.so"}],
        },
        {"type": "nonsense", "bom-ref": "z", "name": "zlib", "licenses": [{"expression": "no such"}]},
    ],
    "dependencies": [{"ref": "me", "dependsOn": ["ssl"]}, {"ref": "ssl", "dependsOn": ["z", "gone"]}],
}
SPDX = {
    "spdxVersion": "SPDX-2.3",
    "documentDescribes": ["SPDXRef-me"],
    "packages": [
        {"SPDXID": "SPDXRef-me", "name": "fast"},
        {
            "SPDXID": "SPDXRef-ssl",
            "name": "openssl",
            "versionInfo": "3.0",
            "licenseConcluded": "NOASSERTION",
            "licenseDeclared": "Apache-2.0",
            "externalRefs": [{"referenceType": "purl", "referenceLocator": "pkg:rpm/almalinux/openssl@3.0"}],
            "checksums": [{"algorithm": "SHA1", "checksumValue": "b" * 40}],
        },
        {"SPDXID": "SPDXRef-rust", "name": "serde", "versionInfo": "1"},
    ],
    "relationships": [
        {"spdxElementId": "SPDXRef-me", "relationshipType": "CONTAINS", "relatedSpdxElement": "SPDXRef-ssl"},
        {
            "spdxElementId": "SPDXRef-rust",
            "relationshipType": "DEPENDENCY_OF",
            "relatedSpdxElement": "SPDXRef-ssl",
        },
    ],
}


def test_bills_inside_of_wheels_are_merged_each_thing_once() -> None:
    inside = tuple(read(json.dumps(each).encode()) for each in (AUDITWHEEL, SPDX))
    document, other = checked(bill(described={3: Described(About(), inside)}))
    (fast,) = (each for each in document["components"] if each["name"] == "fast")
    parts = {each["name"]: each for each in fast["components"]}
    assert list(parts) == ["libcrypto.so", "serde", "zlib", "openssl"]
    ssl = f"{FAST}#pkg:rpm/almalinux/openssl@3.0"
    assert parts["openssl"]["bom-ref"] == ssl
    assert parts["openssl"]["licenses"] == [{"license": {"id": "Apache-2.0"}}]
    assert parts["openssl"]["hashes"] == [{"alg": "SHA-256", "content": "a" * 64}]
    assert parts["zlib"]["licenses"] == [{"license": {"name": "no such"}}]
    graph = needs(document)
    assert ssl in graph[FAST]
    assert graph[ssl] == [f"{FAST}#library:serde@1", f"{FAST}#library:zlib@"]
    assert {"openssl", "serde", "zlib"} <= {each["name"] for each in other["packages"]}


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "3", '{"bomFormat": "Other"}', '{"spdxVersion": 3}', "[" * 10**5]
)
def test_what_is_no_bill(text: str) -> None:
    with pytest.raises(UnreadableBill):
        read(text.encode())


@pytest.mark.parametrize("wrong", [None, 3, [], {}, "x", [3], [{}], [[]], {"component": 3}])
def test_a_bill_with_parts_of_another_kind_gives_what_it_has(wrong: object) -> None:
    for key in AUDITWHEEL:
        if key != "bomFormat":
            read(json.dumps({**AUDITWHEEL, key: wrong}).encode())
    for key in SPDX:
        if key != "spdxVersion":
            read(json.dumps({**SPDX, key: wrong}).encode())
    one = {"type": wrong, "name": "x", "purl": wrong, "licenses": wrong, "hashes": wrong, "cpe": wrong}
    found = read(json.dumps({**AUDITWHEEL, "components": [one]}).encode())
    checked(bill(described={3: Described(About(), (found,))}))


@pytest.mark.slow
def test_real_bills_of_this_environment_are_merged() -> None:
    """Of those inside of the wheels that these tests run on, the smallest."""
    found = sorted(
        Path(sysconfig.get_path("purelib")).glob("*.dist-info/sboms/*.json"), key=lambda p: p.stat().st_size
    )
    inside = tuple(read(each.read_bytes()) for each in found[:3])
    checked(bill(described={3: Described(About(), inside)}))
