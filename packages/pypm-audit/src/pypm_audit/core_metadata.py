"""What the METADATA (or PKG-INFO) of a distribution says of the distribution itself."""

from __future__ import annotations

from collections.abc import Mapping
from email.utils import getaddresses
from typing import Any

from packaging.metadata import RawMetadata, parse_email

from pypm_model.patterns import pattern
from pypm_model.records import record

_not_in_labels = pattern(r"[^a-z0-9]")
_LINKS: Mapping[str, str] = {
    "homepage": "website",
    "source": "vcs",
    "repository": "vcs",
    "sourcecode": "vcs",
    "github": "vcs",
    "download": "distribution",
    "changelog": "release-notes",
    "changes": "release-notes",
    "whatsnew": "release-notes",
    "history": "release-notes",
    "releasenotes": "release-notes",
    "documentation": "documentation",
    "docs": "documentation",
    "issues": "issue-tracker",
    "bugs": "issue-tracker",
    "issue": "issue-tracker",
    "tracker": "issue-tracker",
    "issuetracker": "issue-tracker",
    "bugtracker": "issue-tracker",
}
"""Well-known labels of project addresses (PEP 753), and what CycloneDX calls such an address."""


@record
class About:
    """A distribution by its own words."""

    name: str = ""
    version: str = ""
    summary: str = ""
    author: str = ""
    """A name, where there is one, else an address of mail."""
    license_expression: str = ""
    """As written."""
    license: str = ""
    """The older field: a name or a whole text."""
    classifiers: tuple[str, ...] = ()
    """Those of licences, without ``License ::``."""
    links: tuple[tuple[str, str], ...] = ()
    """(kind of address as CycloneDX calls it, address), each once, in order."""

    @property
    def home_page(self) -> str:
        """The first address that is called so."""
        return next((address for kind, address in self.links if kind == "website"), "")


def read(text: bytes) -> About:
    """What *text* says; fields that cannot be read are taken to be missing."""
    raw, _ = parse_email(text)
    return _about(raw)


def _about(raw: RawMetadata) -> About:
    marks = [each.removeprefix("License ::").strip() for each in raw.get("classifiers", ()) if _is_mark(each)]
    return About(
        raw.get("name", ""),
        raw.get("version", ""),
        " ".join(raw.get("summary", "").split()),
        _person(raw),
        _stated(raw.get("license_expression", "")),
        _stated(raw.get("license", "")),
        tuple(dict.fromkeys(marks)),
        tuple(dict.fromkeys(_links(raw))),
    )


def of_project(project: Mapping[str, Any]) -> About:
    """What the ``[project]`` table of a manifest says (PEP 621, PEP 639)."""
    said = project.get("license")
    older = said.get("text", "") if isinstance(said, dict) else ""
    urls = project.get("urls")
    raw: RawMetadata = {
        "name": _word(project.get("name")),
        "version": _word(project.get("version")),
        "summary": _word(project.get("description")),
        "license_expression": _word(said),
        "license": _word(older),
        "classifiers": [each for each in _list(project.get("classifiers")) if isinstance(each, str)],
        "project_urls": {k: v for k, v in urls.items() if isinstance(v, str)}
        if isinstance(urls, dict)
        else {},
    }
    people = [p for key in ("authors", "maintainers") for p in _list(project.get(key)) if isinstance(p, dict)]
    if people:
        raw["author"] = _word(people[0].get("name")) or _word(people[0].get("email"))
    return _about(raw)


def _word(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _is_mark(classifier: str) -> bool:
    return classifier.startswith("License ::")


def _stated(text: str) -> str:
    return "" if text.strip().upper() in ("UNKNOWN", "NONE") else text.strip()


def _person(raw: RawMetadata) -> str:
    for name, address in (("author", "author_email"), ("maintainer", "maintainer_email")):
        said = _stated(str(raw.get(name, "")))
        if said:
            return " ".join(said.split())
        mail = _stated(str(raw.get(address, "")))
        if mail:
            called, at = next(iter(getaddresses([mail])), ("", ""))
            return called or at or mail
    return ""


def _links(raw: RawMetadata) -> list[tuple[str, str]]:
    found = []
    home = _stated(raw.get("home_page", ""))
    if home:
        found.append(("website", home))
    for label, address in raw.get("project_urls", {}).items():
        kind = _LINKS.get(_not_in_labels.sub("", label.lower()))
        if kind is not None and address:
            found.append((kind, address))
    # What is no address would make the whole bill invalid.
    return [(kind, at) for kind, at in found if at.startswith(("https://", "http://")) and _is_clean(at)]


def _is_clean(address: str) -> bool:
    return address.isascii() and address.isprintable() and not set(address) & set(' "<>\\^`{|}')
