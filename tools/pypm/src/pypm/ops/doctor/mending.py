"""What ``pypm doctor --fix`` does about damage: to the store's tree, and to every environment that has it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import ClassVar

from pypm._verbs import VERSION
from pypm.ops.doctor.patient import EnvironmentFound, Patient
from pypm.ops.opening import open_store
from pypm.ops.provisioning import renewed
from pypm.ops.toolbox import open_tools
from pypm.ops.world import World
from pypm_env.apply import apply
from pypm_env.dists import LINK_MODES, Installed, Wanted
from pypm_env.interpreters import Interpreter
from pypm_env.plan import plan, recreate_reason
from pypm_env.stale import look, torn
from pypm_model.errors import PypmError
from pypm_model.events import ignore
from pypm_model.records import replace
from pypm_store.bytecode_check import drop_bytecode, foreign_bytecode
from pypm_store.remade import note_remade
from pypm_store.store import Store
from pypm_store.tree import Tree


class NotMended(PypmError):
    """Environments hold files that were damaged, and could not be given others; why, for the first."""

    code: ClassVar[str] = "not-mended"
    environments: tuple[str, ...]
    reason: str

    def __str__(self) -> str:
        return f"{', '.join(self.environments)}: {self.reason}"


def mend_tree(world: World, digest: str) -> None:
    """Makes a damaged tree what was unpacked, and mends the environments that have it. Raises `NotMended`,
    OSError and what unpacking raises."""
    store = open_store(world)
    with store.using():
        tree = store.remake(digest)
        if tree is not None and (foreign := foreign_bytecode(tree)):
            drop_bytecode(tree, foreign)
            note_remade(store.path, digest)
    mend_environments(world, [lease.owner for lease in store.leases() if digest in lease.digests])


def mend_environments(world: World, folders: Collection[Path]) -> None:
    """Links again what is stale in the environments in *folders*, or has gone from the store, and touches
    nothing else of them. Raises `NotMended` when all were tried."""
    store = open_store(world)
    failed: dict[str, str] = {}
    for folder in folders:
        try:
            _mend_environment(world, store, folder)
        except PypmError as error:
            failed[str(folder)] = str(error)
        except OSError as error:
            failed[str(folder)] = f"{(error.strerror or str(error)).lower()}: {error.filename}"
    if failed:
        raise NotMended(tuple(failed), next(iter(failed.values())))


def stale_in(installed: Installed) -> list[str]:
    """Names of what is stale in an environment."""
    return sorted(str(one.name) for one in installed.dists if one.info in installed.stale)


def _mend_environment(world: World, store: Store, folder: Path) -> None:
    if store.folder("envs") in folder.parents:
        return  # it is looked at, and made anew, when it is asked for
    with store.using():
        installed = look(folder, store)
        mode = next((mode for mode in LINK_MODES if mode == installed.link_mode), None)
        if mode is None:
            return
        there = replace(world, cwd=folder.parent, listener=ignore)
        patient = Patient(there)
        interpreter = patient.interpreter_of(EnvironmentFound(str(folder), folder, (), installed))
        lost = torn(installed, store, interpreter.layout.site_packages)
        if not (installed.stale or lost):
            return
        wanted = Wanted(interpreter, tuple(one.dist for one in installed.dists if one.is_ours), mode)
        if recreate_reason(wanted, installed):
            return  # its next sync makes it anew in any case

        def renew(digests: Collection[str]) -> Mapping[str, Tree]:
            return _fetched(there, patient, folder, interpreter, digests)

        todo = plan(wanted, installed, inexact=True, reinstall=lost)
        apply(todo, store, pypm_version=VERSION, renew=renew)


def _fetched(
    world: World, patient: Patient, folder: Path, interpreter: Interpreter, digests: Collection[str]
) -> Mapping[str, Tree]:
    """The trees *digests*, fetched by the lock of the workspace that the environment in *folder* is of."""
    if patient.workspace is None:
        return {}
    members = next((one.members for one in patient.environments() if one.folder == folder), ())
    with open_tools(world, patient.workspace) as tools:
        return renewed(tools, patient.select(members, interpreter), interpreter, digests)
