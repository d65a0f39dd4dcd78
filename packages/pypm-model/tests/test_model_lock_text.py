"""`pypm.lock` is written one way and read back whole."""

from __future__ import annotations

import json
import runpy
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kit.laws import examples
from pypm_model import lock_text, lock_toml
from pypm_model.artifacts import Artifact
from pypm_model.lock_conflicts import salvage
from pypm_model.lock_errors import LockConflicted, LockTooNew, LockUnreadable
from pypm_model.lock_order import edge_order, package_order
from pypm_model.lock_sides import places, sides
from pypm_model.locks import Edge, Lock, LockedPackage, LockSettings, Manifest
from pypm_model.names import NormalizedName, normalize
from pypm_model.publishers import BadProvenance, publisher_of, publishers_in, shown
from pypm_model.records import replace
from pypm_model.requests import Preference
from pypm_model.sources import GitSource, IndexSource, MemberSource, PathSource, UrlSource

texts = st.text(
    st.characters(exclude_categories=["Cs"]) | st.sampled_from("\"'\\\n[]{}=#, \t\r\x7f"), max_size=12
)
names = st.from_regex(r"\A[a-z0-9](?:[a-z0-9-]{0,4}[a-z0-9])?\Z").map(normalize)
versions = st.sampled_from(["1.0", "1.10", "1.9", "2.0a1", "1!0", "1.0+cpu", "odd one"])
markers = st.sampled_from(
    ["", "sys_platform == 'win32'", 'os_name == "it\'s"', "'acme:dev' in dependency_groups"]
)
digests = st.sampled_from(["ab" * 32, "0" * 64])
sources = st.one_of(
    st.builds(IndexSource, texts),
    st.builds(MemberSource, texts),
    st.builds(PathSource, texts, st.booleans(), st.just("") | digests),
    st.builds(UrlSource, texts, st.just("") | texts, digests),
    st.builds(GitSource, texts, st.just("") | texts, st.just("") | texts, st.just("") | texts),
)
extras = st.lists(names, max_size=2, unique=True).map(lambda found: tuple(sorted(found)))
edges = st.builds(Edge, names, extras, markers | texts, st.just("") | versions, st.none() | sources)
edge_lists = st.lists(edges, max_size=4).map(lambda found: tuple(sorted(found, key=edge_order)))


def table(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.dictionaries(names, values, max_size=3).map(lambda found: tuple(sorted(found.items())))


requirement_lists = st.lists(texts, max_size=3).map(lambda found: tuple(sorted(found)))
manifests = st.builds(Manifest, texts, requirement_lists, table(requirement_lists), table(requirement_lists))


@st.composite
def artifacts(draw: st.DrawFn) -> Artifact:
    filename = draw(st.sampled_from(["a-1.tar.gz", "a-1-py3-none-any.whl", "é-2.zip"]) | texts.filter(bool))
    path = draw(st.sampled_from(["", f"packages/ab/cd/ef/{filename}", "elsewhere/x", filename]) | texts)
    path = path if not path.endswith("/") else ""  # a path names a file
    size = draw(st.none() | st.integers(0, 10**12))
    return Artifact(filename, draw(digests), size, draw(st.sampled_from(["", "2026-11-01T09:30:00Z"])), path)


file_lists = st.lists(artifacts(), max_size=4, unique_by=lambda a: a.filename).map(
    lambda found: tuple(sorted(found, key=lambda a: a.filename))
)
publishers = st.builds(
    lambda kind, facts: publisher_of({**facts, "kind": kind}),
    st.sampled_from(["GitHub", 'odd "kind"']),
    st.dictionaries(texts, texts | st.none(), max_size=3),
)
packages = st.builds(
    LockedPackage,
    name=names,
    version=st.just("") | versions,
    source=sources,
    requires_python=texts,
    dependencies=edge_lists,
    extras=table(edge_lists),
    groups=table(edge_lists),
    manifest=st.none() | manifests,
    files=file_lists,
    publishers=st.lists(publishers, max_size=2, unique=True).map(lambda found: tuple(sorted(found))),
)
marker_lists = st.lists(texts, max_size=3).map(tuple)
setting_tables = st.dictionaries(texts, texts | st.lists(texts, max_size=3).map(tuple), max_size=3).map(
    lambda found: LockSettings(tuple(sorted(found.items())))
)
locks = st.builds(
    Lock,
    requires_python=texts,
    environments=marker_lists,
    required_environments=marker_lists,
    settings=setting_tables,
    splits=marker_lists,
    packages=st.lists(packages, max_size=4, unique_by=lambda p: (p.name, p.version, p.source)).map(
        lambda found: tuple(sorted(found, key=package_order))
    ),
)
patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=examples(30))


