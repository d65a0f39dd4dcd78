"""What `pypm check` takes a distribution to have, by its unpacked wheel."""

from __future__ import annotations

from pathlib import Path

import pytest

from kit.wheels import make_wheel
from pypm.ops.checks.contents import of_tree
from pypm_model.digests import sha256
from pypm_store.store import Store


@pytest.mark.parametrize(
    ("lines", "is_open"),
    [
        ("# nothing\n\n", False),
        ("import os; os.environ.get('X') and __import__('_hack').add_shim(); \n", False),
        ("import sys; exec('try: import tracer\\nexcept ImportError: pass')\n", False),
        ("import __editable___x_finder; __editable___x_finder.install()\n", True),
        ("import sys; sys.path.insert(0, 'x/lib')\n", True),
        ("# a folder\nx/lib\n", True),
    ],
)
def test_a_path_file_may_make_more_modules(tmp_path: Path, lines: str, is_open: bool) -> None:
    wheel = make_wheel(tmp_path, "x", "1.0", files={"x/__init__.py": "", "x.pth": lines})
    store = Store.open(tmp_path / "store")
    with store.using():
        tree = store.unpack(wheel, sha256(wheel.read_bytes()).hexdigest())
        found = of_tree(tree)
    assert found.modules == ("x",) and found.is_open is is_open
