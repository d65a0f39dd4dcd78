"""Project pages as JSON: PEP 691, with PEP 700 (sizes, upload times), 714 (metadata), 792 (status)."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from functools import cache, partial
from typing import TYPE_CHECKING, Any

from pypm_index.addresses import join
from pypm_index.records import NO_METADATA, FileRecord, Light, Page, UnreadablePage, check_api_version
from pypm_model.later import later

if TYPE_CHECKING:
    from pypm_index import quick_json
    from pypm_index.quick_json import QuickPage
else:
    quick_json = later("pypm_index.quick_json")

MEDIA_TYPE = "application/vnd.pypi.simple.v1+json"
_LARGE = 500_000
"""Bytes of a page from which loading the quick reader, 15 to 20 ms, pays for it alone."""


def read(body: bytes, url: str) -> Page:
    """The page in *body*, which came from *url* (after redirects: links are relative to it).

    A link that is not understood (no file name, no address) is left out: one bad file must not hide
    a project. Raises `UnreadablePage` if the whole is not such a page or of a newer major version.
    """
    if _is_quick(len(body)) and (quick := quick_json.parse(body)) is not None:
        return _quick_page(quick, body, url)
    try:
        data = json.loads(body)
    except (ValueError, RecursionError) as error:
        where = f" at line {error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
        raise UnreadablePage(f"its JSON is broken{where}") from error
    if not isinstance(data, dict):
        raise UnreadablePage("its JSON is not an object")
    newer = _newer(data.get("meta"))
    files = data.get("files")
    if not isinstance(files, list):
        raise UnreadablePage("its JSON has no list of files")
    status, reason = _status(data.get("project-status"))
    lights = _lights(files)
    speaks = any(_said(raw) is not None for *_, raw in lights)
    return Page(lights, partial(_record, base=url), speaks, status, reason, newer)


def prepare() -> None:
    """Loads what `read` needs, for those who have many pages to read."""
    _has_quick()


def _is_quick(size: int) -> bool:
    """Whether a page of so many bytes is read by `quick_json`."""
    return (size >= _LARGE or "pypm_index.quick_json" in sys.modules) and _has_quick()


@cache
def _has_quick() -> bool:
    """Whether the extra ``fast`` is there. Loads it."""
    try:
        return quick_json.parse is not None
    except ImportError:
        return False


def _quick_page(quick: QuickPage, body: bytes, url: str) -> Page:
    newer = _newer(quick.meta)
    links = quick.links
    # For every link of every page: column by column, which is a third of the time of a turn for each.
    names = [link.filename for link in links]
    uploads = [
        text[:19] + "Z"
        if text and text[-1] == "Z" and text[10:11] == "T" and text[19:20] in (".", "Z")
        else whole_seconds(text)
        for text in [link.uploaded for link in links]
    ]
    pythons = [link.requires_python or "" for link in links]
    yanked = [(why if type(why) is str else "") if (why := link.yanked) else None for link in links]
    lights: list[Light] = list(zip(names, uploads, pythons, yanked, quick.texts, strict=True))
    if "" in names or "/" in "".join(names):
        lights = [light for light in lights if light[0] and "/" not in light[0]]
    spoken = b"-metadata" in body and any(
        b"-metadata" in (text := bytes(raw)) and _said(json.loads(text)) is not None for *_, raw in lights
    )
    status, reason = _status(quick.status)

    def record(text: Any) -> FileRecord:
        return _record(quick_json.value(text), url)

    return Page(lights, record, spoken, status, reason, newer)


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


def _newer(meta: object) -> str:
    if isinstance(meta, dict) and "api-version" in meta:
        return check_api_version(str(meta["api-version"]))
    return ""


def _status(status: object) -> tuple[str, str]:
    if not isinstance(status, dict):
        return "", ""
    word, reason = status.get("status"), status.get("reason")
    if not isinstance(word, str) or word == "active":
        return "", ""
    return word, reason if isinstance(reason, str) else ""


def _lights(entries: list[Any]) -> list[Light]:
    """The links that are understood, in order."""
    # Called for every link of every page, and written for few calls.
    lights: list[Light] = []
    for entry in entries:
        if type(entry) is not dict:
            continue
        get = entry.get
        filename = get("filename")
        if type(filename) is not str or not filename or "/" in filename or type(get("url")) is not str:
            continue
        uploaded, requires_python, yanked = get("upload-time"), get("requires-python"), get("yanked")
        lights.append(
            (
                filename,
                whole_seconds(uploaded) if uploaded else "",
                requires_python if type(requires_python) is str else "",
                # PEP 691: anything true means yanked, a text is the reason.
                (yanked if type(yanked) is str else "") if yanked else None,
                entry,
            )
        )
    return lights


def _record(entry: dict[str, Any], base: str) -> FileRecord:
    ((filename, uploaded, requires_python, yanked, _),) = _lights([entry])
    hashes, size, said = entry.get("hashes"), entry.get("size"), _said(entry)
    sha256 = hashes.get("sha256") if isinstance(hashes, dict) else None
    return FileRecord(
        filename,
        join(base, entry["url"]),
        sha256.lower() if isinstance(sha256, str) and len(sha256) == 64 else "",
        size if type(size) is int and size >= 0 else None,
        uploaded,
        requires_python,
        yanked,
        None if said is None else _metadata(said),
        join(base, provenance) if isinstance(provenance := entry.get("provenance"), str) else "",
    )


def _said(entry: dict[str, Any]) -> Any:
    """What *entry* says of a metadata file; None: nothing. The second and third names are older."""
    for key in ("core-metadata", "dist-info-metadata", "data-dist-info-metadata"):
        said = entry.get(key)
        if said is not None:
            return said
    return None


def _metadata(said: Any) -> str:
    if isinstance(said, dict):
        digest = said.get("sha256")
        return digest.lower() if isinstance(digest, str) and len(digest) == 64 else ""
    return "" if said else NO_METADATA
