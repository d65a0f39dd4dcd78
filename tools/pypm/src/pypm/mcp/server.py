"""The server: the SDK's protocol on one side, `Calls` on the other."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Mapping
from contextlib import AsyncExitStack, suppress
from typing import Any

from mcp import types
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.shared.exceptions import MCPError

from pypm._verbs import VERSION
from pypm.cli.render.progress import Tally
from pypm.mcp import resources
from pypm.mcp.answers import FILE, Answers
from pypm.mcp.calls import Calls
from pypm.mcp.catalog import Tool, offered
from pypm.mcp.errors import NoSuchTool
from pypm.mcp.secrets import Secrets
from pypm.mcp.work import Workshop
from pypm.ops.memory import open_memory
from pypm.ops.world import World
from pypm_model.errors import PypmError
from pypm_model.events import Advanced, Event
from pypm_model.records import record, replace

TOKEN = "PYPM_MCP_TOKEN"
EVERY = 0.1
"""Seconds between two notifications of progress."""
LEAST_AT_ONCE = 2
INSTRUCTIONS = (
    "pypm manages this workspace of Python packages: one lock for all members. Every answer about the "
    "workspace names the state it was made from (digests of manifests and lock). Ask `what_if` before adding "
    "a dependency, `why` before removing one. Tools that change the workspace are there only if the server "
    "was started with --allow-write. The memory tools keep texts by session and key, and let equal work be "
    "done once."
)

Context = ServerRequestContext[Any, Any]


@record
class ServerOptions:
    """What the server offers."""

    allow_write: bool = False
    database: str | None = None
    """The memory's file, if it is another than usual."""


class Served:
    """A server with all it stands on; an asynchronous context manager."""

    def __init__(self, world: World, options: ServerOptions) -> None:
        # What the server alone has to know is not handed on to what it starts.
        environ = {name: value for name, value in world.environ.items() if name != TOKEN}
        self._memory = open_memory(world, options.database)
        self._answers = Answers(self._memory.path.with_name(FILE))
        self._workshop = Workshop(max(LEAST_AT_ONCE, os.cpu_count() or 1))
        self._tools = offered(allow_write=options.allow_write)
        self._calls = Calls(
            replace(world, environ=environ),
            self._memory,
            self._answers,
            self._workshop,
            Secrets(world.environ),
            allow_write=options.allow_write,
        )
        self._stack = AsyncExitStack()
        self.server: Server[Any] = Server(
            "pypm",
            version=VERSION,
            title="pypm",
            instructions=INSTRUCTIONS,
            on_list_tools=self._list_tools,
            on_call_tool=self._call_tool,
            on_list_resources=self._list_resources,
            on_list_resource_templates=self._list_templates,
            on_read_resource=self._read_resource,
        )

    async def __aenter__(self) -> Served:
        self._stack.callback(self._memory.close)
        self._stack.callback(self._answers.close)
        self._stack.push_async_callback(self._workshop.close)
        return self

    async def __aexit__(self, *raised: object) -> None:
        await self._stack.aclose()

    def give_back(self) -> None:
        """Lets others have what was promised here: for a process that ends at once."""
        self._answers.close()
        self._memory.close()

    async def _list_tools(
        self, context: Context, params: types.PaginatedRequestParams | None
    ) -> types.ListToolsResult:
        return types.ListToolsResult(tools=[described(tool) for tool in self._tools])

    async def _call_tool(self, context: Context, params: types.CallToolRequestParams) -> types.CallToolResult:
        progress = Progress(context)
        reporting = asyncio.create_task(progress.report())
        try:
            result = await self._calls.call(params.name, params.arguments or {}, progress.hear)
        except NoSuchTool as error:
            raise refusal(error) from None
        except PypmError as error:
            return _told({"error": self._calls.secrets.hidden(error.to_json())}, is_error=True)
        except OSError as error:
            return _told({"error": _of_system(error)}, is_error=True)
        finally:
            reporting.cancel()
        return _told(result.data, is_error=result.is_error)

    async def _list_resources(
        self, context: Context, params: types.PaginatedRequestParams | None
    ) -> types.ListResourcesResult:
        try:
            state = await self._calls.state()
        except PypmError:
            members: list[str] = []  # tools say what is wrong
        else:
            members = [str(m.name) for m in state.workspace.members if not m.is_virtual]
        listed = [
            types.Resource(
                uri=resources.WORKSPACE,
                name="workspace",
                description="The members, and who asks whom for what.",
                mime_type=resources.JSON,
            ),
            types.Resource(
                uri=resources.LOCK,
                name="lock",
                description="pypm.lock as it is.",
                mime_type="application/toml",
            ),
        ]
        for name in members:
            uri = f"{resources.MEMBER}{name}"
            listed.append(
                types.Resource(uri=uri, name=name, description="A member.", mime_type=resources.JSON)
            )
        return types.ListResourcesResult(resources=listed)

    async def _list_templates(
        self, context: Context, params: types.PaginatedRequestParams | None
    ) -> types.ListResourceTemplatesResult:
        member = types.ResourceTemplate(
            uri_template=f"{resources.MEMBER}{{name}}",
            name="member",
            description="What a member's manifest says, and who asks for it.",
            mime_type=resources.JSON,
        )
        return types.ListResourceTemplatesResult(resource_templates=[member])

    async def _read_resource(
        self, context: Context, params: types.ReadResourceRequestParams
    ) -> types.ReadResourceResult:
        try:
            found = await resources.read(self._calls, str(params.uri))
        except PypmError as error:
            raise refusal(error, self._calls.secrets) from None
        contents = types.TextResourceContents(
            uri=params.uri, mime_type=found.media_type, text=found.text, _meta={"state": found.state}
        )
        return types.ReadResourceResult(contents=[contents])


