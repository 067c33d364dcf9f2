"""Secrets in the store, by schema, as app credentials, and as token objects."""

from __future__ import annotations

import datetime as dt
import enum
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal
from uuid import UUID

import pytest

from valetkey.engine.rekeying import rotate
from valetkey.engine.secrets import (
    ChainSecrets,
    StoreSecrets,
    TokenSecrets,
    app_variables,
    decode_secret,
    encode_secret,
    resolve_app,
)
from valetkey.engine.world import grant_label
from valetkey.errors import ConfigurationError, DecryptionFailed, StoreUnavailable, ValetkeyError
from valetkey.keys import MemoryKeys, new_key
from valetkey.model import paging
from valetkey.model.connections import ConnectionKey, Expect, Record, Sealed
from valetkey.model.credentials import AppCredentials, OAuth2Credential
from valetkey.model.data_keys import new_data_key, read_note, write_note
from valetkey.model.grants import Grant
from valetkey.model.ports import Label, Store
from valetkey.model.sealing import Vault
from valetkey.model.secret_names import token_secret_id
from valetkey.secret_services import EnvSecrets, MemorySecrets
from valetkey.stores.sqlite import SQLiteStore
from valetkey.testing.clock import FakeClock
from valetkey.values import Secret

PLANTED = "planted-s3cret"


def shown(error: BaseException | None) -> str:
    """Return all that an error shows, with what it came from."""
    if error is None:
        return ""
    told = [repr(error), str(error), repr(getattr(error, "__dict__", "")), getattr(error, "hint", "")]
    return " ".join(told) + shown(error.__cause__) + shown(error.__context__)


# -- in the store --------------------------------------------------------------------------------------------------


def test_environments_have_secrets_of_their_own(store: Store, vault: Vault) -> None:
    prod, staging = StoreSecrets(store, vault, "prod"), StoreSecrets(store, vault, "staging")
    prod.set("app", "one")
    staging.set("app", "two")
    staging.set("other", "three")
    assert (prod.get("app"), staging.get("app")) == ("one", "two")
    assert (list(prod.ids()), list(staging.ids())) == (["app"], ["app", "other"])
    staging.delete("app")
    assert prod.get("app") == "one"


