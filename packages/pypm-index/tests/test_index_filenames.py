"""Names of wheels and sdists, with ``packaging.utils`` as the judge."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.tags import parse_tag
from packaging.utils import InvalidSdistFilename, parse_sdist_filename, parse_wheel_filename

from pypm_index.filenames import FileName, expand, parse, project_names
from pypm_model.versions import sort_key

names = st.sampled_from(["foo", "foo_bar", "Foo.Bar", "a1", "zope.interface"])
versions = st.sampled_from(["1.0", "2024.1.2", "1.0rc1", "1.0.post1", "1!2.0", "1.0+cu118", "0.1.dev3"])
tags = st.sampled_from(
    [
        "py3-none-any",
        "py2.py3-none-any",
        "cp311-abi3-manylinux_2_17_x86_64.manylinux2014_x86_64",
        "cp313-cp313t-win_amd64",
    ]
)


@given(names, versions, st.sampled_from(["", "1", "2build"]), tags)
def test_wheels(name: str, version: str, build: str, tag: str) -> None:
    filename = "-".join(part for part in (name.replace(".", "_"), version, build, tag) if part) + ".whl"
    judged_name, judged_version, judged_build, judged_tags = parse_wheel_filename(filename)
    found = parse(filename, judged_name)
    assert found is not None and found.tags is not None
    assert sort_key(found.version) == sort_key(str(judged_version))
    assert found.build == "".join(str(part) for part in judged_build)
    assert (
        set(expand(found.tags)) == {str(one) for one in judged_tags} == {str(one) for one in parse_tag(tag)}
    )
    assert parse(filename, "another") is None
    assert project_names(filename) == (judged_name,)


@given(names, versions, st.sampled_from([".tar.gz", ".zip"]))
def test_sdists(name: str, version: str, suffix: str) -> None:
    filename = f"{name}-{version}{suffix}"
    try:
        judged_name, judged_version = parse_sdist_filename(filename)
    except InvalidSdistFilename:
        return
    found = parse(filename, judged_name)
    assert found is not None and found.tags is None
    assert sort_key(found.version) == sort_key(str(judged_version))
    assert judged_name in project_names(filename)


@pytest.mark.parametrize(
    ("filename", "name", "expected"),
    [
        ("python-dateutil-2.8.2.tar.gz", "python-dateutil", FileName("2.8.2", None)),
        ("Foo__Bar-1.0.tar.bz2", "foo-bar", FileName("1.0", None)),
        ("foo-2-bar-1.0.tgz", "foo-2-bar", FileName("1.0", None)),
        ("foo-1.0-1.tar.gz", "foo", FileName("1.0-1", None)),
        ("foo-1.0_1-py3-none-any.whl", "foo", FileName("1.0-1", "py3-none-any")),
        ("foo-v1.0.zip", "foo", FileName("v1.0", None)),
        ("foo-1.0-py3-none-any-x86_64_v3.whl", "foo", None),
        ("foo-1.0-1-py3-none-any-x86_64_v3.whl", "foo", None),
        ("foo-1.0-py2.7.egg", "foo", None),
        ("foo-1.0.win32-py2.7.exe", "foo", None),
        ("foo-1.0.win32.msi", "foo", None),
        ("foo-1.0.tar.gz.asc", "foo", None),
        ("foo-latest.tar.gz", "foo", None),
        ("foo-not.a.version-py3-none-any.whl", "foo", None),
        ("foo-bar-1.0.tar.gz", "foo", None),
        ("foo.whl", "foo", None),
        ("-1.0.tar.gz", "foo", None),
    ],
)
def test_odd_names(filename: str, name: str, expected: FileName | None) -> None:
    assert parse(filename, name) == expected
