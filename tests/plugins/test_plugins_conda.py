"""The plugin conda: packages of a channel that is made here, in an environment of pypm's."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from platform import python_version
from typing import Any

import pytest
from plugins.conftest import User

from kit.conda import PYTHON, CondaChannel
from kit.index_server import IndexServer
from kit.plugins import PLUGINS, compile_plugin
from kit.transcripts import pypm
from kit.wheels import make_project, make_wheel


def needs_rattler(test: Any) -> Any:
    """Tests that install, which takes seconds."""
    is_there = importlib.util.find_spec("rattler") is not None
    return pytest.mark.slow(pytest.mark.skipif(not is_there, reason="py-rattler is not installed")(test))


pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the plugin knows no environments of Windows")

HELLO = """
import sys
def main():
    import acme
    print("hello", sys.prefix, sys.argv[1:])
    return 3
"""


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compile_plugin("conda", tmp_path_factory.mktemp("made") / "conda.so")


@pytest.fixture
def user(user: User, library: Path) -> User:
    """A user with the plugin, and a workspace ``ws`` whose environment has the package acme."""
    ws = user.folder / "ws"
    make_wheel(ws / "wheels", "acme", "1.0", entry_points={"console_scripts": {"acme": "acme:main"}})
    make_wheel(ws / "wheels", "other", "1.0")
    (ws / "pypm-workspace.toml").write_text(
        '[workspace]\nname = "ws"\nmembers = ["packages/*"]\n[resolution]\nfind-links = ["wheels"]\n'
    )
    make_project(ws / "packages/a", "a", "1.0", requires=["acme"], backend="in-tree")
    user.environ |= {"PYPM_OFFLINE": "1", "PYPM_CONDA_PYTHON": sys.executable}
    user.run("plugin", "add", "conda", str(library), check=True)
    user.run("sync", cwd=ws, check=True)
    return user


@pytest.fixture
def channel(user: User) -> CondaChannel:
    """``hello`` with a command; ``lib``, which it needs, with its folder's name in a text, and a program."""
    made = CondaChannel(user.folder / "channel")
    made.add(
        "lib", "1.0", form=".tar.bz2",
        files={"lib/lib.txt": "at /built/for\n", "bin/lib": "#!/bin/sh\necho lib\n"},
        executable=["bin/lib"], prefixed=["lib/lib.txt"],
    )  # fmt: skip
    made.add(
        "hello", "1.0", python=True, depends=["lib", f"python {PYTHON}.*"],
        entry_points=["hello = hello:main"],
        files={"site-packages/hello/__init__.py": HELLO},
    )  # fmt: skip
    return made


def conda(user: User, *words: str, ok: bool = True) -> str:
    """What the plugin says, which is well unless told otherwise."""
    done = user.run("plugin", "run", "conda", *words, cwd=user.folder / "ws")
    said = done.stderr.decode()
    assert (done.returncode == 0) is ok, said
    assert "Traceback" not in said
    return said + done.stdout.decode()


def python(user: User, code: str) -> str:
    words = [str(user.folder / "ws/.venv/bin/python"), "-c", code]
    return subprocess.run(words, capture_output=True, text=True, check=True, cwd="/").stdout.strip()


def tree(folder: Path) -> dict[str, tuple[int, bytes]]:
    """All there is, and its times."""
    return {
        path.relative_to(folder).as_posix(): (
            path.lstat().st_mtime_ns,
            path.read_bytes() if path.is_file() else b"",
        )
        for path in sorted(folder.rglob("*"))
        if "__pycache__" not in path.parts
    }


