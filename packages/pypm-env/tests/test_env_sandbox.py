"""The parts of a sandbox: walls as steps and command lines, a kernel that refuses, places, shells."""

from __future__ import annotations

import errno
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypm_env.sandbox import linux
from pypm_env.sandbox.bubblewrap import bubblewrap
from pypm_env.sandbox.environ import clean_environment, search_path
from pypm_env.sandbox.landlock import enter_landlock
from pypm_env.sandbox.machine import Machine, can_view, run_behind, wall_of, ways
from pypm_env.sandbox.place import LEASES, NoPlace, make_place, reap
from pypm_env.sandbox.seatbelt import profile, seatbelt
from pypm_env.sandbox.session import CannotStart, Entry, Start, run_session
from pypm_env.sandbox.shells import shell
from pypm_env.sandbox.walls import (
    CannotIsolate,
    Empty,
    Overlay,
    ReadOnly,
    Refused,
    Seen,
    Walls,
    is_inside,
    open_to,
    steps_for,
)

posix = pytest.mark.skipif(os.name == "nt", reason="forks")
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="walls of Linux")


class Refusing(linux.Kernel):
    """Refuses what *refused* names; the rest is done for real."""

    def __init__(self, *refused: str, version: int | None = None) -> None:
        super().__init__()
        self.refused = refused
        self.version = version

    def unshare(self, flags: int) -> None:
        self._ask("unshare")
        super().unshare(flags)

    def mount(self, source: str, target: str, kind: str, flags: int, data: str = "") -> None:
        self._ask(f"mount {kind}".strip())
        super().mount(source, target, kind, flags, data)

    def landlock_version(self) -> int:
        self._ask("landlock")
        return self.version or super().landlock_version()

    def _ask(self, what: str) -> None:
        if what in self.refused:
            raise OSError(errno.EPERM, os.strerror(errno.EPERM))


def machine(*refused: str, version: int | None = None, bwrap: bool = False) -> Machine:
    return Machine(
        "linux",
        lambda name: shutil.which(name) if bwrap else None,
        lambda: Refusing(*refused, version=version),
    )


def has_landlock() -> bool:
    try:
        return linux.Kernel().landlock_version() >= 4
    except OSError:
        return False


def shell_start(script: str, folder: Path) -> Start:
    return Start(("sh", "-c", script), dict(os.environ), str(folder))


# --- walls as values -----------------------------------------------------------------------------


def walls(**facts: object) -> Walls:
    given = {"project": "/p", "upper": "/u", "scratch": "/s", "writable": ("/tmp/box/work",)}
    return Walls(**(given | facts))  # type: ignore[arg-type]


def test_steps_cover_first_and_show_again_from_the_outside_in() -> None:
    isolated = walls(
        isolate=True, project="/home/u/p", readable=("/home/u/cache", "/usr"), homes=("/home", "/home/u"),
        writable=("/tmp/box/work", "/home/u/p/inside"),
    )  # fmt: skip
    steps = steps_for(isolated)
    assert steps[0] == ReadOnly("/")
    hidden = {step.path for step in steps if isinstance(step, Empty)}
    assert hidden == {"/tmp", "/run", "/home", "/dev/shm", "/var/tmp"}, "what is in another is hidden with it"
    seen = [step for step in steps if isinstance(step, Seen)]
    assert Seen("/home/u/cache") in seen and Seen("/usr") not in seen, "what nothing covers needs no showing"
    assert seen.index(Seen("/home/u/p")) < seen.index(Seen("/home/u/p/inside", writable=True))


def test_steps_of_a_view_and_of_a_read_only_project() -> None:
    assert steps_for(walls(fs="ro")) == (Seen("/p"), Seen("/tmp/box/work", writable=True))
    assert steps_for(walls(fs="cow"))[0] == Overlay("/p", "/u", "/s")
    assert steps_for(walls(no_net=True)) == ()
    assert [type(step) for step in steps_for(walls(fs="cow", isolate=True))].count(Overlay) == 1


