"""Package URLs (ECMA-427): the names by which scanners of vulnerabilities know packages."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote

from pypm_model.artifacts import Artifact
from pypm_model.locks import LockedPackage
from pypm_model.sources import GitSource, IndexSource, MemberSource, PathSource, UrlSource

_PLAIN = ":/.-_~"
"""What stands in a qualifier as it is."""


def purl(name: str, version: str, qualifiers: Mapping[str, str] | None = None) -> str:
    """The package URL of a Python package; *name* is normalised."""
    text = f"pkg:pypi/{quote(name, safe='')}"
    if version:
        text += f"@{quote(version, safe='.-_~')}"
    if qualifiers:
        text += "?" + "&".join(f"{key}={quote(qualifiers[key], safe=_PLAIN)}" for key in sorted(qualifiers))
    return text


def purl_of(package: LockedPackage) -> str:
    """That of *package*, with where it is from if that is no index; empty for members and folders, of which
    nobody else knows."""
    match package.source:
        case IndexSource():
            return purl(package.name, package.version)
        case UrlSource(url, _, sha256):
            found = {"download_url": url} | ({"checksum": f"sha256:{sha256}"} if sha256 else {})
            return purl(package.name, package.version, found)
        case GitSource():
            return purl(package.name, package.version, {"vcs_url": address_of(package)})
        case MemberSource() | PathSource():
            return ""


def file_qualifiers(file: Artifact) -> str:
    """What makes the package URL of a release that of one file of it."""
    return f"checksum=sha256:{file.sha256}&file_name={quote(file.filename, safe='.-_~')}"


def address_of(package: LockedPackage) -> str:
    """Where *package* is from, as SPDX writes places; empty for what is of an index, whose address no lock
    has, and for what is on this machine."""
    match package.source:
        case GitSource(url, _, commit, subdirectory):
            return f"git+{url}@{commit}" + (f"#{subdirectory}" if subdirectory else "")
        case UrlSource(url, subdirectory):
            return url + (f"#subdirectory={subdirectory}" if subdirectory else "")
        case IndexSource() | MemberSource() | PathSource():
            return ""
