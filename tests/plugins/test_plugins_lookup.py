"""Which plugin a name means: pinned by the workspace, added, an entry point, a program on PATH."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from plugins.conftest import User

from kit.index_server import IndexServer
from kit.plugins import exits

pytestmark = pytest.mark.slow


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_mistyped_name_of_a_plugin_is_guessed(user: User, ws: Workspace) -> None:
    """Added, pinned, an entry point, a program: the nearest of all, pypm's own first where equally near."""
    user.has("greetings", exits(3))
    library = user.library("deployer", exits(4))
    ws.pins(deployer=(library.as_uri(), sha256(library)))
    environment(ws.folder, "[pypm.plugins]\nreporter = tool:here.main\n")
    program(user, "polisher", 0)
    program(user, "lokc", 0)
    first = user.run("greeting", cwd=ws.folder)  # before it is known what the workspace pins
    assert (first.returncode, b"did you mean `greetings`?" in first.stderr) == (127, True)
    for wrong, right in (
        ("greeting", "greetings"), ("deploier", "deployer"), ("reportr", "reporter"),
        ("polish3r", "polisher"), ("locc", "lock"), ("sycn", "sync"),
    ):  # fmt: skip
        done = user.run(wrong, cwd=ws.folder)
        assert (done.returncode, f"did you mean `pypm {right}`?" in done.stderr.decode()) == (2, True), wrong
    assert b"`pypm help` lists the commands" in user.run("somethingelse", cwd=ws.folder).stderr


class Workspace:
    """A workspace with one member, and pins."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "a").mkdir(parents=True)
        (folder / "a" / "pyproject.toml").write_text(
            "[project]\nname = 'a'\nversion = '1'\n", encoding="utf-8"
        )
        self.pins()

    def pins(self, **pins: tuple[str, str]) -> None:
        lines = ["[workspace]", 'members = ["a"]', "[plugins]"]
        lines += [
            f'{name} = {{ url = "{url}", sha256 = "{digest}" }}' for name, (url, digest) in pins.items()
        ]
        self.write("\n".join(lines))

    def write(self, text: str) -> None:
        (self.folder / "pypm-workspace.toml").write_text(text + "\n", encoding="utf-8")


@pytest.fixture
def ws(user: User) -> Workspace:
    return Workspace(user.folder / "ws")


def program(user: User, name: str, code: int) -> None:
    folder = user.folder / "programs"
    folder.mkdir(exist_ok=True)
    path = folder / f"pypm-{name}"
    path.write_text(f'#!/bin/sh\necho "{name} $#: $*"\nexit {code}\n', encoding="utf-8")
    path.chmod(0o755)
    if str(folder) not in user.environ["PATH"]:
        user.environ["PATH"] = f"{folder}{os.pathsep}{user.environ['PATH']}"


def environment(folder: Path, entry_points: str) -> None:
    """A ``.venv`` whose interpreter is the tests' and that has one distribution."""
    (folder / ".venv" / "bin").mkdir(parents=True)
    (folder / ".venv" / "bin" / "python").symlink_to(sys.executable)
    (folder / ".venv" / "pyvenv.cfg").write_text(
        f"home = {Path(sys.executable).resolve().parent}\n", encoding="utf-8"
    )
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    site = folder / ".venv" / "lib" / version / "site-packages"
    (site / "tool-1.dist-info").mkdir(parents=True)
    (site / "tool-1.dist-info" / "METADATA").write_text("Name: tool\nVersion: 1\n", encoding="utf-8")
    (site / "tool-1.dist-info" / "entry_points.txt").write_text(entry_points, encoding="utf-8")
    (site / "tool.py").write_text(
        "import sys\n"
        "class here:\n"
        "    @staticmethod\n"
        "    def main():\n"
        "        print(sys.argv, '' in sys.path, sys.prefix)\n"
        "        return 21\n",
        encoding="utf-8",
    )


# --- pins ----------------------------------------------------------------------------------------


def test_a_pinned_plugin_is_fetched_by_sync_and_run(user: User, ws: Workspace) -> None:
    library = user.library("one", exits(5))
    ws.pins(one=(library.as_uri(), sha256(library)))
    user.refused("one", code="plugin-pin-missing", exit=126, cwd=ws.folder)
    assert b"Fetched plugin one" in user.run("sync", cwd=ws.folder, check=True).stderr
    library.unlink()
    assert user.run("one", cwd=ws.folder).returncode == 5
    assert user.run("--frozen", "one", cwd=ws.folder / "a").returncode == 5
    (listed,) = json.loads(user.run("plugin", "list", "--json", cwd=ws.folder, check=True).stdout)
    assert (listed["kind"], listed["note"]) == ("pinned", None)
    assert user.run("plugin", "info", "one", cwd=ws.folder, check=True).stdout.startswith(b"name")
    # It is this workspace's alone.
    user.refused("one", code="usage", exit=2)


