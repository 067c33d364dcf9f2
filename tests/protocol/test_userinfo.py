from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from valetkey.errors import ConfigurationError
from valetkey.model.connections import Identity
from valetkey.model.credentials import OAuth2Credential
from valetkey.model.grants import Grant
from valetkey.protocol.userinfo import parse_userinfo, userinfo_request
from valetkey.values import Response, Secret

SITE = OAuth2Credential(name="site", userinfo_url="https://id.example/me?v=2")
GRANT = Grant(access_token=Secret("at"), token_type="bot")


def parse(body: object, paths: Mapping[str, str] | None = None, status: int = 200) -> Identity | None:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return parse_userinfo(Response(status=status, body=data), credential=replace(SITE, identity=paths or {}))


def test_the_identity_is_asked_for_with_the_access_token() -> None:
    request = userinfo_request(SITE, GRANT)

    assert request is not None
    assert (request.method, request.url, request.body) == ("GET", "https://id.example/me?v=2", b"")
    assert dict(request.headers) == {"Accept": "application/json", "Authorization": "Bearer at"}
    assert "Bearer" not in repr(request)


def test_some_apis_are_asked_with_a_body_and_headers_of_their_own() -> None:
    credential = replace(
        SITE,
        userinfo_method="POST",
        userinfo_body='{"query": "{ viewer { id } }"}',
        api_headers={"Notion-Version": "2022-06-28", "Authorization": "Bearer other"},
    )

    request = userinfo_request(credential, GRANT)

    assert request is not None
    assert (request.method, json.loads(request.body)) == ("POST", {"query": "{ viewer { id } }"})
    assert request.headers["Content-Type"] == "application/json"
    assert (request.headers["Notion-Version"], request.headers["Authorization"]) == ("2022-06-28", "Bearer at")


def test_a_credential_without_a_userinfo_url_is_not_asked() -> None:
    assert userinfo_request(replace(SITE, userinfo_url=""), GRANT) is None


def test_the_token_goes_to_https_only() -> None:
    with pytest.raises(ConfigurationError, match=r"^site: userinfo_url"):
        userinfo_request(replace(SITE, userinfo_url="http://id.example/me"), GRANT)


@pytest.mark.parametrize(
    ("body", "paths", "identity"),
    [
        pytest.param(
            {"sub": "24400320", "email": "ada@example.com", "name": "Ada", "preferred_username": "ada"},
            {},
            Identity(subject="24400320", email="ada@example.com", name="Ada", login="ada"),
            id="OpenID Connect",
        ),
        pytest.param(
            {"id": 583231, "login": "octocat", "email": None, "name": ""},
            {"subject": "id", "login": "login"},
            Identity(subject="583231", login="octocat"),
            id="GitHub: a number, a null",
        ),
        pytest.param(
            {"data": {"viewer": {"id": "u1", "emails": [{"value": "a@b"}, {"value": "c@d"}]}}},
            {"subject": "data.viewer.id", "email": "data.viewer.emails.1.value"},
            Identity(subject="u1", email="c@d"),
            id="dotted paths",
        ),
        pytest.param({"a.b": "x"}, {"subject": "a.b"}, Identity(subject="x"), id="a name with a dot in it"),
        pytest.param({"ok": True, "user_id": "U1"}, {"subject": "user_id"}, Identity(subject="U1"), id="Slack"),
        pytest.param({"sub": "1", "email": "a@b"}, {"email": ""}, Identity(subject="1"), id="a part left out"),
        pytest.param(
            {"sub": "1\u001b[31m\n", "name": "x" * 500},
            {},
            Identity(subject="1 [31m", name="x" * 199 + "\N{HORIZONTAL ELLIPSIS}"),
            id="made safe",
        ),
        pytest.param({"sub": "1", "email": ["a@b"], "name": {"a": 1}}, {}, Identity(subject="1"), id="odd parts"),
        pytest.param({"sub": "1", "login": "x"}, {"login": "a.b.c.d"}, Identity(subject="1"), id="a path to nothing"),
        pytest.param({"l": [1]}, {"subject": "l.5", "name": "l.x", "login": "l.0"}, Identity(login="1"), id="lists"),
        pytest.param(b"\xef\xbb\xbf" + b'{"sub": "1"}', {}, Identity(subject="1"), id="byte order mark"),
    ],
)
def test_who_it_is_stands_in_many_places(body: object, paths: Mapping[str, str], identity: Identity) -> None:
    assert parse(body, paths) == identity


@pytest.mark.parametrize(
    ("body", "status"),
    [
        pytest.param({"sub": "1"}, 401, id="401"),
        pytest.param({"sub": "1"}, 302, id="302"),
        pytest.param(b"<html>", 200, id="HTML"),
        pytest.param(b"eyJ.eyJ.sig", 200, id="a signed answer"),
        pytest.param([{"sub": "1"}], 200, id="a list"),
        pytest.param({}, 200, id="nothing in it"),
        pytest.param({"ok": False, "error": "invalid_auth", "sub": "1"}, 200, id="Slack: not ok"),
        pytest.param({"sub": None, "email": " \u001b "}, 200, id="nothing to show"),
    ],
)
def test_an_answer_without_an_identity_is_none(body: object, status: int) -> None:
    assert parse(body, status=status) is None


@pytest.mark.fuzz
@given(
    body=st.binary(max_size=80)
    | st.dictionaries(st.sampled_from(["sub", "email", "a"]), st.text() | st.integers() | st.lists(st.text())),
    path=st.text(max_size=10),
)
def test_no_answer_raises(body: object, path: str) -> None:
    found = parse(body, {"subject": path})

    assert found is None or found.title.isprintable()
