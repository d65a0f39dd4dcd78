"""`later`: a module that is loaded when something of it is first used.

Most runs need a part of the house only. What a command may need but usually does not (the network side of
an index, the unpacking of wheels, the explanation of a conflict) is named at the head of the module that
uses it, like any import, and costs nothing until then::

    if TYPE_CHECKING:
        from pypm_store import unpacking
    else:
        unpacking = later("pypm_store.unpacking")

The type checker, the boundary test and the reader see an import. Python 3.15 has a statement for this
(PEP 810).
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False  # as in `typing`, which a sync that only links does not load
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any
else:
    ModuleType = type(sys)


class _Later(ModuleType):
    def __getattr__(self, name: str) -> Any:
        loaded = self.__dict__.get("loaded")
        if loaded is None:
            # Not from `sys.modules`: another thread may be half-way through importing it. This waits for it.
            loaded = self.__dict__["loaded"] = __import__(self.__name__, fromlist=("",))
        return getattr(loaded, name)


def later(name: str) -> Any:
    """A stand-in for the module *name*: everything that is asked of it is answered by the module."""
    return _Later(name)
