"""Which members, extras and groups a verb is about."""

from __future__ import annotations

from pypm_model.records import record


@record
class Selection:
    """As spelled on the command line; resolved against a workspace by `roots`."""

    members: tuple[str, ...] = ()
    extras: tuple[str, ...] = ()
    all_extras: bool = False
    groups: tuple[str, ...] = ()
    only_groups: tuple[str, ...] = ()
    all_groups: bool = False
    no_default_groups: bool = False
    no_dev: bool = False


def spelled(selection: Selection, frozen: bool) -> list[str]:
    """The options of ``pypm sync`` that mean *selection*."""
    arguments = [f"--member={name}" for name in selection.members]
    arguments += [f"--extra={name}" for name in selection.extras]
    arguments += [f"--group={name}" for name in selection.groups]
    arguments += [f"--only-group={name}" for name in selection.only_groups]
    flags = {
        "--all-extras": selection.all_extras,
        "--all-groups": selection.all_groups,
        "--no-default-groups": selection.no_default_groups,
        "--no-dev": selection.no_dev,
        "--frozen": frozen,
    }
    return arguments + [flag for flag, on in flags.items() if on]
