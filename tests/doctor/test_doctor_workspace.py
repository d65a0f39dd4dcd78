"""Manifests, the lock, environments; and the doctor as a whole."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.clinic import Clinic
from kit.transcripts import Stage, environment, run
from kit.wheels import make_wheel
from pypm.ops.doctor import examine
from pypm.ops.doctor.checks import CHECKS
from pypm.ops.doctor.examine import MOST, DoctorOptions, DoctorReport, doctor
from pypm.ops.doctor.finding import Check, Finding, Said, issue, ok
from pypm.ops.doctor.patient import Once, Patient
from pypm.ops.world import World

BROKEN = "[project]\nname = 3\n"


def test_every_fault_of_a_manifest_is_an_issue(clinic: Clinic) -> None:
    clinic.file("pyproject.toml", BROKEN)
    found = clinic.look("manifests")
    assert [each.verdict for each in found] == ["issue", "issue"]
    assert found[1].message.startswith("pyproject.toml:2:")
    assert clinic.verdicts("lock") == ["unknown"]


def test_errors_of_the_workspace_are_told(clinic: Clinic) -> None:
    clinic.file("pypm-workspace.toml", '[workspace]\nmembers = ["a"]\n')
    found = clinic.one("manifests", "issue")
    assert "does not exist" in found.message and "exclude" in found.fix


def test_a_root_that_is_named_and_is_none(clinic: Clinic) -> None:
    clinic.environ["PYP_WORKSPACE_ROOT"] = str(clinic.home)
    assert "PYP_WORKSPACE_ROOT" in clinic.one("manifests", "issue").message


def test_warnings_are_notes(clinic: Clinic) -> None:
    clinic.project("\n[project.unknown-table]\n")
    assert clinic.verdicts("manifests") == ["note", "ok"]


def test_a_member_that_says_no_python(clinic: Clinic) -> None:
    clinic.project()
    assert clinic.verdicts("members") == ["ok"]
    clinic.file("pyproject.toml", '[project]\nname = "app"\nversion = "1"\n')
    assert "requires-python" in clinic.one("members", "note").fix


def test_a_lock_that_is_missing_counts_if_something_is_to_be_locked(clinic: Clinic) -> None:
    clinic.project()
    assert clinic.verdicts("lock") == ["note"]
    clinic.project(dependencies='["idna"]')
    assert clinic.one("lock", "issue").fix == "pypm lock"


def test_a_lock_that_only_a_backend_can_judge_is_unknown(clinic: Clinic) -> None:
    clinic.project('[build-system]\nrequires = ["setuptools"]\n', dynamic='["dependencies"]')
    clinic.file("pypm.lock", "format = 1\n")
    assert clinic.one("lock", "unknown").fix == "pypm lock --check"


def test_a_lock_that_does_not_read(clinic: Clinic) -> None:
    clinic.project()
    clinic.file("pypm.lock", "format = 99\n")
    assert clinic.verdicts("lock") == ["issue"]
    clinic.file("pypm.lock", "<<<<<<< ours\n=======\n>>>>>>> theirs\n")
    assert clinic.verdicts("lock") == ["issue"]


@pytest.fixture(scope="module")
def synced(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Stage, bytes, bytes]]:
    """A workspace with an environment; its lock and its site's state."""
    with Stage(tmp_path_factory.mktemp("synced")) as stage:
        folder = stage.server.folder
        assert folder is not None
        for version in ("3.6", "3.7"):
            make_wheel(folder, "idna", version)
        make_wheel(folder, "hook", "1.0", files={"hook.pth": "import os\n", "hook.py": ""})
        make_wheel(folder, "extra", "1.0")
        (stage.root / "pyproject.toml").write_text(
            '[project]\nname = "app"\nversion = "1.0"\nrequires-python = ">=3.11"\n'
            'dependencies = ["idna<3.7", "hook"]\n[dependency-groups]\ndev = ["extra"]\n'
        )
        done = run(["pypm", "sync"], stage.root, stage.environ)
        assert done.returncode == 0, done.stdout
        yield stage, (stage.root / "pypm.lock").read_bytes(), (stage.root / "pyproject.toml").read_bytes()


@pytest.fixture
def stage(synced: tuple[Stage, bytes, bytes]) -> Iterator[Stage]:
    made, lock, manifest = synced
    yield made
    (made.root / "pypm.lock").write_bytes(lock)
    (made.root / "pyproject.toml").write_bytes(manifest)
    done = run(["pypm", "sync"], made.root, made.environ)
    assert done.returncode == 0, done.stdout


def seen(stage: Stage, name: str) -> list[Finding]:
    options = DoctorOptions(only=(name,))
    return list(doctor(World(stage.root, stage.environ), options).findings)


def relock(stage: Stage, old: str, new: str) -> None:
    manifest = stage.root / "pyproject.toml"
    manifest.write_text(manifest.read_text().replace(old, new))
    done = run(["pypm", "lock"], stage.root, stage.environ)
    assert done.returncode == 0, done.stdout


