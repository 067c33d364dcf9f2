"""What the lint catches beyond form: where URLs lead, units, scopes, documentation, last days; and on which line."""

from __future__ import annotations

import logging
import tomllib
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from valetkey.errors import ConfigurationError
from valetkey.model import preset_lint, presets
from valetkey.model.preset_files import Found
from valetkey.model.presets import BUILT_IN, lint_plugins, lint_preset_file, load_preset, search_presets
from valetkey.model.wiring import Wiring

GOOD = """display_name = "Shop"
docs_url = "https://shop.example/docs"

[well_known_scopes]
"orders:read" = "Read orders"
"orders:write" = { text = "Change orders", weight = "write" }

[params.shop]
pattern = "[a-z0-9-]+"
example = "acme"

[legacy]
token_url = "2027-02-16"

[sources]
token_url = "https://shop.example/docs#token"

[[quirks]]
text = "It is odd."
source = "https://shop.example/docs"

[credential]
authorization_url = "https://{shop}.shop.example/authorize"
token_url = "https://{shop}.shop.example/token"
userinfo_url = "https://{shop}.shop.example/me"
api_base_url = "https://api.shop.example/v1"
api_hosts = ["api.shop.example", "{shop}.shop.example"]
access_token_lifetime = 3600
refresh_token_lifetime = 7776000
"""
NOW = date(2026, 11, 29)
TOKEN = 'token_url = "https://{shop}.shop.example/token"'
HOSTS = 'api_hosts = ["api.shop.example", "{shop}.shop.example"]'
TABLE = "[credential]"


@pytest.fixture(autouse=True)
def now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preset_lint, "today", lambda: NOW)


@pytest.fixture
def lint(tmp_path: Path) -> Any:
    """Lint a text as the file shop.toml."""

    def linted(text: str) -> list[Found]:
        (tmp_path / "shop.toml").write_text(text, encoding="utf-8")
        return lint_preset_file(tmp_path / "shop.toml")

    return linted


def test_the_example_is_in_order(lint: Any) -> None:
    assert lint(GOOD) == []


def row(name: str, old: str, new: str, told: str) -> Any:
    return pytest.param(old, new, told, id=name)


def token(host: str) -> str:
    return f'token_url = "https://{host}/token"'


