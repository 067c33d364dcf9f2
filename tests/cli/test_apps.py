"""Adding, listing, showing and removing apps."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

SECRET = "canary-client-secret"
TOML = """
[credentials.notes]
display_name = "Notes"
authorization_url = "https://login.example.com/authorize"
token_url = "https://login.example.com/token"
scopes = ["read"]
"""


@pytest.fixture
def _toml(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Declare ``notes`` in a file."""
    path = tmp_path / "valetkey.toml"
    path.write_text(TOML, encoding="utf-8")
    monkeypatch.setenv("VALETKEY_CONFIG", str(path))


def add(bare: Any, *args: str, secret: str = SECRET) -> Any:
    return bare.run("app", "add", *args, "--client-id", "id-1", "--secret-stdin", text=secret + "\n")


def test_a_known_provider_is_declared_and_its_app_stored(bare: Any) -> None:
    ran = add(bare, "github", "--scope", "repo", "--scope", "read:user")

    assert ran.code == 0
    assert ran.out == 'Stored, sealed, as secret "github-app-credentials".\n'
    assert "https://github.com/settings/developers" in ran.err
    assert "http://127.0.0.1:8421/callback/github" in ran.err
    assert "valetkey connect github" in ran.err
    with bare.session() as session:
        credential = session.credential("github")
        app = session.core.app(credential)
    assert credential.source == "command"
    assert credential.scopes == ("repo", "read:user")
    assert app.client_id == "id-1"
    assert app.client_secret.reveal() == SECRET


def test_a_public_client_whose_calls_carry_its_secret_is_asked_for_it(bare: Any) -> None:
    ran = bare.run("app", "add", "etsy", "--client-id", "id-1")

    assert ran.code == 2
    assert "--secret-stdin" in ran.out + ran.err


def test_the_secrets_that_calls_carry_are_told(bare: Any) -> None:
    ran = add(bare, "google-ads")

    assert "valetkey secret set google-ads-developer-token" in ran.err
    with bare.session() as session:
        ids = session.credential("google-ads").api_header_secrets
    assert ids == {"developer-token": "google-ads-developer-token"}


def test_no_secret_is_ever_shown(bare: Any) -> None:
    added = add(bare, "github")
    shown = [
        added.out,
        added.err,
        *(bare.ok(*words) for words in (["app", "list"], ["app", "show", "github"], ["secret", "list"])),
        *(bare.ok(*words, "--json") for words in (["app", "list"], ["app", "show", "github"], ["secret", "list"])),
    ]

    assert all(SECRET not in text for text in shown)
    fingerprint = json.loads(shown[-2])["app"]["secret"]
    assert len(fingerprint) == 12
    assert fingerprint in shown[2]
    assert re.search(rf"client secret:? +fingerprint {fingerprint}\n", shown[3])


def test_the_same_secret_has_the_same_fingerprint_and_another_another(bare: Any) -> None:
    prints = []
    for name, secret in (("github", SECRET), ("gitlab", SECRET), ("slack", "another")):
        add(bare, name, *(["--param", "host=gitlab.com"] if name == "gitlab" else []), secret=secret)
        prints.append(bare.run("app", "show", name, "--json").json["app"]["secret"])

    assert prints[0] == prints[1] != prints[2]


def test_a_public_client_has_no_secret(bare: Any) -> None:
    bare.ok("app", "add", "github", "--client-id", "id-1", "--public")

    shown = bare.run("app", "show", "github", "--json").json["app"]
    assert (shown["client_id"], shown["secret"]) == ("id-1", None)


def test_a_secret_that_a_public_client_does_not_use_is_warned_about(bare: Any) -> None:
    said = {name: add(bare, name).err for name in ("vk", "etsy", "github")}

    assert 'vk is declared as a public client (client_auth = "none")' in said["vk"]
    assert "--client-auth client_secret_post" in said["vk"]
    assert "public client" not in said["etsy"] + said["github"], "calls carry the one, sign-ins the other"


def test_a_provider_nobody_knows_is_declared_by_its_urls(bare: Any) -> None:
    urls = ["--authorization-url", "https://login.example.com/authorize", "--token-url", "https://login.example.com/t"]

    ran = add(bare, "intern", *urls, "--api-host", "api.example.com", "--per-owner")

    assert ran.code == 0, ran
    shown = bare.run("app", "show", "intern", "--json").json["app"]
    assert shown["token_url"] == "https://login.example.com/t"
    assert shown["api_hosts"] == ["api.example.com"]
    assert shown["per_owner"] is True


def test_another_name_for_a_known_provider_and_its_parameters(bare: Any) -> None:
    assert add(bare, "work", "--preset", "microsoft", "--param", "tenant=contoso.com").code == 0

    shown = bare.run("app", "show", "work", "--json").json["app"]
    assert shown["token_url"] == "https://login.microsoftonline.com/contoso.com/oauth2/v2.0/token"
    assert shown["preset"] == "microsoft"


