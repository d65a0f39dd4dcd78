"""HTTP: retries, redirects, credentials, proxies, errors told apart; against a real server."""

from __future__ import annotations

import base64
import gzip
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from kit.index_server import IndexServer
from kit.osv_server import OsvServer
from kit.wheels import make_wheel
from pypm_index.connections import Pool, ProxyUnusable
from pypm_index.credentials import RunKeyring
from pypm_index.errors import (
    AccessForbidden,
    BadRedirect,
    BadTimeout,
    CredentialsNeeded,
    IndexFailed,
    IndexUnreachable,
)
from pypm_index.settings import Index, Indexes
from pypm_index.transport import Transport


@pytest.fixture
def server(tmp_path: Path) -> Iterator[IndexServer]:
    make_wheel(tmp_path / "wheels", "foo", "1.0")
    with IndexServer(tmp_path / "wheels") as running:
        yield running


class Sleeper:
    """Takes the pauses instead of making them."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    def __call__(self, seconds: float) -> None:
        self.slept.append(seconds)


def transport(
    server: IndexServer,
    *,
    url: str = "",
    environ: dict[str, str] | None = None,
    timeout: float | None = 5.0,
    keyring: RunKeyring | None = None,
    sleep: Sleeper | None = None,
) -> Transport:
    indexes = Indexes.from_settings([Index("acme", url or server.url)], environ=environ or {})
    return Transport(indexes, environ or {}, timeout=timeout, keyring=keyring, sleep=sleep or Sleeper())


def transport_to(url: str) -> Transport:
    return Transport(Indexes.from_settings([Index("acme", url)], environ={}), {}, sleep=Sleeper())


def test_one_connection_serves_many(server: IndexServer) -> None:
    way = transport(server)
    for _ in range(5):
        assert way.get(server.url + "foo/").status == 200
    assert way.get(server.url + "nothing/").status == 404
    assert {seen.connection for seen in server.requests} == {1}
    way.close()


def test_a_question_with_a_body() -> None:
    with OsvServer() as osv:
        way = transport_to(osv.url)
        query = b'{"queries": [{"package": {"name": "foo"}, "version": "1"}]}'
        for _ in range(2):
            assert way.post(osv.url + "/v1/querybatch", query).body == b'{"results": [{}]}'
        osv.status = 503
        with pytest.raises(IndexFailed) as raised:
            way.post(osv.url + "/v1/querybatch", query)
        assert (raised.value.status, raised.value.attempts, len(osv.asked)) == (503, 4, 6)
        osv.status = 302  # would be a GET of something else
        with pytest.raises(IndexFailed) as raised:
            way.post(osv.url + "/v1/querybatch", query)
        assert raised.value.status == 302
        way.close()


def test_a_connection_that_the_server_ended_is_nobodys_failure(server: IndexServer) -> None:
    sleep = Sleeper()
    way = transport(server, sleep=sleep)
    way.get(server.url + "foo/")
    server.fail("foo", "drop", times=1)
    assert way.get(server.url + "foo/").status == 200
    assert sleep.slept == []


def test_many_threads(server: IndexServer) -> None:
    way = transport(server)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: way.get(server.url + "foo/").status, range(64)))
    assert answers == [200] * 64
    assert len({seen.connection for seen in server.requests}) <= 8


@pytest.mark.parametrize("status", [500, 502, 503, 504, 429, 408])
def test_failures_that_pass_are_waited_out(server: IndexServer, status: int) -> None:
    sleep = Sleeper()
    server.fail("foo", status=status, times=3)
    assert transport(server, sleep=sleep).get(server.url + "foo/").status == 200
    assert len(sleep.slept) == 3
    assert sleep.slept[0] < sleep.slept[1] < sleep.slept[2]


def test_the_server_may_say_how_long_to_wait(server: IndexServer) -> None:
    sleep = Sleeper()
    server.fail("foo", status=503, times=1, headers={"Retry-After": "7"})
    server.fail("foo", status=503, times=1, headers={"Retry-After": "9999999"})
    server.fail("foo", status=503, times=1, headers={"Retry-After": "Mon, 01 Jan 2024 00:00:00 GMT"})
    assert transport(server, sleep=sleep).get(server.url + "foo/").status == 200
    assert sleep.slept == [7.0, 30.0, 0.0]


def test_failures_that_do_not_pass(server: IndexServer) -> None:
    server.fail("foo", status=500)
    with pytest.raises(IndexFailed) as caught:
        transport(server).get(server.url + "foo/", index="acme", subject="foo")
    assert (caught.value.status, caught.value.attempts, caught.value.index) == (500, 4, "acme")
    assert str(caught.value) == "index 'acme', asked for foo, answers with HTTP status 500 (4 attempts)"
    assert server.count() == 4


def test_statuses_are_told_apart(server: IndexServer) -> None:
    way = transport(server)
    for status in (404, 410):
        server.heal()
        server.fail("foo", status=status)
        assert way.get(server.url + "foo/").status == status
    for status, kind in (
        (401, CredentialsNeeded),
        (403, AccessForbidden),
        (400, IndexFailed),
        (418, IndexFailed),
    ):
        server.heal()
        server.forget()
        server.fail("foo", status=status)
        with pytest.raises(kind):
            way.get(server.url + "foo/", index="acme", subject="foo")
        assert server.count() == 1


def test_nobody_listens_and_no_such_host(server: IndexServer) -> None:
    way = transport(server)
    for url, reason in (
        ("http://127.0.0.1:9/simple/", "refuses"),
        ("http://no-such-host.invalid/", "not known"),
    ):
        with pytest.raises(IndexUnreachable, match=reason) as caught:
            way.get(url, index="acme", subject="foo")
        assert caught.value.attempts == 4 and caught.value.hint
    with pytest.raises(IndexUnreachable, match="not an address"):
        way.get("http://127.0.0.1:x/", index="acme")


def test_a_server_that_hangs(server: IndexServer) -> None:
    server.fail("foo", "hang", seconds=20)
    with pytest.raises(IndexUnreachable, match="in time") as caught:
        transport(server, timeout=0.2).get(server.url + "foo/")
    assert caught.value.attempts == 2


def test_an_answer_cut_short_is_asked_for_again(server: IndexServer) -> None:
    server.fail("foo", "truncated", times=2)
    sleep = Sleeper()
    assert transport(server, sleep=sleep).get(server.url + "foo/").body.endswith(b"</html>")
    assert len(sleep.slept) == 2
    server.fail("foo", "truncated")
    with pytest.raises(IndexUnreachable, match="ends after"):
        transport(server).get(server.url + "foo/")


def test_gzip_and_its_faults(server: IndexServer) -> None:
    server.pages["/x"] = ("application/octet-stream", gzip.compress(b"hello" * 100))
    server.pages["/y"] = ("application/octet-stream", gzip.compress(b"hello" * 100)[:-9])
    server.pages["/z"] = ("application/octet-stream", b"no gzip")
    for path in "xyz":
        # A fault that only adds a header.
        server.fail(f"/{path}$", "redirect", times=0)
    way = transport(server)
    original = server.answer

    def answer(path: str, headers: object) -> tuple[int, dict[str, str], bytes]:
        status, given, body = original(path, headers)  # type: ignore[arg-type]
        return status, {**given, "Content-Encoding": "gzip"}, body

    server.answer = answer  # type: ignore[method-assign]
    found = way.get(server.origin + "/x")
    assert found.body == b"hello" * 100 == gzip.decompress(found.packed)
    for path in "yz":
        with pytest.raises(IndexUnreachable, match="compress"):
            way.get(server.origin + "/" + path)


def test_redirects(server: IndexServer, tmp_path: Path) -> None:
    way = transport(server)
    answer = way.get(server.url + "foo")
    assert answer.status == 200 and answer.url == server.url + "foo/"
    server.fail("/loop", "redirect", location="/loop?{path}")
    server.fail("/self", "redirect", location="{path}")
    server.fail("/file", "redirect", location="file:///etc/passwd")
    server.fail("/none", "redirect", location="")
    for path, reason in (
        ("loop", "more than"),
        ("self", "itself"),
        ("file", "file: address"),
        ("none", "without"),
    ):
        with pytest.raises(BadRedirect, match=reason):
            way.get(f"{server.origin}/{path}", index="acme")


def test_credentials_are_sent_and_not_taken_elsewhere(server: IndexServer, tmp_path: Path) -> None:
    server.auth = ("me", "hunter2")
    with IndexServer(tmp_path / "wheels") as other:
        url = server.url.replace("http://", "http://me:hunter2@")
        way = transport(server, url=url)
        assert way.get(server.url + "foo/", index="acme").status == 200
        server.fail("away", "redirect", location=other.url + "foo/")
        assert way.get(server.origin + "/away", index="acme").status == 200
        assert "authorization" in server.seen("away")[0].headers
        assert "authorization" not in other.requests[0].headers
        # A redirect with credentials of its own does not make us send them.
        server.heal()
        server.fail("away", "redirect", location=other.url.replace("http://", "http://a:b@") + "foo/")
        assert way.get(server.origin + "/away", index="acme").status == 200
        assert "authorization" not in other.requests[1].headers


def test_wrong_and_missing_credentials(server: IndexServer) -> None:
    server.auth = ("me", "hunter2")
    with pytest.raises(CredentialsNeeded, match="asks for credentials") as caught:
        transport(server, keyring=lambda _: None).get(server.url + "foo/", index="acme", subject="foo")
    assert caught.value.hint is not None and "PYPM_INDEX_ACME_USERNAME" in caught.value.hint
    way = transport(server, url=server.url.replace("http://", "http://me:wrong@"), keyring=lambda _: None)
    with pytest.raises(CredentialsNeeded, match="does not accept") as caught:
        way.get(server.url + "foo/", index="acme")
    assert "wrong" not in str(caught.value.to_json())
    environ = {"PYPM_INDEX_ACME_USERNAME": "me", "PYPM_INDEX_ACME_PASSWORD": "hunter2"}
    assert transport(server, environ=environ).get(server.url + "foo/", index="acme").status == 200


def test_keyring_is_asked_after_a_401(server: IndexServer) -> None:
    asked: list[object] = []

    def keyring(arguments: object) -> str:
        asked.append(arguments)
        return '{"username": "me", "password": "hunter2"}'

    way = transport(server, keyring=keyring)
    assert way.get(server.url + "foo/", index="acme").status == 200
    assert asked == []
    server.auth = ("me", "hunter2")
    for _ in range(3):
        assert way.get(server.url + "foo/", index="acme").status == 200
    assert len(asked) == 1
    assert server.count("foo") == 1 + 2 + 1 + 1


def test_netrc_and_the_callers_own_address(server: IndexServer, tmp_path: Path) -> None:
    server.auth = ("n", "p")
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login n password p\n")
    netrc.chmod(0o600)
    assert (
        transport(server, environ={"NETRC": str(netrc)}).get(server.url + "foo/", index="acme").status == 200
    )
    way = transport(server)
    answer = way.get(server.url.replace("http://", "http://n:p@") + "foo")
    assert answer.status == 200 and "@" not in answer.url


def test_a_netrc_that_cannot_be_read_is_told_when_it_would_have_helped(
    server: IndexServer, tmp_path: Path
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login n hunter2")
    way = transport(server, environ={"NETRC": str(netrc)})
    assert way.get(server.url + "foo/", index="acme").status == 200
    server.auth = ("n", "p")
    with pytest.raises(CredentialsNeeded) as caught:
        way.get(server.url + "foo/", index="acme")
    assert str(caught.value.hint).startswith(
        f"{netrc}, line 1, is no netrc file: mend it; or set PYPM_INDEX_"
    )
    assert "hunter2" not in str(caught.value.to_json())


@pytest.mark.parametrize("text", ["soon", "0", "-1", "nan", "inf", "1e9"])
def test_a_timeout_that_is_none_is_refused(server: IndexServer, text: str) -> None:
    with pytest.raises(BadTimeout, match="no number of seconds above 0"):
        transport(server, environ={"PYPM_HTTP_TIMEOUT": text}, timeout=None)
    assert transport(server, environ={"PYPM_HTTP_TIMEOUT": " "}, timeout=None)


def test_a_stream_that_is_not_read_costs_its_connection_only(server: IndexServer) -> None:
    way = transport(server)
    with way.open(server.url_of("foo-1.0-py3-none-any.whl")) as stream:
        assert stream.status == 200 and stream.headers["accept-ranges"] == "bytes"
        assert len(stream.read(10)) == 10
    with way.open(server.url_of("foo-1.0-py3-none-any.whl"), headers={"Range": "bytes=0-3"}) as stream:
        assert stream.status == 206 and stream.read(100) == b"PK\3\4" and stream.read(100) == b""
    with way.open(server.url_of("foo-1.0-py3-none-any.whl")) as stream:
        assert stream.read(1) == b"P"
    assert [seen.connection for seen in server.requests] == [1, 2, 2]


def test_through_a_proxy(server: IndexServer) -> None:
    environ = {"http_proxy": server.origin.replace("http://", "http://u:p@")}
    way = transport(server, url="http://index.example.test/simple/", environ=environ)
    server.pages["/simple/foo/"] = ("text/html", b"by proxy")
    assert way.get("http://index.example.test/simple/foo/", index="acme").body == b"by proxy"
    seen = server.requests[0]
    assert seen.path == "http://index.example.test/simple/foo/"
    assert seen.headers["host"] == "index.example.test"
    assert seen.headers["proxy-authorization"] == "Basic " + base64.b64encode(b"u:p").decode()


def test_which_hosts_go_through_a_proxy() -> None:
    environ = {
        "HTTPS_PROXY": "http://upper.example.test:1",
        "https_proxy": "lower.example.test:2",
        "NO_PROXY": "local.example.test, .inner.test,10.0.0.1:8080",
    }
    pool = Pool("", environ, 1.0)
    assert pool.proxy(("https", "pypi.example.test", 443)) == "http://lower.example.test:2"
    assert pool.proxy(("http", "pypi.example.test", 80)) == ""
    for host, port in (
        ("local.example.test", 443),
        ("a.inner.test", 443),
        ("inner.test", 1),
        ("10.0.0.1", 8080),
    ):
        assert pool.proxy(("https", host, port)) == ""
    assert pool.proxy(("https", "10.0.0.1", 443)) != ""
    assert pool.proxy(("https", "notinner.test", 443)) != ""
    assert Pool("", {"all_proxy": "http://p:1", "no_proxy": "*"}, 1.0).proxy(("https", "x", 443)) == ""
    with pytest.raises(ProxyUnusable, match="socks5"):
        Pool("", {"all_proxy": "socks5://p:1"}, 1.0).take(("http", "x", 80))


def test_tls_uses_the_certificates_that_were_named(server: IndexServer, tmp_path: Path) -> None:
    missing = Indexes.from_settings(environ={"SSL_CERT_FILE": str(tmp_path / "none.pem")})
    with pytest.raises(IndexUnreachable) as caught:
        Transport(missing, {}, timeout=1.0, sleep=Sleeper()).get("https://127.0.0.1:9/")
    assert caught.value.attempts == 1


def test_no_thread_stays_behind(server: IndexServer) -> None:
    before = threading.active_count()
    way = transport(server)
    way.get(server.url + "foo/")
    way.close()
    assert threading.active_count() <= before + 1
