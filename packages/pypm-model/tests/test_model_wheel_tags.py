"""Wheel names are read as ``packaging`` reads them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.utils import InvalidWheelFilename as OracleInvalid
from packaging.utils import parse_wheel_filename as oracle
from packaging.version import Version

from pypm_model.wheel_tags import InvalidWheelName, parse_wheel_filename

tag_parts = st.lists(
    st.sampled_from(
        ["py3", "cp312", "CP39", "abi3", "none", "any", "win_amd64", "manylinux_2_17_x86_64", "3", ""]
    ),
    min_size=1,
    max_size=3,
).map(".".join)
names = st.sampled_from(["foo", "Foo.Bar", "foo_bar", "foo__bar", "é", "", "a b"])
versions = st.sampled_from(["1.0", "1!2.0.post1", "1.0+local.1", "2004d", "V1_0", "1.0_1"])
builds = st.sampled_from(["", "", "1-", "007abc-", "x-", "1_2-", "-"])


@given(
    st.builds(
        "{}-{}-{}{}-{}-{}{}".format,
        names,
        versions,
        builds,
        tag_parts,
        tag_parts,
        tag_parts,
        st.sampled_from([".whl", ".whl", "-variant.whl", ".zip"]),
    )
)
def test_names_are_read_as_packaging_reads_them(filename: str) -> None:
    try:
        name, version, build, tags = oracle(filename)
    except OracleInvalid:
        with pytest.raises(InvalidWheelName) as caught:
            parse_wheel_filename(filename)
        assert repr(filename) in str(caught.value)
        return
    ours = parse_wheel_filename(filename)
    assert (ours.name, Version(ours.version), ours.build) == (name, version, build)
    assert set(ours.tags) == set(map(str, tags))


def test_compressed_tags_are_taken_apart() -> None:
    found = parse_wheel_filename("Foo_Bar-1.0-3b-py2.py3-none-any.whl")
    assert found == ("foo-bar", "1.0", (3, "b"), ("py2-none-any", "py3-none-any"))


@pytest.mark.parametrize(
    "filename", ["foo-1.0-py3-none-any-x8664v3.whl", "foo-1.0-1-py3-none-any-x.whl", "foo.whl"]
)
def test_unknown_parts_are_refused(filename: str) -> None:
    with pytest.raises(InvalidWheelName):
        parse_wheel_filename(filename)
