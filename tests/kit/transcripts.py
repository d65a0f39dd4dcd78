"""Whole commands as transcripts: files and an index in, commands with their output and the files left.

A transcript is a text file of blocks; a line ``-- WORD ARGUMENTS --`` begins one:

    -- index --
    anyio 4.0; requires=idna>=2.8; requires=sniffio; python=>=3.8; tag=py3-none-any
    idna 3.7
    -- file packages/a/pyproject.toml --
    [project]
    ...
    -- run pypm lock --
    Locked 3 packages
    -- run pypm lock --check; exit 1 --
    error[..]
    -- is pypm.lock --
    (the whole file)
    -- has pypm.lock --
    (lines that must be in it, in this order)
    -- gone some/file --
    -- remove some/file --

Output is stdout and stderr as they come. In expectations ``[..]`` stands for anything within a line and
a line ``...`` for any number of lines. The workspace's folder reads ``[ROOT]``, the index's address
``[INDEX]``; in a ``file`` block they are put in.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from kit.index_server import IndexServer
from kit.wheels import make_sdist, make_wheel

_HEAD = re.compile(r"^-- (?P<word>\w+) ?(?P<rest>.*?) ?--$")


@dataclass(frozen=True, slots=True)
class Block:
    word: str
    rest: str
    body: str
    line: int


def blocks(text: str) -> Iterator[Block]:
    """The blocks of a transcript; what stands before the first one is prose."""
    word, rest, start, body = "", "", 0, []
    for number, line in enumerate(text.splitlines(), 1):
        head = _HEAD.match(line)
        if head is None:
            body.append(line)
            continue
        if word:
            yield Block(word, rest, "\n".join(body), start)
        word, rest, start, body = head["word"], head["rest"], number, []
    if word:
        yield Block(word, rest, "\n".join(body), start)


def play(path: Path, folder: Path) -> None:
    """Plays the transcript at *path* in *folder*; AssertionError names the line of the first difference."""
    wheels, root, home = folder / "wheels", folder / "workspace", folder / "home"
    for made in (wheels, root, home):
        made.mkdir()
    with IndexServer(wheels) as server:
        environ = environment(home, server.url)
        for block in blocks(path.read_text(encoding="utf-8")):
            at = f"{path.name}:{block.line}"

            def filled(text: str) -> str:
                return text.replace("[ROOT]", str(root)).replace("[INDEX]", server.url)

            match block.word:
                case "index":
                    for line in block.body.splitlines():
                        if line.strip():
                            release(wheels, line)
                case "file":
                    target = root / block.rest
                    target.parent.mkdir(parents=True, exist_ok=True)
                    target.write_text(filled(block.body) + "\n", encoding="utf-8")
                case "env":
                    name, _, value = block.rest.partition("=")
                    environ[name] = filled(value)
                case "remove":
                    (root / block.rest).unlink()
                case "run":
                    command, _, code = block.rest.partition("; exit ")
                    done = run(shlex.split(filled(command)), root, environ)
                    output = done.stdout.replace(str(root), "[ROOT]").replace(server.url, "[INDEX]")
                    assert done.returncode == int(code or 0), f"{at}: exit {done.returncode}\n{output}"
                    compare(block.body, output, at)
                case "is":
                    compare(block.body, (root / block.rest).read_text(encoding="utf-8"), at)
                case "has":
                    compare(f"...\n{_spread(block.body)}", (root / block.rest).read_text(encoding="utf-8"), at)
                case "gone":
                    assert not (root / block.rest).exists(), f"{at}: {block.rest} is there"
                case word:
                    raise AssertionError(f"{at}: no such block: {word}")


def environment(home: Path, index: str = "") -> dict[str, str]:
    """Environment variables of a user who has nothing: empty home and cache, an index on loopback."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PYPM_", "PYP_", "PIP_", "UV_", "VIRTUAL_ENV", "PYTHON"))}
    kept.update(HOME=str(home), USERPROFILE=str(home), XDG_CONFIG_HOME=str(home / ".config"), XDG_CACHE_HOME=str(home / ".cache"))
    kept.update(PYPM_CACHE_DIR=str(home / "cache"), NO_COLOR="1", PYPM_PYTHON=sys.executable, COLUMNS="100")
    kept.update(XDG_CONFIG_DIRS=str(home / "etc"), GIT_CONFIG_GLOBAL=os.devnull, LC_ALL="C.UTF-8")
    if index:
        kept["PYPM_INDEX_URL"] = index
    return kept


def run(argv: list[str], cwd: Path, environ: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Runs a command; ``pypm`` is the one under test. Output is stdout and stderr together."""
    if argv[0] == "pypm":
        argv = [sys.executable, "-m", "pypm", *argv[1:]]
    return subprocess.run(
        argv, cwd=cwd, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, encoding="utf-8", timeout=120
    )


def release(folder: Path, line: str) -> Path:
    """Makes the wheel (or, with ``sdist``, the sdist) that a line like ``a 1.0; requires=b>=1`` describes.

    Keys: ``requires`` (repeatable; ``extra:NAME=...`` for an extra's), ``python``, ``tag``, ``sdist``.
    """
    head, *facts = [part.strip() for part in line.split(" ; ")] if " ; " in line else [p.strip() for p in line.split(";")]
    name, version = head.split()
    requires: list[str] = []
    extras: dict[str, list[str]] = {}
    python: str | None = None
    tag, sdist = "py3-none-any", False
    for fact in facts:
        key, _, value = fact.partition("=")
        if key == "requires":
            requires.append(value)
        elif key.startswith("extra:"):
            extras.setdefault(key[6:], []).append(value)
        elif key == "python":
            python = value
        elif key == "tag":
            tag = value
        elif key == "sdist":
            sdist = True
        else:
            raise ValueError(line)
    if sdist:
        return make_sdist(folder, name, version, requires=requires, requires_python=python, backend="in-tree")
    return make_wheel(folder, name, version, requires=requires, extras=extras, requires_python=python, tag=tag)


def compare(expected: str, actual: str, at: str) -> None:
    """Asserts that *actual* is what *expected* describes, line by line."""
    pattern = "".join(_line_pattern(line) for line in expected.rstrip().splitlines())
    if not re.fullmatch(pattern, actual.rstrip() + "\n" if actual.strip() else ""):
        raise AssertionError(f"{at}: expected\n{expected}\n--- but got\n{actual}")


def _line_pattern(line: str) -> str:
    if line.strip() == "...":
        return r"(?:.*\n)*?"
    return ".*?".join(map(re.escape, line.rstrip().split("[..]"))) + r"[ \t]*\n"


def _spread(body: str) -> str:
    """Lets anything stand between, and after, the lines of *body*."""
    return "".join(f"{line}\n...\n" for line in body.rstrip().splitlines())
