"""Interpreters on this machine, asked and compared with what they say of themselves."""

from __future__ import annotations

import glob
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import packaging
import pytest

from pypm_env.asking import musl_version
from pypm_env.build_details import read_build_details
from pypm_env.elf import read_elf
from pypm_env.interpreters import Interpreter, interpreter_from_text
from pypm_env.probe import NO_CACHE, ProbeCache, Skipped, folder_cache, probe
from pypm_env.wheel_tags import Libc

_HERE = os.path.realpath(getattr(sys, "_base_executable", sys.executable))
_ASK = """
import json, sys
sys.path.insert(0, sys.argv[1])
from packaging.markers import default_environment
from packaging.tags import sys_tags
print(json.dumps([[str(tag) for tag in sys_tags()], default_environment()]))
"""


def _others() -> list[str]:
    """Interpreters that packaging runs on, one of each version; the running one always."""
    found = {_HERE}
    for pattern in ("~/.pyenv/versions/3.*/bin/python3", "/usr/bin/python3"):
        found |= {os.path.realpath(path) for path in glob.glob(os.path.expanduser(pattern))}
    minor = {path: path.rpartition("python3.")[2] for path in found}
    return sorted(path for path in found if minor[path].isdigit() and int(minor[path]) >= 9)


def _probed(path: str) -> Interpreter:
    found = probe(path)
    assert isinstance(found, Interpreter), found
    return found


@pytest.mark.parametrize(
    "path", [path if path == _HERE else pytest.param(path, marks=pytest.mark.slow) for path in _others()]
)
def test_tags_and_markers_are_those_packaging_finds_inside_the_interpreter(path: str) -> None:
    folder = str(Path(packaging.__file__).parent.parent)
    done = subprocess.run([path, "-I", "-c", _ASK, folder], capture_output=True, text=True, check=True)
    tags, markers = json.loads(done.stdout)
    found = _probed(path)
    assert list(found.tags) == tags
    assert dict(found.markers) == markers
    assert found.environment.python == markers["python_full_version"]


def test_a_virtual_environments_python_answers_for_the_one_it_was_made_from(tmp_path: Path) -> None:
    subprocess.run([_HERE, "-m", "venv", "--without-pip", str(tmp_path / "v")], check=True)
    found = _probed(str(tmp_path / "v" / "bin" / "python"))
    assert not found.is_virtual
    assert found.real_path == _HERE
    assert not found.path.startswith(str(tmp_path))


def test_a_shim_answers_for_what_it_starts_and_is_asked_every_time(tmp_path: Path) -> None:
    shim = tmp_path / "python3"
    shim.write_text(f'#!/bin/sh\nexec "{_HERE}" "$@"\n')
    shim.chmod(0o755)
    kept: dict[str, str] = {}
    found = probe(str(shim), ProbeCache(kept.get, kept.__setitem__))
    assert isinstance(found, Interpreter)
    assert found.real_path == _HERE
    assert len(kept) == 1
    assert str(shim) not in next(iter(kept))


def test_an_answer_is_remembered_until_the_file_changes(tmp_path: Path) -> None:
    copy = tmp_path / "prefix" / "bin" / "python3"
    copy.parent.mkdir(parents=True)
    copy.symlink_to(_HERE)
    kept: dict[str, str] = {}
    cache = ProbeCache(kept.get, kept.__setitem__)
    first = probe(str(copy), cache)
    assert isinstance(first, Interpreter)
    (key,) = kept
    changed = json.loads(kept[key]) | {"version": "3.99.0"}
    kept[key] = json.dumps(changed)
    again = probe(str(copy), cache)
    assert isinstance(again, Interpreter)
    assert again.version == "3.99.0", "the kept answer is used"
    copy.unlink()
    shutil.copy2(_HERE, copy)
    os.utime(copy, (1, 1))
    probe(str(copy), cache)
    assert len(kept) == 2, "another file is asked anew"


def test_the_time_an_answer_takes_can_be_used(tmp_path: Path) -> None:
    used: list[float] = []
    cache = folder_cache(tmp_path / "kept", lambda: used.append(time.monotonic()))
    assert isinstance(probe(_HERE, cache), Interpreter)
    assert len(used) == 1
    assert isinstance(probe(_HERE, cache), Interpreter)
    assert len(used) == 1, "nothing is waited for where the answer is remembered"


def test_a_failure_meanwhile_leaves_no_process(tmp_path: Path) -> None:
    sleeper = tmp_path / "python3"
    sleeper.write_text(f"#!/bin/sh\necho $$ > {tmp_path}/pid\nexec sleep 60\n")
    sleeper.chmod(0o755)

    def fail() -> None:
        while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text().endswith("\n"):
            time.sleep(0.01)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        probe(str(sleeper), ProbeCache(lambda key: None, lambda key, text: None, fail))
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_answers_are_kept_in_a_folder(tmp_path: Path) -> None:
    cache = folder_cache(tmp_path / "new" / "kept")
    assert cache.get("a\nkey\udc80") is None
    cache.put("a\nkey\udc80", "what it said")
    assert folder_cache(tmp_path / "new" / "kept").get("a\nkey\udc80") == "what it said"
    assert cache.get("another") is None
    (tmp_path / "file").write_text("")
    unwritable = folder_cache(tmp_path / "file" / "kept")
    unwritable.put("key", "text")
    assert unwritable.get("key") is None


