"""Key pairs of apps: made, given, shown, published and replaced."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from joserfc import jwk
from starlette.testclient import TestClient

from shared.certificates import self_signed
from valetkey.core import Core
from valetkey.desk import Desk
from valetkey.protocol.signing import generate_key
from valetkey.server.app import application

BANK = {"client_auth": "private_key_jwt", "display_name": "Bank"}


@pytest.fixture
def bank(bare: Any) -> Any:
    """Return the command with a credential whose app proves itself by a key, and that has no app yet."""
    bare.declare("bank", app=False, **BANK)
    return bare


def published(kit: Any) -> list[dict[str, str]]:
    """Return what the server publishes; nobody is signed in."""
    with kit.session() as session:
        core: Core = session.core
        client = TestClient(application(core, Desk(core), base_url=None), base_url="http://127.0.0.1")
        answer = client.get("/.well-known/valetkey/bank/jwks.json")
        assert client.get("/.well-known/valetkey/other/jwks.json").status_code == 404
    if answer.status_code == 404:
        return []
    assert answer.headers["cache-control"] == "public, max-age=300"
    assert answer.headers["content-type"].startswith("application/jwk-set+json")
    keys: list[dict[str, str]] = answer.json()["keys"]
    return keys


def test_a_key_is_made_before_there_is_an_app_and_used_from_the_start(bank: Any) -> None:
    assert published(bank) == []
    made = bank.run("app", "make-key", "bank")
    jwk = json.loads(made.out)
    assert (made.code, jwk["kty"], jwk["alg"], jwk["use"]) == (0, "EC", "ES256", "sig")
    assert "d" not in jwk
    assert published(bank) == [jwk], "the provider can fetch it before there is a client id"

    bank.ok("app", "add", "bank", "--client-id", "valetkey-at-bank")

    shown = bank.run("app", "show", "bank", "--json").json["app"]
    assert [(key["role"], key["kid"]) for key in shown["keys"]] == [("in_use", jwk["kid"])]
    assert f"{jwk['kid']} (ES256, in use)" in bank.ok("app", "show", "bank")
    assert published(bank) == [jwk]


def test_a_second_key_waits_and_both_are_published_until_the_old_one_is_erased(bank: Any) -> None:
    bank.ok("app", "make-key", "bank")
    bank.ok("app", "add", "bank", "--client-id", "valetkey-at-bank")
    first = published(bank)[0]["kid"]

    again = bank.run("app", "make-key", "bank", "--alg", "Ed25519", "--json").json

    assert again["role"] == "next"
    assert again["pem"].startswith("-----BEGIN PUBLIC KEY-----")
    assert [key["kid"] for key in published(bank)] == [first, again["kid"]]
    assert "use-key" in bank.ok("app", "show", "bank")

    assert bank.run("app", "use-key", "bank", "--json").json["state"] == "waiting"
    keys = bank.run("app", "show", "bank", "--json").json["app"]["keys"]
    assert [(key["role"], key["kid"]) for key in keys] == [("in_use", first), ("new", again["kid"])]
    assert [key["kid"] for key in published(bank)] == [first, again["kid"]]
    assert bank.run("app", "use-key", "bank", "--json").json["error"]["code"] == "next_key_missing"

    bank.ok("app", "replace", "bank", "--withdraw")
    assert [key["kid"] for key in published(bank)] == [first]


def test_a_key_is_published_once_and_under_the_id_that_the_provider_gave_it(bank: Any, tmp_path: Path) -> None:
    file = tmp_path / "key.pem"
    file.write_bytes(jwk.ECKey.generate_key("P-256").as_pem(private=True))

    bank.ok("app", "add", "bank", "--client-id", "b", "--private-key-file", str(file), "--key-id", "K-7")

    assert [key["kid"] for key in published(bank)] == ["K-7"], "as its assertions say"


def test_a_key_of_ones_own_is_taken_from_a_file_or_stdin_and_never_shown(bank: Any, tmp_path: Path) -> None:
    key = generate_key("PS256").reveal()
    file = tmp_path / "key.json"
    file.write_text(key)

    bank.ok("app", "add", "bank", "--client-id", "a", "--private-key-file", str(file))
    shown = bank.ok("app", "show", "bank") + bank.ok("app", "show", "bank", "--json")
    assert json.loads(key)["kid"] in shown
    assert json.loads(key)["d"] not in shown

    other = generate_key("ES256").reveal()
    bank.ok("app", "make-key", "bank", "--private-key-file", "-", text=other)
    assert published(bank)[1]["kid"] == json.loads(other)["kid"]

    for given, code in (("hunter2", "private_key_unreadable"), ("", "private_key_unreadable")):
        ran = bank.run("app", "make-key", "bank", "--private-key-file", "-", "--json", text=given)
        assert (ran.code, ran.json["error"]["code"]) == (2, code)
        assert "hunter2" not in ran.out + ran.err
    missing = bank.run("app", "make-key", "bank", "--private-key-file", str(tmp_path / "none"), "--json")
    assert missing.json["error"]["code"] == "file_unreadable"


def test_a_certificate_is_kept_with_its_key_and_shown_by_subject_and_thumbprint(bare: Any, tmp_path: Path) -> None:
    bare.declare(
        "bank",
        app=False,
        client_auth="self_signed_tls_client_auth",
        sender_constraint="mtls",
        issuer="https://bank.example",
        token_url="https://bank.example/token",
    )
    certificate, key = self_signed("valetkey")
    _, other = self_signed("other")
    for name, text in (("crt", certificate), ("key", key), ("other", other)):
        (tmp_path / name).write_text(text)
    add = ("app", "add", "bank", "--client-id", "a", "--certificate-file", str(tmp_path / "crt"), "--private-key-file")

    assert bare.run(*add, str(tmp_path / "other"), "--json").json["error"]["code"] == "certificate_unfit"
    bare.ok(*add, str(tmp_path / "key"))

    shown = bare.ok("app", "show", "bank")
    assert "CN=valetkey, x5t#S256 " in shown
    assert "ends in " in shown
    bare.ok("app", "add", "bank", "--client-id", "b")
    assert "CN=valetkey" in bare.ok("app", "show", "bank"), "another client id does not lose it"


def test_a_key_that_signs_the_secret_is_added_with_the_id_that_the_provider_gave_it(bare: Any, tmp_path: Path) -> None:
    key = jwk.ECKey.generate_key("P-256").as_pem(private=True).decode()
    file = tmp_path / "AuthKey.p8"
    file.write_text(key)
    add = ("app", "add", "apple", "--client-id", "com.example.web", "--param", "team_id=TEAM123456")

    added = bare.run(
        *add, "--private-key-file", str(file), "--key-id", "ABC123DEFG", "--redirect-uri", "https://a.example/"
    )
    assert added.code == 0
    assert "-> connect on a page of `valetkey serve" in added.err
    bare.ok(*add)  # again, and the key stays
    with bare.session() as session:
        core: Core = session.core
        app = core.app(core.credential("apple"))
    assert (app.client_id, app.key_id, app.client_secret) == ("com.example.web", "ABC123DEFG", None)
    assert app.private_key is not None
    assert app.private_key.reveal().strip() == key.strip()

    assert bare.run(*add, "--key-id", "ABC123DEFG").code == 2


def test_where_a_key_signs_the_secret_no_text_is_taken_for_it(bare: Any) -> None:
    add = ("app", "add", "apple", "--client-id", "com.example.web", "--param", "team_id=TEAM123456")

    for ran in (bare.run(*add, "--secret-stdin", text="canary-secret\n"), bare.run(*add)):
        assert (ran.code, ran.out) == (2, "")
        assert "[private_key_missing]" in ran.err
        assert "give --private-key-file and --key-id" in ran.err
        assert "canary-secret" not in ran.err
    assert bare.run("app", "show", "apple").code == 2, "nothing was declared"


def test_the_id_of_a_key_from_a_variable_is_what_it_signs_under(
    bare: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "AuthKey.p8"
    file.write_bytes(jwk.ECKey.generate_key("P-256").as_pem(private=True))
    add = ("app", "add", "apple", "--client-id", "com.example.web", "--param", "team_id=TEAM123456")
    bare.ok(*add, "--private-key-file", str(file), "--key-id", "ABC123DEFG")
    assert "key            ABC123DEFG (ES256, in use)" in bare.ok("app", "show", "apple")

    monkeypatch.setenv("VALETKEY_APPLE_PRIVATE_KEY", file.read_text(encoding="ascii"))
    assert "key            ABC123DEFG (ES256, in use)" in bare.ok("app", "show", "apple"), "it is the same key"
    file.write_bytes(jwk.ECKey.generate_key("P-256").as_pem(private=True))
    monkeypatch.setenv("VALETKEY_APPLE_PRIVATE_KEY", file.read_text(encoding="ascii"))
    assert "ABC123DEFG" not in bare.ok("app", "show", "apple"), "another key has another id"
    monkeypatch.setenv("VALETKEY_APPLE_KEY_ID", "XYZ")
    shown = bare.ok("app", "show", "apple")

    assert "key            XYZ (ES256, in use)" in shown
    assert "the variable VALETKEY_APPLE_KEY_ID" in shown
