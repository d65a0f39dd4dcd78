"""Pages read by forks: the same answers as read here, and none is lost when a fork is."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from kit.index_server import FileFacts, IndexServer
from kit.wheels import make_sdist, make_wheel
from pypm_index import page_readers
from pypm_index.catalog import Catalog
from pypm_index.cutoffs import Cutoffs
from pypm_index.errors import BadPage
from pypm_index.page_fetch import PageContent
from pypm_index.page_readers import PageReaders
from pypm_index.ports import Response
from pypm_index.raw_pages import RawPages, digest
from pypm_index.settings import Index, Indexes
from pypm_index.transport import Transport
from pypm_model.artifacts import Artifact
from pypm_model.facts import Fact, Key, ListingKey, MetadataKey
from pypm_model.names import normalize
from pypm_store import shared_work
from pypm_store.pages import Page
from pypm_store.store import Store

FOO = normalize("foo")
HTML = "application/vnd.pypi.simple.v1+html"

pytestmark = pytest.mark.skipif(not shared_work.may_fork(), reason="no forks here")


@pytest.fixture(autouse=True)
def two_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_readers, "processors", lambda: 2)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[IndexServer]:
    folder = tmp_path / "wheels"
    for number in range(12):
        name = f"p{number}"
        for version in ("1.0", "1.5", "2.0rc1", "2.0", "3.0"):
            make_wheel(folder, name, version, requires=[f"p{number + 1}>={version}"], requires_python=">=3.9")
        make_sdist(folder, name, "0.9")
    facts = {
        "p1-3.0-py3-none-any.whl": FileFacts(yanked="broken"),
        "p2-3.0-py3-none-any.whl": FileFacts(uploaded="2031-01-01T00:00:00Z"),
        "p3-3.0-py3-none-any.whl": FileFacts(yanked=""),
    }
    with IndexServer(folder, files=facts, status={"p4": "archived"}) as running:
        yield running


Answers = tuple[dict[Key, Fact], dict[str, tuple[Artifact, ...]]]


def everything(store: Store, server: IndexServer, cutoffs: Cutoffs | None = None) -> Answers:
    """What a catalog says of every project, and the files of an old version of each."""
    settings = Indexes.from_settings([Index("main", server.url, default=True)], environ={})
    fetcher = Transport(settings, {}, timeout=5, pause=0.001, keyring=lambda _: None)
    names = [normalize(f"p{number}") for number in range(13)]
    with Catalog(store, settings, environ={}, fetcher=fetcher, cutoffs=cutoffs) as catalog:
        catalog.request([ListingKey(name) for name in names])
        found = {fact.key: fact for fact in catalog.wait()}
        catalog.request([MetadataKey(name, "1.5", "main") for name in names[:-1]])
        found |= {fact.key: fact for fact in catalog.wait()}
        return found, {str(name): catalog.files(name, "1.0", "main") for name in names[:-1]}


@pytest.mark.parametrize("cutoff", [None, pytest.param("2030-01-01T00:00:00Z", marks=pytest.mark.slow)])
@pytest.mark.parametrize("kind", ["json", "html"])
def test_the_same_as_read_here(
    tmp_path: Path, server: IndexServer, monkeypatch: pytest.MonkeyPatch, kind: str, cutoff: str | None
) -> None:
    server.format = kind
    cutoffs = Cutoffs(cutoff) if cutoff else None
    by_forks = everything(Store.open(tmp_path / "one"), server, cutoffs)
    monkeypatch.setattr(page_readers, "may_fork", lambda: False)
    here = everything(Store.open(tmp_path / "two"), server, cutoffs)
    assert by_forks == here
    # And what was kept is the same: nothing is asked for again.
    server.forget()
    assert everything(Store.open(tmp_path / "one"), server, cutoffs) == by_forks
    assert server.count() <= 1, "that nobody has p12 is asked anew"


def test_forks_read_them(tmp_path: Path, server: IndexServer, monkeypatch: pytest.MonkeyPatch) -> None:
    def not_here(*_: object) -> None:
        raise AssertionError("read in this process")

    monkeypatch.setattr("pypm_index.network.read_answer", not_here)
    found, _ = everything(Store.open(tmp_path / "store"), server)
    assert len(found) == 25


def test_a_bad_page_is_told_as_ever(tmp_path: Path, server: IndexServer) -> None:
    server.pages["/simple/p0/"] = "application/vnd.pypi.simple.v1+json", b'{"files": 3}'
    with pytest.raises(BadPage, match="no list of files"):
        everything(Store.open(tmp_path / "store"), server)


def page_of(raw: RawPages, number: int) -> Page:
    body = f'{{"files": [{{"filename": "foo-{number}.0-py3-none-any.whl", "url": "f"}}]}}'.encode()
    name = normalize(f"foo{number}")
    response = Response(200, {"content-type": "application/json"}, "http://index.example.test/", body)
    page = Page(name, 200, 0.0, 60, digest=digest(response))
    assert raw.write("identity", page, response)
    return page


def test_pages_of_killed_forks_come_back(tmp_path: Path) -> None:
    raw = RawPages(tmp_path)
    pages = [page_of(raw, number) for number in range(50)]
    readers = PageReaders(raw)
    assert readers.are_there
    pids = list(readers._pids)
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    answers: list[PageContent | None] = []
    done = threading.Semaphore(0)

    def take(content: PageContent | None) -> None:
        answers.append(content)
        done.release()

    given = [readers.give("identity", "main", page, "", take) for page in pages]
    assert all(given) and not answers
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    for _ in pages:
        assert done.acquire(timeout=10)
    assert answers == [None] * len(pages)
    # From now on there is nobody to give a page to, and that is said.
    assert not readers.are_there and not readers.give("identity", "main", pages[0], "", take)
    readers.close()


def test_a_page_that_is_gone_is_not_read(tmp_path: Path) -> None:
    raw = RawPages(tmp_path)
    page = page_of(raw, 1)
    readers = PageReaders(raw)
    answers: list[PageContent | None] = []
    done = threading.Semaphore(0)

    def take(content: PageContent | None) -> None:
        answers.append(content)
        done.release()

    (tmp_path / "identity" / "page-foo1").write_bytes(b"something else")
    assert readers.give("identity", "main", page, "", take)
    assert done.acquire(timeout=10) and answers == [None]
    readers.close()
    for pid in readers._pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_no_forks_with_one_processor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_readers, "processors", lambda: 1)
    readers = PageReaders(RawPages(tmp_path))
    assert not readers.are_there
    assert not readers.give("identity", "main", Page(FOO, 200, 0.0, 60), "", lambda _: None)
    readers.close()
