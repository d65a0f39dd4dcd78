"""``pypm oci build``: a member of the workspace as an image for containers.

Runs in pypm's interpreter. Three layers, so that what changes often is small: the interpreter, the packages
of others, the members.
"""

from __future__ import annotations

import os
import re
import shlex
import signal
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from email.parser import BytesParser
from email.policy import compat32
from typing import Any, ClassVar

signal.signal(signal.SIGINT, signal.SIG_DFL)  # quietly, while modules are loaded

try:
    from pypm.cli.arguments import Gathered, Group, UsageError, option, verb
    from pypm.cli.main import guarded
    from pypm.cli.options import COMMON, SELECTION, Common, world
    from pypm.cli.render.report import say
    from pypm.cli.verbs.pypylock import glibc_option
    from pypm.ops import bundle_parts
    from pypm.ops.bundle_sbom import SBOM
    from pypm.ops.bundle_target import Target, target_of
    from pypm.ops.counting import size_text
    from pypm.ops.selection import Selection
    from pypm.ops.world import LOCK, World
    from pypm_bundle.assembling import assembled
    from pypm_bundle.contents import Entry, Item, Written, in_order
    from pypm_bundle.distributions import Distribution
    from pypm_bundle.oci.base_image import BaseImage, Platform, base_image
    from pypm_bundle.oci.layers import Layer
    from pypm_bundle.oci.layout import Image, ImageSummary, is_archive, write_image
    from pypm_bundle.oci.libc import libc_layer
    from pypm_bundle.writing import Packing
    from pypm_model.errors import PypmError
    from pypm_model.events import ignore
    from pypm_model.names import ROOT, normalize
    from pypm_model.records import record
except ImportError as error:
    sys.exit(f"error[oci]: this plugin was made for another pypm ({error})")

DEFAULT = "dist/image.tar"
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_MACHINES = {
    "x86_64": ("amd64", ""), "aarch64": ("arm64", "v8"), "armv7l": ("arm", "v7"), "i686": ("386", ""),
}  # fmt: skip
"""Linux's words for processors → Go's, where they differ."""
_NAME = r"[a-z0-9]+(?:(?:\.|_{1,2}|-+)[a-z0-9]+)*"
_TAG = re.compile(rf"(?:[A-Za-z0-9.-]+(?::\d+)?/)?{_NAME}(?:/{_NAME})*:[A-Za-z0-9_][A-Za-z0-9_.-]{{0,127}}")
_PREFIX = re.compile(r"(/[A-Za-z0-9._-]+)+")
_PORT = re.compile(r"\d{1,5}(/(tcp|udp|sctp))?")
_CHOSEN = ("members", "extras", "all_extras", "groups", "all_groups")
_SELECTION = Gathered("selection", Selection, tuple(one for one in SELECTION.options if one.name in _CHOSEN))
_LINKS = {"source": "source", "repository": "source", "documentation": "documentation", "homepage": "url"}
"""Labels of a project's addresses → keys of the image."""


class NoMember(PypmError):
    """It is not clear which member the image is of."""

    code: ClassVar[str] = "oci-member"
    exit: ClassVar[int] = 2
    members: tuple[str, ...]

    def __str__(self) -> str:
        return (
            "an image is of one member: say which with -p" if self.members else "the workspace has no member"
        )

    @property
    def hint(self) -> str | None:
        return ", ".join(self.members) or None


@record
class Wishes:
    """What the user says of the image's configuration."""

    tag: str | None
    entrypoint: str | None
    env: tuple[str, ...]
    labels: tuple[str, ...]
    workdir: str | None
    user: str | None
    ports: tuple[str, ...]
    prefix: str


