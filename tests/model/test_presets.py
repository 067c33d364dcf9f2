from __future__ import annotations

import logging
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path
from typing import Any

import pytest

from valetkey.errors import ConfigurationError
from valetkey.model import presets
from valetkey.model.presets import lint_preset, load_preset, preset_ids, search_presets
from valetkey.model.wiring import Wiring

SHOP = """
display_name = "Shop"
category = ["commerce"]
register_url = "https://shop.example/apps"
[register_labels]
client_id = "API key"
[well_known_scopes]
"read_orders" = "Read orders"
[params.shop]
description = "the shop's name"
pattern = "[a-z0-9][a-z0-9-]*"
example = "acme"
[verified]
level = "documentation"
date = "2026-11"
[credential]
authorization_url = "https://{shop}.shop.example/authorize"
token_url = "https://{shop}.shop.example/token"
api_base_url = "https://{shop}.shop.example/api/"
api_hosts = ["{shop}.shop.example"]
additional_params = { access = "offline" }
[sources]
token_url = "https://shop.example/docs#token"
api_base_url = "https://shop.example/docs#api"
[[quirks]]
text = "It is a shop."
source = "https://shop.example/docs"
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of presets of the user, with one in it."""
    found = tmp_path / "my-presets"
    found.mkdir()
    (found / "shop.toml").write_text(SHOP)
    monkeypatch.setenv("VALETKEY_PRESETS", str(found))
    return found


@pytest.fixture
def plugins(monkeypatch: pytest.MonkeyPatch) -> list[EntryPoint]:
    """What installed packages bring; each look at it is counted."""
    found: list[EntryPoint] = []
    monkeypatch.setattr(presets, "_plugins", lambda: EntryPoints(found))
    return found


# -- where they come from ----------------------------------------------------------------------------------------------


def test_a_built_in_preset_is_found_without_looking_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    def never() -> Any:
        pytest.fail("looked further than needed")

    monkeypatch.setattr(presets, "_plugins", never)
    monkeypatch.setattr(presets, "user_folder", never)
    preset = load_preset("github")
    assert (preset.display_name, preset.origin) == ("GitHub", "built in")
    assert preset.register_labels["redirect_uri"] == "Authorization callback URL"
    assert preset.well_known_scopes["repo"]
    assert preset.verified.level == "documentation"
    assert preset.quirks[0].source


@pytest.mark.usefixtures("folder")
def test_a_preset_of_the_user_is_found_in_the_folder() -> None:
    preset = load_preset("shop")
    assert preset.origin == "folder"
    assert preset.url_params["shop"].example == "acme"
    assert "shop" in preset_ids()


def test_the_folder_of_the_user_is_in_the_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    found = tmp_path / "valetkey" / "presets"
    found.mkdir(parents=True)
    (found / "shop.toml").write_text(SHOP)
    assert load_preset("shop").display_name == "Shop"


def test_what_is_built_in_cannot_be_replaced_unnoticed(folder: Path) -> None:
    (folder / "github.toml").write_text(SHOP)
    assert load_preset("github").display_name == "GitHub"


@pytest.mark.parametrize("kind", ["data", "path"])
def test_a_package_can_bring_presets(kind: str, plugins: list[EntryPoint], folder: Path) -> None:
    value = {"data": f"{__name__}:DATA", "path": f"{__name__}:FILE"}[kind]
    entry = EntryPoint("from-package", value, "valetkey.presets")

    class Loaded(EntryPoint):
        def load(self) -> Any:
            return {**DATA} if kind == "data" else folder / "shop.toml"

    plugins.append(Loaded(entry.name, entry.value, entry.group))
    preset = load_preset("from-package")
    assert (preset.id, preset.origin) == ("from-package", "plugin")
    assert "from-package" in preset_ids()


DATA = {
    "docs_url": "https://plugin.example/docs",
    "display_name": "Of a package",
    "credential": {
        "authorization_url": "https://p.example/a",
        "token_url": "https://p.example/t",
        "api_hosts": ["api.p.example"],
    },
}


