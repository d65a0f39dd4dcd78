"""Project pages as HTML: PEP 503, with 592 (yanked), 629 (version), 658/714 (metadata), 792 (status).

Some mirrors serve only this, without any of the later attributes. Links are found with two regular
expressions that follow the grammar of HTML's start tags (quoted values may hold ``>``): three times
as fast as `html.parser`, with which the tests compare them.
"""

from __future__ import annotations

import re
from html import unescape
from urllib.parse import parse_qsl

from pypm_index.addresses import filename_of, join
from pypm_index.records import NO_METADATA, FileRecord, Page, check_api_version
from pypm_model.patterns import pattern

_comment = pattern(r"<!--.*?(?:-->|\Z)", re.DOTALL)
_tag = pattern(
    r"<(a|base|meta)(?=[\s/>])((?:[^>\"']|\"[^\"]*\"|'[^']*')*)>(?:([^<]*)</a\s*>)?", re.IGNORECASE
)
_attribute = pattern(r"([^\s=>\"'/]+)(?:\s*=\s*(?:\"([^\"]*)\"|'([^']*)'|([^\s\"'>]+)))?")
_archive = pattern(r"\.(?:whl|zip|tar\.gz|tgz|tar\.bz2|tar\.xz|egg|exe|msi|rpm)\Z", re.IGNORECASE)


def read(body: bytes, url: str, charset: str = "utf-8") -> Page:
    """The page in *body*, which came from *url* (after redirects: links are relative to it, or to
    the page's own ``<base>``).

    Raises `UnreadablePage` for a newer major version of the API. A page without links is a page:
    of a project without files.
    """
    try:
        text = body.decode(charset, "replace")
    except LookupError:
        text = body.decode("utf-8", "replace")
    if "<!--" in text:
        text = _comment.sub("", text)
    base, status, reason, newer = url, "", "", ""
    files: list[FileRecord] = []
    for tag, inside, label in _tag.findall(text):
        attributes = _attributes(inside)
        if tag in "aA":
            record = _record(attributes, label, base)
            if record is not None:
                files.append(record)
        elif tag.lower() == "base":
            if attributes.get("href"):
                base = join(url, attributes["href"])
        else:
            name, content = attributes.get("name", "").lower(), attributes.get("content", "")
            if name == "pypi:repository-version":
                newer = check_api_version(content)
            elif name == "pypi:project-status":
                status = "" if content == "active" else content
            elif name == "pypi:project-status-reason":
                reason = content
    return Page.of(files, status, reason if status else "", newer)


def _attributes(inside: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, double, single, bare in _attribute.findall(inside):
        value = double or single or bare
        # HTML: the first attribute of a name counts.
        found.setdefault(name.lower(), unescape(value) if "&" in value else value)
    return found


def _record(attributes: dict[str, str], label: str, base: str) -> FileRecord | None:
    link = attributes.get("href", "").strip()
    if not link:
        return None
    address, _, fragment = link.partition("#")
    filename = filename_of(address)
    if not _archive.search(filename):
        # Addresses that do not end in the file name (``/download?id=7``): the link's text has it.
        filename = unescape(label).strip()
        if not _archive.search(filename) or "/" in filename:
            return None
    sha256 = ""
    if "sha256=" in fragment:
        sha256 = dict(parse_qsl(fragment)).get("sha256", "").lower()
    yanked = attributes.get("data-yanked")
    return FileRecord(
        filename,
        join(base, address),
        sha256 if len(sha256) == 64 else "",
        None,
        "",
        attributes.get("data-requires-python", ""),
        yanked,
        _metadata(attributes),
        join(base, said) if (said := attributes.get("data-provenance", "").strip()) else "",
    )


def _metadata(attributes: dict[str, str]) -> str | None:
    said = attributes.get("data-core-metadata", attributes.get("data-dist-info-metadata"))
    if said is None:
        return None
    said = said.strip()
    if said.lower() == "false":
        return NO_METADATA
    algorithm, _, digest = said.partition("=")
    return digest.lower() if algorithm == "sha256" and len(digest) == 64 else ""