def test_all_ids_are_listed_however_many(store: Store, vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    service = StoreSecrets(store, vault, "default")
    for number in range(7):
        service.set(f"s{number}", "x")
    monkeypatch.setattr(paging, "DOCUMENTS", 3)
    assert list(service.ids()) == [f"s{number}" for number in range(7)]


def test_a_secret_is_not_readable_in_the_file(tmp_path: Path, clock: FakeClock) -> None:
    store = SQLiteStore(tmp_path / "a.sqlite", clock=clock)
    StoreSecrets(store, Vault(store, MemoryKeys(), clock=clock), "default").set("app", PLANTED)
    store.close()
    written = b"".join(path.read_bytes() for path in tmp_path.iterdir() if path.is_file())
    assert b"secret" in written
    assert PLANTED.encode() not in written


def test_a_secret_moved_to_another_id_does_not_open(store: Store, vault: Vault) -> None:
    service = StoreSecrets(store, vault, "default")
    service.set("app", PLANTED)
    moved = store.get_document("secret", "app", env="default")
    assert moved is not None
    store.put_document(replace(moved, id="other"))
    with pytest.raises(DecryptionFailed) as caught:
        service.get("other")
    assert caught.value.code == "sealed_broken"


def test_a_secret_set_during_a_rotation_is_sealed_again(store: Store, keys: MemoryKeys, vault: Vault) -> None:
    service = StoreSecrets(store, vault, "default")
    service.set("app", "one")
    note = read_note(store)
    assert note is not None
    keys.add(new_key())
    made = new_data_key(store, keys.keys()[0])
    assert write_note(store, replace(note, data_key=made.id))
    service.delete("app")
    assert store.retire_key(note.data_key)
    service.set("app", "two")
    assert service.get("app") == "two"
    stored = store.get_document("secret", "app", env="default")
    assert stored is not None
    assert stored.sealed is not None
    assert stored.sealed.key_id == made.id


def test_a_rotation_that_ends_between_reading_and_opening_is_no_failure(
    store: Store, keys: MemoryKeys, vault: Vault, clock: FakeClock
) -> None:
    StoreSecrets(store, vault, "default").set("app", "one")
    connect(store, vault, "github", None, "", GRANT)

    class Late:
        """Opens for the first time when the data key is gone already."""

        inner: Vault | None = None

        def seal(self, plain: bytes, label: Label) -> Sealed:
            raise NotImplementedError

        def open(self, sealed: Sealed, label: Label) -> bytes:
            if self.inner is None:
                rotate(store, vault, keys)
                self.inner = Vault(store, keys, clock=clock)
            return self.inner.open(sealed, label)

    assert StoreSecrets(store, Late(), "default").get("app") == "one"
    tokens = TokenSecrets(store, Late(), "default", MemorySecrets(), credential_by_token_secret_id=BASES.get)
    assert tokens.get("github-token")


@pytest.mark.parametrize("secret_id", ["", "x" * 513])
def test_an_id_without_sense_is_refused(store: Store, vault: Vault, secret_id: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        StoreSecrets(store, vault, "default").set(secret_id, PLANTED)
    assert caught.value.code == "secret_id_invalid"
    assert PLANTED not in shown(caught.value)


# -- chained -------------------------------------------------------------------------------------------------------


def test_the_first_service_that_has_a_value_answers() -> None:
    chain = ChainSecrets(EnvSecrets(environ={"A": "env"}), MemorySecrets({"a": "memory", "b": "memory"}))
    assert (chain.get("a"), chain.get("b"), chain.get("c")) == ("env", "memory", None)


def test_the_first_service_that_can_be_written_is_written() -> None:
    first, second = MemorySecrets({"a": "1"}), MemorySecrets({"a": "2"})
    chain = ChainSecrets(EnvSecrets(environ={}), first, second)
    chain.set("b", "new")
    chain.delete("a")
    assert (first.get("b"), second.get("b")) == ("new", None)
    assert (first.get("a"), second.get("a")) == (None, "2")


@pytest.mark.parametrize("services", [[], [EnvSecrets(environ={})]], ids=["none", "only read-only"])
def test_where_nothing_can_be_written_it_is_told(services: Sequence[Any]) -> None:
    chain = ChainSecrets(*services)
    for use in (lambda: chain.set("a", PLANTED), lambda: chain.delete("a")):
        with pytest.raises(ConfigurationError) as caught:
            use()
        assert caught.value.code == "place_read_only"
        assert PLANTED not in shown(caught.value)


@pytest.mark.parametrize(
    "trouble", [ConfigurationError("no", code="keyring_unavailable"), StoreUnavailable("down")], ids=["refused", "down"]
)
def test_a_service_in_trouble_is_not_passed_over(trouble: ValetkeyError) -> None:
    class Broken(MemorySecrets):
        def set(self, secret_id: str, value: str) -> None:  # noqa: ARG002
            raise trouble

    behind = MemorySecrets()
    with pytest.raises(type(trouble)):
        ChainSecrets(Broken(), behind).set("a", "1")
    assert behind.get("a") is None


# -- by schema -----------------------------------------------------------------------------------------------------


class Level(enum.Enum):
    LOW = "low"
    HIGH = "high"


@dataclass(frozen=True)
class Endpoint:
    host: str
    port: int = 443


@dataclass(frozen=True, kw_only=True)
class Everything:
    name: str
    token: Secret
    backup_token: Secret | None = None
    tries: int = 3
    ratio: float = 0.5
    on: bool = True
    mode: Literal["fast", "slow"] = "fast"
    level: Level = Level.LOW
    hosts: tuple[str, ...] = ()
    pair: tuple[str, int] = ("a", 1)
    scopes: list[str] = field(default_factory=list)
    tokens: Mapping[str, Secret] = field(default_factory=dict)
    endpoint: Endpoint | None = None
    anything: Any = None
    either: int | str = 0
    made: str = field(default="by us", init=False)


FULL = Everything(
    name="x",
    token=Secret(PLANTED),
    backup_token=Secret("b"),
    tries=7,
    ratio=2.0,
    on=False,
    mode="slow",
    level=Level.HIGH,
    hosts=("a", "b"),
    pair=("z", 2),
    scopes=["r", "w"],
    tokens={"one": Secret("1")},
    endpoint=Endpoint("h", 1),
    anything={"a": [1, None]},
    either="word",
)


def test_a_dataclass_comes_back_as_it_was() -> None:
    assert decode_secret(Everything, encode_secret(Everything, FULL)) == FULL


def test_a_dataclass_can_be_given_as_a_mapping() -> None:
    text = encode_secret(Everything, {"name": "x", "token": PLANTED, "level": "high", "hosts": ["a"]})
    found = decode_secret(Everything, text)
    assert decode_secret(Everything, '{"name": "", "token": "t", "backupToken": null, "ratio": 2}').ratio == 2.0
    assert (found.token, found.level, found.hosts, found.tries) == (Secret(PLANTED), Level.HIGH, ("a",), 3)


def test_app_credentials_are_kept_as_plain_members() -> None:
    app = AppCredentials(client_id="abc", client_secret=Secret(PLANTED))
    text = encode_secret(AppCredentials, app)
    said = {name: value for name, value in json.loads(text).items() if value}
    assert said == {"client_id": "abc", "client_secret": PLANTED}
    assert decode_secret(AppCredentials, text) == app


def test_a_public_app_has_no_client_secret() -> None:
    app = AppCredentials(client_id="abc")
    assert decode_secret(AppCredentials, encode_secret(AppCredentials, app)) == app


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(json.dumps({"clientId": "abc", "clientSecret": PLANTED}), id="camelCase"),
        pytest.param(json.dumps({"client_id": "abc", "client_secret": PLANTED, "note": 1}), id="more members"),
        pytest.param(json.dumps({"client_id": "abc", "clientSecret": PLANTED}), id="mixed"),
    ],
)
def test_app_credentials_of_other_programs_are_read(text: str) -> None:
    assert decode_secret(AppCredentials, text) == AppCredentials(client_id="abc", client_secret=Secret(PLANTED))


