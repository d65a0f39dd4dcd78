"""Run by the interpreter in question, never imported: prints facts about it as one line of JSON.

Standard library only, and language of Python 3.6, so that one which is too old can still say so.
"""

import json
import os
import platform
import struct
import sys
import sysconfig
from typing import Any


def glibc() -> "str | None":
    try:
        name, _, version = (os.confstr("CS_GNU_LIBC_VERSION") or "").partition(" ")
    except (AttributeError, OSError, ValueError):
        return None
    return version if name == "glibc" else None


def glibc_from_the_process() -> "str | None":
    try:
        import ctypes

        ask = ctypes.CDLL(None).gnu_get_libc_version
    except (ImportError, OSError, AttributeError):
        return None
    ask.restype = ctypes.c_char_p
    return str(ask().decode("ascii"))


def refused_manylinux(version: "list[int]") -> "list[str]":
    """What a `_manylinux` module refuses (PEP 600; PEP 513, 571 and 599 for the three old names)."""
    try:
        import _manylinux  # type: ignore[import-not-found, unused-ignore]
    except ImportError:
        return []
    old = {(2, 5): "manylinux1", (2, 12): "manylinux2010", (2, 17): "manylinux2014"}
    machine = sysconfig.get_platform().partition("-")[2].replace("-", "_").replace(".", "_")
    refused: list[str] = []
    major = version[0]
    for candidate in [(major, number) for number in range(version[1], -1, -1)]:
        answer = None
        if hasattr(_manylinux, "manylinux_compatible"):
            answer = _manylinux.manylinux_compatible(candidate[0], candidate[1], machine)
        elif candidate in old:
            answer = getattr(_manylinux, old[candidate] + "_compatible", None)
        if answer is not None and not answer:
            refused.append(f"{candidate[0]}_{candidate[1]}")
    return refused


def layout() -> "dict[str, str]":
    """Paths of an environment, relative to its folder."""
    names = sysconfig.get_scheme_names()
    scheme = "venv" if "venv" in names else ("nt" if os.name == "nt" else "posix_prefix")
    root = os.path.join(os.path.abspath(os.sep), "E")
    bases = dict.fromkeys(("base", "platbase", "installed_base", "installed_platbase"), root)
    paths = sysconfig.get_paths(scheme, vars=bases)
    relative = {key: os.path.relpath(paths[key], root).replace(os.sep, "/") for key in ("purelib", "scripts")}
    include = (
        "Include" if os.name == "nt" else f"include/site/python{sys.version_info[0]}.{sys.version_info[1]}"
    )
    return {"site_packages": relative["purelib"], "scripts": relative["scripts"], "include": include}


def full_version(info: "Any") -> str:
    version = f"{info[0]}.{info[1]}.{info[2]}"
    if info[3] != "final":
        # The first letter, as PEP 508 has it: 3.14.0c1, where python_full_version is 3.14.0rc1.
        version += info[3][0] + str(info[4])
    return version


def system_version() -> "tuple[str, str]":
    if platform.system() == "Darwin":
        return platform.mac_ver()[0], platform.mac_ver()[2]
    if platform.system() == "iOS":
        system: Any = platform
        return system.ios_ver()[1], sys.implementation._multiarch
    return "", ""


def main() -> None:
    variable = sysconfig.get_config_var
    system: Any = platform  # newer functions of it are not known to every type checker
    libc = (glibc() or glibc_from_the_process()) if sys.platform == "linux" else None
    pieces = libc.split(".") if libc else []
    digits = "".join(char for char in pieces[1] if char.isdigit()) if len(pieces) > 1 else ""
    libc_version = [int(pieces[0]), int(digits)] if digits and pieces[0].isdigit() else None
    debug = variable("Py_DEBUG")
    if debug is None:
        import importlib.machinery

        debug = hasattr(sys, "gettotalrefcount") or "_d.pyd" in importlib.machinery.EXTENSION_SUFFIXES
    paths = sysconfig.get_paths()
    version, machine = system_version()
    android = system.android_ver().api_level if platform.system() == "Android" else 0
    facts = {
        "executable": sys.executable,
        "base_executable": getattr(sys, "_base_executable", None) or sys.executable,
        "version_info": list(sys.version_info),
        "implementation": sys.implementation.name,
        "cache_tag": sys.implementation.cache_tag or "",
        "prefix": sys.prefix,
        "base_prefix": sys.base_prefix,
        "paths": {key: paths[key] for key in ("purelib", "platlib", "scripts", "data", "include", "stdlib")},
        "layout": layout(),
        "markers": {
            "implementation_name": sys.implementation.name,
            "implementation_version": full_version(sys.implementation.version),
            "os_name": os.name,
            "platform_machine": platform.machine(),
            "platform_python_implementation": platform.python_implementation(),
            "platform_release": platform.release(),
            "platform_system": platform.system(),
            "platform_version": platform.version(),
            # A development build says "3.15.0a1+", which is no version (packaging reads it so, too).
            "python_full_version": platform.python_version().replace("+", "+local"),
            "python_version": ".".join(platform.python_version_tuple()[:2]),
            "sys_platform": sys.platform,
        },
        "tags": {
            "version_nodot": str(
                variable("py_version_nodot") or f"{sys.version_info[0]}{sys.version_info[1]}"
            ),
            "system": platform.system(),
            "platform": sysconfig.get_platform(),
            "extension_suffix": variable("EXT_SUFFIX") or "",
            "is_32bit": struct.calcsize("P") == 4,
            "debug": bool(debug),
            "free_threaded": sys.version_info >= (3, 13) and bool(variable("Py_GIL_DISABLED")),
            "glibc": libc_version,
            "refused_manylinux": refused_manylinux(libc_version) if libc_version else [],
            "system_version": version,
            "machine": machine,
            "api_level": android,
            "pyemscripten": str(variable("PYEMSCRIPTEN_PLATFORM_VERSION") or ""),
        },
    }
    sys.stdout.write("\npypm-probe:" + json.dumps(facts) + "\n")


if __name__ == "__main__":
    main()
