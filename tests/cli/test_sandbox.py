"""``pypm sandbox`` as processes, on real terminals, behind the walls this machine has."""

from __future__ import annotations

import os
import pty
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from kit.wheels import make_project, make_wheel

pytestmark = [
    pytest.mark.skipif(os.name == "nt", reason="signals and terminals of POSIX"),
    pytest.mark.slow,
]

SECONDS = 20


@dataclass
class Stage:
    """A workspace, and pypm run in it."""

    root: Path
    temporary: Path
    environ: dict[str, str] = field(default_factory=dict)

    def run(self, *words: str, cwd: str = ".", **environ: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*PYPM, "sandbox", *words],
            cwd=self.root / cwd,
            env={**self.environ, **environ},
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=SECONDS,
        )

    def python(self, *words: str, code: str, **environ: str) -> str:
        done = self.run("-q", *words, "--", "python", "-c", code, **environ)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def start(self, *words: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*PYPM, "sandbox", *words],
            cwd=self.root,
            env=self.environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )

    def left(self) -> list[str]:
        """What sandboxes left in the folder for temporary files, and leases."""
        leases = Path(self.environ["PYPM_CACHE_DIR"], "v1", "sandboxes")
        found = [path.name for path in self.temporary.iterdir() if path.name.startswith("pypm-sandbox-")]
        return found + ([path.name for path in leases.iterdir()] if leases.is_dir() else [])


PYPM = [sys.executable, "-c", "from pypm._entry import program; program()"]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Stage:
    """Members a <- b, and c; a needs acme, c needs other. Warm."""
    folder = tmp_path_factory.mktemp("sandbox")
    wheels, root, temporary, home = (folder / name for name in ("wheels", "ws", "tmp", "home"))
    for path in (root, temporary, home):
        path.mkdir()
    make_wheel(wheels, "acme", "1.0", entry_points={"console_scripts": {"acme": "acme:main"}})
    make_wheel(wheels, "acme", "2.0")
    make_wheel(wheels, "other", "1.0")
    make_wheel(wheels, "tool", "1.0", requires=["acme>=1"])
    make_wheel(wheels, "picky", "1.0", requires=["acme>=2"])
    (root / "pypm-workspace.toml").write_text(
        f'[workspace]\nname = "ws"\nmembers = ["packages/*"]\n[resolution]\nfind-links = ["{wheels}"]\n'
    )
    (root / ".gitignore").write_text("__pycache__\n.pypm\n*.log\n")
    for name, requires in (("a", ["acme<2"]), ("b", ["a"]), ("c", ["other"])):
        make_project(root / "packages" / name, name, "1.0", requires=requires, backend="in-tree")
    with (root / "packages/b/pyproject.toml").open("a") as file:
        file.write('[dependency-groups]\ndev = ["other"]\n')
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("PYPM_", "PYP_"))}
    environ |= {
        "HOME": str(home), "TMPDIR": str(temporary), "PYPM_CACHE_DIR": str(folder / "cache"),
        "PYPM_OFFLINE": "1", "PYPM_BACKGROUND_COMPILE": "0", "SHELL": "/bin/bash", "TERM": "xterm",
        "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull,
    }  # fmt: skip
    stage = Stage(root, temporary, environ)
    subprocess.run([*PYPM, "lock", "-q"], cwd=root, env=environ, check=True)
    git = ["git", "-c", "user.name=x", "-c", "user.email=x@example.test"]
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "all"]):
        subprocess.run([*git, *words], cwd=root, env=environ, check=True)
    assert stage.run("-p", "b", "--", "true").returncode == 0
    return stage


@pytest.fixture
def stage(base: Stage) -> Iterator[Stage]:
    """The workspace as it was committed, and a look at what is left afterwards."""
    yield base
    subprocess.run(["git", "checkout", "-q", "."], cwd=base.root, env=base.environ, check=True)
    subprocess.run(["git", "clean", "-qfd"], cwd=base.root, env=base.environ, check=True)
    assert base.left() == []


