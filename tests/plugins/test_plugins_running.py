"""Plugins that are run: good ones, and bad ones that take nothing down."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from plugins.conftest import User

from kit.plugins import ECHO, MAIN, exits
from kit.transcripts import BASE_PYTHON, pypm

pytestmark = pytest.mark.slow

linux_only = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Linux' way")

WAITS = f"""
#include <stdio.h>
#include <unistd.h>
{MAIN} {{
  puts("here");
  fflush(stdout);
  for (;;) {{}}
}}
"""
HANDLES = f"""
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
static void on(int number) {{ exit(40 + number); }}
{MAIN} {{
  signal(SIGINT, on);
  signal(SIGTERM, on);
  puts("here");
  fflush(stdout);
  for (;;) pause();
}}
"""


@pytest.fixture(params=[True, False], ids=["fork", "interpreter"])
def forks(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        [b""],
        [
            b"",
            b"a b",
            "ä €".encode(),
            b"\xff\xfe",
            b"--help",
            b"--",
            b"-x",
            b"--frozen",
            b"new\nline",
            b"'\"$`",
        ],
        [str(n).encode() * 20 for n in range(600)],
    ],
    ids=["none", "empty", "odd", "many"],
)
def test_arguments_arrive_byte_for_byte(user: User, forks: bool, arguments: list[bytes]) -> None:
    user.has("echo", ECHO)
    for command in (["plugin", "run", "echo"], ["echo"], ["--frozen", "-q", "echo"]):
        done = user.run(*command, *arguments, forks=forks, check=True)
        assert done.stdout == b"".join(each + b"\0" for each in [b"echo", *arguments])


@pytest.mark.parametrize("code", [0, 1, 7, 126, 127, 128, 255])
def test_the_exit_code_is_the_plugins_own(user: User, code: int) -> None:
    user.has("code", exits(code))
    done = user.run("code")
    assert (done.returncode, done.stdout, done.stderr) == (code, b"", b"")


def test_what_a_program_may_do_at_its_end_is_done(user: User, forks: bool) -> None:
    user.has(
        "end",
        f"""
        #include <stdio.h>
        #include <stdlib.h>
        static void last(void) {{ puts("last"); }}
        {MAIN} {{ atexit(last); printf("first "); return 3; }}
        """,
    )
    done = user.run("end", forks=forks)
    assert (done.returncode, done.stdout) == (3, b"first last\n")


@pytest.mark.parametrize(
    ("body", "code", "said"),
    [
        ("volatile int *p = 0; return *p;", 128 + signal.SIGSEGV, b"ended by SIGSEGV"),
        ("abort();", 128 + signal.SIGABRT, b"ended by SIGABRT"),
        ("exit(7);", 7, b""),
        ("_exit(8);", 8, b""),
        ("kill(getpid(), SIGKILL); return 0;", 137, b"ended by SIGKILL"),
        ("kill(getpid(), SIGTERM); for (;;) pause();", 143, b"ended by SIGTERM"),
        ("kill(getppid(), SIGUSR1); return 5;", 5, b""),
    ],
    ids=["segfault", "abort", "exit", "_exit", "kill", "term", "at the parent"],
)
def test_a_plugin_that_ends_badly_takes_nothing_down(
    user: User, forks: bool, body: str, code: int, said: bytes
) -> None:
    if not forks and "getppid" in body:
        pytest.skip("there it reaches the interpreter that waits, and is handed back")
    head = "#include <signal.h>\n#include <stdlib.h>\n#include <unistd.h>\n"
    user.has("bad", f"{head}{MAIN} {{ {body} }}")
    done = user.run("bad", forks=forks)
    assert done.returncode == code
    assert said in done.stderr and (said or done.stderr == b"") and b"Traceback" not in done.stderr


def test_threads_that_are_left_running_end_with_it(user: User, forks: bool) -> None:
    user.has(
        "threads",
        f"""
        #include <pthread.h>
        #include <stdio.h>
        #include <unistd.h>
        static void *turn(void *given) {{ for (;;) {{}} return given; }}
        static void *wait(void *given) {{ for (;;) pause(); return given; }}
        {MAIN} {{
          pthread_t one, two;
          pthread_create(&one, 0, turn, 0);
          pthread_create(&two, 0, wait, 0);
          puts("done");
          return 4;
        }}
        """,
        "-pthread",
    )
    done = user.run("threads", forks=forks)
    assert (done.returncode, done.stdout) == (4, b"done\n")


def test_a_crash_while_it_is_loaded(user: User) -> None:
    user.has("early", f"__attribute__((constructor)) static void f(void) {{ __builtin_trap(); }}\n{exits(0)}")
    done = user.run("early")
    assert done.returncode in (128 + signal.SIGILL, 128 + signal.SIGTRAP) and b"plugin-ended" in done.stderr


def test_what_it_needs_and_what_is_not_there(user: User, forks: bool) -> None:
    user.has("needy", f"extern int nowhere(void);\n{MAIN} {{ return nowhere(); }}")
    done = user.run("needy", forks=forks)
    assert done.returncode == 126
    assert b"error[plugin-unloadable]" in done.stderr and b"nowhere" in done.stderr


@pytest.mark.parametrize(
    ("source", "code"),
    [
        ("int pypm_plugin_abi(void) { return 2; }", "plugin-abi"),
        ("int pypm_plugin_abi(void) { return 0; }", "plugin-abi"),
        ("int pypm_plugin_init(const void *host) { return 5; }", "plugin-init"),
    ],
)
def test_a_plugin_that_this_pypm_is_not_enough_for(user: User, source: str, code: str) -> None:
    user.has("new", f"{source}\n{exits(0)}")
    user.refused("new", code=code, exit=126)


def test_stdin_and_the_current_folder_are_its_own(user: User, forks: bool) -> None:
    user.has(
        "reads",
        f"""
        #include <stdio.h>
        #include <unistd.h>
        {MAIN} {{
          char place[4096];
          int c;
          puts(getcwd(place, sizeof place));
          while ((c = getchar()) != EOF) putchar(c);
          return 0;
        }}
        """,
    )
    folder = user.folder / "somewhere"
    folder.mkdir()
    content = bytes(range(256)) * 300
    done = user.run("reads", input=content, cwd=folder, forks=forks, check=True)
    assert done.stdout == os.fsencode(os.path.realpath(folder)) + b"\n" + content


def test_what_it_is_told_in_its_environment(user: User, forks: bool) -> None:
    user.has(
        "environ",
        f"""
        #include <stdio.h>
        #include <stdlib.h>
        {MAIN} {{
          for (int i = 1; i < argc; i++) puts(getenv(argv[i]) ? getenv(argv[i]) : "-");
          return 0;
        }}
        """,
    )
    folder = user.folder / "ws" / "deep"
    folder.mkdir(parents=True)
    (user.folder / "ws" / "pypm-workspace.toml").write_text("[workspace]\n", encoding="utf-8")
    user.environ["MINE"] = "kept"
    names = ("PYPM_WORKSPACE_ROOT", "PYPM_HOST_PYTHON", "MINE", "PYPM_PYTHON")
    done = user.run("environ", *names, cwd=folder, forks=forks, check=True)
    root = os.path.realpath(user.folder / "ws")
    assert done.stdout.decode().splitlines() == [root, sys.executable, "kept", BASE_PYTHON]
    outside = user.run("environ", "PYPM_WORKSPACE_ROOT", forks=forks, check=True)
    assert outside.stdout == b"-\n"


def started(user: User, name: str, *, forks: bool = True, **more: object) -> subprocess.Popen[bytes]:
    """pypm as it runs the plugin *name*, which has said that it is there."""
    from plugins.conftest import _IN_INTERPRETER

    command = pypm() if forks else [sys.executable, "-c", _IN_INTERPRETER]
    process: subprocess.Popen[bytes] = subprocess.Popen(  # type: ignore[call-overload]
        [*command, name],
        env=user.environ,
        cwd=user.folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        **more,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"here\n"
    return process


def ended(process: subprocess.Popen[bytes]) -> tuple[int, bytes]:
    _, said = process.communicate(timeout=60)
    return process.returncode, said


def children(pid: int) -> list[int]:
    """Processes that are of the family of *pid*, dead ones left out."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[1]) == pid and fields[0] != "Z":
                found.append(int(entry.name))
    return found


