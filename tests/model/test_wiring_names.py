from __future__ import annotations

import enum
import uuid

import pytest

from valetkey.errors import ConfigurationError
from valetkey.model.credentials import OAuth2Credential
from valetkey.model.wiring import check_account, check_env, check_owner, current_env

SHARED = OAuth2Credential(name="slack")
OWNED = OAuth2Credential(name="slack", per_owner=True)


class Role(str, enum.Enum):  # noqa: UP042 - the older spelling is the one whose str() is not its value
    ADMIN = "admin"


@pytest.mark.parametrize(
    ("given", "owner"),
    [
        pytest.param("ada", "ada", id="text"),
        pytest.param(0, "0", id="zero is an id"),
        pytest.param(42, "42", id="number"),
        pytest.param(uuid.UUID(int=7), "00000000-0000-0000-0000-000000000007", id="uuid"),
        pytest.param(Role.ADMIN, "admin", id="enum"),
        pytest.param("zoë / 💎", "zoë / 💎", id="any script"),
        pytest.param("a" * 200, "a" * 200, id="long"),
    ],
)
def test_an_owner_is_an_id(given: object, owner: str) -> None:
    assert check_owner(given, OWNED) == owner
    assert type(check_owner(given, SHARED)) is str


@pytest.mark.parametrize(
    "given",
    [
        pytest.param("", id="empty"),
        pytest.param("  ", id="blank"),
        pytest.param("\x00", id="nul"),
        pytest.param("a\nb", id="newline"),
        pytest.param("a\u2028b", id="line separator"),
        pytest.param("a\x9bb", id="C1 control"),
        pytest.param("a\udcffb", id="surrogate"),
        pytest.param("a" * 201, id="too long"),
        pytest.param(True, id="flag"),
        pytest.param(False, id="no flag"),
        pytest.param(1.5, id="float"),
        pytest.param(b"ada", id="bytes"),
        pytest.param(object(), id="object"),
        pytest.param([], id="list"),
    ],
)
@pytest.mark.parametrize("credential", [SHARED, OWNED], ids=["shared", "per_owner"])
def test_an_owner_that_is_no_id_is_refused(given: object, credential: OAuth2Credential) -> None:
    with pytest.raises(ConfigurationError, match='credential "slack": the owner') as caught:
        check_owner(given, credential)
    assert caught.value.code == "owner_invalid"
    assert ("leave it out" in caught.value.hint) is not credential.per_owner


def test_without_owner_it_is_the_programs_own_grant() -> None:
    assert check_owner(None, SHARED) is None


def test_a_credential_per_owner_wants_one() -> None:
    with pytest.raises(ConfigurationError, match="per_owner, and no owner is given") as caught:
        check_owner(None, OWNED)
    assert caught.value.code == "owner_required"
    assert 'valet.client("slack", owner=' in caught.value.hint


@pytest.mark.parametrize("account", ["", "work", "Ada's own", "a" * 200])
def test_an_account_is_a_label(account: str) -> None:
    assert check_account(account) == account


@pytest.mark.parametrize("account", [None, 3, "  ", "a\tb", "a" * 201])
def test_an_account_that_is_no_label_is_refused(account: object) -> None:
    with pytest.raises(ConfigurationError, match="account: the label") as caught:
        check_account(account)
    assert caught.value.code == "account_invalid"
    assert 'account="work"' in caught.value.hint


@pytest.mark.parametrize("env", ["", " ", "a\nb", "a" * 201, 3])
def test_an_environment_needs_a_name(env: object) -> None:
    with pytest.raises(ConfigurationError, match="environment: the name") as caught:
        check_env(env)
    assert caught.value.code == "env_invalid"
    assert "VALETKEY_ENV" in caught.value.hint


def test_the_environment_is_the_argument_then_the_variable_then_default(monkeypatch: pytest.MonkeyPatch) -> None:
    assert current_env() == "default"
    monkeypatch.setenv("VALETKEY_ENV", "")
    assert current_env() == "default"
    monkeypatch.setenv("VALETKEY_ENV", "prod")
    assert current_env() == "prod"
    assert current_env("dev") == "dev"
    with pytest.raises(ConfigurationError):
        current_env("")