@verb(
    option(
        "-o",
        "--output",
        metavar="PATH",
        default=DEFAULT,
        help=f"*.tar: an archive for `docker load`; else a folder, an OCI image layout ({DEFAULT}).",
    ),
    option(
        "-t", "--tag", metavar="NAME:TAG", help="The image's name. Default: the member's and its version."
    ),
    option(
        "--base", metavar="PATH", help="Stack it upon this image: an OCI layout, or an archive of docker's."
    ),
    option("--libc", help="Put this machine's glibc in as the first layer: then it needs no base."),
    option("--entrypoint", metavar="COMMAND", help="What it runs. Default: the member's command, or python."),
    option("--env", metavar="NAME=VALUE", many=True, help="Set a variable (repeatable)."),
    option("--label", name="labels", metavar="KEY=VALUE", many=True, help="Add a label (repeatable)."),
    option("--workdir", metavar="DIR", help="Where it starts. Default: the prefix."),
    option("--user", metavar="USER", help="Who runs it: a number, or a name that the base knows."),
    option("--port", name="ports", metavar="PORT", many=True, help="A port it listens to (repeatable)."),
    option("--prefix", metavar="DIR", default="/app", help="Where Python is put (/app)."),
    option("--platform", metavar="PLATFORM", help="For another machine: linux-aarch64; with --interpreter."),
    option("--interpreter", metavar="PATH", help="A folder or archive with the interpreter for --platform."),
    option(
        "--target-glibc", metavar="2.N", help="Take wheels for this glibc and older; fail if it will not do."
    ),
    option(
        "--compress-level", name="level", metavar="N", least=1, help="Pack everything anew, as hard as this."
    ),
    option("--frozen", help="Take the lock as it is."),
    _SELECTION,
    COMMON,
)
def build(
    common: Common,
    selection: Selection,
    output: str,
    tag: str | None,
    base: str | None,
    libc: bool,
    entrypoint: str | None,
    env: tuple[str, ...],
    labels: tuple[str, ...],
    workdir: str | None,
    user: str | None,
    ports: tuple[str, ...],
    prefix: str,
    platform: str | None,
    interpreter: str | None,
    target_glibc: str | None,
    level: int | None,
    frozen: bool,
) -> int:
    """Make an image for containers of a member, without a daemon.

    Its layers are the interpreter, the packages of others, and the members. The same lock gives the same
    digests. Without --base or --libc there is no C library in it.
    """
    wishes = Wishes(tag, entrypoint, env, labels, workdir, user, ports, prefix.rstrip("/"))
    _check(wishes, level)
    is_archive(output)
    if libc and (base is not None or platform is not None):
        raise UsageError(f"--libc is of this machine: it does not go with --{'base' if base else 'platform'}")
    glibc = glibc_option(target_glibc)
    with world(common) as here:
        target = _target(here, platform, interpreter, glibc)
        time = bundle_parts.time_of(here)
        chosen = bundle_parts.Chosen(
            selection, frozen, glibc=glibc, target=target, interpreter=interpreter or "", time=time
        )
        with ExitStack() as stack:
            found = stack.enter_context(bundle_parts.gathered(here, chosen))
            machine = found.interpreter.markers["platform_machine"]
            runs_on = Platform("linux", *_MACHINES.get(machine, (machine, "")))
            below = None
            if base is not None:
                below = stack.enter_context(base_image(here.cwd / base, base, runs_on))
            main = _main(found, selection)
            layers = _layers(here, found, wishes.prefix.lstrip("/"))
            if libc:
                layers = (libc_layer(found.interpreter.real_path), *layers)
            image = _image(found, main, wishes, below, runs_on, layers)
            workers = max(2, min(4, os.cpu_count() or 2))
            packing = Packing("tar.gz", level or 6, level is None, time, workers)
            done = write_image(here.cwd / output, output, image, packing, below, here.listener)
            needs = (
                ""
                if libc or not any(found.parts.needed_glibc)
                else bundle_parts.dotted(found.parts.needed_glibc)
            )
    if common.json:
        _print_json(done, image, needs)
    elif not common.quiet:
        _tell(done, image, needs, base)
    return 0


# --- what it is made of --------------------------------------------------------------------------


def _main(found: bundle_parts.Gathered, selection: Selection) -> Distribution:
    """The member that the image is of."""
    members = sorted(root.member for root in found.roots if root.project and root.member != ROOT)
    named = [normalize(word.strip(".")) for word in selection.members]
    name = named[0] if named and named[0] in members else members[0] if len(members) == 1 else None
    own = [one for one in found.parts.distributions if one.filename in found.parts.members]
    main = next((one for one in own if normalize(one.name) == name), None)
    if main is None:
        raise NoMember(tuple(members))
    return main


