"""Whole commands as transcripts: files and an index in, commands with their output and the files left.

A transcript is a text file of blocks; a line ``-- WORD ARGUMENTS --`` begins one. What stands before
the first block is prose; a line ``slow`` in it keeps the transcript out of the quick suite.

    -- index --                        releases of the default index, one a line
    anyio 4.0; requires=idna>=2.8; requires=sniffio; python=>=3.8; tag=py3-none-any
    idna 3.7
    -- index NAME --                   the same for a second index, at [INDEX:NAME]
    -- wheels FOLDER --                the same into a folder of the workspace
    -- project packages/a --           a member with a build backend of its own (first line as for
    a 1.0; requires=anyio>=4           an index; what follows is appended to its pyproject.toml)
    -- file packages/b/pyproject.toml --
    [project]
    ...
    -- run pypm lock --
    Locked 3 packages
    -- run pypm lock --check; exit 1 --
    error[..]
    -- is pypm.lock --                 the whole file
    -- has pypm.lock --                lines that must be in it, in this order
    -- lacks pypm.lock --              texts that may not be in it
    -- gone some/file --
    -- remove some/file --
    -- move some/file other/file --
    -- keep some/file --               remember the file's bytes ...
    -- same some/file --               ... and ask whether they are still these
    -- note WHAT COMES NEXT, AND WHY --
    -- env NAME=VALUE --               (without a value: unset)
    -- in FOLDER --                    commands run in this folder of the workspace from now on
    -- fault PATTERN; kind=status; status=500; times=2 --   see `IndexServer.fail`
    -- heal --
    -- forget --                       start counting requests to the default index anew
    -- unasked --                      there was none

Output is stdout and stderr as they come. In expectations ``[..]`` stands for anything within a line and
a line ``...`` for any number of lines. The workspace's folder reads ``[ROOT]``, the home ``[HOME]``, the
index's address ``[INDEX]``; in blocks and commands they are put in. Commands are split as a shell would.

``python -m kit.transcripts FILE...`` plays transcripts and writes what came out over what was expected,
where that differs: to be read line by line before it is kept.
"""

from __future__ import annotations

import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

from kit.index_server import FileFacts, IndexServer
from kit.starter import can_start, starter
from kit.wheels import make_project, make_sdist, make_wheel
from pypm_env.probe import ProbeCache, folder_cache, probe
from pypm_store.locations import layout_folder

_HEAD = re.compile(r"^-- (?P<word>\w+) ?(?P<rest>.*?) ?--$")
_EXIT = re.compile(r"; exit (-?\d+)$")


@dataclass(frozen=True, slots=True)
class Block:
    word: str
    rest: str
    body: str
    line: int


def prose(text: str) -> list[str]:
    """The lines before the first block."""
    lines = text.splitlines()
    first = next((i for i, line in enumerate(lines) if _HEAD.match(line)), len(lines))
    return lines[:first]


def is_slow(text: str) -> bool:
    """Whether the transcript asks to be left out of the quick suite."""
    return any(line.strip() == "slow" for line in prose(text))


def blocks(text: str) -> Iterator[Block]:
    """The blocks of a transcript; what stands before the first one is prose."""
    word, rest, start = "", "", 0
    body: list[str] = []
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
    with Stage(folder, path.name) as stage:
        for block in blocks(path.read_text(encoding="utf-8")):
            stage.do(block)


def record(path: Path, folder: Path) -> str:
    """The transcript at *path* with the output of every command that differs put in."""
    text = path.read_text(encoding="utf-8")
    out = prose(text)

    with Stage(folder, path.name) as stage:
        for block in blocks(text):
            kept = block.body.rstrip()
            if block.word == "run":
                stage.outcomes.clear()
                command, _, _ = block.rest.partition("; exit ")
                try:
                    stage.do(block)
                except AssertionError:
                    code, output = stage.outcomes[-1]
                    block = replace(block, rest=f"{command}; exit {code}" if code else command)
                    kept = _neutral(output.rstrip())
            else:
                try:
                    if block.word == "is":
                        compare(kept, stage.text(block.rest), "")
                    else:
                        stage.do(block)
                except AssertionError as error:
                    if block.word == "is":
                        kept = _neutral(stage.text(block.rest).rstrip())
                    else:
                        sys.stderr.write(f"{error}\n")
                except OSError as error:
                    sys.stderr.write(f"{path.name}:{block.line}: {error}\n")
            out.append(f"-- {block.word} {block.rest} --".replace("  --", " --"))
            out += kept.splitlines()
    return "\n".join(out) + "\n"


