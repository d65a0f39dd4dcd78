"""What a call comes to: arguments checked, work done once, the answer with the state it was made from."""

from __future__ import annotations

import asyncio
import json
import os
import re
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from pypm.mcp import memory_calls
from pypm.mcp.answers import Answer, Answers, Question
from pypm.mcp.catalog import Tool, find
from pypm.mcp.errors import (
    BadCall,
    NoAddressHere,
    NoSuchTask,
    NoSuchTool,
    NotARevision,
    ToolFailed,
    WorkspaceRestless,
)
from pypm.mcp.schemas import LONGEST, checked, words
from pypm.mcp.secrets import Secrets
from pypm.mcp.state import State, check_inside, state_of
from pypm.mcp.work import Ended, Hear, Job, Workshop
from pypm.ops.execute import all_tasks
from pypm.ops.wanted import FILES, NotARequirement, is_spelled_as_path, parsed
from pypm.ops.world import World
from pypm_memory.memory import Memory
from pypm_model.events import Event, Warned
from pypm_model.records import as_dict, record, replace

ATTEMPTS = 5
_OUTPUT = 64 * 1024
"""Bytes of what a task prints that are answered, the last ones of each stream."""
_REVISION = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./@^~+-]*")


@record
class Result:
    """What a tool answers."""

    data: Mapping[str, Any]
    is_error: bool = False


class Calls:
    """The tools of one server. For one event loop."""

    def __init__(
        self,
        world: World,
        memory: Memory,
        answers: Answers,
        workshop: Workshop,
        secrets: Secrets,
        *,
        allow_write: bool,
    ) -> None:
        self._world = world
        self._memory = memory
        self._answers = answers
        self._workshop = workshop
        self._allow_write = allow_write
        self._writing = asyncio.Lock()
        self.secrets = secrets

    async def call(self, name: str, arguments: Mapping[str, Any], hear: Hear) -> Result:
        """What tool *name* answers. Raises a `PypmError` for what it does not do."""
        tool = find(name)
        if tool is None:
            raise NoSuchTool(name[:80])
        if tool.writes and not self._allow_write:
            raise NoSuchTool(name, writes=True)
        longest = memory_calls.LONGEST_TEXT if tool.answers else LONGEST
        given = checked(tool.name, tool.values, arguments, longest)
        if tool.answers:
            return Result(await memory_calls.call(self._memory, tool.name, given))
        _check_words(tool, given)
        return await (self._act(tool, given, hear) if tool.writes else self._ask(tool, given, hear))

    async def state(self) -> State:
        """Of the workspace now. Raises what opening it raises."""
        return await asyncio.to_thread(state_of, self._world)

    async def _ask(self, tool: Tool, given: Mapping[str, Any], hear: Hear) -> Result:
        line = (tool.verb, "--json", *tool.fixed, *words(tool.values, given))
        fresh = bool(given.get("refresh"))
        for _ in range(ATTEMPTS):
            state = await self.state()
            _check_paths(tool, given, self._world.cwd, state)
            question = Question(state, tool.name, line, self._world.cwd, self._world.environ)

            async def find_out(state: State = state) -> Answer:
                answer = await self._find(tool, line, hear)
                # What was read while it was being written is no answer about either.
                same = state.same_as(await self.state())
                return {**answer, "state": state.to_json()} if same else {"moved": True}

            found = await self._answers.once(question, find_out, 0.0 if fresh else tool.keep_seconds)
            if "moved" not in found:
                return Result(found, "error" in found)
        raise WorkspaceRestless(ATTEMPTS)

    async def _act(self, tool: Tool, given: Mapping[str, Any], hear: Hear) -> Result:
        runs = tool.name == "run"
        async with nullcontext() if runs else self._writing:
            state = await self.state()
            _check_paths(tool, given, self._world.cwd, state)
            if runs:
                tasks = tuple(name for name, _ in all_tasks(state.workspace))
                if given["task"] not in tasks:
                    raise NoSuchTask(given["task"], tasks)
            line = (tool.verb, "--json", *tool.fixed, *words(tool.values, given))
            answer = await self._find(tool, line, hear)
            after = await self.state()
        return Result({**answer, "state": after.to_json()}, "error" in answer)

    async def _find(self, tool: Tool, line: tuple[str, ...], hear: Hear) -> Answer:
        """What the verb says, in a process of its own."""
        warnings: list[dict[str, Any]] = []

        def heard(event: Event) -> None:
            if isinstance(event, Warned):
                warnings.append(as_dict(event))
            else:
                hear(event)

        job = Job(line, self._world.cwd, self._world.environ, tool.writes)
        if tool.name == "run":
            job = replace(job, stays=True, output_limit=_OUTPUT)
            found = _ran(await self._workshop.run(job, heard))
        else:
            found = {**_said(tool, await self._workshop.run(job, heard)), "warnings": warnings}
        plain: Answer = self.secrets.hidden(found)
        return plain


def _ran(ended: Ended) -> Answer:
    """The outcome of a task, or why it did not come to it."""
    error = _error_in(ended.err)
    if ended.status and error is not None and not ended.out:
        return {"error": error}
    return {"exit": ended.status, "answer": {"stdout": ended.out, "stderr": ended.err}}


def _said(tool: Tool, ended: Ended) -> Answer:
    try:
        return {"exit": ended.status, "answer": json.loads(ended.out)}
    except ValueError:
        pass
    error = _error_in(ended.err)
    if error is None:
        error = ToolFailed(tool.name, ended.status, ended.err[-2000:]).to_json()
    return {"error": error}


def _error_in(text: str) -> dict[str, Any] | None:
    """The error that a verb has written as its last line."""
    last = text.rstrip().rpartition("\n")[2]
    try:
        found = json.loads(last)["error"]
    except (ValueError, KeyError, TypeError):
        return None
    return found if isinstance(found, dict) else None


def _check_words(tool: Tool, given: Mapping[str, Any]) -> None:
    """Raises for what the command line takes, and agents may not say."""
    if tool.name in ("what_if", "add"):
        if "group" in given and "extra" in given:
            raise BadCall(tool.name, "group", "and extra exclude each other")
        for text in given["requirements"]:
            if not (tool.name == "add" and _is_folder(text)):
                _check_requirement(text)
    against = given.get("against")
    if against is not None:
        if given.get("upgrade") or given.get("upgrade_packages"):
            raise BadCall(tool.name, "against", "goes with no upgrade")
        if not _REVISION.fullmatch(against) or ".." in against:
            raise NotARevision(against[:200])


def _check_requirement(text: str) -> None:
    if text.endswith(FILES) or "://" in text.partition(";")[0] or _is_folder(text):
        raise NoAddressHere(text[:200])
    try:
        url = parsed(text).url
    except NotARequirement:
        if "/" in text or "\\" in text:
            raise NoAddressHere(text[:200]) from None
        raise
    if url:
        raise NoAddressHere(text[:200])


def _is_folder(text: str) -> bool:
    return text.startswith("~") or is_spelled_as_path(text)  # also somebody else's home


def _check_paths(tool: Tool, given: Mapping[str, Any], cwd: Path, state: State) -> None:
    """Raises for paths that lead out of the workspace, and for a revision that is a file."""
    root = state.workspace.root
    for text in given.get("requirements", ()):
        if _is_folder(text):
            check_inside(root, (os.path.join(cwd, os.path.expanduser(text)),), text)
    against = given.get("against")
    if against is not None and os.path.lexists(os.path.join(cwd, against)):
        raise NotARevision(against)
