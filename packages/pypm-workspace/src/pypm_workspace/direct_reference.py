"""Sources from texts: PEP 508 direct references and the tables of ``sources``."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from urllib.parse import parse_qs, unquote, urlsplit, urlunsplit

from pypm_model.patterns import pattern
from pypm_model.sources import (
    DirectSource,
    GitSource,
    IndexSource,
    MemberSource,
    PathSource,
    Source,
    UrlSource,
)

_scp = pattern(r"(?:[\w.-]+@)[\w.-]+:(?!//)")
_kinds = ("workspace", "git", "url", "path", "index")
_refs = ("rev", "tag", "branch")
KEYS = (*_kinds, *_refs, "subdirectory", "editable", "marker", "extra", "group", "package", "lfs")
"""Every key a source's table may have."""


def git_url(text: str) -> str:
    """A git address as `GitSource` wants it: no ``git+``, no password, ``ssh://`` for the scp form.

    The user of an ssh address is part of the address (``git@``), that of an https one a credential.
    """
    text = text.removeprefix("git+")
    if _scp.match(text):
        text = "ssh://" + text.replace(":", "/", 1)
    parts = urlsplit(text)
    host = parts.netloc.rpartition("@")[2]
    user = parts.username
    netloc = f"{user}@{host}" if parts.scheme == "ssh" and user else host
    return urlunsplit((parts.scheme, netloc, parts.path, parts.query, ""))


def relative_path(path: str, base: str, root: str) -> str:
    """*path* as written in folder *base* (relative to *root*), relative to the root with ``/``.

    *root* is the root's absolute path with ``/``; an absolute path elsewhere is reached by ``..``,
    or stays absolute if it is on another drive.
    """
    path = path.replace("\\", "/")
    absolute = path.startswith("/") or re.match(r"[A-Za-z]:/", path) is not None
    if not absolute:
        return posixpath.normpath(posixpath.join(base, path))
    if path[:2].lower() != root[:2].lower() and ":" in (path[1:2] + root[1:2]):
        return posixpath.normpath(path)
    return posixpath.relpath(path, root)


def direct_reference(url: str, *, base: str, root: str) -> DirectSource:
    """The source that stands after ``@`` in a requirement of a manifest in folder *base*.

    Raises ValueError with a clause that says what is wrong.
    """
    if url.startswith("git+") or url.startswith("git@"):
        parts = urlsplit(url)
        fragment = parse_qs(parts.fragment)
        address = url.partition("#")[0]
        head, at, ref = address.rpartition("@")
        slash = address.find("/", address.find("://") + 3)
        if not at or address.rfind("@") < slash or "/" not in head:
            head, ref = address, ""
        return GitSource(git_url(head), ref, subdirectory=_subdirectory(fragment))
    parts = urlsplit(url)
    fragment = parse_qs(parts.fragment)
    if parts.scheme == "file":
        path = unquote(parts.path)
        if re.match(r"/[A-Za-z]:/", path):
            path = path[1:]
        return PathSource(relative_path(path, base, root), sha256=_sha256(fragment))
    if parts.scheme in ("http", "https"):
        netloc = parts.netloc.rpartition("@")[2]
        plain = urlunsplit((parts.scheme, netloc, parts.path, parts.query, ""))
        return UrlSource(plain, _subdirectory(fragment), _sha256(fragment))
    if not parts.scheme:
        return PathSource(relative_path(unquote(parts.path), base, root), sha256=_sha256(fragment))
    raise ValueError(f"`{parts.scheme}:` is no scheme of a direct reference (http, https, file, git+...)")


def _subdirectory(fragment: Mapping[str, list[str]]) -> str:
    found = fragment.get("subdirectory", [""])[0]
    return posixpath.normpath(found) if found else ""


def _sha256(fragment: Mapping[str, list[str]]) -> str:
    return fragment.get("sha256", [""])[0].lower()


def table_source(table: Mapping[str, object], *, base: str, root: str) -> Source:
    """The source one table of ``sources`` describes. Raises ValueError with a clause.

    ``git`` with one of ``rev``, ``tag``, ``branch``; ``url``; ``path`` with ``editable``; ``index``;
    ``workspace = true``. Key names and types other than these are the caller's to check.
    """
    kinds = [kind for kind in _kinds if table.get(kind) not in (None, False)]
    if len(kinds) != 1:
        found = " and ".join(f"`{kind}`" for kind in kinds) or "none"
        raise ValueError(f"a source needs exactly one of workspace, git, url, path, index; it has {found}")
    refs = [ref for ref in _refs if table.get(ref)]
    if refs and kinds != ["git"]:
        raise ValueError(f"`{refs[0]}` belongs to a git source")
    if len(refs) > 1:
        raise ValueError(f"`{refs[0]}` and `{refs[1]}` exclude each other")
    if table.get("editable") and kinds[0] not in ("path", "workspace"):
        raise ValueError("`editable` belongs to a path source")
    if table.get("subdirectory") and kinds[0] not in ("git", "url"):
        raise ValueError("`subdirectory` belongs to a git or url source")
    subdirectory = str(table.get("subdirectory") or "")
    match kinds[0]:
        case "workspace":
            return MemberSource("")
        case "index":
            return IndexSource(str(table["index"]))
        case "path":
            return PathSource(relative_path(str(table["path"]), base, root), bool(table.get("editable")))
        case "url":
            source = direct_reference(str(table["url"]), base=base, root=root)
            if not isinstance(source, UrlSource):
                raise ValueError("`url` must be an http or https address; use `path` or `git`")
            return UrlSource(source.url, subdirectory or source.subdirectory, source.sha256)
        case _:
            ref = str(table[refs[0]]) if refs else ""
            return GitSource(git_url(str(table["git"])), ref, subdirectory=subdirectory)