@pytest.mark.usefixtures("plugins")
def test_a_broken_preset_of_the_user_says_what_is_wrong_and_where(folder: Path) -> None:
    (folder / "broken.toml").write_text("display_name = 'B'\n[credential]\ntoken_url = 'http://a.example/t'\n")
    with pytest.raises(
        ConfigurationError, match=r'preset "broken": .*broken\.toml:2: .*authorization_url: it is'
    ) as caught:
        load_preset("broken")
    assert caught.value.code == "preset_invalid"
    assert "(and 1 more)" in str(caught.value)
    assert caught.value.hint == f"run: valetkey providers lint {folder / 'broken.toml'}"
    (folder / "odd.toml").write_text("display_name = ")
    with pytest.raises(ConfigurationError, match=r"odd\.toml:1: display_name: ") as caught:
        load_preset("odd")
    assert caught.value.code == "preset_invalid"
    assert str(folder / "odd.toml") in caught.value.hint


@pytest.mark.usefixtures("plugins")
@pytest.mark.parametrize("name", ["..", "../github", "GitHub", "github.toml", "/etc/passwd", "", "a\x00b"])
def test_only_a_plain_name_is_looked_up(name: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_preset(name)
    assert caught.value.code == "preset_unknown"


@pytest.mark.usefixtures("plugins")
def test_an_unknown_preset_names_the_nearest() -> None:
    with pytest.raises(ConfigurationError, match='did you mean "microsoft"') as caught:
        load_preset("micosoft")
    assert "valetkey providers search" in caught.value.hint


# -- searching ---------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("plugins")
@pytest.mark.parametrize(
    ("text", "found"),
    [
        pytest.param("github", ["github"], id="id"),
        pytest.param("GIT", ["github", "gitlab"], id="start of the id"),
        pytest.param("hub", ["hubspot", "github"], id="start, then part of the id"),
        pytest.param("Stripe Connect", ["stripe"], id="display name"),
        pytest.param("api.notion.com", ["notion"], id="host"),
        pytest.param("auth.atlassian", ["atlassian", "confluence", "jira"], id="host of an endpoint"),
        pytest.param("payment", ["squareup", "stripe"], id="category"),
        pytest.param("no such thing", [], id="nothing"),
    ],
)
def test_presets_are_found_by_what_people_type(text: str, found: list[str]) -> None:
    ids = [preset.id for preset in search_presets(text)]
    assert [name for name in ids if name in found] == found
    assert bool(ids) == bool(found)


@pytest.mark.usefixtures("plugins")
def test_the_best_match_comes_first(folder: Path) -> None:
    (folder / "a-linear-tool.toml").write_text(SHOP)
    assert [preset.id for preset in search_presets("linear")] == ["linear", "a-linear-tool"]


@pytest.mark.usefixtures("plugins")
def test_an_empty_search_finds_all() -> None:
    assert [preset.id for preset in search_presets("")] == list(preset_ids())


@pytest.mark.usefixtures("plugins")
def test_a_broken_preset_does_not_spoil_the_search(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    (folder / "broken.toml").write_text("=")
    with caplog.at_level(logging.WARNING, "valetkey"):
        found = {preset.id for preset in search_presets("")}
    assert {"shop", "github"} <= found
    assert "broken" not in found
    assert "preset broken was passed over" in caplog.text


# -- in a declaration --------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("folder")
def test_a_declaration_fills_the_urls_of_its_preset() -> None:
    made = Wiring().oauth2_credential("my-shop", preset="shop", params={"shop": "acme"})
    assert made.token_url == "https://acme.shop.example/token"
    assert made.api_hosts == ("acme.shop.example",)
    assert dict(made.params) == {"shop": "acme"}
    assert (made.preset, made.display_name) == ("shop", "Shop")


@pytest.mark.usefixtures("folder")
def test_what_is_declared_goes_before_the_preset_and_tables_are_merged() -> None:
    made = Wiring().oauth2_credential(
        "s",
        preset="shop",
        params={"shop": "acme"},
        display_name="Mine",
        api_hosts=["other.example"],
        additional_params={"lang": "de"},
    )
    assert (made.display_name, made.api_hosts) == ("Mine", ("other.example",))
    assert dict(made.additional_params) == {"access": "offline", "lang": "de"}


@pytest.mark.usefixtures("folder")
def test_an_empty_value_removes_what_the_preset_says() -> None:
    made = Wiring().oauth2_credential("s", preset="shop", params={"shop": "a"}, additional_params={"access": ""})
    assert dict(made.additional_params) == {}


@pytest.mark.usefixtures("folder")
def test_a_missing_parameter_is_told_with_an_example() -> None:
    with pytest.raises(ConfigurationError, match=r'credential "s": .*"shop" \(the shop\'s name\)') as caught:
        Wiring().oauth2_credential("s", preset="shop")
    assert caught.value.code == "param_missing"
    assert 'params={"shop": "acme"}' in caught.value.hint


@pytest.mark.usefixtures("folder")
def test_a_misspelt_parameter_is_told() -> None:
    with pytest.raises(ConfigurationError, match='did you mean "shop"') as caught:
        Wiring().oauth2_credential("s", preset="shop", params={"shopp": "a"})
    assert caught.value.code == "param_invalid"


ESCAPES = [
    "evil.example/",
    "evil.example#",
    "evil.example?",
    "a@evil.example",
    "evil.example:443",
    "evil.example\\",
    "evil.example",
    "a/../b",
    "..",
    ".",
    "a%2fb",
    "a b",
    "a\nb",
    "-a",
    "a-",
    "a_b",
    "\u0430",
    "a" * 64,
    "{shop}",
]


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("value", ESCAPES)
def test_no_parameter_moves_a_url_to_another_host(value: str, folder: Path) -> None:
    # the general rule holds even where a preset's own pattern would let everything through
    (folder / "shop.toml").write_text(SHOP.replace('pattern = "[a-z0-9][a-z0-9-]*"', ""))
    with pytest.raises(ConfigurationError, match='credential "s"') as caught:
        Wiring().oauth2_credential("s", preset="shop", params={"shop": value})
    assert caught.value.code in {"param_invalid", "text_invalid"}


@pytest.mark.parametrize("value", ["evil/oauth2", "..", ".", "a?b", "a#b", "a@b", "a%2f..", "a\\b", "a b", "x" * 5000])
def test_no_parameter_moves_a_url_to_another_path(value: str) -> None:
    with pytest.raises(ConfigurationError, match='credential "m"') as caught:
        Wiring().oauth2_credential("m", preset="microsoft", params={"tenant": value})
    assert caught.value.code in {"param_invalid", "text_invalid"}


def test_a_parameter_may_have_a_default() -> None:
    usual = Wiring().oauth2_credential(preset="microsoft")
    assert "/common/" in usual.token_url
    assert dict(usual.params) == {"tenant": "common"}
    own = Wiring().oauth2_credential(preset="microsoft", params={"tenant": "contoso.onmicrosoft.com"})
    assert own.token_url == "https://login.microsoftonline.com/contoso.onmicrosoft.com/oauth2/v2.0/token"


@pytest.mark.parametrize("host", ["gitlab.example.com", "git.intern.example:8443", "10.0.0.7"])
def test_a_provider_that_people_run_themselves_takes_a_whole_host(host: str) -> None:
    made = Wiring().oauth2_credential(preset="gitlab", params={"host": host})
    assert made.token_url == f"https://{host}/oauth/token"
    assert made.api_hosts == (host,)


@pytest.mark.parametrize("host", ["a/b", "a@b.example", "a.example:x", "a..b", "-a.example", "a.example?", "a b", ""])
def test_a_whole_host_is_nothing_but_a_host(host: str) -> None:
    wiring = Wiring()
    if host == "":
        # an empty one is one not given
        assert wiring.oauth2_credential(preset="gitlab", params={"host": host}).api_hosts == ("gitlab.com",)
        return
    with pytest.raises(ConfigurationError) as caught:
        wiring.oauth2_credential(preset="gitlab", params={"host": host})
    assert caught.value.code == "param_invalid"


def test_parameters_serve_urls_written_by_hand_too() -> None:
    made = Wiring().oauth2_credential(
        "own",
        authorization_url="https://{region}.auth.example/{tenant}/authorize",
        token_url="https://{region}.auth.example/{tenant}/token?v={tenant}",
        params={"region": "eu", "tenant": "a.b~c"},
    )
    assert made.token_url == "https://eu.auth.example/a.b~c/token?v=a.b~c"


@pytest.mark.parametrize("value", ["..", ".", "...", "a/b", "a?b", "a@b", "a%2fb"])
def test_the_general_rule_holds_in_paths_written_by_hand(value: str) -> None:
    url = "https://auth.example/{tenant}/token"
    with pytest.raises(ConfigurationError) as caught:
        Wiring().oauth2_credential("own", authorization_url=url, token_url=url, params={"tenant": value})
    assert caught.value.code == "param_invalid"


@pytest.mark.usefixtures("folder")
def test_the_pattern_of_a_preset_narrows_the_general_rule() -> None:
    with pytest.raises(ConfigurationError) as caught:
        Wiring().oauth2_credential("s", preset="shop", params={"shop": "ACME"})
    assert caught.value.code == "param_invalid"


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("{scheme}://a.example/", id="scheme"),
        pytest.param("https://{scheme}@a.example/", id="user"),
        pytest.param("https://a.example:{scheme}/", id="port"),
    ],
)
def test_a_parameter_stands_in_host_or_path_only(url: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Wiring().oauth2_credential("own", authorization_url=url, token_url=url, params={"scheme": "https"})
    assert caught.value.code in {"param_invalid", "url_invalid"}


def test_a_plain_preset_lints_clean() -> None:
    assert lint_preset(DATA) == []


# -- families ----------------------------------------------------------------------------------------------------------

MEMBER = """
extends = "shop"
display_name = "Shop for Animals"
[params.shop]
description = "the zoo's name"
[verified]
level = "sources-agree"
date = "2026-10"
[credential]
api_base_url = "https://{shop}.shop.example/animals"
additional_params = { species = "all" }
[[quirks]]
text = "It bites."
source = "https://shop.example/animals"
"""


def test_a_member_of_a_family_says_only_what_is_different(folder: Path) -> None:
    (folder / "zoo.toml").write_text(MEMBER)
    zoo, shop = load_preset("zoo"), load_preset("shop")
    made = Wiring().oauth2_credential(preset="zoo", params={"shop": "berlin"})

    assert made.api_base_url == "https://berlin.shop.example/animals"
    assert made.token_url == "https://berlin.shop.example/token"
    assert dict(made.additional_params) == {"access": "offline", "species": "all"}
    assert (zoo.register_url, zoo.category) == (shop.register_url, shop.category)
    assert (zoo.url_params["shop"].pattern, zoo.url_params["shop"].description) == (
        shop.url_params["shop"].pattern,
        "the zoo's name",
    )
    assert [quirk.text for quirk in zoo.quirks] == ["It is a shop.", "It bites."]
    assert (zoo.verified.level, shop.verified.level) == ("sources-agree", "documentation")


def test_what_a_member_says_otherwise_loses_the_source_of_the_family(folder: Path) -> None:
    (folder / "zoo.toml").write_text(f'{MEMBER}[sources]\nscopes = "https://shop.example/animals"')

    assert dict(load_preset("shop").sources) == {
        "token_url": "https://shop.example/docs#token",
        "api_base_url": "https://shop.example/docs#api",
    }
    assert dict(load_preset("zoo").sources) == {
        "token_url": "https://shop.example/docs#token",
        "scopes": "https://shop.example/animals",
    }


def test_how_well_a_family_is_checked_says_nothing_about_its_members(folder: Path) -> None:
    (folder / "zoo.toml").write_text('extends = "shop"\ndisplay_name = "Zoo"')
    assert load_preset("zoo").verified.level == "community"


@pytest.mark.parametrize(
    ("extends", "said"),
    [
        pytest.param('"shopp"', 'there is no preset "shopp"; did you mean "shop"?', id="unknown"),
        pytest.param('"member"', '"member" extends "shop" itself; extend that one', id="two steps"),
        pytest.param('"../shop"', 'zoo.toml:1: extends: it is the id of a preset; extends = "google"', id="a path"),
        pytest.param("3", 'zoo.toml:1: extends: it is the id of a preset; extends = "google"', id="a number"),
        pytest.param('"broken"', 'the preset "broken" is not in order: display_name: it is missing', id="broken"),
        pytest.param('"torn"', "torn.toml:1: x: it is no TOML: expected", id="no TOML"),
        pytest.param('"zoo"', '"zoo" extends "zoo" itself', id="itself"),
    ],
)
def test_a_family_that_cannot_be_extended_is_told(folder: Path, extends: str, said: str) -> None:
    (folder / "member.toml").write_text(MEMBER)
    (folder / "broken.toml").write_text("[credential]")
    (folder / "torn.toml").write_text("x y")
    (folder / "zoo.toml").write_text(f'extends = {extends}\ndisplay_name = "Zoo"')
    with pytest.raises(ConfigurationError) as caught:
        load_preset("zoo")
    assert caught.value.code == "preset_invalid"
    assert said in str(caught.value)


def test_what_a_member_says_is_checked_together_with_its_family(folder: Path) -> None:
    (folder / "zoo.toml").write_text(
        'extends = "shop"\ndisplay_name = "Zoo"\n[credential]\ntoken_url = "http://{shop}.shop.example/token"'
    )
    with pytest.raises(ConfigurationError, match="https"):
        load_preset("zoo")
