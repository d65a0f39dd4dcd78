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
