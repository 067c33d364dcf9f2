"""The programs in docs_src/ run as they stand, each in a process of its own, and stand on the pages as they run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

CLIENT_ID = "Ov23liEXAMPLE"
CLIENT_SECRET = "0123456789abcdef-EXAMPLE"
REPOSITORIES = "octocat/hello-world\noctocat/spoon-knife\n"
NEVER_CONNECTED = "never_connected; run: valetkey connect github --owner"

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def run(elsewhere: Any, tmp_path: Path) -> Run:  # noqa: ARG001 - it is there for those that are run
    """Run a command line, or a program of docs_src/, as a user would: with GitHub's stand-in behind GitHub's names."""
    programs = Path(__file__).parents[3] / "docs_src"

    def run(program: str, *arguments: str, typed: str = "") -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(programs / program)] if program.endswith(".py") else [program]
        return subprocess.run(
            [*command, *arguments],
            input=typed,
            capture_output=True,
            text=True,
            check=False,
            cwd=tmp_path,
            timeout=120,
        )

    return run


@pytest.fixture
def app_added(run: Run) -> None:
    """Do what the pages say comes first."""
    ran = run("valetkey", "app", "add", "github", "--client-id", CLIENT_ID, "--secret-stdin", typed=CLIENT_SECRET)
    assert ran.returncode == 0, ran.stderr


def out_of(ran: subprocess.CompletedProcess[str]) -> str:
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


@pytest.mark.usefixtures("app_added")
def test_the_quick_start_connects_in_its_first_run_and_is_silent_in_every_later_one(run: Run, elsewhere: Any) -> None:
    first, second = run("quickstart.py"), run("quickstart.py")

    assert out_of(first) == out_of(second) == f"{REPOSITORIES}octocat connected\n"
    assert first.stderr == "Opening your browser for GitHub (Ctrl-C to stop) ...\n"
    assert second.stderr == ""
    assert elsewhere.asked.count("github.com/login/oauth/access_token") == 1


def test_the_quick_start_without_an_app_ends_with_the_command_that_adds_one(run: Run) -> None:
    ran = run("quickstart.py")

    assert ran.returncode == 1
    assert ran.stderr.endswith("\n  -> valetkey app add github\n")


@pytest.mark.usefixtures("app_added")
def test_the_quick_start_says_what_to_do_when_access_was_withdrawn(run: Run) -> None:
    row = {
        "credential": "github",
        "access_token": "withdrawn",
        "token_type": "bearer",
        "obtained_at": time.time() - 3600,
    }
    out_of(run("valetkey", "import", "-", typed=json.dumps(row)))

    ran = run("quickstart.py")

    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr.endswith(" -> run: valetkey connect github\n")
    assert ran.stderr.count("\n") == 1


@pytest.mark.usefixtures("app_added")
def test_the_program_of_the_readme_stops_with_the_hint_until_somebody_connects(run: Run) -> None:
    before = run("readme.py")
    told = out_of(run("valetkey", "connect", "github"))

    assert told == "Connected as octocat. Granted: repo, read:user. Does not expire.\n", "as the program declared"
    assert (before.returncode, before.stderr) == (1, "run: valetkey connect github\n")
    assert out_of(run("readme.py")) == REPOSITORIES


@pytest.mark.usefixtures("app_added")
def test_what_is_declared_by_hand_is_the_same_connection(run: Run, elsewhere: Any) -> None:
    assert out_of(run("by_hand.py")) == REPOSITORIES
    assert out_of(run("quickstart.py")) == f"{REPOSITORIES}octocat connected\n"
    assert out_of(run("by_hand.py")) == REPOSITORIES
    assert elsewhere.asked.count("github.com/login/oauth/authorize") == 1


def test_app_credentials_may_come_from_the_environment(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VALETKEY_GITHUB_CLIENT_ID", CLIENT_ID)
    monkeypatch.setenv("VALETKEY_GITHUB_CLIENT_SECRET", CLIENT_SECRET)

    assert out_of(run("by_hand.py")) == REPOSITORIES


@pytest.mark.usefixtures("app_added")
def test_the_async_program_tells_of_each_user(run: Run) -> None:
    out_of(run("valetkey", "connect", "github", "--owner", "ada"))

    told = out_of(run("async_app.py", "ada", "ben")).splitlines()

    assert told == ["ada: octocat", f"ben: {NEVER_CONNECTED} ben"]


@pytest.mark.usefixtures("app_added")
@pytest.mark.parametrize("program", ["with_requests.py", "with_httpx.py", "with_aiohttp.py"])
def test_other_http_clients_call_the_api_too(run: Run, program: str) -> None:
    out_of(run("valetkey", "connect", "github", "--scope", "repo", "--scope", "read:user"))

    assert out_of(run(program)) == REPOSITORIES


def test_a_secret_service_of_the_programs_own_holds_app_and_token(run: Run, tmp_path: Path) -> None:
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    app = {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
    (secrets / "github-app-credentials").write_text(json.dumps(app))

    assert out_of(run("own_service.py")) == out_of(run("own_service.py")) == "octocat\n"

    token = json.loads((secrets / "github-oauth-token").read_text())
    assert {"access_token", "token_type", "scope"} <= set(token)
    ledger = Path(os.environ["VALETKEY_HOME"]) / "valetkey.db"
    assert token["access_token"].encode() not in ledger.read_bytes()


def test_every_program_stands_on_a_page_as_it_runs(page: Any, root: Path) -> None:
    pages = [page(str(path.relative_to(root))) for path in [root / "README.md", *(root / "docs").rglob("*.md")]]
    shown: dict[str, list[str]] = {}
    for block in [block for each in pages for block in each.blocks("python")]:
        if block.mark.startswith("docs_src/"):
            shown.setdefault(block.mark, []).append(block.text)

    programs = {f"docs_src/{path.name}": path.read_text(encoding="utf-8") for path in (root / "docs_src").glob("*.py")}
    assert set(shown) == set(programs)
    for name, texts in shown.items():
        assert set(texts) == {programs[name]}, f"{name} and the page that shows it differ"
