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
    return found["dependencies"], found["channels"], found["pip"]


def _scalar(text: str, shown: str, number: int) -> str:
    if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"":
        return text[1:-1]
    if not text or text[0] in "&*!|>%@`{[" or text.endswith(":"):
        raise Refused("conda-file", f"{shown}:{number}: not understood: {text}", exit=USAGE)
    return text


def of_pixi(text: str, shown: str) -> tuple[list[str], list[str], list[str]]:
    """What the default environment of a ``pixi.toml`` (or of ``[tool.pixi]``) asks for on this platform."""
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise Refused("conda-file", f"{shown}: {error}", exit=USAGE) from None
    table = table.get("tool", {}).get("pixi", table) if "tool" in table else table
    about = table.get("workspace") or table.get("project") or {}
    here = platform()
    asked: dict[str, Any] = dict(table.get("dependencies") or {})
    for name in ("unix", "linux" if here.startswith("linux") else "osx", here):
        asked |= (table.get("target") or {}).get(name, {}).get("dependencies") or {}
    channels = [one if isinstance(one, str) else str(one["channel"]) for one in about.get("channels") or ()]
    specs = [_pixi_spec(name, wanted, shown) for name, wanted in asked.items()]
    return specs, channels, list(table.get("pypi-dependencies") or ())


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
