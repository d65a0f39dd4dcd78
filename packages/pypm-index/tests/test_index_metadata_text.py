"""The header scan, with ``packaging.metadata.parse_email`` as the judge."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.metadata import parse_email

from kit.wheels import core_metadata
from pypm_index.metadata_text import Headers, contradictions, facts, read
from pypm_model.facts import Metadata, MetadataKey, NoMetadata
from pypm_model.names import normalize

KEY = MetadataKey(normalize("foo"), "1.0", "pypi")

names = st.sampled_from(
    [
        "Name",
        "version",
        "Requires-Dist",
        "REQUIRES-DIST",
        "Requires-Python",
        "Provides-Extra",
        "Dynamic",
        "Summary",
        "Classifier",
    ]
)
values = st.text(st.sampled_from("abc >=<1.:;\"'()é,"), max_size=20).map(str.strip)
folds = st.sampled_from(["", "", "", "\n more", "\n\tmore; x", "\n  Name: not a field"])


@given(
    st.lists(st.tuples(names, values, folds), max_size=8),
    st.sampled_from(["\n", "\r\n"]),
    st.sampled_from(["", "\n\nName: body\nRequires-Dist: body\n", "\nno colon here\nRequires-Dist: body\n"]),
)
def test_same_fields_as_a_mail_parser(fields: list[tuple[str, str, str]], newline: str, tail: str) -> None:
    text = "".join(f"{name}: {value}{fold}\n" for name, value, fold in fields) + tail
    data = text.replace("\n", newline).encode()
    raw, unparsed = parse_email(data)
    found = read(data)

    def flat(lines: object) -> list[str]:
        return [re.sub(r"\s*\r?\n[ \t]+", " ", line).strip() for line in lines or ()]  # type: ignore[attr-defined]

    assert list(found.requires_dist) == flat(raw.get("requires_dist"))
    assert list(found.provides_extra) == flat(raw.get("provides_extra"))
    assert list(found.dynamic) == [one.lower() for one in flat(raw.get("dynamic"))]
    for key, ours in (
        ("name", found.name),
        ("version", found.version),
        ("requires_python", found.requires_python),
    ):
        if key in raw:
            assert ours == flat([raw[key]])[0]  # type: ignore[literal-required]
        else:
            # Twice in the file: packaging gives up, the first counts here.
            said = flat(unparsed.get(key.replace("_", "-"), []))
            assert ours == (said[0] if said else "")


def test_facts_of_a_whole_file() -> None:
    text = core_metadata(
        "Foo",
        "1.0",
        requires=["Bar.Baz[b,a] (>=1.0)", "old (>dev)", "not a requirement!", "x"],
        extras={"Web_Stuff": ["httpx>1"]},
        requires_python=">= 3.8.*",
        description="Requires-Dist: body",
    )
    found = facts(read(text.encode()), KEY, "foo.whl")
    assert isinstance(found, Metadata)
    assert [one.name for one in found.requires] == ["bar-baz", "old", "x", "httpx"]
    assert found.requires[0].extras == ("a", "b") and found.requires[0].specifier == ">=1.0"
    assert found.invalid == ("not a requirement!",)
    assert found.extras == ("web-stuff",)
    assert found.requires_python == ">=3.8"
    assert found.origin == "foo.whl"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"", "is empty"),
        (b"\n\n", "is empty"),
        (b"Name: bar\nVersion: 1.0\n", "is of bar 1.0"),
        (b"Name: foo\nVersion: 2.0\n", "is of foo 2.0"),
        (b"Name: foo\nVersion: what\n", "is of foo what"),
        (b"Name: foo\n", "without a version"),
    ],
)
def test_metadata_of_something_else_is_not_believed(text: bytes, reason: str) -> None:
    found = facts(read(text), KEY, "foo.whl")
    assert isinstance(found, NoMetadata) and reason in found.reason and not found.needs_build


def test_equal_versions_may_be_spelled_differently() -> None:
    assert isinstance(facts(read(b"Name: FOO\nVersion: 1.0.0\n"), KEY, "x"), Metadata)


@pytest.mark.parametrize(
    ("version", "dynamic", "static"),
    [
        ("2.2", (), True),
        ("2.4", ("license-file",), True),
        ("2.1", (), False),
        ("2.2", ("requires-dist",), False),
        ("2.2", ("provides-extra",), False),
        ("2.2", ("requires-python",), False),
        ("2.2", ("version",), False),
        ("10.0", (), True),
        ("", (), False),
        ("x.y", (), False),
    ],
)
def test_static_sdist_metadata(version: str, dynamic: tuple[str, ...], static: bool) -> None:
    assert Headers(version, "foo", "1.0", dynamic=dynamic).is_static is static


def test_contradictions_are_those_a_resolution_would_see() -> None:
    def text(python: str, *lines: str, version: str = "1.0") -> bytes:
        return core_metadata("foo", version, requires=lines, requires_python=python).encode()

    fact = facts(read(text(">=3.8", "a>1", "b")), KEY, "foo.whl")
    assert isinstance(fact, Metadata)

    def against(metadata: bytes) -> tuple[str, ...]:
        return contradictions(fact, facts(read(metadata), KEY, "foo.whl"))

    assert against(text(">= 3.8", "B", "a (>1)")) == ()
    assert against(text(">=3.9", "a>2", "b")) == ("Requires-Dist", "Requires-Python")
    assert against(text(">=3.8", "a>1", "b") + b"\n\nProvides-Extra: body\n") == ()
    extra = text(">=3.8", "a>1", "b").replace(b"Name:", b"Provides-Extra: x\nName:", 1)
    assert against(extra) == ("Provides-Extra",)
    assert against(text(">=3.8", "a>1", "b", version="2.0")) == ("Name", "Version")
