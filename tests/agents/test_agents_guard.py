"""What agents are never shown, and who is never served."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx2
import pytest
from mcp.shared.exceptions import MCPError

from kit.agents import HttpServer, answer, environ_of, error, stdio
from kit.transcripts import Block, Stage, pypm
from pypm.mcp.errors import BadListen, BadToken, NotLoopback
from pypm.mcp.http import allowed_hosts, listen_of, token_of
from pypm.mcp.secrets import HIDDEN, Secrets
from pypm_model.errors import PypmError

SECRET = "do-not-tell-anybody"


@pytest.fixture
def outside(stage: Stage) -> Path:
    """A folder beside the workspace, with what is in it nobody's business."""
    folder = stage.folder / "outside"
    if not folder.exists():
        folder.mkdir()
        (folder / "secret.toml").write_text(f"{SECRET}\n")
        (folder / "pyproject.toml").write_text(f'[project]\nname = "{SECRET}"\nversion = "1"\n')
    return folder


@pytest.mark.slow
def test_no_path_leads_out_of_the_workspace(shared: HttpServer, stage: Stage, outside: Path) -> None:
    (stage.root / "link").symlink_to(outside)

    async def look() -> None:
        async with shared.client() as client:
            for text in ("../outside", "./packages/../../outside", str(outside), "./link", "~/x"):
                found = await error(client, "add", requirements=[text], members=["b"])
                assert (found["code"], found["path"]) == ("outside-workspace", text)
            for text in (
                "./packages/b", "../outside", "x.whl", "x @ file:///etc/passwd", "x@https://example.test/x.whl",
                "git+https://example.test/x", "https://example.test/x.tar.gz", "C:\\x", "etc/passwd",
            ):  # fmt: skip
                assert (await error(client, "what_if", requirements=[text]))["code"] == "no-address-here", (
                    text
                )
            for text in (
                "pypm.lock",
                "../outside/secret.toml",
                "/etc/passwd",
                "-h",
                "--output=x",
                "HEAD:../x",
                "",
            ):
                assert (await error(client, "lock_diff", against=text))["code"] == "not-a-revision", text
            assert (await error(client, "lock_diff", against="HEAD"))["code"] == "no-repository"
            for text in ("--help", "-p", "../../outside", "--lock=x"):
                assert (await error(client, "run", task=text))["code"] == "no-such-task"
                assert (await answer(client, "why", name=text))["exit"] == 1
                assert (await error(client, "sync_plan", members=[text]))["code"] == "unknown-member"
            for uri in (
                "pypm://member/../../outside",
                "pypm://member/%2e%2e",
                "pypm://lock/../x",
                "pypm://outside",
            ):
                with pytest.raises(MCPError, match="no such resource"):
                    await client.read_resource(uri)

    asyncio.run(look())


@pytest.mark.slow
@pytest.mark.parametrize("link", ["pypm.lock", "packages/b/pyproject.toml", "pypm-workspace.toml"])
def test_what_a_link_brings_in_is_not_read(
    shared: HttpServer, stage: Stage, outside: Path, link: str
) -> None:
    (stage.root / link).unlink()
    (stage.root / link).symlink_to(outside / "secret.toml")

    async def look() -> None:
        async with shared.client() as client:
            for tool, arguments in (
                ("lock_check", {}),
                ("why", {"name": "idna"}),
                ("add", {"requirements": ["x"]}),
            ):
                found = await error(client, tool, **arguments)
                assert SECRET not in json.dumps(found)
                assert found["code"] == "outside-workspace" and found["path"] == link
            for uri in ("pypm://lock", "pypm://member/b"):
                with pytest.raises(MCPError) as raised:
                    await client.read_resource(uri)
                assert SECRET not in json.dumps(raised.value.error.model_dump())

    asyncio.run(look())


@pytest.mark.slow
def test_a_member_that_is_a_link_is_none(shared: HttpServer, stage: Stage, outside: Path) -> None:
    (stage.root / "packages" / "c").symlink_to(outside)

    async def look() -> None:
        async with shared.client() as client:
            found = await error(client, "graph")
            assert found["code"] == "outside-workspace" and SECRET not in json.dumps(found)

    asyncio.run(look())


