"""Run by the interpreter whose bytecode is wanted, never imported: compiles folders named on stdin.

Each line is a folder; after the last file of it the line is printed again. Standard library only, and
language of Python 3.8. Files that cannot be compiled (templates, Python 2) are passed over, and so are
folders of tests (`pypm_store.tree.TESTS`).
"""

import importlib.util
import os
import py_compile
import sys


def compile_folder(root: str) -> None:
    for folder, folders, files in os.walk(root):
        folders[:] = [name for name in folders if name != "tests"]
        if "__pycache__" not in folders:
            continue  # nothing that is imported lies here, or nothing may be written
        for name in files:
            if not name.endswith(".py"):
                continue
            source = os.path.join(folder, name)
            target = importlib.util.cache_from_source(source)
            if os.path.exists(target):
                continue
            try:
                py_compile.compile(
                    source, target, doraise=True, invalidation_mode=py_compile.PycInvalidationMode.TIMESTAMP
                )
            except (py_compile.PyCompileError, OSError, ValueError, RecursionError, MemoryError):
                continue


def main() -> None:
    if hasattr(os, "nice") and "--nice" in sys.argv:
        os.nice(19)
    for line in sys.stdin:
        compile_folder(line.rstrip("\n"))
        sys.stdout.write(line)
        sys.stdout.flush()


if __name__ == "__main__":
    main()