@needs_rattler
def test_what_is_installed_works_and_pypm_does_not_mind(user: User, channel: CondaChannel) -> None:
    ws = user.folder / "ws"
    lock = (ws / "pypm.lock").read_bytes()
    said = conda(user, "install", "hello=1.0", "-c", channel.url)
    assert "2 installed, 0 removed, 2 there" in said and "+ lib 1.0 0" in said
    venv = ws / ".venv"
    assert python(user, "import hello; print(hello.__file__)").startswith(f"{venv}/conda/lib/python{PYTHON}/")
    done = subprocess.run([venv / "bin/hello", "x y"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (3, f"hello {venv} ['x y']\n"), done.stderr
    assert subprocess.run([venv / "bin/lib"], capture_output=True).stdout == b"lib\n"
    assert (venv / "conda/lib/lib.txt").read_text() == f"at {venv}/conda\n"
    assert python(user, "import importlib.metadata as m; print(m.version('hello'))") == "1.0"
    # No Python comes along, and the environment's is what it was.
    assert not list((venv / "conda/bin").glob("python*")) and (venv / "bin/python").resolve() == Path(
        os.path.realpath(sys.executable)
    )
    # pypm's own records are whole, and what it does leaves the folder alone.
    assert b"Nothing to do" in user.run("sync", cwd=ws, check=True).stderr
    user.run("exec", "hello", cwd=ws)
    manifest = ws / "packages/a/pyproject.toml"
    text = manifest.read_text()
    assert "acme" in text
    manifest.write_text(re.sub(r"(['\"])acme['\"]", r"\1acme\1, \1other\1", text))
    user.run("sync", cwd=ws, check=True)
    assert python(user, "import acme, hello, other; print('all')") == "all"
    assert lock != (ws / "pypm.lock").read_bytes()
    assert conda(user, "list") == "hello 1.0 py_0  (hello=1.0)\nlib 1.0 0\n"
    report = json.loads(conda(user, "install", "--json", "hello"))
    assert (report["installed"], report["removed"]) == ([], [])
    assert [one["name"] for one in report["packages"]] == ["hello", "lib"]
    assert report["packages"][0]["url"].startswith(channel.url)


@needs_rattler
def test_what_was_chosen_stays_and_what_nothing_needs_goes(user: User, channel: CondaChannel) -> None:
    venv = user.folder / "ws/.venv"
    before = tree(venv)
    conda(user, "install", "hello", "-c", channel.url)
    channel.add("lib", "2.0", files={"lib/lib.txt": "2"})
    channel.add("more", "1.0", python=True, depends=["lib"])
    dry = conda(user, "install", "more", "--dry-run")
    assert "Would change" in dry and "+ more 1.0 py_0" in dry and not list(venv.glob("conda/lib/*/*/more"))
    said = conda(user, "install", "more")
    assert "1 installed, 0 removed, 3 there" in said and "lib 2.0" not in said
    said = conda(user, "install", "lib>=2")
    assert "- lib 1.0 0" in said and "+ lib 2.0 0" in said
    assert not os.path.lexists(venv / "bin/lib")  # it has no command any more
    conda(user, "remove", "hello", "lib")
    assert not os.path.lexists(venv / "bin/hello")
    assert conda(user, "list") == "lib 2.0 0\nmore 1.0 py_0  (more)\n"
    conda(user, "remove", "more")
    after = tree(venv)
    assert {path: content for path, (_, content) in after.items()} == {
        path: content for path, (_, content) in before.items()
    }
    assert b"Nothing to do" in user.run("sync", cwd=user.folder / "ws", check=True).stderr


@needs_rattler
def test_a_package_for_this_platform_alone(user: User, channel: CondaChannel, asked_files: Any) -> None:
    venv = user.folder / "ws/.venv"
    channel.add(
        "native", "1.0", depends=[f"python {PYTHON}.*"], subdir=asked_files.platform(),
        executable=["bin/native"], prefixed=["bin/native"],
        files={
            f"lib/python{PYTHON}/site-packages/native.py": "name = 'native'\n",
            "bin/native": "#!/built/for/bin/python\nimport native as n, sys; print(n.name, sys.prefix)\n",
        },
    )  # fmt: skip
    conda(user, "install", "native", "-c", str(channel.folder))
    done = subprocess.run([venv / "bin/native"], capture_output=True, text=True)
    assert done.stdout == f"native {venv}\n", done.stderr


@needs_rattler
def test_a_run_that_was_killed_and_two_at_once(user: User, channel: CondaChannel) -> None:
    venv = user.folder / "ws/.venv"
    conda(user, "install", "hello", "-c", channel.url)
    before = set(tree(venv))
    (venv / "conda").rename(venv / ".conda-old")  # between two steps
    (venv / ".conda-new/half").mkdir(parents=True)
    assert "Nothing to do" in conda(user, "install", "hello")
    assert set(tree(venv)) == before
    names = ("one", "two", "three")
    for name in names:
        channel.add(name, "1", python=True)
    words = [*pypm(), "conda", "install"]
    running = [
        subprocess.Popen([*words, name], cwd=user.folder / "ws", env=user.environ, stderr=subprocess.PIPE)
        for name in names
    ]
    assert [process.communicate()[1] and process.returncode for process in running] == [0, 0, 0]
    assert python(user, "import hello, one, two, three; print('all')") == "all"


@needs_rattler
def test_names_that_are_taken(user: User, channel: CondaChannel) -> None:
    venv = user.folder / "ws/.venv"
    command = (venv / "bin/acme").read_bytes()
    channel.add("acme", "9", python=True, entry_points=["acme = acme:main"])
    said = conda(user, "install", "acme", "-c", channel.url)
    assert "the command acme is there already and stays as it is" in said
    assert "acme-9 is hidden by pypm's acme-1.0" in said
    assert (venv / "bin/acme").read_bytes() == command
    assert str(venv / "lib") in python(user, "import acme; print(acme.__file__)")
    conda(user, "remove", "acme")
    assert (venv / "bin/acme").read_bytes() == command


@needs_rattler
@pytest.mark.parametrize("name", ["environment.yml", "pixi.toml"])
def test_files_of_others(user: User, channel: CondaChannel, name: str) -> None:
    text = f"""
        name: x   # ours
        channels: [{channel.url}, nodefaults]
        dependencies:
          - python >={PYTHON}
          - "hello >=1"
          - pip:
            - requests>=2
    """
    if name == "pixi.toml":
        text = f"""
            [workspace]
            channels = ["{channel.url}"]
            [dependencies]
            python = "*"
            hello = {{ version = ">=1", build = "py_*" }}
            [pypi-dependencies]
            requests = ">=2"
        """
    lines = [line[8 if name.endswith("yml") else 12 :] for line in text.splitlines()]
    (user.folder / "ws" / name).write_text("\n".join(lines))
    said = conda(user, "install")
    assert "left to pypm (`pypm add ...`): requests" in said and "+ hello 1.0 py_0" in said
    assert "hello 1.0 py_0  (hello >=1" in conda(user, "list")


@needs_rattler
def test_over_http_and_a_package_that_is_not_what_was_said(user: User, channel: CondaChannel) -> None:
    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(channel.folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    user.environ["PYPM_OFFLINE"] = "0"
    try:
        url = f"http://127.0.0.1:{server.server_port}"
        assert "+ hello 1.0" in conda(user, "install", "hello", "-c", url)
        before = tree(user.folder / "ws/.venv")
        file = channel.folder / "noarch" / channel.add("bad", "1.0", python=True, depends=["hello"])
        file.write_bytes(file.read_bytes()[:-9] + b"x" * 9)
        shutil.rmtree(user.folder / "home/.cache", ignore_errors=True)
        said = conda(user, "install", "bad", ok=False)
        assert "error[conda-failed]" in said and "hash" in said, said
        assert tree(user.folder / "ws/.venv") == before
    finally:
        server.shutdown()
        server.server_close()


@needs_rattler
def test_a_package_in_a_folder_that_is_not_what_was_said(user: User, channel: CondaChannel) -> None:
    file = channel.folder / "noarch" / channel.add("bad-one", "1.0", python=True)
    file.write_bytes(file.read_bytes() + b"x")
    before = tree(user.folder / "ws/.venv")
    said = conda(user, "install", "bad-one", "-c", channel.url, ok=False)
    assert "error[conda-failed]: hash of" in said and "its channel says" in said, said
    assert tree(user.folder / "ws/.venv") == before


REFUSED = [
    (["install", "nope", "--json"], 1, '"code": "conda-unsolvable"'),
    (["install", "hello=9"], 1, "error[conda-unsolvable]"),
    (["install", "hello", "python=2.7"], 1, "Python is the environment's, 3."),
    (["install", "=a=b"], 2, "error[conda-spec]"),
    (["install", "hello", "-c", "http://example.test/x"], 2, "is not encrypted\n  help: --allow-http"),
    (["install", "hello", "-c", "https://u:geheim@example.test/x"], 2, "credentials in an address"),
    (["install", "hello", "-c", "conda-forge"], 1, "is not on this machine, and PYPM_OFFLINE is set"),
    (["install", "hello", "-c", "file:///nowhere"], 1, "error[conda-failed]"),
    (["install", "--file", "nowhere.yml"], 2, "error[conda-file]: nowhere.yml"),
    (["install"], 2, "error[conda-nothing]"),
    (["remove", "hello"], 2, "error[conda-not-asked]"),
    (["install", "--nonsense"], 2, "error[usage]"),
    (["install", "hello", "-p", "nobody"], 2, "error[unknown-member]"),
    (["nonsense"], 2, "error[usage]"),
]


@needs_rattler
def test_what_is_refused_changes_nothing(user: User, channel: CondaChannel) -> None:
    venv = user.folder / "ws/.venv"
    before = tree(venv)
    for words, code, said in REFUSED:
        where = [] if "-c" in words or len(words) < 2 or words[0] == "remove" else ["-c", channel.url]
        words = [*words, *where]
        done = user.run("conda", *words, cwd=user.folder / "ws")
        assert done.returncode == code and said in done.stderr.decode(), done.stderr.decode()
        assert (b'"code": "' in done.stderr) is ("--json" in words)
        assert b"geheim" not in done.stderr and b"Traceback" not in done.stderr and done.stdout == b""
        assert tree(venv) == before


@needs_rattler
def test_specs_as_conda_writes_them(user: User, channel: CondaChannel) -> None:
    """Of `conda env export`, of pixi, and with fewer signs than rattler would have."""
    for version in ("1.0", "2.0"):
        channel.add("thing", version, python=True)
    ws = user.folder / "ws"

    def chosen(*words: str) -> str:
        said = conda(user, "install", "-c", channel.url, "--json", "--dry-run", *words)
        version: str = json.loads(said.splitlines()[-1])["packages"][-1]["version"]
        return version

    for spec in ("thing=1.0=py_0", "thing 1.0", "thing=1.*", "thing 1.0 py_0", "thing[version='1.0']"):
        assert chosen(spec) == "1.0", spec
    (ws / "environment.yml").write_text(
        f"dependencies:\n- thing=1.0=py_0\n- python={python_version()}=h12_cpython\n"
        "- pip=24=py_0\n- pip:\n  - other\n"
    )
    assert chosen("--file", "environment.yml") == "1.0"
    (ws / "pixi.toml").write_text("[dependencies]\nthing = '1.0'\n")
    assert chosen("--file", "pixi.toml") == "1.0"
    (ws / "pixi.toml").write_text("[dependencies]\nthing = '1 ~ 2 banana'\n")
    said = conda(user, "install", "-f", "pixi.toml", "-c", channel.url, ok=False)
    assert said.startswith("error[conda-spec]: pixi.toml: 'thing 1 ~ 2 banana' is no spec: "), said


@needs_rattler
def test_a_channel_that_went_away_can_be_forgotten(user: User, channel: CondaChannel) -> None:
    away = CondaChannel(user.folder / "away")
    conda(user, "install", "hello", "-c", channel.url, "-c", away.url)
    shutil.rmtree(away.folder)
    assert "could not find subdir" in conda(user, "install", "lib", ok=False)
    assert "+" not in conda(user, "install", "lib", "--override-channels", "-c", channel.url)
    conda(user, "remove", "lib")


@needs_rattler
def test_an_environment_that_is_not_there_and_one_of_a_member(user: User, channel: CondaChannel) -> None:
    ws = user.folder / "ws"
    shutil.rmtree(ws / ".venv")
    assert "there is no environment" in conda(user, "install", "hello", "-c", channel.url, ok=False)
    settings = ws / "pypm-workspace.toml"
    settings.write_text(settings.read_text().replace("members =", "shared-environment = false\nmembers ="))
    user.run("sync", cwd=ws, check=True)
    assert "say which with -p" in conda(user, "install", "hello", "-c", channel.url, ok=False)
    conda(user, "install", "hello", "-c", channel.url, "-p", "a")
    assert user.run("exec", "-p", "a", "hello", cwd=ws).returncode == 3
    assert b"Nothing to do" in user.run("sync", cwd=ws, check=True).stderr
    nowhere = user.run("conda", "list", cwd=user.folder)
    assert nowhere.returncode == 2 and b"error[no-workspace]" in nowhere.stderr


@pytest.mark.slow
def test_py_rattler_comes_by_pypm_when_it_is_needed(user: User) -> None:
    """Another one of the name, which only says that it is there."""
    wheels = user.folder / "wheels"
    make_wheel(
        wheels, "py-rattler", "0.28.5",
        files={"rattler/__init__.py": "", "rattler/exceptions.py": "raise ImportError('here it is')\n"},
    )  # fmt: skip
    del user.environ["PYPM_CONDA_PYTHON"]
    with IndexServer(wheels) as server:
        user.environ |= {"PYPM_INDEX_URL": server.url, "PYPM_OFFLINE": "0"}
        assert "usage: pypm conda" in conda(user, "--help")
        assert server.requests == []
        assert conda(user, "install", "hello", ok=False).endswith("cannot be loaded: here it is\n")


# --- the files, read -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def asked_files() -> Any:
    spec = importlib.util.spec_from_file_location("asked_files", PLUGINS / "conda" / "asked_files.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_an_environment_yml(asked_files: Any) -> None:
    text = (
        "name: 'x'\nchannels:\n- conda-forge\n- https://a.example.test/c#1\ndependencies:\n  - a\n"
        "  # no\n  - b>=1 # yes\n  - conda-forge::c\n  - pip\n  - pip:\n      - d\n      - e[f]\n  - g\n"
        "variables:\n  X: y\nprefix: /x\n"
    )
    assert asked_files.of_environment_yml(text, "x") == (
        ["a", "b>=1", "conda-forge::c", "g"],
        ["conda-forge", "https://a.example.test/c#1"],
        ["d", "e[f]"],
    )  # fmt: skip
    alone = "dependencies: [pip, pip=1.0=py_0, pipx]\n"
    assert asked_files.of_environment_yml(alone, "x")[0] == ["pip", "pip=1.0=py_0", "pipx"]
    listed = "dependencies:\n- pip\n- pip=1.0=py_0\n- pipx\n- pip:\n  - a\n"
    assert asked_files.of_environment_yml(listed, "x")[0] == ["pipx"]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("dependencies:\n  - &a b\n", 2), ("dependencies: {a: b}\n", 1), ("- a\n", 1), ("a\n", 1),
        ("dependencies:\n\t- a\n", 2), ("dependencies:\n  - a:\n", 2), ("dependencies:\n  - a: 2\n", 2),
        ("x: |\n  text\n", 1), ("x:\n  y: z\n", 2),
    ],
)  # fmt: skip
def test_what_is_not_understood_is_not_guessed(asked_files: Any, text: str, line: int) -> None:
    with pytest.raises(asked_files.Refused, match=f"^x:{line}: not understood"):
        asked_files.of_environment_yml(text, "x")


@needs_rattler
def test_a_pixi_toml(asked_files: Any) -> None:
    here = asked_files.platform()
    text = (
        "[project]\nchannels = ['a', { channel = 'b', priority = 1 }]\n[dependencies]\nc = '>=1'\nd = '*'\n"
        f"e = {{ version = '1.*', channel = 'b' }}\n[target.{here}.dependencies]\nf = '2'\n"
        "[target.win-64.dependencies]\ng = '*'\n[pypi-dependencies]\nh = '*'\n"
    )
    assert asked_files.of_pixi(text, "x") == (["c >=1", "d", "b::e 1.*", "f 2"], ["a", "b"], ["h"])
    assert asked_files.of_pixi("[tool.pixi.dependencies]\nc = '1'\n", "x") == (["c 1"], [], [])
    for bad in (
        "[",
        "[dependencies]\nc = { git = 'x' }\n",
        "[dependencies]\nc = 1\n",
        "dependencies = 3",
        "tool = 3",
        "tool.pixi = 3",
        "workspace = 'x'",
        "project.channels = 'conda-forge'",
        "project.channels = [3]",
        "project.channels = [{ name = 'x' }]",
        "target = [1]",
        f"target.{here} = 1",
        f"target.{here}.dependencies = 'a'",
        "pypi-dependencies = ['a']",
    ):
        with pytest.raises(asked_files.Refused):
            asked_files.of_pixi(bad, "x")