@patient
@given(locks)
def test_what_is_written_reads_back(lock: Lock) -> None:
    text = lock_text.write(lock)
    assert lock_text.read(text) == lock
    assert lock_text.read(text.replace("\n", "\r\n")) == lock
    assert lock_text.write(lock_text.read(text)) == text


@patient
@given(st.lists(locks, min_size=2, max_size=4), st.randoms(use_true_random=False))
def test_what_was_written_before_changes_no_text(several: list[Lock], random: Random) -> None:
    """Packages that come again, as they were or not, are the same text with a memory and without."""
    written = lock_text.Written()
    known: list[LockedPackage] = []
    for lock in several:
        mine = {(p.name, p.version, p.source): p for p in lock.packages}
        for old in random.sample(known, min(2, len(known))):
            again = replace(old, requires_python=random.choice([old.requires_python, ">=3.99"]))
            mine[again.name, again.version, again.source] = again
        lock = replace(lock, packages=tuple(mine.values()))
        assert lock_text.write(lock, written) == lock_text.write(lock)
        known += lock.packages


@patient
@given(locks)
def test_every_parser_agrees(lock: Lock) -> None:
    text = lock_text.write(lock)
    assert tomllib.loads(text) == lock_toml.loads(text)


@patient
@given(locks)
def test_one_fact_is_one_line(lock: Lock) -> None:
    lines = lock_text.write(lock).splitlines()
    facts = sum(
        len(p.files) + len(p.publishers) + len(p.dependencies) + sum(len(e) for _, e in p.extras + p.groups)
        for p in lock.packages
    )
    facts += sum(len(p.manifest.dependencies) for p in lock.packages if p.manifest)
    facts += sum(
        len(t) for p in lock.packages if p.manifest for _, t in p.manifest.extras + p.manifest.groups
    )
    facts += len(lock.environments) + len(lock.required_environments) + len(lock.splits)
    facts += sum(len(v) for _, v in lock.settings.values if not isinstance(v, str))
    assert sum(line.startswith("    ") for line in lines) == facts