@pytest.mark.parametrize("to_all", [True, False], ids=["group", "pypm alone"])
def test_an_endless_plugin_ends_by_an_interrupt(user: User, to_all: bool) -> None:
    user.has("loop", WAITS)
    process = started(user, "loop", start_new_session=True)
    if to_all:
        os.killpg(process.pid, signal.SIGINT)
    else:
        process.send_signal(signal.SIGINT)
    assert ended(process) == (130, b"")


def test_an_endless_plugin_in_an_interpreter_ends_with_its_group(user: User) -> None:
    user.has("loop", WAITS)
    process = started(user, "loop", forks=False, start_new_session=True)
    os.killpg(process.pid, signal.SIGINT)
    assert ended(process) == (130, b"")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1])
def test_a_signal_that_is_sent_to_pypm_reaches_the_plugin(
    user: User, forks: bool, number: signal.Signals
) -> None:
    user.has("loop", WAITS)
    process = started(user, "loop", forks=forks)
    process.send_signal(number)
    code, said = ended(process)
    assert code == 128 + number and f"ended by {number.name}".encode() in said


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_plugin_that_handles_a_signal_decides_what_it_means(user: User, number: signal.Signals) -> None:
    user.has("handles", HANDLES)
    process = started(user, "handles")
    process.send_signal(number)
    assert ended(process) == (40 + number, b"")


