"""What hooks may do to themselves, and that nobody else notices: the same for both ways to call them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from kit.builds import build_environment, this_interpreter
from pypm_env.build.environment import BuildEnvironment
from pypm_env.build.hooks import Answered, Ended, HookCall, NoHook, Outcome, Raised, Unavailable
from pypm_env.build.host import BuildHost, can_fork

pytestmark = [pytest.mark.slow, pytest.mark.skipif(os.name == "nt", reason="the hooks here use POSIX calls")]

BACKEND = """
import os, sys, time, signal, json
COUNT = 0
def get_requires_for_build_wheel(config_settings=None):
    global COUNT
    COUNT += 1
    s = config_settings or {}
    match s.get("do"):
        case "print": print("out " * 1000); print("err", file=sys.stderr); os.write(1, b"raw\\n")
        case "raise": raise ValueError("it is\\nwrong")
        case "exit": os._exit(3)
        case "sys-exit": sys.exit("bye")
        case "segfault": import ctypes; ctypes.string_at(0)
        case "hang": time.sleep(60)
        case "chdir": os.chdir("/"); os.environ["LEFT"] = "1"; sys.path.clear(); os.umask(0o777)
        case "close": os.closerange(0, 256); open('/dev/null'); open('/dev/null')
        case "kill-host" if not os.path.exists(s["file"]):
            open(s["file"], "w").close(); os.kill(os.getppid(), signal.SIGKILL); time.sleep(60)
        case "child":
            child = os.spawnlp(os.P_NOWAIT, "sleep", "sleep", "60")
            open(s["file"], "w").write(str(child)); time.sleep(60)
        case "stdin": return [repr(sys.stdin.read())]
        case "modules": return sorted(n for n in sys.modules if n.startswith(("late_", "json.tool")))
        case "late": import late_module
        case "atexit":
            import atexit; atexit.register(lambda: open(s["file"], "w").write("done"))
        case "object": return [object()]
        case "big": return ["x" * 1_000_000]
    return [os.getcwd(), str(COUNT), os.environ.get("LEFT", ""), oct(os.umask(0o22))]
