"""Markers as sets of environments: compared, combined, simplified, written and evaluated.

A `Diagram` is an integer; sets that are equal among the environments that can occur are the same
integer, so emptiness is ``== FALSE`` and "always" is ``== TRUE``. Integers mean nothing in another
process: keep texts. The tables behind them belong to the process and are for one thread at a time.

To join many sets use `any_of`: one after the other makes every intermediate set.

>>> old, new = parse("python_version < '3.11'"), parse("python_full_version >= '3.12.0'")
>>> disjoint(old, new)
True
>>> text(negate(parse("sys_platform == 'win32' and python_version < '3.11'")))
"python_version >= '3.11' or sys_platform != 'win32'"
"""

from __future__ import annotations

from pypm_model.markers.alone import alone
from pypm_model.markers.coverage import WHEELS_ONLY, atoms, coverage
from pypm_model.markers.describe import describe
from pypm_model.markers.diagram import (
    FALSE,
    TRUE,
    Diagram,
    TooComplex,
    all_of,
    any_of,
    both,
    disjoint,
    either,
    implies,
    minus,
    negate,
)
from pypm_model.markers.evaluate import Witness, evaluate, sample, witness
from pypm_model.markers.inquiry import (
    assume,
    exists,
    extra,
    flag,
    flags,
    hangs_on,
    is_python_only,
    projected,
    python_bounds,
    variables,
    without_extras,
)
from pypm_model.markers.python_axis import requires_python
from pypm_model.markers.render import NEVER, simplify, text
from pypm_model.markers.syntax import InvalidMarker, parse

__all__ = [
    "FALSE",
    "NEVER",
    "TRUE",
    "WHEELS_ONLY",
    "Diagram",
    "InvalidMarker",
    "TooComplex",
    "Witness",
    "all_of",
    "alone",
    "any_of",
    "assume",
    "atoms",
    "both",
    "coverage",
    "describe",
    "disjoint",
    "either",
    "evaluate",
    "exists",
    "extra",
    "flag",
    "flags",
    "hangs_on",
    "implies",
    "is_python_only",
    "minus",
    "negate",
    "parse",
    "projected",
    "python_bounds",
    "requires_python",
    "sample",
    "simplify",
    "text",
    "variables",
    "without_extras",
    "witness",
]
