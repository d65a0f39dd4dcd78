"""The workspace as resources: its graph, its lock, each member."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from pypm.mcp.calls import Calls
from pypm.mcp.errors import NoSuchResource
from pypm.mcp.state import State
from pypm.ops.old_lock import lock_text
from pypm_model.names import is_valid, normalize
from pypm_model.records import record
from pypm_model.requirement_text import to_text
from pypm_workspace.configuration import Asked, Member

WORKSPACE = "pypm://workspace"
LOCK = "pypm://lock"
MEMBER = "pypm://member/"
JSON = "application/json"


@record
class Read:
    """What a resource holds."""

    text: str
    media_type: str
    state: dict[str, Any]


async def read(calls: Calls, uri: str) -> Read:
    """The resource *uri*. Raises `NoSuchResource`, and what reading the workspace raises."""
    if uri == WORKSPACE:
        result = await calls.call("graph", {}, lambda event: None)
        if result.is_error:
            return Read(json.dumps(result.data), JSON, {})
        return Read(json.dumps(result.data["answer"], indent=2), JSON, dict(result.data["state"]))
    if uri == LOCK:
        state = await calls.state()
        text = lock_text(state.workspace)
        if text is None:
            raise NoSuchResource(uri)
        return Read(calls.secrets.hidden(text), "application/toml", state.to_json())
    name = uri.removeprefix(MEMBER)
    if not uri.startswith(MEMBER) or not is_valid(name):
        raise NoSuchResource(uri[:200])
    state = await calls.state()
    member = state.workspace.by_name.get(normalize(name))
    if member is None:
        raise NoSuchResource(uri[:200])
    facts = calls.secrets.hidden(member_facts(state, member))
    return Read(json.dumps(facts, indent=2), JSON, state.to_json())


def member_facts(state: State, member: Member) -> dict[str, Any]:
    """What the member's manifest says, and who asks for it."""
    workspace = state.workspace
    edges = workspace.edges
    return {
        "name": member.name,
        "path": member.path,
        "version": member.version,
        "requires-python": workspace.pythons.get(member.name, member.requires_python) or None,
        "virtual": member.is_virtual,
        "dependencies": _texts(member.dependencies),
        "extras": {name: _texts(asked) for name, asked in member.extras},
        "groups": {name: _texts(asked) for name, asked in member.groups},
        "tasks": {task.name: task.command for task in workspace.tasks(member)},
        "members-needed": sorted({edge.child for edge in edges if edge.parent == member.name}),
        "needed-by": sorted({edge.parent for edge in edges if edge.child == member.name}),
    }


def _texts(asked: Iterable[Asked]) -> list[str]:
    return [to_text(each.requirement) for each in asked]
