"""What only build backends know: metadata of members and of sdists."""

from __future__ import annotations

from collections.abc import Mapping

from pypm.ops.provisioning import build_all, build_owner
from pypm.ops.tools import Tools
from pypm_env.build.jobs import Described
from pypm_env.build.sdist import Source
from pypm_index import metadata_text
from pypm_index.ports import BuildNeed
from pypm_model.errors import PypmError
from pypm_model.names import NormalizedName
from pypm_workspace.asks import Backend
from pypm_workspace.workspace import Workspace


def backends_of(tools: Tools, workspace: Workspace) -> Mapping[NormalizedName, Backend]:
    """Answers for the members whose dependencies, extras or Python range their manifest leaves to the
    backend. A member whose version alone is dynamic is not asked. Raises what building raises."""
    members = [member for member in workspace.members if member.unstated]
    sources = [
        Source(
            tools.root / member.path,
            "metadata",
            member.name,
            shown=member.file,
            owner=build_owner(tools, member),
        )
        for member in members
    ]
    with tools.store.using():
        results = build_all(tools, sources, tools.interpreter())
    found = {}
    for member, result in zip(members, results, strict=True):
        if isinstance(result, PypmError):
            raise result
        assert isinstance(result, Described)
        headers = metadata_text.read(result.text.encode())
        requires, _ = metadata_text.requirements(headers.requires_dist)
        found[member.name] = Backend(
            requires, metadata_text.extras(headers), metadata_text.requires_python(headers)
        )
    return found


def describe(tools: Tools, need: BuildNeed) -> bytes:
    """METADATA of a source tree, from its backend. Raises what building raises."""
    source = Source(
        need.folder,
        "metadata",
        need.name,
        need.version,
        need.digest,
        need.subdirectory,
        shown=f"{need.source}: pyproject.toml",
    )
    with tools.store.using():
        (result,) = build_all(tools, [source], tools.interpreter())
    if isinstance(result, PypmError):
        raise result
    assert isinstance(result, Described)
    return result.text.encode()