STEERED = [
    row("whole host", TOKEN, token("{shop}"), "24: credential.token_url: {shop} chooses the whole host"),
    row("domain", TOKEN, token("shop.{shop}"), "24: credential.token_url: what is typed for {shop} chooses the"),
    row("below a TLD", TOKEN, token("{shop}.example"), "24: credential.token_url: what is typed for {shop}"),
    row("below a country", TOKEN, token("{shop}.co.uk"), "24: credential.token_url: what is typed for {shop}"),
    row("label of a country", TOKEN, token("a.{shop}.com.au"), "24: credential.token_url: what is typed for {shop}"),
    row("registry of a country", TOKEN, token("{shop}.me.uk"), "24: credential.token_url: what is typed for"),
    row("registry of its own", TOKEN, token("{shop}.uk.com"), "24: credential.token_url: what is typed for"),
    row("below a host of hosts", TOKEN, token("{shop}.herokuapp.com"), "24: credential.token_url: what is typed for"),
    row("below its region", TOKEN, token("{shop}.x.amazonaws.com"), "24: credential.token_url: what is typed for"),
    row("port", TOKEN, token("shop.example:{shop}"), "24: credential.token_url: {shop} stands in a user or port"),
    row("user", TOKEN, token("{shop}@shop.example"), "24: credential.token_url: {shop} stands in a user or port"),
    row("API host", HOSTS, 'api_hosts = ["{shop}"]', "27: credential.api_hosts: {shop} chooses the whole host"),
    row("API domain", HOSTS, 'api_hosts = ["*.{shop}.com"]', "27: credential.api_hosts: what is typed for {shop}"),
    row("pattern", 'pattern = "[a-z0-9-]+"', 'pattern = ".+"', "9: params.shop.pattern: the pattern lets"),
]
INSECURE = [
    row("token", TOKEN, TOKEN.replace("https", "http"), "24: credential.token_url: token_url does not start with"),
    row("docs", "https://shop.example/docs", "http://shop.example/docs", "2: docs_url: it does not start with"),
    row("fact", "https://shop.example/docs#", "http://shop.example/#", "16: sources.token_url: its source is no"),
    row("quirk", 'source = "https:', 'source = "http:', "18: quirks.1: its source is no https:// page"),
]
UNKNOWN = [
    row("field", 'token_url = "https://{', 'token_uri = "https://{', "24: credential.token_uri: there is no field"),
    row("member", "docs_url", "doc_url", '2: doc_url: there is no such member; did you mean "docs_url"'),
    row("of a parameter", "example =", "exampel =", "10: params.shop.exampel: there is no such member"),
    row("of a quirk", "source =", "sauce =", "20: quirks.1.sauce: there is no such member"),
    row("of a scope", "weight", "wait", "6: well_known_scopes.orders:write.wait: there is no such member"),
    row("weight", '"write" }', '"much" }', "6: well_known_scopes.orders:write: its weight is one of read, write"),
]
SCOPES = [
    row("comma", '"orders:read"', '"a,b"', '5: well_known_scopes.a,b: "a,b" is more than one scope, and'),
    row("blank", '"orders:read"', '"a b"', '5: well_known_scopes.a b: "a b" is more than one scope'),
    row("separator", TABLE, f'{TABLE}\nscope_separator = ":"', "5: well_known_scopes.orders:read: "),
    row(
        "parameter",
        TABLE,
        f'{TABLE}\nadditional_params = {{ user_scope = "a,b" }}',
        '23: credential.additional_params.user_scope: "a,b" is joined otherwise than scope_separator says',
    ),
    row("scopes", TABLE, f'{TABLE}\nscopes = ["a b"]', '23: credential.scopes: "a b" is more than one scope'),
]
UNITS = [
    row("minutes", "lifetime = 3600", "lifetime = 60", "28: credential.access_token_lifetime: 60 looks like minutes"),
    row("milliseconds", "= 3600", "= 3600000", "28: credential.access_token_lifetime: 3600000 looks like millisec"),
    row("days", "= 7776000", "= 90", "29: credential.refresh_token_lifetime: 90 looks like minutes, hours or days"),
    row("days in ms", "= 7776000", "= 7776000000", "29: credential.refresh_token_lifetime: 7776000000 looks like mill"),
    row("buffer", TABLE, f"{TABLE}\nbuffer = 300000", "23: credential.buffer: 300000 looks like milliseconds"),
]
BEARER = [
    row("all of a TLD", HOSTS, 'api_hosts = ["*.example"]', '27: credential.api_hosts: "*.example" lets the token go'),
    row("all of a country", HOSTS, 'api_hosts = ["*.co.uk"]', '27: credential.api_hosts: "*.co.uk" lets the token'),
    row("shared", HOSTS, 'api_hosts = ["*.herokuapp.com"]', "27: credential.api_hosts: "),
    *(
        row(f"*.{host}", HOSTS, f'api_hosts = ["*.{host}"]', f'27: credential.api_hosts: "*.{host}" lets the token go')
        for host in (
            *("sharepoint.com", "core.windows.net", "blob.core.windows.net", "azure-api.net", "supabase.co"),
            *("github.dev", "azurecontainerapps.io", "me.uk", "uk.com"),
        )
    ),
    row("API registry", HOSTS, 'api_hosts = ["{shop}.uk.com"]', "27: credential.api_hosts: what is typed for {shop}"),
    row("shared below", HOSTS, 'api_hosts = ["*.s3.amazonaws.com"]', "27: credential.api_hosts: "),
    row("userinfo", HOSTS, 'api_hosts = ["api.shop.example"]', "25: credential.userinfo_url: {shop}.shop.example is"),
    row("API", "api.shop.example/v1", "else.example/v1", "26: credential.api_base_url: else.example is none of"),
]
DAYS = [
    row("over", "2027-02-16", "2026-11-28", "24: credential.token_url: its last day was 2026-11-28"),
    row("no day", "2027-02-16", "soon", "13: legacy.token_url: it is a day"),
    row("no endpoint", 'token_url = "2027', 'revocation_url = "2027', "13: legacy.revocation_url: it is no URL"),
]
HOLES = [
    row(
        "of a revocation",
        TABLE,
        f'{TABLE}\nrevocation_params = {{ key = "{{toke}}", shop = "{{shop}}" }}',
        '23: credential.revocation_params.key: nothing says what {toke} is; did you mean "token"?; key = "{token}"',
    ),
    row(
        "no rule",
        TOKEN,
        token("{sho}.shop.example"),
        "24: credential.token_url: nothing says what {sho} is; [params.sho]",
    ),
    row(
        "odd example",
        'pattern = "[a-z0-9-]+"\nexample = "acme"',
        'pattern = "[0-9]+"',
        "8: params.shop.example: its example",
    ),
    row(
        "space", TOKEN, token("shop.example/a b"), "24: credential.token_url: token_url is no absolute URL (it holds a"
    ),
    row(
        "look-alike",
        TOKEN,
        token("sh\u043ep.example"),
        "24: credential.token_url: token_url is no absolute URL (its ho",
    ),
    row(
        "too large a port",
        TOKEN,
        token("shop.example:70000"),
        "24: credential.token_url: token_url is no absolute URL (there is no",
    ),
    row("hole", TOKEN, token("shop.example/{Shop}"), "24: credential.token_url: token_url is no absolute URL (a param"),
]
DOCUMENTATION = [row("no docs", 'docs_url = "https://shop.example/docs"\n', "", "1: docs_url: the documentation page")]