def namespaces() -> bool:
    done = (
        subprocess.run(["unshare", "-Urmn", "true"], capture_output=True) if shutil.which("unshare") else None
    )
    return done is not None and done.returncode == 0


needs_namespaces = pytest.mark.skipif(
    sys.platform != "linux" or not namespaces(), reason="this machine gives no user namespaces"
)


# --- what it holds -------------------------------------------------------------------------------


def test_a_member_gets_what_it_declares_and_nothing_else(stage: Stage) -> None:
    code = "import a, b, acme; print(acme.__version__)"
    assert stage.python("-p", "b", "--no-dev", code=code) == "1.0"
    for name in ("c", "other", "pip"):
        done = stage.run("-p", "b", "--no-dev", "--", "python", "-c", f"import {name}")
        assert f"No module named '{name}'" in done.stderr and done.returncode == 1


def test_groups_are_chosen_as_elsewhere(stage: Stage) -> None:
    assert stage.python("-p", "b", code="import other; print(1)") == "1"
    assert stage.run("-p", "b", "--no-dev", "--", "python", "-c", "import other").returncode == 1
    done = stage.run("-p", "b", "--only-group", "dev", "--", "python", "-c", "import other, acme")
    assert "No module named 'acme'" in done.stderr
    done = stage.run("-p", "b", "--group", "nonesuch", "--", "true")
    assert done.returncode == 2 and "`b` has no dependency group 'nonesuch'" in done.stderr


def test_commands_of_the_environment_come_first(stage: Stage) -> None:
    done = stage.run("-q", "-p", "b", "--", "sh", "-c", "acme; command -v python")
    program = Path(done.stdout.splitlines()[-1])
    assert done.returncode == 0
    assert program.parent.parent.parent.name == "envs"


def test_nothing_of_the_caller_leads_python_elsewhere(stage: Stage, tmp_path: Path) -> None:
    (tmp_path / "leak.py").write_text("")
    active = tmp_path / "active"
    (active / "bin").mkdir(parents=True)
    (active / "bin" / "outer-tool").write_text("#!/bin/sh\necho leaked\n")
    (active / "bin" / "outer-tool").chmod(0o755)
    outer = {
        "PYTHONPATH": str(tmp_path), "PYTHONSTARTUP": str(tmp_path / "leak.py"), "PYTHONHOME": "",
        "VIRTUAL_ENV": str(active), "PATH": f"{active / 'bin'}{os.pathsep}{stage.environ['PATH']}",
    }  # fmt: skip
    code = (
        "import os, sys\n"
        "print(sorted(name for name in os.environ if name.startswith('PYTHON')))\n"
        "print(sys.flags.no_user_site, sys.flags.safe_path, sys.prefix == os.environ['VIRTUAL_ENV'])\n"
        f"print({str(tmp_path)!r} in sys.path)"
    )
    assert stage.python("-p", "b", code=code, **outer).splitlines() == [
        "['PYTHONNOUSERSITE', 'PYTHONSAFEPATH']",
        "1 True True",
        "False",
    ]
    assert stage.run("-p", "b", "--", "outer-tool", **outer).returncode == 127


