"""``pypm conda``: packages of conda's channels in a folder of an environment that pypm made.

Runs where py-rattler is, which solves, fetches and links.

The first word is what pypm says of the environment, as JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import os
import re
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import unquote, urlsplit

from asked_files import FILES, NO, USAGE, Refused, asked_in
from place import LINE, RECORD, Place, alone

INTERRUPTED = 130
DEFAULT_CHANNEL = "conda-forge"
LOOPBACK = ("localhost", "127.0.0.1", "::1")


# --- the verbs -----------------------------------------------------------------------------------


def install(place: Place, options: argparse.Namespace) -> int:
    """The verb ``install``."""
    specs, channels = list(options.specs), list(options.channel)
    others: list[str] = []
    files = options.file or ([] if specs else [name for name in FILES if Path(name).is_file()])
    if len(files) > 1 and not options.file:
        raise Refused("conda-file", f"there are {' and '.join(files)}: say which with --file", exit=USAGE)
    for name in files:
        more, more_channels, pip = asked_in(Path(name))
        for spec in more:
            _spec(spec, f"{name}: ")
        specs, channels, others = specs + more, channels + more_channels, others + pip
    before = place.remembered()
    if not specs and not before["specs"]:
        raise Refused("conda-nothing", "nothing is asked for", "a spec, or --file environment.yml", USAGE)
    wanted = dict(before["specs"]) | {_name(_spec(spec)): spec for spec in specs}
    channels = [Path(one).resolve().as_uri() if Path(one).is_dir() else one for one in channels]
    remembered = [] if options.override_channels else before["channels"]
    channels = [one for one in dict.fromkeys([*channels, *remembered]) if one != "nodefaults"]
    if others:
        tell(f"warning[conda]: left to pypm (`pypm add ...`): {', '.join(others)}")
    return asyncio.run(change(place, options, wanted, channels or [DEFAULT_CHANNEL]))


def remove(place: Place, options: argparse.Namespace) -> int:
    """The verb ``remove``."""
    before = place.remembered()
    wanted = dict(before["specs"])
    for name in options.names:
        if name.lower() not in wanted:
            near = ", ".join(wanted) or "nothing"
            raise Refused("conda-not-asked", f"{name} was not asked for", f"there is {near}", USAGE)
        del wanted[name.lower()]
    return asyncio.run(change(place, options, wanted, before["channels"]))


def listed(place: Place, options: argparse.Namespace) -> int:
    """The verb ``list``."""
    specs = place.remembered()["specs"]
    rows = [_row(record, specs) for record in place.installed()]
    if options.json:
        print(json.dumps({"prefix": str(place.prefix), "packages": rows}, sort_keys=True))
        return 0
    for row in rows:
        print(
            f"{row['name']} {row['version']} {row['build']}" + (f"  ({row['asked']})" if row["asked"] else "")
        )
    return 0


async def change(
    place: Place, options: argparse.Namespace, wanted: dict[str, str], channels: list[str]
) -> int:
    """Solves for *wanted* and makes the folder anew, beside its place; the old one gives way when it is
    whole."""
    import rattler

    for channel in channels:
        _check_channel(channel, options.allow_http)
    before = place.remembered()
    old = place.installed() if before["python"] == place.version else []
    python = place.python_record(place.new)
    records = await rattler.solve(
        sources=channels, specs=[_spec(spec) for spec in wanted.values()], pinned_packages=[python],
        locked_packages=old, virtual_packages=rattler.VirtualPackage.detect(),
    ) if wanted else []  # fmt: skip
    packages = [record for record in records if record.name.normalized != "python"]
    if not options.dry_run:
        _check_files(packages)
        await rattler.install(
            [python, *packages], place.new, show_progress=False, execute_link_scripts=False,
            alternative_target_prefix=place.prefix,
        )  # fmt: skip
        state = before | {"specs": wanted, "channels": channels, "python": place.version}
        (place.new / "conda-meta" / RECORD).write_text(json.dumps(state, indent=1), encoding="utf-8")
        _exchange(place, keep=bool(packages))
        put, taken = place.put_commands(before["commands"])
        if packages:
            state["commands"] = put
            place.record.write_text(json.dumps(state, indent=1), encoding="utf-8")
        _warn(place, taken)
    _report(place, options, old, packages, wanted)
    return 0


def _check_files(packages: list[Any]) -> None:
    """Packages in folders are what their channel says: rattler compares only what it fetches."""
    for record in packages:
        parts = urlsplit(str(record.url))
        path = Path(unquote(parts.path))
        if parts.scheme != "file" or record.sha256 is None or not path.is_file():
            continue
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").digest()
        if found != record.sha256:
            why = f"hash of {path} is {found.hex()}, its channel says {record.sha256.hex()}"
            raise Refused("conda-failed", why)


def _exchange(place: Place, *, keep: bool) -> None:
    if place.prefix.exists():
        place.prefix.rename(place.old)
    line = place.site / LINE
    if keep:
        place.new.rename(place.prefix)
        text = os.path.relpath(place.prefix / place.below, place.site) + "\n"
        if not line.is_file() or line.read_text(encoding="utf-8") != text:
            line.write_text(text, encoding="utf-8")
    else:
        line.unlink(missing_ok=True)


def _warn(place: Place, taken: list[str]) -> None:
    for name in taken:
        tell(f"warning[conda]: the command {name} is there already and stays as it is")
    theirs = {_distribution(path): path.name for path in place.site.glob("*.dist-info")}
    for path in sorted((place.prefix / place.below).glob("*.dist-info")):
        if own := theirs.get(_distribution(path)):
            tell(f"warning[conda]: {path.stem} is hidden by pypm's {own.removesuffix('.dist-info')}")


def _distribution(path: Path) -> str:
    return re.sub(r"[-_.]+", "-", path.stem.partition("-")[0]).lower()


def _check_channel(channel: str, allow_http: bool) -> None:
    parts = urlsplit(channel)
    shown = channel.replace(parts.netloc, parts.netloc.rpartition("@")[2], 1)
    if parts.username or parts.password:
        raise Refused("conda-channel", f"{shown}: credentials in an address would be kept", exit=USAGE)
    if parts.scheme == "http" and parts.hostname not in LOOPBACK and not allow_http:
        raise Refused("conda-channel", f"{shown} is not encrypted", "--allow-http", USAGE)
    offline = os.environ.get("PYPM_OFFLINE", "").lower() in ("1", "true", "yes", "on")
    if offline and parts.scheme != "file":
        raise Refused("conda-channel", f"{shown} is not on this machine, and PYPM_OFFLINE is set")


def _spec(text: str, where: str = "") -> Any:
    """What *text*, which stands *where*, asks for, read as conda does: ``numpy=1.26=py312_0``, too."""
    import rattler

    try:
        spec = rattler.MatchSpec(text)
        if not re.fullmatch(r"[\w.*+^$()|\[\]-]*", str(spec.build or "")):
            rattler.MatchSpec(text, strict=True)
    except Exception as error:  # of the library, which has a module of its own for them
        said = f"{where}{text!r} is no spec: {_line(error)}"
        raise Refused("conda-spec", said, "numpy, numpy=1.26, 'numpy>=2'", USAGE) from None
    if spec.build and _name(spec) == "python":
        # The version is the environment's; its build is none of conda's.
        return rattler.MatchSpec(f"python {spec.version or '*'}")
    return spec


def _name(spec: Any) -> str:
    return str(getattr(spec.name, "normalized", spec.name)).lower()


def _row(record: Any, specs: dict[str, str]) -> dict[str, Any]:
    name = record.name.normalized
    return {
        "name": name, "version": str(record.version), "build": str(record.build), "url": str(record.url),
        "asked": specs.get(name),
    }  # fmt: skip


def _report(
    place: Place, options: argparse.Namespace, old: list[Any], new: list[Any], wanted: dict[str, str]
) -> None:
    def known(records: list[Any]) -> dict[str, str]:
        return {one.name.normalized: f"{one.version} {one.build}" for one in records}

    before, after = known(old), known(new)
    gone = {name: text for name, text in before.items() if after.get(name) != text}
    come = {name: text for name, text in after.items() if before.get(name) != text}
    if options.json:
        rows = [_row(record, wanted) for record in sorted(new, key=lambda one: one.name.normalized)]
        report = {
            "prefix": str(place.prefix), "python": place.version, "packages": rows, "installed": sorted(come),
            "removed": sorted(set(gone) - set(come)), "dry-run": options.dry_run,
        }  # fmt: skip
        print(json.dumps(report, sort_keys=True))
        return
    word = "Would change" if options.dry_run else "Changed" if gone or come else "Nothing to do in"
    counts = f"{len(come)} installed, {len(set(gone) - set(come))} removed, {len(after)} there"
    tell(f"{word} {place.prefix}: {counts}")
    for name in sorted({*gone, *come}):
        if name in gone:
            tell(f"  - {name} {gone[name]}")
        if name in come:
            tell(f"  + {name} {come[name]}")


# --- the command line ----------------------------------------------------------------------------


class Parser(argparse.ArgumentParser):
    """Says what is wrong as pypm does."""

    def error(self, message: str) -> NoReturn:
        raise Refused("usage", message, f"{self.prog} --help", USAGE)


def parser() -> argparse.ArgumentParser:
    """What the command line may hold."""
    top = Parser("pypm conda", description="Packages of conda's channels in the environment of a member.")
    verbs = top.add_subparsers(dest="verb", required=True, metavar="COMMAND")

    def verb(name: str, run: Any, help: str) -> argparse.ArgumentParser:
        made = verbs.add_parser(name, help=help, description=help)
        made.set_defaults(run=run)
        made.add_argument("-p", "--member", metavar="NAME", help="into this member's own environment")
        made.add_argument("--json", action="store_true", help="print the report as JSON on stdout")
        return made

    made = verb("install", install, "Install what is asked for, and keep what was.")
    made.add_argument("specs", nargs="*", metavar="SPEC", help="numpy, numpy=1.26, 'numpy>=2'")
    made.add_argument("-f", "--file", action="append", metavar="FILE", help="environment.yml or pixi.toml")
    made.add_argument(
        "-c", "--channel", action="append", default=[], metavar="CHANNEL",
        help="a channel's name, address or folder, the strongest first (conda-forge)",
    )  # fmt: skip
    made.add_argument(
        "--override-channels", action="store_true", help="forget the channels that were named before"
    )
    gone = verb("remove", remove, "Remove what was asked for, and what nothing needs any more.")
    gone.add_argument("names", nargs="+", metavar="NAME")
    for one in (made, gone):
        one.add_argument("--dry-run", action="store_true", help="only say what would change")
        one.add_argument("--allow-http", action="store_true", help="allow channels without encryption")
    verb("list", listed, "List what is there.")
    return top


def tell(text: str) -> None:
    """One line of talk."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def _line(error: Exception) -> str:
    return " ".join(str(error).split())


