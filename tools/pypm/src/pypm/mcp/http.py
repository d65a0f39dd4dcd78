"""The server over HTTP: on loopback unless told otherwise, for clients that show the token, and for no web
page.

Before the SDK sees a request it is looked at here: the Host must be one that the server was told of (a page
of another name that leads to this address is refused), an Origin likewise, and the token must be right.
"""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import os
import secrets
import socket
import stat
from collections.abc import Callable, Mapping
from pathlib import Path

import uvicorn
from mcp.server.transport_security import TransportSecuritySettings
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from pypm.mcp.errors import BadListen, BadToken, NotLoopback
from pypm.mcp.server import TOKEN, Served, ServerOptions
from pypm.ops.world import World
from pypm_model.records import record

PATH = "/mcp"
LOOPBACK = "127.0.0.1"
_SHORTEST = 16
"""Characters of a token."""
_LONGEST_FILE = 4096
_ENDING_SECONDS = 3


@record
class Listen:
    """Where to listen, and by which names clients may come."""

    host: str
    port: int
    """0: one that is free."""
    names: tuple[str, ...] = ()
    """Beside the address itself."""


def listen_of(text: str, names: tuple[str, ...]) -> Listen:
    """What ``--http`` says: ``HOST:PORT``, ``:PORT`` or ``PORT``, by default on loopback. Raises `BadListen`,
    and `NotLoopback` for an address that other machines can reach if *names* has no name they may use."""
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]") if colon else ""
    host = host or LOOPBACK
    if not (port.isascii() and port.isdigit() and int(port) < 65536):
        raise BadListen(text, "write HOST:PORT, with a port from 0 to 65535")
    if not _is_loopback(host) and not names:
        raise NotLoopback(host)
    return Listen(host, int(port), names)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def token_of(file: str | None, environ: Mapping[str, str], cwd: Path) -> str | None:
    """The token in *file*, else in the variable; None if neither is said. Raises `BadToken` for one that is
    too short to be one, and for a file that others may read."""
    if file is not None:
        path = cwd / Path(file).expanduser()
        try:
            mode = path.stat().st_mode
            with path.open("rb") as opened:
                token = opened.read(_LONGEST_FILE).decode("ascii").strip()
        except OSError as error:
            raise BadToken(file, (error.strerror or "cannot be read").lower()) from None
        except UnicodeDecodeError:
            raise BadToken(file, "a token has letters, digits and signs of ASCII only") from None
        if os.name == "posix" and mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise BadToken(file, "others may read it; `chmod 600` keeps them out")
        return _checked(token, file)
    given = environ.get(TOKEN, "").strip()
    return _checked(given, TOKEN) if given else None


def _checked(token: str, source: str) -> str:
    if (
        len(token) < _SHORTEST
        or not token.isascii()
        or any(c.isspace() or not c.isprintable() for c in token)
    ):
        raise BadToken(source, f"a token has at least {_SHORTEST} characters of ASCII, without spaces")
    return token


def new_token() -> str:
    """One that nobody can guess."""
    return secrets.token_urlsafe(32)


def serve(
    world: World, options: ServerOptions, listen: Listen, token: str, announce: Callable[[str], None]
) -> int:
    """Serves any number of clients until it is interrupted; *announce* is told the address. Raises
    `BadListen`."""
    with _bound(listen) as bound:
        port = bound.getsockname()[1]
        hosts = allowed_hosts(listen, port)
        announce(f"http://{_written(listen.host)}:{port}{PATH}")
        asyncio.run(_serve(world, options, bound, hosts, token))
    return 0


def _bound(listen: Listen) -> socket.socket:
    family = socket.AF_INET6 if ":" in listen.host else socket.AF_INET
    try:
        return socket.create_server((listen.host, listen.port), family=family, backlog=256)
    except OSError as error:
        address = f"{_written(listen.host)}:{listen.port}"
        raise BadListen(address, (error.strerror or str(error)).lower()) from None


def _written(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def allowed_hosts(listen: Listen, port: int) -> frozenset[str]:
    """What a Host header may be, in lower case."""
    own = {_written(listen.host)}
    if _is_loopback(listen.host):
        own |= {"localhost", LOOPBACK, "[::1]"}
    found = {f"{name}:{port}" for name in {*own, *listen.names}}
    # Without a port: behind a proxy, which has one of its own.
    found |= set(listen.names) | (own if port == 80 else set())
    return frozenset(name.lower() for name in found)


async def _serve(
    world: World, options: ServerOptions, bound: socket.socket, hosts: frozenset[str], token: str
) -> None:
    async with Served(world, options) as served:
        app = served.server.streamable_http_app(
            streamable_http_path=PATH,
            transport_security=TransportSecuritySettings(
                allowed_hosts=sorted(hosts),
                allowed_origins=[
                    f"{scheme}://{host}" for host in sorted(hosts) for scheme in ("http", "https")
                ],
            ),
        )
        config = uvicorn.Config(
            Guard(app, hosts, token),
            log_config=None,
            access_log=False,
            ws="none",
            server_header=False,
            timeout_graceful_shutdown=_ENDING_SECONDS,
        )
        await uvicorn.Server(config).serve(sockets=[bound])


class Guard:
    """Lets only those requests through that come by an allowed name, from no foreign page, with the token."""

    def __init__(self, app: ASGIApp, hosts: frozenset[str], token: str) -> None:
        self._app = app
        self._hosts = hosts
        self._origins = frozenset(f"{scheme}://{host}" for host in hosts for scheme in ("http", "https"))
        self._credentials = f"Bearer {token}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            refused = self._refused(scope)
            if refused is not None:
                await refused(scope, receive, send)
                return
        elif scope["type"] != "lifespan":
            return  # no web sockets here
        await self._app(scope, receive, send)

    def _refused(self, scope: Scope) -> JSONResponse | None:
        found: dict[bytes, list[bytes]] = {}
        for name, value in scope["headers"]:
            found.setdefault(name.lower(), []).append(value)
        hosts = [value.decode("latin-1").lower() for value in found.get(b"host", [])]
        if len(hosts) != 1 or hosts[0] not in self._hosts:
            return _answer(421, "this server does not serve that host")
        origins = [value.decode("latin-1").lower() for value in found.get(b"origin", [])]
        if any(origin not in self._origins for origin in origins):
            return _answer(403, "this server serves no pages of that origin")
        given = found.get(b"authorization", [])
        if len(given) != 1 or not hmac.compare_digest(given[0], self._credentials):
            return _answer(401, "the token is missing or wrong", {"WWW-Authenticate": "Bearer"})
        return None


def _answer(status: int, message: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    return JSONResponse({"error": message}, status, headers=headers)
