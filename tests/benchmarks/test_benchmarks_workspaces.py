"""What is generated is the same each time, and pypm reads it without a fault."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from benchmarks.workspaces import (
    BACKENDS,
    WEB_PROJECT,
    Monorepo,
    Workload,
    add_dependency,
    import_names,
    member_names,
    write,
)
from pypm_workspace.discover import discover

pytestmark = pytest.mark.slow  # nobody edits the generator while the house is built

WORKLOADS = [
    WEB_PROJECT,
    Monorepo(1),
    Monorepo(12),
    Monorepo(5, everybody=("boto3", "fastapi")),
    Monorepo(40, "mixed", seed=3),
    Monorepo(11, "hatchling"),
    Monorepo(10, "setuptools"),
]


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.mark.parametrize("workload", WORKLOADS, ids=str)
def test_same_workload_same_bytes(workload: Workload, tmp_path: Path) -> None:
    write(workload, tmp_path / "a", "http://index.example.test/simple/")
    write(workload, tmp_path / "b", "http://index.example.test/simple/")
    assert bytes_of(tmp_path / "a") == bytes_of(tmp_path / "b")


@pytest.mark.parametrize("workload", WORKLOADS, ids=str)
def test_pypm_reads_it(workload: Workload, tmp_path: Path) -> None:
    write(workload, tmp_path)
    workspace = discover(tmp_path)
    names = {str(member.name) for member in workspace.members}
    if isinstance(workload, Monorepo):
        assert names == {"acme", *member_names(workload.members)}
        for name, module in zip(member_names(workload.members), import_names(workload), strict=True):
            assert (tmp_path / "packages" / name / "src" / module / "__init__.py").is_file()
    else:
        assert names == {workload.name}


@pytest.mark.parametrize("backend", [*BACKENDS, "mixed"])
def test_members_have_the_backend_that_was_asked_for(backend: str, tmp_path: Path) -> None:
    write(Monorepo(9, backend), tmp_path)
    found = {
        tomllib.loads(path.read_text())["build-system"]["build-backend"]
        for path in tmp_path.glob("packages/*/pyproject.toml")
    }
    assert found == (
        {BACKENDS[backend][1]} if backend in BACKENDS else {name for _, name in BACKENDS.values()}
    )


def test_members_depend_only_on_earlier_ones_and_uv_is_told_of_each(tmp_path: Path) -> None:
    write(Monorepo(60), tmp_path)
    names, edges = member_names(60), 0
    for at, name in enumerate(names):
        manifest = tomllib.loads((tmp_path / "packages" / name / "pyproject.toml").read_text())
        siblings = [each for each in manifest["project"]["dependencies"] if each.startswith("member-")]
        assert set(siblings) <= set(names[:at])
        assert set(manifest.get("tool", {}).get("uv", {}).get("sources", {})) == set(siblings)
        edges += len(siblings)
    assert edges > 30


def test_a_salt_changes_contents_and_nothing_else(tmp_path: Path) -> None:
    write(Monorepo(5), tmp_path / "a")
    write(Monorepo(5, salt="again"), tmp_path / "b")
    for name in member_names(5):
        a, b = ((tmp_path / side / "packages" / name / "pyproject.toml").read_text() for side in "ab")
        assert a != b
        first, second = tomllib.loads(a)["project"], tomllib.loads(b)["project"]
        assert first.pop("description") != second.pop("description") and first == second


@pytest.mark.parametrize("workload", [WEB_PROJECT, Monorepo(12)], ids=str)
def test_the_edit_adds_one_dependency(workload: Workload, tmp_path: Path) -> None:
    write(workload, tmp_path)
    before = bytes_of(tmp_path)
    add_dependency(workload, tmp_path, "tqdm>=4")
    after = bytes_of(tmp_path)
    (changed,) = [name for name in after if after[name] != before[name]]
    old, new = (tomllib.loads(side[changed].decode())["project"]["dependencies"] for side in (before, after))
    assert new == ["tqdm>=4", *old]
