"""The generated reference is what the code says now; the pages written by hand leave nothing out."""

from __future__ import annotations

import importlib.util
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from pypm._verbs import ALIASES, VERBS
from pypm_workspace.faults import Complaints
from pypm_workspace.settings import read_workspace_file

ROOT = Path(__file__).resolve().parents[2]
REFERENCE = ROOT / "docs" / "reference"
_code = re.compile(r'^    code(?:: ClassVar\[str\])? = "([a-z0-9-]+)"', re.MULTILINE)
_variable = re.compile(r'environ(?:\.get\(|\[)\s*"([A-Z][A-Z0-9_]+)"|"(PYPM?_[A-Z_]+[A-Z])"')
_not_for_users = {"PYPM_OLD_PATH", "PYPM_OLD_HOME", "PYPM_OLD_PROMPT", "PYPM_OLD_PS"}
"""What activation scripts save for themselves."""
BASES = {"index"}
"""Codes of errors that only give their fields to others."""


def sources() -> Iterator[Path]:
    for pattern in ("packages/*/src", "tools/*/src"):
        for folder in sorted(ROOT.glob(pattern)):
            yield from sorted(folder.rglob("*.py"))


@pytest.fixture(scope="module")
def generate() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_generate", ROOT / "docs" / "generate.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def pages(generate: ModuleType) -> dict[str, str]:
    made: dict[str, str] = generate.pages()
    return made


@pytest.mark.slow
@pytest.mark.parametrize("name", ["commands.md", "settings.md", "error-codes.md", "doctor-checks.md"])
def test_a_generated_page_is_current(name: str, pages: dict[str, str]) -> None:
    assert (REFERENCE / name).read_text(encoding="utf-8") == pages[name], "run python docs/generate.py"


@pytest.mark.slow
def test_every_generated_page_is_tested_here(pages: dict[str, str]) -> None:
    assert pages.keys() == {"commands.md", "settings.md", "error-codes.md", "doctor-checks.md"}


@pytest.mark.slow
def test_every_command_and_alias_has_its_place(pages: dict[str, str]) -> None:
    page = pages["commands.md"]
    assert re.findall(r"^## (\S+)$", page, re.MULTILINE) == list(VERBS)
    assert all(f"`{alias}` for `{verb}`" in page for alias, verb in ALIASES.items())


@pytest.mark.slow
def test_every_option_of_every_command_is_told(generate: ModuleType, pages: dict[str, str]) -> None:
    for verb in VERBS:
        command = generate.command_of(verb)
        section = pages["commands.md"].split(f"\n## {verb}\n")[1].split("\n## ")[0]
        common = pages["commands.md"].split("## Common options")[1].split("\n## ")[0]
        for each in [] if command is None else [command, *getattr(command, "commands", {}).values()]:
            for option in getattr(each, "options", ()):
                assert all(f"`{flag}`" in section + common for flag in option.flags), (verb, option.flags)


def test_every_error_code_in_the_sources_is_told() -> None:
    """Found by the text of the sources, so that an error the generator overlooks is noticed."""
    found = {code for path in sources() for code in _code.findall(path.read_text(encoding="utf-8"))}
    page = (REFERENCE / "error-codes.md").read_text(encoding="utf-8")
    told = set(re.findall(r"^\| `([a-z0-9-]+)` \| \d+ \|", page, re.MULTILINE))
    assert len(found) > 50
    assert found - BASES == told - {"usage", "system", "internal"}


def test_every_variable_in_the_sources_is_told() -> None:
    page = (REFERENCE / "environment-variables.md").read_text(encoding="utf-8")
    told = set(re.findall(r"`([A-Z][A-Z0-9_]+)`", page))
    found = {
        first or second
        for path in sources()
        for first, second in _variable.findall(path.read_text(encoding="utf-8"))
    }
    assert {"PYPM_CACHE_DIR", "PYP_WORKSPACE_ROOT", "NETRC"} <= found
    assert found - told - _not_for_users == set()


def test_every_flag_with_a_variable_is_beside_it() -> None:
    flags = re.findall(
        r'option\("(--[a-z-]+)".*?\[(PYPM_[A-Z_]+)\]',
        (ROOT / "tools/pypm/src/pypm/cli/options.py").read_text("utf-8"),
    )
    page = (REFERENCE / "environment-variables.md").read_text(encoding="utf-8")
    assert flags
    for flag, variable in flags:
        assert f"| `{variable}` | `{flag}` |" in page


@pytest.mark.slow
def test_a_setting_without_a_sentence_stops_the_generator(
    generate: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    sentences = {key: text for key, text in generate.SETTINGS.items() if key != "workspace.members"}
    monkeypatch.setattr(generate, "SETTINGS", sentences)
    with pytest.raises(SystemExit, match=r"workspace\.members"):
        generate.settings()


@pytest.mark.parametrize(
    "key, text, number",
    [
        ("max-steps", 'max-steps = "1"', "max-steps = 1"),
        ("cooldown.period", 'cooldown = "1 day"', "cooldown = 1"),
    ],
)
def test_a_setting_is_of_the_type_that_is_told(key: str, text: str, number: str) -> None:
    (kind,) = re.findall(
        rf"^\| `resolution\.{re.escape(key)}` \| (\w+) \|",
        (REFERENCE / "settings.md").read_text(encoding="utf-8"),
        re.MULTILINE,
    )
    taken = []
    for name, line in (("string", text), ("integer", number)):
        complaints = Complaints("pypm-workspace.toml", line)
        read_workspace_file({"resolution": tomllib.loads(line)}, root="/", complaints=complaints)
        taken += [] if complaints.faults() else [name]
    assert taken == [kind]


@pytest.mark.slow
def test_a_stale_page_is_named_and_not_written_by_a_check(
    generate: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(generate, "REFERENCE", tmp_path)
    monkeypatch.setattr(generate, "pages", lambda: {"commands.md": "new\n", "settings.md": "same\n"})
    (tmp_path / "commands.md").write_text("old\n", encoding="utf-8")
    (tmp_path / "settings.md").write_text("same\n", encoding="utf-8")
    assert generate.main(["--check"]) == 1
    assert capsys.readouterr().out == "docs/reference/commands.md: stale\n"
    assert (tmp_path / "commands.md").read_text(encoding="utf-8") == "old\n"
    assert generate.main([]) == 0
    assert (tmp_path / "commands.md").read_text(encoding="utf-8") == "new\n"
    assert generate.main(["--check"]) == 0
