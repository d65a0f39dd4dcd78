"""What a user may write to ask for a Python, parsed.

==========================  ============================================================
``3``, ``3.12``, ``3.12.1``  that release, or the newest found within it
``312``                      the same without dots
``3.13t``                    the free-threaded build
``>=3.11``, ``>=3.11,<3.13``  any release in the range (PEP 440)
``cpython``, ``pypy``        any release of that implementation
``cpython@3.13t``, ``pypy@3.10``, ``pypy3.10``, ``cpython>=3.12``, ``cp312``, ``pp310``
``python3.12``               the executable's usual name, so: CPython or not, 3.12
a path                       an executable, an installation's folder or a virtual environment
another word                 an executable of that name on ``PATH``
==========================  ============================================================
"""

from __future__ import annotations

import re

from pypm_env.interpreters import Interpreter
from pypm_model import specifiers, versions
from pypm_model.records import record

_IMPLEMENTATIONS = {"cpython": "cpython", "cp": "cpython", "pypy": "pypy", "pp": "pypy", "graalpy": "graalpy"}
_NAMED = r"(?i:(cpython|pypy|graalpy|python|cp|pp)(?![a-z])@?(.*))"
_NODOT = r"([23])(\d{1,2})"


@record
class PythonRequest:
    """One parsed request; every field that is set must fit."""

    text: str
    implementation: str = ""
    release: tuple[int, ...] = ()
    """The first numbers of the version: ``(3, 12)``."""
    exact: str = ""
    """A whole version with a pre-release part: ``3.15.0rc1``."""
    specifier: str = ""
    free_threaded: bool = False
    path: str = ""
    executable: str = ""
    """A name to look up on ``PATH``."""

    @property
    def names_prerelease(self) -> bool:
        """Whether a pre-release is asked for in so many words."""
        return bool(self.exact) or bool(self.specifier and specifiers.names_prerelease(self.specifier))


def parse_request(text: str) -> PythonRequest:
    """*text* as a request; anything that is no version, range or known name is a path or a name."""
    text = text.strip()
    if "/" in text or "\\" in text or text.startswith(".") or text == "~":
        return PythonRequest(text, path=text)
    implementation, rest = "", text
    if named := re.fullmatch(_NAMED, text):
        implementation, rest = _IMPLEMENTATIONS.get(named[1].lower(), ""), named[2].strip()
        if not rest:
            return PythonRequest(text, implementation=implementation)
    if rest[:1] in "<>=!~":
        try:
            specifiers.parse(rest)
        except specifiers.InvalidSpecifier:
            return PythonRequest(text, executable=text)
        return PythonRequest(text, implementation=implementation, specifier=rest)
    free_threaded = rest.endswith("t") and rest[-2:-1].isdigit()
    number = rest.removesuffix("t") if free_threaded else rest
    if nodot := re.fullmatch(_NODOT, number):
        number = f"{nodot[1]}.{nodot[2]}"
    number = number.removesuffix(".*")
    if not versions.is_valid(number):
        return PythonRequest(text, executable=text)
    whole = number if versions.is_prerelease(number) else ""
    return PythonRequest(text, implementation, versions.release(number), whole, free_threaded=free_threaded)


def misfit(request: PythonRequest, found: Interpreter) -> str | None:
    """Why *found* is not what *request* asks, as a phrase, or None if it is. Paths are not judged."""
    if request.path or request.executable:
        return None
    if request.implementation and found.implementation != request.implementation:
        return f"is {found.implementation}"
    if request.release and versions.release(found.version)[: len(request.release)] != request.release:
        return f"is {found.version}"
    if request.exact and versions.sort_key(found.version) != versions.sort_key(request.exact):
        return f"is {found.version}"
    if request.specifier and not specifiers.contains(request.specifier, found.version):
        return f"is {found.version}"
    if request.free_threaded and not found.is_free_threaded:
        return "is not free-threaded"
    if found.is_free_threaded and not request.free_threaded:
        return f"is free-threaded (ask for {found.release[0]}.{found.release[1]}t)"
    return None


def may_fit(request: PythonRequest, hint: str) -> bool:
    """Whether an interpreter whose name promises version *hint* (``3.12``, ``3.12.1``) can fit.

    An empty or unreadable hint promises nothing, so it may.
    """
    if not hint:
        return True
    numbers = tuple(int(piece) for piece in hint.split(".")) if re.fullmatch(r"\d+(\.\d+)*", hint) else ()
    length = min(len(numbers), len(request.release))
    if numbers[:length] != request.release[:length]:
        return False
    if request.specifier and len(numbers) == 3:
        return specifiers.contains(request.specifier, hint)
    return True
