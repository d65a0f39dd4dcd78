"""The recording index against real servers: it replays what it recorded, and speaks HTTP as clients need."""

from __future__ import annotations

import gzip
import hashlib
import http.client
import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.index import LocalIndex
from benchmarks.recording import NotThere, Recorder, Source, SourceFailed
from kit.index_server import FileFacts, IndexServer
from kit.wheels import make_sdist, make_wheel

pytestmark = pytest.mark.slow

WHEEL = "acme-1.0-py3-none-any.whl"


def fill(folder: Path) -> Path:
    """*folder* with two wheels and an sdist of one project."""
    folder.mkdir()
    files = {"acme/__init__.py": "x = 1\n", "acme/large.bin": os.urandom(400_000)}
    make_wheel(folder, "acme", "1.0", requires=["other>=1"], requires_python=">=3.8", files=files)
    make_wheel(folder, "acme", "1.1", files={"acme/__init__.py": ""})
    make_sdist(folder, "acme", "1.0", backend="in-tree")
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return fill(tmp_path / "wheels")


def environ(server: IndexServer) -> dict[str, str]:
    return {**os.environ, "PYPM_INDEX_URL": server.url, "PIP_CONFIG_FILE": os.devnull}


def recorder(server: IndexServer, tree: Path) -> Recorder:
    return Recorder(tree, Source.from_environment(environ(server)))


