"""Which licence metadata mean, and which of them a workspace lets in."""

from __future__ import annotations

import pytest
from packaging.licenses import canonicalize_license_expression
from trove_classifiers import classifiers as known_classifiers

from pypm_audit import licenses
from pypm_audit.core_metadata import About, of_project, read
from pypm_audit.license_policy import (
    BadLicenseRule,
    Exemption,
    Policy,
    exempted,
    rule,
)
from pypm_audit.licenses import License, license_of
from pypm_model.errors import Place
from pypm_model.names import NormalizedName

HERE = Place("pypm-workspace.toml", 3)


def about(*lines: str) -> About:
    return read(
        "\n".join(("Metadata-Version: 2.4", "Name: a", "Version: 1", *lines)).encode() + b"\n\ntext\n"
    )


def osi(*names: str) -> list[str]:
    return [f"Classifier: License :: OSI Approved :: {name}" for name in names]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["License-Expression: mit or apache-2.0"], License("MIT OR Apache-2.0", "License-Expression")),
        (["License-Expression: nonsense"], License(said="nonsense")),
        # the older field
        (["License: MIT"], License("MIT", "License")),
        (["License: The MIT License (MIT)"], License("MIT", "License")),
        (["License: Apache License, Version 2.0"], License("Apache-2.0", "License")),
        (["License: BSD"], License(said="BSD")),
        (["License: GPL"], License(said="GPL")),
        (["License: UNKNOWN"], License()),
        (["License: Copyright (c) 2020 somebody", "        and more of it"], None),
        # classifiers
        (osi("MIT License"), License("MIT", "classifiers")),
        (["Classifier: License :: OSI Approved", *osi("MIT License")], License("MIT", "classifiers")),
        (osi("Apache Software License"), License(said="OSI Approved :: Apache Software License")),
        (osi("MIT License", "ISC License (ISCL)"), License("MIT AND ISC", "classifiers")),
        (osi("MIT License", "BSD License"), None),
        (["Classifier: License :: OSI Approved"], License(said="OSI Approved")),
        # both
        (["License: BSD-3-Clause", *osi("BSD License")], License("BSD-3-Clause", "License and classifiers")),
        (
            ["License: Apache 2.0", *osi("Apache Software License")],
            License("Apache-2.0", "License and classifiers"),
        ),
        (
            ["License: MIT OR Apache-2.0", *osi("MIT License", "Apache Software License")],
            License("MIT OR Apache-2.0", "License and classifiers"),
        ),
        (["License: MIT", *osi("BSD License")], License(said="MIT; OSI Approved :: BSD License")),
        (["License: BSD", *osi("MIT License")], None),
        ([], License()),
    ],
)
def test_what_metadata_mean(lines: list[str], expected: License | None) -> None:
    found = license_of(about(*lines))
    if expected is None:
        assert (found.expression, bool(found.said)) == ("MIT", False) or not found.expression
    else:
        assert found == expected


def test_a_field_that_names_nothing_beside_a_classifier_that_does() -> None:
    """Two that contradict each other are no licence; one's whole text says nothing to a machine."""
    for field in ("GPL", "GPLv2 or so", "proprietary", "Apache", "BSD-like"):
        assert not license_of(about(f"License: {field}", *osi("MIT License"))).expression
    for field in ("see LICENSE", "MIT-like", "LICENSE.txt", "License :: OSI Approved :: MIT License"):
        assert license_of(about(f"License: {field}", *osi("MIT License"))) == License("MIT", "classifiers")
    long = f"License: {'word ' * 60}"
    assert license_of(about(long, *osi("MIT License"))) == License("MIT", "classifiers")


def test_the_tables_name_what_there_is() -> None:
    for mark in (*licenses._CLASSIFIERS, *licenses._FAMILIES):
        assert f"License :: {mark}" in known_classifiers or mark == "OSI Approved", mark
    for expression in (*licenses._CLASSIFIERS.values(), *licenses._NAMES.values()):
        assert canonicalize_license_expression(expression) == expression


def test_addresses_and_people() -> None:
    found = about(
        "Summary: one\n        thing",
        "Author-email: Ann Other <ann@example.test>, b@example.test",
        "Home-page: https://example.test/",
        "Project-URL: Source Code, https://example.test/src",
        "Project-URL: Homepage, https://example.test/",
        "Project-URL: Bug Tracker, javascript:alert(1)",
        "Project-URL: Funding, https://example.test/pay",
    )
    assert found.author == "Ann Other"
    assert found.links == (("website", "https://example.test/"), ("vcs", "https://example.test/src"))
    assert (found.home_page, found.summary) == ("https://example.test/", "one thing")


