"""Where what a direct dependency needs comes from, by the manifests in its own folder or repository.

A project that is used from its folder, or from a commit, may name sources for what it needs, as a member
may: other folders beside it, repositories, members of the workspace it is a member of. Its metadata does not
say so; without them a name that is meant to be the folder next door would be looked for in an index.
"""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath
from urllib.parse import quote

from pypm_model.names import NormalizedName
from pypm_model.requests import Ask
from pypm_model.requirement_text import InvalidRequirement, parse, to_text
from pypm_model.requirements import Requirement
from pypm_model.sources import DirectSource, GitSource, IndexSource, MemberSource, PathSource, UrlSource
from pypm_workspace.asks import AskMaker
from pypm_workspace.direct_reference import relative_path
from pypm_workspace.discover import discover, find_root
from pypm_workspace.workspace import Workspace

_MANIFEST = "pyproject.toml"


class DirectSources:
    """`pypm_index.direct.Sourced` for the workspace at *root*."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._workspaces: dict[str, Workspace] = {}

    def __call__(self, tree: Path, source: DirectSource, requires: tuple[str, ...]) -> tuple[str, ...]:
        """Raises the errors of `discover` for the workspace that *tree* belongs to."""
        if isinstance(source, UrlSource) or not requires or not (tree / _MANIFEST).is_file():
            return requires
        place = os.path.abspath(tree)
        root = find_root(place, {}).root
        top = _top(place, source)
        if top and not _is_within(root, top):
            root = place
        workspace = self._workspaces.get(root)
        if workspace is None:
            workspace = self._workspaces[root] = discover(root)
        member = workspace.by_path.get(os.path.relpath(place, root).replace(os.sep, "/"))
        if member is None:
            return requires
        maker = AskMaker(workspace.members, workspace.settings, root.replace(os.sep, "/"))
        written: list[str] = []
        for text in requires:
            try:
                requirement = parse(text)
            except InvalidRequirement:
                written.append(text)
                continue
            (asks,) = maker.sourced(member, [requirement])
            if all(ask.source is None or isinstance(ask.source, IndexSource) for ask in asks):
                written.append(text)
            else:
                own = member.name
                written += [to_text(self._said(ask, own, root, top, source)) for ask in asks]
        return tuple(written)

    def _said(self, ask: Ask, own: NormalizedName, root: str, top: str, base: DirectSource) -> Requirement:
        """The requirement of *ask* with its source as a direct reference."""
        requirement = ask.requirement
        match ask.source:
            case _ if requirement.name == own:
                return requirement  # its own extras
            case MemberSource(path):
                url = self._folder(os.path.join(root, path), True, top, base)
            case PathSource(path, editable):
                url = self._folder(os.path.join(root, path), editable, top, base)
            case GitSource(url, ref, commit, subdirectory):
                url = _git(url, commit or ref, subdirectory)
            case UrlSource(url, subdirectory, sha256):
                parts = [f"subdirectory={subdirectory}"] * bool(subdirectory)
                parts += [f"sha256={sha256}"] * bool(sha256)
                url = "#".join(filter(None, (url, "&".join(parts))))
            case _:
                return requirement
        return requirement._replace(url=url) if url else requirement

    def _folder(self, place: str, editable: bool, top: str, base: DirectSource) -> str:
        place = os.path.normpath(place)
        if isinstance(base, GitSource):
            if not _is_within(place, top):
                return ""
            below = os.path.relpath(place, top).replace(os.sep, "/")
            return _git(base.url, base.commit or base.ref, "" if below == "." else below)
        slashed = str(self._root).replace(os.sep, "/")
        path = quote(relative_path(place.replace(os.sep, "/"), ".", slashed))
        return f"file:{path}" + "#editable=1" * editable


def _top(place: str, source: DirectSource) -> str:
    """The folder of the repository that *place* is in; empty for a folder of this machine."""
    if not isinstance(source, GitSource):
        return ""
    for _ in PurePosixPath(source.subdirectory).parts:
        place = os.path.dirname(place)
    return place


def _is_within(place: str, top: str) -> bool:
    return place == top or place.startswith(top.rstrip(os.sep) + os.sep)


def _git(url: str, ref: str, subdirectory: str) -> str:
    return (
        f"git+{url}"
        + f"@{quote(ref)}" * bool(ref)
        + f"#subdirectory={quote(subdirectory)}" * bool(subdirectory)
    )