def test_without_a_member_there_is_the_interpreter_alone(stage: Stage, tmp_path: Path) -> None:
    assert stage.run("--", "python", "-c", "import acme").returncode == 1
    done = subprocess.run(
        [*PYPM, "sandbox", "-q", "--", "python", "-c", "import sys; print(len(sys.path))"],
        cwd=tmp_path, env=stage.environ, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_with_adds_a_package_beside_what_is_locked(stage: Stage) -> None:
    before = (stage.root / "pypm.lock").read_bytes()
    code = "import tool, acme; print(acme.__version__)"
    assert stage.python("-p", "b", "--with", "tool", code=code) == "1.0"
    assert (
        stage.python("-p", "b", "--with", "tool==1.0", "--with", "c", code="import tool, c, other; print(1)")
        == "1"
    )
    assert stage.python("--with", "tool", code=code) == "2.0", "no member's pins count here"
    assert stage.run("-p", "b", "--", "python", "-c", "import tool").returncode == 1
    assert (stage.root / "pypm.lock").read_bytes() == before


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("-p", "b", "--with", "picky"), 1, "acme"),
        (("-p", "b", "--with", "nonesuch"), 1, "nonesuch"),
        (("-p", "b", "--with", "=="), 2, "'=='"),
        (("-p", "nonesuch"), 2, "no member is selected by `nonesuch`"),
        (("-p", "a", "-p", "b"), 2, "a sandbox is made for one member, not for 2: a, b"),
        (("-d", "pypm.lock"), 2, "-d pypm.lock: it is a file"),
        (("-d", "no/such"), 2, "-d no/such: there is no folder"),
        (("-d", "packages", "--checkout"), 2, "a checkout needs an empty folder"),
        (("--fs", "up"), 2, "--fs takes one of ro, cow, not 'up'"),
        (("--keep-diff", "x"), 2, "--keep-diff goes with --fs cow"),
        (("--fs", "cow", "--keep-diff", "packages"), 2, "--keep-diff packages: it is a folder"),
        (("--fs", "cow", "--keep-diff", "no/such"), 2, "--keep-diff no/such: there is no folder"),
        (("-p", "b", "-d", ".", "--fs", "ro"), 2, "-d .: the project is in it, and --fs ro is to keep it"),
        (("-d", "new", "-p", "b", "--fs", "cow", "--keep-diff", "."), 2, "--keep-diff .: it is a folder"),
        (("--fs", "cow", "--checkout"), 2, "it does not go with --fs cow"),
        (("--checkout", "--staged"), 2, "--checkout and --staged exclude each other"),
        (("--group", "dev"), 2, "--group goes with -p"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)  # fmt: skip
def test_bad_input_is_told_and_leaves_nothing(
    stage: Stage, words: tuple[str, ...], code: int, says: str
) -> None:
    done = stage.run(*words, "--", "touch", str(stage.root / "ran"))
    assert (done.returncode, "Traceback" in done.stderr) == (code, False)
    assert says in done.stderr
    assert not (stage.root / "ran").exists()
    status = subprocess.run(["git", "status", "--short"], cwd=stage.root, capture_output=True, text=True)
    assert status.stdout == ""


def test_a_lock_that_does_not_fit_is_made_to_in_memory(stage: Stage) -> None:
    manifest = stage.root / "packages/c/pyproject.toml"
    before = (stage.root / "pypm.lock").read_bytes()
    manifest.write_text(manifest.read_text().replace('"other"', '"other", "tool"'))
    assert stage.python("-p", "c", code="import tool; print(1)") == "1"
    assert (stage.root / "pypm.lock").read_bytes() == before


# --- where it is ---------------------------------------------------------------------------------


def test_a_folder_of_its_own_is_empty_private_and_gone(stage: Stage) -> None:
    code = "import os; print(os.getcwd(), os.listdir(), oct(os.stat('..').st_mode)[-3:]); open('kept', 'w')"
    here, listing, mode = stage.python(code=code).split()
    assert (listing, mode) == ("[]", "700")
    assert Path(here).parent.parent == stage.temporary
    assert not Path(here).exists()