@pytest.mark.parametrize(
    ("old", "new", "told"), [*STEERED, *INSECURE, *UNKNOWN, *SCOPES, *UNITS, *BEARER, *DAYS, *HOLES, *DOCUMENTATION]
)
def test_a_mistake_is_told_with_its_line_and_a_right_example(lint: Any, old: str, new: str, told: str) -> None:
    assert old in GOOD

    lines = [str(found) for found in lint(GOOD.replace(old, new, 1))]

    assert any(line.partition("shop.toml:")[2].startswith(told) for line in lines), lines
    assert all("; " in line for line in lines), "each says how it would be right"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param("2027-02-16", "2026-11-29", id="the last day itself"),
        pytest.param(TOKEN, token("api-{shop}.shop.example"), id="a part of a label"),
        pytest.param(TOKEN, token("login.shop.example/{shop}"), id="a path"),
        pytest.param(TOKEN, token("{shop}.shop.co.uk"), id="below a country, in full"),
        pytest.param(TOKEN, token("{shop}.shop.uk.com"), id="below a registry, in full"),
        pytest.param("lifetime = 3600", "lifetime = 315360000", id="ten years"),
    ],
)
def test_what_is_right_is_not_complained_of(lint: Any, old: str, new: str) -> None:
    assert lint(GOOD.replace(old, new, 1)) == []


def test_a_self_hosted_service_may_choose_its_whole_host(lint: Any) -> None:
    own = GOOD.replace("{shop}.shop.example", "{shop}").replace('"[a-z0-9-]+"', '"[a-z0-9][a-z0-9.-]*"')
    assert {found.mistake.field for found in lint(own)} >= {"credential.token_url", "credential.api_hosts"}

    assert lint(own.replace('example = "acme"', 'example = "shop.acme.example"\nwhole_host = true')) == []


def test_who_signs_in_chooses_no_whole_host_unless_a_pattern_or_the_provider_bounds_it(lint: Any) -> None:
    own = GOOD.replace("{shop}.shop.example", "{shop}").replace('"[a-z0-9-]+"', '"[a-z0-9][a-z0-9.-]*"')
    own = own.replace('example = "acme"', 'example = "shop.acme.example"\nwhole_host = true\noptional = true')

    (found,) = lint(own)
    assert (found.line, found.mistake.field, found.mistake.grave) == (12, "params.shop.optional", True)
    assert "each sign-in could name any host" in str(found)

    assert [it.mistake.field for it in lint(own.replace('"[a-z0-9][a-z0-9.-]*"', '"("'))] == ["params.shop.pattern"]
    bounded = own.replace('"[a-z0-9][a-z0-9.-]*"', '"[a-z0-9-]+[.]acme[.]example"')
    assert lint(bounded) == []
    said = own.replace("{shop}/authorize", "login.shop.example/authorize").replace(
        "{shop}/token", "login.shop.example/token"
    )
    assert lint(f'{said}kept_params = {{ shop = "shop" }}\n') == []


