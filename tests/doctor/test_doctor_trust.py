"""Certificates, credentials, plugins and indexes."""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterator
from email.utils import formatdate
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.clinic import Clinic
from kit.index_server import IndexServer
from kit.wheels import make_wheel
from pypm.ops.doctor import network, trust
from pypm.ops.doctor.patient import Once
from pypm_index.settings import Index
from pypm_model.names import NormalizedName

posix = pytest.mark.skipif(os.name != "posix", reason="modes of files")
LOCKED = """\
format = 1
requires-python = ">=3.11"

[[package]]
name = "idna"
version = "3.7"
source = { index = "pypi" }
"""


@pytest.fixture
def server(clinic: Clinic, tmp_path: Path) -> Iterator[IndexServer]:
    folder = tmp_path / "index"
    folder.mkdir()
    make_wheel(folder, "pip", "24.0")
    with IndexServer(folder) as made:
        clinic.environ["PYPM_INDEX_URL"] = made.url
        yield made


def test_openssl(clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    assert clinic.look("openssl")[0].verdict in ("ok", "note")
    monkeypatch.setattr(ssl, "OPENSSL_VERSION", "OpenSSL 1.0.2k")
    monkeypatch.setattr(ssl, "OPENSSL_VERSION_INFO", (1, 0, 2, 11, 15))
    assert "too old" in clinic.one("openssl", "issue").message
    monkeypatch.setattr(ssl, "OPENSSL_VERSION_INFO", (1, 1, 1, 11, 15))
    assert clinic.verdicts("openssl") == ["note"]


def test_certificates_that_are_named_and_are_none(clinic: Clinic) -> None:
    clinic.environ["SSL_CERT_FILE"] = str(clinic.home / "none.pem")
    assert "is not there" in clinic.one("certificates", "issue").message
    clinic.file("empty.pem", "no certificate\n")
    clinic.environ["SSL_CERT_FILE"] = str(clinic.root / "empty.pem")
    found = clinic.one("certificates", "issue")
    assert "holds no certificate" in found.message and found.fix.startswith("unset SSL_CERT_FILE")
    del clinic.environ["SSL_CERT_FILE"]
    clinic.environ["SSL_CERT_DIR"] = str(clinic.home / "bin")
    (clinic.home / "bin").mkdir()
    assert "is empty" in clinic.one("certificates", "issue").message


def test_a_system_without_certificates(clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    nowhere = ssl.DefaultVerifyPaths(None, None, "X", "/nowhere", "Y", "/nowhere")
    monkeypatch.setattr(ssl, "get_default_verify_paths", lambda: nowhere)
    monkeypatch.setattr(trust, "_BUNDLES", ())
    if os.name == "posix":
        assert clinic.verdicts("certificates") == ["ok"], "the only index is not encrypted"
        clinic.environ["PYPM_INDEX_URL"] = "https://index.example.test/simple/"
        assert "https cannot be used" in clinic.one("certificates", "issue").message


def test_a_netrc_that_is_none_does_not_give_its_words_away(clinic: Clinic) -> None:
    assert clinic.verdicts("netrc") == ["ok"]
    file = clinic.home / ".netrc"
    file.write_text("machine a.example.test login me password hunter2\nhunter3 hunter4\n")
    file.chmod(0o600)
    found = clinic.one("netrc", "issue")
    assert "line 2" in found.message and "hunter" not in str(found)
    file.write_bytes(b"machine \xff\xfe")
    assert "UTF-8" in clinic.one("netrc", "issue").message
    clinic.environ["NETRC"] = str(clinic.home / "gone")
    assert clinic.one("netrc", "note").fix == "unset NETRC"


@posix
@pytest.mark.parametrize(("mode", "who"), [(0o644, "everybody"), (0o640, "its group")])
def test_a_netrc_for_all_to_read_is_shut(clinic: Clinic, mode: int, who: str) -> None:
    file = clinic.home / ".netrc"
    file.write_text("machine a.example.test login me password hunter2\n")
    file.chmod(mode)
    found = clinic.one("netrc", "issue")
    assert who in found.message and "hunter" not in str(found)
    assert found.repair is not None
    found.repair()
    assert clinic.one("netrc", "ok").message.endswith("1 host")


def test_keyring_counts_where_a_password_is_missing(clinic: Clinic) -> None:
    clinic.bare()
    assert clinic.verdicts("keyring") == ["ok"]
    clinic.environ["PYPM_INDEX_PYPI_USERNAME"] = "me"
    assert "PYPM_INDEX_PYPI_PASSWORD" in clinic.one("keyring", "issue").fix
    clinic.environ["PYPM_INDEX_PYPI_PASSWORD"] = "hunter2"
    assert clinic.verdicts("keyring") == ["ok"]


@posix
def test_signing_tools_are_only_told(clinic: Clinic) -> None:
    clinic.bare()
    assert clinic.verdicts("signing") == ["ok"]
    gpg = clinic.program("gpg")
    assert clinic.one("signing", "ok").message == str(gpg)


@posix
@pytest.mark.parametrize("variable", [False, True])
def test_a_plugin_folder_for_all_to_write_is_shut(clinic: Clinic, variable: bool) -> None:
    assert clinic.verdicts("plugins") == ["ok"]
    home = clinic.home / ("data" if variable else ".pypm")
    if variable:
        clinic.environ["PYPM_HOME"] = str(home)
    plugin = home / "plugins" / "x.so"
    plugin.parent.mkdir(parents=True)
    plugin.touch()
    for place, mode in ((home, 0o755), (plugin.parent, 0o755), (plugin, 0o644)):
        place.chmod(mode)
    assert clinic.verdicts("plugins") == ["ok"]
    plugin.chmod(0o646)
    home.chmod(0o775)
    found = clinic.look("plugins")
    assert [each.verdict for each in found] == ["note", "issue"]
    for each in found:
        assert each.repair is not None
        each.repair()
    assert clinic.verdicts("plugins") == ["ok"]
    assert plugin.stat().st_mode & 0o777 == 0o644


def test_an_index_in_the_open(clinic: Clinic) -> None:
    clinic.environ["PYPM_INDEX_URL"] = "http://index.example.test/simple"
    assert "not encrypted" in clinic.one("index-hygiene", "issue").message
    clinic.environ["PYPM_INDEX_URL"] = "http://localhost:8080/simple"
    assert clinic.verdicts("index-hygiene") == ["ok"]


def test_credentials_in_a_file_are_found_and_not_told(clinic: Clinic) -> None:
    clinic.project()
    clinic.file(
        "pypm-workspace.toml",
        '[workspace]\nmembers = ["."]\n[[index]]\nname = "inner"\nurl = "https://me:hunter2@a.example.test/simple"\n',
    )
    found = clinic.one("index-hygiene", "issue")
    assert "pypm-workspace.toml:3" in found.message and "PYPM_INDEX_INNER_PASSWORD" in found.fix
    assert "hunter2" not in str(clinic.look("index-hygiene"))


def test_an_index_answers(clinic: Clinic, server: IndexServer) -> None:
    assert "answers in" in clinic.one("indexes", "ok").message
    assert server.count("/simple/") == 1
    assert clinic.verdicts("clock") == ["ok"]


def test_an_index_is_asked_once_for_all_checks(clinic: Clinic, server: IndexServer) -> None:
    patient = clinic.patient()
    clinic.look("indexes", patient)
    clinic.look("clock", patient)
    assert server.count("/simple/") == 1


def test_offline_nothing_is_asked(clinic: Clinic, server: IndexServer) -> None:
    clinic.offline = True
    assert "offline" in clinic.one("indexes", "unknown").message
    assert clinic.verdicts("clock") == ["unknown"]
    assert not server.requests


@pytest.mark.parametrize(
    ("kind", "status", "told"),
    [
        ("status", 500, "500"),
        ("status", 403, "403"),
        ("drop", 0, "ended the connection"),
        ("hang", 0, "in time"),
        ("redirect", 0, "redirects"),
    ],
)
def test_an_index_in_trouble(
    clinic: Clinic, server: IndexServer, monkeypatch: pytest.MonkeyPatch, kind: str, status: int, told: str
) -> None:
    monkeypatch.setattr(network, "SECONDS", 0.5)
    server.fail(
        "/simple/",
        kind,
        status=status or 302,
        seconds=3,
        location=server.url.removesuffix("simple/") + "{path}",
    )
    found = clinic.one("indexes", "issue")
    assert told in found.message and len(server.requests) <= 12


def test_nobody_listens(clinic: Clinic) -> None:
    assert "cannot be reached" in clinic.one("indexes", "issue").message
    assert clinic.verdicts("clock") == ["unknown"]


def test_an_index_that_wants_to_know_who_asks(clinic: Clinic, server: IndexServer) -> None:
    server.auth = ("me", "hunter2")
    clinic.bare()
    found = clinic.one("indexes", "issue")
    assert "401" in found.message and "PYPM_INDEX_PYPI_USERNAME" in found.fix
    clinic.environ.update(PYPM_INDEX_PYPI_USERNAME="me", PYPM_INDEX_PYPI_PASSWORD="hunter3")
    assert "hunter" not in str(clinic.one("indexes", "issue"))
    clinic.environ.update(PYPM_INDEX_PYPI_PASSWORD="hunter2")
    assert clinic.verdicts("indexes") == ["ok"]


def test_an_address_that_is_no_index(clinic: Clinic, server: IndexServer) -> None:
    server.pages["/simple/pip/"] = ("text/plain", b"welcome to the hotel")
    assert "neither JSON nor HTML" in clinic.one("indexes", "issue").message


def test_what_is_locked_must_be_there(clinic: Clinic, server: IndexServer) -> None:
    clinic.project()
    clinic.file("pypm.lock", LOCKED)
    assert "has no idna" in clinic.one("indexes", "issue").message
    assert server.folder is not None
    make_wheel(server.folder, "idna", "3.7")
    assert clinic.verdicts("indexes") == ["ok"]


def test_a_folder_as_index(clinic: Clinic) -> None:
    clinic.environ["PYPM_INDEX_URL"] = str(clinic.home / "gone")
    assert "is not there" in clinic.one("indexes", "issue").message
    (clinic.home / "gone").mkdir()
    assert clinic.verdicts("indexes") == ["ok"]


def test_a_slow_index_is_a_note(clinic: Clinic) -> None:
    slow = network.Answer(
        Index("a", "https://a.example.test/"), NormalizedName("pip"), False, seconds=2.5, status=200
    )
    patient = clinic.patient()
    patient.shared["answers"] = Once(lambda: (slow,))
    assert [each.verdict for each in clinic.look("indexes", patient)] == ["note"]


@pytest.mark.parametrize(("skew", "verdict"), [(0, "ok"), (-59, "ok"), (90, "note"), (-400, "issue")])
def test_a_clock_that_is_wrong(clinic: Clinic, skew: float, verdict: str) -> None:
    index = Index("a", "https://a.example.test/")
    answers = [network.Answer(index, NormalizedName("pip"), False, status=200, skew=s) for s in (skew, 9000)]
    patient = clinic.patient()
    patient.shared["answers"] = Once(lambda: tuple(answers))
    (found,) = clinic.look("clock", patient)
    assert found.verdict == verdict
    if verdict == "issue":
        assert "400 seconds behind" in found.message


@given(st.integers(10**9, 2 * 10**9), st.integers(-(10**5), 10**5), st.integers(0, 600))
def test_the_skew_is_what_the_clock_is_ahead(theirs: int, ahead: int, age: int) -> None:
    """A cache sends the time at which the answer was made, and its age: together they are now."""
    headers = {"date": formatdate(theirs - age, usegmt=True), "age": str(age)}
    assert network.skew_of(headers, theirs + ahead) == ahead


@pytest.mark.parametrize("date", ["", "yesterday", "Thu, 99 Foo 2026"])
def test_no_date_no_skew(date: str) -> None:
    assert network.skew_of({"date": date} if date else {}, 0.0) is None


def test_proxies(clinic: Clinic) -> None:
    clinic.environ["PYPM_INDEX_URL"] = "https://index.example.test/simple"
    assert "without a proxy" in clinic.one("proxy", "ok").message
    clinic.environ["HTTPS_PROXY"] = "http://me:hunter2@proxy.example.test:3128"
    assert "through http://****@proxy.example.test:3128" in clinic.one("proxy", "ok").message
    clinic.environ["https_proxy"] = "socks5://me:hunter2@proxy.example.test"
    found = clinic.look("proxy")
    assert [each.verdict for each in found] == ["issue", "note"]
    assert "hunter2" not in str(found)
    clinic.environ.update(NO_PROXY="example.test")
    assert clinic.verdicts("proxy")[0] == "ok"
