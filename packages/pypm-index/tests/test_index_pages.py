"""Reading project pages, in JSON and in HTML: what both say must come out the same."""

from __future__ import annotations

import gzip
import html
import json
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypm_index import simple_html, simple_json
from pypm_index.addresses import (
    filename_of,
    files_base,
    join,
    origin,
    redacted,
    shared_path,
    shared_start,
    without_userinfo,
)
from pypm_index.ports import Response
from pypm_index.raw_pages import RawPages, digest
from pypm_index.records import NO_METADATA, FileRecord, UnreadablePage
from pypm_model.names import normalize
from pypm_model.records import replace
from pypm_store.pages import Page as KeptPage

URL = "https://index.example.test/simple/foo/"
DIGEST = "ab" * 32


def page(*files: dict[str, object], **more: object) -> bytes:
    return json.dumps({"meta": {"api-version": "1.1"}, "name": "foo", "files": list(files), **more}).encode()


def test_json_gives_every_fact() -> None:
    read = simple_json.read(
        page(
            {
                "filename": "foo-1.0-py3-none-any.whl",
                "url": "../../files/foo-1.0-py3-none-any.whl#sha256=x",
                "hashes": {"sha256": DIGEST.upper(), "md5": "1"},
                "requires-python": ">=3.8",
                "size": 12,
                "upload-time": "2024-05-06T07:08:09.123456Z",
                "yanked": "broken",
                "core-metadata": {"sha256": "CD" * 32},
                "provenance": "/integrity/foo/1.0/provenance",
            }
        ),
        URL,
    )
    assert read.files == (
        FileRecord(
            "foo-1.0-py3-none-any.whl",
            "https://index.example.test/files/foo-1.0-py3-none-any.whl",
            DIGEST,
            12,
            "2024-05-06T07:08:09Z",
            ">=3.8",
            "broken",
            "cd" * 32,
            "https://index.example.test/integrity/foo/1.0/provenance",
        ),
    )
    assert (read.status, read.newer) == ("", "")


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({}, None),
        ({"core-metadata": True}, ""),
        ({"core-metadata": False}, NO_METADATA),
        ({"core-metadata": {"md5": "1"}}, ""),
        ({"core-metadata": {}}, ""),
        ({"dist-info-metadata": True}, ""),
        ({"data-dist-info-metadata": {"sha256": DIGEST}}, DIGEST),
        ({"core-metadata": False, "data-dist-info-metadata": True}, NO_METADATA),
    ],
)
def test_json_metadata_flag(said: dict[str, object], expected: str | None) -> None:
    read = simple_json.read(page({"filename": "a.whl", "url": "a.whl", "hashes": {}, **said}), URL)
    assert read.files[0].metadata == expected
    assert read.speaks_of_metadata is (expected is not None)


@pytest.mark.parametrize(
    ("yanked", "expected"), [(False, None), (True, ""), ("", None), ("why", "why"), (None, None)]
)
def test_json_yanked(yanked: object, expected: str | None) -> None:
    read = simple_json.read(page({"filename": "a.whl", "url": "a.whl", "yanked": yanked}), URL)
    assert read.files[0].yanked == expected


def test_json_leaves_out_only_the_bad_file() -> None:
    good = {"filename": "a-1.tar.gz", "url": "a-1.tar.gz", "size": "12", "hashes": None, "upload-time": 7}
    read = simple_json.read(
        page({"filename": 3}, "text", {"url": "x"}, good, {"filename": "a/b", "url": "x"}), URL
    )  # type: ignore[arg-type]
    assert read.files == (FileRecord("a-1.tar.gz", URL + "a-1.tar.gz"),)


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b'{"files": 3}', b'{"meta": {"api-version": "2.0"}, "files": []}', b"[" * 99999],
)
def test_json_that_is_no_page(body: bytes) -> None:
    with pytest.raises(UnreadablePage):
        simple_json.read(body, URL)


def test_versions_of_the_api() -> None:
    assert simple_json.read(b'{"meta": {"api-version": "1.9"}, "files": []}', URL).newer == "1.9"
    assert simple_json.read(b'{"meta": {"api-version": "1.4"}, "files": []}', URL).newer == ""
    meta = '<meta name="pypi:repository-version" content="%s">'
    assert simple_html.read((meta % "1.9").encode(), URL).newer == "1.9"
    with pytest.raises(UnreadablePage, match=r"2\.0"):
        simple_html.read((meta % "2.0").encode(), URL)


