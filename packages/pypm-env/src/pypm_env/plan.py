"""From what is and what should be to what must be done. Pure: two records in, one record out.

``after(plan(wanted, installed), installed)`` has exactly the wanted distributions, or with *inexact*
those and whatever else was there.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from pypm_env.dists import Installed, InstalledDist, Wanted, WantedDist
from pypm_model.errors import PypmError
from pypm_model.names import NormalizedName
from pypm_model.records import field, record


class ForeignEnvironment(PypmError):
    """The folder holds an environment that pypm did not make, or no environment at all."""

    folder: str
    is_environment: bool

    code: ClassVar[str] = "foreign-environment"

    def __str__(self) -> str:
        if self.is_environment:
            return f"{self.folder} is an environment that pypm did not make"
        return f"{self.folder} is in the way: it is no environment"

    @property
    def hint(self) -> str | None:
        if self.is_environment:
            return "pass --force to have it replaced, or remove it"
        return "move it away: pypm would have to delete what is in it"


@record
class Remove:
    """Take *installed* out."""

    installed: InstalledDist


@record
class Install:
    """Put *dist* in, where *replaces* (of the same name) was."""

    dist: WantedDist
    replaces: tuple[InstalledDist, ...] = ()


@record
class Amend:
    """Only whether it was asked for by a member itself has changed."""

    installed: InstalledDist
    dist: WantedDist


@record
class Options:
    """How a plan is made; see `plan`."""

    inexact: bool = False
    reinstall: frozenset[NormalizedName] | bool = False
    adopt: bool = False


@record
class Plan:
    """What `apply` will do. All tuples are sorted by name."""

    wanted: Wanted
    installed: Installed
    recreate: str = ""
    """Why the environment is made anew, as a phrase; empty: it is changed in place."""
    remove: tuple[Remove, ...] = ()
    install: tuple[Install, ...] = ()
    amend: tuple[Amend, ...] = ()
    keep: tuple[InstalledDist, ...] = ()
    clean: tuple[str, ...] = ()
    """.dist-info folders that a killed apply left and that belong to nothing wanted."""
    options: Options = field(default_factory=lambda: Options())
    """What it was made with, should it have to be made again."""

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to do."""
        unfinished = bool(self.installed.unfinished)
        return not (self.recreate or self.remove or self.install or self.amend or self.clean or unfinished)

    @property
    def counts(self) -> dict[str, int]:
        """For a report: ``install``, ``update``, ``remove``, ``keep``."""
        updates = sum(1 for step in self.install if step.replaces)
        return {
            "install": len(self.install) - updates,
            "update": updates,
            "remove": len(self.remove),
            "keep": len(self.keep) + len(self.amend),
        }

    def to_json(self) -> dict[str, Any]:
        """The plan as JSON-ready data, for ``--dry-run`` and ``--json``."""
        return {
            "environment": str(self.installed.folder),
            "python": self.wanted.interpreter.version,
            "interpreter": self.wanted.interpreter.path,
            "link-mode": self.wanted.link_mode,
            "recreate": self.recreate or None,
            "counts": self.counts,
            "install": [
                {
                    "name": step.dist.name,
                    "version": step.dist.version,
                    "editable": step.dist.editable,
                    "replaces": [old.dist.version for old in step.replaces],
                    "replaces-editable": any(old.dist.editable for old in step.replaces),
                }
                for step in self.install
            ],
            "remove": [
                {"name": step.installed.name, "version": step.installed.dist.version} for step in self.remove
            ],
        }


def refuse_foreign(installed: Installed, *, adopt: bool = False) -> None:
    """Raises `ForeignEnvironment` for what `plan` would refuse, for those who have not got so far."""
    if installed.kind == "occupied" or (installed.kind == "foreign" and not adopt):
        raise ForeignEnvironment(str(installed.folder), installed.kind == "foreign")


def plan(
    wanted: Wanted,
    installed: Installed,
    *,
    inexact: bool = False,
    reinstall: Iterable[NormalizedName] | bool = (),
    adopt: bool = False,
) -> Plan:
    """What makes *installed* what is *wanted*.

    *inexact* leaves what is not wanted; *reinstall* names what is put in again even if it is there (True:
    everything); *adopt* lets an environment that another tool made be replaced. Raises `ForeignEnvironment`.
    """
    options = Options(inexact, reinstall if isinstance(reinstall, bool) else frozenset(reinstall), adopt)
    refuse_foreign(installed, adopt=adopt)
    dists = sorted(wanted.dists, key=lambda dist: dist.name)
    if reason := recreate_reason(wanted, installed):
        everything = tuple(Install(dist) for dist in dists)
        return Plan(wanted, installed, reason, install=everything, options=options)
    again = {
        dist.name for dist in dists if options.reinstall is True or dist.name in (options.reinstall or ())
    }
    again |= {one.name for one in installed.dists if one.info in installed.stale}
    present: dict[NormalizedName, list[InstalledDist]] = {}
    for one in installed.dists:
        present.setdefault(one.name, []).append(one)
    install: list[Install] = []
    amend: list[Amend] = []
    keep: list[InstalledDist] = []
    for dist in dists:
        found = present.pop(dist.name, [])
        whole = len(found) == 1 and found[0].info not in installed.unfinished and dist.name not in again
        if whole and found[0].dist == dist:
            keep.append(found[0])
        elif whole and _same_files(found[0].dist, dist):
            amend.append(Amend(found[0], dist))
        else:
            install.append(Install(dist, tuple(found)))
    others = [one for name in sorted(present) for one in present[name]]
    remove = [Remove(one) for one in others if not inexact or one.info in installed.unfinished]
    keep += [one for one in others if inexact and one.info not in installed.unfinished]
    known = {one.info for one in installed.dists}
    clean = tuple(sorted(name for name in installed.unfinished if name and name not in known))
    keep.sort(key=lambda one: one.name)
    return Plan(
        wanted, installed, "", tuple(remove), tuple(install), tuple(amend), tuple(keep), clean, options
    )


def after(done: Plan) -> tuple[WantedDist, ...]:
    """The distributions that are installed once *done* has been applied, sorted by name."""
    kept = [one.dist for one in done.keep]
    put = [step.dist for step in done.install] + [step.dist for step in done.amend]
    return tuple(sorted(kept + put, key=lambda dist: dist.name))


def _same_files(old: WantedDist, new: WantedDist) -> bool:
    return (old.version, old.tree, old.direct_url, old.editable) == (
        new.version,
        new.tree,
        new.direct_url,
        new.editable,
    )


def recreate_reason(wanted: Wanted, installed: Installed) -> str:
    """Why the environment must be made anew, as a phrase; empty if it can be changed in place. Which
    distributions are wanted does not matter."""
    if installed.kind == "absent":
        return "there is none"
    if installed.kind == "foreign":
        return "pypm did not make it"
    if installed.problem:
        return installed.problem
    if installed.interpreter != wanted.interpreter.identity:
        old, new = installed.interpreter.partition(" ")[0], wanted.interpreter.identity.partition(" ")[0]
        return f"its interpreter changes from {old} to {new}" if old != new else "its interpreter has moved"
    if installed.link_mode != wanted.link_mode:
        return f"the link mode changes from {installed.link_mode} to {wanted.link_mode}"
    return ""
