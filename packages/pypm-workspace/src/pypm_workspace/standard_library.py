"""Which modules the standard library has, in which Pythons.

The names are those of the Python that runs this, and those that came and went between 3.8 and 3.15
(``What's New in Python``, new modules and removed ones), so that the answer is the same on each of them.
"""

from __future__ import annotations

import sys
from functools import lru_cache
from typing import Final

from pypm_model import markers

NEWEST: Final = 15
"""The last minor version that is known of: who supports everything after 3.11 supports this."""

_added: Final = {
    "_typeshed": 0,  # for type checkers: they bring it
    "__main__": 0,
    "test": 0,
    "msvcrt": 0,
    "nt": 0,
    "winreg": 0,
    "winsound": 0,
    "importlib.metadata": 8,
    "graphlib": 9,
    "zoneinfo": 9,
    "importlib.resources.abc": 11,
    "tomllib": 11,
    "_sha2": 12,
    "annotationlib": 14,
    "compression": 14,
    "concurrent.interpreters": 14,
    "pathlib.types": 14,
    "string.templatelib": 14,
    "math.integer": 15,
    "profiling": 15,
}
_removed: Final = {
    **dict.fromkeys(("dummy_threading", "_dummy_thread"), 9),
    **dict.fromkeys(("formatter", "parser", "symbol"), 10),
    **dict.fromkeys(("binhex",), 11),
    **dict.fromkeys(("asynchat", "asyncore", "distutils", "imp", "smtpd", "_sha256", "_sha512"), 12),
    **dict.fromkeys(
        (
            "aifc", "audioop", "cgi", "cgitb", "chunk", "crypt", "imghdr", "lib2to3", "mailcap", "msilib",
            "nis", "nntplib", "ossaudiodev", "pipes", "sndhdr", "spwd", "sunau", "telnetlib", "uu", "xdrlib",
        ),
        13,
    ),
    **dict.fromkeys(("sre_compile", "sre_constants", "sre_parse"), 15),
}  # fmt: skip
"""The first minor version without it."""
_changed: Final = frozenset({name.partition(".")[0] for name in _added if _added[name]} | set(_removed))
_names: Final = frozenset(sys.stdlib_module_names) | {n for n in _added if "." not in n} | set(_removed)


def is_standard(module: str) -> bool:
    """Whether the dotted *module* is, or was, of the standard library."""
    return module.partition(".")[0] in _names


def has_changed(module: str) -> bool:
    """Whether a Python that counts lacks *module*, or something in it."""
    return module.partition(".")[0] in _changed


def since(module: str) -> int:
    """The first minor version of Python 3 that has the dotted *module*; 0: all that count."""
    parts = module.split(".")
    return max(_added.get(".".join(parts[: n + 1]), 0) for n in range(len(parts)))


def until(module: str) -> int:
    """The first minor version of Python 3 that has the dotted *module* no more; 0: none yet."""
    return _removed.get(module.partition(".")[0], 0)


@lru_cache(maxsize=1024)
def minors(requires_python: str) -> tuple[int, ...]:
    """The minor versions of Python 3, up to `NEWEST`, that a Requires-Python admits, in whole or in part."""
    admitted = markers.requires_python(requires_python)
    return tuple(
        [
            minor
            for minor in range(NEWEST + 1)
            if not markers.disjoint(admitted, markers.requires_python(f"==3.{minor}.*"))
        ]
    )
