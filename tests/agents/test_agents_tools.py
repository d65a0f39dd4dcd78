"""What `pypm mcp` offers, what it answers, and what it answers to nonsense: with the SDK's own client."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from mcp import Client
from mcp.shared.exceptions import MCPError

from kit.agents import TOOLS, HttpServer, answer, environ_of, error, stdio, tools_text
from kit.transcripts import Stage
from pypm.mcp.catalog import TOOLS as EVERY
from pypm.mcp.catalog import Tool
from pypm.mcp.server import Served, ServerOptions
from pypm.ops.world import World

pytestmark = pytest.mark.slow
WRITING = {"add", "remove", "lock", "sync", "run"}
MEMORY = {"init", "peek", "set", "resolve", "flush"}


def wrong(tool: Tool) -> list[dict[str, Any]]:
    """Arguments that *tool* does not take."""
    schema = tool.input_schema
    right = {
        name: ["x"] if schema["properties"][name]["type"] == "array" else "x" for name in schema["required"]
    }
    found: list[dict[str, Any]] = [{**right, "nonsense": 1}]
    if right:
        found.append({})
    for name, each in schema["properties"].items():
        bad = {"string": [5, None, ["x"], "a\0b" if not tool.answers else 5.5], "array": ["x", [1], {}]}
        bad |= {"boolean": ["yes", 1], "integer": ["5", -1, 1.5, True, 2**70]}
        if "enum" in each:
            bad["string"] = ["none of them"]
        found += [{**right, name: value} for value in bad[each["type"]]]
    return found


async def lives_on(client: Client) -> None:
    """Wrong arguments are told by name, and what is not there; the server answers as before."""
    told = 0
    for tool in EVERY:
        for arguments in wrong(tool):
            found = await error(client, tool.name, **arguments)
            assert found["code"] == "bad-arguments", (tool.name, arguments, found)
            assert found["tool"] == tool.name and found["argument"] in {*arguments, *tool.takes}
            told += 1
    assert told > 200
    with pytest.raises(MCPError, match="no such tool"):
        await client.call_tool("rm -rf", {})
    for uri in ("pypm://nothing", "pypm://member/nobody", "file:///etc/passwd", "pypm://member/../a"):
        with pytest.raises(MCPError, match="no such resource"):
            await client.read_resource(uri)
    assert (await answer(client, "lock_check"))["answer"]["fresh"]


def test_the_tools_are_those_of_the_transcript(stage: Stage) -> None:
    """`python -m kit.agents` writes it anew. Over standard input and output, with everything allowed."""

    async def look() -> None:
        async with stdio(stage, "--allow-write") as client:
            assert await tools_text(client) == TOOLS.read_text(encoding="utf-8")
            found = await answer(client, "why", name="idna")
            assert {path[0]["from"]["name"] for path in found["answer"]["paths"]} == {"a", "b"}
            await lives_on(client)

    asyncio.run(look())


def test_without_permission_nothing_that_writes_is_offered_or_done(stage: Stage) -> None:
    world = World(stage.root, environ_of(stage))

    async def look() -> None:
        async with Served(world, ServerOptions()) as served, Client(served.server) as client:
            tools = (await client.list_tools()).tools
            assert {tool.name for tool in tools} == {tool.name for tool in EVERY} - WRITING
            for tool in tools:
                assert tool.annotations is not None
                assert tool.annotations.read_only_hint is not (tool.name in MEMORY)
            for name in WRITING:
                with pytest.raises(MCPError) as raised:
                    await client.call_tool(
                        name, {"requirements": ["idna"], "names": ["idna"], "task": "hello"}
                    )
                assert raised.value.error.data["error"]["code"] == "no-such-tool"
                assert "--allow-write" in raised.value.error.data["error"]["hint"]

    asyncio.run(look())


def test_what_can_be_asked_is_answered(shared: HttpServer) -> None:
    async def look() -> None:
        async with shared.client() as client:
            graph = (await answer(client, "graph"))["answer"]
            assert [member["name"] for member in graph["members"]] == ["a", "b"]
            assert [(edge["from"], edge["to"]) for edge in graph["edges"]] == [("a", "b")]
            why = await answer(client, "why", name="sniffio", limit=5)
            assert why["exit"] == 0 and why["answer"]["paths"][0][0]["file"] == "packages/a/pyproject.toml"
            assert (await answer(client, "why", name="nothing"))["exit"] == 1
            assert (await answer(client, "lock_check"))["answer"]["fresh"] is True
            assert (await answer(client, "lock_diff"))["answer"]["changed"] is False
            assert (await answer(client, "outdated"))["answer"] == []
            plan = (await answer(client, "sync_plan"))["answer"]
            assert [each["name"] for each in plan["install"]][:1] == ["anyio"] and plan["dry-run"]
            found = await answer(client, "audit")
            (finding,) = found["answer"]["findings"]
            assert (found["exit"], finding["package"], finding["id"]) == (1, "sniffio", "GHSA-1")
            new = (await answer(client, "what_if", requirements=["sniffio>1"], members=["b"]))["answer"]
            assert new["written"] == [{"file": "packages/b/pyproject.toml", "requirement": "sniffio>1"}]
            assert new["lock-diff"]["refreshed"] == ["b"] and new["dry-run"]

    asyncio.run(look())


def test_a_conflict_is_an_error_with_its_story_for_older_clients_too(shared: HttpServer) -> None:
    async def look() -> None:
        async with shared.client("legacy") as client:
            found = await error(client, "what_if", requirements=["old"], members=["a"])
            assert found["code"] == "conflict"
            assert {ask["member"] for line in found["story"] for ask in line["asks"]} == {"a", "b"}

    asyncio.run(look())


def test_the_memory_answers_in_its_shapes(shared: HttpServer) -> None:
    async def look() -> None:
        async with shared.client() as one, shared.client() as other:
            here: dict[str, Any] = {"session_id": "agents"}
            made = await answer(one, "init", **here, silo_size=2)
            assert made == {"status": "initialized", "session_id": "agents", "silo_size": 2}
            assert await answer(one, "peek", **here, key="k") == {"hit": False}
            claimed = await answer(one, "peek", **here, key="k", claim=True)
            assert claimed["status"] == "claimed" and claimed["hit"] is False
            promise = claimed["promise_id"]
            pending = await answer(other, "peek", **here, key="k", claim=True)
            assert pending == {"hit": True, "status": "pending", "promise_id": promise}
            waiting = asyncio.create_task(
                answer(other, "resolve", **here, promise_id=promise, wait_seconds=60)
            )
            await asyncio.sleep(0.1)
            assert await answer(one, "resolve", **here, promise_id=promise) == {"status": "pending"}
            kept = await answer(one, "resolve", **here, promise_id=promise, payload="größe")
            assert kept == {"status": "resolved"}
            assert await waiting == {"status": "resolved", "payload": "größe"}
            assert await answer(one, "peek", **here, key="k") == {
                "hit": True,
                "value": "größe",
                "index": 0,
            }
            assert await answer(one, "set", **here, key="l", value="v") == {
                "status": "stored",
                "index": 1,
            }
            assert await answer(one, "flush", **here) == {"status": "flushed", "cleared_count": 2}
            large = await error(one, "set", **here, key="l", value="x" * (1 << 20) + "x")
            assert large["code"] == "memory-value-too-large"
            lost = await error(one, "resolve", **here, promise_id="0" * 32 + "-1")
            assert lost["code"] == "unknown-promise"
            assert (await error(one, "init", session_id=""))["code"] == "memory-argument"

    asyncio.run(look())


def test_resources_are_the_workspace_its_lock_and_its_members(shared: HttpServer) -> None:
    async def look() -> None:
        async with shared.client() as client:
            listed = [each.uri for each in (await client.list_resources()).resources]
            assert listed == ["pypm://workspace", "pypm://lock", "pypm://member/a", "pypm://member/b"]
            templates = (await client.list_resource_templates()).resource_templates
            assert [each.uri_template for each in templates] == ["pypm://member/{name}"]
            texts = {}
            for uri in listed:
                (contents,) = (await client.read_resource(uri)).contents
                assert contents.meta is not None and contents.meta["state"]["lock"].startswith("sha256:")
                texts[uri] = contents.text  # type: ignore[union-attr]
            assert texts["pypm://lock"] == (shared.stage.root / "pypm.lock").read_text(encoding="utf-8")
            assert json.loads(texts["pypm://workspace"])["edges"][0]["to"] == "b"
            b = json.loads(texts["pypm://member/b"])
            assert b["dependencies"] == ["idna>=3.8"] and b["needed-by"] == ["a"] and b["tasks"]["hello"]

    asyncio.run(look())