paths = st.lists(st.sampled_from("ab"), min_size=1, max_size=4).map(lambda names: "/" + "/".join(names))


@given(
    st.lists(paths, max_size=4),
    paths,
    st.lists(paths, max_size=3),
    st.booleans(),
    st.sampled_from(["", "ro", "cow"]),
)
def test_whatever_is_writable_ends_writable(
    writable: list[str], project: str, homes: list[str], isolate: bool, fs: str
) -> None:
    """Carried out on paths as text: the last step about a path or a folder around it decides."""
    steps = steps_for(
        Walls(fs=fs, isolate=isolate, project=project, writable=tuple(writable), homes=tuple(homes))
    )
    for path in writable:
        about = [step for step in steps if is_inside(path, step.path)]
        assert not about or (isinstance(about[-1], Seen) and about[-1].writable)
    if not any(is_inside(project, path) for path in writable):
        about = [step for step in steps if is_inside(project, step.path)]
        if fs == "ro" or (isolate and fs == ""):
            assert isinstance(about[-1], Seen | ReadOnly) and not getattr(about[-1], "writable", False)
        elif fs == "cow":
            assert isinstance(about[-1], Overlay)


def test_what_is_left_open_is_told() -> None:
    assert open_to(walls()) == "files, network, processes"
    assert open_to(walls(fs="ro")) == "files outside the project, network, processes"
    assert open_to(walls(fs="ro", no_net=True), landlock=True) == "network other than TCP, processes"
    assert "terminal" in open_to(walls(isolate=True))
    assert wall_of(walls(fs="ro", no_net=True, isolate=True)) == "--isolate --fs ro --no-net"


def test_bubblewrap_gets_the_same_steps() -> None:
    line = bubblewrap("/usr/bin/bwrap", walls(isolate=True, homes=("/home",)), ["true"], "/tmp/box/work")
    text = " ".join(line)
    assert text.startswith("/usr/bin/bwrap --die-with-parent --cap-drop ALL --unshare-all --ro-bind / / ")
    assert text.index("--tmpfs /tmp") < text.index("--bind-try /tmp/box/work /tmp/box/work")
    assert text.endswith("--chdir /tmp/box/work -- true")
    assert "--unshare-net" in bubblewrap("bwrap", walls(no_net=True), ["true"], "/")
    assert "--unshare-net" not in bubblewrap("bwrap", walls(fs="ro"), ["true"], "/")
    with pytest.raises(Refused):
        bubblewrap("bwrap", walls(fs="cow"), ["true"], "/")


def test_a_profile_for_macos_denies_before_it_allows() -> None:
    text = profile(walls(isolate=True, homes=("/Users",), readable=('/opt/"x"',)))
    assert text.splitlines()[:3] == ["(version 1)", "(allow default)", '(deny file-write* (subpath "/"))']
    assert text.index("(deny file-read*") < text.index(
        '(allow file-read* (subpath "/opt/\\"x\\"") (subpath "/p")'
    )
    assert "(deny network*)" in text
    assert profile(walls(fs="ro")).splitlines()[2] == '(deny file-write* (subpath "/p"))'
    assert "network" not in profile(walls(fs="ro"))
    assert seatbelt(walls(no_net=True), ["true"])[:2] == ("/usr/bin/sandbox-exec", "-p")


# --- machines ------------------------------------------------------------------------------------


@pytest.mark.parametrize("platform", ["win32", "freebsd14"])
def test_where_there_are_no_walls_nothing_is_run(platform: str) -> None:
    def run(start: Start, entry: Entry | None) -> int:
        raise AssertionError("it ran")

    told: list[str] = []
    with pytest.raises(CannotIsolate) as caught:
        run_behind(Machine(platform, run=run), walls(no_net=True), Start(("x",), {}, "/"), told.append)
    assert (caught.value.exit, told) == (2, [])
    assert str(caught.value) == f"this machine cannot do --no-net: there is no way to on {platform}"
    assert can_view(Machine(platform, run=run), walls(fs="cow")) == f"no copy-on-write views on {platform}"


