"""What a requirement's address has before its ``@`` is in nothing that pypm prints or writes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from kit.transcripts import Stage, run
from kit.wheels import make_wheel

pytestmark = pytest.mark.slow

SECRET = "hunter2"
MANIFESTS = {"pyproject.toml", "pypm-workspace.toml"}
GONE = f"http://bob:{SECRET}@127.0.0.1:1/idna-1-py3-none-any.whl"


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with Stage(tmp_path / "stage") as made:
        assert made.server.folder is not None
        make_wheel(made.server.folder, "idna", "3.6")
        yield made


def ask(stage: Stage, requirement: str, extra: str = "") -> None:
    (stage.root / "pyproject.toml").write_text(
        f'[project]\nname = "app"\nversion = "1.0"\nrequires-python = ">=3.11"\n'
        f'dependencies = ["{requirement}"]\n{extra}'
    )


def address(stage: Stage) -> str:
    return stage.server.url_of("idna-3.6-py3-none-any.whl").replace("://", f"://bob:{SECRET}@")


def pypm(stage: Stage, *arguments: str) -> tuple[int, str]:
    """Its exit code and output, in which there is no secret; nor is one in any file but the manifests."""
    done = run(["pypm", *arguments], stage.root, stage.environ)
    assert SECRET not in done.stdout
    places = (place for folder in (stage.root, stage.home) for place in folder.rglob("*"))
    files = [each for each in places if each.is_file() and each.name not in MANIFESTS]
    assert [each for each in files if SECRET.encode() in each.read_bytes()] == []
    return done.returncode, done.stdout


def test_what_goes_well(stage: Stage) -> None:
    ask(stage, f"idna @ {address(stage)}")
    commands = (
        "lock", "sync", "lock --check", "why idna", "why idna --json", "tree --json", "graph --json",
        "ls --json", "export", "export --json", "outdated", "check", "ci", "sbom", "doctor --json",
    )  # fmt: skip
    for command in commands:
        code, output = pypm(stage, *command.split())
        assert code == 0, output
    assert f"idna @ {stage.server.url_of('idna-3.6-py3-none-any.whl')} " in pypm(stage, "why", "idna")[1]


@pytest.mark.parametrize(
    "requirement, extra, shown",
    [
        (f"idna @ {GONE}", "", '"idna @ http://****@127.0.0.1:1/idna-1-py3-none-any.whl"'),
        (f"idna @ git+http://bob:{SECRET}@127.0.0.1:1/idna", "", "git+http://****@127.0.0.1:1/idna"),
        (f"idna @ {GONE} ; foo", "", "'idna @ http://****@127.0.0.1:1/idna-1-py3-none-any.whl ; foo'"),
        (f"idna @ ftp://{SECRET}@127.0.0.1/x", "", "ftp://****@127.0.0.1/x"),
        (f"idna @ http://bob:p@ss{SECRET}@127.0.0.1:1/x.whl ; foo", "", "http://****@127.0.0.1:1/x.whl"),
        (
            "idna",
            f'[tool.pypm.sources]\nidna = {{ git = "http://bob:{SECRET}@127.0.0.1/x", bran = "b" }}\n',
            'git = "http://****@127.0.0.1/x"',
        ),
    ],
)
def test_what_does_not(stage: Stage, requirement: str, extra: str, shown: str) -> None:
    ask(stage, requirement, extra)
    code, output = pypm(stage, "lock")
    assert code and shown in output, output
    code, output = pypm(stage, "lock", "--json")
    assert code and '{"error": ' in output


def test_a_caret_stays_where_it_belongs(stage: Stage) -> None:
    (stage.root / "pypm-workspace.toml").write_text(
        f'[workspace]\nmembers = []\n[sources]\nidna = {{ url = "{GONE}", bran = "b" }}\n'
    )
    code, output = pypm(stage, "lock")
    line, below = next(
        (line, below)
        for line, below in zip(output.splitlines(), output.splitlines()[1:], strict=False)
        if "****@" in line
    )
    assert code == 2 and line[below.index("^") :].startswith('bran = "b"'), output


def test_what_is_added(stage: Stage) -> None:
    for arguments in (
        ["add", f"idna @ {address(stage)}"],
        ["add", address(stage)],
        ["add", "idna", "--url", address(stage)],
    ):
        ask(stage, "idna")
        code, output = pypm(stage, *arguments)
        written = (stage.root / "pyproject.toml").read_text()
        assert code == 0 and SECRET not in written and stage.server.origin in written, output
    code, output = pypm(stage, "add", "idna", "--git", f"https://{SECRET}@127.0.0.1:1/x")
    assert code == 1
    code, output = pypm(stage, "add", f"idna @ {GONE} ; foo")
    assert code == 2 and "****@" in output
