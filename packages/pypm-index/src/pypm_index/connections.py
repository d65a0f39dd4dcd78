"""Connections to servers, kept alive and lent out: one origin, one pool; proxies from the environment."""

from __future__ import annotations

import base64
import http.client
import os
import ssl
import sys
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from pypm_model.later import later

if TYPE_CHECKING:
    from urllib import request

    import truststore
else:
    request = later("urllib.request")
    truststore = later("truststore")

Origin = tuple[str, str, int]
"""(scheme, host, port), as `pypm_index.addresses.origin` gives it."""


class ProxyUnusable(OSError):
    """The proxy that the environment names is of a kind that is not spoken here."""


class Pool:
    """Lends connections. May be used from any thread; a lent connection belongs to one thread."""

    def __init__(self, certificates: str, environ: Mapping[str, str], timeout: float) -> None:
        """*timeout*: seconds for making a connection and for each wait for bytes."""
        self._certificates = certificates
        self._proxies = _proxies(environ)
        self._timeout = timeout
        self._idle: dict[Origin, list[http.client.HTTPConnection]] = {}
        self._lock = threading.Lock()
        self._context: ssl.SSLContext | None = None
        self._closed = False

    def take(self, where: Origin, *, fresh: bool = False) -> tuple[http.client.HTTPConnection, bool]:
        """A connection (not yet opened, if new) and whether it has been used before. *fresh*: one
        that has not, and those that lie idle are given up: the server has ended them.

        Raises OSError: `ProxyUnusable`, or for certificates that cannot be read.
        """
        with self._lock:
            idle = self._idle.setdefault(where, [])
            if fresh:
                for connection in idle:
                    connection.close()
                idle.clear()
            elif idle:
                return idle.pop(), True
        return self._new(where), False

    def give(self, where: Origin, connection: http.client.HTTPConnection) -> None:
        """Takes back a connection whose last answer has been read to its end."""
        with self._lock:
            if not self._closed:
                self._idle.setdefault(where, []).append(connection)
                return
        connection.close()

    def close(self) -> None:
        """Closes what is idle, and what is given back later."""
        with self._lock:
            self._closed = True
            for idle in self._idle.values():
                for connection in idle:
                    connection.close()
            self._idle.clear()

    def proxy(self, where: Origin) -> str:
        """The address of the proxy for *where*; empty: none."""
        scheme, host, port = where
        found = self._proxies.get(scheme) or self._proxies.get("all", "")
        if not found or _needs_none(host, port, self._proxies.get("no", "")):
            return ""
        return found if "://" in found else f"http://{found}"

    def is_proxied_in_the_open(self, where: Origin) -> bool:
        """Whether requests must carry the whole address: plain HTTP through a proxy."""
        return where[0] == "http" and bool(self.proxy(where))

    def proxy_headers(self, where: Origin) -> dict[str, str]:
        """Headers for the proxy itself."""
        parts = urlsplit(self.proxy(where))
        if not parts.username:
            return {}
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        return {"Proxy-Authorization": "Basic " + base64.b64encode(pair.encode()).decode()}

    def _new(self, where: Origin) -> http.client.HTTPConnection:
        scheme, host, port = where
        proxy = self.proxy(where)
        if not proxy:
            if scheme == "https":
                return http.client.HTTPSConnection(host, port, timeout=self._timeout, context=self._tls())
            return http.client.HTTPConnection(host, port, timeout=self._timeout)
        parts = urlsplit(proxy)
        if parts.scheme != "http" and not (parts.scheme == "https" and scheme == "http"):
            raise ProxyUnusable(f"a proxy of the kind {parts.scheme}:// is not supported")
        via, via_port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
        if scheme == "https":
            tunnel = http.client.HTTPSConnection(via, via_port, timeout=self._timeout, context=self._tls())
            tunnel.set_tunnel(host, port, headers=self.proxy_headers(where))
            return tunnel
        if parts.scheme == "https":
            return http.client.HTTPSConnection(via, via_port, timeout=self._timeout, context=self._tls())
        return http.client.HTTPConnection(via, via_port, timeout=self._timeout)

    def _tls(self) -> ssl.SSLContext:
        with self._lock:
            if self._context is None:
                place = self._certificates
                if place:
                    folder = os.path.isdir(place)
                    self._context = ssl.create_default_context(
                        cafile=None if folder else place, capath=place if folder else None
                    )
                else:
                    self._context = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            return self._context


def _proxies(environ: Mapping[str, str]) -> dict[str, str]:
    """Proxy address by scheme (``all`` for the rest), and ``no`` for the hosts that need none. Lower
    case names win, as everywhere; on macOS and Windows the system's settings where no variable is."""
    found: dict[str, str] = {}
    for lower in (False, True):
        for name, value in environ.items():
            if name.lower().endswith("_proxy") and name.islower() is lower:
                if value:
                    found[name[:-6].lower()] = value
                elif lower:
                    found.pop(name[:-6].lower(), None)
    if not found and sys.platform in ("darwin", "win32"):
        return dict(request.getproxies())
    return found


def _needs_none(host: str, port: int, exceptions: str) -> bool:
    """Whether *host* is among the comma-separated *exceptions*: ``*``, a host or domain with or without
    a dot before it, a host with its port."""
    for entry in exceptions.lower().split(","):
        domain = entry.strip().lstrip("*").lstrip(".")
        if not domain:
            if entry.strip() == "*":
                return True
            continue
        for name in (host, f"{host}:{port}", f"[{host}]", f"[{host}]:{port}"):
            if name == domain or name.endswith("." + domain):
                return True
    return False