def test_macos_is_asked_whether_it_can_before_it_is_told_that_it_did() -> None:
    asked: list[tuple[str, ...]] = []
    ran: list[tuple[str, ...]] = []

    def probe(argv: object) -> str:
        asked.append(tuple(argv))  # type: ignore[arg-type]
        return ""

    def run(start: Start, entry: Entry | None) -> int:
        assert entry is not None and entry.last is not None
        entry.last()
        ran.append(start.argv)
        return 5

    told: list[str] = []
    mac = Machine("darwin", lambda name: name, run=run, probe=probe)
    assert run_behind(mac, walls(no_net=True), Start(("cmd", "x"), {}, "/"), told.append) == 5
    assert asked[0][-1] == "true" and ran[0][-2:] == ("cmd", "x")
    assert told == ["files, processes"]
    broken = Machine("darwin", lambda name: name, run=run, probe=lambda argv: "sandbox-exec: no")
    with pytest.raises(CannotIsolate, match="sandbox-exec: no"):
        run_behind(broken, walls(no_net=True), Start(("cmd",), {}, "/"), told.append)


@on_linux
@pytest.mark.skipif(not has_landlock(), reason="no Landlock, or one without network")
def test_where_namespaces_are_refused_landlock_stands_in(tmp_path: Path) -> None:
    work, project = tmp_path / "work", tmp_path / "project"
    work.mkdir()
    project.mkdir()
    (project / "file").write_text("as it was")
    asked = Walls(fs="ro", no_net=True, project=str(project), writable=(str(work),), temporary=str(work))
    told: list[str] = []
    out = work / "out"
    with socket.create_server(("127.0.0.1", 0)) as server:
        code = (
            "import os, socket, sys\n"
            "def no(act):\n"
            "    try: act()\n"
            "    except OSError: return True\n"
            f"assert no(lambda: socket.create_connection({server.getsockname()!r}))\n"
            f"os.chdir({str(project)!r})\n"
            "for name in ('file', 'new'): assert no(lambda: open(name, 'w'))\n"
            f"assert no(lambda: os.truncate({str(project / 'file')!r}, 0))\n"
            f"assert no(lambda: os.rename({str(project / 'file')!r}, {str(work / 'moved')!r}))\n"
            f"assert no(lambda: open({str(tmp_path / 'beside')!r}, 'w'))\n"
            f"open({str(out)!r}, 'w').write(os.environ['TMPDIR'])\n"
            "open('/dev/null', 'w').close()\n"
        )
        start = Start((sys.executable, "-c", code), dict(os.environ), str(work))
        assert run_behind(machine("unshare"), asked, start, told.append) == 0
    assert out.read_text() == str(work)
    assert (project / "file").read_text() == "as it was"


@on_linux
@pytest.mark.parametrize(
    ("refused", "asked", "says"),
    [
        (("unshare", "landlock"), {"fs": "ro"}, "not permitted; Landlock: operation not permitted"),
        (("unshare",), {"isolate": True}, "Landlock has no views and hides no processes"),
        (("mount proc",), {"isolate": True}, "a process namespace: operation not permitted"),
        (("mount tmpfs",), {"isolate": True}, "an empty /tmp: operation not permitted"),
    ],
)  # fmt: skip
def test_every_refusal_is_told_and_nothing_runs(
    tmp_path: Path, refused: tuple[str, ...], asked: dict[str, object], says: str
) -> None:
    told: list[str] = []
    wanted = walls(**{"project": str(tmp_path), "writable": (str(tmp_path),), **asked})
    with pytest.raises(CannotIsolate) as caught:
        run_behind(machine(*refused), wanted, shell_start("echo > ran", tmp_path), told.append)
    assert says in str(caught.value)
    assert not (tmp_path / "ran").exists()


