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
    # A group that includes another asks for the same in the same place.
    edges = {(edge.parent, edge.child, edge.origin): edge for edge in workspace.edges}
    for edge in edges.values():
        reason = why_forbidden(workspace, workspace.by_name[edge.parent], workspace.by_name[edge.child])
        if reason is not None:
            yield _finding(workspace, edge, reason)
    yield from _unused(workspace)


def why_forbidden(workspace: Workspace, parent: Member, child: Member) -> str | None:
    """Why *parent* may not depend on *child*; None if it may."""
    settings = workspace.settings
    if parent is child or parent.is_virtual:
        return None
    rules = [rule for rule in settings.boundaries if _names(rule, parent, child)]
    if any(rule.kind == "allow" for rule in rules):
        return None
    denied = next((rule for rule in rules if rule.kind == "deny"), None)
    if denied is not None:
        return denied.reason or f"{workspace.place(denied.written)} denies it"
    above, below = _layer(parent, settings.layers), _layer(child, settings.layers)
    if above is None or below is None or above <= below:
        return None
    return f"it is in a higher layer ({' > '.join('/'.join(layer) for layer in settings.layers)})"


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
