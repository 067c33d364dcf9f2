from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Literal

import pytest

from valetkey.errors import ConfigurationError
from valetkey.model.credentials import AppCredentials
from valetkey.model.wiring import Wiring, default_wiring, wire_secret
from valetkey.values import Secret

CANARY = "c4n4ry"


@dataclass(frozen=True)
class Account:
    key: Secret
    region: Literal["eu", "us"] = "eu"
    retries: int = 3
    ratio: float | None = None
    labels: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Picky:
    key: str

    def __post_init__(self) -> None:
        if self.key != "good":
            message = f"{self.key} is bad"
            raise ValueError(message)


class FakeModel:
    """What valetkey looks for in a pydantic model, and nothing else."""

    def __init__(self, **members: Any) -> None:
        self.members = members

    @classmethod
    def model_validate(cls, members: dict[str, Any]) -> FakeModel:
        if "key" not in members:
            raise FakeValidationError
        return cls(**members)

    def model_dump(self) -> dict[str, Any]:
        return self.members


class FakeValidationError(ValueError):
    def __str__(self) -> str:
        return f"input was {CANARY}"

    def errors(self) -> list[dict[str, Any]]:
        return [{"loc": ("key",), "msg": "missing", "input": CANARY}]


def secret(schema: type[Any] | None = None) -> Any:
    return Wiring().secret("api", schema=schema)


def test_a_declared_secret_is_found_by_its_id() -> None:
    declared = wire_secret("api", display_name="API", description="what for", schema=Account, secret_id="prod/api")
    assert default_wiring().secret_for("prod/api") is declared
    assert default_wiring().secret_for("api") is None
    assert declared.schema is Account


def test_name_and_id_default_to_the_name() -> None:
    declared = secret()
    assert (declared.display_name, declared.secret_id) == ("api", "api")


def test_declaring_a_secret_again_changes_nothing_and_otherwise_is_refused() -> None:
    wiring = Wiring()
    first = wiring.secret("api", schema=Account)
    assert wiring.secret("api", schema=Account) is first
    with pytest.raises(ConfigurationError, match='secret "api"') as caught:
        wiring.secret("api")
    assert caught.value.code == "duplicate_secret"
    with pytest.raises(ConfigurationError, match='secret "other"') as caught:
        wiring.secret("other", secret_id="api")
    assert caught.value.code == "duplicate_secret"
    assert wiring.secrets() == (first,)


@pytest.mark.parametrize(
    ("name", "fields", "code"),
    [
        pytest.param("", {}, "missing_name", id="no name"),
        pytest.param("a b", {}, "invalid_name", id="bad name"),
        pytest.param("api", {"secret_id": ""}, "missing_secret_id", id="empty id"),
        pytest.param("api", {"schema": dict}, "field_type", id="schema of another kind"),
        pytest.param("api", {"colour": "red"}, "unknown_field", id="unknown field"),
    ],
)
def test_a_mistake_in_a_secret_is_told(name: str, fields: dict[str, Any], code: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        wire_secret(name, **fields)
    assert caught.value.code == code
    assert caught.value.hint


def test_the_app_of_a_credential_is_checked_against_its_own_declaration_or_the_usual() -> None:
    wiring = Wiring()
    credential = wiring.oauth2_credential("github", preset="github")
    usual = wiring.app_secret(credential)
    assert (usual.schema, usual.secret_id) == (AppCredentials, "github-app-credentials")
    own = wiring.secret("github-app-credentials", schema=Account)
    assert wiring.app_secret(credential) is own


def test_app_credentials_make_the_round_trip() -> None:
    declared = secret(AppCredentials)
    app = AppCredentials(client_id="id", client_secret=Secret("s"))
    kept = declared.dump(app)
    assert json.loads(kept) == {"client_id": "id", "client_secret": "s"}
    assert declared.parse(kept) == app
    assert declared.parse(declared.dump({"client_id": "id"})) == AppCredentials(client_id="id")


def test_a_secret_without_schema_is_text() -> None:
    assert secret().parse("x y").reveal() == "x y"
    assert secret().dump(Secret("x")) == "x"
    assert secret().dump("x") == "x"


def test_members_are_of_the_types_that_the_schema_says() -> None:
    made = secret(Account).parse('{"key": "k", "region": "us", "retries": 5, "ratio": 1, "labels": ["a"]}')
    assert made == Account(Secret("k"), "us", 5, 1, ["a"])


@pytest.mark.parametrize(
    ("value", "message"),
    [
        pytest.param(CANARY, "no JSON object", id="text"),
        pytest.param(f'["{CANARY}"]', "no JSON object", id="list"),
        pytest.param('{"retries": 5}', '"key" is missing', id="missing"),
        pytest.param('{"key": ""}', '"key" is missing', id="empty"),
        pytest.param(f'{{"key": "{CANARY}", "regions": 1}}', 'no field "regions"; did you mean "region"', id="unknown"),
        pytest.param(f'{{"key": ["{CANARY}"]}}', '"key" is of the wrong type', id="secret of wrong type"),
        pytest.param(f'{{"key": "k", "region": "{CANARY}"}}', '"region" is of the wrong type', id="not of the words"),
        pytest.param(f'{{"key": "k", "retries": "{CANARY}"}}', '"retries" is of the wrong type', id="text for number"),
        pytest.param('{"key": "k", "retries": true}', '"retries" is of the wrong type', id="flag for number"),
        pytest.param(f'{{"key": "k", "ratio": "{CANARY}"}}', '"ratio" is of the wrong type', id="optional number"),
    ],
)
def test_a_value_that_does_not_fit_is_refused_without_showing_it(value: str, message: str) -> None:
    for act in (secret(Account).parse, secret(Account).dump):
        with pytest.raises(ConfigurationError, match='secret "api": ') as caught:
            act(value)
        error = caught.value
        assert error.code == "secret_invalid"
        assert message in str(error)
        assert "valetkey secret set api" in error.hint
        assert "key, region, retries" in error.hint
        assert CANARY not in f"{error} {error.hint} {error.__cause__}"


def test_what_a_schema_says_of_a_value_is_not_repeated() -> None:
    with pytest.raises(ConfigurationError, match=r"refused it \(ValueError\)") as caught:
        secret(Picky).parse(f'{{"key": "{CANARY}"}}')
    assert CANARY not in str(caught.value)
    assert caught.value.__suppress_context__


def test_a_pydantic_model_is_taken_by_its_shape() -> None:
    declared = secret(FakeModel)
    assert declared.parse('{"key": "k"}').members == {"key": "k"}
    assert declared.dump(FakeModel(key=Secret("k"))) == '{"key":"k"}'
    with pytest.raises(ConfigurationError, match="not as its schema wants it: key") as caught:
        declared.parse("{}")
    assert CANARY not in f"{caught.value} {caught.value.hint}"


@pytest.mark.parametrize("value", [7, {"key": object()}, ["a"]])
def test_a_value_that_json_cannot_hold_is_refused(value: object) -> None:
    with pytest.raises(ConfigurationError) as caught:
        secret(Account).dump(value)
    assert caught.value.code == "secret_invalid"
