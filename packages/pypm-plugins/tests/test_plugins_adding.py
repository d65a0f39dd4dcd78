"""Names, records, and a library that becomes a plugin."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.plugins import COMPILER, compile_library, exits
from pypm_plugins import adding, shelf
from pypm_plugins.adding import Origin, judge, names, put, recorded, remove, staged
from pypm_plugins.errors import (
    BadPluginName,
    NotAPlugin,
    OpenPluginFolder,
    PluginHash,
    UnknownPlugin,
    from_refusal,
)
from pypm_plugins.images.reading import Machine
from pypm_plugins.shelf import Refusal

posix_only = pytest.mark.skipif(os.name != "posix", reason="about bits of permission")
needs_compiler = pytest.mark.skipif(COMPILER is None, reason="needs a C compiler")
ORIGIN = Origin("/somewhere/a.so")


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return compile_library(exits(0), tmp_path_factory.mktemp("made") / "a.so").read_bytes()


def add(home: Path, name: str, content: bytes, origin: Origin = ORIGIN) -> adding.Added:
    with staged(name, "a.so", lambda: [content]) as made:
        return put(home, name, made, origin)


def known(home: Path, name: str) -> str:
    """The digest of the library, which is one that the record knows."""
    digests, _ = shelf.read_record(shelf.record_in(str(home), name), name)
    found = hashlib.sha256(Path(shelf.library_in(str(home), name)).read_bytes()).hexdigest()
    assert found in digests
    return found


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "../a", "a/b", "a\\b", "/a", "a..b", ".a", "-a", "a.", "a b", "a\0", "ä", "a:b", "con",
     "NUL.x", "com1", "a" * 65, "a\n"],
)  # fmt: skip
def test_names_that_no_plugin_can_have(name: str) -> None:
    assert shelf.what_is_wrong_with(name)


@given(st.text(max_size=70) | st.from_regex(r"[a-zA-Z0-9._\\/-]{1,12}", fullmatch=True))
def test_a_name_that_is_allowed_stays_in_its_folder(name: str) -> None:
    if shelf.what_is_wrong_with(name):
        return
    for path in (shelf.library_in("/h", name), shelf.record_in("/h", name)):
        assert os.path.dirname(os.path.normpath(path)) == os.path.normpath("/h/plugins")
    assert os.fsencode(name) == name.encode("ascii")


@pytest.mark.parametrize(
    ("environ", "home"),
    [
        ({"HOME": "/h"}, "/h/.pypm"),
        ({"HOME": "/h/"}, "/h/.pypm"),
        ({"HOME": "/h", "PYPM_HOME": "/other/"}, "/other"),
        ({"HOME": "/h", "PYPM_HOME": "~/x"}, "/h/x"),
        ({"HOME": "/h", "PYPM_HOME": "rel"}, os.getcwd() + "/rel"),
        ({"USERPROFILE": "C:\\u"}, "C:\\u/.pypm"),
        ({}, ""),
    ],
)
def test_where_plugins_are(environ: dict[str, str], home: str) -> None:
    assert shelf.home(lambda name: environ.get(name, "")) == home


def test_a_plugin_is_put_in_its_place_with_its_record(tmp_path: Path) -> None:
    home = tmp_path / "deep" / "home"
    origin = Origin("/a b/ä\n\udc80.so", True, True)
    added = add(home, "one", b"content", origin)
    assert (added.sha256, added.size, added.replaced) == (hashlib.sha256(b"content").hexdigest(), 7, "")
    assert Path(added.path).read_bytes() == b"content"
    found = recorded(home, "one")
    assert (found.origin, found.sha256, found.size, found.added) == (origin, added.sha256, 7, added.added)
    assert names(home) == ("one",)
    again = add(home, "one", b"other")
    assert again.replaced == added.sha256 and known(home, "one") == again.sha256
    remove(home, "one")
    assert list((home / "plugins").iterdir()) == [] and names(home) == ()
    with pytest.raises(UnknownPlugin):
        remove(home, "one")


@posix_only
def test_nobody_but_the_user_may_write_what_is_put_there(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        added = add(tmp_path / "home", "one", b"content")
    finally:
        os.umask(before)
    for path in (tmp_path / "home", tmp_path / "home" / "plugins", Path(added.path)):
        assert path.stat().st_mode & 0o022 == 0, path


@posix_only
@pytest.mark.parametrize("place", ["", "plugins"])
def test_a_folder_that_everybody_may_write_is_refused(tmp_path: Path, place: str) -> None:
    (tmp_path / "plugins").mkdir()
    (tmp_path / place).chmod(0o777)
    with pytest.raises(OpenPluginFolder) as caught:
        add(tmp_path, "one", b"content")
    assert caught.value.path == str(tmp_path / place)
    assert list((tmp_path / "plugins").iterdir()) == []


@posix_only
def test_a_link_in_the_place_is_replaced_and_not_followed(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(b"mine")
    folder = tmp_path / "home" / "plugins"
    folder.mkdir(parents=True)
    for end in (shelf.SUFFIX, shelf.RECORD):
        (folder / f"one{end}").symlink_to(elsewhere)
    added = add(tmp_path / "home", "one", b"content")
    assert elsewhere.read_bytes() == b"mine"
    assert not Path(added.path).is_symlink() and known(tmp_path / "home", "one") == added.sha256


def test_what_killed_runs_left_is_swept(tmp_path: Path) -> None:
    folder = tmp_path / "plugins"
    folder.mkdir()
    old, young = folder / ".a.so.1.ab.new", folder / ".a.so.2.ab.new"
    for path in (old, young):
        path.write_bytes(b"half")
    os.utime(old, (1, 1))
    add(tmp_path, "one", b"content")
    assert not old.exists() and young.exists()


def test_a_run_that_is_killed_between_two_steps_leaves_a_plugin_that_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every rename and every removal is the last step of a run once."""
    first, second = (hashlib.sha256(each).hexdigest() for each in (b"first", b"second"))

    class Killed(BaseException):
        pass

    step = left = 0

    def counted(real: object) -> object:
        def one(*paths: object) -> None:
            nonlocal step
            step += 1
            if step > left:
                raise Killed
            real(*paths)  # type: ignore[operator]

        return one

    rename = adding.rename_over
    seen = set()
    for left in range(4):
        home = tmp_path / str(left)
        add(home, "one", b"first")
        step = 0
        with monkeypatch.context() as patch:
            patch.setattr(adding, "rename_over", counted(rename))
            try:
                add(home, "one", b"second")
            except Killed:
                pass
            else:
                assert left == 3
        seen.add(known(home, "one"))
        assert add(home, "one", b"second").sha256 == second == known(home, "one")
        digests, _ = shelf.read_record(shelf.record_in(str(home), "one"), "one")
        assert digests == (second,)
    assert seen == {first, second}