def told(work: Callable[[], int]) -> int:
    """What *work* gives; if it is refused, that is said."""
    try:
        return work()
    except Refused as error:
        return complain(error)
    except OSError as error:
        return complain(
            Refused("system", f"{(error.strerror or str(error)).lower()}: {error.filename or ''}")
        )


def complain(error: Refused) -> int:
    """Says what is wrong, with ``--json`` as data; the exit code."""
    if "--json" in sys.argv:
        fields = {"code": error.code, "message": str(error), "hint": error.hint or None}
        tell(json.dumps({"error": fields}, sort_keys=True))
    else:
        tell(f"error[{error.code}]: {error}" + (f"\n  help: {error.hint}" if error.hint else ""))
    return error.exit


def main(said: dict[str, Any], words: list[str]) -> int:
    """Runs *words* where pypm *said*."""
    options = parser().parse_args(words or ["--help"])
    if "error" in said:
        error = said["error"]
        raise Refused(error["code"], error["message"], error.get("hint") or "", USAGE)
    if said.get("member") and not options.member:
        why = "each member has an environment of its own: say which with -p"
        raise Refused("conda-member", why, exit=USAGE)
    place = Place(said)
    if options.verb == "list":
        return run(place, options)
    with alone(place):
        return apart(lambda: told(lambda: run(place, options)))