@pytest.mark.slow
def test_no_secret_is_in_any_answer(stage: Stage) -> None:
    """Passwords of addresses and values of variables, in answers, errors, progress and what tasks print."""
    stage.do(Block("index", "", "leaky 1.0\n", 0))
    inner = stage.server.url.replace("://", f"://inline:{SECRET}-1@")
    workspace = stage.root / "pypm-workspace.toml"
    text = workspace.read_text().replace(stage.server.url, inner)
    task = '\n[tasks.leak]\ncommand = "env; echo $GITHUB_TOKEN 1>&2"\n'
    workspace.write_text(text + task)
    environ = {
        "PYPM_INDEX_URL": stage.server.url.replace("://", f"://user:{SECRET}-2@"),
        "GITHUB_TOKEN": f"{SECRET}-3",
        "PYPM_INDEX_EXTRA_PASSWORD": f"{SECRET}-4",
        "PYPM_MCP_TOKEN": f"{SECRET}-5",
        "PYPM_OSV_URL": f"http://user:{SECRET}-6@127.0.0.1:9/",
    }
    seen: list[Any] = []

    async def tell(progress: float, total: float | None, message: str | None) -> None:
        seen.append(message)

    async def look() -> None:
        async with stdio(stage, "--allow-write", **environ) as client:
            for tool, arguments in (
                ("lock_diff", {"upgrade": True}),
                ("sync_plan", {}),
                ("what_if", {"requirements": ["leaky"], "members": ["a"]}),
                ("run", {"task": "leak", "members": ["a"]}),
            ):  # fmt: skip
                result = await client.call_tool(tool, arguments, progress_callback=tell)
                assert not result.is_error, result.structured_content
                seen.append(result.model_dump(mode="json"))
            stage.server.fail("/simple/", "status", status=403)
            for tool, arguments in (
                ("what_if", {"requirements": ["nothing"], "members": ["a"]}),
                ("outdated", {}),
            ):  # fmt: skip
                result = await client.call_tool(tool, arguments)
                assert result.is_error, result.structured_content
                seen.append(result.model_dump(mode="json"))
            for resource in (await client.list_resources()).resources:
                seen.append((await client.read_resource(resource.uri)).model_dump(mode="json"))

    asyncio.run(look())
    told = json.dumps(seen)
    assert "GITHUB_TOKEN=****" in told and "PYPM_MCP_TOKEN" not in told
    assert SECRET not in told


def test_secrets_are_hidden_wherever_they_are() -> None:
    secrets = Secrets(
        {
            "NPM_TOKEN": "abcdefgh",
            "DB_PASSWORD": "abcdefghij",
            "PROXY": "http://u:tr%C3%B6delfass@proxy.example.test:80",
            "TOKEN_FILE": "/home/of/nobody",
            "MY_SECRET": "12345",
            "PATH": "/usr/bin",
        }
    )
    assert secrets.hidden({"abcdefgh": ["x abcdefghij y", 1, None, True]}) == {
        HIDDEN: [f"x {HIDDEN} y", 1, None, True]
    }
    assert secrets.hidden("trödelfass 12345 /usr/bin") == f"{HIDDEN} 12345 /usr/bin"
    assert "passw" not in secrets.hidden("at https://user:passw@host.example.test/x?token=passw")


