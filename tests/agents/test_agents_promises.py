"""Costly answers are found once, are of the state they name, and end when nobody wants them any more."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from contextlib import AsyncExitStack, suppress
from typing import Any

import anyio
import pytest
from mcp import Client

from kit.agents import HttpServer, answer, children, environ_of, error, is_there, stdio, until, until_async
from kit.transcripts import Block, Stage, pypm

pytestmark = pytest.mark.slow
linux = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


def resolutions(stage: Stage, package: str) -> int:
    """How many there were since the index forgot: each asks for the page, which is stale at once."""
    return stage.server.count(f"/simple/{package}/")


def test_ten_agents_with_one_question_cost_one_resolution(shared: HttpServer, stage: Stage) -> None:
    """Nine come over HTTP, one has a server of its own: for a conflict, too, which is not kept."""

    async def ask() -> None:
        async with AsyncExitStack() as stack:
            clients = [await stack.enter_async_context(shared.client()) for _ in range(9)]
            clients.append(await stack.enter_async_context(stdio(stage, **shared.environ)))
            for arguments, code in (
                ({"requirements": ["sniffio>=1"], "members": ["b"]}, None),
                ({"requirements": ["old"], "members": ["a"]}, "conflict"),
            ):
                stage.server.forget()
                stage.server.latency = 0.2
                results = await asyncio.gather(
                    *(client.call_tool("what_if", arguments) for client in clients)
                )
                stage.server.latency = 0.0
                found = {json.dumps(result.structured_content, sort_keys=True) for result in results}
                assert len(found) == 1
                assert json.loads(found.pop()).get("error", {}).get("code") == code
                assert resolutions(stage, "idna" if code else "sniffio") == 1, code
            stage.server.forget()
            kept = await answer(clients[0], "what_if", requirements=["sniffio>=1"], members=["b"])
            assert resolutions(stage, "sniffio") == 0
            fresh = await answer(
                clients[0], "what_if", requirements=["sniffio>=1"], members=["b"], refresh=True
            )
            assert resolutions(stage, "sniffio") == 1
            assert fresh["answer"] == kept["answer"]

    asyncio.run(ask())


def test_answers_are_of_the_state_they_name(shared: HttpServer, stage: Stage) -> None:
    manifest = stage.root / "packages" / "b" / "pyproject.toml"

    async def look() -> None:
        async with shared.client() as client:
            before = await answer(client, "lock_check")
            again = await answer(client, "lock_check")
            assert before["answer"]["fresh"]
            for key in ("manifests", "lock"):
                assert before["state"][key] == again["state"][key]
            manifest.write_text(manifest.read_text().replace("idna>=3.8", "idna<3.8"))
            after = await answer(client, "lock_check")
            assert not after["answer"]["fresh"] and after["answer"]["error"]["code"] == "lock-stale"
            assert after["state"]["manifests"] != before["state"]["manifests"]
            assert after["state"]["lock"] == before["state"]["lock"]
            diff = (await answer(client, "lock_diff"))["answer"]["diff"]
            assert diff["changed"] == [{"name": "idna", "old": ["3.8"], "new": ["3.7"]}]
            assert await asyncio.to_thread(stage.run, "pypm lock -q") == (0, "")
            last = await answer(client, "lock_diff")
            assert last["state"]["lock"] != before["state"]["lock"] and not last["answer"]["changed"]
            manifest.write_text("[project\n")
            broken = await error(client, "why", name="idna")
            assert broken["code"] == "invalid-manifest" and broken["places"][0]["line"] == 1
            assert (await client.list_resources()).resources

    asyncio.run(look())


def test_what_changes_while_it_is_asked_is_asked_again(shared: HttpServer, stage: Stage) -> None:
    """The manifest changes in the middle of the resolution; the answer is of what is there at its end."""
    manifest = stage.root / "packages" / "b" / "pyproject.toml"

    async def look() -> None:
        async with shared.client() as client:
            stage.server.forget()
            stage.server.latency = 0.5
            asking = asyncio.create_task(answer(client, "lock_diff", upgrade=True))
            await until_async(lambda: stage.server.count("/simple/") >= 1)
            manifest.write_text(manifest.read_text().replace("idna>=3.8", "idna<3.8"))
            stage.server.latency = 0.0
            found = await asking
            assert found["answer"]["diff"]["changed"] == [{"name": "idna", "old": ["3.8"], "new": ["3.7"]}]
            assert found["state"]["manifests"] == (await answer(client, "graph"))["state"]["manifests"]

    asyncio.run(look())


def test_a_hundred_calls_at_once(shared: HttpServer, stage: Stage) -> None:
    async def call(client: Client, number: int) -> None:
        match number % 5:
            case 0:
                assert (await answer(client, "why", name=f"none-{number % 3}"))["exit"] == 1
            case 1:
                assert (await answer(client, "lock_check"))["answer"]["fresh"]
            case 2:
                assert (await error(client, "why", limit=number))["code"] == "bad-arguments"
            case 3:
                assert await answer(client, "set", session_id="s", key=str(number), value="v")
            case _:
                assert (await client.read_resource("pypm://member/a")).contents

    async def ask() -> None:
        async with shared.client() as client, asyncio.TaskGroup() as group:
            for number in range(100):
                group.create_task(call(client, number))

    asyncio.run(ask())


@linux
@pytest.mark.parametrize("transport", ["stdio", "http", "http of 2025"])
def test_cancelling_ends_the_work_and_the_next_may_do_it(
    shared: HttpServer, stage: Stage, transport: str
) -> None:
    stage.server.fail("/simple/sniffio/", "hang", seconds=60)
    question: dict[str, Any] = {"requirements": ["sniffio<2"], "members": ["b"], "refresh": True}

    async def ask(client: Client, pid: int) -> None:
        told: list[str | None] = []

        async def tell(progress: float, total: float | None, message: str | None) -> None:
            told.append(message)

        before = set(children(pid))
        stage.server.forget()
        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as group:

                async def call() -> None:
                    await client.call_tool("what_if", question, progress_callback=tell)

                group.start_soon(call)
                await until_async(lambda: stage.server.count("/simple/sniffio/"))
                await until_async(lambda: told)
                working = set(children(pid)) - before
                assert working
                scope.cancel()
        assert told[0] is not None and told[0].startswith("Resolving")
        await until_async(lambda: not any(map(is_there, working)))
        stage.server.heal()
        assert (await answer(client, "what_if", **question))["answer"]["dry-run"]

    async def run() -> None:
        if transport.startswith("http"):
            # Newer clients close the stream of the call, older ones send a notification.
            async with shared.client("auto" if transport == "http" else "legacy") as client:
                await ask(client, shared.process.pid)
        else:
            async with stdio(stage) as client:
                await ask(client, os.getpid())

    asyncio.run(run())


@linux
def test_work_that_is_killed_is_an_error_of_one_call(shared: HttpServer, stage: Stage) -> None:
    stage.server.fail("/simple/sniffio/", "hang", seconds=60)

    async def ask() -> None:
        async with shared.client() as client:
            before = set(children(shared.process.pid))
            stage.server.forget()
            question = {"requirements": ["sniffio<4"], "members": ["b"], "refresh": True}
            asking = asyncio.create_task(error(client, "what_if", **question))
            await until_async(lambda: stage.server.count("/simple/sniffio/"))
            for pid in set(children(shared.process.pid)) - before:
                with suppress(ProcessLookupError):  # one that it had started itself may be over by now
                    os.kill(pid, signal.SIGKILL)
            found = await asking
            assert (found["code"], found["tool"], found["status"]) == (
                "tool-failed",
                "what_if",
                -signal.SIGKILL,
            )
            assert (await answer(client, "lock_check"))["answer"]["fresh"]

    asyncio.run(ask())


class ByHand:
    """A server on pipes, spoken to line by line, as by a client that may vanish at any moment."""

    def __init__(self, stage: Stage, *words: str) -> None:
        self.process = subprocess.Popen(
            pypm("mcp", *words),
            cwd=stage.root,
            env=environ_of(stage),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert self.process.stdin is not None and self.process.stdout is not None
        self.stdin, self.stdout = self.process.stdin, self.process.stdout
        client = {"name": "by hand", "version": "1"}
        start = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": client}
        self.send("initialize", start, 1)
        assert json.loads(self.stdout.readline())["result"]["serverInfo"]["name"] == "pypm"
        self.send("notifications/initialized", {}, None)

    def send(self, method: str, parameters: dict[str, Any], number: int | None) -> None:
        message = {"jsonrpc": "2.0", "method": method, "params": parameters}
        line = json.dumps(message | ({} if number is None else {"id": number})) + "\n"
        self.stdin.write(line.encode())
        self.stdin.flush()

    def call(self, tool: str, **arguments: Any) -> None:
        self.send("tools/call", {"name": tool, "arguments": arguments}, 2)

    def survives_nonsense(self) -> None:
        for line in (b"\n", b"{}\n", b"not json\n", b"\xff\xfe\n", b'{"jsonrpc": "2.0", "id": 7}\n', b"[]\n"):
            self.stdin.write(line)
        self.send("tools/call", {"name": 5}, 8)
        self.call("why", name="idna")
        while json.loads(line := self.stdout.readline()).get("id") != 2:
            pass
        assert json.loads(line)["result"]["structuredContent"]["exit"] == 0


@linux
@pytest.mark.parametrize("end", ["end of input", "SIGTERM", "SIGKILL"])
def test_who_vanishes_leaves_nothing_behind(stage: Stage, end: str) -> None:
    stage.server.fail("/simple/sniffio/", "hang", seconds=60)
    server = ByHand(stage)
    if end == "end of input":
        server.survives_nonsense()
    stage.server.forget()
    server.call("what_if", requirements=["sniffio<3"], members=["b"], refresh=True)
    until(lambda: stage.server.count("/simple/sniffio/"))
    working = children(server.process.pid)
    assert working
    match end:
        case "end of input":
            server.stdin.close()
        case _:
            server.process.send_signal(getattr(signal, end))
    assert server.process.wait(20) == (-signal.SIGKILL if end == "SIGKILL" else 0)
    until(lambda: not any(map(is_there, working)))
    assert server.process.stderr is not None
    assert server.process.stderr.read() == b""


@linux
def test_a_task_that_is_cancelled_ends_with_all_it_started(shared: HttpServer, stage: Stage) -> None:
    async def run() -> None:
        async with shared.client() as client:
            done = await answer(client, "run", task="hello", members=["a"])
            assert done["answer"]["stdout"] == "hello\n" and done["exit"] == 0
            with anyio.CancelScope() as scope:
                async with anyio.create_task_group() as group:

                    async def call() -> None:
                        await client.call_tool("run", {"task": "stay", "members": ["a"]})

                    group.start_soon(call)
                    found = await until_async(lambda: _named("sleep", children(shared.process.pid)))
                    scope.cancel()
            await until_async(lambda: not any(map(is_there, found)))

    asyncio.run(run())


def _named(name: str, pids: list[int]) -> list[int]:
    found = []
    for pid in pids:
        try:
            with open(f"/proc/{pid}/comm", encoding="utf-8") as file:
                found += [pid] if file.read().strip() == name else []
        except OSError:
            continue
    return found


def test_what_writes_writes_and_says_what_there_is_then(shared: HttpServer, stage: Stage) -> None:
    stage.do(Block("index", "", "new 1.0\n", 0))

    async def write() -> None:
        async with shared.client() as client:
            before = await answer(client, "lock_check")
            added = await answer(client, "add", requirements=["new"], members=["b"], no_sync=True)
            assert added["answer"]["written"][0]["requirement"] == "new>=1.0"
            assert '"new>=1.0"' in (stage.root / "packages" / "b" / "pyproject.toml").read_text()
            after = await answer(client, "lock_check")
            assert after["answer"]["fresh"]
            for key in ("manifests", "lock"):
                assert before["state"][key] != added["state"][key] == after["state"][key]
            gone = await answer(client, "remove", names=["new"], members=["b"], no_sync=True)
            assert gone["state"]["manifests"] != added["state"]["manifests"]
            assert (await error(client, "remove", names=["new"], members=["b"]))["code"] == "not-asked"
            assert not (await answer(client, "lock"))["answer"]["changed"]
            synced = (await answer(client, "sync"))["answer"]
            assert synced["counts"]["install"] == 3 and (stage.root / ".venv").is_dir()
            assert not (await answer(client, "sync_plan"))["answer"]["install"]
            tasks = await error(client, "run", task="sh")
            assert tasks["code"] == "no-such-task" and tasks["tasks"] == ["hello", "stay"]

    asyncio.run(write())


@linux
def test_an_edit_that_is_cancelled_leaves_nothing_half_done(shared: HttpServer, stage: Stage) -> None:
    """Manifest and lock are written before the environment is made, and put back if that is broken off."""
    stage.do(Block("index", "", "slow-to-come 1.0\n", 0))
    wheel = "slow_to_come-1.0-py3-none-any.whl$"
    stage.server.fail(wheel, "hang", seconds=60)
    manifest, lock = stage.root / "packages" / "b" / "pyproject.toml", stage.root / "pypm.lock"
    before = manifest.read_bytes(), lock.read_bytes()

    async def run() -> None:
        async with shared.client() as client:
            with anyio.CancelScope() as scope:
                async with anyio.create_task_group() as group:

                    async def call() -> None:
                        await client.call_tool("add", {"requirements": ["slow-to-come"], "members": ["b"]})

                    group.start_soon(call)
                    await until_async(lambda: stage.server.count(wheel))
                    assert manifest.read_bytes() != before[0]
                    working = children(shared.process.pid)
                    scope.cancel()
            await until_async(lambda: not any(map(is_there, working)))

    asyncio.run(run())
    assert (manifest.read_bytes(), lock.read_bytes()) == before