@patient
@given(locks, st.randoms())
def test_the_order_of_records_does_not_matter(lock: Lock, random: Random) -> None:
    def shuffled(items: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple(random.sample(items, len(items)))

    mixed = [
        replace(
            p,
            dependencies=shuffled(p.dependencies),
            extras=shuffled(tuple((name, shuffled(edges)) for name, edges in p.extras)),
            files=shuffled(p.files),
        )
        for p in shuffled(lock.packages)
    ]
    assert lock_text.write(replace(lock, packages=tuple(mixed))) == lock_text.write(lock)


def package(name: str, version: str = "1.0", **more: Any) -> LockedPackage:
    return LockedPackage(NormalizedName(name), version, more.pop("source", IndexSource("pypi")), **more)


DIGEST, WHEN, FOLDER = "ab" * 32, "2026-11-01T09:30:00Z", f"packages/ab/cd/{'e' * 60}/"


def artifact(filename: str) -> Artifact:
    return Artifact(filename, DIGEST, 1234, WHEN, FOLDER + filename)


SMALL = Lock(
    requires_python=">=3.11",
    splits=("python_full_version < '3.12'", "python_full_version >= '3.12'"),
    settings=LockSettings((("constraints", ("urllib3<3",)), ("strategy", "lowest"))),
    packages=(
        package(
            "api",
            "",
            source=MemberSource("packages/api"),
            requires_python=">=3.11",
            dependencies=(
                Edge(NormalizedName("httpx"), (NormalizedName("http2"),)),
                Edge(NormalizedName("numpy"), (), "python_full_version < '3.12'", "1.26.4"),
            ),
            groups=((NormalizedName("dev"), (Edge(NormalizedName("pytest")),)),),
            manifest=Manifest(
                ">=3.11", ("httpx[http2]>=0.28", "numpy"), (), ((NormalizedName("dev"), ("pytest",)),)
            ),
        ),
        package(
            "httpx",
            "0.28.1",
            files=(artifact("httpx-0.28.1-py3-none-any.whl"), artifact("httpx-0.28.1.tar.gz")),
        ),
    ),
)


def test_how_it_looks() -> None:
    assert (
        lock_text.write(SMALL)
        == """\
format = 1
requires-python = ">=3.11"
splits = [
    "python_full_version < '3.12'",
    "python_full_version >= '3.12'",
]

[settings]
constraints = [
    "urllib3<3",
]
strategy = "lowest"

[[package]]
name = "api"
source = { member = "packages/api" }
requires-python = ">=3.11"
dependencies = [
    "httpx[http2]",
    { name = "numpy", version = "1.26.4", marker = "python_full_version < '3.12'" },
]

[package.groups]
dev = [
    "pytest",
]

[package.manifest]
requires-python = ">=3.11"
dependencies = [
    "httpx[http2]>=0.28",
    "numpy",
]

[package.manifest.groups]
dev = [
    "pytest",
]

[[package]]
name = "httpx"
version = "0.28.1"
source = { index = "pypi" }
files = [
    { name = "httpx-0.28.1-py3-none-any.whl", sha256 = "SHA", uploaded = "TIME", path = "PATH", size = 1234 },
    { name = "httpx-0.28.1.tar.gz", sha256 = "SHA", uploaded = "TIME", path = "PATH", size = 1234 },
]
""".replace("SHA", DIGEST)
        .replace("TIME", WHEN)
        .replace("PATH", FOLDER)
    )


def test_what_an_index_says_for_the_moment_is_not_written() -> None:
    fickle = replace(artifact("a-1.tar.gz"), yanked="broken", requires_python=">=3.9")
    lock = Lock(packages=(package("a", files=(fickle,)),))
    assert lock_text.read(lock_text.write(lock)).packages[0].files == (artifact("a-1.tar.gz"),)


def test_other_people_may_lay_it_out_as_any_toml() -> None:
    text = lock_text.write(SMALL)
    other = (
        text.replace("    {", "{")
        .replace('", sha256', "\", 'sha256'")
        .replace("[[package]]", "[[ package ]]")
    )
    assert lock_text.read(other) == SMALL
    rest = """
        unknown = 1
        [later]
        x = 2
        [[package]]
        name = 'idna'
        version = '3.7'
        source = {index = 'pypi', later = true}
        files = [{sha256 = 'SHA', name = 'x.whl', later = 1}]
        """.replace("SHA", "ab" * 32)
    head = text.replace("format = 1\n", "format = 1\nlatest = [1, 2]\n")
    more = lock_text.read(head + rest)
    assert more.packages[:2] == SMALL.packages
    assert more.packages[2] == package("idna", "3.7", files=(Artifact("x.whl", "ab" * 32),))


def test_a_file_row_taken_apart_is_what_the_parser_says() -> None:
    # The rows of the first package are laid out otherwise, so the second's must not be given to it.
    text = lock_text.write(
        Lock(
            packages=(package("a", files=(artifact("a-1.zip"),)), package("b", files=(artifact("b-1.zip"),)))
        )
    )
    text = text.replace('    { name = "a-1.zip"', '    {name = "a-1.zip"', 1)
    assert [p.files for p in lock_text.read(text).packages] == [
        (artifact("a-1.zip"),),
        (artifact("b-1.zip"),),
    ]


def test_a_newer_format_is_refused() -> None:
    with pytest.raises(LockTooNew) as caught:
        lock_text.read("format = 2\npackage = 'anything'\n")
    assert "format 2" in str(caught.value)
    assert caught.value.to_json()["found"] == 2


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("format = 1\n[[package]\n", 2, ""),
        ("", 1, "'format' is missing"),
        ("format = '1'", 1, "must be a number"),
        ("format = true", 1, "must be a number"),
        ("format = 1\nrequires-python = 3", None, "'requires-python' must be a text"),
        ("format = 1\npackage = 3", None, "'package' must be a list"),
        ("format = 1\nenvironments = [1]", None, "'environments' must be a list of texts"),
        ("format = 1\n[[package]]\nversion = '1'", 2, "a package has no name"),
        ("format = 1\n\n[[package]]\nname = 'a'", 3, "a: 'source' must be a table with one of"),
        ("format = 1\n[[package]]\nname = 'a'\nsource = {index = 1}", 2, "a: 'index' must be a text"),
        (
            "format = 1\n[[package]]\nname = 'a'\nsource = {index = 'x'}\ndependencies = [1]",
            2,
            "a: 'dependencies'",
        ),
        (
            "format = 1\n[[package]]\nname = 'a'\nsource = {index = 'x'}\ndependencies = ['b[']",
            2,
            "'b[' is no",
        ),
        (
            "format = 1\n[[package]]\nname = 'a'\nsource = {index = 'x'}\nfiles = [{name = 'b'}]",
            2,
            "a: 'files'",
        ),
        ("format = 1\n[settings]\nstrategy = 1", None, "'strategy' must be a list"),
    ],
)
def test_what_is_no_lock_is_refused_with_its_place(text: str, line: int | None, message: str) -> None:
    with pytest.raises(LockUnreadable) as caught:
        lock_text.read(text, "some.lock")
    assert message in str(caught.value)
    assert caught.value.places[0].file == "some.lock"
    assert caught.value.places[0].line == line


