"""Where a package comes from: a closed family of records.

Two packages of one name and version from different sources are different packages.
"""

from __future__ import annotations

from pypm_model.patterns import pattern
from pypm_model.records import record


@record(order=True)
class IndexSource:
    """A package index, by the name the workspace gives it; the address is a setting, never in a lock."""

    index: str


@record(order=True)
class MemberSource:
    """A member of the workspace: its folder relative to the root, with ``/``; ``.`` is the root."""

    path: str


@record(order=True)
class PathSource:
    """A folder, wheel or sdist on this machine that is no member; relative to the root, with ``/``."""

    path: str
    editable: bool = False
    sha256: str = ""
    """Of the file; empty for a folder."""


@record(order=True)
class UrlSource:
    """A wheel or sdist at an address, without credentials and without a fragment."""

    url: str
    subdirectory: str = ""
    sha256: str = ""
    """Empty in a manifest that gives none; always there in a lock."""


@record(order=True)
class GitSource:
    """A commit in a git repository."""

    url: str
    """Without credentials, ``git+`` and ref; ``ssh://``, ``https://`` or ``file://``."""
    ref: str = ""
    """What the manifest asks for: branch, tag or commit; empty means the default branch."""
    commit: str = ""
    """Full hexadecimal object name; empty until resolved, always there in a lock."""
    subdirectory: str = ""


Source = IndexSource | MemberSource | PathSource | UrlSource | GitSource
DirectSource = PathSource | UrlSource | GitSource
"""A source with exactly one version: what is there."""


def plain_url(url: str) -> str:
    """The address without user name and password."""
    scheme, slashes, rest = url.partition("://")
    if not slashes:
        return url.partition("#")[0]  # a path relative to the root
    host, slash, path = rest.partition("/")
    return f"{scheme}://{host.rpartition('@')[2]}{slash}{path}"


_user = pattern(r"(?<=://)[^/?#\s]*@")


def without_credentials(url: str) -> str:
    """The address without what a server would be shown. The user of an ssh address (``git@``) is part of the
    address, that of any other may be a token."""
    match = _user.search(url)
    if match is None:
        return url
    is_ssh = url[: match.start()].endswith("ssh://")
    kept = match[0][:-1].partition(":")[0] + "@" if is_ssh else ""
    return url[: match.start()] + kept + url[match.end() :]
