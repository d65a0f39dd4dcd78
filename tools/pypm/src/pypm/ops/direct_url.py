"""`direct_url.json`: where a distribution came from that is none of an index (PEP 610)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pypm_model.locks import Pin
from pypm_model.sources import GitSource, IndexSource, MemberSource, PathSource, UrlSource


def direct_url(root: Path, pin: Pin, *, editable: bool) -> str:
    """`direct_url.json` (PEP 610) for what came from a folder, an address or a repository; empty for
    packages of an index."""
    data: Mapping[str, Any]
    match pin.package.source:
        case IndexSource():
            return ""
        case MemberSource(path) | PathSource(path, sha256=""):
            data = {"url": (root / path).as_uri(), "dir_info": {"editable": True} if editable else {}}
        case PathSource(path, sha256=sha256):
            data = {"url": (root / path).as_uri(), "archive_info": {"hashes": {"sha256": sha256}}}
        case UrlSource(url, subdirectory, sha256):
            data = {"url": url, "archive_info": {"hashes": {"sha256": sha256}}}
            data = {**data, **({"subdirectory": subdirectory} if subdirectory else {})}
        case GitSource(url, ref, commit, subdirectory):
            info = {"vcs": "git", **({"requested_revision": ref} if ref else {}), "commit_id": commit}
            data = {"url": url, "vcs_info": info, **({"subdirectory": subdirectory} if subdirectory else {})}
    return json.dumps(data, sort_keys=True)