@pytest.mark.parametrize(
    ("text", "line"),
    [
        pytest.param(GOOD.replace('"Shop"', '"Shop'), 1, id="a quote"),
        pytest.param(GOOD.replace("[credential]", "[credential"), 22, id="a bracket"),
        pytest.param(GOOD.replace("lifetime = 3600", "lifetime = 1 h"), 28, id="a unit"),
        pytest.param(GOOD + "[credential]\n", 30, id="twice"),
        pytest.param("display_name = '''\nShop\n", 2, id="never closed"),
    ],
)
def test_a_mistake_in_the_syntax_is_told_with_its_line(lint: Any, text: str, line: int) -> None:
    (found,) = lint(text)

    assert found.line == line, str(found)
    assert "it is no TOML: " in str(found)
    assert "; " in str(found)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        pytest.param("pkce yes", "credential.pkce: it is no TOML: expected '='", id="no sign"),
        pytest.param("pkce = yes", "credential.pkce: it is no TOML: invalid value; pkce = true, on", id="no word"),
        pytest.param(
            "buffer = 1 h", "credential.buffer: it is no TOML: expected newline or end of document", id="unit"
        ),
        pytest.param(
            'api_hosts = ["a"]', "credential.api_hosts: it is no TOML: it stands there twice; api_hosts = [", id="twice"
        ),
        pytest.param('identity = { "a" }', "credential.identity: it is no TOML: ", id="no table"),
        pytest.param("scopes = [\n  read\n]", "credential.scopes: it is no TOML: invalid value", id="bare words"),
    ],
)
def test_a_mistake_in_the_syntax_names_the_member_and_how_it_is_written(lint: Any, line: str, told: str) -> None:
    (found,) = lint(GOOD + line + "\n")

    assert str(found.mistake).startswith(told)


def test_a_file_that_is_no_text_is_told(tmp_path: Path) -> None:
    (tmp_path / "shop.toml").write_bytes(b'display_name = "Shop"\ndocs_url = "\xff"\n')
    (found,) = lint_preset_file(tmp_path / "shop.toml")

    assert str(found) == f"{tmp_path / 'shop.toml'}:2: it is not UTF-8 text; save it as UTF-8"


def test_texts_of_several_lines_do_not_move_the_places(lint: Any) -> None:
    long = GOOD.replace('text = "It is odd."', 'text = """It is odd.\n[credential]\ntoken_url = 3\n"""')
    (found,) = lint(long.replace(TOKEN, 'token_url = "http://a.example/token"'))

    assert (found.line, found.mistake.field) == (27, "credential.token_url")


def test_advice_keeps_no_preset_from_being_used_and_a_grave_mistake_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VALETKEY_PRESETS", str(tmp_path))
    (tmp_path / "plain.toml").write_text(GOOD.replace('docs_url = "https://shop.example/docs"\n', ""))
    (tmp_path / "steered.toml").write_text(GOOD.replace(TOKEN, token("shop.{shop}")))

    assert load_preset("plain").display_name == "Shop"
    assert load_preset("plain").scope_weights == {"orders:write": "write"}
    assert load_preset("plain").well_known_scopes["orders:write"] == "Change orders"
    with pytest.raises(ConfigurationError, match=r"steered\.toml:24: credential\.token_url: what is typed") as caught:
        load_preset("steered")
    assert caught.value.code == "preset_invalid"


LOOK_UP = """

[[credential.look_ups]]
url = "https://api.shop.example/sites"
params = { site = "id" }
"""


def test_a_look_up_goes_to_the_api_alone(lint: Any) -> None:
    assert lint(GOOD + LOOK_UP) == []

    elsewhere = [*map(str, lint(GOOD + LOOK_UP.replace("api.shop.example", "else.example")))]
    assert any("shop.toml:32: credential.look_ups: else.example may not see the access token" in it for it in elsewhere)
    steered = lint(GOOD + LOOK_UP.replace("api.shop.example", "api.{shop}"))
    assert any((it.line, it.mistake.grave) == (33, True) and "chooses the domain" in str(it) for it in steered)


def test_a_closed_set_of_values_may_choose_the_domain(lint: Any) -> None:
    there = GOOD.replace("{shop}.shop.example", "api.{shop}").replace("api.shop.example", "api.{shop}")
    assert lint(there) != []

    closed = 'example = "eu"\nvalues = { us = "shop.example", eu = "shop.eu.example" }'
    assert lint(there.replace('pattern = "[a-z0-9-]+"\nexample = "acme"', closed)) == []


def test_a_family_may_lie_beside_its_member(lint: Any, tmp_path: Path) -> None:
    (tmp_path / "crate.toml").write_text(GOOD, encoding="utf-8")
    assert lint('extends = "crate"\ndisplay_name = "Shop"') == []