def test_project_status() -> None:
    read = simple_json.read(page(**{"project-status": {"status": "archived", "reason": "done"}}), URL)
    assert (read.status, read.reason) == ("archived", "done")
    assert simple_json.read(page(**{"project-status": {"status": "active"}}), URL).status == ""
    text = b'<meta name="pypi:project-status" content="quarantined">'
    text += b'<meta content="x" name="pypi:project-status-reason">'
    read = simple_html.read(text, URL)
    assert (read.status, read.reason) == ("quarantined", "x")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2024-05-06T07:08:09Z", "2024-05-06T07:08:09Z"),
        ("2024-05-06T07:08:09.999999Z", "2024-05-06T07:08:09Z"),
        ("2024-05-06T09:08:09.5+02:00", "2024-05-06T07:08:09Z"),
        ("2024-05-06 07:08:09", "2024-05-06T07:08:09Z"),
        ("yesterday", ""),
        (17, ""),
    ],
)
def test_times_are_whole_seconds_in_utc(text: object, expected: str) -> None:
    assert simple_json.whole_seconds(text) == expected


def test_html_as_old_mirrors_write_it() -> None:
    body = b"""<!DOCTYPE html><HTML><body>
    <!-- <a href="hidden-1.tar.gz">hidden-1.tar.gz</a> -->
    <A HREF='../../packages/foo-1.0.tar.gz#sha256=%s'
       data-requires-python=">=3.8,&lt;4">foo-1.0.tar.gz</A><br/>
    <a data-yanked rel=internal href=foo-2.0.zip>foo-2.0.zip</a>
    <a href="foo-3.0-py3-none-any.whl#md5=123" data-requires-python='>=3' data-yanked="bad &amp; old"
       data-core-metadata="sha256=%s" data-dist-info-metadata="false">foo-3.0-py3-none-any.whl</a>
    <a href="/download?id=7#sha256=%s">foo-4.0.tar.gz</a>
    <a href="foo%%2D5.0.tar.gz" data-core-metadata="true">foo-5.0.tar.gz</a>
    <a href="https://elsewhere.example.test/about">about</a> <a name="top">top</a>
    <abbr href="x-1.zip">x</abbr>
    </body>""" % ((DIGEST.encode(),) * 3)
    read = simple_html.read(body, URL)
    origin_ = "https://index.example.test"
    assert read.files == (
        FileRecord(
            "foo-1.0.tar.gz", f"{origin_}/packages/foo-1.0.tar.gz", DIGEST, requires_python=">=3.8,<4"
        ),
        FileRecord("foo-2.0.zip", f"{URL}foo-2.0.zip", yanked=""),
        FileRecord(
            "foo-3.0-py3-none-any.whl",
            f"{URL}foo-3.0-py3-none-any.whl",
            requires_python=">=3",
            yanked="bad & old",
            metadata=DIGEST,
        ),
        FileRecord("foo-4.0.tar.gz", f"{origin_}/download?id=7", DIGEST),
        FileRecord("foo-5.0.tar.gz", f"{URL}foo%2D5.0.tar.gz", metadata=""),
    )


def test_html_base_and_charset() -> None:
    body = '<base href="https://files.example.test/x/"><a href="a-1.zip" data-yanked="grün">a-1.zip</a>'
    read = simple_html.read(body.encode("latin-1"), URL, "latin-1")
    assert read.files == (FileRecord("a-1.zip", "https://files.example.test/x/a-1.zip", yanked="grün"),)
    assert simple_html.read(body.encode(), URL, "no-such-charset").files == read.files


