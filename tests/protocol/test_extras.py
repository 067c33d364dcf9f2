from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from valetkey.protocol.extras import harmless_members


@pytest.mark.parametrize(
    ("members", "extra"),
    [
        pytest.param(
            {"instance_url": "https://x.my.example.com"}, {"instance_url": "https://x.my.example.com"}, id="url"
        ),
        pytest.param({"bot_user_id": "U0KRQLJ9H"}, {"bot_user_id": "U0KRQLJ9H"}, id="id"),
        pytest.param(
            {"stripe_user_id": "acct_1032D82eZvKYlo2C"}, {"stripe_user_id": "acct_1032D82eZvKYlo2C"}, id="acct"
        ),
        pytest.param(
            {"created_at": 1607635748, "live": True}, {"created_at": "1607635748", "live": "true"}, id="numbers"
        ),
        pytest.param({"test": False, "ratio": 0.5}, {"test": "false", "ratio": "0.5"}, id="truth and fractions"),
        pytest.param(
            {"workspace_id": "6b29fc40-ca47-1067-b31d-00dd010662da"},
            {"workspace_id": "6b29fc40-ca47-1067-b31d-00dd010662da"},
            id="UUID",
        ),
        pytest.param(
            {"instance_url": "https://orgfarm-1a2b3c4d5e6f7a8b9c-dev-ed.develop.my.example.com"},
            {"instance_url": "https://orgfarm-1a2b3c4d5e6f7a8b9c-dev-ed.develop.my.example.com"},
            id="a long host",
        ),
        pytest.param({"id_token": "a.b.c", "access_token": "at2"}, {}, id="tokens of ours"),
        pytest.param(
            {"client_secret": "s", "session_id": "s", "device_code": "c", "api_key": "k"}, {}, id="secret names"
        ),
        pytest.param({"site": "0123456789abcdef" * 2}, {"site": "0123456789abcdef" * 2}, id="a hexadecimal id"),
        pytest.param({"site": "0123456789abcdef" * 2 + "0"}, {}, id="one digit more than an id"),
        pytest.param({"other": "eyJhbGciOiJSUzI1NiIsImtpZCI6IjEifQ"}, {}, id="looks like a token"),
        pytest.param({"url": "https://x.example/cb#eyJhbGciOiJSUzI1NiIsImtpZCI6IjEifQ"}, {}, id="token in a URL"),
        pytest.param({"refresh_token": "refreshme", "link": "https://x.example/?t=refreshme"}, {}, id="holds a token"),
        pytest.param({"note": "a\u001b[31m"}, {}, id="terminal escape"),
        pytest.param({"no\u202ete": "a"}, {}, id="a name that turns the text around"),
        pytest.param({"note": "x" * 512}, {"note": "x" * 512}, id="as long as can be"),
        pytest.param({"note": "x" * 513}, {}, id="too long"),
        pytest.param({"n" * 64: "x"}, {"n" * 64: "x"}, id="a name as long as can be"),
        pytest.param({"n" * 65: "x"}, {}, id="a name too long"),
        pytest.param({"refresh_token": "8letters", "link": "to-8letters"}, {}, id="holds a short token"),
        pytest.param(
            {"refresh_token": "7letter", "link": "to-7letter"}, {"link": "to-7letter"}, id="too short to tell"
        ),
        pytest.param({"team": {"id": "T1"}, "list": [1]}, {}, id="no scalar"),
        pytest.param({"empty": "", "null": None}, {}, id="nothing"),
    ],
)
def test_only_harmless_members_are_kept_in_clear(members: Mapping[str, Any], extra: Mapping[str, str]) -> None:
    assert dict(harmless_members(members, kept=(), read=())) == extra


def test_the_number_of_other_members_is_bounded() -> None:
    assert len(harmless_members({f"m{n}": n for n in range(1000)}, kept=(), read=())) == 32


def test_what_was_read_already_is_left_out() -> None:
    assert dict(harmless_members({"scope": "a", "shop": "b"}, kept=(), read={"scope"})) == {"shop": "b"}


def test_members_that_are_asked_for_are_found_at_their_paths() -> None:
    members = {"team": {"id": "T1", "token": "xoxb"}, "sites": [{"url": "https://s.example"}], "is": {"it": True}}

    found = harmless_members(members, kept=["team.id", "sites.0.url", "a.b", "is.it"], read=())

    assert dict(found) == {"team.id": "T1", "sites.0.url": "https://s.example", "is.it": "true"}


def test_a_name_that_was_asked_for_may_look_secret_but_its_value_may_not() -> None:
    members = {"country_code": "CH", "api_key": "eyJhbGciOiJSUzI1NiIsImtpZCI6IjEifQ"}

    assert dict(harmless_members(members, kept=members, read=())) == {"country_code": "CH"}
