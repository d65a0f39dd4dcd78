"""`build-details.json` (PEP 739): facts about an interpreter without starting it.

The file says what was built, not where it runs, and nothing about a distributor's patches. So it is
believed only for an installation whose paths are the plain ones and whose platform is the one this
process runs on; in every other case the answer is None and the interpreter is asked itself.
"""

from __future__ import annotations

import json
import os
import platform
import sys
import sysconfig
from pathlib import Path
from typing import Any

SUPPORTED_SCHEMA = "1."


def read_build_details(real_path: str) -> dict[str, Any] | None:
    """The same facts `probe_script` prints, of the executable at *real_path*, or None.

    Never raises: a file that is missing, broken, of a later schema or for something else is no answer.
    """
    if sys.platform != "linux":
        return None
    executable = Path(real_path)
    prefix = executable.parent.parent
    try:
        for file in sorted(prefix.glob("lib/python3.*/build-details.json")):
            details = json.loads(file.read_text(encoding="utf-8"))
            if _speaks_of(details, file, executable):
                return _facts(details, prefix, file.parent, real_path)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return None


def _speaks_of(details: dict[str, Any], file: Path, executable: Path) -> bool:
    if not str(details["schema_version"]).startswith(SUPPORTED_SCHEMA):
        return False
    implementation = details["implementation"]
    named = details.get("base_interpreter", "")
    folder = file.parent
    # A relative path is relative to the file (PEP 739).
    if not named or os.path.realpath(folder / named) != str(executable):
        return False
    own_multiarch = getattr(sys.implementation, "_multiarch", "")
    return (
        implementation["name"] == "cpython"
        and details["platform"] == sysconfig.get_platform()
        and implementation.get("_multiarch", "") == own_multiarch
        and os.path.realpath(folder / details["base_prefix"]) == str(executable.parent.parent)
        # Distributors that manage their Python patch its paths: ask it.
        and not (folder / "EXTERNALLY-MANAGED").exists()
    )


def _facts(details: dict[str, Any], prefix: Path, stdlib: Path, real_path: str) -> dict[str, Any]:
    implementation, flags = details["implementation"], details["abi"].get("flags", [])
    version = implementation["version"]
    release = f"{version['major']}.{version['minor']}"
    full = f"{release}.{version['micro']}"
    short = full
    if version["releaselevel"] != "final":
        # PEP 508 spells implementation_version with the first letter only.
        short += version["releaselevel"][0] + str(version["serial"])
        full += {"alpha": "a", "beta": "b", "candidate": "rc"}[version["releaselevel"]] + str(
            version["serial"]
        )
    threads = "t" if "t" in flags else ""
    root = str(prefix)
    library = f"lib/python{release}{threads}"
    own = platform.uname()
    info = [version[key] for key in ("major", "minor", "micro", "releaselevel", "serial")]
    site = f"{root}/{library}/site-packages"
    return {
        "executable": real_path,
        "base_executable": real_path,
        "version_info": info,
        "implementation": implementation["name"],
        "cache_tag": implementation["cache_tag"],
        "prefix": root,
        "base_prefix": root,
        "paths": {
            "purelib": site,
            "platlib": site,
            "scripts": f"{root}/bin",
            "data": root,
            "include": f"{root}/include/python{release}{threads}{'d' if 'd' in flags else ''}",
            "stdlib": str(stdlib),
        },
        "layout": {
            "site_packages": f"{library}/site-packages",
            "scripts": "bin",
            "include": f"include/site/python{release}",
        },
        "markers": {
            "implementation_name": implementation["name"],
            "implementation_version": short,
            "os_name": "posix",
            "platform_machine": own.machine,
            "platform_python_implementation": "CPython",
            "platform_release": own.release,
            "platform_system": own.system,
            "platform_version": own.version,
            "python_full_version": full,
            "python_version": release,
            "sys_platform": "linux",
        },
        "tags": {
            "version_nodot": release.replace(".", ""),
            "system": own.system,
            "platform": details["platform"],
            "extension_suffix": details["abi"]["extension_suffix"],
            "is_32bit": sys.maxsize < 2**32,
            "debug": "d" in flags,
            "free_threaded": bool(threads),
            "glibc": _own_glibc(),
            "refused_manylinux": [],
            "system_version": "",
            "machine": "",
            "api_level": 0,
            "pyemscripten": "",
        },
    }


def _own_glibc() -> list[int] | None:
    try:
        name, version = (os.confstr("CS_GNU_LIBC_VERSION") or "").split()
    except (ValueError, OSError):
        return None
    major, minor = version.split(".")[:2]
    return [int(major), int(minor)] if name == "glibc" else None
