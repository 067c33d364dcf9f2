"""All mistakes of a preset's file are told at once: each is told also where others stand beside it, and none twice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from valetkey.model import presets
from valetkey.model.preset_members import Mistake
from valetkey.model.presets import lint_preset_file

GOOD = """display_name = "Shop"
category = ["commerce"]
docs_url = "https://shop.example/docs"

[well_known_scopes]
"orders:read" = "Read orders"

[params.shop]
pattern = "[a-z0-9-]+"
example = "acme"
optional = false

[verified]
date = "2026-11"

[[quirks]]
text = "It is odd."
source = "https://shop.example/docs"

[credential]
grant = "authorization_code"
authorization_url = "https://{shop}.shop.example/authorize"
token_url = "https://{shop}.shop.example/token"
userinfo_url = "https://{shop}.shop.example/me"
api_hosts = ["{shop}.shop.example"]
access_token_lifetime = 3600
refresh_token_lifetime = 7776000
scope_separator = " "
scopes = ["orders:read"]
client_auth = "client_secret_post"
pkce = true
identity = { subject = "id" }
error_aliases = { bad_token = "invalid_grant" }
api_headers = { "Api-Version" = "3" }
"""
ONE_BY_ONE = {
    "name of a wrong type": ('display_name = "Shop"', "display_name = 3"),
    "text instead of a list": ('category = ["commerce"]', 'category = "commerce"'),
    "http page": ('docs_url = "https:', 'docs_url = "http:'),
    "scope of a wrong type": ('"orders:read" = "Read orders"', '"orders:read" = 5'),
    "loose pattern": ('pattern = "[a-z0-9-]+"', 'pattern = ".*"'),
    "flag as a text": ("optional = false", 'optional = "no"'),
    "no month": ('date = "2026-11"', 'date = "last year"'),
    "member of a quirk": ('text = "It is odd."', 'txt = "It is odd."'),
    "no grant of that name": ('"authorization_code"', '"authorisation_code"'),
    "http URL": ('authorization_url = "https:', 'authorization_url = "http:'),
    "URL of a wrong type": ('token_url = "https://{shop}.shop.example/token"', "token_url = 5"),
    "misspelt field": ('userinfo_url = "https', 'user_info_url = "https'),
    "hosts as a text": ('api_hosts = ["{shop}.shop.example"]', 'api_hosts = "{shop}.shop.example"'),
    "a unit": ("access_token_lifetime = 3600", 'access_token_lifetime = "1h"'),
    "days": ("refresh_token_lifetime = 7776000", "refresh_token_lifetime = 90"),
    "joined scopes": ('scopes = ["orders:read"]', 'scopes = ["orders:read orders:write"]'),
    "choice": ('"client_secret_post"', '"secret_post"'),
    "yes": ("pkce = true", 'pkce = "yes"'),
    "path of a wrong type": ('{ subject = "id" }', "{ subject = 1 }"),
    "alias": ('bad_token = "invalid_grant"', 'bad_token = "invalid_grand"'),
    "reserved header": ('"Api-Version" = "3"', '"Authorization" = "3"'),
}
FIELDS = {name: new for name, (_, new) in ONE_BY_ONE.items()}


@pytest.fixture(scope="module")
def lint(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Lint a text as the file shop.toml: the mistakes, with their lines."""
    file = tmp_path_factory.mktemp("linted") / "shop.toml"

    def linted(text: str) -> list[tuple[int, Mistake]]:
        file.write_text(text, encoding="utf-8")
        return [(found.line, found.mistake) for found in lint_preset_file(file)]

    return linted


@pytest.fixture(scope="module")
def alone(lint: Any) -> dict[str, set[tuple[int, Mistake]]]:
    """What is told of each mistake where it is the only one."""
    return {name: set(lint(wrong(name))) for name in ONE_BY_ONE}


def wrong(*names: str) -> str:
    text = GOOD
    for name in names:
        old, new = ONE_BY_ONE[name]
        assert old in text
        text = text.replace(old, new, 1)
    return text