def _neutral(text: str) -> str:
    """*text* without what hangs on the machine: interpreters and digests."""
    text = text.replace(os.path.realpath(sys.executable), "[..]").replace(sys.executable, "[..]")
    text = re.sub(rf"(?<=[ \"]){re.escape(platform.python_version())}(?=[ \"),]|$)", "[..]", text, flags=re.M)
    text = re.sub(r"packages/../../[0-9a-f]{60}/", "[..]/", text)
    text = re.sub(r"size = \d+", "size = [..]", text)
    return re.sub(r"[0-9a-f]{64}", "[..]", text)


@dataclass(slots=True)
class Stage:
    """Where a transcript is played: a workspace, a home with nothing but what is known of the interpreter,
    indexes. A context manager."""

    folder: Path
    name: str = "transcript"
    servers: dict[str, IndexServer] = field(default_factory=dict)
    environ: dict[str, str] = field(default_factory=dict)
    cwd: str = "."
    kept: dict[str, bytes] = field(default_factory=dict)
    outcomes: list[tuple[int, str]] = field(default_factory=list)
    """Exit code and output of every command, in order."""
    _stack: ExitStack = field(default_factory=ExitStack)

    @property
    def root(self) -> Path:
        """The workspace."""
        return self.folder / "workspace"

    @property
    def home(self) -> Path:
        """The home of the user."""
        return self.folder / "home"

    @property
    def server(self) -> IndexServer:
        """The default index."""
        return self.index("")

    def __enter__(self) -> Stage:
        self.folder = Path(os.path.realpath(self.folder))
        for made in (self.root, self.home):
            made.mkdir(parents=True)
        self.environ = environment(self.home, self.index("").url)
        remember_python(self.home)
        return self

    def __exit__(self, *raised: object) -> None:
        self._stack.close()

    def index(self, name: str) -> IndexServer:
        """The index of that name, started when first asked for; the default one has an empty name."""
        if name not in self.servers:
            wheels = self.folder / f"index-{name or 'default'}"
            wheels.mkdir()
            self.servers[name] = self._stack.enter_context(IndexServer(wheels))
        return self.servers[name]

    def filled(self, text: str) -> str:
        """*text* with the real paths and addresses."""
        text = text.replace("[ROOT]", str(self.root)).replace("[HOME]", str(self.home))
        text = text.replace("[PYTHON]", sys.executable)
        return re.sub(r"\[INDEX(?::([\w-]+))?\]", lambda found: self.index(found[1] or "").url, text)

    def plain(self, text: str) -> str:
        """*text* with names in place of the real paths and addresses."""
        text = text.replace(str(self.root), "[ROOT]").replace(str(self.home), "[HOME]")
        for name, server in self.servers.items():
            shown = f"[INDEX:{name}]" if name else "[INDEX]"
            text = text.replace(server.url, shown).replace(server.origin, shown)
        return text

    def at(self, path: str) -> Path:
        """A path of the workspace, or one that begins at the home."""
        return self.root / self.filled(path)

    def run(self, command: str) -> tuple[int, str]:
        """Runs a command; its exit code and its output, made plain."""
        done = run(shlex.split(self.filled(command)), self.root / self.cwd, self.environ)
        outcome = done.returncode, self.plain(done.stdout)
        self.outcomes.append(outcome)
        return outcome

    def do(self, block: Block) -> None:
        """Plays one block; AssertionError if what comes is not what is expected."""
        at = f"{self.name}:{block.line}"
        rest, body = block.rest, block.body
        match block.word:
            case "note":
                assert not body.strip(), f"{at}: a note is one line"
            case "index":
                self._releases(self.index(rest), body)
            case "wheels":
                for line in filter(str.strip, body.splitlines()):
                    release(self.at(rest), line)
            case "project":
                self._project(self.at(rest), self.filled(body))
            case "file":
                target = self.at(rest)
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_text(self.filled(body) + "\n", encoding="utf-8")
            case "env":
                name, _, value = rest.partition("=")
                self.environ[name] = self.filled(value)
                if not value:
                    del self.environ[name]
            case "in":
                self.cwd = rest or "."
                self.at(self.cwd).mkdir(parents=True, exist_ok=True)
            case "remove":
                gone = self.at(rest)
                shutil.rmtree(gone) if gone.is_dir() else gone.unlink()
            case "move":
                source, target_name = rest.split()
                self.at(target_name).parent.mkdir(parents=True, exist_ok=True)
                self.at(source).rename(self.at(target_name))
            case "run":
                expected = _EXIT.search(rest)
                given, output = self.run(_EXIT.sub("", rest))
                assert given == int(expected[1] if expected else 0), f"{at}: exit {given}\n{output}"
                compare(body, output, at)
            case "is":
                compare(body, self.text(rest), at)
            case "has":
                compare(f"...\n{_spread(body)}", self.text(rest), at)
            case "lacks":
                text = self.text(rest)
                found = [line for line in body.splitlines() if line.strip() and line in text]
                assert not found, f"{at}: {rest} has {found}"
            case "gone":
                assert not self.at(rest).exists(), f"{at}: {rest} is there"
            case "keep":
                self.kept[rest] = self.at(rest).read_bytes()
            case "same":
                assert self.at(rest).read_bytes() == self.kept[rest], f"{at}: {rest} is not what it was"
            case "fault":
                pattern, *told = [part.strip() for part in rest.split(";")]
                facts = dict(part.split("=", 1) for part in told)
                self.server.fail(
                    pattern,
                    facts.get("kind", "status"),
                    times=int(facts.get("times", -1)),
                    status=int(facts.get("status", 500)),
                    seconds=float(facts.get("seconds", 30)),
                    location=facts.get("location", ""),
                )
            case "heal":
                self.server.heal()
            case "forget":
                self.server.forget()
            case "unasked":
                seen = [one.path for one in self.server.requests]
                assert not seen, f"{at}: the index was asked {seen}"
            case word:
                raise AssertionError(f"{at}: no such block: {word}")

    def _project(self, folder: Path, body: str) -> None:
        first, _, extra = body.partition("\n")
        name, version, facts = described(first)
        package = name.replace("-", "_")
        make_project(
            folder,
            name,
            version,
            requires=facts["requires"],
            extras=facts["extras"],
            requires_python=facts["requires_python"],
            dynamic=facts["dynamic"],
            backend="in-tree",
            files={f"src/{package}/__init__.py": _source(name, version)},
            scripts={facts["script"]: f"{package}:main"} if facts["script"] else None,
            pyproject_extra=self.filled(extra),
        )

    def text(self, path: str) -> str:
        """The text of a file, made plain."""
        return self.plain(self.at(path).read_text(encoding="utf-8"))

    def _releases(self, server: IndexServer, body: str) -> None:
        assert server.folder is not None
        for line in filter(str.strip, body.splitlines()):
            made = release(server.folder, line)
            _, _, facts = described(line)
            known = {key: facts[key] for key in ("yanked", "uploaded", "sha256") if facts[key]}
            if known:
                server.files[made.name] = FileFacts(**known)


