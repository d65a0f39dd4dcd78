"""The bytecode that is kept side by side: it is used, and only where it is what Python would have found."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pypm import _code

NAMES = [f"some{number}" for number in range(12)]
SCRIPT = """
import sys
from pypm._code import Finder
sys.path[1:1] = [{path!r}]
finder = Finder({file!r})
sys.meta_path.insert(0, finder)
names = {names!r}
modules = [__import__(name, fromlist=["x"]) for name in names]
finder.keep()
print({{module.__name__: (module.x, type(module.__loader__).__name__, module.__file__, module.__cached__)
       for module in modules}})
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where code is kept; beside it the folder ``in`` with a package and some modules."""
    folder = tmp_path / "in"
    (folder / "pack").mkdir(parents=True)
    for name in NAMES:
        (folder / f"{name}.py").write_text("x = 'old'\n")
    (folder / "pack/__init__.py").write_text("x = __path__[0]\n")
    (folder / "pack/below.py").write_text("x = 'below'\n")
    return tmp_path / "kept.code"


Found = dict[str, tuple[str, ...]]


def imported(file: Path, folder: Path | None = None, flags: tuple[str, ...] = ()) -> Found:
    """What each module holds, its loader, source and bytecode, in a process of its own."""
    names = [*NAMES, "pack", "pack.below"]
    script = SCRIPT.format(path=str(folder or file.parent / "in"), file=str(file), names=names)
    environ = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run(
        [sys.executable, *flags, "-c", script], env=environ, capture_output=True, text=True, check=True
    )
    found: Found = ast.literal_eval(done.stdout)
    return found


def loaders(found: Found) -> set[str]:
    return {loader for _, loader, *_ in found.values()}


def test_what_was_imported_once_comes_from_the_file(file: Path) -> None:
    first = imported(file)
    assert loaders(first) == {"SourceFileLoader"} and file.exists()
    again = imported(file)
    assert loaders(again) == {"_Loader"}
    assert {name: (x, *places) for name, (x, _, *places) in again.items()} == {
        name: (x, *places) for name, (x, _, *places) in first.items()
    }
    assert again["pack"][0] == str(file.parent / "in" / "pack")


def test_a_changed_source_is_what_counts(file: Path) -> None:
    imported(file)
    before = file.read_bytes()
    source = file.parent / "in" / "some3.py"
    source.write_text("x = 'changed'\n")
    found = imported(file)
    assert found["some3"][:2] == ("changed", "SourceFileLoader")
    assert found["some4"][1] == "_Loader"
    assert file.read_bytes() == before  # for one module it is not written anew
    (file.parent / "in" / "some5.py").unlink()
    with pytest.raises(subprocess.CalledProcessError):
        imported(file)


def test_a_source_that_was_replaced_counts_whatever_its_time_and_size(file: Path) -> None:
    imported(file)
    source = file.parent / "in" / "some3.py"
    seen = source.stat()
    beside = source.with_suffix(".new")
    beside.write_text("x = 'new'\n")
    os.utime(beside, ns=(seen.st_atime_ns, seen.st_mtime_ns))
    os.replace(beside, source)
    for bytecode in (file.parent / "in").rglob("some3.*.pyc"):
        bytecode.unlink()  # as installers do
    assert imported(file)["some3"][0] == "new"


def test_what_many_runs_imported_stays(file: Path) -> None:
    imported(file)
    for name in NAMES:
        (file.parent / "in" / f"{name}.py").write_text("x = 'newer'\n")
    assert loaders(imported(file)) == {"SourceFileLoader", "_Loader"}  # the package is as it was
    found = imported(file)
    assert loaders(found) == {"_Loader"} and found["some0"][0] == "newer"


def test_another_search_path_finds_what_is_there(file: Path) -> None:
    imported(file)
    (file.parent / "in").rename(file.parent / "moved")
    assert imported(file, file.parent / "moved")["pack"][0] == str(file.parent / "moved" / "pack")


@pytest.mark.slow
@pytest.mark.parametrize("left", [0, 4, 8, 100, -1, -400])
def test_a_file_that_was_cut_off_is_passed_over(file: Path, left: int) -> None:
    imported(file)
    file.write_bytes(file.read_bytes()[:left])
    assert {x for name, (x, *_) in imported(file).items() if name in NAMES} == {"old"}


def test_a_file_of_zeros_is_passed_over(file: Path) -> None:
    imported(file)
    file.write_bytes(bytes(file.stat().st_size))
    assert loaders(imported(file)) == {"SourceFileLoader"}


def test_nothing_is_kept_where_python_writes_no_bytecode(file: Path) -> None:
    imported(file, flags=("-B",))
    assert not file.exists()


def test_nothing_is_kept_where_nothing_can_be_written(file: Path) -> None:
    imported(file.parent / "no-such-folder" / "kept.code", file.parent / "in")
    assert not (file.parent / "no-such-folder").exists()


def test_a_failed_write_leaves_nothing(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(source: str, target: str) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    _code._write(str(file), b"content")
    assert not list(file.parent.glob("kept*"))


@pytest.mark.slow
def test_a_second_run_of_a_command_imports_from_one_file(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "m"\nversion = "1"\n')
    environ = {
        **os.environ,
        "PYTHONPYCACHEPREFIX": str(tmp_path / "bytecode"),
        "PYPM_CACHE_DIR": str(tmp_path),
    }
    environ.pop("PYTHONDONTWRITEBYTECODE", None)
    script = (
        "import os, sys; from pypm import _entry; real = os._exit\n"
        "exits = sys.modules[os.name]\n"
        "def ended(code):\n"
        "    kinds = [type(m.__spec__.loader).__name__ for n, m in sys.modules.items()\n"
        "             if n.startswith('pypm.ops') or n == 'typing']\n"
        "    print(sorted(set(kinds)), flush=True); real(code)\n"
        "exits._exit = ended; sys.argv[1:] = ['ls', '-q']; _entry.program()"
    )

    def run() -> str:
        argv = [sys.executable, "-c", script]
        done = subprocess.run(argv, cwd=tmp_path, env=environ, capture_output=True, text=True, check=True)
        return done.stdout.splitlines()[-1]

    assert run() == "['SourceFileLoader']"
    assert run() == "['_Loader']"
    assert len(list((tmp_path / "bytecode").rglob("commands.*.code"))) == 1