def test_all_fields_that_are_wrong_are_told_at_once(lint: Any) -> None:
    wrong = f'{TABLE}\ntoken_format = "json"\nclient_auth = "post"\npkce = "no"\nscopes = "a b"\nbuffer = -1'
    found = lint(GOOD.replace(TABLE, wrong))

    assert [(one.line, one.mistake.field.removeprefix("credential.")) for one in found if one.line < 29] == [
        (23, "token_format"),
        (24, "client_auth"),
        (25, "pkce"),
        (26, "scopes"),
        (27, "buffer"),
    ]


# -- from a package, and from the folder: the same lint ----------------------------------------------------------------


class Brought:
    """An entry point."""

    def __init__(self, name: str, loaded: object) -> None:
        self.name, self.value, self._loaded = name, f"package:{name}", loaded

    def load(self) -> object:
        if isinstance(self._loaded, Exception):
            raise self._loaded
        return self._loaded


STEERS = GOOD.replace(TOKEN, token("shop.{shop}"))


@pytest.fixture
def brought(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Brought]:
    (tmp_path / "folder").mkdir()
    monkeypatch.setenv("VALETKEY_PRESETS", str(tmp_path / "folder"))
    found: list[Brought] = []
    monkeypatch.setattr(presets, "_plugins", lambda: found)
    return found


@pytest.mark.parametrize("way", ["data", "path", "folder"])
def test_each_way_in_is_linted_alike(way: str, tmp_path: Path, brought: list[Brought]) -> None:
    for name, text in (("good", GOOD), ("steers", STEERS)):
        file = tmp_path / ("folder" if way == "folder" else "") / f"{name}.toml"
        if way != "data":
            file.write_text(text, encoding="utf-8")
        if way != "folder":
            brought.append(Brought(name, tomllib.loads(text) if way == "data" else file))

    assert load_preset("good").origin == ("folder" if way == "folder" else "plugin")
    with pytest.raises(ConfigurationError, match=r"credential\.token_url: what is typed") as caught:
        load_preset("steers")
    assert caught.value.code == "preset_invalid"
    if way != "folder":
        linted = lint_plugins()
        assert linted["good"] == []
        assert [found.mistake.field for found in linted["steers"]] == ["credential.token_url"]
        assert [found.line for found in linted["steers"]] == [24 if way == "path" else 0]
    own = [listed.id for listed in search_presets("shop") if listed.origin != "built in"]
    assert own == ["good"], "what is not in order is passed over"


def test_a_package_that_cannot_be_loaded_is_told(tmp_path: Path, brought: list[Brought]) -> None:
    brought += [
        Brought("torn", ImportError("no module named nothing")),
        Brought("Odd Name", {}),
        Brought("gone", tmp_path / "gone.toml"),
    ]

    told = {name: str(found[0]) for name, found in lint_plugins().items()}
    assert "package:torn (entry point torn): it cannot be loaded: no module named nothing" in told["torn"]
    assert "its name cannot be an id" in told["Odd Name"]
    assert "gone.toml: it cannot be read: No such file" in told["gone"]


@pytest.mark.parametrize(
    ("day", "told"),
    [
        pytest.param("2027-02-28", "", id="91 days ahead"),
        pytest.param("2027-02-27", "ends on 2027-02-27, in 90 days", id="90 days ahead"),
        pytest.param("2026-11-29", "ends on 2026-11-29, in 0 days", id="the last day"),
        pytest.param("2026-11-28", "ended on 2026-11-28", id="over"),
    ],
)
def test_who_declares_an_endpoint_that_ends_soon_is_warned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, day: str, told: str
) -> None:
    monkeypatch.setenv("VALETKEY_PRESETS", str(tmp_path))
    plain = GOOD.replace(TOKEN, token("login.shop.example")).replace("2027-02-16", day)
    (tmp_path / "shop.toml").write_text(plain, encoding="utf-8")
    wiring = Wiring()

    with caplog.at_level(logging.WARNING, logger="valetkey"):
        wiring.oauth2_credential("old", preset="shop", params={"shop": "acme"})
        wiring.oauth2_credential("new", preset="shop", params={"shop": "acme"}, token_url="https://new.shop.example/t")

    assert [line for line in caplog.messages if line.startswith("new")] == []
    assert [told in line for line in caplog.messages] == ([True] if told else [])


@pytest.mark.parametrize("path", sorted(BUILT_IN.glob("*.toml")), ids=lambda path: path.stem)
def test_what_comes_along_is_in_order(path: Path) -> None:
    assert [*map(str, lint_preset_file(path))] == []