def apart(work: Callable[[], int]) -> int:
    """What *work* gives, which a child does: rattler's threads go on for a moment after something failed, and
    would write into a folder that has just been removed. They end with the child."""
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    child = os.fork()
    if child == 0:
        code = NO
        try:
            code = work()
            sys.stdout.flush()
        except KeyboardInterrupt:
            code = INTERRUPTED
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal tells the child, too
    try:
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    finally:
        signal.signal(signal.SIGINT, before)
    return code if code >= 0 else 128 - code


def run(place: Place, options: argparse.Namespace) -> int:
    """The verb; what rattler says is wrong as `Refused`."""
    try:
        from rattler.exceptions import SolverError
    except ImportError as error:
        raise Refused("conda-rattler", f"py-rattler cannot be loaded: {_line(error)}") from None
    try:
        return int(options.run(place, options))
    except SolverError as error:
        hint = f"Python is the environment's, {place.version}; `pypm sync --python` takes another"
        about_python = re.search(r"\bpython(_abi)?\b", str(error))
        raise Refused("conda-unsolvable", str(error).strip(), hint if about_python else "") from None
    except (Refused, OSError):
        raise
    except Exception as error:  # of the library, which has many kinds
        if type(error).__module__ not in ("exceptions", "rattler.exceptions"):
            raise
        raise Refused("conda-failed", str(error).strip()) from None


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        sys.exit(told(lambda: main(json.loads(sys.argv[1]), sys.argv[2:])))
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
