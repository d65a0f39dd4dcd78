"""The lock as texts for other tools, and the files that ``[lock] export`` keeps in step with it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath
from types import MappingProxyType
from typing import ClassVar

from pypm.ops.locking import Locked, write_lock
from pypm.ops.roots import roots_of, selected_members
from pypm.ops.selection import Selection
from pypm.ops.tools import Tools
from pypm_index.addresses import without_userinfo
from pypm_model.activation import extra_flag, group_flag, member_flag
from pypm_model.artifacts import Artifact
from pypm_model.errors import Place as Spot
from pypm_model.errors import PypmError
from pypm_model.lock_apart import Side, clashing, sides
from pypm_model.lock_target import narrowed
from pypm_model.lock_toml import InvalidToml, loads
from pypm_model.locks import Lock, LockedPackage, Root
from pypm_model.markers import Diagram, InvalidMarker, parse
from pypm_model.names import NormalizedName
from pypm_model.pylock import Locate, Place, member_names, to_pylock, workspace_names
from pypm_model.records import record
from pypm_model.requirements_file import to_requirements
from pypm_model.sources import IndexSource
from pypm_model.targets import UnknownTarget, environment_marker
from pypm_store.atomic import write_atomically
from pypm_workspace.configuration import Written
from pypm_workspace.workspace import Workspace

Addresses = Mapping[tuple[str, str], str]
"""Where files are, by name and sha256."""

NOWHERE: Addresses = MappingProxyType({})


class OneMemberOnly(PypmError):
    """A pylock file is of the whole workspace or of one member."""

    code: ClassVar[str] = "one-member-only"
    exit: ClassVar[int] = 2
    members: tuple[str, ...]

    def __str__(self) -> str:
        return f"a pylock file is of the whole workspace or of one member, not of {len(self.members)}"


class NoTarget(PypmError):
    """What is to be exported for is neither a target nor a marker."""

    code: ClassVar[str] = "no-target"
    exit: ClassVar[int] = 2
    target: str
    reason: str

    def __str__(self) -> str:
        return f"--target {self.target}: {self.reason}"


class ExportApart(PypmError):
    """What is to be exported as one list does not go together: some environment would get several versions of
    a package. Files with dependency groups can hold it."""

    code: ClassVar[str] = "export-apart"
    file: str
    """The file of ``[lock] export``; empty for the text alone, and one that the command names."""
    package: NormalizedName
    sides: tuple[Side, ...]
    """At least two."""
    is_of_members: bool
    """Whether the choices are of several members."""
    place: Spot | None = None

    def __str__(self) -> str:
        return (
            f"{self.file or 'a requirements file'} can hold one version of {self.package}, "
            f"and it would be there in {' and '.join(map(str, self.sides))}"
        )

    @property
    def hint(self) -> str:
        if not self.is_of_members:
            return "choose other extras and groups; in a pylock.toml each can be asked for by itself"
        each = "one file for each member: `pypm export -p MEMBER -o FILE`"
        if self.file:
            each = f"take it out of `[lock] export`; {each}"
        return f"{each}; a pylock.toml can hold all, each as a dependency group"

    @property
    def places(self) -> tuple[Spot, ...]:
        return (self.place,) if self.place else ()


class ExportStale(PypmError):
    """Files of ``[lock] export`` that do not say what the lock says; at least one."""

    code: ClassVar[str] = "export-stale"
    files: tuple[str, ...]

    def __str__(self) -> str:
        verb = "does" if len(self.files) == 1 else "do"
        return f"{', '.join(self.files)} {verb} not say what pypm.lock says"

    @property
    def hint(self) -> str:
        return "run `pypm lock`"

    @property
    def places(self) -> tuple[Spot, ...]:
        return tuple(Spot(file) for file in self.files)


@record
class Form:
    """What an exported text is to hold."""

    form: str = "pylock.toml"
    """``pylock.toml`` or ``requirements.txt``."""
    selection: Selection = Selection()
    hashes: bool = True
    editable: bool = True
    members: bool = True
    """False: only what members need from elsewhere."""
    target: str = ""
    """The name of a target, or a marker: only what the selection needs there. Empty: all the lock is for."""
    file: str = ""
    """Its name in ``[lock] export``; empty if it is none of those."""
    folder: str = ""
    """Where the file lies, as an absolute path; empty: at the workspace's root. Paths in a pylock file are
    relative to it. Those in a requirements file are relative to where pip runs: the root."""


def form_of(file: str) -> str:
    """The form that a file of this name has: ``requirements.txt`` for ``*.txt``, else ``pylock.toml``."""
    return "requirements.txt" if file.endswith(".txt") else "pylock.toml"


def exported(tools: Tools, workspace: Workspace, lock: Lock, form: Form, known: Addresses = NOWHERE) -> str:
    """The text of *lock*. Indexes are asked for addresses that are not *known*. Raises `ExportApart`."""
    lock = _for_target(tools, workspace, lock, form)
    text, missing = _text(tools, workspace, lock, form, known)
    if missing:
        found = tools.catalog.locate(
            [(p.name, p.source.index, file) for p, file in missing if isinstance(p.source, IndexSource)]
        )
        located = {_key(one.artifact): without_userinfo(one.url) for one in found}
        text, _ = _text(tools, workspace, lock, form, {**known, **located})
    return text


def _for_target(tools: Tools, workspace: Workspace, lock: Lock, form: Form) -> Lock:
    if not form.target:
        return lock
    roots = roots_of(tools.world, workspace, lock, form.selection)
    return narrowed(lock, form.target, _region(form.target), roots)


def _form_in_step(workspace: Workspace, file: str) -> Form:
    """What *file* of ``[lock] export`` is to hold."""
    folder = str((Path(workspace.root) / file).parent)
    target = dict(workspace.settings.lock_targets).get(file, "")
    return Form(form_of(file), target=target, file=file, folder=folder)


def write_with_exports(tools: Tools, workspace: Workspace, locked: Locked) -> tuple[str, ...]:
    """Writes the lock if it is new, and those files of ``[lock] export`` that say something else; their
    names. All texts are made before the first is written."""
    root = Path(workspace.root)
    texts = {}
    for file in workspace.settings.lock_export:
        before = _read(root / file)
        form = _form_in_step(workspace, file)
        text = exported(tools, workspace, locked.lock, form, _addresses_in(before))
        if text != before:
            texts[file] = text
    write_lock(tools, workspace, locked)
    for file, text in texts.items():
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        write_atomically(root / file, text)
    return tuple(texts)


def stale_exports(tools: Tools, workspace: Workspace, lock: Lock) -> tuple[str, ...]:
    """Files of ``[lock] export`` that do not say what *lock* says. Nothing is asked of an index: an
    address in the file is taken to be right, since the file's digest vouches for what comes from it."""
    stale = []
    for file in workspace.settings.lock_export:
        before = _read(Path(workspace.root) / file)
        form = _form_in_step(workspace, file)
        narrow = _for_target(tools, workspace, lock, form)
        text, missing = _text(tools, workspace, narrow, form, _addresses_in(before))
        if missing or text != before:
            stale.append(file)
    return tuple(stale)