def _layers(here: World, found: bundle_parts.Gathered, folder: str) -> tuple[Layer, ...]:
    """Interpreter, packages, members. A file that several have is in the layer of the one that has it in an
    environment, too; what members do not change does not move."""
    parts = found.parts
    members = [one for one in parts.distributions if one.filename in parts.members]
    others = [one for one in parts.distributions if one.filename not in parts.members]
    everything = assembled(parts.own, parts.distributions, here.listener)
    own = {item.path for item in parts.own}
    packages = [item for item in assembled(parts.own, others, ignore) if item.path not in own]
    theirs = {id(item) for one in members for item in one.items}
    ours: list[Item] = [item for item in everything if id(item) in theirs]
    ours.append(Entry(LOCK, Written(found.locked.text.encode())))
    ours.append(Entry(SBOM, Written(bundle_parts.bill_of(found).encode())))
    return (
        Layer("interpreter", tuple(in_order(list(parts.own))), folder),
        Layer("packages", tuple(packages), folder),
        Layer("members", tuple(in_order(ours)), folder),
    )


def _image(
    found: bundle_parts.Gathered,
    main: Distribution,
    wishes: Wishes,
    below: BaseImage | None,
    platform: Platform,
    layers: tuple[Layer, ...],
) -> Image:
    prefix = wishes.prefix
    before = ((below.config.get("config") or {}).get("Env") or []) if below is not None else []
    path = next((text.partition("=")[2] for text in before if text.startswith("PATH=")), _PATH)
    config: dict[str, Any] = {
        "Env": [f"PATH={prefix}/bin:{path}", *wishes.env],
        "Entrypoint": _entrypoint(found, main, wishes),
        "Cmd": None,
        "WorkingDir": wishes.workdir or prefix,
        "Labels": dict(_labels(found, main, below)) | dict(_pair(text) for text in wishes.labels),
    }
    if wishes.user:
        config["User"] = wishes.user
    if wishes.ports:
        config["ExposedPorts"] = {port if "/" in port else f"{port}/tcp": {} for port in wishes.ports}
    version = re.sub(r"[^A-Za-z0-9_.-]", "-", main.version)
    return Image(platform, layers, config, wishes.tag or f"{normalize(main.name)}:{version}")


def _entrypoint(found: bundle_parts.Gathered, main: Distribution, wishes: Wishes) -> list[str]:
    """The user's; else the member's command, by the interpreter, so that no shell is needed; else its
    ``__main__``; else the interpreter."""
    if wishes.entrypoint is not None:
        return shlex.split(wishes.entrypoint)
    python = f"{wishes.prefix}/bin/python"
    commands = [item.path[4:] for item in main.items if re.fullmatch(r"bin/[^/]+", item.path)]
    same = [name for name in commands if normalize(name) == normalize(main.name)]
    if same or len(commands) == 1:
        return [python, f"{wishes.prefix}/bin/{(same or commands)[0]}"]
    package = normalize(main.name).replace("-", "_")
    runnable = f"{found.parts.python['site-packages']}/{package}/__main__.py"
    is_runnable = any(item.path == runnable for item in main.items)
    return [python, "-m", package] if is_runnable else [python]


def _labels(
    found: bundle_parts.Gathered, main: Distribution, below: BaseImage | None
) -> Iterator[tuple[str, str]]:
    """What the member's metadata and the parts say of the image."""
    start = "org.opencontainers.image"
    yield f"{start}.title", main.name
    yield f"{start}.version", main.version
    metadata = BytesParser(policy=compat32).parsebytes(main.metadata, headersonly=True)
    for key, label in (("Summary", "description"), ("License-Expression", "licenses")):
        if value := str(metadata.get(key) or ""):
            yield f"{start}.{label}", value
    if authors := str(metadata.get("Author-email") or metadata.get("Author") or ""):
        yield f"{start}.authors", authors
    links: dict[str, str] = {}
    for value in metadata.get_all("Project-URL") or ():
        called, _, address = str(value).partition(",")
        if called.strip().lower() in _LINKS:
            links.setdefault(_LINKS[called.strip().lower()], address.strip())
    for key, address in links.items():
        yield f"{start}.{key}", address
    if below is not None:
        if below.name:
            yield f"{start}.base.name", below.name
        if below.digest:
            yield f"{start}.base.digest", below.digest
    yield "pypm.python", str(found.parts.python["version"])
    if any(found.parts.needed_glibc):
        yield "pypm.glibc", bundle_parts.dotted(found.parts.needed_glibc)


