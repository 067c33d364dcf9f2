from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from valetkey.errors import ConfigurationError
from valetkey.model.credentials import AppCredentials
from valetkey.model.wiring import Wiring, default_wiring, wire_secret
from valetkey.values import Secret


@dataclass(frozen=True)
class Account:
    key: Secret


class Model:
    """What is looked for in a pydantic model."""

    @classmethod
    def model_validate(cls, members: dict[str, Any]) -> Model:
        return cls(**members)


def test_a_declared_secret_is_found_by_its_id() -> None:
    declared = wire_secret("api", display_name="API", description="what for", schema=Account, secret_id="prod/api")
    assert default_wiring().secret_for("prod/api") is declared
    assert default_wiring().secret_for("api") is None
    assert declared.schema is Account


def test_name_and_id_default_to_the_name() -> None:
    declared = Wiring().secret("api")
    assert (declared.display_name, declared.secret_id) == ("api", "api")


@pytest.mark.parametrize("schema", [Account, AppCredentials, Model, None])
def test_a_schema_is_a_dataclass_or_a_model_or_left_out(schema: type[Any] | None) -> None:
    assert Wiring().secret("api", schema=schema).schema is schema


def test_declaring_a_secret_again_changes_nothing_and_otherwise_is_refused() -> None:
    wiring = Wiring()
    first = wiring.secret("api", schema=Account)
    assert wiring.secret("api", schema=Account) is first
    with pytest.raises(ConfigurationError, match='secret "api"') as caught:
        wiring.secret("api")
    assert caught.value.code == "secret_duplicate"
    with pytest.raises(ConfigurationError, match='secret "other"') as caught:
        wiring.secret("other", secret_id="api")
    assert caught.value.code == "secret_duplicate"
    assert wiring.secrets() == (first,)


@pytest.mark.parametrize(
    ("name", "fields", "code"),
    [
        pytest.param("", {}, "name_missing", id="no name"),
        pytest.param("a b", {}, "name_invalid", id="bad name"),
        pytest.param("api", {"secret_id": ""}, "secret_id_missing", id="empty id"),
        pytest.param("api", {"schema": dict}, "field_type", id="schema of another kind"),
        pytest.param("api", {"colour": "red"}, "field_unknown", id="unknown field"),
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
