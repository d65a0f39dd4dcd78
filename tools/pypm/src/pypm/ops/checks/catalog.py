"""The catalog: members that state a range of their own for a name in it, and entries nobody uses."""

from __future__ import annotations

from collections.abc import Iterator

from pypm.ops.checks.finding import Finding
from pypm.ops.checks.subject import Subject
from pypm_model.requests import Origin
from pypm_workspace.configuration import CatalogEntry, Member
from pypm_workspace.edges import asked_by


def catalog(subject: Subject) -> Iterator[Finding]:
    """``catalog-drift`` for each requirement with a range in spite of the catalog; ``catalog-unused``, a
    warning, for each entry that no member asks for."""
    workspace = subject.workspace
    entries = {entry.name: entry for entry in workspace.settings.catalog}
    used = set()
    for member in workspace.members:
        # What builds a member is outside of its environment: the catalog does not speak of it.
        for asked in dict.fromkeys(asked for kind, _, asked in asked_by(member) if kind != "build"):
            requirement = asked.requirement
            if requirement.name not in entries or requirement.name in workspace.by_name:
                continue
            used.add(requirement.name)
            if requirement.specifier:
                place = workspace.place(Origin(member.name, member.file, asked.table, asked.item))
                told = _drift(member, requirement.specifier, entries[requirement.name])
                yield Finding("catalog-drift", told, place)
    if any("dependencies" in field for member in workspace.members for field in member.unstated):
        return  # what a build backend asks for, nobody knows without running it
    for name, entry in entries.items():
        if name not in used:
            reason = "it is a member" if name in workspace.by_name else "no member asks for it"
            message = f"the catalog's `{name}` is not used: {reason}"
            yield Finding("catalog-unused", message, workspace.place(entry.written), is_error=False)


def _drift(member: Member, specifier: str, entry: CatalogEntry) -> str:
    if specifier == entry.specifier:
        return f"`{member.name}` repeats the catalog's range of `{entry.name}`: write the bare name"
    return (
        f"`{member.name}` asks for `{entry.name}` {specifier}, "
        f"the catalog has {entry.specifier or 'any version'}: write the bare name"
    )
