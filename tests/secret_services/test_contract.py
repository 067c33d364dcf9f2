"""The contract of every secret service, over all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from valetkey.engine.secrets import ChainSecrets, StoreSecrets, TokenSecrets
from valetkey.errors import ConfigurationError
from valetkey.keys import MemoryKeys
from valetkey.model.ports import SecretService
from valetkey.model.sealing import PlainSealer, Vault
from valetkey.secret_services import DotenvSecrets, EnvSecrets, KeyringSecrets, MemorySecrets
from valetkey.stores.memory import MemoryStore
from valetkey.stores.sqlite import SQLiteStore
from valetkey.testing.clock import FakeClock

VALUES: Mapping[str, str] = {
    "github-app": '{"client_id": "Iv1.8a61f9b3a7aba766", "client_secret": "sh\u00e9 said \\"no\\" #1"}',
    "plain": "s3cret value",
}
WRITABLE = ["memory", "keyring", "store in memory", "store in sqlite", "unsealed store", "chain", "tokens"]
READ_ONLY = ["environment", "environment with prefix", ".env file"]

Make = Callable[[Mapping[str, str]], SecretService]


def memory(values: Mapping[str, str]) -> SecretService:
    return MemorySecrets(values)


def environment(values: Mapping[str, str]) -> SecretService:
    return EnvSecrets(environ={name.upper().replace("-", "_"): value for name, value in values.items()})


def prefixed(values: Mapping[str, str]) -> SecretService:
    names = {f"APP_{name.upper().replace('-', '_')}": value for name, value in values.items()}
    return EnvSecrets("APP_", environ=names)


def filled(service: SecretService, values: Mapping[str, str]) -> SecretService:
    for secret_id, value in values.items():
        service.set(secret_id, value)
    return service


@pytest.fixture
def make(request: pytest.FixtureRequest, tmp_path: Path, os_keyring: Any) -> Iterator[Make]:
    clock = FakeClock()
    store = SQLiteStore(tmp_path / "a.sqlite", clock=clock)
    in_memory = MemoryStore(clock=clock)
    vault = Vault(in_memory, MemoryKeys(), clock=clock)

    def dotenv(values: Mapping[str, str]) -> SecretService:
        lines = [f"export {name.upper().replace('-', '_')}='{value}'\n" for name, value in values.items()]
        (tmp_path / ".env").write_text("".join(lines), encoding="utf-8")
        return DotenvSecrets(tmp_path / ".env")

    def tokens(values: Mapping[str, str]) -> SecretService:
        behind = filled(MemorySecrets(), values)
        return TokenSecrets(in_memory, vault, "default", behind, credential_by_token_secret_id=lambda _: None)

    kinds: dict[str, Make] = {
        "memory": memory,
        "environment": environment,
        "environment with prefix": prefixed,
        ".env file": dotenv,
        "keyring": lambda values: filled(KeyringSecrets(), values),
        "store in memory": lambda values: filled(StoreSecrets(in_memory, vault, "default"), values),
        "store in sqlite": lambda values: filled(
            StoreSecrets(store, Vault(store, MemoryKeys(), clock=clock), "default"), values
        ),
        "unsealed store": lambda values: filled(StoreSecrets(in_memory, PlainSealer(), "default"), values),
        "chain": lambda values: filled(ChainSecrets(EnvSecrets(environ={}), MemorySecrets()), values),
        "tokens": tokens,
    }
    assert os_keyring is not None
    yield kinds[request.param]
    store.close()


every = pytest.mark.parametrize("make", [*WRITABLE, *READ_ONLY], indirect=True)
writable = pytest.mark.parametrize("make", WRITABLE, indirect=True)
read_only = pytest.mark.parametrize("make", READ_ONLY, indirect=True)


@every
def test_it_is_a_secret_service(make: Make) -> None:
    assert isinstance(make({}), SecretService)


@every
def test_a_value_comes_back_as_it_was(make: Make) -> None:
    service = make(VALUES)
    assert {secret_id: service.get(secret_id) for secret_id in VALUES} == VALUES


@every
def test_a_secret_that_is_not_there_is_none(make: Make) -> None:
    assert make(VALUES).get("other") is None


@every
def test_no_value_shows_in_its_repr(make: Make) -> None:
    shown = repr(make(VALUES))
    assert not any(value in shown for value in VALUES.values())


@writable
def test_a_value_is_replaced(make: Make) -> None:
    service = make(VALUES)
    service.set("plain", "another")
    assert service.get("plain") == "another"
    assert service.get("github-app") == VALUES["github-app"]


@writable
def test_a_value_is_removed_and_removing_it_again_is_no_error(make: Make) -> None:
    service = make(VALUES)
    service.delete("plain")
    service.delete("plain")
    assert service.get("plain") is None
    assert service.get("github-app") == VALUES["github-app"]


@writable
@pytest.mark.parametrize("secret_id", ["a", "a/b//c", "x" * 512, "\u00fcml\u00e4ut", "a b", "A", "%2F", "..", "a-b"])
def test_ids_are_kept_apart_as_they_are(make: Make, secret_id: str) -> None:
    service = make({})
    service.set(secret_id, "mine")
    assert service.get(secret_id) == "mine"
    assert service.get(secret_id + "x") is None
    assert service.get(secret_id.swapcase() if secret_id.swapcase() != secret_id else "-") is None


@writable
@pytest.mark.parametrize("value", ["x" * 100_000, "\n\ttab and line\n", "\u2603 \U0001f511", "null", "{}", '"'])
def test_every_text_is_kept(make: Make, value: str) -> None:
    service = make({})
    service.set("odd", value)
    assert service.get("odd") == value


@read_only
def test_a_service_that_only_reads_says_so(make: Make) -> None:
    service = make(VALUES)
    for use in (lambda: service.set("plain", "planted-value"), lambda: service.delete("plain")):
        with pytest.raises(ConfigurationError) as caught:
            use()
        assert caught.value.code == "place_read_only"
        assert "PLAIN" in caught.value.hint
        assert "planted-value" not in str(caught.value) + caught.value.hint
    assert service.get("plain") == VALUES["plain"]
