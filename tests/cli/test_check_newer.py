"""`pypm check` of code that is newer than the Python that runs pypm."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from kit.transcripts import Stage, run
from kit.wheels import make_wheel
from pypm.ops.check import check
from pypm.ops.checks import newer
from pypm.ops.world import World
from pypm_env.finding import Places, survey
from pypm_env.interpreters import Interpreter

NEW = """\
import undeclared
type X = int
def f[T](x: T) -> str: return f"{x!r:{"a"}}"
"""


@pytest.fixture(scope="module")
def newest() -> Interpreter:
    found = [one for one in survey(Places()) if isinstance(one, Interpreter)]
    one = max(found, key=newer.minor_of)
    if newer.minor_of(one) <= sys.version_info[1] or newer.minor_of(one) < 12:
        pytest.skip("no newer Python here")
    return one


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with Stage(tmp_path / "stage") as made:
        yield made


def write(stage: Stage, requires_python: str, **files: str) -> None:
    manifest = f'[project]\nname = "app"\nversion = "1"\nrequires-python = "{requires_python}"\n'
    (stage.root / "pyproject.toml").write_text(manifest)
    folder = stage.root / "app"
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / f"{name}.py").write_text(text)
        os.utime(folder / f"{name}.py", (1, 1))


def checked(stage: Stage, *words: str, code: int) -> str:
    done = run(["pypm", "check", *words], stage.root, stage.environ)
    assert done.returncode == code, done.stdout
    return str(done.stdout)


def test_it_is_read_by_a_python_that_knows_it(stage: Stage, newest: Interpreter) -> None:
    stage.environ["PATH"] += os.pathsep + os.path.dirname(newest.path)
    write(stage, f">=3.{newer.minor_of(newest)}", __init__=NEW, other=NEW.replace("undeclared", "missing"))
    said = checked(stage, "imports", code=1)
    assert "app/__init__.py:1:1: error[undeclared-import]: `app` imports `undeclared`" in said
    assert "app/other.py:1:1: error[undeclared-import]: `app` imports `missing`" in said
    assert "syntax" not in checked(stage, "pythons", code=0)


def test_what_an_older_python_of_the_member_does_not_know_is_told(stage: Stage, newest: Interpreter) -> None:
    stage.environ["PATH"] += os.pathsep + os.path.dirname(newest.path)
    write(stage, ">=3.11", __init__=NEW)
    assert "app/__init__.py:2:" in (said := checked(stage, "pythons", code=1)) and "newer-syntax" in said


def test_one_process_reads_all_and_a_second_run_none(
    stage: Stage, newest: Interpreter, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.environ["PATH"] += os.pathsep + os.path.dirname(newest.path)
    write(stage, ">=3.11", __init__=NEW, other=NEW, torn="import (\n", fine="import json\n")
    asked: list[list[str]] = []
    real = newer.read_by

    def counted(interpreter: Interpreter, files: list[tuple[str, int]]) -> list[list[object]]:
        asked.append(sorted(os.path.basename(path) for path, _ in files))
        return real(interpreter, files)

    monkeypatch.setattr(newer, "read_by", counted)
    world = World(stage.root, stage.environ)
    first = check(world, ("imports", "pythons"))
    assert asked == [["__init__.py", "other.py", "torn.py"]]
    assert check(world, ("imports", "pythons")) == first
    assert len(asked) == 1, "also what no Python reads is remembered"


def test_without_such_a_python_it_is_said_and_is_no_clean_bill(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(newer, "survey", lambda places, cache: iter(()))
    write(stage, ">=3.15", __init__="import undeclared\nnothing knows this yet\n")
    for name in ("imports", "pythons", "unused"):
        report = check(World(stage.root, stage.environ), (name,))
        ((_, finding),) = report.findings
        assert (finding.code, str(finding.place)) == ("unreadable-source", "app/__init__.py:2:9")
        assert "install Python 3.15" in finding.message
        assert (report.errors, report.open) == (0, 1)


def test_code_that_no_python_reads_is_an_error_once(stage: Stage) -> None:
    write(stage, ">=3.11", __init__="import json\nprint(\n")
    said = checked(stage, "imports", "pythons", "unused", code=1)
    assert said.count("app/__init__.py:2:6: error[invalid-syntax]: the syntax is not valid") == 1


def test_names_in_texts_of_newer_code_count(stage: Stage, newest: Interpreter) -> None:
    """Frameworks import by texts: a dependency that is named in one is not called unused."""
    stage.environ["PATH"] += os.pathsep + os.path.dirname(newest.path)
    assert stage.server.folder is not None
    for name in ("named", "spare"):
        make_wheel(stage.server.folder, name, "1.0", files={f"{name}/__init__.py": ""})
    write(stage, ">=3.11", __init__=NEW.replace("undeclared", "json") + 'apps = ["named"]\n')
    with open(stage.root / "pyproject.toml", "a") as file:
        file.write('dependencies = ["named", "spare"]\n')
    assert run(["pypm", "sync", "-q"], stage.root, stage.environ).returncode == 0
    said = checked(stage, "unused", code=1)
    assert "`spare`" in said and "`named`" not in said
