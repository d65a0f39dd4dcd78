"""Direct sources: folders, files, addresses and git repositories, all real."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from kit.index_server import IndexServer
from kit.wheels import core_metadata, make_sdist, make_wheel, sha256
from pypm_index.catalog import Catalog
from pypm_index.direct import Workplace, obtain
from pypm_index.errors import BadSource, FileGone, GitFailed, OfflineMissing, WrongHash
from pypm_index.git_command import NotRun, run_git
from pypm_index.ports import BuildNeed, Fetcher
from pypm_index.settings import Indexes
from pypm_index.transport import Transport
from pypm_model.facts import Direct, DirectKey
from pypm_model.names import normalize
from pypm_model.records import replace
from pypm_model.requests import BuildPolicy
from pypm_model.sources import DirectSource, GitSource, PathSource, UrlSource
from pypm_store.metadata_cache import MetadataCache
from pypm_store.sdist_archive import unpack_sdist
from pypm_store.store import Store

FOO = normalize("foo")
STATIC = '[project]\nname = "foo"\nversion = "1.5"\ndependencies = ["bar>=1"]\n'
DYNAMIC = '[project]\nname = "foo"\ndynamic = ["version"]\n'


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(tmp_path / "store")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[IndexServer]:
    (tmp_path / "wheels").mkdir()
    with IndexServer(tmp_path / "wheels") as running:
        yield running


class Builder:
    """A build side that says what it was asked."""

    def __init__(self) -> None:
        self.needs: list[BuildNeed] = []

    def __call__(self, need: BuildNeed) -> bytes:
        assert (need.folder / "pyproject.toml").is_file()
        self.needs.append(need)
        return core_metadata("foo", "9.9", requires=["built"]).encode()


def look(store: Store, source: DirectSource, root: Path, **more: object) -> Direct:
    settings = Indexes.from_settings(environ={})
    fetcher = Transport(settings, {}, timeout=5, pause=0.001)
    key = DirectKey(FOO, source)
    with Catalog(store, settings, root=root, fetcher=fetcher, **more) as catalog:  # type: ignore[arg-type]
        catalog.request([key])
        (fact,) = catalog.wait()
    assert isinstance(fact, Direct) and fact.key == key
    return fact


def project(folder: Path, text: str) -> Path:
    (folder / "src").mkdir(parents=True, exist_ok=True)
    (folder / "pyproject.toml").write_text(text)
    (folder / "src" / "foo.py").write_text('__version__ = "9.9"\n')
    return folder


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.test", "-c", "protocol.file.allow=always"]
    done = subprocess.run(
        ["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = project(tmp_path / "repository", STATIC)
    git(folder, "init", "-q", "-b", "main")
    git(folder, "add", ".")
    git(folder, "commit", "-q", "-m", "one")
    git(folder, "tag", "-a", "v1", "-m", "annotated")
    project(folder, STATIC.replace("1.5", "2.5"))
    project(folder / "sub" / "dir", STATIC.replace("1.5", "3.5"))
    git(folder, "add", ".")
    git(folder, "commit", "-q", "-m", "two")
    return folder


def test_a_folder(store: Store, tmp_path: Path) -> None:
    project(tmp_path / "foo", STATIC)
    found = look(store, PathSource("foo", editable=True), tmp_path)
    assert found.version == "1.5" and [one.name for one in found.requires] == ["bar"]
    assert not found.is_wheel and found.source == PathSource("foo", editable=True)
    # A folder is looked at each time.
    project(tmp_path / "foo", STATIC.replace("bar", "baz"))
    assert [one.name for one in look(store, PathSource("foo"), tmp_path).requires] == ["baz"]


def test_a_folder_that_must_be_built(store: Store, tmp_path: Path) -> None:
    project(tmp_path / "foo", DYNAMIC)
    build = Builder()
    found = look(store, PathSource("foo"), tmp_path, build_metadata=build)
    assert found.version == "9.9" and [one.name for one in found.requires] == ["built"]
    assert build.needs == [BuildNeed(FOO, "", tmp_path / "foo", "foo")]
    refused = BuildPolicy(default=True, no_build=frozenset({FOO}))
    for more in ({"build_policy": refused, "build_metadata": build}, {}):
        with pytest.raises(BadSource, match="not allowed"):
            look(store, PathSource("foo"), tmp_path, **more)
    assert len(build.needs) == 1


def test_nothing_and_something_else_at_a_path(store: Store, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    project(tmp_path / "other", STATIC.replace('"foo"', '"other"'))
    for path, reason in (("none", "no such"), ("empty", "neither"), ("other", "the project 'other'")):
        with pytest.raises(BadSource, match=reason):
            look(store, PathSource(path), tmp_path)


def test_a_wheel_and_an_sdist_at_a_path(store: Store, tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path, "foo", "1.0", requires=["bar"], tag="cp311-abi3-manylinux_2_17_x86_64")
    found = look(store, PathSource(wheel.name), tmp_path)
    assert found.source == PathSource(wheel.name, sha256=sha256(wheel))
    assert found.is_wheel and found.tags == ("cp311+|linux|x86_64",) and found.version == "1.0"
    sdist = make_sdist(tmp_path, "foo", "1.1", requires=["baz"])
    assert [one.name for one in look(store, PathSource(sdist.name), tmp_path).requires] == ["baz"]
    with pytest.raises(BadSource, match="sha256"):
        look(store, PathSource(wheel.name, sha256="ab" * 32), tmp_path)
    wheel.rename(tmp_path / "foo-2.0-py3-none-any.whl")
    with pytest.raises(BadSource, match=r"of version 1\.0"):
        look(store, PathSource("foo-2.0-py3-none-any.whl"), tmp_path)


def test_an_address(store: Store, server: IndexServer, tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path / "wheels", "foo", "1.0", requires=["bar"])
    source = UrlSource(server.url_of(wheel.name))
    found = look(store, source, tmp_path)
    assert found.source == UrlSource(source.url, sha256=sha256(wheel)) and found.is_wheel
    pinned = found.source
    # Known for a while, and for ever when pinned.
    assert look(store, source, tmp_path).source == pinned
    assert replace(look(store, pinned, tmp_path), key=found.key) == found
    assert look(store, source, tmp_path, offline=True).source == pinned
    assert server.count() == 1
    assert look(store, source, tmp_path, refresh=True).source == pinned
    assert server.count() == 2
    with pytest.raises(WrongHash):
        look(store, UrlSource(source.url, sha256="ab" * 32), tmp_path)
    with pytest.raises(FileGone):
        look(store, UrlSource(server.url_of("foo-7.0-py3-none-any.whl")), tmp_path)
    with pytest.raises(OfflineMissing):
        look(store, UrlSource(server.url_of("foo-8.0-py3-none-any.whl")), tmp_path, offline=True)


def test_an_sdist_at_an_address_with_its_project_below(
    store: Store, server: IndexServer, tmp_path: Path
) -> None:
    inside = {"nested/pyproject.toml": STATIC.replace("1.5", "4.5")}
    sdist = make_sdist(
        tmp_path / "wheels", "foo", "1.0", files=inside, backend="in-tree", dynamic=["dependencies"]
    )
    source = UrlSource(server.url_of(sdist.name), subdirectory="nested")
    assert look(store, source, tmp_path).version == "4.5"
    for bad in ("none", "../.."):
        with pytest.raises(BadSource, match="no such folder"):
            look(store, replace(source, subdirectory=bad), tmp_path)
    build = Builder()
    whole = replace(source, subdirectory="")
    for _ in range(2):
        assert look(store, whole, tmp_path, build_metadata=build).version == "9.9"
    assert len(build.needs) == 1 and not build.needs[0].folder.exists()
    assert build.needs[0].digest == sha256(sdist)


def test_git_refs_become_commits(store: Store, repository: Path, tmp_path: Path) -> None:
    one, two = git(repository, "rev-parse", "v1^{commit}"), git(repository, "rev-parse", "main")
    url = repository.as_uri()
    for ref, commit, version in (
        ("", two, "2.5"),
        ("main", two, "2.5"),
        ("v1", one, "1.5"),
        (one, one, "1.5"),
        (one[:10], one, "1.5"),
        ("refs/heads/main", two, "2.5"),
    ):
        found = look(store, GitSource(url, ref), tmp_path)
        assert found.source == GitSource(url, ref, commit) and found.version == version
        assert [requirement.name for requirement in found.requires] == ["bar"]
    below = look(store, GitSource(url, "main", subdirectory="sub/dir"), tmp_path)
    assert below.version == "3.5"


@pytest.mark.slow
def test_a_pinned_commit_is_known_without_the_repository(
    store: Store, repository: Path, tmp_path: Path
) -> None:
    source = GitSource(repository.as_uri(), "main")
    pinned = look(store, source, tmp_path).source
    repository.rename(tmp_path / "moved")
    for one in (pinned, source):
        assert look(store, one, tmp_path).version == "2.5"
        assert look(store, one, tmp_path, offline=True).version == "2.5"
    with pytest.raises(GitFailed):
        look(store, source, tmp_path, refresh=True)


@pytest.mark.slow
def test_a_branch_that_moves_is_seen_on_refresh(store: Store, repository: Path, tmp_path: Path) -> None:
    source = GitSource(repository.as_uri())
    assert look(store, source, tmp_path).version == "2.5"
    project(repository, STATIC.replace("1.5", "2.6"))
    git(repository, "commit", "-q", "-a", "-m", "three")
    assert look(store, source, tmp_path).version == "2.5"
    assert look(store, source, tmp_path, refresh=True).version == "2.6"


def test_git_trees_that_must_be_built(store: Store, repository: Path, tmp_path: Path) -> None:
    project(repository, DYNAMIC)
    git(repository, "commit", "-q", "-a", "-m", "dynamic")
    build = Builder()
    source = GitSource(repository.as_uri())
    for _ in range(2):
        assert look(store, source, tmp_path, build_metadata=build).version == "9.9"
    (need,) = build.needs
    assert need.digest == git(repository, "rev-parse", "HEAD") and need.digest[:12] in need.source
    assert not need.folder.exists()


def test_git_failures_are_told(store: Store, repository: Path, tmp_path: Path) -> None:
    with pytest.raises(GitFailed, match="no such ref"):
        look(store, GitSource(repository.as_uri(), "nope"), tmp_path)
    with pytest.raises(GitFailed, match="not"):
        look(store, GitSource((tmp_path / "nothing").as_uri()), tmp_path)
    with pytest.raises(GitFailed):
        look(store, GitSource(repository.as_uri(), commit="0" * 40), tmp_path)
    with pytest.raises(GitFailed):
        look(store, GitSource("--upload-pack=touch pwned"), tmp_path)


def test_inside_a_hook_of_git(
    store: Store, repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = project(tmp_path / "other", STATIC)
    git(other, "init", "-q")
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(other / ".git" / "index"))
    assert look(store, GitSource(repository.as_uri(), "v1"), tmp_path).version == "1.5"
    assert not (other / ".git" / "refs" / "heads" / "main").exists()


def test_sources_are_obtained_for_building(
    store: Store, repository: Path, server: IndexServer, tmp_path: Path
) -> None:
    def connect() -> Fetcher:
        return Transport(Indexes.from_settings(environ={}), {}, timeout=5)

    with MetadataCache(store.path) as cache:
        place = Workplace(store, cache, connect, tmp_path, {"PATH": "/usr/bin:/bin"})
        commit = git(repository, "rev-parse", "main")
        tree = obtain(GitSource(repository.as_uri(), "main", commit, "sub/dir"), tmp_path / "tree", place)
        assert "3.5" in (tree / "pyproject.toml").read_text()
        # Backends that take a version from tags need history and tags.
        assert git(tree, "describe", "--tags").startswith("v1-1-g")
        sdist = make_sdist(tmp_path / "wheels", "foo", "1.0")
        path = obtain(UrlSource(server.url_of(sdist.name), sha256=sha256(sdist)), tmp_path / "unused", place)
        assert unpack_sdist(path, tmp_path / "unpacked", filename=sdist.name).name == "foo-1.0"
        assert obtain(PathSource("repository"), tmp_path / "unused", place) == repository
        with pytest.raises(BadSource):
            obtain(PathSource("none"), tmp_path / "unused", place)


def test_git_says_text_with_plain_line_ends(tmp_path: Path) -> None:
    environ = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull}

    def git(*arguments: str) -> str:
        done = run_git(arguments, environ, seconds=60, folder=tmp_path)
        assert not isinstance(done, NotRun) and done.returncode == 0
        return done.stdout

    git("init", "-q")
    (tmp_path / "pypm.lock").write_bytes(b"version = 1\r\nname = 2\r\n")
    git("-c", "core.autocrlf=false", "add", "pypm.lock")
    assert git("show", ":pypm.lock") == "version = 1\nname = 2\n"
