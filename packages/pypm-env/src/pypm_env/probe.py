"""Asks one executable what it is, and remembers the answer.

The only place that starts an interpreter to learn about it. An answer is kept under a key of path,
size and modification time of the executable and of what the machine's system can change under it
(kernel, C library), so that an upgrade asks again.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pypm_env.build_details import read_build_details
from pypm_env.elf import read_elf
from pypm_env.interpreters import Interpreter, Layout, interpreter_from_text
from pypm_env.wheel_tags import Libc, TagFacts, wheel_tags
from pypm_model.records import record

_FORMAT = "1"
"""Raised whenever what is asked or remembered changes."""
_SCRIPT = Path(__file__).with_name("probe_script.py")
_MARK = "pypm-probe:"


@record
class ProbeCache:
    """Where answers are kept between runs: texts by key. `NO_CACHE` forgets."""

    get: Callable[[str], str | None]
    put: Callable[[str, str], None]


NO_CACHE = ProbeCache(lambda key: None, lambda key, value: None)


@record
class Skipped:
    """A file that cannot be used as an interpreter, and why: one phrase without a full stop."""

    path: str
    reason: str


def probe(path: str, cache: ProbeCache = NO_CACHE, *, timeout: float = 30.0) -> Interpreter | Skipped:
    """The interpreter that *path* starts.

    One inside a virtual environment answers for the interpreter it was made from. A script that
    starts an interpreter (a shim) is run and answers for that one; since it may choose by folder or
    environment, only what it chose is remembered. *timeout* is in seconds.
    """
    path = os.path.abspath(path)
    try:
        state = os.stat(path)
    except OSError as error:
        return Skipped(path, (error.strerror or "cannot be read").lower())
    if not os.path.isfile(path):
        return Skipped(path, "is no file")
    wrapper = _is_script(path)
    key = f"{_FORMAT}\n{path}\n{os.path.realpath(path)}\n{state.st_size}\n{state.st_mtime_ns}\n{_machine()}"
    if not wrapper and (kept := _remembered(cache, key)) is not None:
        return kept
    real_path = os.path.realpath(path)
    facts = None if wrapper or _in_environment(path) else read_build_details(real_path)
    if facts is None:
        answer = _run(path, timeout)
        if isinstance(answer, Skipped):
            return answer
        facts = answer
    base = os.path.abspath(str(facts["base_executable"]))
    if base != path and (wrapper or facts["prefix"] != facts["base_prefix"]):
        return probe(base, cache, timeout=timeout)
    if facts["prefix"] != facts["base_prefix"]:
        return Skipped(path, "is in a virtual environment whose own interpreter cannot be found")
    found = _interpreter(path, real_path, facts)
    if not wrapper:
        cache.put(key, found.to_text())
    return found


def is_environment(folder: str) -> bool:
    """Whether *folder* is a virtual environment (PEP 405)."""
    return os.path.isfile(os.path.join(folder, "pyvenv.cfg"))


def environment_python(folder: str) -> str | None:
    """The executable of the environment or installation in *folder*, or None."""
    for name in ("bin/python3", "bin/python", "Scripts/python.exe", "python.exe", "bin/pypy3"):
        candidate = os.path.join(folder, *name.split("/"))
        if os.path.isfile(candidate):
            return candidate
    return None


def clean_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """*environ* without what would change how an interpreter starts."""
    kept = {key: value for key, value in environ.items() if not key.startswith("PYTHON")}
    kept.pop("__PYVENV_LAUNCHER__", None)
    # Else an interpreter built with an old SDK calls every macOS since 11 "10.16".
    kept["SYSTEM_VERSION_COMPAT"] = "0"
    return kept


def _in_environment(path: str) -> bool:
    folder = os.path.dirname(path)
    return is_environment(folder) or is_environment(os.path.dirname(folder))


def _is_script(path: str) -> bool:
    try:
        with open(path, "rb") as file:
            return file.read(2) == b"#!"
    except OSError:
        return False


def _machine() -> str:
    uname = platform.uname() if os.name == "nt" else os.uname()
    libc = ""
    if sys.platform == "linux":
        try:
            libc = os.confstr("CS_GNU_LIBC_VERSION") or ""
        except (ValueError, OSError):
            libc = ""
    return "\n".join((*tuple(uname)[:5:2], uname[3], libc))


def _remembered(cache: ProbeCache, key: str) -> Interpreter | None:
    text = cache.get(key)
    if text is None:
        return None
    try:
        return interpreter_from_text(text)
    except (ValueError, KeyError, TypeError):
        return None


def _run(path: str, timeout: float) -> dict[str, Any] | Skipped:
    command = [path, "-I", "-B", str(_SCRIPT)]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=timeout,
            env=clean_environment(os.environ),
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Skipped(path, f"gives no answer within {timeout:g} seconds")
    except OSError as error:
        return Skipped(path, f"cannot be started: {(error.strerror or str(error)).lower()}")
    output = done.stdout.decode("utf-8", "replace")
    _, mark, text = output.rpartition(_MARK)
    if not mark:
        errors = done.stderr.decode("utf-8", "replace")
        if "nknown option: -I" in errors:
            return Skipped(path, "is older than Python 3.4")
        last = (errors.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        return Skipped(path, f"does not work: {last.strip()}")
    try:
        facts: dict[str, Any] = json.loads(text.splitlines()[0])
    except ValueError:
        return Skipped(path, "does not work: its answer cannot be read")
    return facts


def _interpreter(path: str, real_path: str, facts: dict[str, Any]) -> Interpreter:
    told = facts["tags"]
    version = facts["version_info"]
    system_version = tuple(int(piece) for piece in told["system_version"].split(".")[:2] if piece.isdigit())
    major, minor = (*system_version, 0, 0)[:2]
    elf = read_elf(real_path) if told["system"] == "Linux" else None
    tag_facts = TagFacts(
        implementation=facts["implementation"],
        python=(version[0], version[1]),
        version_nodot=told["version_nodot"],
        system=told["system"],
        platform=told["platform"],
        extension_suffix=told["extension_suffix"],
        is_32bit=told["is_32bit"],
        debug=told["debug"],
        free_threaded=told["free_threaded"],
        libc=_libc(told["glibc"], elf.loader if elf else ""),
        hard_float=bool(elf and elf.hard_float),
        is_i386=bool(elf and elf.is_i386),
        refused_manylinux=frozenset(told["refused_manylinux"]),
        system_version=(major, minor),
        machine=told["machine"],
        api_level=told["api_level"],
        pyemscripten=told["pyemscripten"],
    )
    return Interpreter(
        path=path,
        real_path=real_path,
        version=facts["markers"]["python_full_version"],
        implementation=facts["implementation"],
        markers=facts["markers"],
        tags=wheel_tags(tag_facts),
        prefix=facts["prefix"],
        base_prefix=facts["base_prefix"],
        is_free_threaded=told["free_threaded"],
        cache_tag=facts["cache_tag"],
        layout=Layout(**facts["layout"]),
        paths=facts["paths"],
    )


def _libc(glibc: list[int] | None, loader: str) -> Libc | None:
    if glibc:
        return Libc("glibc", glibc[0], glibc[1])
    if "musl" not in loader:
        return None
    try:
        # musl's loader, started without a program, says its version on stderr (PEP 656).
        done = subprocess.run([loader], capture_output=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return musl_version(done.stderr.decode("utf-8", "replace"))


def musl_version(text: str) -> Libc | None:
    """What musl's loader says about itself: ``musl libc (x86_64)``, ``Version 1.2.4``..."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if len(lines) < 2 or not lines[0].startswith("musl"):
        return None
    pieces = lines[1].removeprefix("Version ").split(".")
    if len(pieces) < 2 or not (pieces[0].isdigit() and pieces[1].isdigit()):
        return None
    return Libc("musl", int(pieces[0]), int(pieces[1]))