def _add_many(arguments: tuple[str, int]) -> list[str]:
    home, number = arguments
    return [add(Path(home), "one", f"{number} {turn}".encode()).sha256 for turn in range(6)]


@pytest.mark.slow
def test_many_at_once_leave_one_whole_plugin(tmp_path: Path) -> None:
    with ProcessPoolExecutor(4) as pool:
        results = list(pool.map(_add_many, [(str(tmp_path / "home"), number) for number in range(4)]))
    assert known(tmp_path / "home", "one") in {digest for each in results for digest in each}
    assert {path.name for path in (tmp_path / "home").rglob("*")} == {
        "plugins",
        f"one{shelf.SUFFIX}",
        f"one{shelf.RECORD}",
    }


@pytest.mark.parametrize(
    "text",
    [
        "",
        "pypm-plugin 1\nend\n",
        "pypm-plugin 2\nsha256 {0}\nend\n",
        "pypm-plugin 1\nsha256 {0}\n",
        "pypm-plugin 1\nsha256 {0}\nend\nx",
        "pypm-plugin 1\nsha256 {0}\nsurprise x\nend\n",
        "pypm-plugin 1\nsha256 {0}0\nend\n",
        "pypm-plugin 1\nsha256 " + "A" * 64 + "\nend\n",
        "\0" * 200,
    ],
)
def test_a_record_that_is_not_as_it_was_written_is_refused(tmp_path: Path, text: str) -> None:
    add(tmp_path, "one", b"content")
    Path(shelf.record_in(str(tmp_path), "one")).write_text(text.replace("{0}", "0" * 64), encoding="utf-8")
    with pytest.raises(Refusal) as caught:
        recorded(tmp_path, "one")
    assert from_refusal(caught.value).code == "plugin-record"


@needs_compiler
@pytest.mark.parametrize(
    ("machine", "said"),
    [
        (Machine("Mach-O", "x86_64"), "another system"),
        (Machine("PE", "x86_64"), "another system"),
        (Machine("ELF", "sparc"), "is built for"),
    ],
)
def test_a_library_for_another_machine(tmp_path: Path, library: bytes, machine: Machine, said: str) -> None:
    if not sys.platform.startswith("linux"):
        pytest.skip("the library is ELF on Linux only")
    with staged("one", "a.so", lambda: [library]) as made, pytest.raises(NotAPlugin, match=said):
        judge("one", "a.so", made, machine=lambda: machine)


@needs_compiler
def test_a_library_for_this_machine_is_content_with_its_digest_only(library: bytes) -> None:
    digest = hashlib.sha256(library).hexdigest()
    with staged("one", "a.so", lambda: [library[:100], library[100:]]) as made:
        judge("one", "a.so", made)
        judge("one", "a.so", made, digest)
        with pytest.raises(PluginHash) as caught:
            judge("one", "a.so", made, "0" * 64)
        assert caught.value.got == digest
        kept = made.path
    assert not kept.exists()


def test_a_library_that_does_not_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shelf, "LARGEST", 1 << 20)

    def endless() -> Iterator[bytes]:
        while True:
            yield b"x" * 65536

    with pytest.raises(NotAPlugin, match="larger than 1 MiB"), staged("one", "a.so", endless):
        pass


def test_a_name_is_checked_before_anything_is_looked_for(tmp_path: Path) -> None:
    for name in ("../../etc", "a/b", ""):
        with pytest.raises(BadPluginName):
            remove(tmp_path, name)
        with pytest.raises(BadPluginName):
            recorded(tmp_path, name)
