"""The conformance runner of the Model Context Protocol over our client: what it says about each scenario."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mcp_client.playing import Stage

HERE = Path(__file__).parent
NODE = HERE / "node_modules" / "node" / "bin" / "node"
RUNNER = HERE / "node_modules" / "@modelcontextprotocol" / "conformance" / "dist" / "index.js"
CHOICES = (
    ("--suite", "auth"),
    ("--suite", "draft"),
    ("--scenario", "auth/client-credentials-basic"),
    ("--scenario", "auth/client-credentials-jwt"),
)
"""All of the auth suite, what the next specification adds, and the extension for apps without a person."""
SCENARIOS = {
    "basic-cimd",
    "client-credentials-basic",
    "client-credentials-jwt",
    "metadata-default",
    "metadata-var1",
    "metadata-var2",
    "metadata-var3",
    "offline-access-not-supported",
    "offline-access-scope",
    "pre-registration",
    "resource-mismatch",
    "scope-from-scopes-supported",
    "scope-from-www-authenticate",
    "scope-omitted-when-undefined",
    "scope-retry-limit",
    "scope-step-up",
    "token-endpoint-auth-basic",
    "token-endpoint-auth-none",
    "token-endpoint-auth-post",
}
_SAID = re.compile(r"-\d{4}-\d{2}-\d{2}T.*$")


@pytest.fixture
def runner(left_out: Any) -> list[str]:
    if not (NODE.is_file() and RUNNER.is_file()):
        left_out("The conformance runner of MCP does", "tests/mcp_client/node_modules is not here; run make test (npm)")
    return [str(NODE), "--no-deprecation", str(RUNNER), "client"]


def judged(folder: Path) -> dict[str, dict[str, str]]:
    """Return what was said about each scenario: its checks that are not well."""
    found: dict[str, dict[str, str]] = {}
    for file in folder.rglob("checks.json"):
        checks = json.loads(file.read_text())
        assert checks
        name = _SAID.sub("", file.parent.name)
        unwell = [check for check in checks if check["status"] not in {"SUCCESS", "INFO"}]
        found[name] = {check["id"]: check.get("errorMessage") or check["description"] for check in unwell}
    return found


@pytest.mark.conformance(
    "1 metadata: resource",
    "1 metadata: scope choice",
    "1 metadata: offline_access",
    "1 metadata: order",
    "2 resource-mismatch",
    "2 scope-step-up",
    "2 scope-retry-limit",
)
def test_the_runner_finds_nothing_to_complain_of(runner: list[str], tmp_path: Path) -> None:
    with Stage(tmp_path) as stage:
        command = f"{sys.executable} -I -S {HERE / 'programs' / 'forward.py'} {stage.address}"
        at_once = [
            subprocess.Popen(
                [*runner, *choice, "--command", command, "-o", str(tmp_path / "said")],
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            for choice in CHOICES
        ]
        said = [process.communicate(timeout=120)[0] for process in at_once]
    found = judged(tmp_path / "said")
    assert found == {name: {} for name in SCENARIOS}, "\n".join(said)
    assert [process.returncode for process in at_once] == [0, 0, 0, 0], "\n".join(said)
