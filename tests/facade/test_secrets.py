"""Secrets of a valet: checked against their declaration when they are set and when they are read."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from valetkey import AppCredentials, ConfigurationError, OAuth2Client, Secret, Valet, Wiring
from valetkey.secret_services.memory import MemorySecrets
from valetkey.testing import Practice
from valetkey.testing.provider import DEFAULT_CLIENT_ID, DEFAULT_CLIENT_SECRET


@dataclass(frozen=True)
class MailServer:
    host: str
    password: Secret


@pytest.fixture
def valet(tmp_path: Path) -> Valet:
    wiring = Wiring()
    wiring.secret("mail", schema=MailServer, secret_id="prod/mail")
    wiring.secret("crm-app", schema=AppCredentials)
    return Valet(tmp_path / "store.db", wiring=wiring)


def test_a_declared_secret_is_written_and_read_as_its_schema(valet: Valet) -> None:
    valet.secrets.write("mail", MailServer("smtp.example.com", Secret("hush")))

    read = valet.secrets.read("prod/mail")

    assert read == MailServer("smtp.example.com", Secret("hush"))
    assert json.loads(valet.secrets.get("mail") or "")["host"] == "smtp.example.com"
    valet.close()


@pytest.mark.parametrize("value", ['{"host": 5, "password": "hush"}', '{"host": "x"}', "hush"])
def test_a_value_that_does_not_fit_is_refused_without_being_shown_and_nothing_is_stored(
    valet: Valet, value: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        valet.secrets.set("mail", value)

    assert caught.value.code == "secret_invalid"
    assert "hush" not in str(caught.value)
    assert valet.secrets.get("mail") is None
    valet.close()


def test_a_value_that_does_not_fit_is_refused_when_it_is_read_too(tmp_path: Path) -> None:
    service = MemorySecrets()
    service.set("prod/mail", "{}")
    wiring = Wiring()
    wiring.secret("mail", schema=MailServer, secret_id="prod/mail")
    with Valet(tmp_path / "store.db", wiring=wiring, secrets=service) as valet:
        with pytest.raises(ConfigurationError, match="host"):
            valet.secrets.get("mail")
        with pytest.raises(ConfigurationError, match="no secret"):
            valet.secrets.read("other")


def test_a_connections_token_object_is_the_secret_under_its_id(practice: Practice) -> None:
    practice.connect("notes")
    practice.connect("notes", owner="a/b", account="work")

    own = json.loads(practice.valet.secrets.get("notes-oauth-token") or "")
    theirs = json.loads(practice.valet.secrets.get("notes-oauth-token/a%2Fb/work") or "")

    assert set(own) >= {"access_token", "refresh_token", "expires_at", "token_type", "scope"}
    assert practice.provider.is_live(theirs["access_token"])
    assert own["access_token"] != theirs["access_token"]


def test_a_client_over_a_plain_secret_service_takes_over_tokens_of_pikku_and_keeps_them_there(
    practice: Practice,
) -> None:
    """camelCase names and milliseconds are understood; what is written is the token object of the contract."""
    practice.connect("notes")
    token = json.loads(practice.valet.secrets.get("notes-oauth-token") or "")
    service = MemorySecrets()
    old = {
        "accessToken": token["access_token"],
        "refreshToken": token["refresh_token"],
        "expiresAt": int(token["expires_at"] * 1000),
        "tokenType": "bearer",
    }
    service.set("github-oauth-token", json.dumps(old))
    app = AppCredentials(client_id=DEFAULT_CLIENT_ID, client_secret=Secret(DEFAULT_CLIENT_SECRET))
    credential = practice.wiring.credential("notes")
    client = OAuth2Client(app, credential, service, "github-oauth-token")
    client._core.clock = practice.clock

    assert client.get("/me").status_code == 200
    practice.clock.advance(3601)
    assert client.get("/me").status_code == 200

    kept = json.loads(service.get("github-oauth-token") or "")
    assert practice.provider.refreshes == 1
    assert practice.provider.is_live(kept["access_token"])
    assert kept["expires_at"] == practice.clock.now() + 3600
    client._core.close()
