"""Which indexes, in which order, and as whom; cut-offs."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pypm_index import pip_config
from pypm_index.credentials import Wallet, read_netrc
from pypm_index.cutoffs import Cutoffs, InvalidTime, earliest, moment, span
from pypm_index.errors import BadIndex, UnknownIndex
from pypm_index.settings import DEFAULT_INDEX_URL, Credentials, Index, Indexes, PipConfig
from pypm_model.names import normalize

A = "https://a.example.test/simple"


def urls(indexes: Indexes) -> list[tuple[str, str]]:
    return [(index.name, index.url) for index in indexes.all]


def test_nothing_said() -> None:
    assert urls(Indexes.from_settings(environ={})) == [("pypi", DEFAULT_INDEX_URL)]


def test_order_of_strength() -> None:
    pip = PipConfig(index_url="https://pip.example.test/simple")
    environ: dict[str, str] = {}
    assert urls(Indexes.from_settings(environ=environ, pip_config=lambda: pip)) == [
        ("pypi", "https://pip.example.test/simple/")
    ]
    environ["PIP_INDEX_URL"] = "https://pipenv.example.test/simple/"
    assert urls(Indexes.from_settings(environ=environ, pip_config=lambda: pip)) == [
        ("pypi", "https://pipenv.example.test/simple/")
    ]
    own = [
        Index("mirror", A, default=True),
        Index("extra", "https://x.example.test/s"),
        Index("e", A, explicit=True),
    ]
    found = Indexes.from_settings(own, environ=environ, pip_config=lambda: pip)
    assert urls(found) == [("extra", "https://x.example.test/s/"), ("e", A + "/"), ("mirror", A + "/")]
    assert [index.name for index in found.implicit] == ["extra", "mirror"]
    environ["PYPM_INDEX_URL"] = "https://env.example.test/simple"
    assert urls(Indexes.from_settings(own, environ=environ))[-1] == (
        "mirror",
        "https://env.example.test/simple/",
    )
    assert urls(Indexes.from_settings(own, environ=environ, index_url="https://flag.example.test/"))[-1] == (
        "mirror",
        "https://flag.example.test/",
    )


def test_find_links_come_first_and_may_stand_alone(tmp_path: Path) -> None:
    found = Indexes.from_settings([Index("i", A)], ["wheels", tmp_path.as_uri()], {}, root=tmp_path)
    assert [index.name for index in found.all] == ["find-links", "find-links-2", "i", "pypi"]
    assert found.all[0].folder == tmp_path / "wheels"
    assert found.all[1].folder == tmp_path
    assert [index.name for index in Indexes.from_settings([Index("i", A)], ["w"], {}, no_index=True).all] == [
        "find-links"
    ]
    with pytest.raises(BadIndex, match="no folder"):
        Indexes.from_settings(find_links=["https://x.example.test/links.html"], environ={})


@pytest.mark.parametrize(
    ("indexes", "reason"),
    [
        ([Index("a", A), Index("a", A)], "twice"),
        ([Index("pypi", A)], "twice"),
        ([Index("a", A, default=True), Index("b", A, default=True)], "default index already"),
        ([Index("a", A, default=True, explicit=True)], "both explicit and the default"),
        ([Index("a b", A)], "a name is"),
        ([Index("a", "ftp://a.example.test")], "not supported"),
        ([Index("a", "https://")], "no host"),
        ([Index("a", "https://h.example.test:x/")], "its address is none"),
        ([Index("a", " ")], "no address"),
    ],
)
def test_wrong_settings(indexes: list[Index], reason: str) -> None:
    with pytest.raises(BadIndex, match=reason) as caught:
        Indexes.from_settings(indexes, environ={})
    assert caught.value.exit == 2


def test_unknown_index_names_the_known() -> None:
    with pytest.raises(UnknownIndex, match="pypi"):
        Indexes.from_settings(environ={}).named("nope")


def test_credentials_stay_out_of_address_identity_and_text() -> None:
    plain = Indexes.from_settings([Index("acme", A)], environ={}).all[0]
    secret = Indexes.from_settings(
        [Index("acme", "https://me:hunter%402@a.example.test/simple")], environ={}
    ).all[0]
    assert secret.url == plain.url and secret.identity == plain.identity and secret == plain
    assert secret.credentials == Credentials("me", "hunter@2")
    assert "hunter" not in repr(secret) and "me" not in repr(secret.credentials)
    environ = {"PYPM_INDEX_MY_CORP_USERNAME": "u", "PYPM_INDEX_MY_CORP_PASSWORD": "p"}
    named = Indexes.from_settings(
        [Index("my.corp", "https://x:y@a.example.test/simple")], environ=environ
    ).all[0]
    assert named.credentials == Credentials("u", "p")


def test_certificates() -> None:
    assert Indexes.from_settings(environ={}).certificates == ""
    assert Indexes.from_settings(environ={"PIP_CERT": "p", "SSL_CERT_FILE": "s"}).certificates == "s"
    assert Indexes.from_settings(environ={"REQUESTS_CA_BUNDLE": "r"}).certificates == "r"
    assert Indexes.from_settings(environ={}, pip_config=lambda: PipConfig(cert="c")).certificates == "c"


def test_pip_configuration(tmp_path: Path) -> None:
    user = tmp_path / ".config" / "pip" / "pip.conf"
    user.parent.mkdir(parents=True)
    user.write_text(
        "[global]\nindex_url = https://user.example.test/\ncert = /c.pem\nextra-index-url = https://evil\n"
    )
    environ = {"HOME": str(tmp_path), "XDG_CONFIG_DIRS": str(tmp_path / "none")}
    assert pip_config.read(environ, "linux") == PipConfig("https://user.example.test/", "/c.pem")
    named = tmp_path / "named.conf"
    named.write_text(
        "[install]\nindex-url = https://install.example.test/\n[global]\nindex-url=https://g.example.test/\n"
    )
    environ["PIP_CONFIG_FILE"] = str(named)
    assert pip_config.read(environ, "linux").index_url == "https://install.example.test/"
    environ["PIP_INDEX_URL"] = "https://variable.example.test/"
    assert pip_config.read(environ, "linux").index_url == "https://variable.example.test/"
    environ = {"HOME": str(tmp_path), "PIP_CONFIG_FILE": os.devnull}
    assert pip_config.read(environ, "linux") == PipConfig()
    user.write_text("not a configuration\n")
    assert pip_config.read({"HOME": str(tmp_path)}, "linux").index_url == ""


def test_pip_configuration_of_other_systems(tmp_path: Path) -> None:
    windows = pip_config.files({"HOME": "h", "APPDATA": "app", "PROGRAMDATA": "prog"}, "win32")
    assert windows == (Path("prog/pip/pip.ini"), Path("h/pip/pip.ini"), Path("app/pip/pip.ini"))
    mac = pip_config.files({"HOME": str(tmp_path)}, "darwin")
    assert mac[-1] == tmp_path / ".config/pip/pip.conf"
    (tmp_path / "Library" / "Application Support" / "pip").mkdir(parents=True)
    assert pip_config.files({"HOME": str(tmp_path)}, "darwin")[-1].parent.parent.name == "Application Support"


def test_netrc(tmp_path: Path) -> None:
    file = tmp_path / ".netrc"
    file.write_text("machine A.example.test login u password p\ndefault login d password secret\n")
    file.chmod(0o600)
    environ = {"HOME": str(tmp_path)}
    assert read_netrc(environ) == ({"a.example.test": Credentials("u", "p")}, "")
    none = tmp_path / "none"
    assert read_netrc({**environ, "NETRC": str(none)}) == ({}, f"{none}, which NETRC names, is no file")
    file.write_text("machine a login u\nsecret")
    assert read_netrc(environ) == ({}, f"{file}, line 2, is no netrc file")
    file.write_bytes(b"\xff\xfe")
    assert read_netrc(environ) == ({}, f"{file} cannot be read (it is no text)")
    file.unlink()
    assert read_netrc(environ) == ({}, "")


def test_credentials_go_to_their_origin_only(tmp_path: Path) -> None:
    (tmp_path / ".netrc").write_text("machine files.example.test login n password n\n")
    (tmp_path / ".netrc").chmod(0o600)
    indexes = Indexes.from_settings([Index("acme", "https://me:pw@a.example.test/simple")], environ={})
    wallet = Wallet(indexes, {"HOME": str(tmp_path)})
    assert wallet.of("https://a.example.test/simple/foo/", "acme") == Credentials("me", "pw")
    assert wallet.of("https://a.example.test:443/files/x.whl", "acme") == Credentials("me", "pw")
    for other in ("https://b.example.test/x", "http://a.example.test/x", "https://a.example.test:444/x"):
        assert wallet.of(other, "acme") is None
    assert wallet.of("https://a.example.test/simple/foo/", "pypi") is None
    assert wallet.of("https://files.example.test/x.whl", "acme") == Credentials("n", "n")
    assert wallet.of("https://x:y@direct.example.test/x.whl", "") == Credentials("x", "y")
    assert wallet.variable("https://a.example.test/", "acme") == "PYPM_INDEX_ACME"
    assert wallet.variable("https://b.example.test/", "acme") == ""


def test_keyring_is_asked_once_and_for_a_password_if_the_user_is_known() -> None:
    asked: list[list[str]] = []

    def keyring(arguments: object) -> str | None:
        asked.append(list(arguments))  # type: ignore[call-overload]
        return "pw\n" if asked[-1][:1] == ["get"] else '{"username": "k", "password": "kp"}'

    indexes = Indexes.from_settings(
        [Index("acme", "https://me@a.example.test/simple"), Index("b", A)], environ={}
    )
    wallet = Wallet(indexes, {}, keyring)
    assert wallet.ask("https://a.example.test/x", "acme") == Credentials("me", "pw")
    assert wallet.ask("https://a.example.test/y", "acme") == Credentials("me", "pw")
    assert asked == [["get", "https://a.example.test/simple/", "me"]]
    assert wallet.ask("https://z.example.test/y", "") == Credentials("k", "kp")
    assert asked[-1] == ["--mode", "creds", "--output", "json", "get", "https://z.example.test"]
    nothing = Wallet(indexes, {"PATH": "/nowhere"})
    assert nothing.ask("https://a.example.test/x", "acme") is None


NOW = datetime(2026, 11, 23, 14, 30, 59, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ("2026-11-01T10:20:30Z", "2026-11-01T10:20:30Z"),
        ("2026-11-01T10:20:30.9+02:00", "2026-11-01T08:20:30Z"),
        ("2026-11-01T10:20:30", "2026-11-01T10:20:30Z"),
        ("2026-11-01", "2026-11-02T00:00:00Z"),
        ("7 days", "2026-11-16T14:00:00Z"),
        ("1 week, 12h", "2026-11-16T02:00:00Z"),
        ("P1DT2H", "2026-11-22T12:00:00Z"),
        ("0900-01-01", "0900-01-02T00:00:00Z"),
    ],
)
def test_moments(text: str, expected: str) -> None:
    assert moment(text, NOW) == expected


def test_a_cooldown_stands_still_for_an_hour() -> None:
    assert moment("7 days", NOW) == moment("7 days", NOW + timedelta(minutes=29))
    assert moment("7 days", NOW) < moment("7 days", NOW + timedelta(minutes=30))


@pytest.mark.parametrize(
    "text", ["soon", "7 parsecs", "2026-13-01", "P", "9999999 weeks", "9999-12-31", "-3 days"]
)
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(InvalidTime):
        moment(text, NOW)


def test_spans() -> None:
    assert span("90 min") == timedelta(minutes=90)
    assert span("2 Weeks") == timedelta(weeks=2)
    assert span("2026-01-01") is None and span("") is None


def test_the_more_special_cutoff_counts() -> None:
    foo, bar = normalize("foo"), normalize("bar")
    cutoffs = Cutoffs("2026", {"own": ""}, {foo: "2025", bar: ""})
    assert cutoffs.of(foo, "own") == "2025"
    assert cutoffs.of(bar, "pypi") == ""
    assert cutoffs.of(normalize("x"), "own") == ""
    assert cutoffs.of(normalize("x"), "pypi") == "2026"
    assert not Cutoffs(indexes={"own": ""}) and cutoffs
    assert earliest("", "2026", "2025") == "2025" and earliest("", "") == ""