def get(port: int, path: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request(
        "GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()}
    )
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, {name.lower(): value for name, value in answer.getheaders()}, body


def entries(page: bytes) -> dict[str, dict[str, Any]]:
    return {entry["filename"]: entry for entry in json.loads(page)["files"]}


SOURCES = [
    pytest.param({}, id="json"),
    pytest.param({"format": "html"}, id="html"),
    pytest.param({"format": "html", "metadata_flags": False, "metadata_files": False}, id="plain html"),
    pytest.param(
        {"format": "html", "metadata_flags": False, "metadata_files": False, "hashed_paths": False},
        id="plain html, own paths",
    ),
    pytest.param(
        {"metadata_flags": False, "metadata_files": False, "ranges": False},
        id="no ranges",
    ),
]


@pytest.mark.parametrize("settings", SOURCES)
def test_what_was_recorded_is_replayed_without_the_source(
    settings: dict[str, Any], folder: Path, tmp_path: Path
) -> None:
    with (
        IndexServer(folder, **settings) as server,
        LocalIndex(tmp_path / "tree", environ=environ(server)) as index,
    ):
        status, headers, page = get(index.port, "/simple/acme/")
        assert status == 200 and headers["content-type"] == "application/vnd.pypi.simple.v1+json"
        found = entries(page)
        assert set(found) == {WHEEL, "acme-1.1-py3-none-any.whl", "acme-1.0.tar.gz"}
        wheel, metadata = (get(index.port, found[WHEEL]["url"] + end) for end in ("", ".metadata"))
    assert wheel[2] == (folder / WHEEL).read_bytes()
    assert hashlib.sha256(wheel[2]).hexdigest() == found[WHEEL]["hashes"]["sha256"]
    assert b"Requires-Dist: other>=1" in metadata[2] and metadata[2].startswith(b"Metadata-Version:")
    assert all(entry["core-metadata"] for name, entry in found.items() if name.endswith(".whl"))
    assert "core-metadata" not in found["acme-1.0.tar.gz"]
    with LocalIndex(tmp_path / "tree", record=False) as replay:
        assert get(replay.port, "/simple/acme/")[2] == page
        assert get(replay.port, found[WHEEL]["url"])[2] == wheel[2]
        assert get(replay.port, found[WHEEL]["url"] + ".metadata")[2] == metadata[2]
        assert get(replay.port, found["acme-1.0.tar.gz"]["url"])[0] == 404, "nobody had asked for it"


def test_facts_of_the_source_are_kept(folder: Path, tmp_path: Path) -> None:
    facts = {WHEEL: FileFacts(uploaded="2024-05-06T07:08:09Z", yanked="broken")}
    with IndexServer(folder, files=facts) as server:
        page = recorder(server, tmp_path / "tree").file_for("/simple/Acme/").read_bytes()
    entry = entries(page)[WHEEL]
    assert (entry["upload-time"], entry["yanked"], entry["size"]) == (
        "2024-05-06T07:08:09Z",
        "broken",
        (folder / WHEEL).stat().st_size,
    )
    assert entry["requires-python"] == ">=3.8" and len(entry["core-metadata"]["sha256"]) == 64
    assert json.loads(page)["versions"] == ["1.0", "1.1"]


def test_the_metadata_of_a_wheel_is_read_from_its_end(folder: Path, tmp_path: Path) -> None:
    with IndexServer(folder, metadata_flags=False, metadata_files=False) as server:
        tape = recorder(server, tmp_path / "tree")
        url = entries(tape.file_for("/simple/acme/").read_bytes())[WHEEL]["url"]
        server.forget()
        assert b"Name: acme" in tape.file_for(url + ".metadata").read_bytes()
        reads = server.seen(r"\.whl$")
        assert reads and all("range" in seen.headers for seen in reads)


def test_each_thing_is_brought_once(folder: Path, tmp_path: Path) -> None:
    with IndexServer(folder) as server, LocalIndex(tmp_path / "tree", environ=environ(server)) as index:
        for _ in range(3):
            url = entries(get(index.port, "/simple/acme/")[2])[WHEEL]["url"]
            assert get(index.port, url)[0] == 200
        assert server.count("/simple/acme/") == 1 and server.count(WHEEL) == 1


def test_no_such_project_is_remembered_and_a_failure_is_not(folder: Path, tmp_path: Path) -> None:
    with IndexServer(folder) as server:
        tape = recorder(server, tmp_path / "tree")
        for _ in range(2):
            with pytest.raises(NotThere):
                tape.file_for("/simple/nobody/")
        assert server.count("/simple/nobody/") == 1
        server.fail("/simple/acme/", status=503)
        with pytest.raises(SourceFailed):
            tape.file_for("/simple/acme/")
        server.heal()
        assert tape.file_for("/simple/acme/").exists()


@pytest.mark.parametrize(
    "path",
    [
        "/files/packages/aa/bb/" + "c" * 60 + "/..%2f..%2fsecret",
        "/files/packages/aa/bb/" + "c" * 60 + "/..",
        "/files/other/acme/0123456789abcdef/elsewhere.whl",
        "/simple/../",
        "/etc/passwd",
        "/",
    ],
)
def test_nothing_but_files_of_recorded_pages_is_given(path: str, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "tree" / "files" / "packages" / "aa").mkdir(parents=True)
    (tmp_path / "tree" / "files" / "packages" / "secret").write_text("x")
    with IndexServer(folder) as server:
        tape = recorder(server, tmp_path / "tree")
        tape.file_for("/simple/acme/")
        with pytest.raises(NotThere):
            tape.file_for(path)


@pytest.fixture(scope="module")
def replay(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[LocalIndex, str, str]]:
    """An index with the addresses of a large and of a small wheel."""
    place = tmp_path_factory.mktemp("replay")
    fill(place / "wheels")
    with (
        IndexServer(place / "wheels") as server,
        LocalIndex(place / "tree", environ=environ(server), latency=0.05) as index,
    ):
        found = entries(get(index.port, "/simple/acme/")[2])
        yield index, found[WHEEL]["url"], found["acme-1.1-py3-none-any.whl"]["url"]


@pytest.mark.parametrize("size", ["small", "large"])
def test_ranges_and_conditions(replay: tuple[LocalIndex, str, str], size: str) -> None:
    index, large, small = replay
    url = small if size == "small" else large
    whole = get(index.port, url)[2]
    total = len(whole)
    assert (total > 256 * 1024) == (size == "large")
    for asked, part in (
        ("0-9", whole[:10]),
        ("100-", whole[100:]),
        ("-50", whole[-50:]),
        (f"5-{total + 99}", whole[5:]),
    ):
        status, headers, body = get(index.port, url, Range=f"bytes={asked}")
        assert (status, body) == (206, part) and headers["content-range"].endswith(f"/{total}")
        assert headers["content-length"] == str(len(part))
    assert get(index.port, url, Range=f"bytes={total}-")[0] == 416
    assert get(index.port, url, Range="bytes=0-1,5-6")[::2] == (200, whole), (
        "one range at most: else the whole"
    )
    headers = get(index.port, url)[1]
    assert "immutable" in headers["cache-control"] and headers["accept-ranges"] == "bytes"
    assert get(index.port, url, If_None_Match=headers["etag"])[::2] == (304, b"")
    assert get(index.port, url, If_None_Match='"other"')[0] == 200
    assert get(index.port, url, Range="bytes=0-9", If_Range='"other"')[0] == 200


def test_pages_are_gzipped_for_who_takes_it(replay: tuple[LocalIndex, str, str]) -> None:
    index, *_ = replay
    _, plain, page = get(index.port, "/simple/acme/")
    _, packed, body = get(index.port, "/simple/acme/", Accept_Encoding="gzip, br")
    assert packed["content-encoding"] == "gzip" and gzip.decompress(body) == page
    assert packed["etag"] != plain["etag"] and "content-encoding" not in plain
    assert "max-age=600" in plain["cache-control"] and plain["vary"] == "Accept-Encoding"


def test_one_connection_serves_many_requests_in_order_even_if_they_come_at_once(
    replay: tuple[LocalIndex, str, str],
) -> None:
    index, url, _ = replay
    paths = ["/simple/acme/", url, "/simple/nobody/", f"{url}.metadata", url, "/simple/acme/"]
    text = "".join(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n" for path in paths[:-1])
    text += f"HEAD {paths[-1]} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    with socket.create_connection(("127.0.0.1", index.port), timeout=20) as sock:
        sock.sendall(text.encode())
        received = b""
        while data := sock.recv(65536):
            received += data
    sizes = []
    while received:
        head, _, received = received.partition(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        sizes.append((head.split(b" ")[1], length))
        received = received[length:]
    assert [status for status, _ in sizes] == [b"200", b"200", b"404", b"200", b"200", b"200"]
    assert sizes[1] == sizes[4] and sizes[0] == sizes[5]


def test_the_slow_address_is_slow_for_each_request_and_not_for_all_together(
    replay: tuple[LocalIndex, str, str],
) -> None:
    index, *_ = replay
    assert index.slow_port != index.port
    begin = time.monotonic()
    assert get(index.slow_port, "/simple/acme/")[0] == 200
    assert time.monotonic() - begin >= 0.05
    begin = time.monotonic()
    crew = [threading.Thread(target=get, args=(index.slow_port, "/simple/acme/")) for _ in range(60)]
    for each in crew:
        each.start()
    for each in crew:
        each.join()
    assert time.monotonic() - begin < 60 * 0.05


def test_nonsense_is_refused_and_the_server_goes_on(replay: tuple[LocalIndex, str, str]) -> None:
    index, *_ = replay
    for nonsense, answer in (
        (b"hello\r\n\r\n", b"400"),
        (b"POST /simple/acme/ HTTP/1.1\r\n\r\n", b"405"),
        (b"x" * 70_000, b"400"),
    ):
        with socket.create_connection(("127.0.0.1", index.port), timeout=20) as sock:
            sock.sendall(nonsense)
            assert sock.recv(100).split(b" ")[1] == answer
    assert get(index.port, "/simple/acme/")[0] == 200


def test_its_processes_end_with_it(folder: Path, tmp_path: Path) -> None:
    with IndexServer(folder) as server, LocalIndex(tmp_path / "tree", environ=environ(server)) as index:
        port, process = index.port, index.process
    assert process.returncode == 0
    for _ in range(100):
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except ConnectionRefusedError:
            return
        time.sleep(0.05)
    pytest.fail("somebody still listens")


def test_requests_are_counted_whoever_answers_them(folder: Path, tmp_path: Path) -> None:
    with IndexServer(folder) as source, LocalIndex(tmp_path / "tree", environ=environ(source)) as index:
        assert index.requests() == 0
        for _ in range(12):
            # A connection each: any of the processes may take it.
            get(index.port, "/simple/acme/")
        assert get(index.slow_port, "/simple/unknown/")[0] == 404
        assert index.requests() == 13
        assert index.requests() == 13
