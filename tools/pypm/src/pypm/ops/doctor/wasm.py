"""Toolchains for WebAssembly: WASI and Emscripten, for workspaces that are locked for them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

from pypm.ops.doctor.building import why_compiled
from pypm.ops.doctor.commands import find
from pypm.ops.doctor.finding import Said, missing, ok
from pypm.ops.doctor.patient import Patient

_PLACES = ("/opt/wasi-sdk", "/usr/share/wasi-sysroot", "/usr/lib/wasi-sdk")


def wasi(patient: Patient) -> Iterator[Said]:
    """The WASI SDK, and a runtime for what it makes."""
    needed = _target(patient, "wasi")
    sdk = next(
        (
            place
            for place in (patient.environ.get("WASI_SDK_PATH", ""), *_PLACES)
            if place and os.path.isdir(place)
        ),
        "",
    )
    runtime = next(
        (path for name in ("wasmtime", "wasmer", "wazero") if (path := find(name, patient.environ))), ""
    )
    lacking = [name for name, there in (("WASI SDK", sdk), ("WASI runtime (wasmtime)", runtime)) if not there]
    if lacking:
        fix = "install wasi-sdk and set WASI_SDK_PATH; install wasmtime"
        yield missing(needed, f"there is no {' and no '.join(lacking)}", fix)
    else:
        yield ok(f"{sdk}, {runtime}")


def emscripten(patient: Patient) -> Iterator[Said]:
    """Emscripten's compiler, and Pyodide's tools."""
    needed = _target(patient, "emscripten")
    tools = {name: find(name, patient.environ) for name in ("emcc", "pyodide", "node")}
    there = [path for path in tools.values() if path]
    lacking = [name for name in ("emcc", "pyodide") if tools[name] is None]
    if lacking:
        fix = "install emsdk (emcc), and pyodide-build (pyodide)"
        yield missing(needed, f"there is no {' and no '.join(lacking)}", fix)
    else:
        yield ok(", ".join(there))


def _target(patient: Patient, platform: str) -> str:
    """The marker or target by which the workspace is locked for *platform*, as a clause; empty if it is not.

    Wheels for WebAssembly are installed without any of this: it is needed where a member is compiled for it.
    """
    if patient.workspace is None:
        return ""
    settings = patient.workspace.settings
    named = [
        text for text in (*settings.environments, *settings.required_environments) if _names(text, platform)
    ]
    if not named or not any(why_compiled(patient, member) for member in patient.members()):
        return ""
    return f"a member is compiled, and the workspace is locked for {named[0]}"


def _names(marker: str, platform: str) -> bool:
    words = {"wasi": r"wasi", "emscripten": r"emscripten|pyodide"}[platform]
    return re.search(rf"(?i)(?:==\s*['\"](?:{words})|^(?:{words}))", marker) is not None