class Progress:
    """Notifications from events: of what goes on, not more often than can be read."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._tally = Tally()
        self._heard = 0

    def hear(self, event: Event) -> None:
        """Takes *event* into account."""
        self._heard += event.amount if isinstance(event, Advanced) and event.work != "download" else 1
        self._tally.hear(event)

    async def report(self) -> None:
        """Tells the client as long as this runs. Each notification has a larger number than the last."""
        told = 0
        while True:
            await asyncio.sleep(EVERY)
            if self._heard > told:
                told = self._heard
                with suppress(Exception):  # the client may have gone: the call ends in its own way
                    await self._context.session.report_progress(float(told), None, self._tally.line or None)


def described(tool: Tool) -> types.Tool:
    """*tool* as clients see it."""
    return types.Tool(
        name=tool.name,
        title=tool.title,
        description=tool.summary,
        input_schema=tool.input_schema,
        output_schema=tool.output_schema,
        annotations=types.ToolAnnotations(
            title=tool.title,
            read_only_hint=tool.read_only,
            destructive_hint=tool.destructive,
            idempotent_hint=tool.idempotent,
            open_world_hint=tool.open_world,
        ),
    )


def refusal(error: PypmError, secrets: Secrets | None = None) -> MCPError:
    """*error* as an error of the protocol: what was asked for does not exist."""
    facts = error.to_json()
    data = secrets.hidden(facts) if secrets else facts
    return MCPError(types.INVALID_PARAMS, data["message"], {"error": data})


def _told(data: Mapping[str, Any], *, is_error: bool) -> types.CallToolResult:
    """*data* as structure, and as text for clients that read no structure."""
    text = types.TextContent(type="text", text=json.dumps(data, ensure_ascii=False))
    return types.CallToolResult(content=[text], structured_content=dict(data), is_error=is_error)


def _of_system(error: OSError) -> dict[str, Any]:
    """What the machine said, in the shape of an error."""
    message = (error.strerror or "failed").lower()
    return {"code": "system", "message": message, "hint": None, "places": []}