@linux_only
def test_when_pypm_is_killed_the_plugin_does_not_stay(user: User) -> None:
    user.has("loop", WAITS)
    process = started(user, "loop")
    (child,) = children(process.pid)
    process.kill()
    process.wait()
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and Path(f"/proc/{child}").exists():
        if (Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split() or ["Z"])[0] == "Z":
            break
        time.sleep(0.02)
    else:
        assert not Path(f"/proc/{child}").exists()


def test_what_was_ignored_stays_ignored(user: User) -> None:
    """As `nohup`, and shells for what runs in the background, have it."""
    user.has(
        "handles",
        HANDLES.replace("signal(SIGINT, on);", 'if (signal(SIGINT, on) == SIG_IGN) puts("ignored");'),
    )
    process = subprocess.Popen(
        ["/bin/sh", "-c", 'trap "" INT; exec "$@"', "sh", *pypm(), "handles"],
        env=user.environ, cwd=user.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == b"ignored\n"
    process.terminate()
    process.communicate(timeout=60)


def in_terminal(user: User, *arguments: str, keys: bytes, until: bytes) -> tuple[int, bytes]:
    """pypm with a terminal of its own; *keys* are pressed when *until* has been shown."""
    pid, terminal = pty.fork()
    if pid == 0:
        try:
            os.chdir(user.folder)
            command = pypm(*arguments)
            os.execve(command[0], command, user.environ)
        finally:
            os._exit(99)
    shown = b""
    pressed = False
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if not select.select([terminal], [], [], 0.5)[0]:
            continue
        try:
            got = os.read(terminal, 4096)
        except OSError:
            break
        if not got:
            break
        shown += got
        if until in shown and not pressed:
            pressed = True
            os.write(terminal, keys)
    _, status = os.waitpid(pid, 0)
    os.close(terminal)
    return os.waitstatus_to_exitcode(status), shown


def test_control_c_in_a_terminal_ends_an_endless_plugin(user: User) -> None:
    user.has("loop", WAITS)
    code, shown = in_terminal(user, "loop", keys=b"\x03", until=b"here")
    assert code == 130 and b"error" not in shown


def test_control_c_reaches_a_plugin_once(user: User) -> None:
    user.has(
        "counts",
        f"""
        #include <signal.h>
        #include <stdio.h>
        #include <unistd.h>
        static volatile sig_atomic_t times;
        static void on(int number) {{ times += number == SIGINT; }}
        {MAIN} {{
          signal(SIGINT, on);
          puts("here");
          fflush(stdout);
          while (!times) usleep(1000);
          for (int i = 0; i < 200; i++) usleep(1000);
          return 50 + times;
        }}
        """,
    )
    code, _ = in_terminal(user, "counts", keys=b"\x03", until=b"here")
    assert code == 51


def test_the_terminal_is_the_plugins(user: User) -> None:
    user.has(
        "asks",
        f"""
        #include <stdio.h>
        #include <unistd.h>
        {MAIN} {{
          char line[100];
          printf("tty %d%d%d\\nname? ", isatty(0), isatty(1), isatty(2));
          fflush(stdout);
          if (!fgets(line, sizeof line, stdin)) return 9;
          printf("\\033[31m%s\\033[0m", line);
          return tcgetpgrp(0) == getpgrp() ? 0 : 8;
        }}
        """,
    )
    code, shown = in_terminal(user, "asks", keys=b"Ada\n", until=b"name?")
    assert code == 0 and b"tty 111" in shown and b"\x1b[31mAda" in shown
