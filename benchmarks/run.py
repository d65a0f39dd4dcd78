#!/usr/bin/env python3
"""pypm beside uv, pip, poetry and others on the same work, as one table.

    python3 benchmarks/run.py [--case NAME]... [--quick] [--runs N] [--json FILE] [--latency MS] [--pypm PATH]

Needs Python 3.11 or later and pypm's environment (`python3 tools/bootstrap.py`). The peers are installed
into a folder of their own below the temporary folder; what the index gives is recorded there once.
"""

from __future__ import annotations

import sys

if sys.version_info < (3, 11):  # noqa: UP036
    sys.exit(f"this needs Python 3.11 or later; this is {sys.version.split()[0]} ({sys.executable})")

import argparse
import json
import os
import platform
import shutil
import signal
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
if __name__ == "__main__":
    sys.path[:1] = [
        str(ROOT),
        *(str(ROOT / "packages" / name / "src") for name in ("pypm-index", "pypm-model")),
    ]

from benchmarks import tools  # noqa: E402
from benchmarks.cases import BARE, CASES, ISOLATED, TENTH, Bench, Case  # noqa: E402
from benchmarks.index import LATENCY, LocalIndex  # noqa: E402
from benchmarks.measure import MEGABYTE, Measure, Result, RunFailed, Sample, Stopwatch, median, race, ratio  # noqa: E402

MEASURES: tuple[tuple[str, Measure], ...] = (
    ("wall", lambda sample: sample.wall),
    ("cpu", lambda sample: sample.cpu),
    ("memory", lambda sample: sample.memory),
    ("requests", lambda sample: sample.requests),
    ("size", lambda sample: sample.size),
)
REFERENCES = (BARE, ISOLATED, TENTH)


def main(argv: Sequence[str] | None = None) -> int:
    """Measures, prints the table; 1 if a bar is missed or something failed."""
    options = _options(argv)
    work: Path = options.work.absolute()
    peers = tuple(peer for peer in tools.TOOLS[1:] if peer in options.peers.split(","))
    try:
        toolbox = tools.find(options.pypm, work / "tools", peers)
    except tools.NoTool as error:
        sys.stderr.write(f"{error}\n")
        return 2
    # A run that is told to end cleans up as one that ends by itself.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    session = work / f"session-{os.getpid()}"
    session.mkdir(parents=True)
    runs = options.runs or (1 if options.quick else 5)
    table: list[tuple[Case, dict[str, Result]]] = []
    try:
        with (
            LocalIndex(work / "index", latency=options.latency / 1000, log=work / "index.log") as index,
            Stopwatch(session, index.requests) as stopwatch,
        ):
            bench = Bench(toolbox, index, stopwatch, session, peers)
            for case in _chosen(options.case, options.quick):
                sys.stderr.write(f"{case.name}: {case.summary}\n")
                table.append((case, measured(bench, case, runs)))
                sys.stderr.write(f"    {verdict(*table[-1])}\n")
                for name, result in table[-1][1].items():
                    if result.failure:
                        sys.stderr.write(f"    {name} failed: {result.failure}\n")
        versions = {tool: toolbox.version(tool) for tool in ("pypm", *peers)}
        machine = machine_facts()
        print("\n".join(lines(table, versions, machine, options.latency)), flush=True)
        if options.json:
            data = as_data(table, versions, machine)
            options.json.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
    finally:
        # Not earlier: see benchmarks.cases.
        shutil.rmtree(session, ignore_errors=True)
    bad = any(result.failure for _, results in table for result in results.values())
    return 1 if bad or any(is_met(*row) is False for row in table) else 0


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    scripts = ROOT / ".venv" / ("Scripts/pypm.exe" if os.name == "nt" else "bin/pypm")
    parser = argparse.ArgumentParser(description="pypm beside uv, pip, poetry and others on the same work.")
    known = [case.name for case in CASES]
    parser.add_argument(
        "--case",
        action="append",
        choices=known,
        metavar="NAME",
        help=f"only this one (repeatable): {', '.join(known)}",
    )
    parser.add_argument(
        "--quick", action="store_true", help="one run each, and not the cases that take minutes"
    )
    parser.add_argument(
        "--runs", type=int, default=0, metavar="N", help="measured rounds (default 5, quick 1)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every sample there")
    parser.add_argument(
        "--latency", type=float, default=LATENCY * 1000, metavar="MS", help="of the slow index (default 30)"
    )
    parser.add_argument(
        "--pypm", type=Path, default=scripts, metavar="PATH", help="default: the one of this checkout's .venv"
    )
    parser.add_argument(
        "--peers", default=",".join(tools.TOOLS[1:]), help="default: all; most ratios are to uv"
    )
    work = Path(tempfile.gettempdir()) / "pypm-benchmarks"
    parser.add_argument(
        "--work",
        type=Path,
        default=work,
        metavar="DIR",
        help="where everything is done and the recorded index stays",
    )
    return parser.parse_args(argv)


def _chosen(names: Sequence[str] | None, quick: bool) -> list[Case]:
    if names:
        return [case for case in CASES if case.name in names]
    return [case for case in CASES if case.quick or not quick]


def measured(bench: Bench, case: Case, runs: int) -> dict[str, Result]:
    """The case's results by contender. A state that cannot even be made fails its case and no other."""
    try:
        contenders = case.build(bench)
    except RunFailed as error:
        return {"pypm": Result(failure=str(error))}
    return race(bench.stopwatch, contenders, min(runs, case.most_runs), warm_up=case.warm_up)


