"""From what a lock says a member asked, back to what a resolver is asked: the inverse of
`pypm_model.freshness.manifest_of`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pypm_model.freshness import manifest_of
from pypm_model.locks import Manifest
from pypm_model.names import NormalizedName
from pypm_model.patterns import pattern
from pypm_model.requests import Ask, MemberRequest, Origin
from pypm_model.requirement_text import InvalidRequirement, parse
from pypm_model.sources import GitSource, IndexSource, MemberSource, PathSource, Source, UrlSource

_path = pattern(r"path (?P<path>.*?)(?P<editable> editable)?(?: sha256=(?P<sha256>[0-9a-f]+))?")
_url = pattern(r"url (?P<url>\S+)(?: subdirectory=(?P<subdirectory>.*?))?(?: sha256=(?P<sha256>[0-9a-f]+))?")
_git = pattern(r"git (?P<url>\S+)(?: ref=(?P<ref>\S+))?(?: subdirectory=(?P<subdirectory>.*))?")


def member_request(
    name: NormalizedName,
    path: str,
    version: str,
    manifest: Manifest,
    members: Mapping[NormalizedName, str],
) -> MemberRequest | None:
    """What the member *name* in the folder *path* asks by *manifest*; None if its texts do not say it
    without a doubt. *members* are the folders of all members by name."""
    file = "pyproject.toml" if path in ("", ".") else f"{path}/pyproject.toml"

    def asks(texts: Iterable[str], table: str) -> tuple[Ask, ...]:
        return tuple(_ask(text, Origin(name, file, table), members) for text in texts)

    try:
        request = MemberRequest(
            name,
            path,
            version or None,
            manifest.requires_python,
            asks(manifest.dependencies, "project.dependencies"),
            tuple((e, asks(texts, f"project.optional-dependencies.{e}")) for e, texts in manifest.extras),
            tuple((g, asks(texts, f"dependency-groups.{g}")) for g, texts in manifest.groups),
        )
    except (InvalidRequirement, KeyError, ValueError):
        return None
    return request if manifest_of(request) == manifest else None


def _ask(text: str, origin: Origin, members: Mapping[NormalizedName, str]) -> Ask:
    requirement_text, at, source_text = text.partition(" @ ")
    requirement = parse(requirement_text)
    if not at:
        if requirement.name in members:
            raise ValueError("a member that is asked for as if it were none")
        return Ask(requirement, origin)
    if source_text == "member":
        return Ask(requirement, origin, MemberSource(members[requirement.name]))
    return Ask(requirement, origin, _source(source_text))


def _source(text: str) -> Source:
    if text.startswith("index "):
        return IndexSource(text.removeprefix("index "))
    if match := _path.fullmatch(text):
        return PathSource(match["path"], bool(match["editable"]), match["sha256"] or "")
    if match := _url.fullmatch(text):
        return UrlSource(match["url"], match["subdirectory"] or "", match["sha256"] or "")
    if match := _git.fullmatch(text):
        return GitSource(match["url"], match["ref"] or "", subdirectory=match["subdirectory"] or "")
    raise ValueError(text)
