"""``pypm mcp``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from pypm.cli.arguments import UsageError, option, verb
from pypm.cli.options import COMMON, Common, world
from pypm.cli.render.report import say
from pypm.mcp.errors import McpMissing
from pypm.ops.world import World

if TYPE_CHECKING:
    from pypm.mcp.server import ServerOptions


@verb(
    option("--http", metavar="HOST:PORT", help="Serve over HTTP there, on loopback if HOST is left out."),
    option(
        "--token-file",
        metavar="FILE",
        help="With --http: the token that clients must show is in this file. Without, a new one is printed. "
        "[PYPM_MCP_TOKEN]",
    ),
    option(
        "--allow-host",
        name="hosts",
        metavar="NAME",
        many=True,
        help="With --http: other machines may come by this name (repeatable); else only loopback is served.",
    ),
    option("--allow-write", help="Offer the tools that change the workspace: add, remove, lock, sync, run."),
    option("--db", metavar="FILE", help="The memory's file (memory.db in ~/.pypm). [PYPM_MEMORY]"),
    COMMON,
)
def command(
    common: Common,
    http: str | None,
    token_file: str | None,
    hosts: tuple[str, ...],
    allow_write: bool,
    db: str | None,
) -> int:
    """Serve agents over the Model Context Protocol: on standard input and output, or with --http.

    Tools tell of the workspace around the current folder (graph, why, lock_check, lock_diff, what_if,
    outdated, audit, sync_plan) and of the memory. Nothing of the workspace is changed without --allow-write,
    and no password and no file outside of the workspace is shown.
    """
    if http is None and (token_file is not None or hosts):
        raise UsageError(f"{'--token-file' if token_file is not None else '--allow-host'} goes with --http")
    if common.json:
        raise UsageError("--json does not go with a server: what it answers is JSON in any case")
    with world(common) as here:
        served = _for_children(here)
    try:
        from pypm.mcp.server import ServerOptions
    except ModuleNotFoundError as error:
        raise McpMissing(str(error.name)) from None
    options = ServerOptions(allow_write, db)
    if http is None:
        from pypm.mcp.stdio import serve

        if sys.stdin.isatty() and not common.quiet:
            say("Serving on standard input and output: agents' clients start this; Ctrl-C ends it")
        return serve(served, options)
    return _over_http(common, served, options, http, token_file, hosts)


def _over_http(
    common: Common,
    here: World,
    options: ServerOptions,
    address: str,
    token_file: str | None,
    hosts: tuple[str, ...],
) -> int:
    from pypm.mcp.http import listen_of, new_token, serve, token_of

    listen = listen_of(address, hosts)
    given = token_of(token_file, here.environ, here.cwd)
    token = given or new_token()

    def announce(url: str) -> None:
        if not common.quiet:
            say(f"Serving {url}")
        if given is None:
            say(f"Authorization: Bearer {token}")

    return serve(here, options, listen, token, announce)


def _for_children(here: World) -> World:
    """*here* with what options said in variables, for the processes that do the work; nobody is asked."""
    environ = dict(here.environ)
    environ |= {"PYPM_OFFLINE": "1"} if here.offline else {}
    environ |= {"PYPM_REFRESH": "1"} if here.refresh else {}
    return World(here.cwd, environ, offline=here.offline, refresh=here.refresh)