def is_met(case: Case, results: Mapping[str, Result]) -> bool | None:
    """Whether pypm is within the case's bar; None if there is none or it could not be measured."""
    ours = results.get("pypm", Result())
    if case.bar.megabytes:
        used = median(ours, lambda sample: sample.memory)
        return None if used is None else used <= case.bar.megabytes * MEGABYTE
    if not (case.bar.times or case.bar.cpu) or case.bar.against not in results:
        return None
    if case.bar.cpu:
        cpu = ratio(ours, results[case.bar.against], lambda sample: sample.cpu)
        return None if cpu is None else cpu <= case.bar.cpu
    times = ratio(ours, results[case.bar.against], lambda sample: sample.wall)
    larger = ratio(ours, results[case.bar.against], lambda sample: sample.size) or 0.0
    if times is None:
        return None
    return times <= case.bar.times and not (case.bar.larger and larger > case.bar.larger)


def verdict(case: Case, results: Mapping[str, Result]) -> str:
    """One line on what came out."""
    walls = [f"{name} {_time(median(result, lambda s: s.wall))}" for name, result in results.items()]
    met = {True: "met", False: "MISSED", None: "no bar" if str(case.bar) == "-" else "not measured"}[
        is_met(case, results)
    ]
    return f"{', '.join(walls)}; bar {case.bar}: {met}"


def lines(
    table: Sequence[tuple[Case, Mapping[str, Result]]],
    versions: Mapping[str, str],
    machine: Mapping[str, Any],
    latency: float,
) -> Iterator[str]:
    """The table as text: per case a line of wall time, one of CPU time, one of peak memory, and one of
    requests where there were any."""
    ran = {name for _, results in table for name in results}
    peers = [tool for tool in tools.TOOLS if tool in versions and (tool in ran or tool in ("pypm", "uv"))]
    head = [
        "case",
        "",
        *(f"{tool} {versions[tool]}" for tool in peers),
        "reference",
        "/ peer",
        "/ reference",
        "bar",
        "",
    ]
    rows = [head]
    for case, results in table:
        reference = next((name for name in REFERENCES if name in results), "")
        ours = results.get("pypm", Result())
        for at, (label, of) in enumerate(MEASURES):
            if label in ("requests", "size") and not any(median(each, of) for each in results.values()):
                continue
            shown = {"memory": _memory, "requests": _whole, "size": _memory}.get(label, _time)
            cells = [shown(median(results[tool], of)) if tool in results else "-" for tool in peers]
            cells = [
                "failed" if tool in results and results[tool].failure else cell
                for tool, cell in zip(peers, cells, strict=True)
            ]
            beside = shown(median(results[reference], of)) if reference else "-"
            # What uv does not do is compared with the one who does it.
            peer = next((tool for tool in ("uv", *tools.TOOLS[1:]) if tool in results), "")
            to_peer = _times(ratio(ours, results[peer], of)) if peer else "-"
            to_beside = _times(ratio(ours, results[reference], of)) if reference else "-"
            met = {True: "met", False: "MISSED", None: ""}[is_met(case, results)]
            bar = (str(case.bar), met) if label == case.bar.measure else ("", "")
            rows.append([case.name if at == 0 else "", label, *cells, beside, to_peer, to_beside, *bar])
    widths = [max(len(row[at]) for row in rows) for at in range(len(head))]
    for row in rows:
        text = [
            cell.ljust(width) if at < 2 else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        yield "  ".join(text).rstrip()
    yield ""
    left = [
        f"{case.name} {_time(behind)}"
        for case, results in table
        if (behind := median(results.get("pypm", Result()), lambda s: s.behind)) and behind >= 0.005
    ]
    if left:
        yield f"CPU of what pypm left running after it had returned, in no number above: {', '.join(left)}"
    yield f"medians of {_count(table)} interleaved rounds, ratios pair by pair; slow index: {latency:g} ms"
    yield (
        f"{machine['system']}, {machine['cores']} cores, load {machine['load']}, Python {machine['python']}"
        f" ({machine['processor']})"
    )
    for case, results in table:
        for name, result in results.items():
            if result.failure:
                yield f"\n{case.name}, {name} failed: {result.failure}"


def _count(table: Sequence[tuple[Case, Mapping[str, Result]]]) -> str:
    counts = sorted(
        {
            len(results["pypm"].samples)
            for _, results in table
            if "pypm" in results and results["pypm"].samples
        }
    )
    return "-".join(map(str, dict.fromkeys([counts[0], counts[-1]]))) if counts else "0"


def machine_facts() -> dict[str, Any]:
    """What a reader must know of the machine."""
    load = f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "?"
    return {
        "system": f"{platform.system()} {platform.release()}",
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        "load": load,
        "python": platform.python_version(),
        "processor": platform.machine(),
    }


def as_data(
    table: Sequence[tuple[Case, Mapping[str, Result]]],
    versions: Mapping[str, str],
    machine: Mapping[str, Any],
) -> dict[str, Any]:
    """Everything measured, for ``--json``: seconds and bytes."""
    cases = {}
    for case, results in table:
        cases[case.name] = {
            "summary": case.summary,
            "bar": asdict(case.bar),
            "met": is_met(case, results),
            "results": {name: _result_data(result) for name, result in results.items()},
        }
    return {"machine": dict(machine), "versions": dict(versions), "cases": cases}


def _result_data(result: Result) -> dict[str, Any]:
    samples: list[Sample] = result.samples
    return {"samples": [asdict(sample) for sample in samples], "failure": result.failure}


def _time(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    return (
        f"{seconds * 1000:.1f} ms"
        if seconds < 0.1
        else f"{seconds * 1000:.0f} ms"
        if seconds < 1
        else f"{seconds:.2f} s"
    )


def _memory(size: float | None) -> str:
    return "-" if size is None else f"{size / MEGABYTE:.0f} MB"


def _whole(number: float | None) -> str:
    return "-" if number is None else f"{number:.0f}"


def _times(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}x"


if __name__ == "__main__":
    sys.exit(main())