class Anchors(HTMLParser):
    """The judge: the standard library's parser."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[dict[str, str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            found: dict[str, str] = {}
            for name, value in attrs:
                found.setdefault(name, value or "")
            self.found.append(found)


words = st.text("abz09.-_ <>=&;!\"'", max_size=12)


@given(st.lists(st.tuples(words, words, st.booleans()), max_size=5))
def test_html_is_read_as_a_real_parser_reads_it(links: list[tuple[str, str, bool]]) -> None:
    body = "<html><body>"
    for number, (python, reason, yanked) in enumerate(links):
        body += f'<a href="foo-{number}.zip" data-requires-python="{html.escape(python)}"'
        body += f" data-yanked='{html.escape(reason)}'" if yanked else ""
        body += f">foo-{number}.zip</a>\n"
    judge = Anchors()
    judge.feed(body)
    read = simple_html.read(body.encode(), URL)
    assert [(file.requires_python, file.yanked) for file in read.files] == [
        (one["data-requires-python"], one.get("data-yanked")) for one in judge.found
    ]


def test_addresses() -> None:
    assert join(URL, "//cdn.example.test/a.whl") == "https://cdn.example.test/a.whl"
    assert join(URL, "/a/./b.whl") == "https://index.example.test/a/b.whl"
    assert join("https://u:p@h.example.test/s/", "/a.whl") == "https://h.example.test/a.whl"
    assert join(URL, "https://u:p@h.example.test/a.whl") == "https://h.example.test/a.whl"
    assert origin("HTTPS://Host.example.test/x") == ("https", "host.example.test", 443)
    assert filename_of("https://h/x/a%2Bb.whl?x=1#y") == "a+b.whl"


def test_secrets_are_blotted_out() -> None:
    text = redacted("https://me:hunter2@h.example.test/a?X-Amz-Signature=abc&token=t0k&v=1 failed")
    assert text == "https://****@h.example.test/a?X-Amz-Signature=****&token=****&v=1 failed"
    assert redacted("ssh://git@h.example.test/a and http://a:b@c@h/") == (
        "ssh://git@h.example.test/a and http://****@h/"
    )
    assert redacted("git+ssh://git:pw@h.example.test/a@b") == "git+ssh://****@h.example.test/a@b"
    assert without_userinfo("https://me:p%40ss@h.example.test/a@b") == "https://h.example.test/a@b"


@given(st.sampled_from(["foo-1.0.tar.gz", "a+b.whl"]), st.integers(58, 62), st.sampled_from("0aFg"))
def test_shared_path_has_exactly_one_form(filename: str, length: int, letter: str) -> None:
    path = f"packages/ab/cd/{letter * length}/{filename}"
    url = f"https://files.example.test/mirror/{path}"
    shared = length == 60 and letter in "0a"
    assert shared_path(url) == (path if shared else "")
    assert files_base(url) == ("https://files.example.test/mirror/" if shared else "")
    assert url[shared_start(url, filename) :] == (path if shared else url)


def test_a_page_kept_as_it_came_is_read_again_only_if_it_is_whole(tmp_path: Path) -> None:
    raw, body = RawPages(tmp_path), b'{"files": []}' * 9
    for packed in (b"", gzip.compress(body)):
        answer = Response(200, {"content-type": "application/json"}, URL, body, packed)
        kept = KeptPage(normalize("foo"), 200, 0.0, 0, digest=digest(answer))
        raw.write("identity", kept, answer)
        assert raw.read("identity", kept) == answer
        assert raw.read("identity", replace(kept, digest="another")) is None
        (place,) = [path for path in tmp_path.rglob("*") if path.is_file()]
        place.write_bytes(place.read_bytes()[:-3])
        assert raw.read("identity", kept) is None


# -- the quick reader and the lenient one ---------------------------------------------------------------

_texts = st.one_of(
    st.sampled_from(
        ["", "broken", "foo-1.0.tar.gz", "a/b", ">=3.8", "2024-05-06T07:08:09Z", "ü \ud800", "foo"]
    ),
    st.text(max_size=8),
)
_odd = st.one_of(st.none(), st.booleans(), st.integers(-1, 5), _texts, st.lists(_texts, max_size=1))
_times = st.one_of(st.sampled_from(["2024-05-06T07:08:09.999999Z", "2024-05-06T09:08:09+02:00", "now"]), _odd)
_links = st.fixed_dictionaries(
    {},
    optional={
        "filename": st.one_of(st.just("foo-1.0.tar.gz"), st.just("foo-1.0-py3-none-any.whl"), _odd),
        "url": st.one_of(st.just("../foo-1.0.tar.gz"), _odd),
        "hashes": st.one_of(st.just({"sha256": DIGEST}), _odd),
        "upload-time": _times,
        "requires-python": _odd,
        "yanked": _odd,
        "size": _odd,
        "core-metadata": st.one_of(st.just({"sha256": DIGEST}), _odd),
        "data-dist-info-metadata": _odd,
        "gpg-sig": _odd,
    },
)
_pages = st.fixed_dictionaries(
    {},
    optional={
        "files": st.one_of(st.lists(st.one_of(_links, _links, _odd), max_size=4), _odd),
        "meta": st.one_of(
            st.just({"api-version": "1.9"}),
            st.just({"api-version": "2.0"}),
            st.just({"api-version": 1.1}),
            _odd,
        ),
        "project-status": st.one_of(st.just({"status": "archived", "reason": "done"}), _odd),
        "versions": _odd,
    },
)


def _read(body: bytes) -> object:
    try:
        read = simple_json.read(body, URL)
    except UnreadablePage as error:
        return str(error)
    lights = [light[:4] for light in read.lights]
    return lights, read.files, read.speaks_of_metadata, read.status, read.reason, read.newer


@given(_pages, st.booleans())
def test_the_quick_reader_says_what_the_lenient_one_says(content: object, escaped: bool) -> None:
    body = json.dumps(content, ensure_ascii=escaped).encode(errors="surrogatepass")
    simple_json.prepare()
    quick = _read(body)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(simple_json, "_is_quick", lambda size: False)
        assert _read(body) == quick


def test_the_quick_reader_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simple_json, "_lights", None)
    simple_json.prepare()
    read = simple_json.read(page({"filename": "a-1.tar.gz", "url": "a-1.tar.gz", "hashes": {}}), URL)
    assert [light[0] for light in read.lights] == ["a-1.tar.gz"]


def test_the_quick_reader_is_loaded_where_it_pays() -> None:
    code = """
import sys
from pypm_index import simple_json
def page(count):
    link = b'{"filename": "a-1.%d.tar.gz", "url": "x"}'
    return b'{"files": [' + b",".join(link % number for number in range(count)) + b"]}"
assert len(simple_json.read(page(100), "http://index.example.test/").lights) == 100
print("msgspec" in sys.modules)
assert len(simple_json.read(page(20_000), "http://index.example.test/").lights) == 20_000
print("msgspec" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True"]
