"""Asks an interpreter what it is, by starting it or by reading what it says of itself: what `probe` does when
nothing is remembered.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pypm_env.build_details import read_build_details
from pypm_env.elf import read_elf
from pypm_env.interpreters import Interpreter, Layout
from pypm_model.later import later

if TYPE_CHECKING:
    from pypm_env import wheel_tags
    from pypm_env.wheel_tags import Libc
else:
    wheel_tags = later("pypm_env.wheel_tags")

_SCRIPT = Path(__file__).with_name("probe_script.py")
_MARK = "pypm-probe:"

__all__ = ["ask", "clean_environment", "interpreter_of", "musl_version", "read_build_details"]


class NoAnswer(Exception):
    """Its text says why: one phrase without a full stop."""


def clean_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """*environ* without what would change how an interpreter starts."""
    kept = {key: value for key, value in environ.items() if not key.startswith("PYTHON")}
    kept.pop("__PYVENV_LAUNCHER__", None)
    # Else an interpreter built with an old SDK calls every macOS since 11 "10.16".
    kept["SYSTEM_VERSION_COMPAT"] = "0"
    return kept


def ask(path: str, timeout: float, waiting: Callable[[], None]) -> dict[str, Any]:
    """What the interpreter at *path* says of itself; *waiting* is called while it does. Raises `NoAnswer`."""
    try:
        asked = subprocess.Popen(
            [path, "-I", "-B", str(_SCRIPT)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=clean_environment(os.environ),
        )
    except OSError as error:
        raise NoAnswer(f"cannot be started: {(error.strerror or str(error)).lower()}") from None
    with asked:
        try:
            import_module("pypm_env.wheel_tags")  # the answer needs it
            waiting()
            told, complaints = asked.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            raise NoAnswer(f"gives no answer within {timeout:g} seconds") from None
        finally:
            asked.kill()  # nothing, if it has ended
    output = told.decode("utf-8", "replace")
    _, mark, text = output.rpartition(_MARK)
    if not mark:
        errors = complaints.decode("utf-8", "replace")
        if "nknown option: -I" in errors:
            raise NoAnswer("is older than Python 3.4")
        last = (errors.strip().splitlines() or [f"exit code {asked.returncode}"])[-1]
        raise NoAnswer(f"does not work: {last.strip()}")
    try:
        facts: dict[str, Any] = json.loads(text.splitlines()[0])
    except ValueError:
        raise NoAnswer("does not work: its answer cannot be read") from None
    return facts


def interpreter_of(path: str, real_path: str, facts: dict[str, Any]) -> Interpreter:
    """The record of the interpreter at *path* that said *facts*."""
    told = facts["tags"]
    version = facts["version_info"]
    system_version = tuple(int(piece) for piece in told["system_version"].split(".")[:2] if piece.isdigit())
    major, minor = (*system_version, 0, 0)[:2]
    elf = read_elf(real_path) if told["system"] == "Linux" else None
    tag_facts = wheel_tags.TagFacts(
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
        tags=wheel_tags.wheel_tags(tag_facts),
        prefix=facts["prefix"],
        base_prefix=facts["base_prefix"],
        is_free_threaded=told["free_threaded"],
        cache_tag=facts["cache_tag"],
        layout=Layout(**facts["layout"]),
        paths=facts["paths"],
    )


def _libc(glibc: list[int] | None, loader: str) -> Libc | None:
    if glibc:
        return wheel_tags.Libc("glibc", glibc[0], glibc[1])
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
    return wheel_tags.Libc("musl", int(pieces[0]), int(pieces[1]))
