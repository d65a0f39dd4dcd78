"""What a lock gives the next one, before it is written: a lock is made of what locking it again gives."""

from __future__ import annotations

from pypm_model.lock_pins import pins_of
from pypm_model.locks import Lock, Manifest
from pypm_model.markers import Diagram, text
from pypm_model.records import replace
from pypm_model.requests import Request
from pypm_model.resolutions import Resolution
from pypm_model.sources import MemberSource

_IS_MEMBER = Manifest()


def held(request: Request, found: Resolution, where: Diagram) -> Request:
    """*request* with all that is *found*, in the environments *where*, as an old lock would hold it."""
    packages = tuple(
        replace(package, manifest=_IS_MEMBER) if isinstance(package.source, MemberSource) else package
        for package in found.packages
    )
    return replace(
        request,
        preferences=pins_of(Lock(splits=found.splits, packages=packages)),
        preferred_splits=found.splits,
        preferred_where=text(where),
    )


def may_move(found: Resolution, parts: int) -> bool:
    """Whether a lock of what was *found* in so many *parts* might become another one when it is locked again.

    The next one begins with the splits that are written down, each of which is one region then. Where other
    parts than these were solved, and some of them turned out to be alike, it may find its way elsewhere; but
    not where nothing was in the way.
    """
    return found.detours > 0 and parts > 1 and parts != len(found.splits)
