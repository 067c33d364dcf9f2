from __future__ import annotations

import dataclasses
import inspect
import json
import os
import subprocess
import sys
import threading
import typing
from typing import Any

import pytest

from valetkey.errors import ConfigurationError
from valetkey.model import located
from valetkey.model.credentials import AppCredentials, OAuth2Credential
from valetkey.model.settings import SETTINGS, from_declaration, to_declaration
from valetkey.model.wiring import (
    Wiring,
    default_wiring,
    reset_default_wiring,
    wire_oauth2_credential,
    wire_secret,
)

URLS = {"authorization_url": "https://auth.example.com/authorize", "token_url": "https://auth.example.com/token"}


def test_a_credential_declared_by_hand_has_what_was_said() -> None:
    made = wire_oauth2_credential(
        "github",
        display_name="GitHub",
        description="GitHub API access for repository operations",
        secret_id="github-app-credentials",
        token_secret_id="github-oauth-token",
        authorization_url="https://github.com/login/oauth/authorize",
        token_url="https://github.com/login/oauth/access_token",
        scopes=["repo", "read:user"],
        pkce=True,
        additional_params={"allow_signup": "false"},
        api_hosts=["API.github.com"],
    )
    assert made == default_wiring().credential("github")
    assert made.scopes == ("repo", "read:user")
    assert dict(made.additional_params) == {"allow_signup": "false"}
    assert made.api_hosts == ("api.github.com",)
    assert made.source == "code"


def test_only_a_name_and_two_urls_are_needed() -> None:
    made = Wiring().oauth2_credential("my-crm", **URLS)
    assert (made.secret_id, made.token_secret_id) == ("my-crm-app-credentials", "my-crm-oauth-token")
    assert made.display_name == "my-crm"
    assert made == OAuth2Credential(
        name="my-crm",
        display_name="my-crm",
        secret_id="my-crm-app-credentials",
        token_secret_id="my-crm-oauth-token",
        **URLS,
    )


def test_a_name_left_out_is_that_of_the_preset() -> None:
    assert wire_oauth2_credential(preset="github").name == "github"


def test_the_signature_and_the_dataclass_say_the_same() -> None:
    parameters = inspect.signature(wire_oauth2_credential).parameters
    hints = typing.get_type_hints(wire_oauth2_credential)
    fields = typing.get_type_hints(OAuth2Credential, localns=vars(located))  # it loads these for nobody
    keywords = [name for name, p in parameters.items() if p.kind is p.KEYWORD_ONLY]
    assert sorted(keywords) == sorted(SETTINGS)
    assert set(SETTINGS) == {f.name for f in dataclasses.fields(OAuth2Credential)} - {"name", "source"}
    for name in keywords:
        assert parameters[name].default is None, name
        if name in {"url_params", "look_ups"}:  # they are written as tables
            continue
        said, is_ = str(hints[name]), str(fields[name]).replace("tuple[str, ...]", "collections.abc.Sequence[str]")
        # a class prints as such on its own, and by its name in a union
        plain = is_.removeprefix("<class '").removesuffix("'>").removesuffix(" | None")
        assert plain.replace("typing.Optional[", "").removesuffix("]" if "Optional" in plain else "") in said, name


def test_every_field_is_described() -> None:
    described = inspect.cleandoc(OAuth2Credential.__doc__ or "")
    assert [name for name in SETTINGS if f"\n    {name}: " not in described] == []


def test_declaring_the_same_again_changes_nothing() -> None:
    wiring = Wiring()
    first = wiring.oauth2_credential("crm", **URLS, scopes=["a"], additional_params={"x": "y"})
    assert wiring.oauth2_credential("crm", **URLS, scopes=("a",), additional_params={"x": "y"}) is first
    assert wiring.credentials() == (first,)


def test_declaring_another_under_the_same_name_is_refused_and_changes_nothing() -> None:
    wiring = Wiring()
    first = wiring.oauth2_credential("crm", **URLS)
    with pytest.raises(ConfigurationError, match='credential "crm" is declared twice, and differs in scopes') as caught:
        wiring.oauth2_credential("crm", **URLS, scopes=["a"])
    assert caught.value.code == "credential_duplicate"
    assert wiring.credentials() == (first,)


@pytest.mark.parametrize(
    ("second", "code"),
    [
        pytest.param({"name": "my_crm"}, "name_collision", id="one environment variable for both"),
        pytest.param({"name": "other", "token_secret_id": "my.crm-oauth-token"}, "secret_id_duplicate", id="one token"),
        pytest.param({"name": "other", "token_secret_id": "my.crm-oauth-token/ada"}, "secret_id_duplicate", id="below"),
        pytest.param({"name": "other", "token_secret_id": "my.crm-app-credentials"}, "secret_id_duplicate", id="app"),
    ],
)
def test_two_credentials_that_would_mix_up_their_secrets_are_refused(second: dict[str, str], code: str) -> None:
    wiring = Wiring()
    first = wiring.oauth2_credential("my.crm", **URLS)
    with pytest.raises(ConfigurationError) as caught:
        wiring.oauth2_credential(**second, **URLS)
    assert caught.value.code == code
    assert f'credential "{second["name"]}"' in str(caught.value)
    assert wiring.credentials() == (first,)