# --- the command line ----------------------------------------------------------------------------


def _check(wishes: Wishes, level: int | None) -> None:
    if wishes.tag is not None and not _TAG.fullmatch(wishes.tag):
        raise UsageError(f"--tag takes NAME:TAG in small letters, like acme/web:1.0, not {wishes.tag!r}")
    if not _PREFIX.fullmatch(wishes.prefix) or {".", ".."} & set(wishes.prefix.split("/")):
        raise UsageError(f"--prefix takes a folder below the root, like /app, not {wishes.prefix!r}")
    if wishes.workdir is not None and not wishes.workdir.startswith("/"):
        raise UsageError(f"--workdir takes a folder from the root, like /srv, not {wishes.workdir!r}")
    if wishes.user is not None and not re.fullmatch(r"[A-Za-z0-9_.-]+(:[A-Za-z0-9_.-]+)?", wishes.user):
        raise UsageError(f"--user takes USER or USER:GROUP, not {wishes.user!r}")
    for text in (*wishes.env, *wishes.labels):
        _pair(text)
    for port in wishes.ports:
        if not _PORT.fullmatch(port) or not 0 < int(port.partition("/")[0]) < 65536:
            raise UsageError(f"--port takes a number or NUMBER/udp, not {port!r}")
    if level is not None and level > 9:
        raise UsageError(f"layers are packed with a level from 1 to 9, not {level}")
    try:
        words = shlex.split(wishes.entrypoint) if wishes.entrypoint is not None else ["-"]
    except ValueError as error:
        raise UsageError(f"--entrypoint: {str(error).lower()}") from None
    if not words:
        raise UsageError("--entrypoint takes a command")


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise UsageError(f"{text!r} is no NAME=VALUE")
    return name, value


def _target(
    here: World, platform: str | None, interpreter: str | None, glibc: tuple[int, int] | None
) -> Target | None:
    if platform is None and interpreter is None:
        return None
    if platform is None or interpreter is None:
        raise UsageError("--platform and --interpreter go together; for this machine there is --python")
    python = here.environ.get("PYPM_PYTHON", "")
    if not re.fullmatch(r"3\.\d{1,2}(\.\d{1,3})?", python):
        raise UsageError("--platform needs --python 3.N or 3.N.M of that machine")
    target = target_of(platform, python, glibc)
    if target.system != "linux":
        raise UsageError("images are for Linux")
    return target


def _print_json(done: ImageSummary, image: Image, needs: str) -> None:
    import json

    layers = [
        {**one.blob.to_json(), "diffId": one.diff_id, "holds": one.about or "base"} for one in done.layers
    ]
    report = {
        "file": done.file,
        "tag": image.tag,
        "platform": str(image.platform),
        "digest": done.manifest.digest,
        "config": done.config.digest,
        "size": done.size,
        "layers": layers,
        "needs-glibc": needs or None,
    }
    sys.stdout.write(json.dumps(report, sort_keys=True) + "\n")


def _tell(done: ImageSummary, image: Image, needs: str, base: str | None) -> None:
    say(f"Wrote {done.file}: {image.tag} for {image.platform}, {size_text(done.size)}")
    parts = [f"{one.about} {size_text(one.blob.size)}" for one in done.layers if one.about]
    say(f"Layers: {', '.join(parts)}")
    say(done.manifest.digest)
    if needs and base is not None:
        say(f"It needs glibc {needs} or newer of {base}.")
    elif needs:
        say(f"No C library is in it. It needs glibc {needs} or newer below it: --base PATH, or --libc.")


COMMANDS = Group("A member of the workspace as an image for containers, without a daemon.", {"build": build})

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.exit(guarded(lambda words: COMMANDS.main("pypm oci", words), sys.argv[1:]))
