"""Why a build failed, in the words of the build, and what would probably help."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import ClassVar

from pypm_model.errors import PypmError
from pypm_model.records import record

LAST_LINES = 20
"""How much of a failed hook's output an error carries."""
_TAIL_BYTES = 65_536


class BuildFailed(PypmError):
    """A backend could not do what was asked of it."""

    code: ClassVar[str] = "build-failed"

    name: str
    """The project's, or its folder's where the name is not known."""
    hook: str
    """The PEP 517 or PEP 660 hook that was called."""
    reason: str
    """One phrase: what the hook raised, or how its process ended."""
    backend: str
    output: tuple[str, ...] = ()
    """The last lines of what the backend and its tools printed."""
    advice: str | None = None

    def __str__(self) -> str:
        return f"{self.name}: {self.hook} of {self.backend} failed: {self.reason}"

    @property
    def hint(self) -> str | None:
        return self.advice

    @property
    def printed(self) -> tuple[str, ...]:
        return self.output


@record
class Tail:
    """The end of a log."""

    text: str

    def lines(self, count: int = LAST_LINES) -> tuple[str, ...]:
        return tuple(self.text.rstrip().splitlines()[-count:])


def tail(log: Path) -> Tail:
    """The last 64 KiB of a log, whatever its encoding."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, file.seek(0, 2) - _TAIL_BYTES))
            return Tail(file.read().decode("utf-8", errors="replace"))
    except OSError:
        return Tail("")


def advice(output: str, *, requires: Iterable[str] = (), python: str = "") -> str | None:
    """One sentence that would help with a build that printed *output*, or None.

    *requires* is what the build had installed, *python* the version it ran under.
    """
    for pattern, sentence in _SIGNS:
        found = pattern.search(output)
        if found is not None:
            return sentence.format(*found.groups(default=""), python=python)
    missing = _missing_module.findall(output)
    if missing:
        return _advice_for_module(missing[-1], tuple(requires), python)
    return None


def _advice_for_module(module: str, requires: tuple[str, ...], python: str) -> str:
    top = module.partition(".")[0]
    if top in _REMOVED:
        since, remedy = _REMOVED[top]
        return f"`{top}` is no longer in Python since {since}: {remedy}"
    asked = ", ".join(requires) or "nothing"
    return (
        f"the build needs the module `{top}`, and [build-system] requires only {asked}: "
        "add its project to build-system.requires"
    )


_missing_module = re.compile(r"(?:ModuleNotFoundError|ImportError): No module named '?([\w.]+)'?")

_REMOVED = {
    "distutils": ("3.12", "use an older Python, or add setuptools to build-system.requires"),
    "imp": ("3.12", "use an older Python or a newer version of the project"),
    "asyncore": ("3.12", "use an older Python or a newer version of the project"),
    "cgi": ("3.13", "use an older Python or a newer version of the project"),
    "pipes": ("3.13", "use an older Python or a newer version of the project"),
}

# In order: the first that fits counts, so what is special stands before what is general.
_SIGNS: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern, re.MULTILINE), sentence)
    for pattern, sentence in (
        (
            r"(?:fatal error|error): '?Python\.h'?(?:: No such file| file not found)",
            "the headers of Python {python} are missing: install its development package "
            "(python3-dev, python3-devel) or use a Python that has them",
        ),
        (
            r"fatal error: ([\w./+-]+\.(?:h|hh|hpp|hxx))(?:: No such file or directory|' file not found)",
            "the header {0} is missing: install the development package of the library it belongs to",
        ),
        (
            r"fatal error: '([\w./+-]+\.(?:h|hh|hpp|hxx))' file not found",
            "the header {0} is missing: install the development package of the library it belongs to",
        ),
        (
            r"fatal error C1083: .*?'([^']+\.h\w*)'",
            "the header {0} is missing: install the library it belongs to",
        ),
        (
            r"Microsoft Visual C\+\+ [\d.]+ or greater is required|Unable to find vcvarsall\.bat",
            "no C compiler: install the Microsoft C++ Build Tools",
        ),
        (
            r"xcrun: error: invalid active developer path",
            "no C compiler: install it with `xcode-select --install`",
        ),
        (
            r"can't find Rust compiler|(?:cargo|rustc)['\"]?:? (?:command )?not found|"
            r"(?:[Cc]argo|rustc).{0,40}(?:is not installed|could not be found|isn't installed)|"
            r"No such file or directory: '(?:cargo|rustc|maturin)'|Rust toolchain.{0,20}not found",
            "a Rust compiler is missing: install Rust (https://rustup.rs) or use a version with a wheel",
        ),
        (
            r"command '([^']*(?:gcc|g\+\+|cc|clang|c\+\+|clang\+\+))' failed: No such file|"
            r"unable to execute '([^']*(?:gcc|g\+\+|cc|clang|c\+\+))'|"
            r"(?:gcc|g\+\+|cc|clang): (?:command )?not found|"
            r"No such file or directory: '(?:gcc|cc|clang|g\+\+)'|"
            r"No CMAKE_C(?:XX)?_COMPILER could be found|Unknown compiler\(s\):|linker `cc` not found|"
            r"no acceptable C compiler found",
            "a C compiler is missing: install gcc or clang (build-essential, Xcode tools) "
            "or use a version with a wheel",
        ),
        (
            r"(?:cannot find -l|library not found for -l|library ')([\w.+-]+)",
            "the library {0} is missing: install its development package",
        ),
        (
            r"(pg_config|mysql_config|xml2-config|xslt-config|curl-config|krb5-config) "
            r"(?:executable )?(?:is required|not found)|No such file or directory: "
            r"'(pg_config|mysql_config|xml2-config|xslt-config|curl-config|krb5-config)'",
            "{0}{1} is missing: install the development package of the library it belongs to",
        ),
        (
            r"Package '?([\w.+-]+)'?,? (?:required by .*)?(?:was )?not found|"
            r"Dependency \"([\w.+-]+)\" not found|Could NOT find ([\w.+-]+)",
            "the library {0}{1}{2} is missing: install its development package",
        ),
        (
            r"No such file or directory: '(cmake|ninja|meson|swig|make|pkg-config|git|gfortran)'|"
            r"(cmake|ninja|swig|make|pkg-config|git|gfortran): (?:command )?not found",
            "the program {0}{1} is missing: install it, or, where it is a project, add it to "
            "build-system.requires",
        ),
        (
            r"Multiple top-level (?:packages|modules) discovered in a flat-layout",
            "say which packages belong to the project in [tool.setuptools] (packages or py-modules)",
        ),
        (
            r"setuptools-scm was unable to detect version|Could not (?:determine|detect) the? ?version",
            "the version comes from git: build from a checkout with its tags, "
            "or set SETUPTOOLS_SCM_PRETEND_VERSION",
        ),
        (
            r"No space left on device|OSError: \[Errno 28\]",
            "the disk is full",
        ),
        (
            r"requires a different Python|(?:not supported by|requires a newer) (?:this )?version of Python",
            "the project does not support Python {python}: use another one",
        ),
    )
)