def test_adding_again_keeps_what_was_declared_and_changes_what_is_given(bare: Any) -> None:
    add(bare, "github", "--scope", "repo", "--redirect-uri", "http://127.0.0.1/mine")
    assert add(bare, "github", "--scope", "gist", secret="new").code == 0

    shown = bare.run("app", "show", "github", "--json").json["app"]
    assert shown["scopes"] == ["gist"]
    assert shown["redirect_uri"] == "http://127.0.0.1/mine"
    assert shown["preset"] == "github"


@pytest.mark.parametrize(
    ("args", "code", "hint"),
    [
        pytest.param(["githb"], "credential_unknown", "--preset", id="no such provider"),
        pytest.param(["mine", "--preset", "githb"], "preset_unknown", "providers search", id="no such preset"),
        pytest.param(["mine", "--token-url", "http://a.example/t"], "", "https", id="a URL in the clear"),
        pytest.param(["github", "--param", "tenant"], "usage", "--help", id="a parameter without value"),
        pytest.param(["a b", "--preset", "github"], "name_invalid", "a-b", id="a name that cannot be one"),
    ],
)
def test_mistakes_name_the_next_step(args: list[str], code: str, hint: str, bare: Any) -> None:
    ran = add(bare, *args)

    assert ran.code == 2
    assert f"[{code}" in ran.err
    assert hint in ran.err
    assert SECRET not in ran.err
    assert bare.run("app", "list", "--json").json["apps"] == []


def test_a_near_provider_is_suggested(bare: Any) -> None:
    assert 'did you mean "github"?' in add(bare, "githb").err


def test_a_secret_and_none_do_not_go_together(bare: Any) -> None:
    assert "[usage]" in add(bare, "github", "--public").err


def test_the_answer_comes_as_json(bare: Any) -> None:
    found = add(bare, "github", "--json").json

    assert (found["name"], found["client_id"], found["secret_id"]) == ("github", "id-1", "github-app-credentials")


def test_the_list_counts_the_connections(kit: Any) -> None:
    kit.connect()
    kit.connect(owner="ada")
    kit.connect(owner="bob")
    kit.ok("disconnect", "notes", "--owner", "bob", "--yes")

    assert [one["connections"] for one in kit.run("app", "list", "--json").json["apps"]] == [2]
    assert kit.ok("app", "list").splitlines()[1].endswith(" 2")
    assert kit.run("app", "remove", "notes", "--yes", "--json").json["connections"] == 2


def test_an_app_of_its_own_has_no_redirect_uri(bare: Any) -> None:
    urls = ["--token-url", "https://login.example.com/t", "--grant", "client_credentials"]

    ran = add(bare, "jobs", *urls)

    assert ran.code == 0, ran
    assert "redirect" not in ran.err
    assert "valetkey token jobs" in ran.err


def test_where_nobody_can_be_asked_the_options_are_named(bare: Any) -> None:
    no_id = bare.run("app", "add", "github")
    no_secret = bare.run("app", "add", "github", "--client-id", "id-1")

    assert (no_id.code, no_secret.code) == (2, 2)
    assert "--client-id" in no_id.err
    assert "--secret-stdin" in no_secret.err
    assert "--public" in no_secret.err


def test_a_person_is_asked_and_the_secret_does_not_show(terminal: Any, bare: Any) -> None:
    screen = terminal("app", "add", "github")
    screen.wait_for("Client ID: ")
    screen.type("id-1\n")
    screen.wait_for("(hidden; empty for a public client): ")
    screen.type(f"{SECRET}\n")

    assert screen.end() == 0
    assert SECRET not in screen.raw
    assert "Register an OAuth app at https://github.com/settings/developers" in screen.seen
    with bare.session() as session:
        assert session.core.app(session.credential("github")).client_secret.reveal() == SECRET


@pytest.mark.usefixtures("_toml")
def test_what_the_file_declares_cannot_be_changed_here(bare: Any) -> None:
    refused = add(bare, "notes", "--scope", "write")
    taken = add(bare, "notes")

    assert (refused.code, taken.code) == (2, 0)
    assert "[credential_declared_elsewhere]" in refused.err
    assert "valetkey.toml" in refused.err
    assert "http://127.0.0.1:8421/callback/notes" in taken.err
    listed = bare.run("app", "list", "--json").json["apps"]
    assert [(one["name"], one["source"], one["client_id"]) for one in listed] == [("notes", "file", "id-1")]


