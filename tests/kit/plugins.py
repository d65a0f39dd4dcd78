"""Native plugins for tests, made with the machine's C compiler."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
INCLUDE = ROOT / "packages" / "pypm-plugins" / "src" / "pypm_plugins" / "include"
PLUGINS = ROOT / "plugins"
COMPILER = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
SUFFIX = {"win32": ".dll", "darwin": ".dylib"}.get(sys.platform, ".so")

MAIN = "int pypm_plugin_main(int argc, char **argv)"

ECHO = f"""
#include <stdio.h>
#include <string.h>
{MAIN} {{
  for (int i = 0; i < argc; i++) {{
    fwrite(argv[i], 1, strlen(argv[i]), stdout);
    putchar(0);
  }}
  return argv[argc] == NULL ? 0 : 99;
}}
"""
"""Writes its arguments, each with a NUL after it."""


def exits(code: int) -> str:
    """The source of a plugin that does nothing else."""
    return f"{MAIN} {{ return {code}; }}"


def compile_library(source: str | Path, target: Path, *flags: str) -> Path:
    """The shared library *target* from C *source*, a text or a file."""
    assert COMPILER is not None
    target.parent.mkdir(parents=True, exist_ok=True)
    text = source.read_text(encoding="utf-8") if isinstance(source, Path) else source
    command = [COMPILER, "-x", "c", "-Wall", "-Werror", "-shared", "-fPIC", "-I", str(INCLUDE), *flags]
    done = subprocess.run(
        [*command, "-", "-o", str(target)], input=text, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return target


def compile_plugin(name: str, target: Path) -> Path:
    """The shared library *target* from ``plugins/NAME/NAME.c``, made in its folder as its README says."""
    assert COMPILER is not None
    target.parent.mkdir(parents=True, exist_ok=True)
    command = [
        COMPILER,
        "-Wall",
        "-Werror",
        "-shared",
        "-fPIC",
        "-I",
        str(INCLUDE),
        f"{name}.c",
        "-o",
        str(target),
    ]
    done = subprocess.run(command, cwd=PLUGINS / name, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return target
