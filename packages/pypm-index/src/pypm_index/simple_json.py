"""Project pages as JSON: PEP 691, with PEP 700 (sizes, upload times), 714 (metadata), 792 (status)."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from pypm_index.addresses import join
from pypm_index.records import NO_METADATA, FileRecord, Page, UnreadablePage, check_api_version

MEDIA_TYPE = "application/vnd.pypi.simple.v1+json"


def read(body: bytes, url: str) -> Page:
    """The page in *body*, which came from *url* (after redirects: links are relative to it).

    A link that is not understood (no file name, no address) is left out: one bad file must not hide
    a project. Raises `UnreadablePage` if the whole is not such a page or of a newer major version.
    """
    try:
        data = json.loads(body)
    except (ValueError, RecursionError) as error:
        where = f" at line {error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
        raise UnreadablePage(f"its JSON is broken{where}") from error
    if not isinstance(data, dict):
        raise UnreadablePage("its JSON is not an object")
    meta = data.get("meta")
    newer = ""
    if isinstance(meta, dict) and "api-version" in meta:
        newer = check_api_version(str(meta["api-version"]))
    files = data.get("files")
    if not isinstance(files, list):
        raise UnreadablePage("its JSON has no list of files")
    status, reason = _status(data)
    records = tuple(record for entry in files if (record := _record(entry, url)) is not None)
    return Page(records, status, reason, newer)


def whole_seconds(text: object) -> str:
    """An RFC 3339 time in UTC with whole seconds, the fraction cut off; empty if it is no time."""
    if not isinstance(text, str):
        return ""
    if len(text) >= 20 and text[-1] == "Z" and text[10] == "T" and text[19] in ".Z":
        return text[:19] + "Z"
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return ""
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _status(data: dict[str, Any]) -> tuple[str, str]:
    status = data.get("project-status")
    if not isinstance(status, dict):
        return "", ""
    word, reason = status.get("status"), status.get("reason")
    if not isinstance(word, str) or word == "active":
        return "", ""
    return word, reason if isinstance(reason, str) else ""


def _record(entry: Any, base: str) -> FileRecord | None:
    # Called for every file of every page: written for few calls rather than for beauty.
    if type(entry) is not dict:
        return None
    get = entry.get
    filename, link, hashes, size, uploaded = (
        get("filename"),
        get("url"),
        get("hashes"),
        get("size"),
        get("upload-time"),
    )
    if type(filename) is not str or type(link) is not str or not filename or "/" in filename:
        return None
    sha256 = hashes.get("sha256") if type(hashes) is dict else None
    requires_python, yanked, said = get("requires-python"), get("yanked"), get("core-metadata")
    if said is None:
        said = get("dist-info-metadata")
        if said is None:
            said = get("data-dist-info-metadata")
    return FileRecord(
        filename,
        join(base, link),
        sha256.lower() if type(sha256) is str and len(sha256) == 64 else "",
        size if type(size) is int and size >= 0 else None,
        whole_seconds(uploaded) if uploaded else "",
        requires_python if type(requires_python) is str else "",
        # PEP 691: anything true means yanked, a text is the reason.
        (yanked if type(yanked) is str else "") if yanked else None,
        None if said is None else _metadata(said),
    )


def _metadata(said: Any) -> str:
    if type(said) is dict:
        digest = said.get("sha256")
        return digest.lower() if type(digest) is str and len(digest) == 64 else ""
    return "" if said else NO_METADATA