def test_a_variable_that_goes_before_is_told(bare: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VALETKEY_GITHUB_CLIENT_ID", "from-outside")

    assert "VALETKEY_GITHUB_CLIENT_ID in the environment goes before" in add(bare, "github").err
    assert "the variable VALETKEY_GITHUB_CLIENT_ID" in bare.ok("app", "show", "github")


def test_the_list_shows_who_has_no_app(bare: Any) -> None:
    bare.declare(app=False)

    assert "none: no app yet" in bare.ok("app", "list")
    assert "valetkey app add notes" in bare.ok("app", "show", "notes")


def test_an_empty_list_says_how_to_begin(bare: Any) -> None:
    ran = bare.run("app", "list")

    assert (ran.code, ran.out) == (0, "")
    assert "valetkey app add github" in ran.err


def test_an_unknown_credential_is_told_with_the_nearest(kit: Any) -> None:
    ran = kit.run("app", "show", "nots")

    assert ran.code == 2
    assert "[credential_unknown]" in ran.err
    assert 'use "notes"' in ran.err
    assert "valetkey app add github" in kit.run("status", "github").err


def test_removing_takes_secret_and_declaration(kit: Any) -> None:
    asked = kit.run("app", "remove", "notes")
    done = kit.run("app", "remove", "notes", "--yes")

    assert (asked.code, done.code) == (2, 0)
    assert "--yes" in asked.err
    assert "and the declaration" in done.out
    assert kit.run("app", "list", "--json").json["apps"] == []
    assert kit.run("secret", "list", "--json").json["secrets"] == []


def test_removing_an_app_in_use_warns_and_keeps_the_connections_visible(kit: Any) -> None:
    kit.connect()
    kit.connect(account="work")

    asked = kit.run("app", "remove", "notes")
    kit.ok("app", "remove", "notes", "--yes")

    assert "2 connections use it" in asked.err
    shown = kit.run("status", "--json").json["connections"]
    assert [one["state"] for one in shown] == ["app_error", "app_error"]
    assert "valetkey app add notes" in shown[0]["hint"]


@pytest.mark.usefixtures("_toml")
def test_removing_what_the_file_declares_leaves_the_declaration(bare: Any) -> None:
    add(bare, "notes")

    ran = bare.run("app", "remove", "notes", "--yes")

    assert ran.code == 0
    assert "still declared in valetkey.toml" in ran.err


def test_a_provider_that_takes_no_address_on_this_machine_is_warned_about(bare: Any) -> None:
    ran = add(bare, "slack")

    assert ran.code == 0
    assert "--redirect-uri https://" in ran.err


def test_a_service_accounts_key_file_is_an_app(bare: Any, tmp_path: Path) -> None:
    from joserfc.jwk import RSAKey

    pem = RSAKey.generate_key(2048, private=True).as_pem(private=True).decode()
    account = {
        "type": "service_account",
        "client_id": "10820",
        "client_email": "robot@project.example",
        "private_key": pem,
        "private_key_id": "key-7",
        "token_uri": "https://elsewhere.example.com/token",
    }
    file, broken = tmp_path / "account.json", tmp_path / "broken.json"
    file.write_text(json.dumps(account), encoding="utf-8")
    broken.write_text(json.dumps({**account, "private_key": "nonsense"}), encoding="utf-8")
    words = ("app", "add", "robot", "--grant", "jwt_bearer", "--token-url", "https://auth.example.com/token")

    assert bare.run(*words).code == 2
    assert "--key-file" in bare.run(*words).err
    assert bare.run(*words, "--key-file", str(broken)).code == 2
    ran = bare.run(*words, "--key-file", str(file), "--assertion-subject", "{owner}")

    assert ran.code == 0
    assert "valetkey token robot" in ran.err
    with bare.session() as session:
        credential = session.credential("robot")
        app = session.core.app(credential)
        session.core.secret_service.set(credential.secret_id, file.read_text(encoding="utf-8"))
        same = session.core.app(credential)  # the file itself may be the secret
    assert (credential.client_auth, credential.assertion_subject) == ("none", "{owner}")
    assert (app.client_id, app.key_id, app.client_secret) == ("robot@project.example", "key-7", None)
    assert app.private_key.reveal() == pem
    assert (same.client_id, same.key_id, same.private_key.reveal()) == (app.client_id, app.key_id, pem)


def test_a_param_that_is_given_anew_moves_the_urls_and_keeps_what_was_said_beside_it(bare: Any) -> None:
    assert add(bare, "gitlab", "--scope", "api", "--param", "host=git.example.com").code == 0
    assert add(bare, "gitlab", "--param", "host=git.other.example:8443").code == 0
    with bare.session() as session:
        credential = session.credential("gitlab")
    assert credential.token_url == "https://git.other.example:8443/oauth/token"
    assert credential.api_hosts == ("git.other.example:8443",)
    assert credential.scopes == ("api",)

    for value in ("https://git.example.com", "git.example.com:70000", "git.example.com:0", "-a.example", "a@b.example"):
        ran = add(bare, "gitlab", "--param", f"host={value}")
        assert (ran.code, "write --param host=gitlab.example.com" in ran.err) == (2, True), value
    with bare.session() as session:
        assert session.credential("gitlab") == credential
