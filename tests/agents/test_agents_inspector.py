"""The official inspector's command line, fetched from npm: another client than the one we build on."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from kit.agents import environ_of
from kit.transcripts import Stage, pypm

NPX = shutil.which("npx")
INSPECTOR = ("-y", "@modelcontextprotocol/inspector", "--cli")


@pytest.mark.network
@pytest.mark.slow
@pytest.mark.skipif(NPX is None, reason="npx is not here")
def test_the_inspector_gets_answers(stage: Stage, tmp_path: Path) -> None:
    assert NPX is not None
    npx = NPX
    # Not the stage's home: npm keeps what it fetches where the next test finds it.
    environ = {**environ_of(stage), "HOME": str(Path.home())}

    def ask(method: str, *words: str) -> Any:
        argv = [npx, *INSPECTOR, *pypm("mcp"), "--method", method, *words]
        done = subprocess.run(argv, cwd=stage.root, env=environ, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    names = [tool["name"] for tool in ask("tools/list")["tools"]]
    assert "what_if" in names and "add" not in names
    found = ask("tools/call", "--tool-name", "why", "--tool-arg", "name=idna")
    assert found["structuredContent"]["answer"]["paths"] and not found.get("isError")
    assert "pypm://member/a" in [each["uri"] for each in ask("resources/list")["resources"]]