@pytest.mark.slow
def test_an_environment_that_holds_what_is_locked(stage: Stage) -> None:
    assert [each.verdict for each in seen(stage, "environments")] == ["ok"]
    assert [each.verdict for each in seen(stage, "lock")] == ["ok"]
    assert [each.verdict for each in seen(stage, "leaks")] == ["ok"]


@pytest.mark.slow
def test_an_environment_that_is_behind_the_lock(stage: Stage) -> None:
    relock(stage, "idna<3.7", "idna>=3.7")
    (found,) = seen(stage, "environments")
    assert found.verdict == "issue" and "idna 3.6 for 3.7" in found.message and found.fix == "pypm sync"


@pytest.mark.slow
def test_a_manifest_that_is_ahead_of_the_lock(stage: Stage) -> None:
    manifest = stage.root / "pyproject.toml"
    manifest.write_text(manifest.read_text().replace("idna<3.7", "idna>=3.7"))
    (found,) = seen(stage, "lock")
    assert found.verdict == "issue" and "idna" in found.message


@pytest.mark.slow
def test_a_package_that_is_missing_or_too_much(stage: Stage) -> None:
    relock(stage, '"hook"', '"hook", "extra"')
    done = run(["pypm", "sync", "--no-default-groups"], stage.root, stage.environ)
    assert done.returncode == 0, done.stdout
    assert [each.verdict for each in seen(stage, "environments")] == ["ok"]
    relock(stage, '"hook", "extra"', '"hook"')
    site = next((stage.root / ".venv" / "lib").glob("*/site-packages"))
    (site / "stranger-1.0.dist-info").mkdir()
    found = seen(stage, "environments")
    assert [each.verdict for each in found] == ["ok", "note"] and "stranger" in found[1].message
    (site / "stranger-1.0.dist-info").rmdir()


@pytest.mark.slow
def test_an_environment_without_the_default_groups(stage: Stage) -> None:
    done = run(["pypm", "sync", "--no-default-groups"], stage.root, stage.environ)
    assert done.returncode == 0, done.stdout
    (found,) = seen(stage, "environments")
    assert found.verdict == "note" and "extra" in found.message


@pytest.mark.slow
def test_startup_files(stage: Stage) -> None:
    site = next((stage.root / ".venv" / "lib").glob("*/site-packages"))
    (found,) = seen(stage, "startup-files")
    assert found.verdict == "note" and "hook.pth" in found.message
    (site / "evil.pth").write_text("import os; os.environ\n")
    (site / "path.pth").write_text("# a comment\n/nowhere/at/all\n")
    issues = [each for each in seen(stage, "startup-files") if each.verdict == "issue"]
    assert ["evil.pth" in issues[0].message, "/nowhere/at/all" in issues[1].message] == [True, True]
    (site / "evil.pth").unlink()
    (site / "path.pth").unlink()


@pytest.mark.slow
def test_an_environment_that_leaks(stage: Stage) -> None:
    config = stage.root / ".venv" / "pyvenv.cfg"
    before = config.read_text()
    config.write_text(before.replace("packages = false", "packages = true"))
    assert [each.verdict for each in seen(stage, "leaks")] == ["issue"]
    config.write_text(before)


@pytest.mark.slow
def test_an_environment_whose_interpreter_is_gone(stage: Stage) -> None:
    for link in (stage.root / ".venv" / "bin").glob("python*"):
        link.unlink()
    (found,) = seen(stage, "environments")
    assert found.verdict == "issue" and "interpreter is gone" in found.message


@pytest.mark.slow
def test_an_environment_that_a_killed_run_left(stage: Stage) -> None:
    (stage.root / ".venv" / "pypm-journal").write_text("idna-3.6.dist-info")
    (found,) = seen(stage, "environments")
    assert found.verdict == "issue" and "half-way" in found.message


def test_an_environment_of_another_tool(clinic: Clinic) -> None:
    clinic.project()
    assert clinic.one("environments", "note").fix == "pypm sync"
    clinic.file(".venv/pyvenv.cfg", "home = /usr/bin\n")
    assert clinic.one("environments", "issue").fix == "pypm sync --force"
    (clinic.root / ".venv" / "pyvenv.cfg").unlink()
    clinic.file(".venv/notes.txt", "mine\n")
    assert "in the way" in clinic.one("environments", "issue").message


# -- the doctor as a whole ---------------------------------------------------------------------------


def check(name: str, *said: Said) -> Check:
    return Check(name, "made up", "about", lambda patient: said)


def test_the_names_of_checks_are_plain_and_differ() -> None:
    names = [each.name for each in CHECKS]
    assert len(set(names)) == len(names) > 40
    assert all(name == name.lower() and name.replace("-", "").isalpha() for name in names)
    groups = [each.group for each in CHECKS]
    assert groups == sorted(groups, key=groups.index), "those of a group stand together"