def test_the_example_is_in_order(lint: Any) -> None:
    assert lint(GOOD) == []


@pytest.mark.parametrize("name", ONE_BY_ONE)
def test_one_mistake_is_told_at_its_line_and_nothing_else(lint: Any, name: str) -> None:
    line = wrong(name).splitlines().index(next(each for each in wrong(name).splitlines() if FIELDS[name] in each)) + 1

    assert {at for at, _ in lint(wrong(name))} == {line}


@pytest.mark.parametrize("one", ONE_BY_ONE)
def test_two_mistakes_are_told_as_each_alone(lint: Any, alone: Any, one: str) -> None:
    both = {other: set(lint(wrong(one, other))) for other in ONE_BY_ONE if other != one}

    assert both == {other: alone[one] | alone[other] for other in both}


def test_all_mistakes_of_a_file_are_told_at_once(lint: Any, alone: Any) -> None:
    assert set(lint(wrong(*ONE_BY_ONE))) == set().union(*alone.values())
    assert all(alone.values())


def test_an_example_keeps_the_parameters_of_the_url(lint: Any) -> None:
    ((_, mistake),) = lint(wrong("http URL"))

    assert mistake.example == 'authorization_url = "https://{shop}.shop.example/authorize"'


def test_what_agrees_with_nothing_is_told_beside_a_wrong_type(lint: Any) -> None:
    text = wrong("a unit").replace("[credential]", '[credential]\ncallback_hmac = "hmac"\nscope_separator = ""', 1)
    text = text.replace('scope_separator = " "\n', "").replace('"client_secret_post"', '"none"')

    assert [mistake.field for _, mistake in lint(text)] == [
        "credential.callback_hmac",
        "credential.scope_separator",
        "credential.access_token_lifetime",
    ]


def test_where_it_is_unclear_what_is_meant_fields_are_not_held_to_each_other(lint: Any) -> None:
    own = GOOD.replace('grant = "authorization_code"', 'grant = "by hand"\nassertion_subject = "ada"')

    assert [mistake.field for _, mistake in lint(own)] == ["credential.grant"]


@pytest.mark.parametrize(
    ("old", "new", "place", "field"),
    [
        pytest.param("[credential]", "[credentials]", (20, "credentials"), "credentials.token_url", id="a table"),
        pytest.param("token_url", "token_uri", (23, "credential.token_uri"), "credential.token_uri", id="a field"),
    ],
)
def test_what_a_misspelt_name_holds_is_looked_at_too(
    lint: Any, old: str, new: str, place: tuple[int, str], field: str
) -> None:
    text = GOOD.replace(old, new, 1)
    assert [(at, mistake.field) for at, mistake in lint(text)] == [place], "what it names is not missing as well"

    further = lint(text.replace("https://{shop}.shop.example/token", "http://shop.example/token"))
    insecure = [(at, mistake.field) for at, mistake in further if "does not start with https://" in mistake.text]
    assert insecure == [(23, field)]


@pytest.mark.parametrize("family", ['"nobody-has-this"', "5", '"google-drive"'])
def test_a_family_that_cannot_be_read_hides_no_other_mistake(lint: Any, family: str) -> None:
    text = f'extends = {family}\ndisplay_name = 3\n[credential]\ntoken_url = "http://a.example/"\npkce = "no"\n'

    assert [(at, mistake.field) for at, mistake in lint(text)] == [
        (1, "extends"),
        (2, "display_name"),
        (5, "credential.pkce"),
    ]


def test_a_search_says_of_each_preset_that_is_not_in_order_one_short_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("VALETKEY_PRESETS", str(tmp_path))
    (tmp_path / "shop.toml").write_text(wrong(*ONE_BY_ONE), encoding="utf-8")

    assert presets.search_presets("shop.example") == []

    assert caplog.messages == [f"preset shop was passed over: valetkey providers lint {tmp_path / 'shop.toml'}"]
