"""Files into the store: hashed, resumed, refused; against a real server."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from kit.index_server import IndexServer
from kit.wheels import make_wheel, sha256
from pypm_index.errors import FileGone, IndexFailed, IndexUnreachable, OfflineMissing, WrongHash, WrongSize
from pypm_index.fetch import fetch_each, fetch_one
from pypm_index.settings import Indexes
from pypm_index.transport import Transport
from pypm_model.artifacts import Artifact, Located
from pypm_model.events import Advanced, Event, Finished, Started
from pypm_store.store import Store

pytestmark = pytest.mark.slow


@pytest.fixture
def wheels(tmp_path: Path) -> list[Path]:
    folder = tmp_path / "wheels"
    return [
        make_wheel(
            folder,
            f"p{n}",
            "1.0",
            files={f"p{n}/x.bin": bytes([n]) * 100 + bytes(range(256)) * 40 * n},
            compression=0,
        )
        for n in range(6)
    ]


@pytest.fixture
def server(tmp_path: Path, wheels: list[Path]) -> Iterator[IndexServer]:
    with IndexServer(tmp_path / "wheels") as running:
        yield running


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(tmp_path / "store")


def connect() -> Transport:
    return Transport(Indexes.from_settings(environ={}), {}, timeout=5, pause=0.001)


def fetch(
    located: Sequence[Located], store: Store, connect: Callable[[], Transport], **more: Any
) -> dict[str, Path]:
    """All files at once."""
    return dict(fetch_each(located, store, connect, **more))


def never() -> Transport:
    raise AssertionError("nothing should be fetched")


def located(server: IndexServer, path: Path, *, digest: str | None = None, size: int | None = -1) -> Located:
    given = path.stat().st_size if size == -1 else size
    return Located(
        Artifact(path.name, sha256(path) if digest is None else digest, given),
        server.url_of(path.name),
        "main",
    )


def test_all_arrive_and_the_second_time_nothing_is_asked(
    store: Store, server: IndexServer, wheels: list[Path]
) -> None:
    wanted = [located(server, path) for path in wheels]
    found = fetch([*wanted, wanted[0]], store, connect)
    assert {digest: path.read_bytes() for digest, path in found.items()} == {
        sha256(path): path.read_bytes() for path in wheels
    }
    assert server.count() == len(wheels)
    assert fetch(wanted, store, never) == found


def test_largest_first_and_progress_adds_up(store: Store, server: IndexServer, wheels: list[Path]) -> None:
    events: list[Event] = []
    wanted = [located(server, path) for path in wheels]
    fetch(wanted, store, connect, workers=1, listener=events.append)
    assert [seen.path.rsplit("/", 1)[1] for seen in server.requests] == [
        path.name for path in reversed(wheels)
    ]
    total = sum(path.stat().st_size for path in wheels)
    assert events[0] == Started("download", total=total) and events[-1] == Finished("download")
    assert sum(event.amount for event in events if isinstance(event, Advanced)) == total


def test_files_come_as_they_are_done(store: Store, server: IndexServer, wheels: list[Path]) -> None:
    server.fail("p5-", "hang", seconds=0.5, times=1)
    order = [digest for digest, _ in fetch_each([located(server, path) for path in wheels], store, connect)]
    # The largest was begun first, hung once, and did not keep the others waiting.
    assert order[-1] == sha256(wheels[5]) and len(order) == 6


def test_wrong_hash_is_refused_and_not_kept(store: Store, server: IndexServer, wheels: list[Path]) -> None:
    right = sha256(wheels[3])
    server.fail("p3-", "wrong-bytes")
    with pytest.raises(WrongHash) as caught:
        fetch([located(server, wheels[3])], store, connect)
    assert caught.value.expected == right and caught.value.got != right
    assert "p3-1.0-py3-none-any.whl" in str(caught.value) and right in str(caught.value)
    assert not store.has_file(right) and store.partial(right) == 0
    assert [path for path in store.path.rglob("*") if path.is_file() and path.stat().st_size > 100] == []
    server.heal()
    assert fetch([located(server, wheels[3])], store, connect)[right].is_file()


def test_a_broken_line_is_taken_up_where_it_broke(
    store: Store, server: IndexServer, wheels: list[Path]
) -> None:
    path = wheels[5]
    server.fail("p5-", "truncated", times=2)
    found = fetch([located(server, path)], store, connect)
    assert found[sha256(path)].read_bytes() == path.read_bytes()
    assert [seen.headers.get("range", "") != "" for seen in server.requests] == [False, True, True]
    assert [seen.status for seen in server.requests] == [200, 206, 206]


def test_without_ranges_it_begins_again(store: Store, server: IndexServer, wheels: list[Path]) -> None:
    server.ranges = False
    server.fail("p5-", "truncated", times=1)
    events: list[Event] = []
    found = fetch([located(server, wheels[5])], store, connect, listener=events.append)
    assert found[sha256(wheels[5])].read_bytes() == wheels[5].read_bytes()
    assert [seen.status for seen in server.requests] == [200, 200]
    assert sum(event.amount for event in events if isinstance(event, Advanced)) == wheels[5].stat().st_size


def test_what_an_earlier_run_left_is_resumed(store: Store, server: IndexServer, wheels: list[Path]) -> None:
    path, digest = wheels[5], sha256(wheels[5])
    server.fail("p5-", "truncated", times=1)
    server.fail("p5-", status=404)
    with pytest.raises(FileGone):
        fetch([located(server, path)], store, connect)
    left = store.partial(digest)
    assert 0 < left < path.stat().st_size
    server.heal()
    server.forget()
    assert fetch([located(server, path)], store, connect)[digest].read_bytes() == path.read_bytes()
    assert server.requests[0].headers["range"] == f"bytes={left}-"


def test_a_partial_file_that_is_not_the_beginning_of_it(
    store: Store, server: IndexServer, wheels: list[Path]
) -> None:
    path, digest = wheels[4], sha256(wheels[4])
    with pytest.raises(RuntimeError), store.writing(digest) as incoming:
        incoming.write(b"x" * 5000)
        raise RuntimeError("killed")
    with pytest.raises(WrongHash):
        fetch([located(server, path)], store, connect)
    # Thrown away: the next run succeeds.
    assert fetch([located(server, path)], store, connect)[digest].read_bytes() == path.read_bytes()


def test_a_line_that_never_holds_is_given_up(store: Store, server: IndexServer, wheels: list[Path]) -> None:
    server.ranges = False
    server.fail("p5-", "truncated")
    with pytest.raises(IndexUnreachable, match="ends after"):
        fetch([located(server, wheels[5])], store, connect)
    assert server.count() == 4


def test_more_or_fewer_bytes_than_promised(store: Store, server: IndexServer, wheels: list[Path]) -> None:
    size = wheels[2].stat().st_size
    for promised in (size - 1, size + 1):
        with pytest.raises(WrongSize) as caught:
            fetch([located(server, wheels[2], size=promised)], store, connect)
        assert caught.value.expected == promised
        assert store.partial(sha256(wheels[2])) == 0
    assert fetch([located(server, wheels[2], size=None)], store, connect)


def test_errors_name_the_file(store: Store, server: IndexServer, wheels: list[Path]) -> None:
    server.fail("p1-", status=500)
    with pytest.raises(IndexFailed, match=r"p1-1\.0-py3-none-any\.whl"):
        fetch([located(server, path) for path in wheels], store, connect)
    server.heal()
    server.fail("p1-", status=410)
    with pytest.raises(FileGone, match="410"):
        fetch([located(server, wheels[1])], store, connect)


def test_one_failure_ends_the_others(store: Store, server: IndexServer, wheels: list[Path]) -> None:
    server.fail("p5-", status=404)
    with pytest.raises(FileGone):
        fetch([located(server, path) for path in wheels], store, connect, workers=1)
    assert server.count() == 1


def test_a_failure_ends_the_others_before_anybody_looks(
    store: Store, server: IndexServer, wheels: list[Path]
) -> None:
    """The largest is there, the next one fails while the caller is busy with it: no third is asked for."""
    server.fail("p4-", status=404)
    before = set(threading.enumerate())
    each = fetch_each([located(server, path) for path in wheels], store, connect, workers=1)
    next(each)
    for thread in set(threading.enumerate()) - before:
        if thread.name == "pypm-download":
            thread.join(20)
            assert not thread.is_alive()
    assert server.count() == 2
    with pytest.raises(FileGone):
        next(each)


def test_a_file_that_moved(store: Store, server: IndexServer, wheels: list[Path]) -> None:
    here = located(server, wheels[0])
    gone = Located(here.artifact, here.url.replace("p0-", "q0-"), "main")
    assert fetch([gone], store, connect, relocate=lambda one: here)[here.artifact.sha256].is_file()
    with pytest.raises(FileGone):
        fetch([gone], Store.open(store.root / "x"), connect, relocate=lambda one: None)


def test_offline(store: Store, server: IndexServer, wheels: list[Path]) -> None:
    with pytest.raises(OfflineMissing, match=r"p0-1\.0"):
        fetch([located(server, wheels[0])], store, never, offline=True)
    fetch([located(server, wheels[0])], store, connect)
    assert fetch([located(server, wheels[0])], store, never, offline=True)


def test_a_local_file_is_taken_where_it_is(store: Store, wheels: list[Path], tmp_path: Path) -> None:
    one = Located(Artifact(wheels[0].name, sha256(wheels[0])), wheels[0].as_uri(), "find-links")
    assert fetch([one], store, never) == {sha256(wheels[0]): wheels[0]}
    with pytest.raises(FileGone):
        fetch([Located(one.artifact, (tmp_path / "none.whl").as_uri())], store, never)
    changed = Located(Artifact(wheels[0].name, "ab" * 32), wheels[0].as_uri(), "find-links")
    with pytest.raises(WrongHash):
        fetch([changed], store, never)


def test_a_file_of_unknown_digest(store: Store, server: IndexServer, wheels: list[Path]) -> None:
    path = fetch_one(located(server, wheels[0], digest="", size=None), store, connect)
    assert path == store.file(sha256(wheels[0]))


def test_two_at_once_fetch_it_once(store: Store, server: IndexServer, wheels: list[Path]) -> None:
    server.latency = 0.05
    threads = [
        threading.Thread(target=fetch, args=([located(server, wheels[5])], Store.open(store.root), connect))
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert server.count() == 1


def test_secrets_in_addresses_are_not_shown(store: Store, server: IndexServer, wheels: list[Path]) -> None:
    one = located(server, wheels[0])
    secret = Located(one.artifact, one.url.replace("http://", "http://me:hunter2@") + "?token=hunter2")
    server.fail("p0-", "wrong-bytes")
    with pytest.raises(WrongHash) as caught:
        fetch([secret], store, connect)
    assert "hunter2" not in str(caught.value) + str(caught.value.to_json())