@pytest.mark.parametrize("there", [False, True])
def test_a_named_folder_stays_with_what_was_done_in_it(stage: Stage, tmp_path: Path, there: bool) -> None:
    folder = tmp_path / "mine"
    if there:
        folder.mkdir()
        (folder / "old").write_text("old")
    done = stage.run("-d", str(folder), "-p", "b", "--", "sh", "-c", "pwd; echo new > new; ls -A")
    assert done.stdout.splitlines() == [str(folder), "new", *(["old"] if there else [])]
    assert sorted(path.name for path in folder.iterdir()) == ["new", *(["old"] if there else [])]


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (("sh", "-c", "exit 7"), 7),
        (("sh", "-c", "kill -9 $$"), 137),
        (("sh", "-c", "kill -15 $$"), 143),
        (("nonesuch",), 127),
        (("/",), 126),
        (("python", "-c", "import sys; sys.exit(sys.argv[1:] != ['-p', '--fs', 'x'])", "-p", "--fs", "x"), 0),
    ],
    ids=repr,
)
def test_the_command_decides_the_exit_code(stage: Stage, command: tuple[str, ...], code: int) -> None:
    assert stage.run("--", *command).returncode == code


def test_without_a_terminal_the_shell_reads_what_it_is_given(stage: Stage) -> None:
    done = subprocess.run(
        [*PYPM, "sandbox", "-q", "-p", "b"], cwd=stage.root, env=stage.environ,
        input="python -c 'import a'\nexit 5\n",
        capture_output=True, text=True, timeout=SECONDS,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (5, "", "")


def test_what_is_open_is_told_in_a_line(stage: Stage) -> None:
    (line,) = stage.run("-p", "b", "--", "true").stderr.splitlines()
    assert line.endswith("; not walled off: files, network, processes")
    assert stage.run("-q", "-p", "b", "--", "true").stderr == ""


def test_a_clean_checkout_is_of_the_last_commit_or_of_what_is_staged(stage: Stage) -> None:
    module = stage.root / "packages/b/src/b/__init__.py"
    module.write_text("where = 'staged'\n")
    subprocess.run(["git", "add", "-A"], cwd=stage.root, env=stage.environ, check=True)
    module.write_text("where = 'changed'\n")
    (stage.root / "packages/b/untracked").write_text("")
    code = (
        "import os, b, a; print(os.path.exists('untracked'), getattr(b, 'where', 'committed'), os.getcwd())"
    )
    try:
        gone, where, folder = stage.python("-p", "b", "--checkout", code=code).split()
        assert (gone, where) == ("False", "committed")
        assert folder.endswith("/work/view/packages/b")
        assert stage.python("-p", "b", "--staged", code=code).split()[:2] == ["False", "staged"]
        status = subprocess.run(["git", "status", "--short"], cwd=stage.root, capture_output=True, text=True)
        assert status.stdout == "MM packages/b/src/b/__init__.py\n?? packages/b/untracked\n"
    finally:
        subprocess.run(["git", "reset", "-q"], cwd=stage.root, env=stage.environ, check=True)


def test_a_checkout_without_a_commit_leaves_nothing(stage: Stage, tmp_path: Path) -> None:
    root = tmp_path / "fresh"
    shutil.copytree(stage.root, root, ignore=shutil.ignore_patterns(".git", ".pypm"))
    done = stage.run(
        "-p", "b", "--checkout", "-d", str(tmp_path / "out"), cwd=str(root), GIT_CEILING_DIRECTORIES="/"
    )
    assert (done.returncode, "error[no-repository]" in done.stderr) == (2, True), done.stderr
    subprocess.run(["git", "init", "-q"], cwd=root, env=stage.environ, check=True)
    done = stage.run("-p", "b", "--checkout", "-d", str(tmp_path / "out"), cwd=str(root))
    assert (done.returncode, "git could not check out the last commit" in done.stderr) == (1, True), (
        done.stderr
    )
    assert not (tmp_path / "out").exists()


def test_the_whole_file_system_is_no_project(stage: Stage) -> None:
    done = stage.run("--fs", "ro", "--", "true", cwd="/")
    assert (done.returncode, "error[bad-place]" in done.stderr) == (2, True), done.stderr


@needs_namespaces
def test_outside_of_a_workspace_the_current_folder_is_the_project(stage: Stage, tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("kept")
    done = stage.run("-q", "--fs", "cow", "--", "sh", "-c", "pwd; rm kept; touch new; ls", cwd=str(tmp_path))
    assert (done.stdout, done.returncode) == (f"{tmp_path}\nnew\n", 0), done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]
    assert stage.run("--fs", "ro", "--", "touch", "new", cwd=str(tmp_path)).returncode == 1


def test_a_checkout_in_a_named_folder_stays(stage: Stage, tmp_path: Path) -> None:
    done = stage.run("-p", "b", "--checkout", "-d", str(tmp_path / "out"), "--", "pwd")
    assert done.stdout == f"{tmp_path / 'out/packages/b'}\n", done.stderr
    assert (tmp_path / "out/packages/b/pyproject.toml").exists()


# --- how it ends ---------------------------------------------------------------------------------

SLEEPER = "import sys, time; print('ready', flush=True); time.sleep(25)"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_to_pypm_ends_the_command_and_the_folder(stage: Stage, number: signal.Signals) -> None:
    process = stage.start("-p", "b", "--", "python", "-c", SLEEPER)
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    process.send_signal(number)
    assert process.wait(SECONDS) == 128 + number


def test_a_command_that_will_not_end_is_ended(stage: Stage) -> None:
    code = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + SLEEPER
    process = stage.start("-p", "b", "--", "python", "-c", code)
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGTERM)
    assert process.wait(SECONDS) == 143