def test_a_manifest_says_the_same_as_metadata() -> None:
    table = {
        "name": "a",
        "version": "1",
        "license": "MIT",
        "authors": [{"name": "Ann"}],
        "urls": {"homepage": "https://example.test"},
    }
    made = about("License-Expression: MIT", "Author: Ann", "Project-URL: homepage, https://example.test")
    assert of_project(table) == made
    assert license_of(of_project({"license": {"text": "BSD-3-Clause"}})).expression == "BSD-3-Clause"
    assert of_project({"license": 3, "urls": [], "authors": ["x"], "classifiers": {}}) == About()


def policy(allow: str = "", deny: str = "", *exemptions: Exemption) -> Policy:
    def rules(text: str) -> tuple:
        return tuple(rule(each.strip(), HERE) for each in text.split(",") if each.strip())

    return Policy(rules(allow), rules(deny), exemptions)


_CLASSPATH = "GPL-2.0-only WITH Classpath-exception-2.0"


@pytest.mark.parametrize(
    ("allow", "deny", "license", "expected"),
    [
        ("", "", "", "allowed"),
        ("MIT", "", "MIT", "allowed"),
        ("MIT", "", "ISC", "not-allowed"),
        ("MIT", "", "", "unknown"),
        ("", "GPL-*", "", "unknown"),
        ("MIT", "", "MIT OR GPL-3.0-only", "allowed"),
        ("MIT", "", "MIT AND ISC", "not-allowed"),
        ("", "GPL-*", "MIT OR GPL-3.0-only", "allowed"),
        ("", "GPL-*", "MIT AND GPL-3.0-only", "denied"),
        ("", "GPL-*", "LGPL-3.0-only", "allowed"),
        ("", "gpl-*", "GPL-3.0-only", "denied"),
        ("MIT", "GPL-*", "ISC OR GPL-3.0-only", "not-allowed"),
        # an exception gives more freedom, and may be let in by itself
        ("GPL-2.0-only", "", _CLASSPATH, "allowed"),
        (_CLASSPATH, "", "GPL-2.0-only", "not-allowed"),
        ("", "GPL-2.0-only", _CLASSPATH, "denied"),
        (_CLASSPATH, "GPL-2.0-only", _CLASSPATH, "allowed"),
        (_CLASSPATH, "GPL-*", "GPL-2.0-only", "denied"),
        ("GPL-2.0-only", _CLASSPATH, _CLASSPATH, "denied"),
        # any later version is a choice
        ("Apache-2.0", "", "Apache-2.0+", "allowed"),
        ("Apache-2.0+", "", "Apache-2.0", "not-allowed"),
        ("", "Apache-2.0", "Apache-2.0+", "denied"),
        ("Apache-2.0+", "Apache-2.0", "Apache-2.0+", "allowed"),
        # a precise rule beats a family, of equal ones the one that denies
        ("GPL-3.0-only", "GPL-*", "GPL-3.0-only", "allowed"),
        ("MIT", "MIT", "MIT", "denied"),
        ("LicenseRef-*", "", "LicenseRef-Ours", "allowed"),
    ],
)
def test_what_a_workspace_lets_in(allow: str, deny: str, license: str, expected: str) -> None:
    assert policy(allow, deny).verdict(License(license, "License")) == expected


def test_an_exemption_holds_as_long_as_the_package_says_nothing_else() -> None:
    known = Exemption(NormalizedName("acme"), "MIT", "asked", HERE)
    rules = policy("ISC", "", known)
    acme = NormalizedName("acme")
    assert rules.exemption(acme, License(said="see LICENSE")) == known
    assert rules.exemption(acme, License("MIT")) == known
    assert rules.exemption(acme, License("GPL-3.0-only")) is None
    assert rules.exemption(NormalizedName("other"), License()) is None
    assert exempted(License(said="see LICENSE"), known) == License("MIT", "exception", "see LICENSE")


@pytest.mark.parametrize("text", ["", "*", "MIT OR ISC", "MTI", "GPL *", "(MIT"])
def test_rules_that_are_none(text: str) -> None:
    with pytest.raises(BadLicenseRule) as caught:
        rule(text, HERE)
    assert str(caught.value).startswith("pypm-workspace.toml:3: ")
