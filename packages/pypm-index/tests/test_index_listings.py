"""From a page to releases and a listing: versions, masks, classes, cut-offs."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from pypm_index import filenames
from pypm_index.listings import likely, listing
from pypm_index.records import NO_METADATA, FileRecord, Page
from pypm_index.releases import Releases, address, has_metadata
from pypm_model.facts import FileClass, Listing, ListingKey
from pypm_model.names import normalize
from pypm_model.versions import sort_key

NAME = normalize("foo")
KEY = ListingKey(NAME)


def file(filename: str, uploaded: str = "2024-01-01T00:00:00Z", **more: object) -> FileRecord:
    return FileRecord(filename, f"https://files.example.test/{filename}", uploaded=uploaded, **more)  # type: ignore[arg-type]


def listed(*files: FileRecord, cutoff: str = "") -> Listing:
    return listing(KEY, "pypi", Releases(NAME, Page.of(files)), cutoff=cutoff).listing


def versions(found: Listing, mask: int) -> list[str]:
    return [version for position, version in enumerate(found.versions) if mask >> position & 1]


def test_versions_are_ascending_and_each_once() -> None:
    found = listed(
        file("foo-1.10.tar.gz"),
        file("foo-1.9.tar.gz"),
        file("foo-1.0.0-py3-none-any.whl"),
        file("foo-1.0.tar.gz"),
        file("foo-2.0rc1.tar.gz"),
        file("foo-2.0.dev1.tar.gz"),
        file("foo-1.9.post1.zip"),
        file("foo-bad.tar.gz"),
        file("foo-3.0-py2.7.egg"),
        file("other-9.0.tar.gz"),
    )
    assert found.versions == ("1.0", "1.9", "1.9.post1", "1.10", "2.0.dev1", "2.0rc1")
    assert list(found.keys) == sorted(found.keys)
    assert versions(found, found.prereleases) == ["2.0.dev1", "2.0rc1"]
    assert found.index == "pypi" and found.name == NAME and found.key == KEY


def test_order_of_the_page_does_not_matter() -> None:
    files = [
        file(f"foo-{n}.{m}{kind}")
        for n in range(3)
        for m in (0, 1)
        for kind in (".tar.gz", "-py3-none-any.whl")
    ]
    files.append(file("foo-1.0.0.tar.gz", yanked="x"))
    expected = listed(*files)
    for seed in range(5):
        random.Random(seed).shuffle(files)
        assert listed(*files) == expected


def test_classes_tell_files_apart() -> None:
    found = listed(
        file("foo-1.0.tar.gz", requires_python=">=3.6, <4"),
        file("foo-1.0-cp311-cp311-manylinux_2_17_x86_64.whl"),
        file("foo-2.0.tar.gz", requires_python="<4,>=3.6"),
        file("foo-2.0-py2.py3-none-any.whl", requires_python="nonsense"),
    )
    classes = {kind: versions(found, mask) for kind, mask in found.classes}
    assert classes == {
        FileClass("<4,>=3.6", None): ["1.0", "2.0"],
        FileClass("", ("cp311|linux|x86_64",)): ["1.0"],
        FileClass("", ("py3|*|*",)): ["2.0"],
    }


def test_yanked_is_what_is_yanked_as_a_whole() -> None:
    found = listed(
        file("foo-1.0.tar.gz", yanked="oops"),
        file("foo-1.0-py3-none-any.whl", yanked=""),
        file("foo-2.0.tar.gz", yanked=""),
        file("foo-2.0-py3-none-any.whl"),
    )
    assert versions(found, found.yanked) == ["1.0"]
    assert found.yank_reasons == ((0, "oops"),)
    classes = {kind.tags: versions(found, mask) for kind, mask in found.classes}
    assert classes == {None: ["1.0"], ("py3|*|*",): ["1.0", "2.0"]}


def test_cutoff_hides_files_and_then_versions() -> None:
    files = (
        file("foo-1.0.tar.gz", "2024-01-01T00:00:00Z"),
        file("foo-1.0-py3-none-any.whl", "2024-06-01T00:00:00Z"),
        file("foo-2.0.tar.gz", "2024-06-01T00:00:00Z"),
        file("foo-3.0.tar.gz", ""),
    )
    found = listed(*files, cutoff="2024-06-01T00:00:00Z")
    assert versions(found, found.too_new) == ["2.0", "3.0"]
    assert {kind.tags: versions(found, mask) for kind, mask in found.classes} == {None: ["1.0"]}
    later = listed(*files, cutoff="2024-06-01T00:00:01Z")
    assert versions(later, later.too_new) == ["3.0"]
    dated = listing(KEY, "pypi", Releases(NAME, Page.of(files)), cutoff="2024-06-01T00:00:01Z")
    assert dated.undated and dated.newest > "9999"
    assert not listing(KEY, "pypi", Releases(NAME, Page.of(files[:3])), cutoff="2024-06-01T00:00:01Z").undated
    assert listing(KEY, "pypi", Releases(NAME, Page.of(files[:3]))).newest == "2024-06-01T00:00:00Z"


def test_rows_keep_address_and_flag() -> None:
    shared = f"https://files.example.test/packages/aa/bb/{'c' * 60}/foo-1.0.tar.gz"
    page = Page.of((FileRecord("foo-1.0.tar.gz", shared), file("foo-2.0.tar.gz", metadata="")))
    found = Releases(NAME, page)
    first, second = found.rows("1.0")[0], found.rows("2.0")[0]
    assert found.rows("3.0") == () and set(found.made) == {"1.0", "2.0"}
    assert address(first) == shared and first.artifact.path == shared[len("https://files.example.test/") :]
    assert address(second) == "https://files.example.test/foo-2.0.tar.gz" and second.artifact.path == ""
    assert (has_metadata(first), has_metadata(second)) == (False, True)
    assert first.metadata == NO_METADATA
    silent = Releases(NAME, Page.of((file("foo-1.0.tar.gz"),))).rows("1.0")[0]
    assert has_metadata(silent) is None


def test_a_thousand_files_are_quick_enough_to_list() -> None:
    # Not a stopwatch: the work per file must not grow with the page.
    files = tuple(
        file(f"foo-{n}.{m}-cp3{m}-cp3{m}-manylinux_2_17_x86_64.whl")
        for n in range(100)
        for m in range(10, 20)
    )
    found = listed(*files)
    assert len(found.versions) == 1000 and len(found.classes) == 10


_heads = st.sampled_from(["foo", "Foo", "fo_o", "fo.o", "foo-", "fo", "foo-1", ""])
_tails = st.sampled_from(
    [
        *("-py3-none-any.whl", "-2-py3-none-any.whl", "-x-py3-none-any.whl", "-cp311-cp311-win_amd64.whl"),
        *(".tar.gz", ".zip", "-1.tar.gz", ".egg", "", ".whl", "-any.whl", ".tar.gz.whl"),
    ]
)
_texts = st.sampled_from(["1", "1.0", "1.0.0", "1.0rc1", "1.0_1", "2-1", "bad", "1.0.", "v1", "1" * 120])


@given(
    st.sampled_from(["foo", "fo-o", "foo-1"]),
    st.lists(st.builds("{}-{}{}".format, _heads, _texts, _tails), max_size=12),
)
def test_each_file_is_where_its_name_alone_would_put_it(project: str, names: list[str]) -> None:
    name = normalize(project)
    releases = Releases(name, Page.of([file(one) for one in names]))
    expected: dict[str, dict[str, str]] = {}
    for one in names:
        parsed = filenames.parse(one, name)
        if parsed is not None:
            tail = f"{parsed.tags}.whl" if parsed.tags is not None else ""
            expected.setdefault(sort_key(parsed.version), {})[one] = tail
    assert releases.keys == tuple(sorted(expected))
    for key, files in zip(releases.keys, releases.lights, strict=True):
        assert {light[0]: tail for tail, light in files} == expected[key]


def test_the_files_of_likely_versions_are_made_ready() -> None:
    pythons = {"1.0": "3.8", "1.1": "3.8", "2.0": "3.9", "2.1": "3.9", "3.0": "3.10", "3.1": "3.10"}
    files = [
        file(f"foo-{version}-py3-none-any.whl", requires_python=f">={pythons[version]}")
        for version in pythons
    ]
    early = file("foo-4.0rc1.tar.gz", requires_python=">=3.11")
    assert likely(listed(*files, early)) == ("3.1", "3.0", "2.1", "1.1")
    assert likely(listed(files[0])) == ("1.0",)
    assert likely(listed(early)) == ("4.0rc1",)
    assert likely(listed()) == ()
