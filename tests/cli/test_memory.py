"""`pypm memory` between processes: what one claims another waits for."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

PYPM = [sys.executable, "-m", "pypm", "memory"]


@pytest.fixture
def start(tmp_path: Path) -> Any:
    environ = {n: v for n, v in os.environ.items() if not n.startswith(("PYPM_", "PYP_"))}
    environ |= {"PYPM_MEMORY": "memory.db"}

    def start(*words: str | bytes, given: bytes | None = None) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [*PYPM, *words],
            cwd=tmp_path, env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        if given is not None:
            assert process.stdin is not None
            process.stdin.write(given)
            process.stdin.close()
            process.stdin = None
        return process

    return start


def ended(process: subprocess.Popen[bytes]) -> tuple[int, str, str]:
    out, err = process.communicate()
    return process.returncode, out.decode("utf-8", "surrogateescape"), err.decode()


def test_a_result_reaches_the_process_that_waits(start: Any) -> None:
    code, out, _ = ended(start("peek", "s", "k", "--claim", "--json"))
    claimed = json.loads(out)
    assert code == 1 and claimed["status"] == "claimed" and claimed["lease_seconds"] == 60
    promise = claimed["promise_id"]
    assert ended(start("peek", "s", "k", "--claim"))[:2] == (1, f"pending {promise}\n")
    assert ended(start("resolve", "s", promise))[::2] == (1, "pending\n")
    waiter = start("resolve", "s", promise, "--wait", "60")
    assert ended(start("resolve", "s", promise, "-", given="größe\n".encode()))[::2] == (0, "resolved\n")
    assert ended(waiter)[:2] == (0, "größe\n\n")
    assert json.loads(ended(start("peek", "s", "k", "--json"))[1]) == {
        "hit": True,
        "value": "größe\n",
        "index": 0,
    }
    late = ended(start("resolve", "s", promise, "other"))
    assert late == (0, "", "it was resolved before: nothing changed\n")


def test_a_failure_reaches_the_process_that_waits(start: Any) -> None:
    promise = json.loads(ended(start("peek", "s", "k", "--claim", "--json"))[1])["promise_id"]
    waiter = start("resolve", "s", promise, "--wait", "60", "--json")
    assert ended(start("resolve", "s", promise, "--failure", "no network"))[::2] == (0, "failed\n")
    code, _, err = ended(waiter)
    error = json.loads(err)["error"]
    assert code == 1 and error["code"] == "promise-failed" and error["reason"] == "no network"
    assert ended(start("peek", "s", "k"))[0] == 1


def test_a_lease_that_ran_out_is_taken_over(start: Any) -> None:
    first = json.loads(ended(start("peek", "s", "k", "--claim", "--lease", "1", "--json"))[1])["promise_id"]
    code, out, _ = ended(start("resolve", "s", first, "--wait", "30", "--claim"))
    second = out.removeprefix("claimed ").strip()
    assert code == 1 and second != first
    code, _, err = ended(start("resolve", "s", first, "stale"))
    assert code == 1 and err.startswith("error[promise-lost]") and "stale" not in err
    assert ended(start("resolve", "s", second, "fresh"))[0] == 0
    assert ended(start("resolve", "s", first))[:2] == (0, "fresh\n")


def test_what_is_no_utf8_is_refused_from_a_stream_and_kept_from_the_command_line(start: Any) -> None:
    code, _, err = ended(start("set", "s", "k", "-", given=b"secret \xff"))
    assert code == 2 and "no UTF-8" in err and "secret" not in err
    if os.name == "posix":
        assert ended(start("set", "s", "k", b"caf\xe9"))[0] == 0
        assert ended(start("peek", "s", "k"))[1] == "caf\udce9\n"


def test_a_value_may_be_long_and_not_longer(start: Any) -> None:
    assert ended(start("set", "s", "k", "-", given=b"x" * 1024 * 1024))[0] == 0
    code, _, err = ended(start("set", "s", "k", "-", given=b"y" * (1024 * 1024 + 1)))
    assert code == 1 and err.startswith("error[memory-value-too-large]") and "yy" not in err
    assert ended(start("peek", "s", "k"))[1] == "x" * 1024 * 1024 + "\n"


def test_a_value_ends_after_its_time(start: Any) -> None:
    assert ended(start("set", "s", "k", "v", "--ttl", "3600"))[0] == 0
    assert ended(start("peek", "s", "k"))[:2] == (0, "v\n")
