"""The page about testing: its blocks run as they stand."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "testing.md"
BLOCKS = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


def test_the_tests_on_the_page_pass_under_pytest_with_nothing_but_the_installed_plugin(tmp_path: Path) -> None:
    tests = [block for block in BLOCKS if "\ndef test_" in block]
    assert len(tests) == 4
    for number, block in enumerate(tests):
        (tmp_path / f"test_page_{number}.py").write_text(block, encoding="utf-8")

    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error", "--rootdir", "."]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "7 passed" in ran.stdout


@pytest.mark.parametrize("block", [block for block in BLOCKS if "\ndef test_" not in block])
def test_the_programs_on_the_page_run(block: str) -> None:
    exec(compile(block, str(PAGE), "exec"), {"__name__": "__page__"})  # noqa: S102 - the repository's own page


def test_every_switch_of_the_provider_is_on_the_page() -> None:
    from valetkey.testing._faults import Faults
    from valetkey.testing._ledger import Rules

    text = PAGE.read_text(encoding="utf-8")
    internal = {"around", "changed", "rendered", "given", "take_denial", "slow"}
    switches = {name for name in vars(Faults) if not name.startswith("_")} - internal

    assert [name for name in sorted(switches | set(Rules.__dataclass_fields__)) if name not in text] == []
