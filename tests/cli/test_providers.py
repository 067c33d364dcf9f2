"""The providers that are known, and what is odd about them."""

from __future__ import annotations

import tomllib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from valetkey.model import presets
from valetkey.model.presets import preset_ids
from valetkey.model.wiring import Wiring
from valetkey.testing import PracticeProvider

MINE = """
display_name = "Mine"
category = ["storage"]
register_url = "https://mine.example/apps"
docs_url = "https://mine.example/docs"

[credential]
authorization_url = "https://{tenant}.mine.example/authorize"
token_url = "https://{tenant}.mine.example/token"
api_hosts = ["api.mine.example"]

[params.tenant]
description = "whose"
pattern = "[a-z]+"
example = "acme"

[[quirks]]
text = "Its tokens are green, and it takes a long sentence to say so, which does not fit into one line of a terminal."
source = "https://mine.example/docs"
seen_as = "own knowledge"
"""


def test_all_are_listed(bare: Any) -> None:
    names = [line.split()[0] for line in bare.ok("providers", "list").splitlines()[1:]]

    assert names == list(preset_ids())
    assert [one["id"] for one in bare.run("providers", "list", "--json").json["providers"]] == names


def test_one_is_found_by_name_host_or_category(bare: Any) -> None:
    for text in ("GitHub", "api.github.com"):
        assert "github" in bare.ok("providers", "search", text)
    assert {"dropbox", "google"} <= {
        one["id"] for one in bare.run("providers", "search", "storage", "--json").json["providers"]
    }


def test_where_none_is_found_the_way_by_hand_is_named(bare: Any) -> None:
    ran = bare.run("providers", "search", "no-such-thing")

    assert (ran.code, ran.out) == (1, "")
    assert "valetkey app add" in ran.err
    assert "did you mean" not in ran.err
    assert 'did you mean "salesforce"?' in bare.run("providers", "search", "salesfroce").err


def test_what_is_known_is_shown_with_its_sources(bare: Any) -> None:
    shown = bare.ok("providers", "show", "github")

    assert "https://github.com/settings/developers" in shown
    assert "At most ten tokens per user" in shown
    assert shown.splitlines()[-1] == "Add it: valetkey app add github"


def test_a_preset_of_ones_own_is_shown_too(bare: Any, tmp_path: Path, monkeypatch: Any) -> None:
    (tmp_path / "mine.toml").write_text(MINE, encoding="utf-8")
    monkeypatch.setenv("VALETKEY_PRESETS", str(tmp_path))

    shown = bare.ok("providers", "show", "mine")
    found = bare.run("providers", "show", "mine", "--json").json["provider"]

    assert shown.splitlines()[-1] == "Add it: valetkey app add mine --param tenant=..."
    assert "own knowledge" in shown
    assert found["params"] == ["tenant"]
    assert found["origin"] == "folder"
    assert found["quirks"][0]["source"] == "https://mine.example/docs"


def test_a_missing_parameter_is_asked_for(bare: Any, tmp_path: Path, monkeypatch: Any, terminal: Any) -> None:
    (tmp_path / "mine.toml").write_text(MINE, encoding="utf-8")
    monkeypatch.setenv("VALETKEY_PRESETS", str(tmp_path))

    screen = terminal("app", "add", "mine", "--client-id", "id-1", "--public")
    screen.wait_for("whose, such as acme: ")
    screen.type("acme\n")

    assert screen.end() == 0, screen.seen
    assert bare.run("app", "show", "mine", "--json").json["app"]["token_url"] == "https://acme.mine.example/token"


def test_one_that_is_nearly_right_is_suggested(bare: Any) -> None:
    ran = bare.run("providers", "show", "githb")

    assert ran.code == 2
    assert 'did you mean "github"?' in ran.err


@pytest.mark.parametrize("command", [("providers", "show"), ("app", "add"), ("connect",)], ids=" ".join)
def test_one_that_is_left_out_is_told_with_the_reason(bare: Any, command: tuple[str, ...]) -> None:
    ran = bare.run(*command, "fitbit")

    assert ran.code == 2
    assert "switched off on 2 November 2026" in ran.err
    assert "https://developers.google.com/health/about" in ran.err
    assert "google-health" in ran.err or command == ("connect",)


def test_a_search_for_one_that_is_left_out_tells_it_too(bare: Any) -> None:
    ran = bare.run("providers", "search", "Fitbit")

    assert (ran.code, ran.out) == (1, "")
    assert "switched off on 2 November 2026" in ran.err