@pytest.mark.slow
def test_only_those_who_show_the_token_by_a_right_name_are_served(shared: HttpServer) -> None:
    port = shared.url.rsplit(":", 1)[1].split("/")[0]
    right = {"Authorization": f"Bearer {shared.token}"}
    start = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "x", "version": "1"}}
    message = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": start}
    accepts = {"Accept": "application/json, text/event-stream"}

    def status(method: str = "POST", path: str = "/mcp", **headers: str) -> int:
        url = shared.url.removesuffix("/mcp") + path
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        answered = httpx2.request(method, url, json=message, headers=accepts | named)
        assert shared.token not in answered.text
        return answered.status_code

    assert status(**right) == 200
    assert status() == 401
    assert status(Authorization="Bearer") == status(Authorization="Bearer x") == 401
    assert (
        status(Authorization=f"Bearer {shared.token}x")
        == status(Authorization=f"Bearer {shared.token[:-1]}")
        == 401
    )
    assert status(Authorization=f"Basic {shared.token}") == 401
    assert status("GET") == status("DELETE") == status("GET", "/") == status("GET", "/docs") == 401
    for host in (
        "evil.example.test",
        f"evil.example.test:{port}",
        f"127.0.0.1:{port}.example.test",
        "localhost",
    ):
        assert status(**right, Host=host) == 421, host
    assert status(**right, Host=f"localhost:{port}") == status(**right, Host=f"[::1]:{port}") == 200
    for origin in (
        "http://evil.example.test",
        "null",
        f"http://127.0.0.1:{port}.example.test",
        "http://localhost",
    ):
        assert status(**right, Origin=origin) == 403, origin
    assert status(**right, Origin=f"http://localhost:{port}") == 200


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("8765", ("127.0.0.1", 8765)),
        (":0", ("127.0.0.1", 0)),
        ("localhost:80", ("localhost", 80)),
        ("127.0.0.2:1", ("127.0.0.2", 1)),
        ("[::1]:8765", ("::1", 8765)),
        ("0.0.0.0:0", NotLoopback),
        ("[::]:0", NotLoopback),
        ("192.0.2.1:80", NotLoopback),
        ("agents.example.test:80", NotLoopback),
        ("127.0.0.1.example.test:80", NotLoopback),
        ("127.0.0.1", BadListen),
        ("127.0.0.1:99999", BadListen),
        ("", BadListen),
        (":-1", BadListen),
    ],
)
def test_only_loopback_is_listened_on_unless_names_are_said(
    address: str, expected: tuple[str, int] | type[PypmError]
) -> None:
    if isinstance(expected, tuple):
        listen = listen_of(address, ())
        assert (listen.host, listen.port) == expected
    else:
        with pytest.raises(expected):
            listen_of(address, ())
    if expected is NotLoopback:
        listen = listen_of(address, ("Agents.example.test",))
        hosts = allowed_hosts(listen, 99)
        assert {"agents.example.test", "agents.example.test:99"} <= hosts
        assert not {"localhost:99", "127.0.0.1:99"} & hosts


@pytest.mark.parametrize(
    ("text", "mode"),
    [("abc", 0o600), ("x" * 40, 0o644), ("x" * 40, 0o620), ("x y" * 20, 0o600), ("ü" * 30, 0o600)],
)
def test_a_token_that_others_can_read_or_guess_is_refused(tmp_path: Path, text: str, mode: int) -> None:
    (tmp_path / "token").write_text(text)
    (tmp_path / "token").chmod(mode)
    with pytest.raises(BadToken) as raised:
        token_of("token", {}, tmp_path)
    assert text not in str(raised.value.to_json())


def test_tokens_come_from_a_file_else_a_variable_else_are_new(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("f" * 40 + "\n")
    (tmp_path / "token").chmod(0o600)
    environ = {"PYPM_MCP_TOKEN": "v" * 40}
    assert token_of("token", environ, tmp_path) == "f" * 40
    assert token_of(None, environ, tmp_path) == "v" * 40
    assert token_of(None, {}, tmp_path) is None
    with pytest.raises(BadToken):
        token_of("none", environ, tmp_path)
    with pytest.raises(BadToken):
        token_of(None, {"PYPM_MCP_TOKEN": "short"}, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "code"),
    [("--http 0.0.0.0:0", "not-loopback"), ("--token-file x", "usage"), ("--allow-host x", "usage")],
)
def test_a_server_that_would_be_open_does_not_start(tmp_path: Path, words: str, code: str) -> None:
    done = subprocess.run(
        pypm("mcp", *words.split()), cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout) == (2, "") and done.stderr.startswith(f"error[{code}]")


@pytest.mark.slow
def test_a_token_of_ones_own_is_not_printed(stage: Stage) -> None:
    file = stage.home / "token"
    file.write_text("my-own-token-my-own-token\n")
    file.chmod(0o600)
    words = ("--http", "127.0.0.1:0", "--token-file", str(file), "--allow-host", "agents.example.test")
    process = subprocess.Popen(
        pypm("mcp", *words),
        cwd=stage.root, env=environ_of(stage), stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stderr is not None
    url = process.stderr.readline().split()[1]
    for host in ("agents.example.test", f"agents.example.test:{url.split(':')[2][:-4]}"):
        headers = {"Authorization": "Bearer my-own-token-my-own-token", "Host": host}
        assert httpx2.get(url, headers=headers).status_code not in (401, 403, 421)
    process.terminate()
    assert "token" not in process.communicate(timeout=30)[1]


@pytest.mark.slow
def test_without_the_extra_the_line_to_type_is_told(tmp_path: Path) -> None:
    code = "import sys; sys.modules['mcp'] = None; from pypm._entry import main; sys.exit(main(['mcp']))"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.startswith("error[mcp-missing]: `pypm mcp` needs the extra mcp of pypm")
    assert "pip install 'pypm[mcp]'" in done.stderr
