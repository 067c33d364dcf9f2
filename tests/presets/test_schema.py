"""The JSON Schema of presets: it takes every one that comes along and what the page shows, and refuses odd forms."""

from __future__ import annotations

import copy
import json
import re
import tomllib
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from valetkey.model.credentials import OAuth2Credential
from valetkey.model.preset_data import OWN_TO_A_PROGRAM
from valetkey.model.preset_members import MEMBERS
from valetkey.model.preset_schema import schema
from valetkey.model.presets import BUILT_IN

DOCS = Path(__file__).parents[2] / "docs"
SCHEMA = json.loads((DOCS / "preset.schema.json").read_text(encoding="utf-8"))
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)


def test_it_is_a_schema_and_that_of_the_model() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert schema() == SCHEMA, "run: make providers"


@pytest.mark.parametrize("path", sorted(BUILT_IN.glob("*.toml")), ids=lambda path: path.stem)
def test_every_preset_that_comes_along_is_valid(path: Path) -> None:
    data = tomllib.loads(path.read_text(encoding="utf-8"))
    assert [error.message for error in VALIDATOR.iter_errors(data)] == []


def test_what_the_page_shows_is_valid() -> None:
    shown = re.findall(
        r"^```toml\n(.*?)^```$", (DOCS / "presets.md").read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )
    whole = [text for text in shown if "display_name" in text]  # the others show a part
    assert len(whole) > 2
    for text in whole:
        assert [error.message for error in VALIDATOR.iter_errors(tomllib.loads(text))] == []


def test_it_describes_every_member_and_every_field() -> None:
    credential = SCHEMA["properties"]["credential"]["properties"]
    wanted = {f.name for f in fields(OAuth2Credential)} - {"name", "source"} - OWN_TO_A_PROGRAM

    assert set(SCHEMA["properties"]) == set(MEMBERS)
    assert set(credential) == wanted
    assert [name for name, described in credential.items() if not described["description"]] == []


Change = Callable[[dict[str, Any]], Any]
GITHUB = tomllib.loads((BUILT_IN / "github.toml").read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda d: d.pop("display_name"), id="no name"),
        pytest.param(lambda d: d.pop("credential"), id="no credential"),
        pytest.param(lambda d: d.update(doc_url="https://a.example"), id="unknown member"),
        pytest.param(lambda d: d.update(docs_url="http://a.example"), id="http"),
        pytest.param(lambda d: d["register_labels"].update(key="x"), id="label"),
        pytest.param(lambda d: d["credential"].update(token_uri="x"), id="unknown field"),
        pytest.param(lambda d: d["credential"].update(secret_id="x"), id="a program's field"),
        pytest.param(lambda d: d["credential"].update(token_url="http://a.example/t"), id="http endpoint"),
        pytest.param(lambda d: d["credential"].update(pkce="no"), id="type"),
        pytest.param(lambda d: d["credential"].update(scopes="a b"), id="scopes"),
        pytest.param(lambda d: d["credential"].update(client_auth="basic"), id="choice"),
        pytest.param(lambda d: d["credential"].update(access_token_lifetime=-1), id="seconds"),
        pytest.param(lambda d: d["credential"].update(error_aliases={"x": "y"}), id="alias"),
        pytest.param(lambda d: d.update(params={"shop": {"patern": "x"}}), id="parameter"),
        pytest.param(lambda d: d["quirks"].append({"text": "x"}), id="quirk"),
        pytest.param(lambda d: d["verified"].update(level="sure"), id="level"),
        pytest.param(lambda d: d["verified"].update(date="2026"), id="date"),
        pytest.param(lambda d: d["well_known_scopes"].update(a={"text": "x", "weight": "much"}), id="weight"),
        pytest.param(lambda d: d.update(legacy={"scopes": "2027-01-01"}), id="last day"),
        pytest.param(lambda d: d.update(sources={"tokenurl": "x"}), id="source"),
    ],
)
def test_what_the_lint_finds_odd_in_form_is_not_valid(change: Change) -> None:
    data = copy.deepcopy(GITHUB)
    change(data)
    assert not VALIDATOR.is_valid(data)
