"""The fixtures of tests/conftest.py keep their promises."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from valetkey import wire_oauth2_credential

CONFTEST = Path(__file__).with_name("conftest.py")


def run_in_suite(folder: Path, body: str, **environment: str) -> tuple[int, str]:
    """Run a test file under a copy of our conftest; return pytest's exit code and output."""
    (folder / "conftest.py").write_text(CONFTEST.read_text(encoding="utf-8"), encoding="utf-8")
    (folder / "test_it.py").write_text(body, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:randomly", str(folder)]
    ours = ("COVERAGE_", "PYTEST_", "SHARE")
    plain = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    ran = subprocess.run(command, cwd=folder, env=plain | environment, capture_output=True, text=True, check=False)
    return ran.returncode, ran.stdout + ran.stderr


def test_a_test_that_leaves_a_thread_running_is_an_error(tmp_path: Path) -> None:
    code, output = run_in_suite(
        tmp_path,
        """
import threading, conftest
conftest.LEAVE_TIME = 0.05
stay = threading.Event()
def test_leaves():
    threading.Thread(target=stay.wait, name="the-one-left").start()
def test_last():
    stay.set()
""",
    )

    assert code == 1
    assert "the-one-left" in output
    assert "2 passed, 1 error" in output


def test_a_thread_that_ends_by_itself_is_no_error(tmp_path: Path) -> None:
    code, output = run_in_suite(
        tmp_path,
        """
import threading
from concurrent.futures import ThreadPoolExecutor
def test_ends():
    threading.Timer(0.05, print).start()
    ThreadPoolExecutor(1).submit(print)
""",
    )

    assert code == 0, output


def test_settings_of_the_machine_do_not_show(tmp_path: Path) -> None:
    code, output = run_in_suite(
        tmp_path,
        """
import os, pathlib
def test_environment(tmp_path):
    assert not {"VALETKEY_ENV", "VALETKEY_GITHUB_CLIENT_SECRET", "NO_COLOR", "HTTPS_PROXY"} & set(os.environ)
    assert tmp_path in pathlib.Path.home().parents
    assert tmp_path in pathlib.Path(os.environ["VALETKEY_HOME"]).parents
""",
        VALETKEY_ENV="prod",
        VALETKEY_GITHUB_CLIENT_SECRET="s3cret",
        NO_COLOR="1",
        HTTPS_PROXY="http://127.0.0.1:9",
    )

    assert code == 0, output


def test_each_test_has_a_data_folder_of_its_own(tmp_path: Path) -> None:
    import platformdirs

    assert tmp_path in Path(platformdirs.user_data_dir("valetkey")).parents


@pytest.mark.parametrize("declared", [pytest.param(1, id="first"), pytest.param(2, id="second")])
def test_what_a_test_declares_is_gone_in_the_next(declared: int) -> None:
    wire_oauth2_credential(  # the same name twice, differently, would be an error
        "left-over",
        authorization_url=f"https://login{declared}.example.com/authorize",
        token_url="https://login.example.com/token",
        secret_id="app",
        token_secret_id="token",
    )


@pytest.mark.parametrize(("ci", "ended"), [("true", "2 failed"), ("", "2 skipped")])
def test_what_cannot_run_here_is_left_out_aloud_and_fails_where_it_must_run(
    tmp_path: Path, ci: str, ended: str
) -> None:
    _, output = run_in_suite(
        tmp_path,
        """
def test_pipes(left_out):
    left_out.without("sh", "no-such-tool", what="The walk does")
def test_pipes_too(left_out):
    left_out.without("no-such-tool", what="The walk does")
""",
        CI=ci,
    )

    assert ended in output
    assert "The walk does not run: no-such-tool not found; install it" in output
    assert output.count("**** The walk does") == (0 if ci else 1)
