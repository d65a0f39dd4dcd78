"""An interpreter that is copied says the same whatever is installed for the one of this machine."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from pypm_bundle import runtime
from pypm_env.interpreters import Interpreter
from pypm_env.probe import probe
from pypm_model.records import replace

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="only there interpreters can be moved"),
]


def test_what_is_installed_for_the_interpreter_does_not_make_it_unmovable(tmp_path: Path) -> None:
    here = probe(sys.executable)
    assert isinstance(here, Interpreter)
    stdlib = Path(here.paths["stdlib"])
    below = stdlib.relative_to(here.base_prefix)
    own = tmp_path / "prefix" / below
    own.mkdir(parents=True)
    for entry in stdlib.iterdir():
        if entry.name != "site-packages":
            (own / entry.name).symlink_to(entry)
    (own / "site-packages").mkdir()
    (own / "site-packages" / "editable.pth").write_text(f"{tmp_path}\n")
    (tmp_path / "prefix" / "lib").mkdir(exist_ok=True)
    polluted = replace(here, base_prefix=str(tmp_path / "prefix"), paths={**here.paths, "stdlib": str(own)})
    (tmp_path / "scratch").mkdir()
    found = runtime.basis(polluted, tmp_path / "scratch")
    assert Path(found.site_packages).parent == below  # Debian's has another name