BASE_PYTHON = getattr(sys, "_base_executable", sys.executable)
"""The interpreter of the tests, outside of their environment: one inside has to be asked for it each time."""


@cache
def _said() -> dict[str, str]:
    """What the interpreter of the tests says of itself, as a cache keeps it."""
    texts: dict[str, str] = {}
    probe(BASE_PYTHON, ProbeCache(texts.get, texts.__setitem__))
    return texts


def remember_python(home: Path) -> None:
    """As if somebody had used pypm before: its cache knows the interpreter, and need not start it."""
    kept = folder_cache(layout_folder(home / "cache") / "interpreters")
    for key, text in _said().items():
        kept.put(key, text)


def environment(home: Path, index: str = "") -> dict[str, str]:
    """Environment variables of a user who has nothing: empty home and cache, an index on loopback."""
    ours = ("PYPM_", "PYP_", "PIP_", "UV_", "VIRTUAL_ENV", "PYTHON", "CI", "FORCE_COLOR")
    kept = {k: v for k, v in os.environ.items() if not k.startswith(ours)}
    kept.update(HOME=str(home), USERPROFILE=str(home))
    kept.update(XDG_CONFIG_HOME=str(home / ".config"), XDG_CACHE_HOME=str(home / ".cache"))
    kept.update(
        PYPM_CACHE_DIR=str(home / "cache"),
        PYPM_BACKGROUND_COMPILE="0",
        NO_COLOR="1",
        PYPM_PYTHON=BASE_PYTHON,
        COLUMNS="100",
    )
    kept.update(XDG_CONFIG_DIRS=str(home / "etc"), GIT_CONFIG_GLOBAL=os.devnull, LC_ALL="C.UTF-8")
    if index:
        kept["PYPM_INDEX_URL"] = index
    return kept