def test_the_line_is_right_behind_file_rows() -> None:
    text = lock_text.write(SMALL)
    broken = text + "what = = 1\n"
    with pytest.raises(LockUnreadable) as caught:
        lock_text.read(broken)
    assert caught.value.places[0].line == len(broken.splitlines())


@pytest.mark.parametrize("digest", ["zz", "", "ab" * 31, "AB" * 32, "ab" * 31 + " b", "zz" * 32, "ab" * 64])
@pytest.mark.parametrize("plain", [True, False])
def test_a_digest_is_a_sha256(digest: str, plain: bool) -> None:
    """Whether the rows are laid out as they are written or not; the file's own line is told."""
    files = (artifact("b-1.tar.gz"), artifact("b-1.zip"))
    text = lock_text.write(
        Lock(packages=(package("a", files=(artifact("a-1.zip"),)), package("b", files=files)))
    )
    if not plain:
        text = text.replace("    { name", "    {name")
    at = [n for n, line in enumerate(text.splitlines(), 1) if "b-1.zip" in line]
    begin = text.index(files[1].sha256, text.index('"b-1.zip"'))
    text = text[:begin] + digest + text[begin + 64 :]
    with pytest.raises(LockUnreadable) as caught:
        lock_text.read(text)
    (fault,) = caught.value.faults
    assert [fault.line] == at
    assert fault.message == f"b: {digest!r} of b-1.zip is no sha256 (64 lower-case hexadecimal digits)"


@pytest.mark.parametrize(
    "source",
    [
        'path = "x-1.zip", sha256 = "zz"',
        'url = "https://example.test/x-1.zip", sha256 = "zz"',
        'url = "https://example.test/x-1.zip"',
    ],
)
def test_so_it_is_of_a_source(source: str) -> None:
    text = f'format = 1\n[[package]]\nname = "a"\nversion = "1"\nsource = {{ {source} }}\n'
    with pytest.raises(LockUnreadable) as caught:
        lock_text.read(text)
    (fault,) = caught.value.faults
    assert (fault.line, "no sha256" in fault.message) == (5, True)


def test_all_faults_are_told_at_once() -> None:
    text = "format = 1\n" + "[[package]]\nname = 'a'\nsource = 1\n" * 2
    text += "[[package]]\nname = 'b'\nversion = '1'\nsource = {index = 'x'}\n" * 2
    with pytest.raises(LockUnreadable) as caught:
        lock_text.read(text)
    assert [fault.line for fault in caught.value.faults] == [2, 5, 12]
    assert "b: version 1 is locked twice" in caught.value.faults[2].message
    assert "(and 2 more)" in str(caught.value)


def test_without_rtoml_the_standard_library_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rtoml", None)
    again = runpy.run_path(lock_toml.__file__, run_name="lock_toml_again")
    assert again["_parse"] is tomllib.loads
    assert again["loads"](lock_text.write(SMALL)) == lock_toml.loads(lock_text.write(SMALL))
    for loads in (again["loads"], lock_toml.loads):
        with pytest.raises(ValueError) as caught:
            loads("a = 1\nb = = 2\n")
        assert caught.value.line == 2  # type: ignore[attr-defined]
        assert "line" not in str(caught.value)


