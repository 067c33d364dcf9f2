"""Bad settings: odd environments, mistakes in ``valetkey.toml``, no home folder, a clock that is set back."""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest

from valetkey import AsyncValet, ConfigurationError, ProviderUnavailable, Valet
from valetkey.engine.leases import Lease
from valetkey.model.connections import ConnectionKey

HOUR = 3600


@pytest.fixture
def valet(colour: Any) -> Iterator[Any]:
    """Return a function that makes a valet as a program does which says nothing."""
    made: list[Any] = []

    def make() -> Any:
        made.append(colour.blocking(Valet() if colour.name == "sync" else AsyncValet()))
        return made[-1]

    yield make
    for each in made:
        each.close()


def is_secret_kept(valet: Any) -> bool:
    """Whether a secret that is stored comes back: then store and key are there."""
    valet.secrets.set("mail", "hush")
    return bool(valet.secrets.get("mail") == "hush")


def home() -> Path:
    return Path(os.environ["VALETKEY_HOME"])


# -- environments


ODD = [
    "we/ird",
    "..",
    ".",
    "../../escape",
    "a b",
    "-x",
    "*",
    "%2e",
    "DEFAULT",
    "\u65e5\u672c",
    "\u00e9" * 200,
    "x" * 200,
]


@pytest.mark.parametrize("env", ODD, ids=ascii)
def test_an_odd_environment_gets_a_folder_of_its_own_below_the_others(
    env: str, valet: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert is_secret_kept(valet())
    monkeypatch.setenv("VALETKEY_ENV", env)

    assert valet().secrets.get("mail") is None, "what the default environment keeps is not seen here"
    assert is_secret_kept(valet())

    keys = [key.parent.relative_to(home()).as_posix() for key in home().rglob("key")]
    assert len(keys) == 2
    assert "." in keys
    assert [len(Path(key).parts) for key in keys if key != "."] == [2], "environments/<one name>"
    assert not list(home().parent.glob("escape*"))


@pytest.mark.parametrize("env", [" ", "\t", "prod\n", "a\x1b[2Jb", "x" * 201, "a\udcffb"], ids=ascii)
def test_a_name_that_no_environment_can_have_is_refused_before_anything_is_made(
    env: str, valet: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VALETKEY_ENV", env)

    with pytest.raises(ConfigurationError) as caught:
        valet()

    assert caught.value.code == "env_invalid"
    assert "VALETKEY_ENV" in caught.value.hint
    assert "\x1b" not in str(caught.value)
    assert not home().exists()
    monkeypatch.setenv("VALETKEY_ENV", "staging")
    assert is_secret_kept(valet())


# -- valetkey.toml


GOOD = '[credentials.crm]\npreset = "github"\nscopes = ["repo", "user"]\n'


@pytest.mark.parametrize(
    ("wrong", "code", "named", "mend"),
    [
        pytest.param(("[credentials.crm]", "[credentials.crm"), "toml_invalid", "line 1", "line 1", id="no TOML"),
        pytest.param(("credentials", "credential"), "table_unknown", '"credential"', "credentials", id="table"),
        pytest.param(("scopes", "scops"), "field_unknown", 'did you mean "scopes"', "rename", id="field"),
        pytest.param(("github", "githb"), "preset_unknown", 'did you mean "github"', "providers search", id="preset"),
        pytest.param(
            ('["repo", "user"]', '"repo user"'),
            "scopes_not_a_list",
            "list of strings",
            'scopes = ["repo", "user"]',
            id="one string",
        ),
        pytest.param(
            ("scopes", 'client_secret = "hush-canary"\nscopes'),
            "field_unknown",
            "client_secret",
            "valetkey app add",
            id="a secret",
        ),
        pytest.param(
            ("scopes", 'token_url = "http://crm.example/token"\nscopes'),
            "url_insecure",
            "token_url",
            'token_url = "https://crm.example/token"',
            id="http",
        ),
    ],
)
def test_a_mistake_in_the_file_is_named_with_file_and_remedy(
    wrong: tuple[str, str],
    code: str,
    named: str,
    mend: str,
    valet: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    file = tmp_path / "valetkey.toml"
    file.write_text(GOOD.replace(*wrong, 1))
    monkeypatch.setenv("VALETKEY_CONFIG", str(file))
    stumbling = valet()

    with pytest.raises(ConfigurationError) as caught:
        stumbling.connections()

    assert caught.value.code == code
    assert str(file) in f"{caught.value} {caught.value.hint}"
    assert named in f"{caught.value} {caught.value.hint}"
    assert mend in caught.value.hint
    assert "hush-canary" not in f"{caught.value} {caught.value.hint}"
    file.write_text(GOOD)
    assert len(stumbling.connections()) == 0, "the same valet goes on once the file is mended"


# -- no home folder


@pytest.fixture
def _nobodys_home(monkeypatch: pytest.MonkeyPatch) -> None:
    """Be a user of whom the machine knows nothing, as in many containers."""
    for name in ["HOME", "VALETKEY_HOME", *(n for n in os.environ if n.startswith("XDG_"))]:
        monkeypatch.delenv(name, raising=False)

    def unknown(_: int) -> NoReturn:
        msg = "uid not found"
        raise KeyError(msg)

    monkeypatch.setattr(pwd, "getpwuid", unknown)


@pytest.mark.usefixtures("_nobodys_home")
def test_without_a_home_folder_the_hint_works(valet: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationError) as caught:
        valet().connections()

    assert caught.value.code == "home_missing"
    assert "VALETKEY_HOME" in caught.value.hint
    monkeypatch.setenv("VALETKEY_HOME", str(tmp_path / "srv"))
    assert is_secret_kept(valet())
    assert (tmp_path / "srv" / "key").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("where", ["file", "file/below"])
def test_a_home_that_is_no_folder_is_told(
    where: str, valet: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("kept")
    monkeypatch.setenv("VALETKEY_HOME", str(tmp_path / where))

    with pytest.raises(ConfigurationError) as caught:
        valet().connections()

    assert caught.value.code in {"home_missing", "store_path"}
    assert str(tmp_path / "file") in str(caught.value)
    assert (tmp_path / "file").read_text() == "kept"


# -- a clock that is set back


def test_a_clock_set_back_between_two_calls_refreshes_nothing_and_heals_at_the_first_401(face: Any) -> None:
    """By our clock the token now seems to live two hours more; the API knows better."""
    face.practice.connect("notes")
    assert face.client().get("/me").status_code == 200
    face.practice.clock.set(face.practice.clock.now() - HOUR)

    assert face.client().get("/me").status_code == 200
    assert face.client().status().state == "connected"
    assert face.practice.provider.refreshes == 0
    face.practice.provider.expire_access_tokens()

    assert face.client().get("/me").status_code == 200, "the token is no newborn, though it seems to be of the future"
    assert (face.practice.provider.refreshes, face.practice.provider.reuses) == (1, 0)


def test_a_clock_set_back_does_not_prolong_a_cool_down(face: Any) -> None:
    face.practice.connect("notes")
    face.practice.provider.expire_access_tokens()
    assert face.client().get("/me").status_code == 401, "too young to be refreshed: a cool-down is noted"

    face.practice.clock.set(face.practice.clock.now() - HOUR)

    assert face.client().get("/me").status_code == 200


def test_a_clock_set_back_does_not_put_off_the_next_try(face: Any, refused: Any) -> None:
    face.practice.connect("notes")
    face.practice.clock.advance(HOUR + 1)
    face.practice.provider.fail_next(status=503)
    refused(lambda: face.client().get("/me"), ProviderUnavailable, "provider_unavailable", "Notes")

    face.practice.clock.set(face.practice.clock.now() - 2 * HOUR)
    face.practice.provider.expire_access_tokens()

    assert face.client().get("/me").status_code == 200


def test_a_clock_set_back_does_not_keep_a_rejected_app_out(face: Any) -> None:
    face.practice.connect("notes")
    face.practice.clock.advance(HOUR + 1)
    face.practice.provider.fail_next(status=401, error="invalid_client")
    with pytest.raises(Exception, match="app credentials"):
        face.client().get("/me")

    face.practice.clock.set(face.practice.clock.now() - HOUR)

    assert face.client().refresh().state == "connected"


def test_a_sign_in_that_died_before_the_clock_was_set_back_is_not_waited_for(practice: Any) -> None:
    practice.valet.connections()
    key = ConnectionKey("test", "notes")
    with Lease(practice.valet._core.world, key) as first, Lease(practice.valet._core.world, key) as second:
        assert first.take()
        first._held = None  # its process died
        assert not second.take()
        practice.clock.set(practice.clock.now() - HOUR)
        assert second.take()
