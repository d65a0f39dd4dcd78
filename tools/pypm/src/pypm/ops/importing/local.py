"""What a project in a folder is called, without running anything of it."""

from __future__ import annotations

import ast
import configparser
import tomllib
from collections.abc import Mapping
from typing import Any

from pypm.ops.importing.records import Read
from pypm_model import names


def name_in(read: Read, folder: str) -> str | None:
    """The name that the project in *folder* says it has: in its ``pyproject.toml``, ``setup.cfg``, or as a
    plain text in its ``setup.py``. None if it does not say."""
    for find, file in ((_of_manifest, "pyproject.toml"), (_of_config, "setup.cfg"), (_of_script, "setup.py")):
        text = read(f"{folder}/{file}")
        name = find(text) if text is not None else None
        if name is not None and names.is_valid(name):
            return name
    return None


def _of_manifest(text: str) -> str | None:
    try:
        document: Mapping[str, Any] = tomllib.loads(text.removeprefix("\ufeff"))
    except tomllib.TOMLDecodeError:
        return None
    poetry = document.get("tool", {}).get("poetry", {})
    for table in (document.get("project"), poetry):
        if isinstance(table, Mapping) and isinstance(table.get("name"), str):
            return str(table["name"])
    return None


def _of_config(text: str) -> str | None:
    parser = configparser.RawConfigParser()
    try:
        parser.read_string(text)
    except configparser.Error:
        return None
    return parser.get("metadata", "name", fallback="").strip() or None


def _of_script(text: str) -> str | None:
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return None
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and _called(node.func) == "setup":
            for keyword in node.keywords:
                if keyword.arg == "name" and isinstance(keyword.value, ast.Constant):
                    return str(keyword.value.value)
    return None


def _called(function: ast.expr) -> str:
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""