def test_a_server_is_declared_by_what_it_says_of_itself(bare: Any) -> None:
    with PracticeProvider(issuer_path="/staff") as provider:
        issuer = provider.issuer
        shown = bare.ok("providers", "discover", issuer, "--name", "staff")
        found = bare.run("providers", "discover", f"{issuer}/.well-known/openid-configuration", "--json").json
        table = tomllib.loads(bare.ok("providers", "discover", issuer, "--toml", "--name", "staff"))

        assert f"# token          {issuer}/token" in shown
        wiring = Wiring()
        scope: dict[str, Any] = {"wire_oauth2_credential": wiring.oauth2_credential}
        exec(shown, scope)  # noqa: S102 - that it can be pasted is what is shown
        assert wiring.credential("staff").issuer == issuer
        assert found["declaration"] == {"issuer": issuer, "scopes": ["openid"]} == table["credentials"]["staff"]
        assert found["metadata"]["jwks_url"] == f"{issuer}/jwks"

        added = bare.run("app", "add", "staff", "--issuer", issuer, "--client-id", "id-1", "--public")
        assert added.code == 0, added.err
        provider.change_answer(endpoint="discovery", issuer="https://evil.example")
        ran = bare.run("providers", "discover", issuer)
        assert (ran.code, "issuer" in ran.err, ran.out) == (4, True, "")
        provider.reset_faults()
        assert "staff" in bare.run("providers", "discover", issuer, "--accept").err
        assert bare.run("providers", "discover", f"{issuer}/x", "--accept").code == 2


def test_a_server_that_is_not_there_is_told(bare: Any) -> None:
    ran = bare.run("providers", "discover", "http://127.0.0.1:9")

    assert (ran.code, ran.out) == (4, "")
    assert "http://127.0.0.1:9/.well-known/" in ran.err
    assert bare.run("providers", "discover", "http://example.com").code == 2


# -- lint --------------------------------------------------------------------------------------------------------------


def test_presets_of_ones_own_are_checked(bare: Any, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("VALETKEY_PRESETS", str(tmp_path))
    assert str(tmp_path) in bare.run("providers", "lint").err
    good, bad, torn, called = (tmp_path / name for name in ("mine.toml", "bad.toml", "torn.toml", "Shop 1.toml"))
    good.write_text(MINE, encoding="utf-8")

    assert bare.run("providers", "lint").code == 0
    bad.write_text(MINE + 'x = "y"', encoding="utf-8")
    torn.write_text("# torn\nx = 1 2\n", encoding="utf-8")
    called.write_text(MINE, encoding="utf-8")
    ran, one = bare.run("providers", "lint"), bare.run("providers", "lint", str(good))

    assert (ran.code, one.code, one.out) == (1, 0, "")
    told = dict(line.split(": ", 1) for line in ran.out.splitlines())
    assert told == {
        f"{bad}:21": "quirks.1.x: there is no such member; one of text, source, seen_as",
        f"{torn}:2": 'x: it is no TOML: expected newline or end of document after a statement; x = "value", on a line '
        "of its own",
        str(called): '"Shop 1" cannot be an id; rename the file to small letters, digits and hyphens: shop.toml',
    }
    assert "4 checked, 3 not in order" in ran.err


def test_where_nobody_has_made_the_folder_there_is_no_preset(bare: Any, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("VALETKEY_PRESETS", str(tmp_path / "none"))
    monkeypatch.setattr(presets, "_plugins", list)

    ran = bare.run("providers", "lint")

    assert (ran.code, ran.out) == (0, "")
    assert f"No preset in {tmp_path / 'none'}." in ran.err


def test_what_packages_bring_is_checked_too_where_no_path_is_given(
    bare: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VALETKEY_PRESETS", str(tmp_path))
    broken = tomllib.loads(MINE)
    broken["credential"]["token_uri"] = "x"
    entries = [SimpleNamespace(name="theirs", value="package:THEIRS", load=lambda: broken)]
    monkeypatch.setattr(presets, "_plugins", lambda: entries)

    ran = bare.run("providers", "lint")

    assert ran.code == 1
    assert "package:THEIRS (entry point theirs): credential.token_uri: there is no field" in ran.out
    assert "1 checked, 1 not in order" in ran.err


def test_a_check_of_presets_in_json(bare: Any, tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text("", encoding="utf-8")
    ran = bare.run("providers", "lint", str(tmp_path), "--json")

    assert ran.code == 1
    (checked,) = ran.json["presets"]
    assert checked["file"] == str(tmp_path / "mine.toml")
    assert checked["mistakes"][0] == {
        "line": 1,
        "field": "display_name",
        "text": "it is missing",
        "example": 'display_name = "Shop"',
        "grave": True,
    }
    assert [each["field"] for each in checked["mistakes"]] == ["display_name", "credential", "docs_url"]


def test_a_place_that_is_not_there_is_told(bare: Any, tmp_path: Path) -> None:
    ran = bare.run("providers", "lint", str(tmp_path / "nowhere"))
    assert (ran.code, "nowhere" in ran.err) == (2, True)
