"""Addresses: joined, split into origin and rest, and freed of secrets."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from pypm_model.later import later
from pypm_model.patterns import pattern

if TYPE_CHECKING:
    from urllib import parse
else:
    parse = later("urllib.parse")  # 3 ms, and few addresses need it

_USERINFO = r"(?<=://)[^/?#\s]*@"
_SECRET_USERINFO = rf"(?<!ssh://){_USERINFO}|(?<=ssh://)[^/?#\s@:]*:[^/?#\s]*@"
"""All but the user of an ssh address alone (``git@``), which is part of the address."""
_SECRET_PARAMETERS = (
    r"(?i)([?&](?:[a-z0-9_-]*(?:token|signature|secret|password|credential)[a-z0-9_-]*|sig|key)=)[^&\s]+"
)
_SHARED_FOLDERS = r"packages/[0-9a-f]{2}/[0-9a-f]{2}/[0-9a-f]{60}/"
_shared_folders = pattern(_SHARED_FOLDERS)
_SHARED_LENGTH = len("packages/") + 3 + 3 + 61
_default_ports = {"http": 80, "https": 443}


def join(base: str, link: str) -> str:
    """*link* of a page at *base* as an absolute address without fragment.

    Called for every link of every page: the common forms do without `urljoin`.
    """
    link = link.partition("#")[0]
    if link.startswith(("https://", "http://")):
        return without_userinfo(link) if "@" in link else link
    if link.startswith("/") and not link.startswith("//") and "/." not in link:
        return origin_text(base) + link
    return without_userinfo(parse.urljoin(base, link))


@lru_cache(maxsize=1024)
def origin_text(url: str) -> str:
    """``https://host:port`` of *url* as written, without userinfo."""
    scheme, _, rest = url.partition("://")
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    return f"{scheme}://{authority.rpartition('@')[2]}"


def origin(url: str) -> tuple[str, str, int]:
    """(scheme, host, port): what credentials are bound to. Raises ValueError for a bad port."""
    scheme, _, rest = url.partition("://")
    authority = rest.partition("/")[0]
    host, _, port = authority.partition(":")
    if scheme in _default_ports and host.isascii() and host.replace(".", "").replace("-", "").isalnum():
        if not port:
            return scheme, host.lower(), _default_ports[scheme]
        if port.isascii() and port.isdigit() and 0 < int(port) < 65536:
            return scheme, host.lower(), int(port)
    parts = parse.urlsplit(url)
    scheme = parts.scheme.lower()
    return scheme, (parts.hostname or "").lower(), parts.port or _default_ports.get(scheme, 0)


def userinfo(url: str) -> tuple[str, str] | None:
    """(user, password) written in *url*, decoded; None if there is none."""
    if "@" not in url:
        return None
    parts = parse.urlsplit(url)
    if parts.username is None:
        return None
    return parse.unquote(parts.username), parse.unquote(parts.password or "")


def without_userinfo(url: str) -> str:
    """*url* without user and password: what may be stored."""
    return re.sub(_USERINFO, "", url, count=1) if "@" in url else url


def redacted(text: str) -> str:
    """*text* with every password, token and signature in an address blotted out: what may be shown."""
    return re.sub(_SECRET_PARAMETERS, r"\1****", re.sub(_SECRET_USERINFO, "****@", text))


def hidden_in(value: Any, hide: Callable[[str], str] = redacted) -> Any:
    """*value*, of JSON's kinds, with *hide* done to every text in it."""
    if isinstance(value, str):
        return hide(value)
    if isinstance(value, dict):
        return {hidden_in(name, hide): hidden_in(each, hide) for name, each in value.items()}
    if isinstance(value, list):
        return [hidden_in(each, hide) for each in value]
    return value


def filename_of(url: str) -> str:
    """The last part of the path, decoded."""
    path = url.partition("#")[0].partition("?")[0]
    last = path.rpartition("/")[2]
    return parse.unquote(last) if "%" in last else last


def shared_path(url: str) -> str:
    """The part of *url* from ``packages/`` on if it has the content-addressed form that the default
    index and its mirrors share (see `pypm_model.artifacts.Artifact.path`), else empty."""
    found = _shared_path(url)
    return found.group() if found else ""


def shared_start(url: str, filename: str) -> int:
    """Where in *url*, which ends with *filename* as it is, the shared path begins; 0 if it has none.
    The same answer as `shared_path`, six times as fast: called for every file of every page."""
    start = len(url) - len(filename) - _SHARED_LENGTH
    if start > 0 and url.endswith(filename) and _shared_folders.match(url, start):
        return start
    return 0


def files_base(url: str) -> str:
    """What stands before the shared path in *url*; empty if *url* has none."""
    found = _shared_path(url)
    return url[: found.start()] if found else ""


def _shared_path(url: str) -> re.Match[str] | None:
    return re.search(_SHARED_FOLDERS + r"[^/?#]+\Z", url)