def _text(
    tools: Tools, workspace: Workspace, lock: Lock, form: Form, known: Addresses
) -> tuple[str, list[tuple[LockedPackage, Artifact]]]:
    """The text, and the files in it whose addresses are not *known*."""
    if form.form == "requirements.txt":
        roots = roots_of(tools.world, workspace, lock, form.selection)
        if positions := clashing(lock, roots):
            raise _apart(workspace, lock, roots, positions, form.file)
        text = to_requirements(
            lock,
            roots,
            hashes=form.hashes,
            editable=form.editable,
            members=form.members,
            unbuilt=_unbuilt(workspace),
        )
        return text, []
    missing: list[tuple[LockedPackage, Artifact]] = []

    def locate(package: LockedPackage, artifact: Artifact) -> str:
        if _key(artifact) not in known:
            missing.append((package, artifact))
        return known.get(_key(artifact), "")

    return _pylock(tools, workspace, lock, form, locate), missing


def default_groups_apart(tools: Tools, workspace: Workspace, lock: Lock, form: Form) -> ExportApart | None:
    """Why the pylock text for *form* has no default groups; None if it has them."""
    lock = _for_target(tools, workspace, lock, form)
    roots = roots_of(tools.world, workspace, lock, form.selection)
    positions = clashing(lock, roots)
    return _apart(workspace, lock, roots, positions, form.file) if positions else None


