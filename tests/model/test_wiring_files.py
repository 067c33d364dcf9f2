from __future__ import annotations

import os
from pathlib import Path

import pytest

from valetkey.errors import ConfigurationError
from valetkey.model.wiring import Wiring
from valetkey.model.wiring_files import find_wiring_file, load_wiring_file

FULL = """
[credentials.github]
preset = "github"
scopes = ["repo", "read:user"]
display_name = "GitHub of the shop"

[credentials.crm]
authorization_url = "https://crm.example.com/authorize"
token_url = "https://crm.example.com/token"
additional_params = { audience = "api", prompt = "consent" }
pkce = true
buffer = 30

[secrets.mail-key]
display_name = "Mail"
secret_id = "mail/key"

[environments.dev.credentials.crm]
token_url = "http://127.0.0.1:9000/token"
additional_params = { prompt = "none" }

[environments.prod.credentials.github]
per_owner = true
[environments.prod.credentials.only-here]
preset = "slack"
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "valetkey.toml"


def test_a_file_declares_what_code_would(file: Path) -> None:
    file.write_text(FULL)
    wiring = load_wiring_file(file)
    code = Wiring().oauth2_credential(
        "github", preset="github", scopes=["repo", "read:user"], display_name="GitHub of the shop"
    )
    found = wiring.credential("github")
    assert found.source == "file"
    assert [c.name for c in wiring.credentials()] == ["github", "crm"]
    assert {**_members(found), "source": "code"} == _members(code)
    assert dict(wiring.credential("crm").additional_params) == {"audience": "api", "prompt": "consent"}
    declared = wiring.secret_for("mail/key")
    assert declared is not None
    assert declared.display_name == "Mail"


def _members(credential: object) -> dict[str, object]:
    return {name: getattr(credential, name) for name in credential.__dataclass_fields__}  # type: ignore[attr-defined]


def test_an_environment_changes_fields_name_by_name(file: Path) -> None:
    file.write_text(FULL)
    crm = load_wiring_file(file, env="dev").credential("crm")
    assert crm.token_url == "http://127.0.0.1:9000/token"
    assert crm.authorization_url == "https://crm.example.com/authorize"
    assert dict(crm.additional_params) == {"audience": "api", "prompt": "none"}


def test_the_current_environment_counts(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text(FULL)
    monkeypatch.setenv("VALETKEY_ENV", "prod")
    wiring = load_wiring_file(str(file))
    assert wiring.credential("github").per_owner
    assert wiring.credential("only-here").preset == "slack"
    assert load_wiring_file(file, env="dev").get("only-here") is None


def test_a_byte_order_mark_is_no_mistake(file: Path) -> None:
    file.write_bytes(b"\xef\xbb\xbf[credentials.github]\npreset = 'github'\n")
    assert load_wiring_file(file).credential("github")


@pytest.mark.parametrize(
    ("text", "code", "message", "hint"),
    [
        pytest.param("[credentials.a\n", "toml_invalid", "no TOML", "line 1 of ", id="syntax"),
        pytest.param("\n\na = ", "toml_invalid", "no TOML", "mend ", id="syntax at the end"),
        pytest.param(
            "[credential.a]\n", "table_unknown", '"credential"; did you mean "credentials"', "there are", id="t"
        ),
        pytest.param("credentials = 1\n", "toml_invalid", "credentials is a value", "[credentials]", id="no table"),
        pytest.param("[credentials]\na = 1\n", "toml_invalid", "credentials.a", "[credentials.a]", id="no inner table"),
        pytest.param("[environments.x]\na = 1\n", "table_unknown", 'no table "a"', "credentials", id="environment"),
        pytest.param(
            "[credentials.a]\npreset = 'github'\nscope = ['x']\n",
            "field_unknown",
            "table [credentials.a]",
            "rename",
            id="field",
        ),
        pytest.param(
            "[environments.prod.credentials.a]\nscope = ['x']\n",
            "field_unknown",
            "table [environments.prod.credentials.a]",
            "rename",
            id="field of another environment",
        ),
        pytest.param(
            "[credentials.a]\npreset = 'github'\nscopes = 'x y'\n",
            "scopes_not_a_list",
            'credential "a"',
            'scopes = ["x", "y"]',
            id="the hint is TOML",
        ),
        pytest.param(
            "[credentials.a]\npreset = 'github'\nadditional_params = { n = 1 }\n",
            "field_type",
            'credential "a"',
            'additional_params = { n = "1" }',
            id="the hint is a TOML table",
        ),
        pytest.param(
            "[credentials.a]\npreset = 'github'\npkce = 'true'\n", "field_type", "pkce", "pkce = true", id="TOML flag"
        ),
        pytest.param(
            "[credentials.a]\npreset = 'github'\nclient_secret = 's3cr3t'\n",
            "field_unknown",
            "secret",
            "app add",
            id="s",
        ),
        pytest.param("[credentials.'a b']\npreset = 'github'\n", "name_invalid", '"a b"', 'name it "a-b"', id="name"),
        pytest.param("[secrets.a]\nschema = 'X'\n", "field_unknown", "table [secrets.a]", "wire_secret", id="schema"),
        pytest.param("[secrets.a]\ncolour = 'x'\n", "field_unknown", "table [secrets.a]", "display_name", id="secret"),
        pytest.param(
            "[secrets.a]\nsecret_id = 1\n", "field_type", "table [secrets.a]", "secret_id = ", id="secret type"
        ),
        pytest.param(
            "[secrets.a]\nsecret_id = ''\n", "secret_id_missing", "table [secrets.a]", "leave", id="secret id"
        ),
        pytest.param("[environments.'']\n", "env_invalid", "environment", "VALETKEY_ENV", id="environment name"),
    ],
)
def test_a_mistake_names_file_and_table(file: Path, text: str, code: str, message: str, hint: str) -> None:
    file.write_text(text)
    with pytest.raises(ConfigurationError) as caught:
        load_wiring_file(file)
    error = caught.value
    assert error.code == code
    assert message in str(error)
    assert hint in error.hint
    assert "s3cr3t" not in f"{error} {error.hint}"


def test_errors_of_a_declaration_name_the_file(file: Path) -> None:
    file.write_text("[credentials.a]\ntoken_url = 'http://a.example/t'\nauthorization_url = 'https://a.example/a'\n")
    with pytest.raises(ConfigurationError) as caught:
        load_wiring_file(file)
    assert str(file) in str(caught.value)


@pytest.mark.parametrize(
    ("make", "code"),
    [
        pytest.param(Path.exists, "file_unreadable", id="not there"),
        pytest.param(lambda path: path.mkdir(), "file_unreadable", id="a folder"),
        pytest.param(lambda path: path.write_bytes(b"a = '\xff\xfe'"), "toml_invalid", id="not UTF-8"),
    ],
)
def test_a_file_that_cannot_be_read_is_told(file: Path, make: object, code: str) -> None:
    make(file)  # type: ignore[operator]
    with pytest.raises(ConfigurationError) as caught:
        load_wiring_file(file)
    assert caught.value.code == code
    assert str(file) in f"{caught.value} {caught.value.hint}"


# -- where it is -------------------------------------------------------------------------------------------------------


def test_no_file_is_no_mistake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert find_wiring_file() is None


def test_the_named_file_goes_before_the_one_here_before_that_of_the_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    of_user = Path(os.environ["XDG_CONFIG_HOME"]) / "valetkey" / "valetkey.toml"
    of_user.parent.mkdir(parents=True)
    of_user.touch()
    assert find_wiring_file() == of_user
    here = tmp_path / "valetkey.toml"
    here.touch(mode=0o644)
    assert find_wiring_file() == Path("valetkey.toml")
    named = tmp_path / "other.toml"
    named.touch()
    monkeypatch.setenv("VALETKEY_CONFIG", str(named))
    assert find_wiring_file() == named


def test_a_named_file_that_is_not_there_is_a_mistake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VALETKEY_CONFIG", str(tmp_path / "gone.toml"))
    with pytest.raises(ConfigurationError, match=r"gone\.toml") as caught:
        find_wiring_file()
    assert caught.value.code == "file_missing"


def test_a_file_that_others_can_write_is_not_read_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    here = tmp_path / "valetkey.toml"
    here.touch()
    here.chmod(0o666)
    with pytest.raises(ConfigurationError, match="other users can write it") as caught:
        find_wiring_file()
    assert caught.value.code == "file_untrusted"
    assert f"VALETKEY_CONFIG={here}" in caught.value.hint


def test_a_file_of_somebody_else_is_not_read_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    here = tmp_path / "valetkey.toml"
    here.touch(mode=0o644)
    owner = here.stat().st_uid
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    if owner == 0:
        assert find_wiring_file() == Path("valetkey.toml")  # what root left there is trusted
        os.chown(here, 12345, -1)
    with pytest.raises(ConfigurationError, match="belongs to another user") as caught:
        find_wiring_file()
    assert caught.value.code == "file_untrusted"


def test_without_user_ids_the_file_here_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "valetkey.toml").touch()
    monkeypatch.delattr(os, "geteuid")
    assert find_wiring_file() == Path("valetkey.toml")
