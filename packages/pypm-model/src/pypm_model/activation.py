"""Names for "this member, extra or group is being installed": the boolean variables of a lock.

In a marker they are written as PEP 751 writes a group, ``'NAME' in dependency_groups``, with the
names made here. The characters ``[`` and ``:`` keep the three kinds apart: no project, extra or
group name can hold them.
"""

from __future__ import annotations

from pypm_model.names import NormalizedName


def member_flag(member: NormalizedName) -> str:
    """``acme``: the member itself (its dependencies) is installed."""
    return member


def extra_flag(member: NormalizedName, extra: NormalizedName) -> str:
    """``acme[http2]``: the member's extra is installed."""
    return f"{member}[{extra}]"


def group_flag(member: NormalizedName, group: NormalizedName) -> str:
    """``acme:dev``: the member's dependency group is installed."""
    return f"{member}:{group}"