CONFLICT = """\
format = 1

[[package]]
name = "idna"
<<<<<<< ours
version = "3.6"
||||||| base
version = "3.5"
=======
version = "3.7"
>>>>>>> theirs
source = { index = "pypi" }

[[package]]
name = "api"
version = "0.1"
source = { member = "packages/api" }
"""


def test_a_merge_conflict_is_told_apart_and_both_sides_are_had() -> None:
    with pytest.raises(LockConflicted) as caught:
        lock_text.read(CONFLICT)
    assert [place.line for place in caught.value.places] == [5]
    ours, theirs = sides(CONFLICT)
    assert [lock_text.read(side).packages[1].version for side in (ours, theirs)] == ["3.6", "3.7"]
    assert salvage(CONFLICT) == (("idna", (Preference("3.6", "pypi"), Preference("3.7", "pypi"))),)


def test_a_text_without_conflict_is_both_its_sides() -> None:
    text = lock_text.write(SMALL)
    assert places(text) == ()
    assert sides(text) == (text, text)
    assert salvage(text) == (("httpx", (Preference("0.28.1", "pypi"),)),)
    assert salvage("[[package]]\nname = 3 =\nversion\n") == ()


def test_git_merges_changes_of_two_people(tmp_path: Path) -> None:
    git = shutil.which("git")
    if git is None:
        pytest.skip("git is not installed")
    base = [package(name, files=(artifact(f"{name}-1.0.zip"),)) for name in ("b", "d", "f", "h")]
    member = package(
        "z", source=MemberSource("z"), dependencies=(Edge(NormalizedName("b")), Edge(NormalizedName("h")))
    )

    def text(*names: str) -> str:
        more = [package(name, files=(artifact(f"{name}-1.0.zip"),)) for name in names]
        edges = [Edge(NormalizedName(name)) for name in names]
        asking = replace(member, dependencies=(*member.dependencies, *edges))
        return lock_text.write(Lock(packages=(*base, *more, asking)))

    for name, content in (("base", text()), ("ours", text("c")), ("theirs", text("x"))):
        (tmp_path / name).write_text(content, encoding="utf-8")
    command = [git, "merge-file", "-p", "ours", "base", "theirs"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert done.stdout == text("c", "x")


def test_publishers_are_told_one_a_line_and_must_have_a_kind() -> None:
    publisher = publisher_of({"kind": "GitHub", "repository": "a/b", "environment": None, "claims": {"x": 1}})
    assert publisher == (("kind", "GitHub"), ("repository", "a/b"))
    package = LockedPackage(normalize("a"), "1", IndexSource("pypi"), publishers=(publisher,))
    text = lock_text.write(Lock(packages=(package,)))
    assert '\npublishers = [\n    { kind = "GitHub", repository = "a/b" },\n]\n' in text
    for wrong in ('[{ repository = "a/b" }]', "[3]", '"GitHub"'):
        head = text[: text.index("publishers = ")]
        with pytest.raises(LockUnreadable, match="publishers"):
            lock_text.read(f"{head}publishers = {wrong}\n")


def test_a_provenance_object_names_its_publishers() -> None:
    one = {"kind": "GitHub", "repository": "a/b", "workflow": "w.yml"}
    bundles = [{"publisher": each} for each in (one, {"kind": "Google", "email": "x@y.test"}, one, {}, 3)]
    found = publishers_in(json.dumps({"attestation_bundles": [*bundles, 4]}).encode())
    assert shown(found) == "GitHub a/b (w.yml) and Google x@y.test"
    for wrong in (b"", b"[]", b'{"attestation_bundles": {}}', b"\xff"):
        with pytest.raises(BadProvenance):
            publishers_in(wrong)


@given(locks, st.randoms(use_true_random=False))
def test_lines_of_packages_that_stay_are_taken_from_the_text(lock: Lock, dice: Random) -> None:
    text = lock_text.write(lock)
    back = lock_text.read(text)
    kept = dice.sample(back.packages, dice.randint(0, len(back.packages)))
    moved = tuple([replace(p, requires_python=">=3.99") if p in kept else p for p in back.packages])
    for changed in (back, replace(back, packages=moved), replace(back, packages=tuple(kept))):
        written = lock_text.Written()
        written.know(back, text)
        assert lock_text.write(changed, written) == lock_text.write(changed)
