"""What other tools' files ask of conda's channels: ``environment.yml`` and ``pixi.toml``."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

NO, USAGE = 1, 2
FILES = ("environment.yml", "environment.yaml", "pixi.toml")


class Refused(Exception):
    """Something cannot be done: why, in a clause, and what would help."""

    def __init__(self, code: str, message: str, hint: str = "", exit: int = NO) -> None:
        super().__init__(message)
        self.code, self.hint, self.exit = code, hint, exit


def asked_in(path: Path) -> tuple[list[str], list[str], list[str]]:
    """(specs, channels, what is left to pypm) of an ``environment.yml`` or ``pixi.toml``."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeError) as error:
        reason = error.strerror or "unreadable" if isinstance(error, OSError) else "it is no UTF-8"
        raise Refused("conda-file", f"{path}: {reason.lower()}", exit=USAGE) from None
    return of_pixi(text, str(path)) if path.suffix == ".toml" else of_environment_yml(text, str(path))


def of_environment_yml(text: str, shown: str) -> tuple[list[str], list[str], list[str]]:
    """What conda's file asks for. It is read as what such files are: keys, lists of texts, and one list of
    ``pip``; of YAML's other ways nothing is guessed."""
    found: dict[str, list[str]] = {"dependencies": [], "channels": [], "pip": []}
    key, pip_at = "", -1
    for number, raw in enumerate(text.splitlines(), 1):
        line = re.sub(r"(^|\s)#.*$", "", raw).rstrip()
        body = line.lstrip(" ")
        indent = len(line) - len(body)
        if not body or body in ("---", "..."):
            continue
        if body == "-" or body.startswith("- "):
            item = body[1:].strip()
            if pip_at >= 0 and indent > pip_at:
                found["pip"].append(_scalar(item, shown, number))
                continue
            pip_at = indent if item == "pip:" else -1
            if pip_at < 0 and key:
                found.setdefault(key, []).append(_scalar(item, shown, number))
            if key:
                continue
        elif matched := re.fullmatch(r"([\w-]+):(?:\s+(.*))?", body):
            if indent:
                if key in ("variables", "platforms"):
                    continue
            else:
                key, pip_at = matched[1], -1
                value = (matched[2] or "").strip()
                if value.startswith("[") and value.endswith("]"):
                    parts = [part.strip() for part in value[1:-1].split(",")]
                    found[key] = [_scalar(part, shown, number) for part in parts if part]
                elif value:
                    _scalar(value, shown, number)
                continue
        raise Refused("conda-file", f"{shown}:{number}: not understood: {body}", exit=USAGE)
    if found["pip"]:
        # Such files list pip for that list alone, which is pypm's.
        names = {spec: re.split(r"[\s=<>!~\[]", spec)[0] for spec in found["dependencies"]}
        found["dependencies"] = [spec for spec, name in names.items() if name != "pip"]
    return found["dependencies"], found["channels"], found["pip"]


def _scalar(text: str, shown: str, number: int) -> str:
    if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"":
        return text[1:-1]
    if not text or text[0] in "&*!|>%@`{[" or text.endswith(":") or ": " in text:
        raise Refused("conda-file", f"{shown}:{number}: not understood: {text}", exit=USAGE)
    return text


def of_pixi(text: str, shown: str) -> tuple[list[str], list[str], list[str]]:
    """What the default environment of a ``pixi.toml`` (or of ``[tool.pixi]``) asks for on this platform."""
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise Refused("conda-file", f"{shown}: {error}", exit=USAGE) from None
    if "tool" in table:
        table = _table(_table(table, "tool", shown), "pixi", shown) or table
    about = _table(table, "workspace", shown) or _table(table, "project", shown)
    targets = _table(table, "target", shown)
    here = platform()
    asked: dict[str, Any] = dict(_table(table, "dependencies", shown))
    for name in ("unix", "linux" if here.startswith("linux") else "osx", here):
        asked |= _table(_table(targets, name, shown), "dependencies", shown)
    specs = [_pixi_spec(name, wanted, shown) for name, wanted in asked.items()]
    return specs, _pixi_channels(about, shown), list(_table(table, "pypi-dependencies", shown))


def _table(table: dict[str, Any], key: str, shown: str) -> dict[str, Any]:
    """The table *key*; empty if it is not there."""
    found = table.get(key, {})
    if not isinstance(found, dict):
        raise Refused("conda-file", f"{shown}: {key} is no table", exit=USAGE)
    return found


def _pixi_channels(about: dict[str, Any], shown: str) -> list[str]:
    found = about.get("channels", [])
    rows = found if isinstance(found, list) else [None]
    names = [one.get("channel") if isinstance(one, dict) else one for one in rows]
    texts = [name for name in names if isinstance(name, str)]
    if len(texts) < len(names):
        raise Refused("conda-file", f"{shown}: channels is no list of channels", exit=USAGE)
    return texts


def _pixi_spec(name: str, wanted: object, shown: str) -> str:
    if isinstance(wanted, str):
        return name if wanted in ("*", "") else f"{name} {wanted}"
    table: dict[str, Any] = wanted if isinstance(wanted, dict) else {"": None}
    if set(table) - {"version", "build", "channel"} or not all(isinstance(v, str) for v in table.values()):
        why = "only version, build and channel are understood"
        raise Refused("conda-file", f"{shown}: {name}: {why}", exit=USAGE)
    channel = f"{table['channel']}::" if "channel" in table else ""
    words = [f"{channel}{name}", table.get("version", "*"), table.get("build", "")]
    return " ".join(words).strip().removesuffix(" *")


def platform() -> str:
    """conda's word for this machine: ``linux-64``."""
    import rattler

    return str(rattler.Subdir.current())