def _apart(
    workspace: Workspace, lock: Lock, roots: Sequence[Root], positions: Sequence[int], file: str
) -> ExportApart:
    found = sides(lock, roots, positions)
    members = [{choice.partition("[")[0].partition(":")[0] for choice in side.choices} for side in found]
    place = None
    if file:
        at = workspace.settings.lock_export.index(file)
        place = workspace.place(Written(workspace.settings.file, f"lock.export[{at}]"))
    return ExportApart(
        file, lock.packages[positions[0]].name, found, members.count(members[0]) < len(members), place
    )


def _region(target: str) -> Diagram:
    try:
        return parse(environment_marker(target))
    except (InvalidMarker, UnknownTarget) as error:
        raise NoTarget(target, str(error)) from None


def _pylock(tools: Tools, workspace: Workspace, lock: Lock, form: Form, locate: Locate) -> str:
    """The PEP 751 text. What the selection chooses are the default groups, none if that does not go together;
    all others can be asked for, but for one target, which was looked at for the selection only."""
    if form.selection.members:
        members = selected_members(tools.world, workspace, form.selection)
        if len(members) != 1:
            raise OneMemberOnly(tuple(member.name for member in members))
        names = member_names(lock, members[0].name)
    else:
        names = workspace_names(lock)
    chosen: set[str] = set()
    roots = roots_of(tools.world, workspace, lock, form.selection)
    for root in roots:
        chosen |= {member_flag(root.member)} if root.project else set()
        chosen |= {extra_flag(root.member, extra) for extra in root.extras}
        chosen |= {group_flag(root.member, group) for group in root.groups}
    if form.target:
        names = names.only(chosen)
    defaults = set() if clashing(lock, roots) else chosen
    return to_pylock(
        lock,
        names,
        locate,
        default_groups=[name for flag, name in names.groups if flag in defaults],
        editable=form.editable,
        members=form.members,
        unbuilt=_unbuilt(workspace),
        place=_place(Path(workspace.root), form.folder),
    )


def _place(root: Path, folder: str) -> Place:
    def place(path: str) -> str:
        if PurePath(path).is_absolute():
            return path
        try:
            return Path(os.path.relpath(root / path, folder)).as_posix()
        except ValueError:  # on another drive
            return (root / path).as_posix()

    return place if folder and Path(folder) != root else str


def _unbuilt(workspace: Workspace) -> frozenset[NormalizedName]:
    """Members that are no packages: they have no ``[build-system]``, or say ``package = false``. Of those
    that are absent nobody knows."""
    return frozenset(
        member.name
        for member in workspace.members
        if member.build is None and member.path not in workspace.absent
    )


def _addresses_in(text: str | None) -> Addresses:
    """The addresses that an exported pylock text gives: they stay, so that another mirror changes nothing."""
    try:
        packages = loads(text or "").get("packages")
    except InvalidToml:
        return {}
    found = {}
    for package in packages if isinstance(packages, list) else ():
        if not isinstance(package, dict):
            continue
        wheels = package.get("wheels")
        for file in (*(wheels if isinstance(wheels, list) else ()), package.get("sdist")):
            match file:
                case {"name": str(name), "url": str(url), "hashes": {"sha256": str(digest)}}:
                    found[name, digest] = without_userinfo(url)
    return found


def _key(artifact: Artifact) -> tuple[str, str]:
    return artifact.filename, artifact.sha256


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
