"""Wheels as files of a bundle: places, scripts that run where they lie, RECORD, conflicts."""

from __future__ import annotations

import base64
import csv
import hashlib
import os
import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from kit.tars import unpack
from kit.wheels import make_wheel, sha256
from pypm_bundle import isolation
from pypm_bundle.assembling import assembled
from pypm_bundle.bundle_errors import BundleConflict
from pypm_bundle.contents import Entry, OnDisk, Written
from pypm_bundle.distributions import Place, WheelFile, anonymous, read_distribution
from pypm_bundle.wheelhouse import wheelhouse
from pypm_env.record_file import Row, row_of, write_rows
from pypm_model.events import Warned, ignore
from pypm_store.archive import WheelArchive

if TYPE_CHECKING:
    from conftest import Bench

SITE = "lib/python3.11/site-packages"


def unpacked(bench: Bench, *dists: Any) -> Path:
    items = assembled([], dists, ignore)
    with tarfile.open(bench.write("tar.gz", items=items).file) as tar:
        unpack(tar, bench.folder / "u")
    return bench.folder / "u"


def test_record_tells_every_file_and_its_digest(bench: Bench) -> None:
    dist = bench.distribution(
        files={"acme/__init__.py": "", 'acme/a,"b.txt': "x"},
        scripts={"old": "#!python\nprint(1)\n", "sh": "#!/bin/sh\n"},
        data={"share/acme/x": "1"},
        headers={"acme.h": "2"},
        entry_points={"console_scripts": {"acme": "acme:main"}},
    )
    root = unpacked(bench, dist)
    site = root / SITE
    rows = list(csv.reader((site / "acme-1.0.dist-info/RECORD").read_text().splitlines()))
    named = set()
    for path, digest, size in rows:
        place = Path(os.path.normpath(site / path))
        named.add(place.relative_to(root).as_posix())
        if not path.endswith("/RECORD"):
            data = place.read_bytes()
            expected = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
            assert (digest, size) == (f"sha256={expected}", str(len(data))), path
    assert named == {p.relative_to(root).as_posix() for p in root.rglob("*") if p.is_file()} - {
        "pypm-bundle.json"
    }
    assert {"bin/acme", "bin/old", "bin/sh", "share/acme/x", "include/site/python3.11/acme/acme.h"} <= named
    assert (site / "acme-1.0.dist-info/INSTALLER").read_text() == "pypm\n"


@pytest.mark.skipif(os.name == "nt", reason="a shell")
def test_scripts_run_the_interpreter_beside_them(bench: Bench) -> None:
    dist = bench.distribution(
        files={"acme.py": "import sys\ndef main():\n    print(sys.argv)\n    return 3\n"},
        scripts={"old": "#!python\nimport sys\nprint('old', sys.argv[1:])\n"},
        entry_points={"console_scripts": {"acme": "acme:main"}},
    )
    root = unpacked(bench, dist)
    moved = root.with_name("moved to 'here'")
    root.rename(moved)
    (moved / "bin/python3.11").write_text(
        f'#!/bin/sh\nPYTHONPATH="{moved}/{SITE}" exec "{sys.executable}" "$@"\n'
    )
    (moved / "bin/python3.11").chmod(0o755)
    other = bench.folder / "other"
    other.mkdir()
    (other / "two").symlink_to("one")
    (other / "one").symlink_to(os.path.relpath(moved / "bin/acme", other))
    for words in ([moved / "bin/acme"], [other / "two"], ["sh", "acme"]):
        done = subprocess.run([*words, "a b", ""], cwd=moved / "bin", capture_output=True, text=True)
        assert (done.returncode, done.stdout.partition(", ")[2]) == (3, "'a b', '']\n"), done.stderr
    path = f"{other}:{os.environ['PATH']}"
    assert subprocess.run(["two"], env={"PATH": path}, capture_output=True).returncode == 3
    done = subprocess.run([moved / "bin/old", "x"], capture_output=True, text=True)
    assert done.stdout == "old ['x']\n"


def test_what_says_how_it_was_installed(bench: Bench) -> None:
    wheel = make_wheel(
        bench.folder, "acme", "1.0", dist_info_files={"direct_url.json": "{}", "REQUESTED": ""}
    )
    place = Place("python3.11", SITE, "include")
    names = {
        name: {
            i.path.rpartition("/")[2]
            for i in read_distribution(WheelFile(wheel, wheel.name, sha256(wheel), "1.0", *how), place).items
        }
        for name, how in {"plain": (), "asked": (True, '{"url": "x"}')}.items()
    }
    assert not {"direct_url.json", "REQUESTED"} & names["plain"]
    assert {"direct_url.json", "REQUESTED"} <= names["asked"]


GENERATORS = {
    "hatchling 1.33.0": "hatchling", "setuptools (75.1.0)": "setuptools", "flit 3.9.0": "flit",
    "bdist_wheel(0.43)": "bdist_wheel", "own": "own",
}  # fmt: skip


@pytest.mark.parametrize(("generator", "left"), GENERATORS.items())
def test_a_built_wheel_does_not_say_which_release_built_it(generator: str, left: str) -> None:
    head, tail = b"Wheel-Version: 1.0\r\n", b"\r\nRoot-Is-Purelib: true\r\n"
    content = head + b"Generator: " + generator.encode() + tail
    assert anonymous(content) == head + b"Generator: " + left.encode() + tail
    assert anonymous(head + tail) == head + tail


