"""What the documentation shows works, and what it lists is what there is."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from valetkey.model.preset_members import MEMBERS
from valetkey.model.presets import BUILT_IN, lint_preset
from valetkey.model.settings import SETTINGS
from valetkey.model.wiring import reset_default_wiring
from valetkey.model.wiring_files import load_wiring_file

DOCS = Path(__file__).parents[2] / "docs"
MODEL = BUILT_IN.parent / "model"
OURS = (
    *("checks", "checks_placed", "checks_signed", "fapi2", "holes", "names", "preset_data", "presets", "profiles"),
    *("registry", "settings", "templates", "wiring", "wiring_files", "preset_files", "preset_lint", "preset_shape"),
    "checks_dialects",
)


def blocks(page: str, language: str) -> list[str]:
    return re.findall(
        rf"^```{language}\n(.*?)^```", (DOCS / page).read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )


@pytest.mark.parametrize("page", ["declaring.md", "presets.md"])
def test_the_python_of_a_page_runs(page: str, capsys: pytest.CaptureFixture[str]) -> None:
    found = blocks(page, "python")
    names: dict[str, object] = {}
    for number, code in enumerate(found):
        exec(compile(code, f"{page}:{number}", "exec", dont_inherit=True), names)  # noqa: S102
    assert len(found) >= 2
    assert capsys.readouterr().err == ""
    reset_default_wiring()


def test_the_file_on_the_page_loads(tmp_path: Path) -> None:
    (shown,) = blocks("declaring.md", "toml")
    file = tmp_path / "valetkey.toml"
    file.write_text(shown, encoding="utf-8")
    assert [c.name for c in load_wiring_file(file).credentials()] == ["github", "crm"]
    assert load_wiring_file(file, env="dev").credential("crm").token_url.startswith("http://127.0.0.1")


def test_the_preset_on_the_page_is_in_order() -> None:
    shown = [block for block in blocks("presets.md", "toml") if "display_name" in block]
    assert len(shown) == 3
    assert [lint_preset(tomllib.loads(text)) for text in shown] == [[], [], []]


def test_the_fields_that_answer_questions_on_the_page_are_fields() -> None:
    page = (DOCS / "presets.md").read_text(encoding="utf-8")
    table = page.partition("| the provider's documentation says... |")[2].partition("\n\n")[0]
    answers = [row.rpartition(" | ")[2] for row in table.splitlines() if row.startswith("| ")]
    named = {name for cell in answers for name in re.findall(r"`([a-z_]+)(?: = .*?)?`", cell)} - {"true", "false"}
    assert len(named) > 20
    assert named <= set(SETTINGS)


def test_every_code_is_in_the_table() -> None:
    source = "".join((MODEL / f"{name}.py").read_text(encoding="utf-8") for name in OURS)
    raised = set(re.findall(r'code(?:=| = )"([a-z_]+)"', source))
    raised |= {"scopes_not_a_list", "table_unknown"}  # said by a condition
    page = (DOCS / "declaring.md").read_text(encoding="utf-8")
    table = page.partition("| code | what is wrong |")[2]
    cells = [line.split("|")[1] for line in table.splitlines() if line.startswith("|")]
    listed = {code for cell in cells for code in re.findall("`([a-z_]+)`", cell)}
    assert listed == raised


def test_every_member_of_a_preset_is_described() -> None:
    page = (DOCS / "presets.md").read_text(encoding="utf-8")
    described = re.findall(
        r"`\[*([a-z_]+)(?:\.NAME)?\]*`", page.partition("| member |")[2].partition("A preset that")[0]
    )
    assert set(MEMBERS) <= set(described)