def test_what_a_killed_pypm_left_is_the_sandboxs_while_it_runs_and_then_reaped(stage: Stage) -> None:
    code = "import sys; print('ready', flush=True); sys.stdin.read()"
    process = subprocess.Popen(
        [*PYPM, "sandbox", "-q", "-p", "b", "--", "python", "-c", code], cwd=stage.root, env=stage.environ,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    assert process.stdout is not None and process.stdin is not None
    assert process.stdout.readline() == "ready\n"
    process.kill()
    process.wait()
    assert stage.run("--", "true").returncode == 0
    assert len(stage.left()) == 2, "it still runs there"
    process.stdin.close()
    assert process.stdout.read() == ""  # its end
    deadline = time.monotonic() + SECONDS
    while stage.left() and time.monotonic() < deadline:
        assert stage.run("--", "true").returncode == 0
    assert stage.left() == []


def test_cache_prune_reaps_and_keeps_what_runs(stage: Stage) -> None:
    process = stage.start("-p", "b", "--", "python", "-c", SLEEPER)
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    prune = [*PYPM, "cache", "prune"]
    subprocess.run(prune, cwd=stage.root, env=stage.environ, check=True, capture_output=True)
    assert len(stage.left()) == 2
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    deadline = time.monotonic() + SECONDS
    while stage.left() and time.monotonic() < deadline:
        done = subprocess.run(prune, cwd=stage.root, env=stage.environ, check=True, capture_output=True)
    assert b"sandbox" in done.stderr


class Terminal:
    """A real terminal with pypm in it as its leader."""

    def __init__(self, stage: Stage, *words: str, **environ: str) -> None:
        self.pid, self.handle = pty.fork()
        if self.pid == 0:
            os.chdir(stage.root)
            os.execvpe(PYPM[0], [*PYPM, "sandbox", *words], {**stage.environ, **environ})
        self.seen = ""

    def expect(self, text: str) -> str:
        """Reads until *text* (a pattern) came; all that came since the last time."""
        deadline = time.monotonic() + SECONDS
        while not (found := re.search(text, self.seen)):
            ready, _, _ = select.select([self.handle], [], [], max(deadline - time.monotonic(), 0))
            assert ready, f"{text!r} did not come: {self.seen!r}"
            try:
                data = os.read(self.handle, 4096)
            except OSError:
                data = b""
            assert data, f"{text!r} did not come: {self.seen!r}"
            self.seen += data.decode(errors="replace")
        before, self.seen = self.seen[: found.end()], self.seen[found.end() :]
        return before

    def type(self, text: str) -> None:
        os.write(self.handle, text.encode())

    def end(self) -> int:
        """The exit code."""
        while True:
            try:
                if not os.read(self.handle, 4096):
                    break
            except OSError:
                break
        _, status = os.waitpid(self.pid, 0)
        os.close(self.handle)
        return os.waitstatus_to_exitcode(status)


@pytest.mark.parametrize("program", ["bash", "zsh", "fish", "sh"])
def test_a_shell_says_where_it_is_after_the_users_own_files(stage: Stage, program: str) -> None:
    path = shutil.which(program)
    if path is None:
        pytest.skip(f"there is no {program}")
    home = Path(stage.environ["HOME"])
    rc = {"bash": ".bashrc", "zsh": ".zshrc", "fish": ".config/fish/config.fish", "sh": ".shrc"}[program]
    (home / rc).parent.mkdir(parents=True, exist_ok=True)
    spell = "set -gx PYTHONPATH /leak\nset -gx MINE yes\nset -gx PATH /usr/bin $PATH\n"
    text = spell if program == "fish" else "export PYTHONPATH=/leak MINE=yes PATH=/usr/bin:$PATH\n"
    (home / rc).write_text(text)
    code = "import os, sys; print('<' + os.environ['MINE'], 'PYTHONPATH' in os.environ, end='>\\n')"
    terminal = Terminal(stage, "-p", "b", SHELL=path, ENV=str(home / ".shrc"))
    terminal.expect(r"\(sandbox b\) ")
    terminal.type(f'python -c "{code}"\n'.replace("'", "'"))
    assert terminal.expect(r"<yes False>")
    terminal.type("python -c 'import a, sys; print(sys.prefix)'\n")
    terminal.expect(r"/v1/envs/")
    terminal.type("exit 6\n")
    assert terminal.end() == 6
    (home / rc).unlink()


def test_ctrl_c_goes_to_what_runs_in_the_shell(stage: Stage) -> None:
    terminal = Terminal(stage, "-p", "b")
    terminal.expect(r"\(sandbox b\) ")
    terminal.type("sh -c 'echo star\"\"ted; exec sleep 60'\n")
    terminal.expect("started")
    terminal.type("\x03")
    terminal.expect(r"\(sandbox b\) ")
    terminal.type("false\n")
    terminal.expect(r"\(sandbox b\) ")
    terminal.type("exit\n")
    assert terminal.end() == 1


def test_ctrl_c_ends_a_command(stage: Stage) -> None:
    terminal = Terminal(stage, "-p", "b", "--", "python", "-c", SLEEPER)
    terminal.expect("ready")
    terminal.type("\x03")
    seen = terminal.expect("KeyboardInterrupt")
    assert seen.count("KeyboardInterrupt") == 1
    assert terminal.end() == 130


def test_a_command_may_heed_ctrl_c_in_its_own_way(stage: Stage) -> None:
    code = (
        "import time\n"
        "try: print('ready', flush=True); time.sleep(60)\n"
        "except KeyboardInterrupt: time.sleep(0.3); print('cleared', flush=True); raise SystemExit(4)"
    )
    terminal = Terminal(stage, "-p", "b", "--", "python", "-c", code)
    terminal.expect("ready")
    terminal.type("\x03")
    terminal.expect("cleared")
    assert terminal.end() == 4


def _hang_up(terminal: Terminal) -> None:
    os.close(terminal.handle)
    os.waitpid(terminal.pid, 0)


def _kill_shell(terminal: Terminal) -> None:
    terminal.type("kill -9 $$\n")
    assert terminal.end() == 137


@pytest.mark.parametrize("end", [_hang_up, _kill_shell])
@pytest.mark.parametrize("walls", [(), ("--isolate",)], ids=["open", "isolate"])
def test_a_closed_terminal_and_a_killed_shell_end_it(
    stage: Stage, end: Callable[[Terminal], None], walls: tuple[str, ...]
) -> None:
    if walls and not namespaces():
        pytest.skip("this machine gives no user namespaces")
    terminal = Terminal(stage, "-p", "b", *walls)
    terminal.expect(r"\(sandbox b\) ")
    end(terminal)


# --- walls ---------------------------------------------------------------------------------------


@needs_namespaces
def test_a_read_only_project_cannot_be_written_from_any_side(stage: Stage) -> None:
    script = (
        f"pwd; touch here; touch {stage.root}/there; rm pyproject.toml; mv src other; chmod 777 src;"
        f" umount {stage.root}; mount -o remount,rw,bind {stage.root}; touch $TMPDIR/free && echo free"
    )
    done = stage.run("-p", "b", "--fs", "ro", "--", "sh", "-c", script)
    assert done.stdout.splitlines() == [str(stage.root / "packages/b"), "free"]
    status = subprocess.run(["git", "status", "--short"], cwd=stage.root, capture_output=True, text=True)
    assert status.stdout == ""
    (stage.temporary / "free").unlink()


@needs_namespaces
def test_a_view_changes_nothing_and_is_kept_as_a_patch(stage: Stage, tmp_path: Path) -> None:
    script = (
        "echo x > new; rm pyproject.toml; echo 'z = 1' >> src/b/__init__.py;"
        " rm -r ../c; mkdir ../c; echo c > ../c/c;"
        " printf '\\000\\377' > bytes; ln -s new link; chmod +x ../../pypm.lock; echo n > noise.log;"
        " mkdir __pycache__; touch __pycache__/b.pyc; printf 'no end' > ../a/end;"
        " python -c 'import b; print(b.z)'"
    )
    patch = tmp_path / "view.patch"
    done = stage.run("-p", "b", "--fs", "cow", "--keep-diff", str(patch), "--", "sh", "-c", script)
    assert (done.stdout, done.returncode) == ("1\n", 0), done.stderr
    assert _status(stage) == []
    subprocess.run(["git", "apply", str(patch)], cwd=stage.root, check=True)
    assert _status(stage) == [
        " D packages/b/pyproject.toml", " M packages/b/src/b/__init__.py",
        " D packages/c/backend/intree_backend.py", " D packages/c/pyproject.toml",
        " D packages/c/src/c/__init__.py",
        " M pypm.lock", "?? packages/a/end", "?? packages/b/bytes", "?? packages/b/link",
        "?? packages/b/new", "?? packages/c/c",
    ]  # fmt: skip
    assert (stage.root / "packages/b/bytes").read_bytes() == b"\0\xff"
    assert os.readlink(stage.root / "packages/b/link") == "new"


def _status(stage: Stage) -> list[str]:
    done = subprocess.run(
        ["git", "status", "--short", "-uall"],
        cwd=stage.root,
        env=stage.environ,
        capture_output=True,
        text=True,
    )
    return sorted(done.stdout.splitlines(), key=lambda line: (line[:2] == "??", line[3:]))


@needs_namespaces
def test_without_a_network_a_server_outside_cannot_be_reached(stage: Stage) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        code = (
            "import socket\n"
            f"try: socket.create_connection(('127.0.0.1', {port})); print('reached')\n"
            "except OSError: print('refused')\n"
            "with socket.create_server(('127.0.0.1', 0)) as own:\n"
            "    socket.create_connection(own.getsockname()).close()"
        )
        assert stage.python("-p", "b", code=code) == "reached"
        for walls in (("--no-net",), ("--isolate",)):
            assert stage.python("-p", "b", *walls, code=code) == "refused"


@needs_namespaces
def test_an_isolated_sandbox_sees_and_changes_nothing_of_the_user(stage: Stage) -> None:
    secret = Path(stage.environ["HOME"]) / "secret"
    secret.write_text("secret")
    code = (
        "import os, acme, a\n"
        f"print(os.path.exists({str(secret)!r}), os.path.exists('/proc/{os.getpid()}'), os.getpid() < 4)\n"
        "open('mine', 'w').close()\n"
        "open('/tmp/mine-too', 'w').close()\n"
        f"for path in ({str(stage.root / 'x')!r}, '/etc/x', os.path.join(os.environ['VIRTUAL_ENV'], 'x'),\n"
        "             os.path.join(os.path.dirname(acme.__file__), 'x')):\n"
        "    try: open(path, 'w'); print('written', path)\n"
        "    except OSError: pass\n"
    )
    assert stage.python("-p", "b", "--isolate", code=code) == "False False True"
    assert stage.python(
        "-p", "b", "--isolate", "--fs", "cow", code=code.replace(str(stage.root / "x"), "/x")
    ) == ("False False True")
    assert not Path("/tmp/mine-too").exists()
    assert stage.run("-p", "b", "--isolate", "--", "sh", "-c", "exit 3").returncode == 3
    assert stage.run("-p", "b", "--isolate", "--", "sh", "-c", "kill -9 $$").returncode == 137
    assert stage.run("-p", "b", "--isolate", "--", "nonesuch").returncode == 127
    secret.unlink()


@needs_namespaces
def test_an_isolated_view_is_no_copy(stage: Stage, tmp_path: Path) -> None:
    patch = tmp_path / "view.patch"
    done = stage.run(
        "-p",
        "b",
        "--isolate",
        "--fs",
        "cow",
        "--keep-diff",
        str(patch),
        "--",
        "sh",
        "-c",
        "echo hi > new; pwd",
    )
    assert (done.stdout, done.returncode) == (f"{stage.root}/packages/b\n", 0), done.stderr
    assert "copied-view" not in done.stderr
    assert "+++ b/packages/b/new" in patch.read_text()
    assert _status(stage) == []


@needs_namespaces
def test_a_killed_pypm_takes_an_isolated_sandbox_with_it(stage: Stage) -> None:
    process = stage.start("-q", "-p", "b", "--isolate", "--", "python", "-c", SLEEPER)
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    process.kill()
    # The command would hold the pipe for longer.
    assert process.communicate(timeout=SECONDS)[0] == ""
    deadline = time.monotonic() + SECONDS
    while stage.left() and time.monotonic() < deadline:
        assert stage.run("--", "true").returncode == 0
    assert stage.left() == []


@needs_namespaces
@pytest.mark.skipif(not shutil.which("unshare"), reason="there is no unshare")
def test_where_the_kernel_refuses_it_is_said(stage: Stage, tmp_path: Path) -> None:
    """In a user namespace that may have no others, without bubblewrap."""
    for name in ("sh", "git", "touch", "unshare", "env", "uname"):
        (tmp_path / name).symlink_to(shutil.which(name) or name)
    environ = {**stage.environ, "PATH": str(tmp_path)}
    refusing = 'echo 0 > /proc/sys/user/max_user_namespaces && exec "$@"'
    inside = ["unshare", "-Ur", "sh", "-c", refusing, "sh", *PYPM, "sandbox", "-p", "b"]
    marker = stage.root / "ran"
    for wall in ("--isolate",):
        done = subprocess.run(
            [*inside, wall, "--", "touch", str(marker)],
            cwd=stage.root,
            env=environ,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 2, done.stderr
        assert f"error[cannot-isolate]: this machine cannot do {wall}: user namespaces: " in done.stderr
        assert not marker.exists()
    code = "import a; print(a.__file__); open('changed', 'w').close()"
    done = subprocess.run(
        [*inside, "--fs", "cow", "--keep-diff", "kept", "--", "python", "-c", code],
        cwd=stage.root, env=environ, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "warning[copied-view]: the view is a copy of the project: user namespaces: " in done.stderr
    assert "/work/view/packages/a/src/a/__init__.py" in done.stdout
    assert "packages/b/changed" in (stage.root / "kept").read_text()
    assert _status(stage) == ["?? kept"]
