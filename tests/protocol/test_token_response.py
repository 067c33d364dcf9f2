from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from valetkey.model.credentials import OAuth2Credential
from valetkey.protocol.bodies import MAX_BODY
from valetkey.protocol.token_response import Refusal, TokenSet, parse_token_response
from valetkey.values import Response, Secret

NOW = 1_800_000_000.0
SITE = OAuth2Credential(name="site", token_url="https://as.example/token", scopes=("read", "write"))
DATE = {"date": "Fri, 15 Jan 2027 08:00:00 GMT"}  # NOW


def answer(
    body: bytes | str | object,
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    credential: OAuth2Credential = SITE,
) -> TokenSet | Refusal:
    if isinstance(body, str):
        body = body.encode()
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    response = Response(status=status, headers=headers or {}, body=data)
    return parse_token_response(response, credential=credential, now=NOW)


def tokens(
    members: Mapping[str, Any] | str | bytes,
    *,
    headers: Mapping[str, str] | None = None,
    credential: OAuth2Credential = SITE,
) -> TokenSet:
    body = {"access_token": "at", "token_type": "bearer", **members} if isinstance(members, Mapping) else members
    found = answer(body, headers=headers, credential=credential)
    assert isinstance(found, TokenSet)
    return found


def refusal(
    body: bytes | str | object,
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    credential: OAuth2Credential = SITE,
) -> Refusal:
    found = answer(body, status=status, headers=headers, credential=credential)
    assert isinstance(found, Refusal)
    return found


# -- what is taken --------------------------------------------------------------------------------------------------


def test_a_full_answer_is_read_in_full() -> None:
    found = tokens(
        {
            "access_token": "at",
            "token_type": "Bearer",
            "expires_in": 3600,
            "refresh_token": "rt",
            "refresh_expires_in": 86400,
            "scope": "read write",
            "id_token": "a.b.c",
            "instance_url": "https://eu1.example.com",
        }
    )

    assert found == TokenSet(
        access_token=Secret("at"),
        token_type="Bearer",
        refresh_token=Secret("rt"),
        expires_in=3600.0,
        refresh_expires_in=86400.0,
        scope=("read", "write"),
        id_token=Secret("a.b.c"),
        extra={"instance_url": "https://eu1.example.com"},
    )
    assert "at" not in repr(found).replace("access_token", "").replace("instance_url", "").split("'")


@pytest.mark.conformance("1 core: expires_in")
@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        pytest.param("3600", 3600.0, id="a string"),
        pytest.param(" 3600 ", 3600.0, id="a string with spaces"),
        pytest.param(3600.0, 3600.0, id="a float"),
        pytest.param("3600.5", 3600.5, id="a fraction in a string"),
        pytest.param(10**15, 3_155_760_000.0, id="huge: taken for a hundred years"),
        pytest.param(10**19 + 1, 3_155_760_000.0, id="of twenty digits"),
        pytest.param(10**400, None, id="beyond any number"),
        pytest.param("9" * 5000, None, id="a string beyond any number"),
        pytest.param(0, None, id="zero"),
        pytest.param("0", None, id="zero as a string"),
        pytest.param(-1, None, id="negative"),
        pytest.param(None, None, id="null"),
        pytest.param(True, None, id="true"),
        pytest.param("abc", None, id="a word"),
        pytest.param("", None, id="an empty string"),
        pytest.param("inf", None, id="infinite as a string"),
        pytest.param([3600], None, id="a list"),
    ],
)
def test_an_odd_expires_in_never_means_for_ever(value: object, seconds: float | None) -> None:
    assert tokens({"expires_in": value}).expires_in == seconds


