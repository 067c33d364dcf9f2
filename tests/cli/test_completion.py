"""Shell completion: scripts, and the names they ask for."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

SHELLS = ["bash", "zsh", "fish"]


def complete(kit: Any, monkeypatch: pytest.MonkeyPatch, *words: str) -> list[str]:
    """Return what bash is offered behind these words."""
    monkeypatch.setenv("_VALETKEY_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", " ".join(["valetkey", *words]))
    monkeypatch.setenv("COMP_CWORD", str(len(words)))
    shown = kit.process(*[]).out
    return [line.split(",", 1)[1] for line in shown.splitlines() if line.startswith("plain,")]


@pytest.mark.parametrize("shell", SHELLS)
def test_the_script_is_printed_and_asks_for_valetkey(shell: str, bare: Any) -> None:
    shown = bare.ok("completion", shell)

    assert "_VALETKEY_COMPLETE" in shown
    assert "valetkey" in shown


@pytest.mark.parametrize("shell", SHELLS)
def test_the_script_is_good_for_its_shell(shell: str, bare: Any, tmp_path: Path, left_out: Any) -> None:
    left_out.without(shell, what=f"The test of the completion in {shell} does")
    script = tmp_path / "script"
    script.write_text(bare.ok("completion", shell))

    ran = subprocess.run([shell, "-n", str(script)], capture_output=True, text=True, check=False)

    assert (ran.returncode, ran.stderr) == (0, "")


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        pytest.param(["con"], ["connect", "connections", "console"], id="commands"),
        pytest.param(["token", "no"], ["notes"], id="credentials"),
        pytest.param(["exec", "notes", "o"], ["other"], id="credentials of exec"),
        pytest.param(["token", ""], ["notes", "other"], id="all credentials"),
        pytest.param(["status", "--che"], ["--check"], id="options"),
        pytest.param(["providers", "show", "gith"], ["github"], id="providers"),
        pytest.param(["app", "rem"], ["remove"], id="commands of a group"),
    ],
)
def test_names_are_completed(words: list[str], offered: list[str], kit: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    kit.declare("other")

    assert complete(kit, monkeypatch, *words) == offered


def test_other_environments_have_other_names(kit: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert complete(kit, monkeypatch, "token", "--env", "prod", "") == []


def test_completing_never_complains(bare: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "home" / "valetkey").write_text("a file where the folder belongs")
    monkeypatch.setenv("VALETKEY_DEBUG", "0")

    assert complete(bare, monkeypatch, "token", "") == []