"""


@pytest.fixture(params=["forked", "plain"])
def forking(request: pytest.FixtureRequest) -> bool:
    if request.param == "forked" and not can_fork():
        pytest.skip("no safe fork here")
    return bool(request.param == "forked")


@pytest.fixture
def environment(tmp_path: Path) -> BuildEnvironment:
    site = tmp_path / "tree" / "site"
    site.mkdir(parents=True)
    (site / "odd_backend.py").write_text(BACKEND)
    (site / "late_module.py").write_text("VALUE = 1\n")
    return BuildEnvironment(this_interpreter(), (site,), "odd")


@pytest.fixture
def host(tmp_path: Path, environment: BuildEnvironment, forking: bool) -> Iterator[BuildHost]:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    with BuildHost(environment, scratch, environ=os.environ, forking=forking) as host:
        yield host


def call(
    tmp_path: Path, timeout: float | None = 20, hook: str = "get_requires_for_build_wheel", **settings: str
) -> HookCall:
    project = tmp_path / "project"
    project.mkdir(exist_ok=True)
    number = len(list(tmp_path.glob("*.log")))
    log = tmp_path / f"{number}.log"
    log.touch()
    return HookCall(hook, project, "odd_backend", (), {"config_settings": settings or None}, log, timeout)


def call_of(backend: str, folder: Path, *path: str) -> HookCall:
    """A call in *folder* of another backend."""
    log = folder / "log"
    return HookCall("get_requires_for_build_wheel", folder, backend, path, {"config_settings": None}, log, 20)


def usual(tmp_path: Path) -> Outcome:
    return Answered([str((tmp_path / "project").resolve()), "1", "", "0o22"])


def test_each_hook_has_a_process_of_its_own(tmp_path: Path, host: BuildHost) -> None:
    old = os.umask(0o22)
    try:
        assert host.call(call(tmp_path)) == usual(tmp_path)
        assert isinstance(host.call(call(tmp_path, do="chdir")), Answered)
        assert host.call(call(tmp_path)) == usual(tmp_path)
    finally:
        os.umask(old)


def test_output_goes_to_the_log_alone(
    tmp_path: Path, host: BuildHost, capfd: pytest.CaptureFixture[str]
) -> None:
    made = call(tmp_path, do="print")
    assert isinstance(host.call(made), Answered)
    text = made.log.read_text()
    assert "out out" in text and "err\n" in text and "raw\n" in text
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("do", "expected"),
    [
        ("raise", Raised("ValueError: it is wrong")),
        ("exit", Ended("exited with status 3 and gave no answer")),
        ("segfault", Ended("killed by SIGSEGV")),
    ],
)
def test_hooks_that_fail_harm_no_other(
    tmp_path: Path, host: BuildHost, forking: bool, do: str, expected: Outcome
) -> None:
    made = call(tmp_path, do=do)
    outcome = host.call(made)
    if do == "raise":
        # A plain child shows its exception in the log only; its last line stands for it.
        assert isinstance(outcome, Raised)
        assert "Traceback" in made.log.read_text()
        assert outcome == expected or not forking
    else:
        assert outcome == expected
    assert host.fell_back == ""
    assert isinstance(host.call(call(tmp_path)), Answered)


def test_a_hook_may_close_every_file(tmp_path: Path, host: BuildHost) -> None:
    assert host.call(call(tmp_path, do="close")) == usual(tmp_path)


@pytest.mark.parametrize("do", ["sys-exit", "object"])
def test_no_answer_is_no_success(tmp_path: Path, host: BuildHost, do: str) -> None:
    assert isinstance(host.call(call(tmp_path, do=do)), (Raised, Ended))
    assert isinstance(host.call(call(tmp_path)), Answered)


def test_a_hook_that_hangs_is_ended_with_what_it_started(tmp_path: Path, host: BuildHost) -> None:
    file = tmp_path / "child"
    started = time.monotonic()
    outcome = host.call(call(tmp_path, timeout=1.0, do="child", file=str(file)))
    assert outcome == Ended("still running after 1 seconds, ended")
    assert time.monotonic() - started < 15
    assert ends(int(file.read_text()))
    assert isinstance(host.call(call(tmp_path)), Answered)


def ends(pid: int) -> bool:
    """Whether the process *pid* ends soon (a zombie nobody waits for has ended)."""
    for _ in range(100):
        try:
            os.kill(pid, 0)
            if Path(f"/proc/{pid}/stat").exists() and Path(f"/proc/{pid}/stat").read_text().split()[2] == "Z":
                return True
        except (ProcessLookupError, FileNotFoundError):
            return True
        time.sleep(0.05)
    return False


def test_nothing_to_read_from_stdin(tmp_path: Path, host: BuildHost) -> None:
    assert host.call(call(tmp_path, do="stdin")) == Answered(["''"])


def test_exit_handlers_run(tmp_path: Path, host: BuildHost) -> None:
    assert isinstance(host.call(call(tmp_path, do="atexit", file=str(tmp_path / "mark"))), Answered)
    assert (tmp_path / "mark").read_text() == "done"


def test_large_answers_and_many_calls_at_once(tmp_path: Path, host: BuildHost) -> None:
    outcomes: list[Outcome] = []
    calls = [call(tmp_path, do="big") for _ in range(6)]
    threads = [threading.Thread(target=lambda c=c: outcomes.append(host.call(c))) for c in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes == [Answered(["x" * 1_000_000])] * 6


def test_hooks_that_are_missing(tmp_path: Path, host: BuildHost) -> None:
    arguments = {"config_settings": None, "metadata_directory": str(tmp_path)}
    hook = "prepare_metadata_for_build_wheel"
    made = HookCall(hook, tmp_path, "odd_backend", (), arguments, tmp_path / "log", 20)
    assert host.call(made) == NoHook()


def test_a_backend_that_is_not_there(tmp_path: Path, host: BuildHost) -> None:
    made = call_of("nowhere.at_all", tmp_path)
    outcome = host.call(made)
    assert isinstance(outcome, Unavailable) and "nowhere" in outcome.message
    assert "ModuleNotFoundError" in made.log.read_text()


def test_backends_in_their_trees_do_not_meet(tmp_path: Path, host: BuildHost) -> None:
    answers = []
    for name in ("one", "two"):
        folder = tmp_path / name / "backend"
        folder.mkdir(parents=True)
        (folder / "own.py").write_text(
            f"def get_requires_for_build_wheel(settings=None): return [{name!r}]\n"
        )
        made = call_of("own", folder.parent, "backend")
        answers.append(host.call(made))
    assert answers == [Answered(["one"]), Answered(["two"])]


def test_backend_path_comes_before_the_environment(tmp_path: Path, host: BuildHost) -> None:
    folder = tmp_path / "own"
    folder.mkdir()
    (folder / "odd_backend.py").write_text(
        "def get_requires_for_build_wheel(settings=None): return ['own']\n"
    )
    made = call_of("odd_backend", tmp_path, "own")
    assert host.call(made) == Answered(["own"])
    assert host.call(call(tmp_path)) != Answered(["own"])


def test_after_its_end_a_host_answers_at_once(tmp_path: Path, host: BuildHost) -> None:
    hanging = call(tmp_path, timeout=60, do="hang")
    outcomes: list[Outcome] = []
    thread = threading.Thread(target=lambda: outcomes.append(host.call(hanging)))
    thread.start()
    time.sleep(0.5)
    host.close()
    thread.join(20)
    assert len(outcomes) == 1 and isinstance(outcomes[0], Ended)
    assert isinstance(host.call(call(tmp_path)), Ended)


@pytest.mark.skipif(not can_fork(), reason="no safe fork here")
class TestForked:
    @pytest.fixture
    def forking(self) -> bool:
        return True

    def test_what_the_first_child_imported_late_is_there_for_the_next(
        self, tmp_path: Path, host: BuildHost
    ) -> None:
        assert host.call(call(tmp_path, do="modules")) == Answered([])
        with BuildHost(host.environment, tmp_path / "scratch", environ=os.environ, forking=True) as fresh:
            fresh.call(call(tmp_path, do="late"))
            assert fresh.call(call(tmp_path, do="modules")) == Answered(["late_module"])

    def test_a_project_s_own_modules_stay_in_its_child(self, tmp_path: Path, host: BuildHost) -> None:
        project = tmp_path / "project"
        project.mkdir()
        (project / "late_own.py").write_text("")
        backend = host.environment.site_packages[0] / "loader_backend.py"
        backend.write_text(
            "import sys\n"
            "def get_requires_for_build_wheel(settings=None):\n"
            "    before = 'late_own' in sys.modules\n"
            "    sys.path.insert(0, '')\n    import late_own\n    return [before]\n"
        )
        made = call_of("loader_backend", project)
        assert [host.call(made), host.call(made)] == [Answered([False])] * 2

    def test_a_host_that_is_killed_is_replaced(self, tmp_path: Path, host: BuildHost) -> None:
        # The call is made again in a plain child, where the hook finds its mark.
        again = host.call(call(tmp_path, do="kill-host", file=str(tmp_path / "mark")))
        assert isinstance(again, Answered) and (tmp_path / "mark").exists()
        assert host.fell_back == "the host ended"
        assert isinstance(host.call(call(tmp_path)), Answered)

    def test_a_backend_with_threads_is_not_forked(self, tmp_path: Path, host: BuildHost) -> None:
        (host.environment.site_packages[0] / "threaded.py").write_text(
            "import threading, time\nthreading.Thread(target=time.sleep, args=(30,), daemon=True).start()\n"
            "def get_requires_for_build_wheel(settings=None): return [threading.active_count()]\n"
        )
        made = call_of("threaded", tmp_path)
        assert host.call(made) == Answered([2])
        assert "threads" in host.fell_back

    def test_a_backend_that_ends_its_importer(self, tmp_path: Path, host: BuildHost) -> None:
        (host.environment.site_packages[0] / "deadly.py").write_text("import os\nos._exit(7)\n")
        made = call_of("deadly", tmp_path)
        assert host.call(made) == Ended("exited with status 7 and gave no answer")
        assert isinstance(host.call(call(tmp_path)), Answered)


PARENT = """
import os, sys, json
from pathlib import Path
from pypm_env.build.environment import BuildEnvironment
from pypm_env.build.hooks import HookCall
from pypm_env.build.host import BuildHost
from pypm_env.build.scratch import scratch_folder
from pypm_env.interpreters import interpreter_from_text
site, text, temporary, file = sys.argv[1:]
with scratch_folder(Path(temporary)) as scratch:
    environment = BuildEnvironment(interpreter_from_text(text), (Path(site),), "odd")
    with BuildHost(environment, scratch, environ=os.environ) as host:
        settings = {"do": "child", "file": file}
        host.call(HookCall("get_requires_for_build_wheel", scratch, "odd_backend", (),
                           {"config_settings": settings}, scratch / "log", None))
