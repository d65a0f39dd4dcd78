"""The pages about plugins: what they show compiles, and does what they say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from plugins.conftest import User

from kit.plugins import INCLUDE, PLUGINS

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "how-to" / "write-a-plugin.md"


def sources() -> dict[str, str]:
    """The C files of the page by name; a block whose name is followed by ``+`` continues its file."""
    found: dict[str, str] = {}
    for name, more, body in re.findall(
        r"^```c (\S+)( \+)?\n(.*?)^```$", PAGE.read_text("utf-8"), re.M | re.S
    ):
        assert bool(more) == (name in found), name
        found[name] = found.get(name, "") + body
    return found


@pytest.fixture
def built(user: User) -> User:
    for name, text in sources().items():
        user.has(name.removesuffix(".c"), text)
    return user


def workspace(folder: Path, *, circle: bool = False) -> Path:
    """Members that need each other, in an order that is not the one of their names."""
    needs = {"app": ["web", "core"], "core": ["zlib"], "web": ["core"], "zlib": ["app"] if circle else []}
    for name, others in needs.items():
        (folder / name).mkdir(parents=True)
        (folder / name / "pyproject.toml").write_text(
            f"[project]\nname = '{name}'\nversion = '1'\ndependencies = {others}\n", encoding="utf-8"
        )
    (folder / "pypm-workspace.toml").write_text(
        "[workspace]\nname = 'acme'\nmembers = ['*']\n", encoding="utf-8"
    )
    return folder


def test_hello_greets_and_says_what_it_is(built: User) -> None:
    assert built.run("hello", "world", check=True).stdout == b"hello, world\n"
    assert b"greets" in built.run("plugin", "info", "hello", check=True).stdout


def test_a_plugin_links_the_solver_of_another(built: User) -> None:
    ws = workspace(built.folder / "ws")
    done = built.run("build-order", cwd=ws, check=True)
    assert (done.stdout, done.stderr) == (b"zlib\ncore\nweb\napp\n", b"")
    nowhere = built.run("build-order")
    assert nowhere.returncode == 1 and b"error[build-order]: there is no workspace here" in nowhere.stderr
    circle = built.run("build-order", cwd=workspace(built.folder / "circle", circle=True))
    assert circle.returncode == 1 and b"in a circle" in circle.stderr
    assert built.run("order").returncode == 2
    built.run("plugin", "remove", "order", check=True)
    alone = built.run("build-order", cwd=ws)
    assert alone.returncode == 1 and b"error[plugin-not-found]: no plugin 'order'" in alone.stderr


def test_a_linked_library_that_was_changed_is_not_loaded(built: User) -> None:
    ws = workspace(built.folder / "ws")
    library = next(built.plugins.glob("order.*[!n]"))
    library.write_bytes(library.read_bytes() + b"x")
    done = built.run("build-order", cwd=ws)
    assert done.returncode == 1 and b"error[plugin-changed]" in done.stderr


def test_what_pypm_says_of_a_lock(built: User) -> None:
    ws = workspace(built.folder / "ws")
    before = built.run("facts", cwd=ws)
    assert before.returncode == 1 and b'"lock-missing"' in before.stdout
    assert b"warning[facts]" in before.stderr
    built.run("lock", cwd=ws, check=True)
    assert b'"package": [' in built.run("facts", cwd=ws, check=True).stdout


def test_hello_of_the_page_is_hello_of_the_folder() -> None:
    """But for its comment, and what it does without arguments."""
    page = sources()["hello.c"]
    own = (PLUGINS / "hello" / "hello.c").read_text(encoding="utf-8")
    for function in ("pypm_plugin_abi", "pypm_plugin_describe", "pypm_plugin_main"):
        assert function in page and function in own


def test_the_header_is_where_it_is_said_to_be(user: User) -> None:
    assert Path(user.run("plugin", "include", check=True).stdout.decode().strip()) == INCLUDE
    assert (INCLUDE / "pypm_plugin.h").is_file()
    assert (ROOT / "packages" / "pypm-plugins" / "include").resolve() == INCLUDE