def test_a_check_that_fails_is_told_and_takes_nothing_with_it(clinic: Clinic) -> None:
    def fall(patient: Patient) -> Iterator[Said]:
        yield ok("so far")
        raise ZeroDivisionError("https://me:hunter2@a.example.test/\nand more")

    checks = [Check("falls", "g", "a", fall), check("stands", ok("fine"))]
    found = examine.examine(clinic.patient(), checks, 10)
    assert [(each.name, each.verdict) for each in found] == [
        ("falls", "ok"),
        ("falls", "unknown"),
        ("stands", "ok"),
    ]
    assert found[1].message == "could not check: ZeroDivisionError: https://****@a.example.test/ and more"


def test_a_check_that_does_not_come_back_is_left_behind(clinic: Clinic) -> None:
    forever = threading.Event()

    def hang(patient: Patient) -> Iterator[Said]:
        forever.wait(60)
        yield ok("at last")

    found = examine.examine(clinic.patient(), [Check("hangs", "g", "a", hang), check("b", ok("fine"))], 0.3)
    forever.set()
    assert [(each.name, each.verdict) for each in found] == [("hangs", "unknown"), ("b", "ok")]


def test_secrets_in_addresses_are_blotted_out(clinic: Clinic) -> None:
    told = check(
        "a",
        issue(
            "see https://me:hunter2@a.example.test/?token=hunter3", "open https://x:hunter4@b.example.test"
        ),
    )
    assert "hunter" not in str(examine.look(told, clinic.patient()))


def test_the_exit_code_is_the_number_of_issues_as_far_as_it_goes() -> None:
    def report(issues: int) -> DoctorReport:
        notes = (Finding("b", "note", "x"), Finding("c", "unknown", "x"), Finding("d", "ok", "x"))
        return DoctorReport((*(Finding("a", "issue", "x", "y"),) * issues, *notes), ())

    assert [report(n).exit for n in (0, 1, 7, 125, 126, 1000)] == [0, 1, 7, 125, 125, MOST]


@given(st.lists(st.sampled_from(["ok", "note", "issue", "unknown"]), max_size=8))
def test_findings_come_in_the_order_of_the_list(verdicts: list[str]) -> None:
    checks = [check(f"c{number}", Said(verdict, "m", "f")) for number, verdict in enumerate(verdicts)]  # type: ignore[arg-type]
    patient = Patient.__new__(Patient)
    found = examine.examine(patient, checks, 10)
    assert [(each.name, each.verdict) for each in found] == [(f"c{n}", v) for n, v in enumerate(verdicts)]


def test_once_asks_once_whichever_threads_ask() -> None:
    asked = []
    begin = threading.Barrier(8)
    once: Once[int] = Once(lambda: asked.append(1) or 7)  # type: ignore[func-returns-value]
    answers = []

    def ask() -> None:
        begin.wait(10)
        answers.append(once())

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (asked, answers) == ([1], [7] * 8)


def test_once_remembers_an_error() -> None:
    asked = []

    def fail() -> int:
        asked.append(1)
        raise LookupError("no")

    once: Once[int] = Once(fail)
    for _ in range(2):
        with pytest.raises(LookupError):
            once()
    assert asked == [1]


@pytest.mark.slow
@pytest.mark.parametrize("place", ["empty", "project", "broken"])
def test_nothing_is_written(clinic: Clinic, place: str) -> None:
    if place != "empty":
        clinic.file(
            "pyproject.toml", BROKEN if place == "broken" else '[project]\nname = "a"\nversion = "1"\n'
        )
    before = _snapshot(clinic)
    done = run(["pypm", "doctor", "--json"], clinic.root, clinic.environ)
    assert json.loads(done.stdout.splitlines()[-1])["issues"] == done.returncode
    assert _snapshot(clinic) == before


def _snapshot(clinic: Clinic) -> dict[str, tuple[int, bytes]]:
    found = {}
    for folder in (clinic.home, clinic.root):
        for path in (folder, *folder.rglob("*")):
            content = path.read_bytes() if path.is_file() else b""
            # What files the store can link is tried in the store, and leaves the time of its folder behind.
            is_store = path.name in ("v1", "cache")
            found[str(path)] = (0 if is_store else path.lstat().st_mtime_ns, content)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("variable", ["PYTHONPATH", "PYTHONHOME"])
def test_variables_that_break_python_do_not_break_the_doctor(tmp_path: Path, variable: str) -> None:
    environ = environment(tmp_path)
    hostile = tmp_path / "hostile"
    hostile.mkdir()
    for module in ("json", "queue", "ssl", "typing"):
        (hostile / f"{module}.py").write_text("raise SystemExit('hostile')\n")
    environ[variable] = str(hostile) if variable == "PYTHONPATH" else sys.base_prefix
    command = [
        sys.executable,
        "-c",
        "import sys; sys.argv = ['pypm', *sys.argv[1:]]\nfrom pypm._entry import program\nprogram()",
    ]
    done = subprocess.run(
        [*command, "doctor", "--only", "variables"], cwd=tmp_path, env=environ, capture_output=True, text=True
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert f"issue    variables  {variable} is set" in done.stdout
