"""Plugins added, listed, updated, removed; what is refused leaves nothing."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from plugins.conftest import User

from kit.index_server import IndexServer
from kit.plugins import COMPILER, MAIN, PLUGINS, SUFFIX, exits

pytestmark = pytest.mark.slow

linux_only = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="the library is ELF on Linux only"
)


@pytest.fixture
def server() -> Iterator[IndexServer]:
    with IndexServer(etags=False) as running:
        yield running


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def served(server: IndexServer, path: Path, at: str = "/p/x.so") -> str:
    server.pages[at] = ("application/octet-stream", path.read_bytes())
    return server.origin + at


def nothing(user: User) -> bool:
    return not user.home.exists() or not [path for path in user.home.rglob("*") if path.is_file()]


def test_from_a_path_to_an_exit_code(user: User) -> None:
    library = user.library("hello", (PLUGINS / "hello" / "hello.c").read_text(encoding="utf-8"))
    said = user.run("plugin", "add", "hello", str(library), check=True).stderr.decode()
    assert sha256(library) in said
    library.unlink()
    assert user.run("hello", check=True).stdout == b"hello\n"
    assert user.run("plugin", "run", "hello", "a", "b c", check=True).stdout == b"hello, a\nhello, b c\n"
    (listed,) = json.loads(user.run("plugin", "list", "--json", check=True).stdout)
    assert (listed["name"], listed["kind"], listed["source"], listed["note"]) == (
        "hello",
        "added",
        str(library),
        None,
    )
    info = json.loads(user.run("plugin", "info", "hello", "--json", check=True).stdout)
    assert info["description"] == {"name": "hello", "version": "1.0", "summary": "greets"}
    assert info["symbols"] == ["pypm_plugin_abi", "pypm_plugin_describe", "pypm_plugin_main"]
    assert b"greets" in user.run("help", "hello", check=True).stdout
    user.run("plugin", "remove", "hello", check=True)
    assert nothing(user)
    user.refused("help", "hello", code="usage", exit=2)
    user.refused("plugin", "run", "hello", code="plugin-not-found", exit=127)
    user.refused("hello", code="usage", exit=2)


def test_pypm_home_is_where_they_are(user: User) -> None:
    user.environ["PYPM_HOME"] = str(user.folder / "elsewhere")
    user.run("plugin", "add", "one", str(user.library("one", exits(3))), check=True)
    assert user.run("one").returncode == 3
    assert (user.folder / "elsewhere" / "plugins" / f"one{SUFFIX}").is_file() and not user.home.exists()


def test_another_one_takes_the_place(user: User) -> None:
    user.has("one", exits(3))
    first = sha256(user.plugins / f"one{SUFFIX}")
    user.has("one", exits(4))
    assert user.run("one").returncode == 4 and sha256(user.plugins / f"one{SUFFIX}") != first
    assert sorted(path.name for path in user.plugins.iterdir()) == ["one.plugin", f"one{SUFFIX}"]


@pytest.mark.parametrize("name", ["..", "../../x", "a/b", "/abs", "a\\b", "", ".x", "a b", "x\n"])
def test_a_name_cannot_lead_out_of_the_folder(user: User, name: str) -> None:
    library = str(user.library("one", exits(0)))
    user.refused("plugin", "add", name, library, code="plugin-name", exit=2)
    for verb in ("remove", "info", "update"):
        user.refused("plugin", verb, name, code="plugin-name", exit=2)
    user.refused("plugin", "run", name, code="plugin-name", exit=2)
    assert nothing(user)


def other_machine(whole: bytes) -> bytes:
    number = 183 if whole[18:20] != struct.pack("<H", 183) else 62
    return whole[:18] + struct.pack("<H", number) + whole[20:]


@linux_only
@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda whole: b"", "it is empty"),
        (lambda whole: whole[: len(whole) // 2], "cut short"),
        (lambda whole: whole[:40], "cut short"),
        (lambda whole: whole[:-1], "cut short"),
        (lambda whole: whole[:-1640], "cut short"),
        (other_machine, "it is built for"),
        (lambda whole: b"\xcf\xfa\xed\xfe" + b"\0" * 200, "another system: Mach-O"),
        (lambda whole: b"#!/bin/sh\necho no\n", "a script"),
        (lambda whole: b"<!doctype html><p>Please log in", "a web page"),
    ],
)
def test_a_file_that_is_no_plugin_leaves_nothing(user: User, damage, said: str) -> None:  # type: ignore[no-untyped-def]
    whole = user.library("one", exits(0)).read_bytes()
    bad = user.folder / "bad.so"
    bad.write_bytes(damage(whole))
    assert said in user.refused("plugin", "add", "one", str(bad), code="not-a-plugin", exit=1)
    assert nothing(user)
    # Nor does it touch what is there.
    user.has("one", exits(6))
    user.refused("plugin", "add", "one", str(bad), code="not-a-plugin", exit=1)
    assert user.run("one").returncode == 6


def test_a_library_without_the_function_and_a_program_with_it(user: User) -> None:
    library = user.library("other", "int other(void) { return 0; }")
    said = user.refused("plugin", "add", "one", str(library), code="not-a-plugin", exit=1)
    assert "exports no function pypm_plugin_main" in said
    assert COMPILER is not None
    program = user.folder / "program"
    source = f"{exits(0)}\nint main(void) {{ return 0; }}\n"
    subprocess.run(
        [COMPILER, "-rdynamic", "-x", "c", "-", "-o", str(program)], input=source.encode(), check=True
    )
    assert "it is a program" in user.refused(
        "plugin", "add", "one", str(program), code="not-a-plugin", exit=1
    )
    assert nothing(user)


@pytest.mark.parametrize("kind", ["missing", "folder", "dangling", "pipe"])
def test_a_source_that_is_no_file(user: User, kind: str) -> None:
    source = user.folder / "source"
    match kind:
        case "folder":
            source.mkdir()
        case "dangling":
            source.symlink_to(user.folder / "nowhere")
        case "pipe":
            os.mkfifo(source)
    user.refused("plugin", "add", "one", str(source), code="plugin-not-fetched", exit=1)
    assert nothing(user)


def test_a_source_may_be_a_link_and_what_it_leads_to_is_copied(user: User) -> None:
    library = user.library("one", exits(5))
    link = user.folder / "libone.so"
    link.symlink_to(library)
    user.run("plugin", "add", "one", str(link), check=True)
    assert not (user.plugins / f"one{SUFFIX}").is_symlink()
    library.unlink()
    assert user.run("one").returncode == 5


def test_a_digest_that_is_asked_for(user: User) -> None:
    library = user.library("one", exits(0))
    user.refused("plugin", "add", "--sha256", "0" * 64, "one", str(library), code="plugin-wrong-hash", exit=1)
    user.refused("plugin", "add", "one", str(library), "--sha256", "12", code="usage", exit=2)
    assert nothing(user)
    user.run("plugin", "add", "one", str(library), "--sha256", sha256(library).upper(), check=True)


# --- addresses -----------------------------------------------------------------------------------


def test_from_an_address(user: User, server: IndexServer) -> None:
    library = user.library("one", exits(7))
    url = served(server, library)
    user.refused("plugin", "add", "one", url, code="plugin-http", exit=2)
    assert server.count() == 0 and nothing(user)
    user.run("plugin", "add", "--allow-http", "one", url, "--sha256", sha256(library), check=True)
    assert user.run("one").returncode == 7
    for source in ("ftp://example.test/x.so", "https://"):
        user.refused("plugin", "add", "two", source, code="plugin-not-fetched", exit=1)
    user.refused("--offline", "plugin", "add", "--allow-http", "two", url, code="plugin-not-fetched", exit=1)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 418])
def test_an_answer_that_is_no_library(user: User, server: IndexServer, status: int) -> None:
    url = served(server, user.library("one", exits(0)))
    server.fail("/p/", status=status)
    said = user.refused("plugin", "add", "--allow-http", "one", url, code="plugin-not-fetched", exit=1)
    assert f"HTTP status {status}" in said and nothing(user)


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["status", "truncated", "drop"])
def test_a_server_that_fails(user: User, server: IndexServer, fault: str) -> None:
    url = served(server, user.library("one", exits(0)))
    server.fail("/p/", fault, status=503)
    said = user.refused("plugin", "add", "--allow-http", "one", url, code="plugin-not-fetched", exit=1)
    assert (fault == "truncated") == ("the answer ends after" in said) and nothing(user)


@pytest.mark.parametrize(
    ("location", "said"), [("{path}", "to itself"), ("file:///p/x.so", "to a file: address")]
)
def test_a_redirect_that_leads_nowhere(user: User, server: IndexServer, location: str, said: str) -> None:
    url = served(server, user.library("one", exits(0)))
    server.fail("/p/", "redirect", location=location)
    message = user.refused("plugin", "add", "--allow-http", "one", url, code="plugin-not-fetched", exit=1)
    assert f"{url}: the server redirects badly: {said}\n" in message and nothing(user)


@pytest.mark.parametrize(
    ("place", "folder", "said"),
    [
        ("taken", "taken", "something else is there"),
        ("taken/below", "taken/below", "not a directory"),
        ("half", "half/plugins", "something else is there"),
    ],
)
def test_a_folder_of_plugins_that_cannot_be_made(user: User, place: str, folder: str, said: str) -> None:
    (user.folder / "taken").write_bytes(b"")
    (user.folder / "half").mkdir(mode=0o700)
    (user.folder / "half/plugins").write_bytes(b"")
    user.environ["PYPM_HOME"] = str(user.folder / place)
    library = str(user.library("one", exits(0)))
    message = user.refused("plugin", "add", "one", library, code="plugin-folder-not-made", exit=1)
    assert f"the folder for plugins {user.folder / folder} cannot be made: {said}\n" in message
    assert user.run("plugin", "list", check=True).stdout == b""


def test_a_web_page_in_place_of_the_library(user: User, server: IndexServer) -> None:
    server.pages["/p/x.so"] = ("text/html", b"<!doctype html><p>not found</p>")
    said = user.refused(
        "plugin", "add", "--allow-http", "one", server.origin + "/p/x.so", code="not-a-plugin", exit=1
    )
    assert "a web page" in said and nothing(user)


def test_update_takes_it_from_its_source_again(user: User, server: IndexServer) -> None:
    url = served(server, user.library("one", exits(1)))
    user.run("plugin", "add", "--allow-http", "one", url, check=True)
    local = user.library("two", exits(2))
    user.run("plugin", "add", "two", str(local), "--sha256", sha256(local), check=True)
    assert b"up to date" in user.run("plugin", "update", check=True).stderr
    served(server, user.library("one", exits(11)))
    said = user.run("plugin", "update", "one", check=True).stderr
    assert b"Updated one" in said and user.run("one").returncode == 11
    user.library("two", exits(12))
    user.refused("plugin", "update", code="plugin-wrong-hash", exit=1)
    assert user.run("two").returncode == 2
    user.refused("plugin", "update", "three", code="unknown-plugin", exit=1)
    server.fail("/p/", status=404)
    user.refused("plugin", "update", "one", code="plugin-not-fetched", exit=1)
    assert user.run("one").returncode == 11


def test_secrets_in_an_address_are_neither_kept_nor_shown(user: User, server: IndexServer) -> None:
    library = user.library("one", exits(0))
    server.auth = ("ada", "geheim")
    url = served(server, library).replace("://", "://ada:geheim@")
    said = user.run("plugin", "add", "--allow-http", "one", url, check=True).stderr
    shown = (
        user.run("plugin", "list", check=True).stdout + user.run("plugin", "info", "one", check=True).stdout
    )
    kept = b"".join(path.read_bytes() for path in user.plugins.glob("*.plugin"))
    assert b"geheim" not in said + shown + kept


# --- what was changed after it was added ---------------------------------------------------------


def test_a_library_that_was_changed_is_not_run(user: User) -> None:
    library = user.has("one", exits(0))
    for change in (lambda: library.write_bytes(library.read_bytes() + b"x"), lambda: shutil.copy(
        user.library("other", exits(9)), library
    )):  # fmt: skip
        change()
        user.refused("one", code="plugin-changed", exit=126)
        user.refused("plugin", "run", "one", code="plugin-changed", exit=126)
        user.refused("plugin", "info", "one", code="plugin-changed", exit=126)
    assert b"changed after it was added" in user.run("plugin", "list", check=True).stdout
    looked_at = user.run("doctor", "--only", "plugins")
    assert (
        looked_at.returncode == 1 and b"plugin one is not run: changed after it was added" in looked_at.stdout
    )
    assert b"Put one back" in user.run("plugin", "update", "one", check=True).stderr
    assert user.run("doctor", "--only", "plugins").returncode == 0
    assert user.run("one").returncode == 0


def test_a_link_in_the_place_of_a_library_is_not_followed(user: User) -> None:
    library = user.has("one", exits(0))
    moved = user.folder / "moved.so"
    library.rename(moved)
    library.symlink_to(moved)
    assert "symbolic link" in user.refused("one", code="plugin-unsafe", exit=126)
    assert b"symbolic link" in user.run("doctor", "--only", "plugins").stdout
    library.unlink()
    library.mkdir()
    assert "no plain file" in user.refused("one", code="plugin-unsafe", exit=126)
    library.rmdir()
    os.mkfifo(library)
    assert "no plain file" in user.refused("one", code="plugin-unsafe", exit=126)
    library.unlink()
    user.refused("one", code="plugin-record", exit=126)
    user.run("plugin", "remove", "one", check=True)


@pytest.mark.parametrize("place", [".", "plugins", f"plugins/one{SUFFIX}", "plugins/one.plugin"])
def test_what_everybody_may_write_is_not_run(user: User, place: str) -> None:
    user.has("one", exits(0))
    opened = user.home / place
    opened.chmod(opened.stat().st_mode | 0o002)
    said = user.refused("one", code="plugin-unsafe", exit=126)
    assert b"everybody may write it" in user.run("plugin", "list", check=True).stdout
    if opened.is_dir():
        another = str(user.library("two", exits(0)))
        user.refused("plugin", "add", "two", another, code="plugin-folder", exit=1)
        assert not list(user.home.rglob("two*"))
    assert "everybody may write it" in said and f"chmod o-w {opened.resolve()}" in said.replace("/./", "/")
    opened.chmod(opened.stat().st_mode & ~0o002)
    assert user.run("one").returncode == 0


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can give files away")
def test_what_belongs_to_another_user_is_not_run(user: User) -> None:
    library = user.has("one", exits(0))
    os.chown(library, 12345, 12345)
    assert "belongs to another user (uid 12345)" in user.refused("one", code="plugin-unsafe", exit=126)


def test_a_record_that_was_changed_is_not_believed(user: User) -> None:
    user.has("one", exits(0))
    file = user.plugins / "one.plugin"
    file.write_bytes(file.read_bytes() + b"x")
    user.refused("one", code="plugin-record", exit=126)
    assert b"the record is damaged" in user.run("plugin", "list", check=True).stdout


# --- looking -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("volatile int *p = 0; return (const char *)(long)*p;", "it was ended by signal 11"),
        ('puts("noise"); return "{\\"name\\": \\"x\\"}";', None),
        ('return "[1]";', "its description is no JSON object"),
        ('return "no json";', "something else than JSON"),
        ("return 0;", "something else than JSON"),
    ],
)
def test_a_plugin_that_describes_itself_badly(user: User, body: str, said: str | None) -> None:
    user.has("one", f"#include <stdio.h>\nconst char *pypm_plugin_describe(void) {{ {body} }}\n{exits(0)}")
    info = json.loads(user.run("plugin", "info", "one", "--json", check=True).stdout)
    if said is None:
        assert info["description"] == {"name": "x"}
    else:
        assert said in info["description"]["error"]


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (f"int pypm_plugin_abi(void) {{ return 2; }}\n{exits(0)}", "wants ABI 2; this pypm has 1"),
        (f"extern int nowhere(void);\n{MAIN} {{ return nowhere(); }}", "cannot be loaded: "),
        (
            f"__attribute__((constructor)) static void f(void) {{ __builtin_trap(); }}\n{exits(0)}",
            "when it was loaded it was ended by signal ",
        ),
        (
            "#include <unistd.h>\n"
            f"__attribute__((constructor)) static void f(void) {{ _exit(0); }}\n{exits(0)}",
            "it ended when it was loaded",
        ),
    ],
)
@pytest.mark.parametrize("describes", [False, True])
def test_what_speaks_against_running_one_is_told(user: User, source: str, said: str, describes: bool) -> None:
    more = 'const char *pypm_plugin_describe(void) { return "{}"; }\n' if describes else ""
    user.has("bad", more + source)
    user.has("good", more + exits(0))
    bad, good = json.loads(user.run("plugin", "list", "--json", check=True).stdout)
    assert bad["note"].startswith(said) and good["note"] is None
    assert f"({bad['note']})".encode() in user.run("plugin", "list", check=True).stdout
    info = json.loads(user.run("plugin", "info", "bad", "--json", check=True).stdout)
    assert info["note"] == bad["note"] and info["description"] is None
    assert json.loads(user.run("plugin", "info", "good", "--json", check=True).stdout)["note"] is None


@linux_only
def test_one_that_was_added_when_less_was_looked_at(user: User) -> None:
    library = user.has("cut", exits(0))
    library.write_bytes(library.read_bytes()[:-100])
    record = user.plugins / "cut.plugin"
    lines = [
        f"sha256 {sha256(library)}" if line.startswith("sha256 ") else line
        for line in record.read_text().split("\n")
    ]
    record.write_text("\n".join(lines))
    (listed,) = json.loads(user.run("plugin", "list", "--json", check=True).stdout)
    assert "it is cut short" in listed["note"]
    info = json.loads(user.run("plugin", "info", "cut", "--json", check=True).stdout)
    assert (info["note"], info["symbols"]) == (listed["note"], [])


def test_a_list_of_nothing_and_names_that_are_not_there(user: User) -> None:
    assert user.run("plugin", "list", check=True).stdout == b""
    assert json.loads(user.run("plugin", "list", "--json", check=True).stdout) == []
    user.refused("plugin", "remove", "one", code="unknown-plugin", exit=1)
    user.refused("plugin", "info", "one", code="unknown-plugin", exit=1)
    user.has("one", exits(0))
    assert "there are: one" in user.refused("plugin", "remove", "one", "two", code="unknown-plugin", exit=1)
    assert user.run("one").returncode == 0
    user.refused("plugin", "add", "one", code="usage", exit=2)
    user.refused("plugin", "adds", code="usage", exit=2)
    assert user.run("plugin").returncode == 2
    assert not user.home.joinpath("pinned").exists()


def test_errors_as_data(user: User) -> None:
    done = user.run("plugin", "add", "--json", "one", "nowhere.so")
    assert json.loads(done.stderr)["error"]["code"] == "plugin-not-fetched"


def test_a_command_of_pypm_is_not_covered_up(user: User) -> None:
    library = str(user.library("version", exits(9)))
    said = user.run("plugin", "add", "version", library, check=True).stderr.decode()
    assert "`pypm version` stays pypm's own command; `pypm plugin run version` runs the plugin\n" in said
    assert b"stays" in user.run("plugin", "add", "install", library, "--json", check=True).stderr
    assert user.run("plugin", "add", "lock", library, "-q", check=True).stderr == b""
    assert b"stays" not in user.run("plugin", "add", "versions", library, check=True).stderr
    assert user.run("version", check=True).stdout.startswith(b"pypm ")
    assert user.run("plugin", "run", "version").returncode == 9


@pytest.mark.slow
def test_adding_and_running_at_once(user: User) -> None:
    """While four add different libraries under one name, every run runs one of them whole."""
    libraries = [user.library(f"n{n}", exits(n)) for n in range(1, 5)]
    user.run("plugin", "add", "one", str(libraries[0]), check=True)
    adders = [
        subprocess.Popen(
            [sys.executable, "-c",
             "import sys; from pypm._entry import main\n"
             "for _ in range(15): main(['plugin', 'add', '-q', 'one', sys.argv[1]])",
             str(library)],
            env=user.environ, cwd=user.folder, stderr=subprocess.PIPE,
        )
        for library in libraries
    ]  # fmt: skip
    codes = set()
    while any(adder.poll() is None for adder in adders):
        codes.add(user.run("one").returncode)
    for adder in adders:
        _, said = adder.communicate()
        assert (adder.returncode, said) == (0, b"")
    assert codes <= {1, 2, 3, 4}, codes
    assert sorted(path.name for path in user.plugins.iterdir()) == ["one.plugin", f"one{SUFFIX}"]
