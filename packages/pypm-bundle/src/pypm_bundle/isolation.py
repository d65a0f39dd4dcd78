"""Changes to an interpreter that keep the machine it runs on out of it.

A Python that is moved to another machine finds itself by where it lies, and still listens to variables that
may be set there for another one, and to a folder in the user's home. So the names of the variables that say
where modules are found are changed in the program (``PYTHONHOME`` to `RENAMED`'s name of equal length), and
the user's folder is left out by a `CONFIG`. Variables that say how Python works,
and not with what (``PYTHONUNBUFFERED``...), count as ever.
"""

from __future__ import annotations

import ast
import re

RENAMED = {
    "PYTHONHOME": "PYPM__HOME",
    "PYTHONPATH": "PYPM__PATH",
    "PYTHONPLATLIBDIR": "PYPM__PLATLIBDIR",
}
"""Variable → what stands in the program for it: of one length, and set by nobody."""
HOOK = "_pypm_bundle"
"""Module in site-packages that finds certificates; `HOOK`.pth imports it."""
CERTIFICATES = "share/pypm/cacert.pem"
TERMINFO = "share/terminfo"
CONFIG = "pyvenv.cfg"
CONFIG_TEXT = "include-system-site-packages = false\n"
"""Without ``home`` it makes no virtual environment of the bundle, but `site` leaves the user's folder out."""


def deaf(program: bytes) -> bytes:
    """A copy of *program* (an interpreter or its library) that does not know the variables of `RENAMED`.

    Every mention is changed, since they hang together: the C code's, and since Python 3.11 that of a frozen
    module, which is given the values under the same names (``ENV_PYTHONHOME``).
    """
    for old, new in RENAMED.items():
        program = program.replace(old.encode(), new.encode())
    return program


def knows_variables(program: bytes) -> bool:
    """Whether *program* is the part of an interpreter that asks for the variables."""
    return any(f"{name}\0".encode() in program for name in RENAMED)


def movable_sysconfig(text: str, prefix: str) -> str:
    """The source of ``_sysconfigdata``, with the prefix that the interpreter has when it runs in the place
    of *prefix*; as it is if it is no table, or *prefix* is the system's."""
    if prefix in ("/", "/usr"):
        return text
    try:
        tree = ast.parse(text)
        (table,) = [node.value for node in tree.body if isinstance(node, ast.Assign)]
        values = ast.literal_eval(table)
        pairs = sorted(values.items())
    except (SyntaxError, ValueError, AttributeError, TypeError):
        return text
    place = re.compile(re.escape(prefix) + r"(?=$|[/\s:'\",])")
    lines = ["# The settings this Python was built with; @ stands for where it is now.", "import sys", ""]
    lines += ["build_time_vars = {"]
    moved = []
    for key, value in pairs:
        if isinstance(value, str) and place.search(value):
            value = place.sub("\0", value)
            moved.append(key)
        lines.append(f"    {key!r}: {value!r},")
    lines += ["}", f"for _key in {moved!r}:"]
    lines.append('    build_time_vars[_key] = build_time_vars[_key].replace("\\0", sys.base_prefix)')
    return "\n".join(lines) + "\n"


def hook(cafile: str, capath: str, up: str) -> str:
    """The source of the module that is imported at every start: where the machine has no certificates in the
    places this Python knows (*cafile*, *capath*), it points to those it has elsewhere or to the bundle's.
    *up* leads from site-packages to the bundle's root."""
    return f'''\
"""Where this machine has no certificates or descriptions of terminals, those of the bundle are taken."""
import os


def _is_there(path):
    try:
        return os.path.isfile(path) or any(os.scandir(path))
    except OSError:
        return False


_root = os.path.abspath(os.path.join(os.path.dirname(__file__), {up!r}))
_said = "SSL_CERT_FILE" in os.environ or "SSL_CERT_DIR" in os.environ
if not (_said or _is_there({cafile!r}) or _is_there({capath!r})):
    for _file in (
        "/etc/ssl/certs/ca-certificates.crt",
        "/etc/pki/tls/certs/ca-bundle.crt",
        "/etc/ssl/ca-bundle.pem",
        "/etc/ssl/cert.pem",
        _root + {"/" + CERTIFICATES!r},
    ):
        if os.path.isfile(_file):
            os.environ["SSL_CERT_FILE"] = _file
            break
if "TERMINFO" not in os.environ and "TERMINFO_DIRS" not in os.environ:
    if not any(map(os.path.isdir, ("/etc/terminfo", "/lib/terminfo", "/usr/share/terminfo"))):
        os.environ["TERMINFO_DIRS"] = _root + {"/" + TERMINFO!r}
'''