@pytest.mark.parametrize("schema", [None, str])
def test_without_a_schema_a_secret_is_a_text(schema: object) -> None:
    assert encode_secret(schema, "as it is") == "as it is"
    assert encode_secret(schema, Secret("as it is")) == "as it is"
    assert decode_secret(schema, "as it is") == "as it is"
    with pytest.raises(ConfigurationError) as caught:
        encode_secret(schema, {"a": PLANTED}, name="mine")
    assert caught.value.code == "secret_invalid"
    assert PLANTED not in shown(caught.value)


WRONG = [
    pytest.param({"token": PLANTED}, "name", id="a member is missing"),
    pytest.param({"name": 7, "token": PLANTED}, "name", id="a number for a string"),
    pytest.param({"name": "x", "token": [PLANTED]}, "token", id="a list for a secret"),
    pytest.param({"name": "x", "token": None}, "token", id="null for a secret"),
    pytest.param({"name": "x", "token": "t", "tries": PLANTED}, "tries", id="a string for a number"),
    pytest.param({"name": "x", "token": "t", "tries": True}, "tries", id="true for a number"),
    pytest.param({"name": "x", "token": "t", "tries": 1.5}, "tries", id="a fraction for a whole number"),
    pytest.param({"name": "x", "token": "t", "ratio": PLANTED}, "ratio", id="a string for a fraction"),
    pytest.param({"name": "x", "token": "t", "on": "yes"}, "on", id="a string for true or false"),
    pytest.param({"name": "x", "token": "t", "mode": PLANTED}, "mode", id="none of the words"),
    pytest.param({"name": "x", "token": "t", "level": PLANTED}, "level", id="none of the enumerated"),
    pytest.param({"name": "x", "token": "t", "hosts": PLANTED}, "hosts", id="a string for a list"),
    pytest.param({"name": "x", "token": "t", "hosts": ["a", 1]}, "hosts[1]", id="a number in a list"),
    pytest.param({"name": "x", "token": "t", "pair": ["a"]}, "pair", id="a pair of one"),
    pytest.param({"name": "x", "token": "t", "tokens": [PLANTED]}, "tokens", id="a list for an object"),
    pytest.param({"name": "x", "token": "t", "tokens": {"one": 1}}, "tokens.one", id="a number in an object"),
    pytest.param({"name": "x", "token": "t", "endpoint": PLANTED}, "endpoint", id="a string for an object"),
    pytest.param({"name": "x", "token": "t", "endpoint": {}}, "endpoint.host", id="a member of a member is missing"),
    pytest.param({"name": "x", "token": "t", "either": [PLANTED]}, "either", id="none of two types"),
]