"""


@pytest.mark.skipif(not can_fork(), reason="no safe fork here")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_when_pypm_is_ended_its_hosts_and_files_go(
    tmp_path: Path, environment: BuildEnvironment, number: signal.Signals
) -> None:
    temporary, file = tmp_path / "temporary", tmp_path / "child"
    temporary.mkdir()
    arguments = [
        str(environment.site_packages[0]),
        environment.interpreter.to_text(),
        str(temporary),
        str(file),
    ]
    path = os.pathsep.join(entry for entry in sys.path if entry)
    process = subprocess.Popen(
        [sys.executable, "-c", PARENT, *arguments], env={**os.environ, "PYTHONPATH": path}, cwd=tmp_path
    )
    try:
        for _ in range(400):
            if file.exists() and file.read_text():
                break
            time.sleep(0.05)
        assert list(temporary.iterdir())
        process.send_signal(number)
        process.wait(20)
    finally:
        process.kill()
    assert ends(int(file.read_text()))
    for _ in range(200):
        if not list(temporary.iterdir()):
            break
        time.sleep(0.05)
    assert list(temporary.iterdir()) == []


def test_the_build_s_process_environment(tmp_path: Path) -> None:
    site = tmp_path / "site"
    site.mkdir()
    (site / "teller.py").write_text(
        "import os, sys, subprocess, shutil\n"
        "def get_requires_for_build_wheel(settings=None):\n"
        "    code = 'import sys, teller; print(sys.prefix)'\n"
        "    sub = subprocess.check_output(['python', '-c', code], text=True)\n"
        "    return [sys.prefix, sub.strip(), shutil.which('python'), dict(os.environ), sys.path]\n"
    )
    environment = BuildEnvironment(this_interpreter(), (site,), "t")
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    environ = {
        **os.environ,
        "PYTHONPATH": "/nowhere",
        "PIP_INDEX_URL": "https://user:secret@example.test/",
        "PYPM_INDEX_X_PASSWORD": "secret",
        "VIRTUAL_ENV": "/nowhere",
        "CC": "mycc",
        "UV_TOKEN": "x",
    }
    with BuildHost(environment, scratch, environ=environ) as host:
        made = call_of("teller", tmp_path)
        outcome = host.call(made)
    assert isinstance(outcome, Answered), (outcome, made.log.read_text())
    prefix, sub, python, seen, path = outcome.value
    assert prefix == sub == str(scratch / Path(prefix).name)
    assert python.startswith(prefix)
    assert seen["CC"] == "mycc"
    assert not {"PYTHONPATH", "PIP_INDEX_URL", "PYPM_INDEX_X_PASSWORD", "VIRTUAL_ENV", "UV_TOKEN"} & set(seen)
    assert seen["TMPDIR"].startswith(str(scratch))
    here = [entry for entry in path if "site-packages" in entry]
    assert here == [str(Path(prefix) / environment.interpreter.layout.site_packages)]
    assert str(site) in path and "secret" not in json.dumps(outcome.value)


def test_backends_of_the_tests_run_in_their_environment(tmp_path: Path) -> None:
    environment = build_environment(tmp_path, "flit_core")
    (tmp_path / "scratch").mkdir()
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "a"\nversion = "1"\ndescription = "a"\n')
    (tmp_path / "a.py").write_text(textwrap.dedent('"""a"""\n'))
    with BuildHost(environment, tmp_path / "scratch", environ=os.environ) as host:
        made = call_of("flit_core.buildapi", tmp_path)
        assert host.call(made) == Answered([])
