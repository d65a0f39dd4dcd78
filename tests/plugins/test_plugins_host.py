"""The host table: what it answers, and who owns what."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest
from plugins.conftest import User

from kit.plugins import COMPILER, INCLUDE
from pypm_plugins import calling, host_table

pytestmark = pytest.mark.slow

HEADER = (INCLUDE / "pypm_plugin.h").read_text(encoding="utf-8")

ASKS = """
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "pypm_plugin.h"
static const pypm_host *host;
int pypm_plugin_init(const pypm_host *table) { host = table; return 0; }
__attribute__((unused)) static void show(int code, pypm_text *text) {
  if (strlen(text->data) != text->size) exit(90);
  printf("%d %s\\n", code, text->data);
  pypm_text moved = *text;
  moved.release(&moved);
  if (moved.release || moved.data) exit(91);
}
"""


def asking(user: User, body: str, name: str = "asks", *flags: str) -> None:
    user.has(
        name,
        f"{ASKS}\nint pypm_plugin_main(int argc, char **argv) {{ pypm_text text; (void)text; {body} }}",
        *flags,
    )


@pytest.fixture
def ws(user: User) -> Path:
    root = user.folder / "w ä"
    (root / "a").mkdir(parents=True)
    (root / "pypm-workspace.toml").write_text(
        "[workspace]\nname = 'acme'\nmembers = ['a']\n[[index]]\nname = 'own'\n"
        "url = 'https://ada:geheim@pkgs.example.test/simple'\nexplicit = true\n",
        encoding="utf-8",
    )
    (root / "a" / "pyproject.toml").write_text(
        "[project]\nname = 'A.b'\nversion = '1'\n[dependency-groups]\ndev = []\n"
        "[project.optional-dependencies]\nx = []\n",
        encoding="utf-8",
    )
    return root


def test_what_it_answers(user: User, ws: Path) -> None:
    asking(
        user,
        """
        show(host->workspace(host, &text), &text);
        show(host->settings(host, &text), &text);
        show(host->lock(host, &text), &text);
        show(host->environment(host, NULL, &text), &text);
        show(host->environment(host, "a-b", &text), &text);
        show(host->environment(host, "nobody", &text), &text);
        return host->abi * 10 + (host->size == sizeof(pypm_host)) + PYPM_HOST_HAS(host, symbol);
        """,
    )
    user.run("sync", cwd=ws, check=True)
    done = user.run("asks", cwd=ws)
    assert done.returncode == 12 and b"geheim" not in done.stdout
    answers = [(line[:1], json.loads(line[2:])) for line in done.stdout.decode().splitlines()]
    assert [code for code, _ in answers] == ["0", "0", "0", "0", "0", "1"]
    workspace, settings, lock, shared, own, nobody = (found for _, found in answers)
    assert (workspace["root"], workspace["name"]) == (os.path.realpath(ws), "acme")
    (member,) = workspace["members"]
    assert (member["name"], member["path"], member["groups"]) == ("a-b", "a", {"dev": []})
    assert (settings["name"], settings["indexes"][0]["name"]) == ("acme", "own")
    assert lock["package"][0]["name"] == "a-b"
    assert shared["exists"] and Path(shared["path"]).exists() and not own["exists"]
    assert nobody["error"]["code"] == "unknown-member"


def test_from_many_threads_at_once(user: User, ws: Path) -> None:
    user.has(
        "threads",
        f"""{ASKS}
        #include <pthread.h>
        static void *ask(void *given) {{
          for (int i = 0; i < 20; i++) {{
            pypm_text text;
            if (host->workspace(host, &text) || !strstr(text.data, "acme")) exit(80);
            text.release(&text);
          }}
          return given;
        }}
        int pypm_plugin_main(int argc, char **argv) {{
          pthread_t all[4];
          for (int i = 0; i < 4; i++) pthread_create(&all[i], 0, ask, 0);
          for (int i = 0; i < 4; i++) pthread_join(all[i], 0);
          return 7;
        }}""",
        "-pthread",
    )
    assert user.run("threads", cwd=ws).returncode == 7


def test_messages_by_level(user: User) -> None:
    asking(
        user,
        """
        host->log(host, PYPM_LOG_ERROR, "one"); host->log(host, PYPM_LOG_WARNING, "two");
        host->log(host, PYPM_LOG_INFO, "three"); host->log(host, PYPM_LOG_DEBUG, "four");
        host->log(host, 99, "five"); host->log(host, PYPM_LOG_INFO, NULL);
        for (int i = 0; i <= 3; i++) if (host->progress(host, "work", i, 3)) return 1;
        return host->progress(host, "endless", 5, 0);
        """,
    )
    start = b"error[asks]: one\nwarning[asks]: two\n"
    assert user.run("asks", check=True).stderr == start + b"three\n\n"
    assert user.run("-q", "asks", check=True).stderr == start
    assert user.run("-v", "asks", check=True).stderr == start + b"three\nfour\nfive\n\n"


def test_a_function_that_another_plugin_does_not_have(user: User) -> None:
    user.has(
        "other", "int pypm_plugin_main(int a, char **b) { return 1; } int twice(int n) { return 2 * n; }"
    )
    user.has(
        "broken",
        "int pypm_plugin_init(const void *h) { return 4; }\n"
        "int pypm_plugin_main(int a, char **b) { return 1; }",
    )
    asking(
        user,
        """
        void *found = &text;
        if (!host->symbol(host, "other", "nothing", &found) || found) return 1;
        found = &text;
        if (!host->symbol(host, "nobody", "nothing", &found) || found) return 2;
        if (!host->symbol(host, "../x", "nothing", &found)) return 3;
        if (!host->symbol(host, "broken", "pypm_plugin_main", &found)) return 4;
        if (host->symbol(host, "other", "twice", &found)) return 5;
        return ((int (*)(int))found)(21);
        """,
    )
    done = user.run("asks")
    assert done.returncode == 42
    codes = re.findall(r"error\[([a-z-]+)\]", done.stderr.decode())
    assert codes == ["asks", "plugin-not-found", "plugin-name", "plugin-init"]


def test_the_table_is_the_one_of_the_header(tmp_path: Path) -> None:
    """Fields, their order and their offsets, as a C compiler has them."""
    struct = HEADER.split("struct pypm_host {")[1].split("\n};")[0]
    struct = re.sub(r"/\*.*?\*/", "", struct, flags=re.DOTALL)
    names = re.findall(r"(?:\(\*(\w+)\)|(\w+);)", struct)
    fields = [function or plain for function, plain in names]
    assert fields == [name for name, *_ in host_table.Table._fields_]
    program = tmp_path / "a.c"
    lines = [f'printf("%zu\\n", offsetof(pypm_host, {name}));' for name in fields]
    program.write_text(
        f'#include <stdio.h>\n#include "pypm_plugin.h"\nint main(void) {{ {" ".join(lines)}\n'
        'printf("%zu %d\\n", sizeof(pypm_host), PYPM_PLUGIN_ABI); return 0; }\n',
        encoding="utf-8",
    )
    assert COMPILER is not None
    subprocess.run([COMPILER, "-I", str(INCLUDE), str(program), "-o", str(tmp_path / "a")], check=True)
    *offsets, last = subprocess.run(
        [tmp_path / "a"], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert [int(each) for each in offsets] == [getattr(host_table.Table, name).offset for name in fields]
    assert last.split() == [str(host_table.ctypes.sizeof(host_table.Table)), str(calling.ABI)]


def test_the_header_is_plain_c_and_c_plus_plus(tmp_path: Path) -> None:
    source = tmp_path / "a.c"
    source.write_text(
        '#include "pypm_plugin.h"\nint pypm_plugin_main(int c, char **v) { return 0; }\n', encoding="utf-8"
    )
    assert COMPILER is not None
    for language in ("-std=c99", "-std=c11", "-xc++"):
        command = [
            COMPILER,
            language,
            "-Wall",
            "-Wextra",
            "-Wno-unused-parameter",
            "-Werror",
            "-pedantic",
            "-c",
        ]
        if (
            language == "-xc++"
            and subprocess.run([COMPILER, "-xc++", "-E", os.devnull], capture_output=True).returncode
        ):
            continue
        subprocess.run([*command, "-I", str(INCLUDE), str(source), "-o", str(tmp_path / "a.o")], check=True)
