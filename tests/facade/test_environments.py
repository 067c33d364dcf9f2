"""The same declarations serve several environments, which share nothing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from valetkey import NotConnected, Valet
from valetkey.testing import Practice


@pytest.fixture
def home() -> Path:
    return Path(os.environ["VALETKEY_HOME"])


def options(practice: Practice, env: str) -> dict[str, object]:
    return {
        "env": env,
        "wiring": practice.wiring,
        "secrets": practice.secrets,
        "clock": practice.clock,
        "base_url": "http://127.0.0.1:8421",
    }


def test_each_environment_has_a_store_and_a_master_key_of_its_own(practice: Practice, home: Path) -> None:
    for env in ("default", "staging", "we/ird"):
        with Valet(**options(practice, env)) as valet:  # type: ignore[arg-type]
            start = valet.authorize("notes")
            valet.finish(practice.provider.approve(start.url), binding=start.binding)

    keys = sorted(path.relative_to(home).as_posix() for path in home.rglob("key"))
    assert keys == ["environments/staging/key", "environments/we%2Fird/key", "key"]
    assert len({(home / key).read_text() for key in keys}) == 3


def test_a_connection_of_one_environment_is_not_seen_in_another(practice: Practice, tmp_path: Path) -> None:
    shared = {"store": tmp_path / "shared.db", "key": tmp_path / "key"}
    with (
        Valet(**shared, **options(practice, "dev")) as dev,  # type: ignore[arg-type]
        Valet(**shared, **options(practice, "prod")) as prod,  # type: ignore[arg-type]
    ):
        start = dev.authorize("notes")
        dev.finish(practice.provider.approve(start.url), binding=start.binding)

        assert dev.client("notes").get("/me").status_code == 200
        assert len(prod.connections()) == 0
        with pytest.raises(NotConnected):
            prod.client("notes").get("/me")


def test_the_environment_variable_names_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VALETKEY_ENV", "staging")

    assert Valet().env == "staging"
    assert Valet(env="prod").env == "prod"
