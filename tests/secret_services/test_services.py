"""What is particular to one secret service, and how services are named."""

from __future__ import annotations

import pickle
import sys
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path
from typing import Any

import keyring.errors
import pytest

from valetkey.errors import ConfigurationError, StoreUnavailable
from valetkey.secret_services import DotenvSecrets, EnvSecrets, KeyringSecrets, MemorySecrets, open_secrets


def test_the_process_environment_is_read_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    service = EnvSecrets()
    assert service.get("acme/app-1.2") is None
    monkeypatch.setenv("ACME_APP_1_2", "x")
    assert service.get("acme/app-1.2") == "x"
    monkeypatch.setenv("ACME_APP_1_2", "")
    assert service.get("acme/app-1.2") is None


def test_secrets_in_memory_are_not_pickled() -> None:
    with pytest.raises(TypeError) as caught:
        pickle.dumps(MemorySecrets({"app": "planted"}))
    assert "planted" not in str(caught.value)


def test_keyring_entries_stand_under_their_service(os_keyring: Any) -> None:
    KeyringSecrets("mine").set("a", "1")
    assert KeyringSecrets().get("a") is None
    assert os_keyring.entries == {("mine", "a"): "1"}


@pytest.mark.parametrize(
    ("trouble", "error"),
    [
        pytest.param(keyring.errors.NoKeyringError("none"), ConfigurationError, id="no keyring"),
        pytest.param(keyring.errors.KeyringLocked("locked"), StoreUnavailable, id="locked"),
        pytest.param(keyring.errors.PasswordSetError("denied"), StoreUnavailable, id="denied"),
    ],
)
def test_a_keyring_that_does_not_answer_is_told(os_keyring: Any, trouble: Exception, error: type[Exception]) -> None:
    os_keyring.trouble = trouble
    service = KeyringSecrets()
    for use in (lambda: service.get("a"), lambda: service.set("a", "planted"), lambda: service.delete("a")):
        with pytest.raises(error) as caught:
            use()
        assert caught.value.code == "keyring_unavailable"  # type: ignore[attr-defined]
        assert "planted" not in str(caught.value)


def test_a_keyring_that_forgets_is_noticed(os_keyring: Any) -> None:
    os_keyring.forgetful = True
    with pytest.raises(ConfigurationError) as caught:
        KeyringSecrets().set("a", "planted")
    assert caught.value.code == "keyring_unavailable"


def test_services_are_named_by_a_word(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("A=1")
    assert isinstance(open_secrets("memory:"), MemorySecrets)
    assert isinstance(open_secrets("keyring:mine"), KeyringSecrets)
    assert open_secrets(f"dotenv:{tmp_path / '.env'}").get("a") == "1"


def test_dotenv_means_the_file_of_this_folder_by_default() -> None:
    service = open_secrets("dotenv")
    assert isinstance(service, DotenvSecrets)
    assert service.path == Path(".env")


def test_a_prefix_follows_env(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MYAPP_A", "1")
    assert open_secrets("env:MYAPP_").get("a") == "1"


class Plugged(MemorySecrets):
    """A service that a plugin brings."""

    def __init__(self, rest: str) -> None:
        super().__init__({"rest": rest})


def test_other_names_are_looked_up_among_the_plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "a_plugin", sys.modules[__name__])
    entry = EntryPoint("plugged", "a_plugin:Plugged", "valetkey.secret_services")

    def entry_points(**wanted: str) -> EntryPoints:
        return EntryPoints([entry]).select(**wanted)

    monkeypatch.setattr("importlib.metadata.entry_points", entry_points)
    assert open_secrets("plugged:a:b").get("rest") == "a:b"


def test_an_unknown_name_is_told() -> None:
    with pytest.raises(ConfigurationError) as caught:
        open_secrets("hashicorp:secret")
    assert caught.value.code == "secret_service_unknown"
    assert "hashicorp" in str(caught.value)
