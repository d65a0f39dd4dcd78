"""Asks one executable what it is, and remembers the answer.

The only place that starts an interpreter to learn about it. An answer is kept under a key of path,
size and modification time of the executable and of what the machine's system can change under it
(kernel, C library), so that an upgrade asks again.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from pypm_env.interpreters import Interpreter, interpreter_from_text
from pypm_env.probe_key import probe_key
from pypm_model.digests import sha256
from pypm_model.later import later
from pypm_model.records import record
from pypm_store.atomic import write_atomically

if TYPE_CHECKING:
    from pypm_env import asking
else:
    asking = later("pypm_env.asking")


@record
class ProbeCache:
    """Where answers are kept between runs: texts by key. `NO_CACHE` forgets."""

    get: Callable[[str], str | None]
    put: Callable[[str, str], None]
    waiting: Callable[[], None] = lambda: None
    """Called while an interpreter that was started is thinking: for what is to be done anyway."""


NO_CACHE = ProbeCache(lambda key: None, lambda key, value: None)


def folder_cache(folder: Path, waiting: Callable[[], None] = lambda: None) -> ProbeCache:
    """Answers kept as files in *folder*, which need not exist. One that cannot be written is forgotten.
    *waiting*: see `ProbeCache`."""

    def place(key: str) -> Path:
        return folder / sha256(key.encode("utf-8", "surrogateescape")).hexdigest()[:32]

    def get(key: str) -> str | None:
        try:
            return place(key).read_text(encoding="utf-8")
        except (OSError, ValueError):
            return None

    def put(key: str, text: str) -> None:
        with suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
            write_atomically(place(key), text)

    return ProbeCache(get, put, waiting)


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
        key = probe_key(path)
    except OSError as error:
        return Skipped(path, (error.strerror or "cannot be read").lower())
    if not os.path.isfile(path):
        return Skipped(path, "is no file")
    wrapper = _is_script(path)
    if not wrapper and (kept := _remembered(cache, key)) is not None:
        return kept
    real_path = os.path.realpath(path)
    facts = None if wrapper or _in_environment(path) else asking.read_build_details(real_path)
    if facts is None:
        try:
            facts = asking.ask(path, timeout, cache.waiting)
        except asking.NoAnswer as error:
            return Skipped(path, str(error))
    base = os.path.abspath(str(facts["base_executable"]))
    if base != path and (wrapper or facts["prefix"] != facts["base_prefix"]):
        return probe(base, cache, timeout=timeout)
    if facts["prefix"] != facts["base_prefix"]:
        return Skipped(path, "is in a virtual environment whose own interpreter cannot be found")
    found = asking.interpreter_of(path, real_path, facts)
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


def _in_environment(path: str) -> bool:
    folder = os.path.dirname(path)
    return is_environment(folder) or is_environment(os.path.dirname(folder))


def _is_script(path: str) -> bool:
    try:
        with open(path, "rb") as file:
            return file.read(2) == b"#!"
    except OSError:
        return False


def _remembered(cache: ProbeCache, key: str) -> Interpreter | None:
    text = cache.get(key)
    if text is None:
        return None
    try:
        return interpreter_from_text(text)
    except (ValueError, KeyError, TypeError):
        return None
