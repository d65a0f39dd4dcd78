"""``pypm check --fix``: manifests made to say what the code uses."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from pypm.ops.bounds import bounded
from pypm.ops.check import CheckReport, check
from pypm.ops.checks.finding import Remedy
from pypm.ops.edit import locked_with, serves_others
from pypm.ops.locking import Locked
from pypm.ops.opening import open_workspace
from pypm.ops.toolbox import open_tools
from pypm.ops.tools import Tools
from pypm.ops.wanted import Origin, wanted
from pypm.ops.world import World
from pypm.ops.writing import write_all
from pypm_index.errors import IndexTrouble, OfflineMissing
from pypm_model.errors import PypmError
from pypm_model.names import NormalizedName
from pypm_model.records import record, replace
from pypm_model.requirement_text import parse
from pypm_workspace import edit
from pypm_workspace.edit import Target
from pypm_workspace.source_edit import with_source, without_source
from pypm_workspace.workspace import Workspace


def fix(world: World, names: tuple[str, ...] = (), *, unused: bool = False) -> CheckReport:
    """Runs the checks *names*, or all; adds to manifests what they say is missing (with *unused* takes away
    what is not used), locks, and runs the checks again. What cannot be locked with the rest is left out and
    told. Nothing is changed, and the error raised, if that is all of it."""
    report = check(world, names)
    remedies = _chosen(report, unused=unused)
    if not remedies:
        return report
    workspace = open_workspace(world)
    with open_tools(world, workspace) as tools:
        done, refused = _most(lambda tried: _locked(tools, workspace, tried), remedies)
    write_all(world, workspace, done.manifests, done.locked, None)
    return replace(check(world, names), fixed=done.remedies, refused=refused)


@record
class _Done:
    """What there would be."""

    remedies: tuple[Remedy, ...]
    manifests: Mapping[str, str]
    locked: Locked


def _most(
    attempt: Callable[[tuple[Remedy, ...]], _Done], remedies: tuple[Remedy, ...]
) -> tuple[_Done, tuple[tuple[Remedy, PypmError], ...]]:
    """What comes of as many of *remedies* as go together, and why each of the others does not. Halves them
    until it is known which: the rare one that does not fit costs a few attempts. Raises what *attempt* does
    if none fits."""
    done: _Done | None = None
    kept: tuple[Remedy, ...] = ()
    refused: list[tuple[Remedy, PypmError]] = []
    first: PypmError | None = None
    parts = [remedies]
    while parts:
        part = parts.pop()
        try:
            done = attempt((*kept, *part))
            kept = (*kept, *part)
        except (IndexTrouble, OfflineMissing):
            raise  # it says nothing of what goes together
        except PypmError as error:
            first = first or error
            if len(part) == 1:
                refused.append((part[0], error))
            else:
                middle = len(part) // 2
                parts += [part[middle:], part[:middle]]
    if done is None:
        assert first is not None
        raise first
    return done, tuple(refused)


def _locked(tools: Tools, workspace: Workspace, remedies: tuple[Remedy, ...]) -> _Done:
    manifests = _edited(tools.world, workspace, remedies)
    locked = locked_with(tools, workspace, manifests)
    if any(remedy.is_open for remedy in remedies):
        remedies = tuple(_bounded(remedy, workspace, locked) for remedy in remedies)
        manifests = _edited(tools.world, workspace, remedies)
        locked = locked_with(tools, workspace, manifests)
    return _Done(remedies, manifests, locked)


def _chosen(report: CheckReport, *, unused: bool) -> tuple[Remedy, ...]:
    """Each change once. What is added to what a member asks for to run need not be added to a group."""
    found = [finding.remedy for _, finding in report.findings if finding.remedy is not None]
    at_runtime = {
        (remedy.file, _name(remedy)) for remedy in found if remedy.target == Target() and not remedy.removes
    }
    return tuple(
        dict.fromkeys(
            remedy
            for remedy in found
            if (
                unused
                if remedy.removes
                else remedy.target == Target() or (remedy.file, _name(remedy)) not in at_runtime
            )
        )
    )


def _name(remedy: Remedy) -> NormalizedName:
    return parse(remedy.requirement).name


def _bounded(remedy: Remedy, workspace: Workspace, locked: Locked) -> Remedy:
    if not remedy.is_open:
        return remedy
    text = bounded(parse(remedy.requirement), remedy.requirement, workspace, locked.lock.packages)
    return replace(remedy, requirement=text, is_open=False)


def _edited(world: World, workspace: Workspace, remedies: Sequence[Remedy]) -> Mapping[str, str]:
    """The manifests as they would be, by path."""
    root = Path(workspace.root)
    texts: dict[str, str] = {}
    for remedy in remedies:
        file, name, target = remedy.file, _name(remedy), remedy.target
        member = workspace.by_name[remedy.member]
        text = texts[file] if file in texts else edit.read_manifest(root / file)
        if remedy.removes:
            text = edit.remove(text, name, target, file=file)
            if not edit.where(text, name) and not serves_others(workspace, member, name):
                text = without_source(text, name, file=file)
        else:
            each = wanted(world, workspace, remedy.requirement, Origin(), targets=[member.name])
            text = edit.add(text, each.text, target, file=file)
            source = each.source_in(root / member.path)
            if source is not None:
                text = with_source(text, name, source, uv=workspace.kind == "uv", file=file)
        texts[file] = text
    return texts
