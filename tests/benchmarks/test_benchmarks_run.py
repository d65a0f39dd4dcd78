"""The table and its verdicts, from the first state to the last line, small commands in the tools' place."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from benchmarks import run, starting, tools
from benchmarks.cases import CASES, NO_BAR, Bar, Bench, Case
from benchmarks.index import LocalIndex
from benchmarks.measure import Contender, Result, RunFailed, Sample, Stopwatch
from benchmarks.starting import SOURCE
from benchmarks.tools import NoTool, Toolbox, environment
from benchmarks.workspaces import WEB_PROJECT, Monorepo
from kit.plugins import COMPILER, compile_library

ROOT = Path(run.__file__).parents[1]


def case(bar: Bar, build: Callable[[Bench], Sequence[Contender]] = lambda bench: []) -> Case:
    return Case("work", "some work", build, bar)


def results(ours: float, theirs: float, memory: int = 1) -> dict[str, Result]:
    return {"pypm": Result([Sample(ours, ours, memory)]), "uv": Result([Sample(theirs, theirs, 1)])}


@pytest.mark.parametrize(
    ("bar", "ours", "met"),
    [
        (Bar(0.8), 0.8, True),
        (Bar(0.8), 0.9, False),
        (NO_BAR, 9.0, None),
        (Bar(1.2, "python -c pass"), 1.0, None),
    ],
)
def test_a_bar_is_a_ratio_of_wall_times(bar: Bar, ours: float, met: bool | None) -> None:
    assert run.is_met(case(bar), results(ours, 1.0)) is met


def test_a_bar_of_memory_is_a_peak() -> None:
    assert run.is_met(case(Bar(megabytes=500)), results(1, 1, 499_000_000)) is True
    assert run.is_met(case(Bar(megabytes=500)), results(1, 1, 501_000_000)) is False


def test_a_bar_of_cpu_time_is_a_ratio_of_it() -> None:
    assert run.is_met(case(Bar(cpu=8, against="uv")), results(9, 1)) is False
    assert run.is_met(case(Bar(cpu=8, against="uv")), results(8, 1)) is True
    assert run.is_met(case(Bar(cpu=8, against="nobody")), results(8, 1)) is None


@pytest.mark.parametrize(("wall", "size", "met"), [(0.4, 104, True), (0.6, 90, False), (0.4, 106, False)])
def test_a_bar_of_a_size_is_held_with_the_one_of_time(wall: float, size: int, met: bool) -> None:
    ran = {"pypm": Result([Sample(wall, 1, 1, size=size)]), "pex": Result([Sample(1.0, 1, 1, size=100)])}
    bundle = case(Bar(0.5, "pex", larger=1.05))
    assert run.is_met(bundle, ran) is met
    versions = dict.fromkeys(tools.TOOLS, "1")
    machine = {"system": "S", "cores": 2, "load": "0.1", "python": "3", "processor": "p"}
    head, first, *_, last = list(run.lines([(bundle, ran)], versions, machine, 30))[:5]
    assert "pex 1" in head and "poetry" not in head
    assert f"{wall:.2f}x" in first and "<= 0.5x pex, size <= 1.05x" in first
    assert last.split()[0] == "size" and f"{size / 100:.2f}x" in last


def test_nothing_is_met_by_what_failed() -> None:
    failed = {"pypm": Result(failure="boom"), "uv": Result([Sample(1, 1, 1)])}
    assert run.is_met(case(Bar(1.0)), failed) is None and run.is_met(case(Bar(megabytes=1)), failed) is None


def test_the_table_shows_medians_ratios_bars_and_failures() -> None:
    rows = {**results(0.5, 1.0, 12_000_000), "pip": Result(failure="no luck")}
    machine = {"system": "S", "cores": 2, "load": "0.1", "python": "3", "processor": "p"}
    versions = {"pypm": "0.1", "uv": "0.2", "pip": "1", "poetry": "2"}
    text = list(run.lines([(case(Bar(0.8)), rows)], versions, machine, 30))
    wall = text[1].split()
    assert (
        wall[:2] == ["work", "wall"]
        and wall[2:6] == ["500", "ms", "1.00", "s"]
        and wall[6:8] == ["failed", "-"]
    )
    assert "0.50x" in wall and text[1].endswith("<= 0.8x uv  met")
    assert "12 MB" in text[3] and "0.8x" not in text[3]
    assert any("no luck" in line for line in text)
    slower = list(run.lines([(case(Bar(0.8)), results(2.0, 1.0))], versions, machine, 30))
    assert slower[1].endswith("MISSED")


def test_cases_have_names_of_their_own_and_the_bars_of_the_issues() -> None:
    bars = {each.name: str(each.bar) for each in CASES}
    assert len(bars) == len(CASES)
    assert bars["noop-100"] == "<= 0.8x uv" and bars["noop-1000"] == "<= 0.5x uv"
    assert bars["first-sync-100"] == "<= 0.2x uv" and bars["first-sync-1000"] == "<= 0.1x uv"
    assert bars["lock-noop-1000"] == bars["lock-check-1000"] == "<= 0.7x uv"
    assert bars["farm-one"] == "<= 0.2x uv"
    assert (bars["each-20"], bars["each-20-noop"]) == ("<= 0.3x uv, size <= 1x", "<= 0.1x uv")
    assert (bars["unpack"], bars["unpack-zlib"]) == ("<= 0.6x uv", "<= 0.9x uv")
    assert bars["plugin"] == "<= 1.3x python -ISc pass"
    assert bars["bundle"] == "<= 0.5x pex, size <= 1.05x"
    assert bars["memory-1000"] == "<= 300 MB" and bars["first-import"] == "<= 0.5x uv"
    assert bars["lock-warm-web"] == bars["lock-warm-airflow"] == "<= 1.3x uv"
    assert bars["lock-growth"] == "CPU <= 8x a tenth of it"


def test_no_setting_of_the_machine_reaches_a_tool(tmp_path: Path) -> None:
    toolbox = Toolbox(Path(sys.executable), {}, Path(sys.executable))
    machine = {
        "PATH": "/p",
        "PYTHONDONTWRITEBYTECODE": "1",
        "UV_OFFLINE": "1",
        "PIP_INDEX_URL": "x",
        "VIRTUAL_ENV": "v",
        "PYPM_OFFLINE": "1",
        "POETRY_X": "1",
    }
    for tool in tools.TOOLS:
        env = environment(
            tool,
            toolbox,
            home=tmp_path,
            cache=tmp_path / "c",
            index_url="http://127.0.0.1:1/simple/",
            machine=machine,
        )
        assert env["PATH"] == "/p" and env["HOME"] == str(tmp_path)
        assert not {"PYTHONDONTWRITEBYTECODE", "UV_OFFLINE", "VIRTUAL_ENV", "PYPM_OFFLINE", "POETRY_X"} & set(
            env
        )
        assert env.get("PIP_INDEX_URL") in (None, "http://127.0.0.1:1/simple/")
        caches = sum(value == str(tmp_path / "c") for value in env.values())
        assert caches == (tool != "venv-pack"), "one cache folder, its own; venv-pack has none"


def test_commands_of_the_tools() -> None:
    toolbox = Toolbox(Path("py"), {tool: (tool,) for tool in tools.TOOLS}, Path("py"))
    assert tools.sync("pypm", toolbox, Monorepo(3)) == [("pypm", "sync")]
    assert tools.sync("uv", toolbox, Monorepo(3)) == [("uv", "sync", "--all-packages")]
    assert tools.sync("uv", toolbox, WEB_PROJECT) == [("uv", "sync")]
    assert tools.sync_each("pypm", toolbox, ["a", "b"]) == [("pypm", "sync", "--each")]
    assert tools.sync_each("uv", toolbox, ["a", "b"]) == [
        ("uv", "sync", "--frozen", "--package", name) for name in ("a", "b")
    ]
    made, filled = tools.sync("pip", toolbox, WEB_PROJECT)
    assert made[:3] == ("py", "-m", "venv") and "--no-compile" in filled and "--require-hashes" in filled
    assert "--no-compile" not in tools.sync("pip", toolbox, WEB_PROJECT, compile_bytecode=True)[1]


@pytest.mark.skipif(os.name == "nt", reason="first lines of scripts")
@pytest.mark.parametrize(
    "head", ["#!{python}", "#!{python} -IS", "#!/bin/sh\n''':'\nexec '{python}' -IS \"$0\" \"$@\"\n'''"]
)
def test_the_interpreter_of_pypm_is_the_one_its_script_names(head: str, tmp_path: Path) -> None:
    script = tmp_path / "pypm"
    script.write_text(
        head.format(python="/opt/tool env/bin/python3" if "sh" in head else "/opt/env/bin/python3.12")
        + "\nimport sys\n"
    )
    found = tools.find(script, tmp_path, ()).pypm_python
    assert str(found) in ("/opt/tool env/bin/python3", "/opt/env/bin/python3.12") and (
        "tool" in str(found)
    ) == ("sh" in head)


def test_without_pypm_it_says_what_to_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(NoTool, match=r"tools/bootstrap\.py"):
        tools.find(tmp_path / "pypm", tmp_path, ())
    assert run.main(["--pypm", str(tmp_path / "pypm"), "--work", str(tmp_path), "--peers", ""]) == 2
    assert "bootstrap" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="a script of this form")
def test_a_whole_run_by_a_bare_interpreter_leaves_a_table_and_no_session(tmp_path: Path) -> None:
    script = tmp_path / "pypm"
    script.write_text(f"#!{tools.own_python()}\nprint('pypm 0.1.0')\n")
    script.chmod(0o755)
    argv = [
        sys.executable,
        "-E",
        str(ROOT / "benchmarks" / "run.py"),
        "--pypm",
        str(script),
        "--work",
        str(tmp_path / "work"),
    ]
    argv += ["--peers", "", "--case", "version", "--runs", "2", "--json", str(tmp_path / "out.json")]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=120)
    assert done.stdout.splitlines()[1].startswith("version  wall"), done.stderr
    assert "python -c pass" in done.stdout and "2 interleaved rounds" in done.stdout
    data = json.loads((tmp_path / "out.json").read_text())["cases"]["version"]
    assert len(data["results"]["pypm"]["samples"]) == 2 and data["bar"]["times"] == 1.2
    assert done.returncode == (0 if data["met"] else 1)
    assert not list((tmp_path / "work").glob("session-*"))


def test_a_state_that_cannot_be_made_fails_its_case_only(tmp_path: Path) -> None:
    def build(bench: Bench) -> Sequence[Contender]:
        raise RunFailed("no lock")

    with Stopwatch(tmp_path) as stopwatch:
        bench = Bench(Toolbox(Path(), {}, Path()), LocalIndex(tmp_path), stopwatch, tmp_path, ())
        assert run.measured(bench, case(NO_BAR, build), 1)["pypm"].failure == "no lock"


@pytest.mark.slow
@pytest.mark.skipif(
    COMPILER is None or not sys.platform.startswith("linux"), reason="runs a plugin in a fork"
)
def test_the_start_of_a_plugin_is_told_by_the_plugin(tmp_path: Path) -> None:
    library = compile_library(SOURCE, tmp_path / "first.so")
    env = {**os.environ, "PYPM_HOME": str(tmp_path / "home")}
    pypm = [sys.executable, "-m", "pypm"]
    subprocess.run([*pypm, "plugin", "add", "first", str(library)], env=env, check=True, capture_output=True)
    command = [sys.executable, str(Path(starting.__file__)), *pypm, "first"]
    done = subprocess.run(command, env=env, check=True, capture_output=True, text=True)
    told = json.loads(done.stdout)
    assert 0 < told["wall"] < 60 and told["cpu"] > 0 and told["memory"] > 1 << 20