def test_a_pin_is_stronger_than_what_was_added(user: User, ws: Workspace) -> None:
    user.has("one", exits(1))
    pinned = user.library("pinned", exits(2))
    ws.pins(one=("../made/pinned.so", sha256(pinned)))
    user.refused("one", code="plugin-pin-missing", exit=126, cwd=ws.folder)
    user.run("sync", cwd=ws.folder, check=True)
    assert user.run("one", cwd=ws.folder).returncode == 2 and user.run("one").returncode == 1
    # Another pin counts at once, fetched or not.
    ws.pins(one=("../made/pinned.so", "0" * 64))
    user.refused("one", code="plugin-pin-missing", exit=126, cwd=ws.folder)
    ws.pins()
    assert user.run("one", cwd=ws.folder).returncode == 1


def test_frozen_runs_nothing_but_pins(user: User, ws: Workspace) -> None:
    user.has("added", exits(1))
    program(user, "program", 2)
    environment(ws.folder, "[pypm.plugins]\npoint = tool:here.main\n")
    codes = {"added": 1, "program": 2, "point": 21}
    for name, code in codes.items():
        assert user.run(name, cwd=ws.folder).returncode == code
        for words in (
            ["--frozen", name],
            ["plugin", "run", "--frozen", name],
            ["--frozen", "plugin", "run", name],
        ):
            user.refused(*words, code="plugin-not-pinned", exit=126, cwd=ws.folder)
    # A workspace that says nothing of plugins allows what there is.
    ws.write('[workspace]\nmembers = ["a"]\n# plugins: none')
    for name, code in codes.items():
        assert user.run("--frozen", name, cwd=ws.folder).returncode == code
    user.refused("--frozen", "nowhere", code="usage", exit=2, cwd=ws.folder)


def test_sync_fetches_again_what_is_gone_and_nothing_that_is_there(user: User, ws: Workspace) -> None:
    library = user.library("one", exits(5))
    with IndexServer(etags=False) as server:
        server.pages["/one.so"] = ("application/octet-stream", library.read_bytes())
        ws.pins(one=(server.origin + "/one.so", sha256(library)))
        for _ in range(3):
            user.run("sync", cwd=ws.folder, check=True)
        assert server.count("one.so") == 1
        for path in (user.home / "pinned").iterdir():
            path.unlink()
        said = json.loads(user.run("sync", "--json", cwd=ws.folder, check=True).stdout)
        assert said["plugins"] == ["one"] and server.count("one.so") == 2
        # Also when the environment is made anew by a recipe.
        for path in (user.home / "pinned").iterdir():
            path.unlink()
        shutil.rmtree(ws.folder / ".venv")
        user.run("ci", cwd=ws.folder, check=True)
        assert server.count("one.so") == 3 and user.run("one", cwd=ws.folder).returncode == 5


def test_a_pin_that_cannot_be_had_stops_a_sync_before_it_began(user: User, ws: Workspace) -> None:
    library = user.library("one", exits(5))
    for url, digest, code in (
        (library.as_uri(), "0" * 64, "plugin-wrong-hash"),
        ("nowhere.so", "0" * 64, "plugin-not-fetched"),
        ("a/pyproject.toml", sha256(ws.folder / "a" / "pyproject.toml"), "not-a-plugin"),
    ):
        ws.pins(one=(url, digest))
        user.refused("sync", code=code, exit=1, cwd=ws.folder)
        assert not (ws.folder / ".venv").exists() and not (ws.folder / "pypm.lock").exists()
        assert not list(user.home.rglob("*.so"))
    assert user.run("sync", "--dry-run", cwd=ws.folder).returncode == 0


@pytest.mark.parametrize(
    ("table", "part"),
    [
        ('one = { url = "x.so" }', "sha256"),
        ('one = { url = "x.so", sha256 = "12" }', "sha256"),
        ('one = "x.so"', "one"),
        ('one = { sha256 = "' + "0" * 64 + '", ulr = "x" }', "url"),
    ],
)
def test_a_pin_that_is_written_wrong_is_shown(user: User, ws: Workspace, table: str, part: str) -> None:
    ws.write(f'[workspace]\nmembers = ["a"]\n[plugins]\n{table}')
    for words in (["one"], ["plugin", "list"], ["sync"]):
        done = user.run(*words, cwd=ws.folder)
        said = done.stderr.decode()
        assert done.returncode == 2 and "pypm-workspace.toml:4" in said and part in said, said


def test_a_pinned_name_that_no_plugin_can_have(user: User, ws: Workspace) -> None:
    library = user.library("one", exits(5))
    ws.write(
        '[workspace]\nmembers = ["a"]\n[plugins]\n'
        f'"../x" = {{ url = "{library.as_uri()}", sha256 = "{sha256(library)}" }}'
    )
    user.refused("sync", code="plugin-name", exit=2, cwd=ws.folder)


