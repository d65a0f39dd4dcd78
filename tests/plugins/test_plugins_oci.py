"""The plugin oci: a member as an image, the same everywhere, that runs where nothing else is."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from plugins.conftest import User

from kit.oci import Read, read_layout
from kit.plugins import compile_plugin
from kit.transcripts import environment, remember_python
from kit.wheels import make_project, make_wheel

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="interpreters are moved on Linux"),
    pytest.mark.slow,
]

HELLO = """
import json, os, sys
def main():
    import acme, a
    print(json.dumps({"argv": sys.argv[1:], "prefix": sys.prefix, "cwd": os.getcwd()}))
    return 7
"""


def user_in(folder: Path) -> User:
    """A user with the plugin and a workspace of two members, in ``ws``; *hello* runs."""
    (folder / "home").mkdir(parents=True)
    remember_python(folder / "home")
    user = User(folder, environment(folder / "home"))
    user.environ["PYPM_OFFLINE"] = "1"
    user.environ.pop("SOURCE_DATE_EPOCH", None)
    ws = folder / "ws"
    make_wheel(ws / "wheels", "acme", "1.0", entry_points={"console_scripts": {"acme": "acme:main"}})
    (ws / "pypm-workspace.toml").write_text(
        '[workspace]\nname = "ws"\nmembers = ["packages/*"]\n[resolution]\nfind-links = ["wheels"]\n'
    )
    make_project(ws / "packages/a", "a", "1.0", requires=["acme"], backend="in-tree")
    make_project(
        ws / "packages/hello", "hello", "1.0+x", requires=["a"], scripts={"hello": "hello:main"},
        backend="in-tree",
        files={"src/hello/__init__.py": HELLO, "src/hello/__main__.py": "import hello; exit(hello.main())\n"},
    )  # fmt: skip
    user.run("plugin", "add", "oci", str(compile_plugin("oci", folder / "made" / "oci.so")), check=True)
    return user


def build(user: User, *words: str) -> Read:
    """The image of ``hello`` that *words* make; where it is, is the last of them."""
    done = user.run("plugin", "run", "oci", "build", "-p", "hello", *words, cwd=user.folder / "ws")
    assert done.returncode == 0, done.stderr.decode()
    return read_layout(user.folder / "ws" / words[-1])


@pytest.fixture(scope="module")
def user(tmp_path_factory: pytest.TempPathFactory) -> User:
    return user_in(tmp_path_factory.mktemp("oci"))


@pytest.fixture(scope="module")
def image(user: User) -> Read:
    return build(user, "-o", "image.tar")


@pytest.fixture(scope="module")
def settled(user: User) -> None:
    """The workspace is locked and its environment made, so that nothing but an image could be written."""
    user.run("sync", cwd=user.folder / "ws", check=True)


def test_what_an_image_is(user: User, image: Read) -> None:
    assert len(image.layers) == 3
    interpreter, packages, members = image.names
    for layer, path in (
        (interpreter, r"app/bin/python3\.\d+t?"),
        (packages, r"app/lib/python3\.\d+t?/\w+-packages/acme/__init__\.py"),
        (members, r"app/lib/python3\.\d+t?/\w+-packages/hello/__main__\.py"),
        (members, r"app/pypm\.lock"),
        (members, r"app/sbom\.cdx\.json"),
    ):
        assert [name for name in layer if re.fullmatch(path, name)], path
    assert set(members) & set(packages) <= _folders(packages)
    config = image.config["config"]
    assert config["Entrypoint"] == ["/app/bin/python", "/app/bin/hello"] and config["WorkingDir"] == "/app"
    assert config["Env"][0].startswith("PATH=/app/bin:") and "Cmd" not in config
    labels = config["Labels"]
    assert labels["org.opencontainers.image.title"] == "hello"
    assert labels["org.opencontainers.image.version"] == "1.0+x"
    assert labels["pypm.python"] == ".".join(map(str, sys.version_info[:3]))
    assert image.config["os"] == "linux"


def _folders(names: list[str]) -> set[str]:
    """Those of *names* that others are below of."""
    return {folder for name in names for folder in names if name.startswith(f"{folder}/")}


def test_the_same_bytes_elsewhere_and_later(user: User, image: Read, tmp_path: Path) -> None:
    other = user_in(tmp_path / "quite another place")
    for path in (other.folder / "ws").rglob("*"):
        os.utime(path, (1, 1_000_000_000), follow_symlinks=False)
    other.environ |= {"PYTHONHASHSEED": "77", "TZ": "Asia/Tokyo", "LC_ALL": "C"}
    before = os.umask(0o077)
    try:
        build(other, "-o", "image.tar")
    finally:
        os.umask(before)
    made, first = other.folder / "ws/image.tar", user.folder / "ws/image.tar"
    assert made.read_bytes() == first.read_bytes()
    # Another member is another last layer, and nothing else.
    module = other.folder / "ws/packages/a/src/a/__init__.py"
    module.write_text(module.read_text() + "more = 1\n")
    changed = build(other, "-o", "folder")
    assert changed.digests[:2] == image.digests[:2] and changed.digests[2] != image.digests[2]


JAIL = """
set -e
mkdir -p "$root/proc"
mount -t proc proc "$root/proc"
cd "$root"
exec chroot "$root" "$@"
"""


def walls() -> str:
    """Why no root of its own can be had here; empty: it can."""
    if shutil.which("unshare") is None or shutil.which("chroot") is None:
        return "unshare and chroot are needed"
    done = subprocess.run(["unshare", "-mnpf", "--mount-proc", "true"], capture_output=True)
    return "this user may not make namespaces" if done.returncode else ""


@pytest.mark.skipif(bool(walls()), reason=walls() or "-")
def test_it_runs_where_nothing_else_is(user: User, image: Read, tmp_path: Path) -> None:
    alone = build(user, "--libc", "--user", "65534:65534", "--compress-level", "1", "-o", "alone")
    assert alone.layers[1:] == image.layers and alone.config["config"]["User"] == "65534:65534"
    root = tmp_path / "root"
    root.mkdir()
    alone.unpack(root)

    def inside(*words: str) -> subprocess.CompletedProcess[str]:
        env = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "root": str(root), "PYTHONHOME": "/nowhere"}
        return subprocess.run(
            ["unshare", "-mnpf", "sh", "-c", JAIL, "sh", *words], env=env, capture_output=True, text=True
        )

    done = inside(*alone.config["config"]["Entrypoint"], "x y")
    assert done.returncode == 7, done.stderr
    assert json.loads(done.stdout) == {"argv": ["x y"], "prefix": "/app", "cwd": "/"}
    assert inside("/app/bin/python", "-m", "hello").returncode == 7
    code = (
        "import pwd, ssl, socket, sqlite3, tempfile; tempfile.mkstemp(); print(pwd.getpwuid(65534).pw_name)"
    )
    done = inside("/app/bin/python", "-c", code)
    assert done.stdout == "nobody\n", done.stderr


def test_upon_a_base_with_what_the_user_says(user: User, image: Read) -> None:
    words = [
        "--base", "image.tar", "-t", "registry.example.test:5000/acme/hello:2", "--compress-level", "1",
        "--entrypoint", "python -m hello", "--env", "A=b=c", "--port", "80", "--port", "53/udp",
        "--label", "org.opencontainers.image.title=Hello",
        "--workdir", "/srv", "--prefix", "/opt/hello/", "--json", "-o", "stacked.tar",
    ]  # fmt: skip
    stacked = build(user, *words)
    assert stacked.digests[:3] == image.digests and len(stacked.layers) == 6
    config = stacked.config["config"]
    assert config["Entrypoint"] == ["python", "-m", "hello"] and config["WorkingDir"] == "/srv"
    assert config["Env"] == [f"PATH=/opt/hello/bin:{image.config['config']['Env'][0][5:]}", "A=b=c"]
    assert config["ExposedPorts"] == {"80/tcp": {}, "53/udp": {}}
    labels = config["Labels"]
    assert labels["org.opencontainers.image.title"] == "Hello"
    assert labels["org.opencontainers.image.base.name"] == "docker.io/library/hello:1.0-x"
    entry = image.index["manifests"][0]
    assert labels["org.opencontainers.image.base.digest"] == entry["digest"]
    names = stacked.index["manifests"][0]["annotations"]
    assert names["io.containerd.image.name"] == "registry.example.test:5000/acme/hello:2"


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["-p", "nobody"], 2, "error[unknown-member]"),
        ([], 2, "error[oci-member]: an image is of one member: say which with -p"),
        (["-p", "hello", "-o", "x.tar.gz"], 2, "error[image-format]"),
        (["-p", "hello", "-o", "packages"], 1, "error[not-an-image-folder]"),
        (["-p", "hello", "--base", "nowhere"], 2, "error[not-an-image]: nowhere is no image"),
        (["-p", "hello", "--base", "x", "--libc"], 2, "--libc is of this machine"),
        (["-p", "hello", "-t", "Hello:1"], 2, "--tag takes NAME:TAG"),
        (["-p", "hello", "--prefix", "/a/../b"], 2, "--prefix takes a folder below the root"),
        (["-p", "hello", "--env", "A"], 2, "'A' is no NAME=VALUE"),
        (["-p", "hello", "--port", "99999"], 2, "--port takes"),
        (["-p", "hello", "--user", "a b"], 2, "--user takes"),
        (["-p", "hello", "--entrypoint", "'"], 2, "--entrypoint: no closing quotation"),
        (["-p", "hello", "--platform", "linux-arm64", "--interpreter", "x"], 2, "--platform needs --python"),
        (["-p", "hello", "--nonsense"], 2, "no such option: --nonsense"),
    ],
)
def test_what_is_refused(user: User, settled: None, words: list[str], code: int, said: str) -> None:
    before = sorted((user.folder / "ws").rglob("*"))
    if "packages" not in words and "-o" not in words:
        words = [*words, "-o", "refused/image.tar"]
    user.environ["PYPM_PYTHON"] = sys.executable
    done = user.run("oci", "build", *words, cwd=user.folder / "ws")
    assert done.returncode == code and said in done.stderr.decode(), done.stderr
    assert done.stdout == b"" and b"Traceback" not in done.stderr
    assert sorted((user.folder / "ws").rglob("*")) == before


def test_where_there_is_no_workspace_and_its_help(user: User, tmp_path: Path) -> None:
    assert b"--libc" in user.run("oci", "build", "--help", check=True).stdout
    done = user.run("oci", "build", cwd=tmp_path)
    assert done.returncode == 2 and b"error[no-workspace]" in done.stderr, done.stderr
