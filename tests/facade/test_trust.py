"""Nothing that comes from elsewhere decides where a token goes or whose grant it is."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import httpx2
import pytest

from valetkey import ConfigurationError, HostNotAllowed, ProviderUnavailable, Valet, WrongUser, wire_oauth2_credential
from valetkey.errors import StoreUnavailable
from valetkey.testing import Practice, PracticeProvider

HOUR = 3600


@pytest.mark.parametrize("name", ["instance_url", "api_domain", "base_uri", "shop"])
def test_a_callback_says_nothing_about_where_tokens_go(face: Any, name: str) -> None:
    with PracticeProvider(clock=face.practice.clock) as foreign:
        start = face.valet.authorize("notes")
        callback = face.practice.provider.approve(start.url) + f"&{name}={foreign.url}&realmId=123"
        status = face.valet.finish(callback, binding=start.binding)

        assert dict(status.params) == {"realmId": "123"}
        assert face.client().get("/me").status_code == 200
        with pytest.raises(HostNotAllowed):
            face.client().get(f"{foreign.url}/me")
        assert foreign.requests == ()


def test_an_instance_url_of_the_token_answer_is_the_base_and_may_see_the_token(face: Any) -> None:
    with PracticeProvider(clock=face.practice.clock) as instance:
        face.practice.provider.change_answer(None, instance_url=instance.url)
        face.practice.connect("notes")

        assert face.client().get("/open").status_code == 200
        assert [request.path for request in instance.requests] == ["/open"]


@pytest.mark.parametrize("owner", [None, "ben"])
def test_who_finishes_must_be_who_began(face: Any, owner: str | None) -> None:
    start = face.valet.authorize("notes", owner="ada")
    callback = face.practice.provider.approve(start.url)

    with pytest.raises(WrongUser):
        face.valet.finish(callback, binding=start.binding, owner=owner)

    assert face.client(owner="ada").status().state == "pending"


def test_a_valid_token_serves_while_the_store_is_down_and_not_a_second_longer(face: Any) -> None:
    face.practice.connect("notes")
    client = face.client()
    client.get("/me")
    store = face.raw._core.store

    def down(*_: object, **__: object) -> Any:
        raise StoreUnavailable("down")

    for method in ("change_mark", "load", "claim", "note", "find"):
        setattr(store, method, down)
    face.practice.clock.advance(HOUR - 1)
    assert client.get("/me").status_code == 200

    face.practice.clock.advance(2)
    with pytest.raises(StoreUnavailable):
        client.get("/me")


def test_a_client_of_the_programs_own_that_follows_redirects_carries_no_body_away(practice: Practice) -> None:
    practice.declare("versioned", api_headers={"X-Provider": "theirs"})
    with (
        PracticeProvider(clock=practice.clock) as foreign,
        httpx2.Client(follow_redirects=True) as own,
        Valet(**{**practice._options(), "http": own}) as valet,
    ):
        practice.connect("versioned")
        client = valet.client("versioned")

        with pytest.raises(HostNotAllowed):
            client.post("/redirect", params={"to": f"{foreign.url}/open", "status": "307"}, json={"text": "private"})
        assert foreign.requests == ()

        client.get("/redirect", params={"to": f"{foreign.url}/open"})
        assert "x-provider" not in foreign.requests[-1].headers


def test_a_closed_client_of_the_programs_own_is_told_and_holds_no_claim(practice: Practice) -> None:
    own = httpx2.Client()
    with Valet(**{**practice._options(), "http": own}) as valet:
        practice.connect("notes")
        practice.clock.advance(HOUR + 1)
        own.close()

        with pytest.raises(ProviderUnavailable, match="closed"):
            valet.client("notes").get_access_token()

        record = valet._core.store.load(valet.client("notes")._source.key)
        assert record is not None
        assert record.claim is None


# -- valetkey.toml in a folder that somebody else may have filled

EVIL = """
[credentials.notes]
authorization_url = "https://provider.example/authorize"
token_url = "https://provider.example/token"
api_hosts = ["evil.example"]
"""


def declare_and_record() -> None:
    wire_oauth2_credential(
        "notes",
        authorization_url="https://provider.example/authorize",
        token_url="https://provider.example/token",
        api_hosts=["api.provider.example"],
    )
    with Valet() as valet:
        valet.connections()


@pytest.fixture
def cloned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a valetkey.toml in it, which is the current folder."""
    folder = tmp_path / "cloned"
    folder.mkdir()
    (folder / "valetkey.toml").write_text(EVIL)
    (folder / "valetkey.toml").chmod(0o600)
    monkeypatch.chdir(folder)
    return folder


def test_a_file_that_merely_lies_here_does_not_redeclare_what_is_declared(
    cloned: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from valetkey.model.wiring import reset_default_wiring

    monkeypatch.chdir(cloned.parent)
    declare_and_record()
    reset_default_wiring()
    monkeypatch.chdir(cloned)

    with Valet() as valet, pytest.raises(ConfigurationError) as caught:
        valet.client("notes").status()

    assert caught.value.code == "file_not_chosen"
    assert str(cloned / "valetkey.toml") in caught.value.hint
    monkeypatch.chdir(cloned.parent)
    with Valet() as valet:
        assert valet._core.credential("notes").api_hosts == ("api.provider.example",)


def test_a_file_that_is_named_is_believed(cloned: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    declare_and_record()
    from valetkey.model.wiring import reset_default_wiring

    reset_default_wiring()
    monkeypatch.setenv("VALETKEY_CONFIG", str(cloned / "valetkey.toml"))

    with Valet() as valet:
        assert valet._core.credential("notes").api_hosts == ("evil.example",)


def test_the_file_of_a_folder_may_declare_what_nobody_declared_and_be_edited(cloned: Path) -> None:
    with Valet() as valet:
        assert valet.client("notes").status().state == "pending"
    (cloned / "valetkey.toml").write_text(EVIL.replace("evil", "other"))

    with Valet() as valet:
        assert valet._core.credential("notes").api_hosts == ("other.example",)


def test_secrets_in_headers_and_parameters_are_not_recorded() -> None:
    wire_oauth2_credential(
        "ads",
        authorization_url="https://provider.example/authorize",
        token_url="https://provider.example/token",
        api_headers={"developer-token": "canary-header", "X-Version": "7"},
        additional_params={"api_key": "canary-parameter", "token_access_type": "offline"},
    )
    with Valet() as valet:
        valet.connections()

    home = Path(os.environ["VALETKEY_HOME"])
    at_rest = b"".join(path.read_bytes() for path in home.rglob("*") if path.is_file())
    assert b"token_access_type" in at_rest
    assert b"canary" not in at_rest