@pytest.mark.parametrize("word", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_numbers_that_json_does_not_know_cost_no_tokens(word: str) -> None:
    found = tokens('{"access_token": "at", "refresh_token": "rt", "expires_in": ' + word + "}")

    assert (found.expires_in, found.refresh_token) == (None, Secret("rt"))


@pytest.mark.conformance("1 core: expires_in", "2 F:no-expires_in")
def test_an_absent_expires_in_is_not_known() -> None:
    assert tokens({}).expires_in is None


@pytest.mark.parametrize(
    ("value", "headers", "seconds"),
    [
        pytest.param(NOW + 21600, {}, 21600.0, id="Unix seconds (Strava)"),
        pytest.param((NOW + 60) * 1000, {}, 60.0, id="Unix milliseconds"),
        pytest.param(str(int(NOW) + 60), {}, 60.0, id="Unix seconds in a string"),
        pytest.param("2027-01-15T09:00:00Z", {}, 3600.0, id="ISO 8601 (Square)"),
        pytest.param("2027-01-15T09:00:00", {}, 3600.0, id="ISO 8601 without a zone is UTC"),
        pytest.param("2027-01-15T09:00:00+01:00", DATE, None, id="over already"),
        pytest.param(NOW + 900, {"date": "Fri, 15 Jan 2027 08:05:00 GMT"}, 600.0, id="by the server's own clock"),
        pytest.param("soon", {}, None, id="a word"),
        pytest.param("0001-01-01T00:00:00+14:00", {}, None, id="before all times"),
        pytest.param(-5, {}, None, id="negative"),
    ],
)
def test_an_absolute_end_is_read_where_no_life_is_given(
    value: object, headers: Mapping[str, str], seconds: float | None
) -> None:
    assert tokens({"expires_at": value}, headers=headers).expires_in == seconds


def test_a_life_counts_before_an_absolute_end() -> None:
    assert tokens({"expires_in": 60, "expires_at": NOW + 3600}).expires_in == 60.0


@pytest.mark.conformance("1 core: scope")
@pytest.mark.parametrize(
    ("members", "scope"),
    [
        pytest.param({"scope": "read"}, ("read",), id="narrower"),
        pytest.param({"scope": "read write admin"}, ("read", "write", "admin"), id="broader"),
        pytest.param({"scope": "write read"}, ("write", "read"), id="another order"),
        pytest.param({"scope": "repo,gist"}, ("repo", "gist"), id="commas (GitHub)"),
        pytest.param({"scope": "a, b"}, ("a", "b"), id="commas and spaces"),
        pytest.param({"scope": ["chat:read", "chat:edit"]}, ("chat:read", "chat:edit"), id="a list (Twitch)"),
        pytest.param({"scope": ["a", 7, None, "", "b"]}, ("a", "b"), id="a list with other things in it"),
        pytest.param({"scopes": "account email"}, ("account", "email"), id="named scopes (Bitbucket)"),
        pytest.param({"scope": "read  read"}, ("read",), id="twice the same"),
        pytest.param({"scope": ""}, None, id="empty counts as absent"),
        pytest.param({"scope": []}, None, id="an empty list counts as absent"),
        pytest.param({"scope": None}, None, id="null (Mailchimp)"),
        pytest.param({"scope": 7}, None, id="a number"),
        pytest.param({}, None, id="absent: as asked"),
        pytest.param({"scope": "Read"}, ("Read",), id="case counts"),
        pytest.param({"scope": "a \u001b[31mb c"}, ("a", "c"), id="a scope with a terminal escape is dropped"),
    ],
)
def test_scopes_come_in_many_forms(members: Mapping[str, Any], scope: tuple[str, ...] | None) -> None:
    assert tokens(members).scope == scope


def test_the_number_of_scopes_is_bounded() -> None:
    assert len(tokens({"scope": [f"s{n}" for n in range(1000)]}).scope or ()) == 500


@pytest.mark.parametrize(
    ("credential", "text", "scope"),
    [
        pytest.param(
            replace(SITE, scopes=("session:role:a,b",)), "session:role:a,b c", ("session:role:a,b", "c"), id="a comma"
        ),
        pytest.param(replace(SITE, scope_separator=";"), "a;b", ("a", "b"), id="a separator of the provider's own"),
        pytest.param(replace(SITE, scope_separator=""), "a,b", ("a", "b"), id="no separator at all"),
    ],
)
def test_what_separates_scopes_depends_on_the_declaration(
    credential: OAuth2Credential, text: str, scope: tuple[str, ...]
) -> None:
    assert tokens({"scope": text}, credential=credential).scope == scope


@pytest.mark.conformance("0 6")
@pytest.mark.parametrize(
    ("given", "taken"),
    [
        pytest.param("bearer", "bearer", id="lower case"),
        pytest.param("Bearer", "Bearer", id="capital"),
        pytest.param("bEARER", "bEARER", id="inverted case"),
        pytest.param("bot", "bearer", id="Slack's bot token"),
        pytest.param("user", "bearer", id="Slack's user token"),
        pytest.param(None, "bearer", id="null"),
        pytest.param("", "bearer", id="empty"),
    ],
)
def test_a_bearer_token_has_many_names(given: str | None, taken: str) -> None:
    assert tokens({"token_type": given}).token_type == taken


def test_an_absent_token_type_is_bearer() -> None:
    assert tokens('{"access_token": "at"}').token_type == "bearer"


@pytest.mark.conformance("1 core: unknown token type")
@pytest.mark.parametrize("token_type", ["mac", "DPoP", "dpop", "N_A", "bearer ", 7, ["bearer"], {}])
def test_a_token_of_an_unknown_type_is_never_used_and_its_successor_kept_aside(token_type: object) -> None:
    found = refusal({"access_token": "at", "token_type": token_type, "refresh_token": "rt2"})

    assert (found.kind, found.error) == ("request", "unsupported_token_type")
    assert found.quarantined == Secret("rt2")
    assert "rt2" not in repr(found)


@pytest.mark.conformance("1 core: token answer")
@pytest.mark.parametrize(
    "token",
    [
        pytest.param("x" * 65536, id="64 KB"),
        pytest.param("a b".replace(" ", "/+="), id="base64"),
        pytest.param("42.user-token|$", id="odd but visible"),
    ],
)
def test_any_visible_token_is_taken_whatever_its_size(token: str) -> None:
    assert tokens({"access_token": token}).access_token.reveal() == token


@pytest.mark.conformance("1 core: token answer")
@pytest.mark.parametrize(
    ("members", "note"),
    [
        pytest.param({}, "no access token", id="missing"),
        pytest.param({"access_token": None}, "no access token", id="null"),
        pytest.param({"access_token": ""}, "no access token", id="empty"),
        pytest.param({"access_token": 42}, "an access token that no header can carry", id="a number"),
        pytest.param({"access_token": ["at"]}, "an access token that no header can carry", id="a list"),
        pytest.param({"access_token": "a b"}, "an access token that no header can carry", id="with a space"),
        pytest.param({"access_token": "a\r\nX: y"}, "an access token that no header can carry", id="header injection"),
        pytest.param({"access_token": "t\u00f6ken"}, "an access token that no header can carry", id="not ASCII"),
        pytest.param({"access_token": "\ud800"}, "an access token that no header can carry", id="half a character"),
    ],
)
def test_a_success_without_a_usable_access_token_leaves_us_in_doubt(members: Mapping[str, Any], note: str) -> None:
    found = refusal({"token_type": "bearer", "refresh_token": "rt2", **members})

    assert (found.kind, found.in_doubt, found.note) == ("doubt", True, note)
    assert found.quarantined == Secret("rt2")


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        pytest.param("rt 2", Secret("rt 2"), id="with a space"),
        pytest.param("", None, id="empty counts as absent"),
        pytest.param(None, None, id="null"),
        pytest.param(42, None, id="a number"),
        pytest.param("rt\n", None, id="with a line end"),
        pytest.param("\ud800", None, id="half a character"),
    ],
)
def test_an_odd_refresh_token_is_no_refresh_token(value: object, kept: Secret | None) -> None:
    assert tokens({"refresh_token": value}).refresh_token == kept


