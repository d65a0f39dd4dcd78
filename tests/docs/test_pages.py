"""Every page: links lead somewhere, commands exist as they are spelled, settings shown are settings."""

from __future__ import annotations

import importlib
import importlib.util
import re
import shlex
import tomllib
from pathlib import Path

import pytest

from pypm._verbs import ALIASES, COMMON_FLAGS, COMMON_OPTIONS, VERBS
from pypm.cli.arguments import Command, Group, UsageError, read
from pypm_workspace.faults import Complaints
from pypm_workspace.settings import read_workspace_file
from pypm_workspace.tables import WorkspaceFile, kebab

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = [*sorted(DOCS.rglob("*.md")), ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md"]
IDS = [path.relative_to(ROOT).as_posix() for path in PAGES]

_link = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
_fence = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_heading = re.compile(r"^#+ (.+)$", re.MULTILINE)
_host = re.compile(r"\b(?:https?|ssh)://(?:[^\s/@`\"]+@)?([^\s/:`\"')]+)")
_machine_path = re.compile(r"(?<![\w.])/(?:tmp|root|work|home|Users|opt|var)/")
_separators = {"&&", "||", "|", ";"}


def prose(text: str) -> str:
    """*text* without its code blocks."""
    return _fence.sub("", text)


def blocks(text: str, language: str) -> list[str]:
    return [body for found, body in _fence.findall(text) if found == language]


def anchors(text: str) -> set[str]:
    """The fragments of the headings, as a Markdown viewer makes them."""
    made = (
        re.sub(r"[^\w\- ]", "", heading.replace("`", "").lower()) for heading in _heading.findall(prose(text))
    )
    return {heading.strip().replace(" ", "-") for heading in made}


def commands(text: str) -> list[list[str]]:
    """The words of every pypm command in the console blocks of *text*, without the program's name."""
    found = []
    for block in blocks(text, "console"):
        for line in block.replace("\\\n", " ").splitlines():
            if not line.startswith("$ "):
                continue
            lexer = shlex.shlex(line[2:], posix=True, punctuation_chars="|&;")
            lexer.whitespace_split = True
            words: list[str] = []
            for word in [*lexer, ";"]:
                if word not in _separators:
                    words.append(word)
                    continue
                while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
                    words.pop(0)
                if words and words[0].rsplit("/", 1)[-1] == "pypm":
                    found.append(words[1:])
                elif words[:2] == ["python3", "tools/bootstrap.py"]:
                    found.append(words[2:] or ["sync"])
                words = []
    return found


def check_command(words: list[str]) -> None:
    """Parses one command line as pypm would, running nothing. Raises UsageError or AssertionError."""
    rest = list(words)
    common: list[str] = []
    while rest and rest[0].split("=")[0] in COMMON_FLAGS | COMMON_OPTIONS:
        common.append(rest.pop(0))
        if common[-1] in COMMON_OPTIONS:
            common.append(rest.pop(0))
    verb = rest.pop(0) if rest else "help"
    if verb in ("version", "--version", "help", "--help"):
        assert all(name in {**VERBS, **ALIASES} for name in rest), words
        return
    verb = ALIASES.get(verb, verb)
    assert verb in VERBS, f"no command {verb!r}"
    command: Command | Group = importlib.import_module(f"pypm.cli.verbs.{VERBS[verb][0]}").command
    if isinstance(command, Group):
        name = rest.pop(0)
        assert name in command.commands, f"no command {verb} {name}"
        command = command.commands[name]
    read(command, [*common, *rest])


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_links_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for link in _link.findall(prose(text)):
        path, _, fragment = link.partition("#")
        assert "://" not in link, f"{link}: pages link to pages of this repository"
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert ROOT in target.parents, link
        if fragment:
            assert fragment in anchors(target.read_text(encoding="utf-8")), link


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_commands_are_spelled_as_they_are_taken(page: Path) -> None:
    for words in commands(page.read_text(encoding="utf-8")):
        try:
            check_command(words)
        except UsageError as error:
            pytest.fail(f"pypm {shlex.join(words)}: {error}")


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_settings_that_are_shown_are_settings(page: Path) -> None:
    tables = {kebab(name) for name in WorkspaceFile.model_fields}
    for body in blocks(page.read_text(encoding="utf-8"), "toml"):
        document = tomllib.loads(body)
        if not document.keys() <= tables:
            continue  # a lock or a project's manifest
        complaints = Complaints("pypm-workspace.toml", body)
        read_workspace_file(document, root="/", complaints=complaints)
        assert complaints.faults() == ()


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_no_page_names_a_machine(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    hosts = {host for host in _host.findall(text) if host != "127.0.0.1"}
    assert {host for host in hosts if host != "example.test" and not host.endswith(".example.test")} == set()
    assert _machine_path.findall(text) == []


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_no_page_holds_both_sides_of_a_merge(page: Path) -> None:
    marks = ("<" * 7 + " ", "=" * 7 + "\n", ">" * 7 + " ")
    lines = page.read_text(encoding="utf-8").splitlines(keepends=True)
    assert [line for line in lines if line.startswith(marks)] == []


def test_every_page_can_be_found_from_the_first() -> None:
    reached: set[Path] = set()
    waiting = [DOCS / "README.md"]
    while waiting:
        page = waiting.pop()
        if page in reached:
            continue
        reached.add(page)
        for link in _link.findall(prose(page.read_text(encoding="utf-8"))):
            target = (page.parent / link.partition("#")[0]).resolve()
            if target.suffix == ".md" and DOCS in target.parents:
                waiting.append(target)
    assert {page for page in PAGES if DOCS in page.parents} - reached == set()


def test_every_decision_is_listed() -> None:
    folder = DOCS / "explanation" / "decisions"
    numbered = sorted(path.name for path in folder.glob("[0-9]*.md"))
    assert [name[:4] for name in numbered] == [f"{n:04}" for n in range(1, len(numbered) + 1)]
    listed = re.findall(
        r"^\| \[\d+\]\(([^)]+)\)", (folder / "README.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert listed == numbered
    for name in numbered:
        text = (folder / name).read_text(encoding="utf-8")
        assert text.startswith(f"# {name[:4]}: ")
        assert all(f"**{part}.**" in text for part in ("Context", "Decision", "Consequence"))


def test_every_change_fragment_is_one_sentence() -> None:
    for path in sorted((ROOT / "changes").glob("*.md")):
        if path.name == "README.md":
            continue
        assert re.fullmatch(r"[a-z0-9-]+\.(added|changed|fixed|security)\.md", path.name), path.name
        lines = path.read_text(encoding="utf-8").splitlines()
        assert len(lines) == 1 and lines[0].endswith("."), path.name


@pytest.mark.parametrize(
    "line",
    [
        "snyc",
        "sync --frozne",
        "cache sizes",
        "add",
        "ci extra",
        "self",
        "help nothing",
        "tree --depth many",
    ],
)
def test_a_wrong_command_would_be_noticed(line: str) -> None:
    (words,) = commands(f"```console\n$ pypm {line}\n```\n")
    with pytest.raises((UsageError, AssertionError, IndexError)):
        check_command(words)


def test_commands_are_found_in_console_blocks() -> None:
    text = (
        "```console\n$ cd x && PYPM_OFFLINE=1 .venv/bin/pypm run test | head\nwritten by pypm lock\n"
        "$ python3 tools/bootstrap.py lock --check  # and more\n"
        "$ pypm add \\\n  'a>=1; python_version < \"3\"'\n```\n"
        "```text\n$ pypm nothing\n```\n"
    )
    assert commands(text) == [
        ["run", "test"],
        ["lock", "--check"],
        ["add", 'a>=1; python_version < "3"'],
    ]