def test_a_pinned_library_that_was_changed_is_not_run(user: User, ws: Workspace) -> None:
    library = user.library("one", exits(5))
    ws.pins(one=(library.as_uri(), sha256(library)))
    user.run("sync", cwd=ws.folder, check=True)
    (kept,) = (user.home / "pinned").iterdir()
    kept.write_bytes(user.library("other", exits(6)).read_bytes())
    user.refused("one", code="plugin-changed", exit=126, cwd=ws.folder)


def test_pins_are_found_where_nothing_may_be_written(user: User, ws: Workspace) -> None:
    library = user.library("one", exits(5))
    ws.pins(one=(library.as_uri(), sha256(library)))
    user.run("sync", cwd=ws.folder, check=True)
    user.run("one", cwd=ws.folder)
    assert (ws.folder / ".pypm" / "plugin-pins").is_file()
    (ws.folder / ".pypm" / "plugin-pins").write_text("nonsense", encoding="utf-8")
    assert user.run("one", cwd=ws.folder).returncode == 5
    (ws.folder / ".pypm" / "plugin-pins").unlink()
    (ws.folder / ".pypm" / "plugin-pins").mkdir()
    assert user.run("one", cwd=ws.folder).returncode == 5


# --- entry points and programs -------------------------------------------------------------------


def test_an_entry_point_of_the_workspace_is_a_command(user: User, ws: Workspace) -> None:
    environment(
        ws.folder,
        "[console_scripts]\nother = tool:nothing\n[pypm.plugins]\npoint = tool:here.main [extra]\n"
        "bad = no colon\n../x = tool:here.main\n",
    )
    done = user.run("point", "a b", "--json", cwd=ws.folder)
    assert done.returncode == 21
    assert done.stdout.decode().strip() == f"['point', 'a b', '--json'] False {ws.folder / '.venv'}"
    assert user.run("plugin", "run", "point", cwd=ws.folder).returncode == 21
    listed = json.loads(user.run("plugin", "list", "--json", cwd=ws.folder, check=True).stdout)
    assert [(each["name"], each["kind"]) for each in listed] == [("point", "entry-point")]
    for name in ("other", "bad"):
        user.refused(name, code="usage", exit=2, cwd=ws.folder)
    user.refused("point", code="usage", exit=2)


def test_a_program_on_path_is_a_command(user: User) -> None:
    program(user, "greet", 7)
    done = user.run("greet", "a b", "", "--help")
    assert (done.returncode, done.stdout) == (7, b"greet 3: a b  --help\n")
    (listed,) = json.loads(user.run("plugin", "list", "--json", check=True).stdout)
    assert (listed["name"], listed["kind"]) == ("greet", "program")
    for words in (["help", "greet"], ["plugin", "info", "greet"]):
        assert b"program" in user.run(*words, check=True).stdout
    (user.folder / "programs" / "pypm-odd").write_bytes(b"\x00 no program")
    (user.folder / "programs" / "pypm-odd").chmod(0o755)
    assert "exec format error" in user.refused("odd", code="plugin-unloadable", exit=126)
    # Not what the current folder has, whatever PATH says.
    user.environ["PATH"] = f":.:{user.environ['PATH'].partition(os.pathsep)[2]}"
    (user.folder / "pypm-greet").write_text("#!/bin/sh\n", encoding="utf-8")
    (user.folder / "pypm-greet").chmod(0o755)
    user.refused("greet", code="usage", exit=2)


def test_a_library_is_stronger_than_an_entry_point_and_that_than_a_program(user: User, ws: Workspace) -> None:
    program(user, "one", 7)
    assert user.run("one", cwd=ws.folder).returncode == 7
    environment(ws.folder, "[pypm.plugins]\none = tool:here.main\n")
    assert user.run("one", cwd=ws.folder).returncode == 21
    user.has("one", exits(5))
    assert user.run("one", cwd=ws.folder).returncode == 5


def test_a_workspace_may_be_named(user: User, ws: Workspace) -> None:
    environment(ws.folder, "[pypm.plugins]\npoint = tool:here.main\n")
    user.environ["PYP_WORKSPACE_ROOT"] = "ws"
    assert user.run("point").returncode == 21


@pytest.fixture
def launcher(user: User) -> Iterator[Path]:
    user.run("self", "link", str(user.folder / "bin"), check=True)
    yield user.folder / "bin" / "pypm"


def test_by_the_launcher(user: User, launcher: Path) -> None:
    user.has("one", exits(5))
    program(user, "two", 6)

    def code(*words: str) -> tuple[int, bytes]:
        done = subprocess.run(
            [launcher, *words], env=user.environ, cwd=user.folder, capture_output=True, check=False
        )
        return done.returncode, done.stderr

    assert code("one") == (5, b"") and code("two") == (6, b"")
    assert code("plugin", "run", "one") == (5, b"")
    assert code("nowhere")[0] == 2
    (user.plugins / "one.so").write_bytes(b"")
    assert code("one")[0] == 126