@pytest.mark.parametrize("name", ["refresh_expires_in", "refresh_token_expires_in", "x_refresh_token_expires_in"])
def test_the_life_of_a_refresh_token_has_several_names(name: str) -> None:
    assert tokens({name: "8640000"}).refresh_expires_in == 8640000.0


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"\xef\xbb\xbf" + b'{"access_token": "at"}', id="byte order mark"),
        pytest.param(b'\n\n {"access_token": "at"} \n', id="blank lines around"),
        pytest.param(b'{"access_token": "at", "note": "a\nb"}', id="a raw line end inside a string"),
        pytest.param(b'{"access_token": "at", "note": "caf\xe9"}', id="Latin-1 in a description"),
        pytest.param(b'{"access_token": "at", "unknown": {"deep": [1, 2, {}]}}', id="unknown members"),
        pytest.param(b'{"access_token": "at", "error": ""}', id="an empty error"),
        pytest.param(b'{"access_token": "at", "error": null, "ok": true}', id="no error and ok"),
        pytest.param(b'{"access_token": "at", "error": 0, "success": true}', id="error zero"),
        pytest.param(b'{"access_token": "at", "error": {"code": "ok", "message": ""}}', id="an error that says ok"),
        pytest.param(b"access_token=at&token_type=bearer", id="form-encoded (GitHub without Accept)"),
        pytest.param(b"\xef\xbb\xbfaccess_token=at&expires=5183999\n", id="form-encoded with mark and line end"),
        pytest.param(b"&access_token=at&scope=&", id="form-encoded with empty fields"),
    ],
)
def test_an_answer_that_can_be_read_is_read(body: bytes) -> None:
    assert tokens(body).access_token == Secret("at")


@pytest.mark.conformance("2 own: form-encoded")
def test_a_form_encoded_answer_is_decoded() -> None:
    found = tokens(b"access_token=a%2Bt&scope=repo%2Cgist&expires_in=28800&refresh_token=r+t")

    assert found.access_token == Secret("a+t")
    assert found.scope == ("repo", "gist")
    assert (found.expires_in, found.refresh_token) == (28800.0, Secret("r t"))


def test_a_body_beyond_the_bound_is_not_read() -> None:
    body = b'{"access_token": "at"}'

    assert tokens(body.ljust(MAX_BODY)).access_token == Secret("at")
    found = refusal(body.ljust(MAX_BODY + 1))

    assert (found.kind, found.note) == ("doubt", "an answer of more than a megabyte")


def test_what_else_an_answer_tells_is_kept_where_it_is_harmless() -> None:
    credential = replace(SITE, kept_params={"team": "team.id"})
    members = {
        "team": {"id": "T1"},
        "shop": "x",
        "refresh_token": "rt",
        "expires_at": NOW + 9,
        "scopes": "a",
        "error": 0,
    }

    assert dict(tokens(members, credential=credential).extra) == {"team.id": "T1", "shop": "x"}
