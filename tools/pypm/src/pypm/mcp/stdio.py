"""The server on standard input and output. It ends when the client has gone."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable

from mcp.server.stdio import stdio_server

from pypm.mcp.server import Served, ServerOptions
from pypm.ops.world import World

INTERRUPTED = 130


def serve(world: World, options: ServerOptions) -> int:
    """Serves one client; the exit code."""
    return asyncio.run(_serve(world, options))


async def _serve(world: World, options: ServerOptions) -> int:
    async with Served(world, options) as served:
        _end_on_signals(served.give_back)
        async with stdio_server() as (reading, writing):
            server = served.server
            await server.run(reading, writing, server.create_initialization_options())
    return 0


def _end_on_signals(give_back: Callable[[], None]) -> None:
    """Whoever reads standard input cannot be interrupted: the process ends at once, and its children with it,
    because their pipes end."""

    def end(number: int) -> None:
        give_back()
        os._exit(INTERRUPTED if number == signal.SIGINT else 0)

    if os.name == "posix":
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, end, number)
