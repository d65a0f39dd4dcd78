"""Code that not every Python runs which a member says it supports."""

from __future__ import annotations

from collections.abc import Iterator

from pypm.ops.checks.finding import Finding
from pypm.ops.checks.reading import oldest_minor
from pypm.ops.checks.sources import BUILD
from pypm.ops.checks.subject import Subject
from pypm_model import specifiers
from pypm_model.errors import Place
from pypm_workspace.configuration import Member
from pypm_workspace.imports import Imported
from pypm_workspace.standard_library import NEWEST, has_changed, minors, since, until


def pythons(subject: Subject) -> Iterator[Finding]:
    """``newer-syntax`` for what the oldest Python of a member cannot read, ``newer-module`` for a module
    of the standard library that it has not; warnings: ``removed-module`` for one that its newer Pythons
    have no more; ``invalid-syntax`` and ``unreadable-source`` as `unread` has them."""
    yield from unread(subject)
    for member in subject.workspace.members:
        if member.name in subject.sources and member.managed:
            yield from _findings(subject, member)


def unread(subject: Subject) -> Iterator[Finding]:
    """``invalid-syntax`` for what is no Python that its member runs on, and what could not be looked into:
    ``unreadable-source`` for what may be the syntax of a newer Python than there is on this machine."""
    for member in subject.workspace.members:
        if member.name not in subject.sources or not member.managed:
            continue
        oldest = oldest_minor(member.requires_python)
        for path, facts in subject.facts[member.name].items():
            fault = facts.unread
            if fault is None:
                continue
            place = Place(_path(member, path), fault.line, fault.column)
            if facts.unread_by >= oldest:
                message = f"the syntax is not valid, so its imports are not checked: {_lower(fault.message)}"
                yield Finding("invalid-syntax", message, place)
            else:
                message = (
                    f"`{member.name}` is for Python {member.requires_python}, and the newest that pypm found "
                    f"here, 3.{facts.unread_by}, cannot read this ({_lower(fault.message)}), so its imports "
                    f"are not checked: install Python 3.{oldest}"
                )
                yield Finding("unreadable-source", message, place, is_error=False, is_open=True)


def _findings(subject: Subject, member: Member) -> Iterator[Finding]:
    sources = subject.sources[member.name]
    supported = member.requires_python
    for file in sources.files:
        facts = subject.facts[member.name].get(file.path)
        if facts is None:
            continue
        if facts.newer is not None and supported and file.kind != BUILD:
            newer = facts.newer
            message = (
                f"`{member.name}` is for Python {supported}, "
                f"which does not read this: {_lower(newer.message)}"
            )
            yield Finding("newer-syntax", message, Place(_path(member, file.path), newer.line, newer.column))
    if supported:
        yield from _modules(subject, member, supported)


def _modules(subject: Subject, member: Member, supported: str) -> Iterator[Finding]:
    told: set[tuple[str, str]] = set()
    for use in subject.uses(member):
        file, imported, module = use.file, use.imported, use.module
        # A backport that is there has it.
        if use.providers or not has_changed(module) or imported.is_optional or use.is_typing:
            continue
        if file.kind == BUILD and module.partition(".")[0] == "distutils":
            continue  # setuptools brings it to whom it builds
        dotted = [module, *(f"{module}.{name}" for name in imported.names)]
        begin, end = max(map(since, dotted)), until(module)
        if not (begin or end) or (file.path, module) in told:
            continue
        admitted = minors(_within(supported, imported))
        if subject.ignores(member, (module, module.partition(".")[0])):
            continue
        place = Place(_path(member, file.path), imported.line, imported.column)
        if begin and any(minor < begin for minor in admitted) and not imported.instead_of:
            told.add((file.path, module))
            name = next(one for one in dotted if since(one) == begin)
            message = (
                f"`{member.name}` is for Python {supported}, and `{name}` is in the standard library "
                f"only from 3.{begin} on"
            )
            yield Finding("newer-module", message, place)
        if end and any(end <= minor <= NEWEST for minor in admitted):
            told.add((file.path, module))
            message = (
                f"`{member.name}` is for Python {supported}, and `{module.partition('.')[0]}` is in the "
                f"standard library no more from 3.{end} on"
            )
            yield Finding("removed-module", message, place, is_error=False)


def _within(supported: str, imported: Imported) -> str:
    return specifiers.merge(supported, imported.pythons) if imported.pythons else supported


def _path(member: Member, path: str) -> str:
    return path if member.path == "." else f"{member.path}/{path}"


def _lower(text: str) -> str:
    """A sentence as a clause; names stay."""
    return text[:1].lower() + text[1:] if text[1:2].islower() or text[1:2] == " " else text