@pytest.mark.parametrize(("members", "path"), WRONG)
def test_what_does_not_fit_is_named_and_never_shown(members: Mapping[str, Any], path: str) -> None:
    for use in (
        lambda: decode_secret(Everything, json.dumps(members), name="mine"),
        lambda: encode_secret(Everything, members, name="mine"),
    ):
        with pytest.raises(ConfigurationError) as caught:
            use()
        assert caught.value.code == "secret_invalid"
        assert "'mine'" in str(caught.value)
        assert f": {path} " in str(caught.value)
        assert "valetkey secret set mine" in caught.value.hint
        assert PLANTED not in shown(caught.value)


@pytest.mark.parametrize("text", [PLANTED, f'"{PLANTED}"', f'["{PLANTED}"]', "", "null", f'{{"a": "{PLANTED}"'])
def test_what_is_no_object_is_told_and_never_shown(text: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        decode_secret(AppCredentials, text, name="github-app")
    assert caught.value.code == "secret_invalid"
    assert "github-app" in str(caught.value)
    assert PLANTED not in shown(caught.value)


def test_a_slip_of_the_pen_is_told_when_a_secret_is_set() -> None:
    with pytest.raises(ConfigurationError) as caught:
        encode_secret(AppCredentials, {"client_id": "abc", "client_secrte": PLANTED}, name="github-app")
    assert "client_secrte" in str(caught.value)
    assert "client_secret" in str(caught.value)
    assert PLANTED not in shown(caught.value)


def test_an_instance_with_a_wrong_value_is_refused_when_it_is_set() -> None:
    with pytest.raises(ConfigurationError) as caught:
        encode_secret(AppCredentials, AppCredentials(client_id=7))  # type: ignore[arg-type]
    assert "client_id" in str(caught.value)


@pytest.mark.parametrize("value", [7, "text", AppCredentials, Endpoint("h"), None])
def test_something_else_than_the_schema_is_refused(value: object) -> None:
    with pytest.raises(ConfigurationError) as caught:
        encode_secret(AppCredentials, value)
    assert "AppCredentials" in str(caught.value)


@pytest.mark.parametrize("schema", [7, dict, "AppCredentials"])
def test_a_schema_of_another_kind_is_refused(schema: object) -> None:
    for use in (lambda: decode_secret(schema, "{}"), lambda: encode_secret(schema, {})):
        with pytest.raises(ConfigurationError) as caught:
            use()
        assert caught.value.code == "secret_invalid"


@dataclass
class Checked:
    key: str

    def __post_init__(self) -> None:
        if not self.key.startswith("sk_"):
            msg = f"{self.key!r} does not start with sk_"
            raise ValueError(msg)


def test_what_a_dataclass_refuses_itself_is_not_repeated() -> None:
    assert decode_secret(Checked, '{"key": "sk_1"}') == Checked("sk_1")
    with pytest.raises(ConfigurationError) as caught:
        decode_secret(Checked, json.dumps({"key": PLANTED}), name="mine")
    assert "Checked" in str(caught.value)
    assert PLANTED not in shown(caught.value)


@dataclass
class Unsuitable:
    raw: bytes = b""
    gone: Missing = None  # type: ignore[name-defined]  # noqa: F821


@dataclass
class Bytes:
    raw: bytes


@dataclass
class Loose:
    raw: Any


@pytest.mark.parametrize(
    "use",
    [
        pytest.param(lambda: decode_secret(Unsuitable, "{}"), id="types that are nowhere"),
        pytest.param(lambda: decode_secret(Bytes, '{"raw": "x"}'), id="bytes to read"),
        pytest.param(lambda: encode_secret(Loose, Loose(PLANTED.encode())), id="bytes to write"),
        pytest.param(lambda: encode_secret(Loose, Loose({"a": object()})), id="an object without a text"),
    ],
)
def test_types_that_json_does_not_know_are_refused(use: Any) -> None:
    with pytest.raises(ConfigurationError) as caught:
        use()
    assert caught.value.code == "secret_invalid"
    assert PLANTED not in shown(caught.value)


def test_values_with_one_obvious_text_are_written() -> None:
    day, number = dt.date(2026, 1, 2), UUID(int=1)
    text = encode_secret(Loose, Loose([day, number, {"x"}]))
    assert json.loads(text) == {"raw": ["2026-01-02", str(number), ["x"]]}


class SecretStr:
    """As pydantic has it: shows stars in dumps."""

    def __init__(self, value: str) -> None:
        self._value = value

    def get_secret_value(self) -> str:
        return self._value


class Refused(ValueError):
    """As pydantic has it: its text shows what was put in."""

    def __init__(self, shows: object, loc: tuple[str | int, ...]) -> None:
        super().__init__(f"input_value={shows!r}")
        self.loc = loc

    def errors(self) -> list[dict[str, object]]:
        return [{"loc": self.loc, "type": "string_type", "input": str(self)}]


class Model:
    """A pydantic model, as far as one sees from outside."""

    def __init__(self, user: str, password: SecretStr) -> None:
        self.user = user
        self.password = password

    @classmethod
    def model_validate(cls, members: Mapping[str, Any]) -> Model:
        if not isinstance(members.get("userName"), str):
            raise Refused(members, ("userName",))
        return cls(members["userName"], SecretStr(members["password"]))

    def model_dump(self, *, by_alias: bool = False) -> dict[str, Any]:
        return {"userName" if by_alias else "user": self.user, "password": self.password}


def test_a_pydantic_model_comes_back_with_its_secrets() -> None:
    text = encode_secret(Model, Model("ada", SecretStr(PLANTED)))
    assert json.loads(text) == {"userName": "ada", "password": PLANTED}
    found = decode_secret(Model, text)
    assert isinstance(found, Model)
    assert found.password.get_secret_value() == PLANTED
    assert encode_secret(Model, {"userName": "ada", "password": PLANTED}) == text


def test_what_a_pydantic_model_refuses_is_named_and_not_shown() -> None:
    for use in (
        lambda: decode_secret(Model, json.dumps({"password": PLANTED}), name="mine"),
        lambda: encode_secret(Model, {"password": PLANTED}, name="mine"),
    ):
        with pytest.raises(ConfigurationError) as caught:
            use()
        assert ": userName " in str(caught.value)
        assert "string_type" in str(caught.value)
        assert PLANTED not in shown(caught.value)


@dataclass
class Login:
    model: Model


def test_a_pydantic_model_within_a_dataclass_is_named_by_its_whole_path() -> None:
    text = encode_secret(Login, Login(Model("ada", SecretStr(PLANTED))))
    assert decode_secret(Login, text).model.user == "ada"
    with pytest.raises(ConfigurationError) as caught:
        decode_secret(Login, json.dumps({"model": {"password": PLANTED}}))
    assert ": model.userName " in str(caught.value)


# -- app credentials -----------------------------------------------------------------------------------------------

GITHUB = OAuth2Credential(name="git-hub.com", secret_id="github-app")
ID, SECRET = "VALETKEY_GIT_HUB_COM_CLIENT_ID", "VALETKEY_GIT_HUB_COM_CLIENT_SECRET"
KEY = "VALETKEY_GIT_HUB_COM_PRIVATE_KEY"
CERTIFICATE, CERTIFICATE_KEY = "VALETKEY_GIT_HUB_COM_CERTIFICATE", "VALETKEY_GIT_HUB_COM_CERTIFICATE_KEY"
KEPT = '{"client_id": "kept", "client_secret": "kept-secret"}'


def test_the_variables_are_named_after_the_credential() -> None:
    assert app_variables("git-hub.com") == (ID, SECRET, KEY, CERTIFICATE, CERTIFICATE_KEY)


CRT, PEM = Secret("crt"), Secret("pem")


@pytest.mark.parametrize(
    ("environ", "kept", "found"),
    [
        pytest.param(
            {ID: "env", CERTIFICATE: "crt", CERTIFICATE_KEY: "pem"},
            None,
            AppCredentials(client_id="env", certificate=CRT, certificate_key=PEM),
            id="all from variables",
        ),
        pytest.param(
            {CERTIFICATE: "crt"},
            '{"client_id": "kept", "certificate": "old", "certificate_key": "old"}',
            AppCredentials(client_id="kept", certificate=CRT),
            id="a certificate that brings its key goes before both that are kept",
        ),
        pytest.param(
            {CERTIFICATE_KEY: "pem"},
            '{"client_id": "kept", "certificate": "crt"}',
            AppCredentials(client_id="kept", certificate=CRT, certificate_key=PEM),
            id="the key alone",
        ),
        pytest.param(
            {ID: "kept"},
            '{"client_id": "kept", "certificate": "crt", "certificate_key": "pem"}',
            AppCredentials(client_id="kept", certificate=CRT, certificate_key=PEM),
            id="the client id alone",
        ),
    ],
)
def test_a_certificate_is_found_like_a_secret(environ: Mapping[str, str], kept: str | None, found: Any) -> None:
    credential = replace(GITHUB, client_auth="tls_client_auth")
    service = MemorySecrets({} if kept is None else {"github-app": kept})

    assert resolve_app(credential, services=[service], environ=environ) == found


def test_a_certificate_stands_beside_a_secret_wherever_each_comes_from() -> None:
    credential = replace(GITHUB, client_auth="private_key_jwt", sender_constraint="mtls")
    service = MemorySecrets({"github-app": '{"client_id": "kept", "private_key": "jwk", "key_id": "k1"}'})

    beside = resolve_app(credential, services=[service], environ={CERTIFICATE: "crt"})
    service.set("github-app", '{"client_id": "kept", "certificate": "crt", "private_key": "old", "key_id": "k1"}')
    over = resolve_app(credential, services=[service], environ={ID: "kept", KEY: "jwk"})

    assert beside == AppCredentials(client_id="kept", private_key=Secret("jwk"), key_id="k1", certificate=CRT)
    assert over == AppCredentials(client_id="kept", private_key=Secret("jwk"), certificate=CRT)


def test_a_private_key_is_found_like_a_secret() -> None:
    signed = replace(GITHUB, client_auth="private_key_jwt")
    service = MemorySecrets()
    alone = resolve_app(signed, services=[service], environ={ID: "env", KEY: "pem"})
    assert alone == AppCredentials(client_id="env", private_key=Secret("pem"))
    service.set("github-app", '{"client_id": "kept", "private_key": "its-pem", "client_secret": ""}')
    kept = resolve_app(signed, services=[service], environ={})
    assert kept == AppCredentials(client_id="kept", private_key=Secret("its-pem"))
    assert resolve_app(signed, services=[service], environ={KEY: "pem"}).private_key == Secret("pem")


APPLE = replace(GITHUB, signed_secret_claims={"iss": "{team_id}"}, client_auth="client_secret_post")
KEY_ID = "VALETKEY_GIT_HUB_COM_KEY_ID"
KEPT_KEY = '{"client_id": "kept", "private_key": "pem", "key_id": "K1"}'


@pytest.mark.parametrize("credential", [APPLE, replace(GITHUB, client_auth="private_key_jwt")], ids=["secret", "jwt"])
@pytest.mark.parametrize(
    ("environ", "kept", "found"),
    [
        pytest.param({ID: "env", KEY: "pem", KEY_ID: " K2\n"}, None, ("env", "pem", "K2"), id="all in variables"),
        pytest.param({KEY: "new", KEY_ID: "K2"}, KEPT_KEY, ("kept", "new", "K2"), id="another key and its id"),
        pytest.param({KEY: "pem"}, KEPT_KEY, ("kept", "pem", "K1"), id="the kept key in a variable"),
        pytest.param({KEY: "new"}, KEPT_KEY, ("kept", "new", ""), id="a kept id is not of another key"),
        pytest.param({KEY_ID: "K2"}, KEPT_KEY, ("kept", "pem", "K2"), id="the id alone"),
        pytest.param({KEY_ID: "K2"}, KEPT, ("kept", None, ""), id="no key"),
        pytest.param({}, KEPT_KEY, ("kept", "pem", "K1"), id="no variable"),
    ],
)
def test_the_id_of_a_key_comes_with_it(
    credential: OAuth2Credential, environ: Mapping[str, str], kept: str | None, found: tuple[str, str | None, str]
) -> None:
    service = MemorySecrets({} if kept is None else {"github-app": kept})

    app = resolve_app(credential, services=[service], environ=environ)

    assert (app.client_id, app.private_key and app.private_key.reveal(), app.key_id) == found


def test_the_kept_id_of_the_same_key_is_found_beside_an_id_in_a_variable() -> None:
    service = MemorySecrets({"github-app": KEPT_KEY})

    app = resolve_app(APPLE, services=[service], environ={ID: "kept", KEY: "pem\n"})

    assert (app.client_id, app.key_id) == ("kept", "K1")


@pytest.mark.parametrize(
    ("environ", "kept", "found"),
    [
        pytest.param({ID: "env", SECRET: "s"}, KEPT, ("env", "s"), id="both variables come first"),
        pytest.param({ID: " env\n", SECRET: " s\n"}, None, ("env", "s"), id="line ends are not part of them"),
        pytest.param({}, KEPT, ("kept", "kept-secret"), id="then the secret"),
        pytest.param({ID: "", SECRET: ""}, KEPT, ("kept", "kept-secret"), id="empty variables are unset"),
        pytest.param({ID: "env"}, None, ("env", None), id="a public app"),
        pytest.param({ID: "env"}, KEPT, ("env", None), id="another app's secret is not taken"),
        pytest.param({ID: "kept"}, KEPT, ("kept", "kept-secret"), id="the same app's secret is"),
        pytest.param({SECRET: "s"}, KEPT, ("kept", "s"), id="only the secret in a variable"),
        pytest.param({}, '{"clientId": "kept"}', ("kept", None), id="a public app in the secret"),
        pytest.param({}, '{"client_id": "kept", "client_secret": ""}', ("kept", None), id="an empty secret is none"),
    ],
)
def test_app_credentials_are_found(environ: Mapping[str, str], kept: str | None, found: tuple[str, str | None]) -> None:
    service = MemorySecrets({} if kept is None else {"github-app": kept})
    app = resolve_app(GITHUB, services=[MemorySecrets(), service], environ=environ)
    assert (app.client_id, app.client_secret and app.client_secret.reveal()) == found


@pytest.mark.parametrize("environ", [{}, {SECRET: PLANTED}], ids=["nothing", "only a secret"])
@pytest.mark.parametrize("kept", [{}, {"github-app": '{"client_id": ""}'}], ids=["no secret", "an empty client id"])
@pytest.mark.parametrize("secret_id", ["github-app", ""])
def test_where_there_are_none_the_error_says_how_to_add_them(
    environ: Mapping[str, str], kept: Mapping[str, str], secret_id: str
) -> None:
    credential = replace(GITHUB, secret_id=secret_id)
    with pytest.raises(ConfigurationError) as caught:
        resolve_app(credential, services=[MemorySecrets(kept)], environ=environ)
    assert caught.value.code == "app_missing"
    assert ID in str(caught.value)
    assert caught.value.hint == "valetkey app add git-hub.com"
    assert PLANTED not in shown(caught.value)


def test_a_broken_app_secret_is_named_and_not_shown() -> None:
    with pytest.raises(ConfigurationError) as caught:
        resolve_app(GITHUB, services=[MemorySecrets({"github-app": PLANTED})], environ={})
    assert caught.value.code == "secret_invalid"
    assert "github-app" in str(caught.value)
    assert PLANTED not in shown(caught.value)


def test_an_app_without_authentication_asks_nobody_for_a_secret() -> None:
    class Down(MemorySecrets):
        def get(self, secret_id: str) -> str | None:
            raise StoreUnavailable(secret_id)

    credential = replace(GITHUB, client_auth="none")
    assert resolve_app(credential, services=[Down()], environ={ID: "env"}) == AppCredentials(client_id="env")


# -- token objects -------------------------------------------------------------------------------------------------

GRANT = Grant(access_token=Secret("at"), refresh_token=Secret("rt"), expires_at=5.0, scope=("a", "b"))
BASES = {"github-token": "github", "team/slack-token": "slack"}


def connect(
    store: Store, vault: Vault, credential: str, owner: str | None, account: str, grant: Grant | None
) -> Record:
    base = next(base for base, name in BASES.items() if name == credential)
    key = ConnectionKey("default", credential, owner, account)
    record_id = f"con_{credential}_{owner}_{account}"
    sealed = vault.seal(grant.to_json(), grant_label(key, record_id, 1, 1)) if grant else None
    secret_id = token_secret_id(base, owner, account)
    return store.create(Record(id=record_id, key=key, version=1, sealed=sealed, secret_id=secret_id))


@pytest.fixture
def behind() -> MemorySecrets:
    return MemorySecrets({"other": "plain"})


@pytest.fixture
def tokens(store: Store, vault: Vault, behind: MemorySecrets) -> TokenSecrets:
    return TokenSecrets(store, vault, "default", behind, credential_by_token_secret_id=BASES.get)


@pytest.mark.parametrize(
    ("credential", "owner", "account", "secret_id"),
    [
        pytest.param("github", None, "", "github-token", id="the program's own"),
        pytest.param("github", "ada", "", "github-token/ada", id="an owner's"),
        pytest.param("github", None, "work", "github-token//work", id="an account without owner"),
        pytest.param("github", "ada", "work", "github-token/ada/work", id="owner and account"),
        pytest.param("github", "a/b c", "w/x", "github-token/a%2Fb%20c/w%2Fx", id="percent-encoded"),
        pytest.param("slack", None, "", "team/slack-token", id="a slash in the base"),
        pytest.param("slack", "ada", "work", "team/slack-token/ada/work", id="a slash in the base, and all"),
    ],
)
def test_a_connection_is_read_as_a_token_object(
    store: Store, vault: Vault, tokens: TokenSecrets, credential: str, owner: str | None, account: str, secret_id: str
) -> None:
    connect(store, vault, credential, owner, account, GRANT)
    text = tokens.get(secret_id)
    assert text is not None
    assert Grant.from_json(text) == GRANT
    assert json.loads(text)["scope"] == "a b"


@pytest.mark.parametrize("secret_id", ["github-token/ada/", "github-token/%61da", "github-token/", "x/github-token"])
def test_another_spelling_is_another_id(store: Store, vault: Vault, tokens: TokenSecrets, secret_id: str) -> None:
    connect(store, vault, "github", "ada", "", GRANT)
    connect(store, vault, "github", None, "", GRANT)
    assert tokens.get(secret_id) is None


def test_no_owner_reads_another_ones_token(store: Store, vault: Vault, tokens: TokenSecrets) -> None:
    connect(store, vault, "github", "ada", "work", GRANT)
    assert tokens.get(token_secret_id("github-token", "ada/work", "")) is None
    assert tokens.get(token_secret_id("github-token", "ada", "")) is None


def test_all_other_ids_go_to_the_service_behind(tokens: TokenSecrets, behind: MemorySecrets) -> None:
    assert tokens.get("other") == "plain"
    assert tokens.get("github-token") is None
    tokens.set("new", "value")
    tokens.set("github-token", "brought along")
    tokens.delete("other")
    assert (behind.get("new"), behind.get("other")) == ("value", None)
    assert tokens.get("github-token") == "brought along"


def test_a_disconnected_connection_has_no_token_object(
    store: Store, vault: Vault, tokens: TokenSecrets, behind: MemorySecrets
) -> None:
    record = connect(store, vault, "github", None, "", GRANT)
    behind.set("github-token", "an old one")
    gone = replace(record, incarnation=2, sealed=None, state="disconnected")
    assert store.swap(gone, expect=Expect.of(record))
    assert tokens.get("github-token") is None


def test_token_objects_are_not_written_past_the_engine(store: Store, vault: Vault, tokens: TokenSecrets) -> None:
    connect(store, vault, "github", "ada", "", GRANT)
    for use in (lambda: tokens.set("github-token/ada", PLANTED), lambda: tokens.delete("github-token/ada")):
        with pytest.raises(ConfigurationError) as caught:
            use()
        assert caught.value.code == "place_read_only"
        assert PLANTED not in shown(caught.value)
    assert tokens.get("github-token/ada")


def test_a_token_object_that_does_not_open_is_no_missing_one(store: Store, vault: Vault, clock: FakeClock) -> None:
    connect(store, vault, "github", None, "", GRANT)
    blind = Vault(store, MemoryKeys(), clock=clock)
    service = TokenSecrets(store, blind, "default", MemorySecrets(), credential_by_token_secret_id=BASES.get)
    with pytest.raises(DecryptionFailed) as caught:
        service.get("github-token")
    assert caught.value.code == "key_missing"
