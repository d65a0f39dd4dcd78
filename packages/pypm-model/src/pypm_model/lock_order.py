"""The order of a lock's parts: the same facts are the same text."""

from __future__ import annotations

from pypm_model import versions
from pypm_model.locks import Edge, LockedPackage
from pypm_model.sources import GitSource, IndexSource, MemberSource, PathSource, Source, UrlSource
from pypm_model.versions import InvalidVersion


def source_order(source: Source | None) -> tuple[str, ...]:
    """Sorts sources: none, index, member, path, url, git; each by its fields."""
    match source:
        case None:
            return ()
        case IndexSource(index):
            return "1", index
        case MemberSource(path):
            return "2", path
        case PathSource(path, editable, sha256):
            return "3", path, "1" if editable else "", sha256
        case UrlSource(url, subdirectory, sha256):
            return "4", url, subdirectory, sha256
        case GitSource(url, ref, commit, subdirectory):
            return "5", url, ref, commit, subdirectory


def _version_order(version: str) -> tuple[str, str]:
    if not version:
        return "", ""
    try:
        return versions.sort_key(version), version
    except InvalidVersion:
        return "", version


def package_order(package: LockedPackage) -> tuple[str, tuple[str, str], tuple[str, ...]]:
    """Sorts packages: by name, version in PEP 440 order, source."""
    return package.name, _version_order(package.version), source_order(package.source)


def edge_order(edge: Edge) -> tuple[str, tuple[str, str], str, tuple[str, ...], tuple[str, ...]]:
    """Sorts edges: by name, version, marker, source, extras."""
    return edge.name, _version_order(edge.version), edge.marker, source_order(edge.source), edge.extras
