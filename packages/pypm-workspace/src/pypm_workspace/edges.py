"""Who depends on whom among members, without a graph library: cheap enough for every run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pypm_model.names import NormalizedName
from pypm_model.records import record
from pypm_model.requests import Origin
from pypm_model.requirements import Requirement
from pypm_workspace.configuration import Asked, Member

KINDS = ("runtime", "extra", "group", "build")


@record
class MemberEdge:
    """*parent* asks for *child*, both members."""

    parent: NormalizedName
    child: NormalizedName
    kind: str
    """One of `KINDS`."""
    label: str
    """The extra's or group's name, else empty."""
    requirement: Requirement
    origin: Origin


def asked_by(member: Member) -> Iterator[tuple[str, str, Asked]]:
    """Everything *member* asks for as (kind, label, asked): runtime, extras, groups, build."""
    for asked in member.dependencies:
        yield "runtime", "", asked
    for name, items in member.extras:
        for asked in items:
            yield "extra", name, asked
    for name, items in member.groups:
        for asked in items:
            yield "group", name, asked
    for asked in member.build.requires if member.build else ():
        yield "build", "", asked


def edges_between(members: Iterable[Member]) -> tuple[MemberEdge, ...]:
    """All edges, in order of parent, kind and text."""
    known = {member.name: member for member in members}
    found = []
    for member in known.values():
        name, file = member.name, member.file
        for kind, label, asked in asked_by(member):
            child = asked.requirement.name
            if child in known:
                origin = Origin(name, file, asked.table, asked.item)
                found.append(MemberEdge(name, child, kind, label, asked.requirement, origin))
    return tuple(found)