@on_linux
@pytest.mark.parametrize(
    ("version", "asked"), [(3, {"no_net": True}), (2, {"fs": "ro"}), (1, {"fs": "ro", "no_net": True})]
)
def test_an_old_landlock_is_not_taken_for_a_wall(
    tmp_path: Path, version: int, asked: dict[str, object]
) -> None:
    kernel = Refusing(version=version)
    with pytest.raises(Refused, match=f"version {version}"):
        enter_landlock(Walls(**asked), kernel)  # type: ignore[arg-type]


@on_linux
@pytest.mark.skipif(not shutil.which("bwrap"), reason="there is no bubblewrap")
def test_bubblewrap_stands_in_for_all_walls(tmp_path: Path) -> None:
    probe = subprocess.run(["bwrap", "--unshare-all", "--ro-bind", "/", "/", "true"], capture_output=True)
    if probe.returncode:
        pytest.skip("bubblewrap does not work here")
    work = tmp_path / "work"
    work.mkdir()
    asked = Walls(isolate=True, project=str(tmp_path), writable=(str(work),), homes=())
    script = f"touch ok; touch {tmp_path}/bad; ls /proc | grep -c '^[0-9]'; exit 4"
    assert (
        run_behind(machine("unshare", bwrap=True), asked, shell_start(script, work), lambda text: None) == 4
    )
    assert (work / "ok").exists() and not (tmp_path / "bad").exists()


@on_linux
def test_a_view_is_tried_before_it_is_promised(tmp_path: Path) -> None:
    folders = {"project": "project", "upper": "layer/upper", "scratch": "layer/scratch"}
    folders = {name: str(tmp_path / path) for name, path in folders.items()}
    for folder in folders.values():
        os.makedirs(folder)
    wanted = Walls(fs="cow", **folders)  # type: ignore[arg-type]
    assert can_view(machine("unshare"), wanted) == "user namespaces: operation not permitted"
    assert can_view(machine("mount overlay"), wanted).startswith(
        ("copy-on-write mounts: ", "user namespaces: ")
    )


# --- sessions ------------------------------------------------------------------------------------


@posix
def test_a_session_gives_the_exit_code_and_the_systems_reason(tmp_path: Path) -> None:
    assert run_session(shell_start("exit 9", tmp_path)) == 9
    assert run_session(shell_start("kill -6 $$", tmp_path)) == 134
    with pytest.raises(CannotStart) as caught:
        run_session(Start(("nonesuch",), dict(os.environ), str(tmp_path)))
    assert caught.value.number == errno.ENOENT

    def refuse() -> None:
        raise Refused("the wall: no")

    with pytest.raises(Refused, match="the wall: no"):
        run_session(shell_start("touch ran", tmp_path), Entry(refuse))
    assert not (tmp_path / "ran").exists()


# --- places --------------------------------------------------------------------------------------


def test_a_place_is_leased_made_and_taken_away(tmp_path: Path) -> None:
    store = tmp_path / "store"
    place = make_place(store, {"TMPDIR": str(tmp_path), "TEMP": str(tmp_path)})
    assert place.folder.parent == Path(os.path.realpath(tmp_path))
    assert os.fsdecode(place.lease.read_bytes()) == str(place.folder)
    deep = place.work / "a" / "b"
    deep.mkdir(parents=True)
    (deep / "file").write_text("x")
    deep.chmod(0o500)
    assert reap(store) == 0, "it is held"
    assert place.folder.exists()
    assert place.remove() == ""
    assert not place.folder.exists() and not place.lease.exists()


def test_a_lease_nobody_holds_is_reaped_with_its_folder(tmp_path: Path) -> None:
    folder = tmp_path / "pypm-sandbox-0badcafe"
    (folder / "work").mkdir(parents=True)
    leases = tmp_path / "store" / LEASES
    leases.mkdir(parents=True)
    (leases / "0badcafe").write_bytes(os.fsencode(folder))
    assert reap(tmp_path / "store") == 1
    assert not folder.exists() and not list(leases.iterdir())
    assert reap(tmp_path / "store") == 0


