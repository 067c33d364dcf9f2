"""The programs on the page about MCP servers: the server, and the client that a person signs in for."""

from __future__ import annotations

import os
import shlex
import socket
import subprocess
import sys
import time
from pathlib import Path

from valetkey.testing import PracticeProvider
from valetkey.testing.provider import DEFAULT_CLIENT_ID, DEFAULT_CLIENT_SECRET

ROOT = Path(__file__).parents[2]
BROWSER = ROOT / "tests" / "cli" / "programs" / "browser.py"


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    give_up_at = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < give_up_at:
        with socket.socket() as there:
            if there.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise AssertionError("the server did not start")


def test_the_programs_on_the_page_run(tmp_path: Path) -> None:
    port = free_port()
    with PracticeProvider(auto_approve=True) as login:
        env = {
            **os.environ,
            "LOGIN": login.url,
            "PORT": str(port),
            "MCP_SERVER": f"http://127.0.0.1:{port}/mcp",
            "VALETKEY_HOME": str(tmp_path),
            "VALETKEY_NOTES_CLIENT_ID": DEFAULT_CLIENT_ID,
            "VALETKEY_NOTES_CLIENT_SECRET": DEFAULT_CLIENT_SECRET,
            "BROWSER": f"{shlex.quote(sys.executable)} {shlex.quote(str(BROWSER))} %s &",
        }
        server = subprocess.Popen(
            [sys.executable, str(ROOT / "docs_src" / "mcp_server.py")],
            env=env,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            wait_for(port, server)
            ran = subprocess.run(
                [sys.executable, str(ROOT / "docs_src" / "with_mcp.py")],
                env=env,
                cwd=tmp_path,
                capture_output=True,
                text=True,
                timeout=120,
                check=False,
            )
        finally:
            server.terminate()
            server.wait(30)
    assert (ran.returncode, ran.stdout) == (0, "5\n"), ran.stderr