def test_what_is_kept_and_cannot_be_read_is_asked_again() -> None:
    found = probe(_HERE, ProbeCache(lambda key: '{"broken": 1}', lambda key, text: None))
    assert isinstance(found, Interpreter)
    assert found.real_path == _HERE


def test_the_record_survives_a_trip_through_text() -> None:
    found = _probed(_HERE)
    assert interpreter_from_text(found.to_text()) == found


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("#!/bin/sh\necho oh no >&2\nexit 3\n", "does not work: oh no"),
        ("#!/bin/sh\nexit 3\n", "does not work: exit code 3"),
        ("#!/bin/sh\necho 'pypm-probe:{'\n", "does not work: its answer cannot be read"),
        ("#!/bin/sh\nexec sleep 60\n", "gives no answer within 0.5 seconds"),
        ("no program", "cannot be started: exec format error"),
    ],
)
def test_what_does_not_work_is_skipped_with_the_reason(tmp_path: Path, content: str, reason: str) -> None:
    broken = tmp_path / "python3"
    broken.write_text(content)
    broken.chmod(0o755)
    assert probe(str(broken), NO_CACHE, timeout=0.5) == Skipped(str(broken), reason)


def test_a_missing_file_and_a_folder_are_skipped(tmp_path: Path) -> None:
    assert probe(str(tmp_path / "none")) == Skipped(str(tmp_path / "none"), "no such file or directory")
    assert probe(str(tmp_path)) == Skipped(str(tmp_path), "is no file")


def test_the_elf_head_names_the_loader() -> None:
    if sys.platform != "linux":
        pytest.skip("only Linux has ELF executables here")
    elf = read_elf(_HERE)
    assert elf is not None
    assert "ld-" in elf.loader
    assert elf.is_32bit == (sys.maxsize < 2**32)
    assert read_elf(__file__) is None
    assert read_elf("/nowhere") is None


def test_musl_says_its_version() -> None:
    text = "musl libc (x86_64)\nVersion 1.2.4_git20230717\nDynamic Program Loader\n"
    assert musl_version(text.replace("4_git20230717", "4")) == Libc("musl", 1, 2)
    assert musl_version("ld.so (GNU libc) 2.36\n") is None


def _details(executable: Path) -> dict[str, object]:
    """The example of PEP 739, for the running interpreter."""
    version = sys.version_info
    fields = ("major", "minor", "micro", "releaselevel", "serial")
    info = {field: getattr(version, field) for field in fields}
    found = _probed(_HERE)
    return {
        "schema_version": "1.0",
        "base_prefix": "../..",
        "base_interpreter": "../../bin/python3",
        "platform": __import__("sysconfig").get_platform(),
        "language": {"version": f"{version.major}.{version.minor}", "version_info": info},
        "implementation": {
            "name": "cpython",
            "version": info,
            "hexversion": sys.hexversion,
            "cache_tag": found.cache_tag,
            "_multiarch": getattr(sys.implementation, "_multiarch", ""),
        },
        "abi": {"flags": [], "extension_suffix": __import__("sysconfig").get_config_var("EXT_SUFFIX")},
    }


@pytest.fixture
def installation(tmp_path: Path) -> Path:
    """A prefix whose python is a program that cannot answer: only the details can."""
    executable = tmp_path / "bin" / "python3"
    executable.parent.mkdir()
    shutil.copy2("/bin/true", executable)
    library = tmp_path / "lib" / f"python3.{sys.version_info.minor}"
    library.mkdir(parents=True)
    (library / "build-details.json").write_text(json.dumps(_details(executable)))
    return executable


@pytest.mark.skipif(sys.platform != "linux", reason="build details are believed on Linux only")
def test_build_details_answer_without_starting_anything(installation: Path) -> None:
    found = _probed(str(installation))
    real = _probed(_HERE)
    assert found.tags == real.tags
    assert found.markers == real.markers
    assert found.layout == real.layout
    assert found.identity.partition(" ")[0] == real.identity.partition(" ")[0]
    assert found.paths["purelib"].startswith(str(installation.parent.parent))


@pytest.mark.skipif(sys.platform != "linux", reason="build details are believed on Linux only")
@pytest.mark.parametrize(
    "change",
    [
        {"schema_version": "2.0"},
        {"platform": "linux-other"},
        {"base_interpreter": "../../bin/another"},
        {"base_prefix": ".."},
        {"abi": {}},
        {"implementation": 3},
    ],
)
def test_build_details_that_speak_of_something_else_are_no_answer(
    installation: Path, change: dict[str, object]
) -> None:
    file = next(installation.parent.parent.glob("lib/*/build-details.json"))
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    assert read_build_details(str(installation)) is None


@pytest.mark.skipif(sys.platform != "linux", reason="build details are believed on Linux only")
def test_an_externally_managed_interpreter_is_asked_itself(installation: Path) -> None:
    next(installation.parent.parent.glob("lib/*/")).joinpath("EXTERNALLY-MANAGED").write_text("")
    assert read_build_details(str(installation)) is None
