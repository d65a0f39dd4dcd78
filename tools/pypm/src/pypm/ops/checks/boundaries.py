"""Which members may depend on which, by ``[boundaries]``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from fnmatch import fnmatchcase

from pypm.ops.checks.finding import Finding
from pypm.ops.checks.subject import Subject
from pypm_workspace.configuration import BoundaryRule, Member, Written
from pypm_workspace.edges import MemberEdge
from pypm_workspace.workspace import Workspace


def boundaries(subject: Subject) -> Iterator[Finding]:
    """``boundary`` for each requirement of a member on another that a ``deny`` rule names, or that leads
    from a layer to a higher one; unless an ``allow`` rule names it, which is stronger than both.
    ``boundary-unused``, a warning, for each word of a rule that names nobody, and so forbids nothing."""
    workspace = subject.workspace
    settings = workspace.settings
    if not (settings.layers or settings.boundaries):
        return
    allowed = [rule for rule in settings.boundaries if rule.kind == "allow"]
    denied = [rule for rule in settings.boundaries if rule.kind == "deny"]
    layers = {member.name: _layer(member, settings.layers) for member in workspace.members}
    # A group that includes another asks for the same in the same place.
    edges = {(edge.parent, edge.child, edge.origin): edge for edge in workspace.edges}
    for edge in edges.values():
        parent, child = workspace.by_name[edge.parent], workspace.by_name[edge.child]
        if parent is child or parent.is_virtual or any(_names(rule, parent, child) for rule in allowed):
            continue
        rule = next((rule for rule in denied if _names(rule, parent, child)), None)
        if rule is not None:
            place = workspace.place(rule.written)
            yield _finding(workspace, edge, rule.reason or f"{place} denies it")
            continue
        above, below = layers[parent.name], layers[child.name]
        if above is not None and below is not None and above > below:
            told = " > ".join("/".join(layer) for layer in settings.layers)
            yield _finding(workspace, edge, f"it is in a higher layer ({told})")
    yield from _unused(workspace)


def _unused(workspace: Workspace) -> Iterator[Finding]:
    settings = workspace.settings
    written: list[tuple[Sequence[str], Written]] = [
        (layer, Written(settings.file, f"boundaries.layers[{number}]"))
        for number, layer in enumerate(settings.layers)
    ]
    written += [((*rule.source, *rule.target), rule.written) for rule in settings.boundaries]
    for words, where in written:
        for word in dict.fromkeys(words):
            if not any(_is_one_of(member, (word,)) for member in workspace.members):
                message = f"`{word}` is no member's name or tag: the rule never counts for it"
                yield Finding("boundary-unused", message, workspace.place(where), is_error=False)


def _finding(workspace: Workspace, edge: MemberEdge, reason: str) -> Finding:
    message = f"`{edge.parent}` may not depend on `{edge.child}`: {reason}"
    return Finding("boundary", message, workspace.place(edge.origin))


def _names(rule: BoundaryRule, parent: Member, child: Member) -> bool:
    return _is_one_of(parent, rule.source) and _is_one_of(child, rule.target)


def _is_one_of(member: Member, words: Iterable[str]) -> bool:
    """Whether a word is the member's name, a glob for it, or one of its tags; ``tag:x`` is only the tag."""
    for word in words:
        if word.removeprefix("tag:") in member.tags:
            return True
        if fnmatchcase(member.name, word.lower().replace("_", "-").replace(".", "-")):
            return True
    return False


def _layer(member: Member, layers: tuple[tuple[str, ...], ...]) -> int | None:
    """The first layer that names *member*; None if none does: it is free."""
    return next((number for number, words in enumerate(layers) if _is_one_of(member, words)), None)