def pypm(*arguments: str) -> list[str]:
    """The command line of the pypm under test."""
    return [sys.executable, "-m", "pypm", *arguments]


def run(argv: list[str], cwd: Path, environ: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Runs a command; ``pypm`` is the one under test (see `kit.starter`), ``python`` the interpreter of the
    tests. Output is stdout and stderr together."""
    if argv[0] == "pypm":
        if can_start(environ):
            return starter().run(argv[1:], cwd, environ, 300)
        argv = pypm(*argv[1:])
    elif argv[0] == "python":
        argv = [sys.executable, *argv[1:]]
    return subprocess.run(
        argv,
        cwd=cwd,
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        timeout=300,
    )


def described(line: str) -> tuple[str, str, dict[str, Any]]:
    """Name, version and facts of a line like ``a 1.0; requires=b>=1``.

    Parts are divided by ``;`` at the beginning of a known key, so that markers may be written. Keys:
    ``requires`` (repeatable), ``extra:NAME`` (an extra's requirement, repeatable), ``python``, ``tag``,
    ``sdist``, ``script`` (name of a console script that prints name and version), ``dynamic``
    (repeatable), ``yanked`` (the reason), ``uploaded``, ``sha256`` (a lie), ``module`` (dotted; in place of
    a package of the project's name; repeatable), ``plugin`` (a group of entry points it has one in), ``meta``
    (a line of METADATA; repeatable), ``sbom`` (JSON: a bill of materials inside of the wheel), ``shared`` (a
    package that is a namespace by ``pkgutil``).
    """
    keys = r"requires=|extra:[\w-]+=|python=|tag=|sdist|script=|dynamic=|yanked=|uploaded=|sha256="
    keys += "|module=|plugin=|meta=|sbom=|shared="
    head, *parts = re.split(rf";\s*(?={keys})", line)
    name, version = head.split()
    facts: dict[str, Any] = {"requires": [], "extras": {}, "requires_python": None, "dynamic": []}
    facts.update(
        tag="py3-none-any", sdist=False, script="", yanked="", uploaded="", sha256="", module=[], plugin=""
    )
    facts.update(meta=[], sbom="", shared="")
    for part in parts:
        key, _, value = part.strip().partition("=")
        match key:
            case "requires" | "dynamic" | "module" | "meta":
                facts[key].append(value)
            case "python":
                facts["requires_python"] = value
            case "sdist":
                facts["sdist"] = True
            case _ if key.startswith("extra:"):
                facts["extras"].setdefault(key[6:], []).append(value)
            case _:
                facts[key] = value
    return name, version, facts


def release(folder: Path, line: str) -> Path:
    """Makes the wheel (or, with ``sdist``, the sdist) that a line describes: see `described`."""
    name, version, facts = described(line)
    common = {key: facts[key] for key in ("requires", "extras", "requires_python")}
    if facts["sdist"]:
        return make_sdist(folder, name, version, backend="in-tree", dynamic=facts["dynamic"], **common)
    package = name.replace("-", "_")
    points = {"console_scripts": {facts["script"]: f"{package}:main"}} if facts["script"] else {}
    if facts["plugin"]:
        points[facts["plugin"]] = {package: package}
    return make_wheel(
        folder,
        name,
        version,
        tag=facts["tag"],
        files={
            f"{module.replace('.', '/')}/__init__.py": _source(name, version)
            for module in facts["module"] or [package]
        }
        | ({f"{facts['shared']}/__init__.py": _NAMESPACE} if facts["shared"] else {}),
        entry_points=points or None,
        metadata_lines=facts["meta"],
        dist_info_files={"sboms/inside.cdx.json": facts["sbom"]} if facts["sbom"] else None,
        **common,
    )


_NAMESPACE = "__path__ = __import__('pkgutil').extend_path(__path__, __name__)\n"


def _source(name: str, version: str) -> str:
    return f'__version__ = "{version}"\n\n\ndef main():\n    print("{name} {version}")\n'


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


def main(paths: list[str]) -> None:
    """Plays and rewrites the transcripts at *paths*."""
    for path in map(Path, paths):
        with tempfile.TemporaryDirectory() as folder:
            path.write_text(record(path, Path(folder)), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