@pytest.mark.conformance("1 core: issuers differ")
def test_two_servers_do_not_share_an_issuer() -> None:
    wiring, site = Wiring(), {"issuer": "https://as.example"}
    first = wiring.oauth2_credential("crm", **URLS, **site)
    with pytest.raises(ConfigurationError, match='the issuer of credential "crm", but another token_url') as caught:
        wiring.oauth2_credential("evil", **{**URLS, "token_url": "https://evil.example/token"}, **site)
    assert caught.value.code == "issuer_shared"
    assert wiring.credentials() == (first,)
    wiring.oauth2_credential("calendar", **URLS, **site)
    wiring.oauth2_credential("found", **site, scopes=["a"])


def test_two_credentials_may_share_one_app() -> None:
    wiring = Wiring()
    wiring.oauth2_credential("mail", **URLS, secret_id="google-app")
    wiring.oauth2_credential("calendar", **URLS, secret_id="google-app")
    assert [c.name for c in wiring.credentials()] == ["mail", "calendar"]


def test_an_unknown_credential_names_the_nearest() -> None:
    wiring = Wiring()
    wiring.oauth2_credential("github", preset="github")
    with pytest.raises(ConfigurationError, match='"githup" is not declared; did you mean "github"') as caught:
        wiring.credential("githup")
    assert caught.value.code == "credential_unknown"
    assert 'wire_oauth2_credential("githup"' in caught.value.hint
    assert wiring.get("githup") is None


def test_an_unknown_credential_lists_the_declared_ones_when_none_is_near() -> None:
    wiring = Wiring()
    with pytest.raises(ConfigurationError, match="none is declared"):
        wiring.credential("zzz")
    wiring.oauth2_credential("github", preset="github")
    with pytest.raises(ConfigurationError, match=r"\(declared: github\)"):
        wiring.credential("zzz")


