"""Servers for agents, as real processes, with the SDK's own client at the other end.

    async with stdio(stage, "--allow-write") as client: ...
    with HttpServer(stage) as server:
        async with server.client() as client: ...

``python -m kit.agents`` writes anew the list of tools that `tests/agents/test_agents_tools.py` compares with:
to be read before it is kept.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx2
from mcp import Client
from mcp.client.stdio import StdioServerParameters
from mcp.client.streamable_http import streamable_http_client

from kit.transcripts import Stage, pypm

TOOLS = Path(__file__).parents[1] / "agents" / "tools.txt"


def environ_of(stage: Stage, **more: str) -> dict[str, str]:
    """Variables for a server; its memory is below the stage's home."""
    return {**stage.environ, "PYPM_HOME": str(stage.home / ".pypm"), **more}


@asynccontextmanager
async def stdio(stage: Stage, *words: str, mode: str = "auto", **environ: str) -> AsyncIterator[Client]:
    """A client of ``pypm mcp WORDS`` in the stage's workspace."""
    command, *arguments = pypm("mcp", *words)
    parameters = StdioServerParameters(
        command=command, args=arguments, cwd=stage.root, env=environ_of(stage, **environ)
    )
    async with Client(parameters, mode=mode) as client:
        yield client


class HttpServer:
    """``pypm mcp --http`` on a free port, with the token it made; a context manager."""

    def __init__(self, stage: Stage, *words: str, **environ: str) -> None:
        self.stage = stage
        self._words = words
        self.environ = environ
        self.url = ""
        self.token = ""

    def __enter__(self) -> HttpServer:
        self.process = subprocess.Popen(
            pypm("mcp", "--http", ":0", *self._words),
            cwd=self.stage.root,
            env=environ_of(self.stage, **self.environ),
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stderr is not None
        self.url = self.process.stderr.readline().removeprefix("Serving ").strip()
        self.token = self.process.stderr.readline().removeprefix("Authorization: Bearer ").strip()
        assert self.url.startswith("http://127.0.0.1:"), self.url
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.terminate()
        self.process.communicate(timeout=30)

    @asynccontextmanager
    async def client(self, mode: str = "auto") -> AsyncIterator[Client]:
        """A client that shows the token."""
        headers = {"Authorization": f"Bearer {self.token}"}
        async with httpx2.AsyncClient(headers=headers, timeout=60) as http:
            transport = streamable_http_client(self.url, http_client=http)
            async with Client(transport, mode=mode) as client:
                yield client


async def answer(client: Client, tool: str, **arguments: Any) -> Any:
    """What *tool* answers, which has to be no error."""
    result = await client.call_tool(tool, arguments)
    assert not result.is_error, result.structured_content
    return result.structured_content


async def error(client: Client, tool: str, **arguments: Any) -> dict[str, Any]:
    """The error that *tool* answers."""
    result = await client.call_tool(tool, arguments)
    assert result.is_error, result.structured_content
    found: dict[str, Any] = result.structured_content["error"]
    assert {"code", "message", "hint", "places"} <= found.keys()
    return found


def children(pid: int) -> list[int]:
    """The processes that *pid* and those below it have started (Linux)."""
    parents: dict[int, list[int]] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if fields[0] != "Z":
                parents.setdefault(int(fields[1]), []).append(int(folder.name))
    return list(_below(pid, parents))


def _below(pid: int, parents: dict[int, list[int]]) -> Iterator[int]:
    for child in parents.get(pid, []):
        yield child
        yield from _below(child, parents)


def is_there(pid: int) -> bool:
    """Whether the process runs (Linux); one that only waits to be noticed does not."""
    try:
        return (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def until(found: Callable[[], Any], seconds: float = 20.0) -> Any:
    """What *found* gives as soon as it gives something."""
    end = time.monotonic() + seconds
    while not (result := found()):
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)
    return result


async def until_async(found: Callable[[], Any], seconds: float = 20.0) -> Any:
    """`until`, without holding up the loop."""
    return await asyncio.to_thread(until, found, seconds)


async def tools_text(client: Client) -> str:
    """The tools of a server as a client sees them, one fact a line."""
    lines: list[str] = []
    for tool in (await client.list_tools()).tools:
        facts = tool.model_dump(by_alias=True, exclude_none=True)
        given = facts.pop("inputSchema")
        lines += ["", f"{facts.pop('name')}: {facts.pop('title')}", f"  {facts.pop('description')}"]
        for name, schema in given.pop("properties").items():
            needed = " required" if name in given["required"] else ""
            lines.append(f"  argument {name}{needed} {_one_line(schema)}")
        del given["required"]
        lines += [f"  arguments {_one_line(given)}", f"  answer {_one_line(facts.pop('outputSchema'))}"]
        lines += [f"  {name} {_one_line(value)}" for name, value in sorted(facts.items())]
    return "\n".join(lines[1:]) + "\n"


def _one_line(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def main() -> None:
    """Writes the list of tools."""
    import tempfile

    async def write(stage: Stage) -> None:
        async with stdio(stage, "--allow-write") as client:
            TOOLS.write_text(await tools_text(client), encoding="utf-8")

    with tempfile.TemporaryDirectory() as folder, Stage(Path(folder) / "stage") as stage:
        asyncio.run(write(stage))


if __name__ == "__main__":
    main()
