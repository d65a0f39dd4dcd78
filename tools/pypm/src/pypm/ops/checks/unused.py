"""What members ask for and do not use."""

from __future__ import annotations

import re
from collections.abc import Iterator

from pypm.ops.checks.finding import Finding, Remedy
from pypm.ops.checks.pythons import unread
from pypm.ops.checks.reading import words_named
from pypm.ops.checks.sources import SHIPPED
from pypm.ops.checks.subject import Subject
from pypm_model.requests import Origin
from pypm_workspace.configuration import Asked, Member
from pypm_workspace.edges import asked_by
from pypm_workspace.edit import Target
from pypm_workspace.positions import undotted
from pypm_workspace.providers import stub_of

_word = re.compile(r"[\w.-]+")


def unused(subject: Subject) -> Iterator[Finding]:
    """``unused-dependency`` for each requirement of a member none of whose modules the member imports or
    names. A warning where that is no proof: in extras and groups, and for what has commands. Nothing is said
    of stubs, of what others find by its entry points, of what builds, of what nobody has looked into while
    it is not known where all imports come from, of members without code or with code that cannot be read,
    and of a virtual root. What cannot be read is told, as `pypm.ops.checks.pythons.unread` has it."""
    yield from unread(subject)
    for member in subject.workspace.members:
        if member.name in subject.sources and member.managed and not member.is_virtual:
            yield from _findings(subject, member)


def _findings(subject: Subject, member: Member) -> Iterator[Finding]:
    sources, facts = subject.sources[member.name], subject.facts[member.name]
    if not any(file.kind == SHIPPED for file in sources.files):
        return  # it is there for what it asks for
    if any(file.path not in facts or facts[file.path].unread for file in sources.files):
        return
    uses = [use for use in subject.uses(member) if use.is_foreign]
    imported = {name for use in uses for name in use.providers}
    is_riddle = any(not use.providers for use in uses)
    suspects: list[tuple[str, str, Asked, frozenset[str]]] = []
    told: set[tuple[str, int]] = set()
    for kind, label, asked in asked_by(member):
        name = asked.requirement.name
        if kind == "build" or (asked.table, asked.item) in told or name in imported or name == member.name:
            continue
        told.add((asked.table, asked.item))
        contents = subject.contents[name]
        if contents.is_plugin or not contents.modules or stub_of(name):
            continue
        if subject.ignores(member, (name, *contents.modules)) or _is_command(
            subject, member, contents.commands
        ):
            continue
        if kind == "group" and (contents.commands or contents.is_guess):
            continue
        if contents.is_guess and (is_riddle or name in subject.workspace.by_name):
            # It may have what nothing known has; a member without modules is there for what it asks for.
            continue
        packages = frozenset(module.partition(".")[0] for module in contents.modules)
        suspects.append((kind, label, asked, packages))
    named = words_named(sources, frozenset().union(*[packages for *_, packages in suspects]))
    for kind, label, asked, packages in suspects:
        if named.isdisjoint(packages):
            yield _finding(subject, member, kind, label, asked)


def _finding(subject: Subject, member: Member, kind: str, label: str, asked: Asked) -> Finding:
    name = asked.requirement.name
    contents = subject.contents[name]
    shown = ", ".join(f"`{module}`" for module in contents.modules[:3])
    why = f"nothing of it imports {shown}{' ...' if len(contents.modules) > 3 else ''}"
    is_error = kind == "runtime" and not contents.is_open
    if contents.is_guess:
        why = (
            "nothing of it imports a module of that name, and nobody has unpacked it here (`pypm sync` does)"
        )
    elif contents.commands:
        why += f"; if its command {contents.commands[0]} is what it is for, say so in [check] ignore"
        is_error = False
    place = subject.workspace.place(Origin(member.name, member.file, asked.table, asked.item))
    who = f"`{member.name}`" if kind == "runtime" else f"the {kind} {label} of `{member.name}`"
    message = f"{who} asks for `{name}`, and {why}"
    target = _target(asked)
    # Where it is no proof, nothing is taken away.
    remedy = Remedy(member.name, member.file, target, name, removes=True) if is_error and target else None
    return Finding("unused-dependency", message, place, is_error, remedy)


def _target(asked: Asked) -> Target | None:
    """The list that the text is in (a group may have it from another one); None for one of another tool."""
    match undotted(asked.table):
        case ("project", "dependencies"):
            return Target()
        case ("project", "optional-dependencies", str(name)):
            return Target("extra", name)
        case ("dependency-groups", str(name)):
            return Target("group", name)
        case _:
            return None


def _is_command(subject: Subject, member: Member, commands: tuple[str, ...]) -> bool:
    """Whether a task of the member runs one of *commands*."""
    if not commands:
        return False
    words = {word for task in subject.workspace.tasks(member) for word in _word.findall(task.command)}
    return not words.isdisjoint(commands)