def _as_built(folder: Path, generator: str, compression: int, *, backwards: bool) -> WheelFile:
    """A wheel as some release of a backend leaves it: with its name, in an order, packed in a way."""
    plain = make_wheel(
        folder / "plain", "acme", "1.0", files={f"acme/{n}.py": f"x = {n}\n" * 99 for n in "abc"}
    )
    target = folder / plain.name
    info = "acme-1.0.dist-info"
    with zipfile.ZipFile(plain) as old, zipfile.ZipFile(target, "w", compression) as new:
        contents = {name: old.read(name) for name in old.namelist() if not name.endswith("/RECORD")}
        contents[f"{info}/WHEEL"] = re.sub(
            rb"Generator: .*", b"Generator: " + generator.encode(), contents[f"{info}/WHEEL"]
        )
        names = sorted(contents, reverse=backwards)
        rows = [row_of(name, contents[name]) for name in names]
        contents[f"{info}/RECORD"] = write_rows([*rows, Row(f"{info}/RECORD")]).encode()
        for name in (*names, f"{info}/RECORD"):
            new.writestr(
                zipfile.ZipInfo(name, (2026, 1, 1 + len(generator), 0, 0, 0)), contents[name], compression
            )
    return WheelFile(target, target.name, sha256(target), "1.0", built=True)


@pytest.mark.parametrize("form", ["tar.gz", "tar.zst", "zip"])
def test_whichever_release_built_it_the_bundle_is_the_same(bench: Bench, form: str) -> None:
    made = []
    for number, how in enumerate((("hatch 1.0", zipfile.ZIP_STORED), ("hatch 2.10", zipfile.ZIP_DEFLATED))):
        wheel = _as_built(bench.folder / str(number), *how, backwards=bool(number))
        found = read_distribution(wheel, Place("python3.11", SITE, "include"))
        bundle = bench.write(form, name=f"{number}.{form}", items=assembled([], [found], ignore))
        archive = bench.folder / bundle.file
        house = wheelhouse([wheel], bench.folder / f"house{number}")
        (entry,) = (one for one in house if isinstance(one, Entry) and one.path.endswith(".whl"))
        assert isinstance(entry.content, OnDisk)
        with WheelArchive(entry.content.path) as checked:
            assert all(checked.read(one) is not None for one in checked.placed)
        made.append((archive.read_bytes(), entry.content.path.read_bytes()))
        assert b"2.10" not in b"".join(made[-1])
    assert made[0] == made[1]


def test_two_in_one_place(bench: Bench) -> None:
    one = bench.distribution("a", files={"shared/__init__.py": "", "shared/x.py": "1", "a.py": ""})
    two = bench.distribution("b", files={"shared/__init__.py": "", "shared/x.py": "2", "b.py": ""})
    heard: list[Any] = []
    for order in ([one, two], [two, one]):
        items = {item.path: item for item in assembled([], order, heard.append)}
        assert items[f"{SITE}/shared/x.py"] in two.items
    assert [event.message for event in heard if isinstance(event, Warned)] == [
        f"a and b both have {SITE}/shared/x.py: the latter's is taken"
    ] * 2


def test_a_file_where_a_folder_is(bench: Bench) -> None:
    one = bench.distribution("a", files={"thing": "x"})
    two = bench.distribution("b", files={"thing/x.py": ""})
    with pytest.raises(BundleConflict, match="thing"):
        assembled([], [one, two], ignore)


def test_the_bundles_own_files_are_not_written_over(bench: Bench) -> None:
    dist = bench.distribution(data={"pypm.lock": "mine"})
    with pytest.raises(BundleConflict, match=r"acme and the bundle both have pypm\.lock"):
        assembled([Entry("pypm.lock", Written(b"lock"))], [dist], ignore)


def test_settings_of_the_build_move_along(tmp_path: Path) -> None:
    text = (
        "build_time_vars = {'A': '/opt/py/lib -I/opt/py/include', 'B': '/opt/pypy', 'C': 3, 'D': '/opt/py'}\n"
    )
    space: dict[str, Any] = {}
    exec(isolation.movable_sysconfig(text, "/opt/py"), space)
    here = sys.base_prefix
    assert space["build_time_vars"] == {
        "A": f"{here}/lib -I{here}/include",
        "B": "/opt/pypy",
        "C": 3,
        "D": here,
    }
    assert isolation.movable_sysconfig(text, "/usr") == text
    assert isolation.movable_sysconfig("x = y\n", "/opt/py") == "x = y\n"


@pytest.mark.parametrize("there", [True, False])
def test_certificates_are_pointed_to_where_there_are_none(tmp_path: Path, there: bool) -> None:
    (tmp_path / "certs").mkdir()
    if there:
        (tmp_path / "certs/x.0").touch()
    module = tmp_path / "lib/site/hook.py"
    module.parent.mkdir(parents=True)
    module.write_text(isolation.hook("/nowhere/cert.pem", str(tmp_path / "certs"), "../.."))
    bundled = tmp_path / isolation.CERTIFICATES
    bundled.parent.mkdir(parents=True)
    bundled.touch()
    code = "import os, hook; print(os.environ.get('SSL_CERT_FILE', ''))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": str(module.parent)},
        capture_output=True,
        text=True,
        check=True,
    )
    found = done.stdout.strip()
    assert found == "" if there else os.path.exists(found)
    said = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": str(module.parent), "SSL_CERT_FILE": "mine"},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert said.stdout.strip() == "mine"