def test_of_many_threads_that_declare_the_same_all_get_the_same() -> None:
    wiring, start, found = Wiring(), threading.Barrier(8), []

    def declare() -> None:
        start.wait()
        for number in range(20):
            found.append((number, id(wiring.oauth2_credential(f"crm{number}", **URLS))))  # noqa: PERF401

    threads = [threading.Thread(target=declare) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 160
    assert len(set(found)) == 20
    assert len(wiring.credentials()) == 20


def test_what_is_declared_keeps_its_order() -> None:
    wiring = Wiring()
    for name in ("zeta", "alpha", "mid"):
        wiring.oauth2_credential(name, **URLS)
        wiring.secret(f"{name}-secret")
    assert [c.name for c in wiring.credentials()] == ["zeta", "alpha", "mid"]
    assert [s.name for s in wiring.secrets()] == ["zeta-secret", "alpha-secret", "mid-secret"]
    assert repr(wiring) == "<Wiring of 3 credentials, 3 secrets>"


# -- merging -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code_first", [True, False])
def test_code_goes_before_a_file_whichever_is_merged_into_which(code_first: bool) -> None:
    code, file = Wiring(), Wiring()
    mine = code.oauth2_credential("crm", **URLS, scopes=["a"])
    file.add(dataclasses.replace(mine, scopes=("b",), source="file"))
    file.oauth2_credential("other", **URLS)
    one, two = (code, file) if code_first else (file, code)
    one.merge(two)
    assert one.credential("crm") == mine
    assert one.get("other")


def test_two_programs_that_declare_one_name_differently_do_not_merge() -> None:
    one, two = Wiring(), Wiring()
    one.oauth2_credential("crm", **URLS)
    two.oauth2_credential("crm", **URLS, scopes=["b"])
    with pytest.raises(ConfigurationError) as caught:
        one.merge(two)
    assert caught.value.code == "credential_duplicate"


def test_secrets_are_merged_too() -> None:
    one, two = Wiring(), Wiring()
    two.secret("api-key", display_name="Key", schema=AppCredentials)
    one.merge(two)
    assert one.secrets() == two.secrets()


# -- the registry of the process ---------------------------------------------------------------------------------------


def test_the_default_registry_can_be_forgotten() -> None:
    before = default_wiring()
    wire_secret("api-key")
    assert default_wiring().secret_for("api-key")
    reset_default_wiring()
    assert default_wiring().secrets() == ()
    assert default_wiring() is not before


@pytest.mark.parametrize(
    ("wire", "message"),
    [
        pytest.param(lambda: wire_oauth2_credential("x", tokenUrl="https://a.example/t"), "token_url", id="camelCase"),
        pytest.param(lambda: wire_secret("x", secretId="y"), "secret_id", id="secret"),
    ],
)
def test_an_unknown_keyword_suggests_the_nearest(wire: typing.Callable[[], object], message: str) -> None:
    with pytest.raises(ConfigurationError, match=f'"x": there is no field .*did you mean "{message}"') as caught:
        wire()
    assert caught.value.code == "field_unknown"


# -- as records --------------------------------------------------------------------------------------------------------


def test_a_record_holds_what_differs_and_comes_back_equal() -> None:
    made = Wiring().oauth2_credential(
        "crm", **URLS, scopes=["a", "b"], pkce=False, additional_params={"x": "y"}, buffer=30, never_expires=True
    )
    record = json.loads(json.dumps(to_declaration(made)))
    assert record == {
        "display_name": "crm",
        "secret_id": "crm-app-credentials",
        "token_secret_id": "crm-oauth-token",
        **URLS,
        "scopes": ["a", "b"],
        "pkce": False,
        "additional_params": {"x": "y"},
        "buffer": 30,
        "never_expires": True,
    }
    assert from_declaration("crm", record) == made


def test_a_record_of_a_newer_version_is_read_without_what_is_unknown() -> None:
    made = Wiring().oauth2_credential("crm", **URLS)
    record = {**to_declaration(made), "shines_in_the_dark": True, "source": "telepathy"}
    assert from_declaration("crm", record, source="code") == made
    assert from_declaration("crm", record).source == "command"


def test_a_record_does_not_take_in_its_preset_again() -> None:
    made = Wiring().oauth2_credential("slack", preset="slack", pkce=True, revocation_url="")
    assert made.preset == "slack"
    again = from_declaration("slack", to_declaration(made))
    assert again == made
    assert (again.pkce, again.revocation_url) == (True, "")
    assert from_declaration("slack", {**to_declaration(made), "preset": "gone"}).preset == "gone"


def test_a_record_that_was_tampered_with_does_not_pass() -> None:
    record = to_declaration(Wiring().oauth2_credential("crm", **URLS))
    with pytest.raises(ConfigurationError, match="the record of it in the store") as caught:
        from_declaration("crm", {**record, "token_url": "http://evil.example/token"})
    assert caught.value.code == "url_insecure"


def test_the_source_of_a_record_is_kept() -> None:
    made = dataclasses.replace(Wiring().oauth2_credential("crm", **URLS), source="file")
    assert from_declaration("crm", to_declaration(made)) == made
    assert from_declaration("crm", to_declaration(made), source="command").source == "command"


def unmeasured() -> dict[str, str]:
    """Return the environment without what has coverage measure the child: that imports things of its own."""
    return {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}


def test_declaring_imports_nothing_heavy() -> None:
    program = (
        "import sys\n"
        "from valetkey.model.wiring import wire_oauth2_credential\n"
        "wire_oauth2_credential('a', authorization_url='https://a.example/a', token_url='https://a.example/t')\n"
        "heavy = {'tomllib', 'difflib', 'importlib.metadata', 'platformdirs', 'uuid', 'httpx2', 'cryptography'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    ran = subprocess.run(
        [sys.executable, "-I", "-c", program], check=True, capture_output=True, text=True, env=unmeasured()
    )
    assert ran.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("fields", "code", "says"),
    [
        ({"dpop_alg": "none"}, "choice_invalid", "dpop_alg"),
        ({"signing_alg": "HS256"}, "choice_invalid", "signing_alg"),
        ({"client_auth": "private_key"}, "choice_invalid", "private_key_jwt"),
        ({"sender_constraint": "DPOP"}, "choice_invalid", "dpop"),
        ({"resources": ["api"]}, "url_invalid", "RFC 8707"),
        ({"resources": ["https://api.example.com/#a"]}, "url_invalid", "RFC 8707"),
        ({"resources": ["https://api.example.com/a b"]}, "url_invalid", "RFC 8707"),
        ({"one_token_per_resource": True}, "resources_missing", "resources"),
        ({"authorization_details": "payment"}, "authorization_details_untyped", "RFC 9396"),
        ({"authorization_details": '[{"amount": 1}]'}, "authorization_details_untyped", "RFC 9396"),
        ({"response_mode": "jwt"}, "issuer_missing", "JARM"),
        ({"signed_introspection": True}, "issuer_missing", "RFC 9701"),
        ({"additional_params": {"dpop_jkt": "x"}}, "parameter_reserved", "dpop_jkt"),
    ],
    ids=range(13),
)
def test_what_is_signed_is_declared_so_that_it_means_something(fields: dict[str, Any], code: str, says: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Wiring().oauth2_credential("bank", **URLS, **fields)
    assert caught.value.code == code
    assert says in f"{caught.value} {caught.value.hint}"
