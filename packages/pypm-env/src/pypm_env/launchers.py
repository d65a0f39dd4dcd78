"""The programs an environment's ``bin`` gets for entry points, as bytes: nothing here writes a file.

A launcher imports nothing but its target. On POSIX it is a text file; its first line names the
environment's interpreter, or, where the kernel cannot read that line (too long, a blank in it), hands
itself to that interpreter through ``/bin/sh``. On Windows it is an ``.exe``: the launcher that every
CPython brings with it (in the pip wheel of `ensurepip`), followed by the interpreter's path and the
script as a zip archive. Without one, a ``.cmd`` beside a ``-script.py`` does the same for a shell.
"""

from __future__ import annotations

import io
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from pypm_model.errors import PypmError
from pypm_model.later import later
from pypm_model.records import record

if TYPE_CHECKING:
    import zipfile
else:
    zipfile = later("zipfile")

LONGEST_SHEBANG = 127
"""Bytes with ``#!`` that every kernel in use reads: Linux before 5.1 cuts at 128, macOS at 512."""
_REFERENCE = re.compile(
    r"(?P<module>\w+(?:\.\w+)*)\s*:\s*(?P<attribute>\w+(?:\.\w+)*)\s*(?:\[.*\])?\s*", re.UNICODE
)
_SHELL_PLAIN = re.compile(r"[^'\"\\$`\n\r!]*")
_EPOCH = (1980, 1, 1, 0, 0, 0)


class InvalidEntryPoint(PypmError):
    """A script entry point that names nothing to call."""

    distribution: str
    script: str
    target: str

    code: ClassVar[str] = "invalid-entry-point"

    def __str__(self) -> str:
        return (
            f"{self.distribution}: entry point {self.script} = {self.target!r} does not name module:function"
        )


@record
class LauncherKit:
    """What launchers of one environment are made from."""

    python: str
    """The environment's own interpreter, absolute, at its final place."""
    windows: bool = False
    console_exe: bytes = b""
    """Windows: the launcher program for consoles, and the one without; empty: none was found."""
    gui_exe: bytes = b""
    beside: bool = False
    """POSIX: *python* is the name of the interpreter that lies beside each launcher, wherever they are."""


def launcher(
    kit: LauncherKit, distribution: str, name: str, target: str, *, gui: bool
) -> list[tuple[str, bytes]]:
    """(file name, content) of what makes the command *name* call *target* (``package.module:function``).

    Raises `InvalidEntryPoint`.
    """
    matched = _REFERENCE.fullmatch(target.strip())
    if matched is None:
        raise InvalidEntryPoint(distribution, name, target)
    attribute = matched["attribute"]
    body = (
        f"from {matched['module']} import {attribute.partition('.')[0]}\n"
        # A process pool that spawns imports this file again.
        f'if __name__ == "__main__":\n    raise SystemExit({attribute}())\n'
    )
    if not kit.windows:
        return [(name, _head(kit) + body.encode())]
    python = _windowed(kit.python) if gui else kit.python
    # The target must not see the launcher's own suffix: argparse prints argv[0].
    trimmed = f"import sys\nsys.argv[0] = sys.argv[0].removesuffix('.exe').removesuffix('-script.py')\n{body}"
    program = kit.gui_exe if gui else kit.console_exe
    if program:
        return [(f"{name}.exe", program + shebang_line(python) + _zipped(trimmed))]
    command = f'@"{python}" "%~dp0{name}-script.py" %*\r\n'
    return [(f"{name}-script.py", trimmed.encode()), (f"{name}.cmd", command.encode())]


def script_with_interpreter(kit: LauncherKit, content: bytes) -> bytes | None:
    """A wheel's script whose first line is ``#!python`` or ``#!pythonw``, for this environment
    (the "Scripts" part of the wheel specification); None if it has no such line and stays as it is."""
    first, newline, rest = content.partition(b"\n")
    if not first.startswith((b"#!python", b"#! python")):
        return None
    command = first.split()[0] if first.startswith(b"#!p") else b"#!" + first.split()[1]
    python = _windowed(kit.python) if kit.windows and command == b"#!pythonw" else kit.python
    head = shebang_line(python) if kit.windows else _head(kit)
    return head + rest if newline else head


def _head(kit: LauncherKit) -> bytes:
    return shebang_beside(kit.python) if kit.beside else shebang(kit.python)


def shebang(python: str) -> bytes:
    """The head of a script that *python* runs: text that a kernel, ``/bin/sh`` and Python all understand."""
    line = shebang_line(python)
    if len(line) <= LONGEST_SHEBANG and not re.search(r"\s", python):
        return line
    if _SHELL_PLAIN.fullmatch(python):
        # Read by sh: exec "PYTHON" "$0" "$@". Read by Python: one string.
        return f"#!/bin/sh\n'''exec' \"{python}\" \"$0\" \"$@\"\n' '''\n".encode("utf-8", "surrogateescape")
    # The path cannot be quoted for both; the interpreter stands beside the script.
    beside = '"$(dirname -- "$(realpath -- "$0")")"/' + "'" + os.path.basename(python) + "'"
    return f"#!/bin/sh\n'''exec' {beside} \"$0\" \"$@\"\n' '''\n".encode()


FIND_ITSELF = """\
self=$0
case $self in */*) ;; *) self=./$self ;; esac
while [ -h "$self" ]; do
  link=$(readlink "$self") || break
  case $link in /*) self=$link ;; *) self=${self%/*}/$link ;; esac
done
"""
"""Lines of sh after which ``$self`` is the path of the script itself, over symbolic links."""


def shebang_beside(name: str) -> bytes:
    """The head of a script that the interpreter *name* in the script's own folder runs, also where the
    script is reached over symbolic links. `/bin/sh` is all it needs, but for links ``readlink``."""
    return f"""\
#!/bin/sh
"true" '''\\'
{FIND_ITSELF}\
exec "${{self%/*}}/{name}" "$0" "$@"
'''
""".encode()


def shebang_line(python: str) -> bytes:
    """``#!PYTHON`` and a line end."""
    return b"#!" + python.encode("utf-8", "surrogateescape") + b"\n"


def windows_programs(base_prefix: str, machine: str) -> tuple[bytes, bytes]:
    """The launcher programs (console, gui) that a Windows installation brings, or two empty ones.

    They are in the pip wheel of `ensurepip`; *machine* is the marker value (``AMD64``, ``ARM64``, ``x86``).
    """
    suffix = {"arm64": "64-arm", "amd64": "64", "x86_64": "64"}.get(machine.lower(), "32")
    bundled = Path(base_prefix) / "Lib" / "ensurepip" / "_bundled"
    for wheel in sorted(bundled.glob("pip-*.whl"), reverse=True):
        try:
            with zipfile.ZipFile(wheel) as archive:
                folder = "pip/_vendor/distlib/"
                return archive.read(f"{folder}t{suffix}.exe"), archive.read(f"{folder}w{suffix}.exe")
        except (OSError, KeyError, zipfile.BadZipFile):
            continue
    return b"", b""


def _windowed(python: str) -> str:
    folder, name = os.path.split(python)
    return os.path.join(folder, name.replace("python", "pythonw", 1))


def _zipped(source: str) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr(zipfile.ZipInfo("__main__.py", _EPOCH), source.encode())
    return stream.getvalue()