def test_a_lease_cannot_name_what_is_no_sandbox(tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    leases = tmp_path / "store" / LEASES
    leases.mkdir(parents=True)
    (leases / "0badcafe").write_bytes(os.fsencode(mine))
    reap(tmp_path / "store")
    assert mine.exists()


@posix
def test_no_place_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: object, mode: int = 0) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    store = tmp_path / "store"
    (store / LEASES).mkdir(parents=True)
    (store / "locks").mkdir()
    monkeypatch.setattr(os, "mkdir", refuse)
    with pytest.raises(NoPlace, match="No space left"):
        make_place(store, {"TMPDIR": str(tmp_path)})
    assert list((store / LEASES).iterdir()) == []


# --- variables and shells ------------------------------------------------------------------------


@posix
def test_what_chooses_another_python_is_left_out() -> None:
    outside = {
        "PATH": "/venv/bin:/usr/bin::/conda/bin/", "VIRTUAL_ENV": "/venv", "CONDA_PREFIX": "/conda",
        "PYTHONPATH": "/x", "PYTHONUTF8": "1", "HOME": "/h", "PYP_WORKSPACE_ROOT": "/w", "CONDA_SHLVL": "1",
    }  # fmt: skip
    assert search_path(outside, Path("/box/bin")) == "/box/bin:/usr/bin"
    assert clean_environment(outside, Path("/box/bin"), Path("/box"), "sandbox a") == {
        "PATH": "/box/bin:/usr/bin", "VIRTUAL_ENV": "/box", "HOME": "/h", "PYPM_SANDBOX": "sandbox a",
        "PYTHONNOUSERSITE": "1", "PYTHONSAFEPATH": "1",
    }  # fmt: skip


_INSIDE = {
    "PATH": "/it's/bin:/usr/bin",
    "VIRTUAL_ENV": "/it's",
    "PYTHONNOUSERSITE": "1",
    "PYTHONSAFEPATH": "1",
}


@pytest.mark.parametrize(
    "program", ["/bin/bash", "zsh", "fish", "C:\\x\\pwsh.exe", "powershell", "cmd.exe", "dash"]
)
def test_every_known_shell_is_told_where_it_is(program: str) -> None:
    found = shell(program, "sandbox api", _INSIDE, Path("/own"), "/home/u")
    text = "".join(found.files.values())
    assert found.shows and "sandbox api" in text and found.argv[0] == program
    assert "/usr/bin" in text


def test_an_unknown_shell_is_started_as_it_is() -> None:
    found = shell("/usr/bin/xonsh", "sandbox", _INSIDE, Path("/own"), "/home/u")
    assert (found.argv, found.files, found.shows) == (("/usr/bin/xonsh",), {}, False)


@posix
@pytest.mark.parametrize("program", ["bash", "dash"])
def test_a_name_cannot_run_anything_in_a_prompt(program: str, tmp_path: Path) -> None:
    if shutil.which(program) is None:
        pytest.skip(f"there is no {program}")
    found = shell(program, '$(touch ran)`touch ran`"; touch ran; "', _INSIDE, tmp_path, str(tmp_path))
    (file,) = found.files
    Path(file).write_text(found.files[file])
    done = subprocess.run(
        [program, "-c", f'. {file}; printf %s "$PATH"; eval "printf %s \\"$PS1\\"" >/dev/null'], cwd=tmp_path,
        env={"HOME": str(tmp_path)}, capture_output=True, text=True,
    )  # fmt: skip
    assert (done.stdout, done.returncode) == (_INSIDE["PATH"], 0), done.stderr
    assert not (tmp_path / "ran").exists()


def test_the_ways_of_linux_are_tried_in_order() -> None:
    found = list(ways(machine(bwrap=bool(shutil.which("bwrap"))), walls(no_net=True), Start(("x",), {}, "/")))
    assert len(found) == (3 if shutil.which("bwrap") else 2)
