"""``exec`` and ``run`` with nothing to sync: the short way there does what the long way does, and is left
when anything has changed."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from kit.transcripts import Stage, run
from kit.wheels import make_project

pytestmark = [pytest.mark.slow, pytest.mark.skipif(os.name == "nt", reason="no process is replaced there")]

PREFIX = "import os, sys; print(sys.prefix, os.getcwd(), sys.argv[1:])"
TASKS = """
[tasks.where]
command = "pwd; echo $GREETING $VIRTUAL_ENV; printf '[%s]'"
env = { GREETING = "hello there" }
scope = "workspace"

[tasks.each]
command = "pwd"

[tasks.all]
needs = ["where"]

[tasks.ends]
command = "exit 3"
scope = "workspace"

[tasks.nested]
command = "PYPM exec pwd && PYPM run where"
scope = "workspace"
"""


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with Stage(tmp_path / "stage") as made:
        write(made.root)
        for name in ("m0", "m1"):
            folder = make_project(
                made.root / "packages" / name, name, "1.0", requires_python=">=3.11", backend="in-tree"
            )
            (folder / "sub").mkdir()
        (made.root / "packages/m1/pyproject.toml").open("a").write(
            "\n[dependency-groups]\ndev = []\n[tool.pypm.tasks.own]\ncommand = 'echo own'\n"
        )
        (made.root / "hello.py").write_text("print('hello')\n")
        yield made


def write(root: Path, settings: str = "", tasks: str = TASKS) -> None:
    tasks = tasks.replace("PYPM", f"{sys.executable} -m pypm")
    (root / "pypm-workspace.toml").write_text(f'[workspace]\nmembers = ["packages/*"]\n{settings}{tasks}')


def ended(stage: Stage, folder: str, *words: str) -> tuple[int, str]:
    done = run(["pypm", *words], stage.root / folder, stage.environ)
    return done.returncode, stage.plain(done.stdout)


def forget(root: Path) -> None:
    """Takes all stamps away."""
    for name in ("pypm.stamp", "pypm.tasks"):
        (root / ".venv" / name).unlink(missing_ok=True)
    shutil.rmtree(root / ".pypm", ignore_errors=True)


def is_short(stage: Stage, folder: str, *words: str) -> bool:
    """Whether a run that is over soon loads no face of pypm."""
    program = "from pypm._entry import program; program()"
    argv = [sys.executable, "-X", "importtime", "-c", program, *words]
    done = run(argv, stage.root / folder, stage.environ)
    assert "pypm._stamp" in done.stdout, done.stdout
    return "pypm.cli.main" not in done.stdout


SHARED = [
    (".", "exec python -c|" + PREFIX + "|a b|-p|--", True),
    ("packages/m0/sub", "exec|python|-c|" + PREFIX, True),
    (".", "exec|--frozen|-q|--|pwd", True),
    (".", "exec|--no-sync|pwd", False),
    (".", "exec|-p|m1|python|-c|" + PREFIX, True),
    (".", "exec|--member=m1|--group|dev|pwd", True),
    ("packages", "exec|-p|./m0|pwd", False),
    (".", "exec|-p|m*|pwd", False),
    (".", "exec|sh|-c|exit 7", True),
    (".", "exec|nonesuch", False),
    (".", "exec|-p|nobody|pwd", False),
    (".", "exec|--group|nogroup|pwd", False),
    (".", "exec|./hello.py", False),
    (".", "run|pwd", True),
    ("packages/m0/sub", "run|python|-c|" + PREFIX + "|a b", True),
    (".", "run|where", True),
    ("packages/m1", "run|where|a b|it's|$HOME||-x=~", True),
    (".", "run|-q|where", True),
    (".", "run|own", True),
    (".", "run|ends", True),
    (".", "run|nested", True),
    (".", "run|-j1|each", False),
    (".", "run|-j1|all", False),
    (".", "run|-p|m0|each", False),
    (".", "run|-p|m0|own", False),
    (".", "run|hello.py", False),
    (".", "run|nonesuch", False),
    (".", "run", False),
]


def words_of(line: str) -> list[str]:
    first, *others = line.split("|")
    return [*first.split(" "), *others]


def test_both_ways_end_alike(stage: Stage) -> None:
    assert ended(stage, ".", "sync")[0] == 0
    for folder, line, short in SHARED:
        words = words_of(line)
        ended(stage, folder, *words)
        forget(stage.root)
        long = ended(stage, folder, *words)
        assert ended(stage, folder, *words) == long, line
        if short:
            assert ended(stage, folder, *words) == long, line
            assert is_short(stage, folder, *words), line


def test_what_changes_is_noticed(stage: Stage) -> None:
    root = stage.root
    assert ended(stage, ".", "run", "-q", "each")[0] == 0
    assert ended(stage, ".", "run", "-q", "true") == (0, "")
    assert is_short(stage, ".", "run", "-q", "true")
    write(root, tasks=TASKS + "[tasks.true]\ncommand = 'echo a task now'\nscope = 'workspace'\n")
    assert ended(stage, ".", "run", "-q", "true") == (0, "a task now\n")
    assert ended(stage, ".", "run", "-q", "true") == (0, "a task now\n")
    write(root)
    assert ended(stage, ".", "run", "-q", "true") == (0, "")
    member = root / "packages/m1/pyproject.toml"
    member.write_text(member.read_text().replace("echo own", "echo other"))
    assert ended(stage, "packages/m0", "run", "-q", "own") == (0, "other\n")
    make_project(root / "packages/m2", "m2", "1.0", requires_python=">=3.11", backend="in-tree")
    (root / "packages/m2/pyproject.toml").open("a").write("[tool.pypm.tasks.own]\ncommand = 'echo second'\n")
    code, said = ended(stage, ".", "run", "-j1", "own")
    assert code == 0 and "m1:own | other" in said and "m2:own | second" in said
    shutil.rmtree(root / ".venv")
    code, said = ended(stage, ".", "exec", "pwd")
    assert code == 0 and "Synced [ROOT]/.venv" in said
    (root / "pypm-workspace.toml").write_text("[workspace\n")
    for words in (["exec", "true"], ["run", "true"], ["run", "where"]):
        code, said = ended(stage, ".", *words)
        assert code == 2 and "pypm-workspace.toml" in said, (words, said)


def test_where_nothing_is_shared_it_is_the_member_s_one(stage: Stage) -> None:
    write(stage.root, "shared-environment = false\n")
    here = ["exec", "python", "-c", PREFIX]
    code, said = ended(stage, "packages/m0/sub", *here)
    assert code == 0 and said.endswith("[ROOT]/packages/m0/.venv [ROOT]/packages/m0/sub []\n")
    for folder, member in (("packages/m0/sub", "m0"), ("packages/m1", "m1")):
        long = ended(stage, folder, *here)[1].splitlines()[-1]
        assert long == f"[ROOT]/packages/{member}/.venv [ROOT]/{folder} []"
        assert ended(stage, folder, *here) == (0, long + "\n")
        assert is_short(stage, folder, "exec", "true")
    assert ended(stage, ".", "run", "-q", "-p", "m1", "own") == (0, "own\n")
    assert ended(stage, ".", "exec", "true")[0] == 2
    assert ended(stage, "packages/m0", "run", "-q", "pwd") == (0, "[ROOT]/packages/m0\n")
    write(stage.root)
    code, said = ended(stage, "packages/m0/sub", *here)
    assert code == 0 and said.endswith("[ROOT]/.venv [ROOT]/packages/m0/sub []\n")


def test_a_workspace_made_above_a_project_is_noticed(stage: Stage) -> None:
    workspace = stage.root / "pypm-workspace.toml"
    text = workspace.read_text()
    workspace.unlink()
    here = ["exec", "python", "-c", PREFIX]
    assert ended(stage, "packages/m0", "sync")[0] == 0
    assert ended(stage, "packages/m0", *here) == (0, "[ROOT]/packages/m0/.venv [ROOT]/packages/m0 []\n")
    assert ended(stage, "packages/m0", "run", "pwd") == (0, "[ROOT]/packages/m0\n")
    workspace.write_text(text)
    assert ended(stage, "packages/m0", *here)[1].endswith("[ROOT]/.venv [ROOT]/packages/m0 []\n")
    workspace.unlink()
    uv = '[project]\nname = "top"\nversion = "1"\nrequires-python = ">=3.11"\n'
    (stage.root / "pyproject.toml").write_text(uv)
    assert ended(stage, "packages/m0", *here)[1].endswith("[ROOT]/packages/m0/.venv [ROOT]/packages/m0 []\n")
    (stage.root / "pyproject.toml").write_text(
        uv + '[tool.uv.workspace]\nmembers = ["packages/*"]\n[tool.uv]\npackage = false\n'
    )
    assert ended(stage, "packages/m0", *here)[1].endswith("[ROOT]/.venv [ROOT]/packages/m0 []\n")


def test_options_that_choose_the_python_choose_it(stage: Stage) -> None:
    """``--python`` names an environment as it does for a sync: that of another is made anew."""
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    assert ended(stage, ".", "sync")[0] == 0
    code, said = ended(stage, ".", "exec", "--python", version, "sh", "-c", "echo $PYPM_PYTHON")
    assert code == 0 and said.splitlines()[-1] == version
    code, said = ended(stage, ".", "exec", "--python", "3.1", "true")
    assert code == 2 and "no-python" in said, "the stamp of another python holds for none"


def test_a_writer_ends_with_its_reader(stage: Stage) -> None:
    """Python ignores SIGPIPE; what it becomes does not."""
    for words in ("exec yes", "run yes"):
        for _ in range(2):
            argv = ["sh", "-c", f"{{ {sys.executable} -m pypm {words}; echo ended $? >&2; }} | head -n1"]
            done = run(argv, stage.root, stage.environ)
            assert "y\n" in done.stdout and "ended 141" in done.stdout, done.stdout
            assert "roken pipe" not in done.stdout
