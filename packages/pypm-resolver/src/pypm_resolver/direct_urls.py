"""The source a direct reference names: ``name @ URL`` (PEP 508) read as a record."""

from __future__ import annotations

import re
from urllib.parse import parse_qs, unquote, urlsplit, urlunsplit

from pypm_model.sources import DirectSource, GitSource, PathSource, UrlSource


def direct_source(url: str) -> DirectSource:
    """The folder, archive or commit at *url*, credentials and fragment taken off.

    ``git+https://host/repo@ref#subdirectory=sub`` is a commit, ``file:///…`` a path, everything else
    an archive at an address. Fragments are those of pip: ``subdirectory`` and ``sha256``, and of paths
    ``editable``; ``file:../lib`` is relative to the workspace's root.
    """
    parts = urlsplit(url)
    fragment = parse_qs(parts.fragment)
    subdirectory = fragment.get("subdirectory", [""])[0].strip("/")
    sha256 = fragment.get("sha256", [""])[0].lower()
    host = parts.netloc.rpartition("@")[2]
    if parts.scheme.startswith("git+"):
        # ssh needs its user name, which is no secret; a password is left out.
        user = parts.username if parts.scheme == "git+ssh" else None
        path, at, ref = parts.path.rpartition("@")
        if not at:
            path, ref = parts.path, ""
        netloc = f"{user}@{host}" if user else host
        address = urlunsplit((parts.scheme.removeprefix("git+"), netloc, path, "", ""))
        return GitSource(address, ref=unquote(ref), subdirectory=subdirectory)
    if parts.scheme == "file":
        path = unquote(parts.path)
        if re.match(r"/[A-Za-z]:", path):
            path = path[1:]
        return PathSource(path, "editable" in fragment, sha256)
    address = urlunsplit((parts.scheme, host, parts.path, parts.query, ""))
    return UrlSource(address, subdirectory=subdirectory, sha256=sha256)


def same_place(first: DirectSource, second: DirectSource) -> bool:
    """Whether both name the same thing before it is pinned down: hashes and commits do not count,
    nor a trailing ``.git`` or slash."""
    match first, second:
        case (GitSource(), GitSource()):
            plain = [s.url.rstrip("/").removesuffix(".git") for s in (first, second)]
            return (
                plain[0] == plain[1]
                and first.subdirectory == second.subdirectory
                and (first.ref == second.ref or second.ref == first.commit != "")
            )
        case (UrlSource(), UrlSource()):
            return first.url == second.url and first.subdirectory == second.subdirectory
        case (PathSource(), PathSource()):
            return first.path == second.path
        case _:
            return False
