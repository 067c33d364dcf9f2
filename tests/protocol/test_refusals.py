from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace

import pytest

from valetkey.model.credentials import OAuth2Credential
from valetkey.protocol.refusals import Refusal
from valetkey.protocol.token_response import parse_token_response
from valetkey.values import Response

NOW = 1_800_000_000.0
SITE = OAuth2Credential(
    name="site",
    token_url="https://as.example/token",
    error_aliases={
        "bad_refresh_token": "invalid_grant",
        "invalid_refresh_token": "invalid_grant",
        "ratelimited": "temporarily_unavailable",
        "4735": "invalid_grant",
        "OAuthException": "invalid_grant",
        "odd": "no_such_standard_error",
    },
)


def refusal(
    status: int, body: bytes | object = b"", headers: Mapping[str, str] | None = None, at: OAuth2Credential = SITE
) -> Refusal:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    found = parse_token_response(Response(status=status, headers=headers or {}, body=data), credential=at, now=NOW)
    assert isinstance(found, Refusal)
    assert found.status == status
    return found


HTML = b"<!DOCTYPE html><html><body>Bad gateway</body></html>"


@pytest.mark.conformance("0 3", "2 own: error with 200")
@pytest.mark.parametrize(
    ("status", "body", "kind", "error"),
    [
        # the final word on a grant
        pytest.param(400, {"error": "invalid_grant"}, "grant", "invalid_grant", id="invalid_grant"),
        pytest.param(401, {"error": "invalid_grant"}, "grant", "invalid_grant", id="invalid_grant with 401"),
        pytest.param(403, {"error": "INVALID_GRANT"}, "grant", "invalid_grant", id="invalid_grant in capitals"),
        pytest.param(200, {"error": "bad_refresh_token"}, "grant", "invalid_grant", id="GitHub: 200 and an alias"),
        pytest.param(
            200, {"ok": False, "error": "invalid_refresh_token"}, "grant", "invalid_grant", id="Slack: 200, not ok"
        ),
        pytest.param(
            200,
            {"error": "bad_refresh_token", "access_token": "at", "refresh_token": "rt"},
            "grant",
            "invalid_grant",
            id="an error beside tokens is an error",
        ),
        pytest.param(400, b"error=invalid_grant&error_description=x", "grant", "invalid_grant", id="form-encoded"),
        pytest.param(200, b"error=bad_refresh_token", "grant", "invalid_grant", id="form-encoded with 200"),
        pytest.param(400, b"\xef\xbb\xbf" + b'{"error":"invalid_grant"}', "grant", "invalid_grant", id="BOM"),
        pytest.param(400, b'{"error":"invalid_grant","d":"caf\xe9"}', "grant", "invalid_grant", id="Latin-1"),
        pytest.param(400, {"error": 4735}, "grant", "invalid_grant", id="a number as code"),
        pytest.param(
            400, {"error": {"type": "OAuthException", "code": 190}}, "grant", "invalid_grant", id="a nested error"
        ),
        pytest.param(400, {"error": "interaction_required"}, "grant", "interaction_required", id="Microsoft: a person"),
        pytest.param(400, {"error": "login_required"}, "grant", "login_required", id="a sign-in"),
        pytest.param(400, {"error": "consent_required"}, "grant", "consent_required", id="a consent"),
        pytest.param(
            403,
            {"error": "unauthorized_client", "error_description": "refresh_token is invalid"},
            "grant",
            "invalid_grant",
            id="Atlassian: unauthorized_client for a dead refresh token",
        ),
        pytest.param(
            401,
            {"error": "invalid_request", "error_description": "The refresh token is invalid."},
            "grant",
            "invalid_grant",
            id="league/oauth2-server before 9: invalid_request for a dead refresh token",
        ),
        pytest.param(
            400,
            {"error": "invalid_request", "error_description": "Invalid refresh_token"},
            "grant",
            "invalid_grant",
            id="Help Scout: invalid_request for a dead refresh token",
        ),
        pytest.param(
            400,
            {"error": "invalid_request", "error_description": "refresh_token is missing"},
            "request",
            "invalid_request",
            id="invalid_request that speaks of a missing parameter",
        ),
        # the app, not the grant
        pytest.param(
            400,
            {"error": "unauthorized_client", "error_description": "refresh_token is not a grant type of this client"},
            "client",
            "unauthorized_client",
            id="unauthorized_client that speaks of the grant type",
        ),
        pytest.param(401, {"error": "deleted_client"}, "client", "deleted_client", id="Google: the app was deleted"),
        pytest.param(401, {"error": "disabled_client"}, "client", "disabled_client", id="the app was disabled"),
        pytest.param(401, {"error": "invalid_client"}, "client", "invalid_client", id="invalid_client"),
        pytest.param(400, {"error": "invalid_client"}, "client", "invalid_client", id="invalid_client with 400"),
        pytest.param(200, {"error": "invalid_client"}, "client", "invalid_client", id="invalid_client with 200"),
        pytest.param(400, {"error": "unauthorized_client"}, "client", "unauthorized_client", id="unauthorized_client"),
        pytest.param(401, b"", "client", "", id="an empty 401"),
        pytest.param(401, b" \r\n", "client", "", id="a 401 of white space"),
        # a no without a word
        pytest.param(400, b"", "unclear", "", id="an empty 400 for a reused token"),
        pytest.param(403, b"", "unclear", "", id="an empty 403"),
        pytest.param(400, HTML, "unclear", "", id="HTML with 400"),
        pytest.param(401, HTML, "unclear", "", id="HTML with 401"),
        pytest.param(403, HTML, "unclear", "", id="a firewall's page"),
        pytest.param(400, b'{"error": "invalid_gr', "unclear", "", id="a cut error"),
        pytest.param(400, {"message": "Bad Request"}, "unclear", "", id="JSON without an error"),
        pytest.param(401, {}, "unclear", "", id="an empty object with 401"),
        pytest.param(400, b'{"error":"a","error":"invalid_grant"}', "unclear", "", id="two errors"),
        pytest.param(400, {"error": None}, "unclear", "", id="a null error"),
        pytest.param(400, {"error": ["invalid_grant"]}, "unclear", "", id="a list as error"),
        pytest.param(200, {"ok": False}, "unclear", "", id="not ok, and no word why"),
        pytest.param(200, {"success": False}, "unclear", "", id="no success, and no word why"),
        pytest.param(200, {"error": True, "message": "x"}, "unclear", "", id="an error without a name"),
        # not now
        pytest.param(429, b"", "transient", "", id="429"),
        pytest.param(429, {"error": "slow_down"}, "transient", "slow_down", id="slow_down with 429"),
        pytest.param(429, {"error": "invalid_grant"}, "transient", "invalid_grant", id="429 outweighs the error"),
        pytest.param(503, b"", "transient", "", id="503"),
        pytest.param(503, HTML, "transient", "", id="503 with a page"),
        pytest.param(503, {"error": "invalid_grant"}, "transient", "invalid_grant", id="503 is no final word"),
        pytest.param(408, b"", "transient", "", id="408"),
        pytest.param(
            400, {"error": "temporarily_unavailable"}, "transient", "temporarily_unavailable", id="unavailable"
        ),
        pytest.param(500, {"error": "temporarily_unavailable"}, "transient", "temporarily_unavailable", id="with 500"),
        pytest.param(400, {"error": "server_error"}, "transient", "server_error", id="server_error with 400"),
        pytest.param(503, {"error": "server_error"}, "transient", "server_error", id="server_error with 503"),
        pytest.param(200, {"ok": False, "error": "ratelimited"}, "transient", "temporarily_unavailable", id="Slack"),
        # nobody knows
        pytest.param(500, b"", "doubt", "", id="500"),
        pytest.param(500, {"error": "server_error"}, "doubt", "server_error", id="server_error with 500"),
        pytest.param(500, {"error": "invalid_grant"}, "doubt", "invalid_grant", id="500 is no final word"),
        pytest.param(502, HTML, "doubt", "", id="502"),
        pytest.param(504, HTML, "doubt", "", id="504"),
        pytest.param(520, HTML, "doubt", "", id="a status of a proxy's own"),
        pytest.param(200, b"", "doubt", "", id="an empty 200"),
        pytest.param(204, b"", "doubt", "", id="204"),
        pytest.param(200, HTML, "doubt", "", id="HTML with 200"),
        pytest.param(200, b'{"access_token": "a', "doubt", "", id="cut JSON"),
        pytest.param(200, b'[{"access_token": "at"}]', "doubt", "", id="a JSON array"),
        pytest.param(200, b'"at"', "doubt", "", id="a JSON string"),
        pytest.param(200, b"null", "doubt", "", id="null"),
        pytest.param(200, b'"access_token=at"', "doubt", "", id="a JSON string that looks like a form"),
        pytest.param(200, b"<p>error=x&access_token=at</p>", "doubt", "", id="HTML that looks like a form"),
        pytest.param(200, b"access_token=at&" + b"a=1&" * 200, "doubt", "", id="a form of too many fields"),
        pytest.param(200, b"at", "doubt", "", id="a word"),
        pytest.param(200, b"x = y & z = 1", "doubt", "", id="text with equals signs"),
        pytest.param(200, b'{"access_token":"a","access_token":"b"}', "doubt", "", id="two access tokens"),
        pytest.param(200, b"access_token=a&access_token=b", "doubt", "", id="two in a form"),
        pytest.param(200, {"token_type": "bearer"}, "doubt", "", id="neither token nor error"),
        pytest.param(200, b"[" * 200_000, "doubt", "", id="a nesting bomb"),
        pytest.param(200, b"\xff\xfe{\x00}\x00", "doubt", "", id="UTF-16"),
        pytest.param(100, b"", "doubt", "", id="1xx"),
        pytest.param(0, b"", "doubt", "", id="no status at all"),
        # our request or set-up
        pytest.param(400, {"error": "invalid_request"}, "request", "invalid_request", id="invalid_request"),
        pytest.param(400, {"error": "invalid_scope"}, "request", "invalid_scope", id="invalid_scope"),
        pytest.param(400, {"error": "unsupported_grant_type"}, "request", "unsupported_grant_type", id="grant type"),
        pytest.param(400, {"error": "invalid_target"}, "request", "invalid_target", id="invalid_target"),
        pytest.param(400, {"error": "of_its_own"}, "request", "of_its_own", id="an error nobody knows"),
        pytest.param(400, {"error": "odd"}, "request", "no_such_standard_error", id="an alias of nothing known"),
        pytest.param(404, HTML, "request", "", id="404"),
        pytest.param(405, b"", "request", "", id="405"),
        pytest.param(413, b"", "request", "", id="413"),
        # polling with a device code
        pytest.param(400, {"error": "authorization_pending"}, "pending", "authorization_pending", id="pending"),
        pytest.param(200, {"error": "authorization_pending"}, "pending", "authorization_pending", id="GitHub pending"),
        pytest.param(400, {"error": "slow_down"}, "slow_down", "slow_down", id="slow_down"),
        pytest.param(400, {"error": "expired_token"}, "expired", "expired_token", id="expired_token"),
        pytest.param(400, {"error": "access_denied"}, "denied", "access_denied", id="access_denied"),
        pytest.param(
            400, {"error": "authorization_declined"}, "denied", "authorization_declined", id="Microsoft's denial"
        ),
        # elsewhere
        pytest.param(302, b"", "redirect", "", id="302"),
        pytest.param(307, {"error": "invalid_grant"}, "redirect", "invalid_grant", id="307"),
        pytest.param(304, b"", "redirect", "", id="304"),
    ],
)
def test_what_an_answer_means(status: int, body: bytes | object, kind: str, error: str) -> None:
    found = refusal(status, body)

    assert (found.kind, found.error) == (kind, error)


@pytest.mark.conformance("0 2")
@pytest.mark.parametrize(
    ("status", "body", "counts"),
    [
        pytest.param(400, b"", True, id="an empty 400"),
        pytest.param(403, b"", True, id="an empty 403"),
        pytest.param(400, {"errors": [{"code": "invalid"}]}, True, id="JSON without an error (Strava)"),
        pytest.param(403, HTML, False, id="a firewall's page"),
        pytest.param(400, b'{"error', False, id="broken JSON"),
        pytest.param(400, b"x" * (2 << 20), False, id="too much"),
        pytest.param(401, b"", False, id="an empty 401 is the app's"),
        pytest.param(500, b"", False, id="a 500"),
        pytest.param(429, b"", False, id="a 429"),
        pytest.param(400, {"error": "invalid_scope"}, False, id="another error"),
    ],
)
def test_only_an_answer_without_a_word_counts_towards_the_end_of_a_grant(
    status: int, body: bytes | object, counts: bool
) -> None:
    assert refusal(status, body).counts_as_refused is counts


@pytest.mark.parametrize(
    ("kind", "final", "app_fault", "in_doubt", "retryable", "goes_on"),
    [
        ("grant", True, False, False, False, False),
        ("client", False, True, False, False, False),
        ("unclear", False, False, False, True, False),
        ("transient", False, False, False, True, True),
        ("doubt", False, False, True, True, True),
        ("request", False, False, False, False, False),
        ("pending", False, False, False, True, True),
        ("slow_down", False, False, False, True, True),
        ("expired", False, False, False, False, False),
        ("denied", False, False, False, False, False),
        ("redirect", False, False, False, False, False),
    ],
)
def test_what_may_be_done_after_each_kind(
    kind: str, final: bool, app_fault: bool, in_doubt: bool, retryable: bool, goes_on: bool
) -> None:
    found = Refusal(kind=kind)  # type: ignore[arg-type]

    assert (found.final, found.app_fault, found.in_doubt) == (final, app_fault, in_doubt)
    assert (found.retryable, found.goes_on) == (retryable, goes_on)


# -- words ----------------------------------------------------------------------------------------------------------


@pytest.mark.conformance("1 core: sanitize")
@pytest.mark.parametrize(
    ("members", "description"),
    [
        pytest.param({"error_description": "Token has been revoked."}, "Token has been revoked.", id="the standard's"),
        pytest.param({"message": "missing refresh token"}, "missing refresh token", id="message (HubSpot)"),
        pytest.param({"reason": "Invalid Token!"}, "Invalid Token!", id="reason (Zoom)"),
        pytest.param({"detail": "gone"}, "gone", id="detail"),
        pytest.param({"error": {"code": "x", "message": "inner"}}, "inner", id="nested"),
        pytest.param({"error": "bad_refresh_token"}, "bad_refresh_token", id="the provider's own spelling"),
        pytest.param({"error": "invalid_grant"}, "", id="nothing beyond the code"),
        pytest.param({"error_description": 7}, "", id="a number"),
        pytest.param({"error_description": "\u001b[31mred\r\nline\u202e"}, "[31mred line", id="terminal escapes"),
        pytest.param(
            {"error_description": "<script>alert(1)</script>"}, "<script>alert(1)</script>", id="left to escaping"
        ),
        pytest.param(
            {"error_description": "token gho_16C7e42F292c6912E7710c838347Ae178B4a is bad"},
            "token **** is bad",
            id="token",
        ),
        pytest.param(
            {"error_description": "Trace ID: 6b29fc40-ca47-1067-b31d-00dd010662da"},
            "Trace ID: 6b29fc40-ca47-1067-b31d-00dd010662da",
            id="trace ids stay",
        ),
        pytest.param({"error_description": "word" * 10}, "word" * 10, id="letters alone are no token"),
        pytest.param({"error_description": "1234567890" * 3}, "1234567890" * 3, id="digits alone are no token"),
    ],
)
def test_the_providers_words_are_made_safe(members: Mapping[str, object], description: str) -> None:
    assert refusal(400, members).description == description


@pytest.mark.conformance("1 core: sanitize")
def test_the_providers_words_are_capped() -> None:
    found = refusal(400, {"error": "e" * 500, "error_description": "word " * 500, "error_uri": "https://evil.example"})

    assert (len(found.error), len(found.description)) == (64, 300)
    assert "evil" not in repr(found)


@pytest.mark.parametrize(
    ("status", "body", "note"),
    [
        pytest.param(200, b"", "an empty answer", id="empty"),
        pytest.param(400, b"\n\n", "an empty answer", id="blank"),
        pytest.param(200, b"\n <html>", "HTML instead of JSON", id="HTML"),
        pytest.param(200, b"{", "an answer that is no readable JSON object", id="cut"),
        pytest.param(200, b" " * (2 << 20), "an answer of more than a megabyte", id="large"),
        pytest.param(400, {"error": "invalid_scope"}, "", id="readable"),
    ],
)
def test_an_answer_that_cannot_be_read_says_what_is_wrong_with_it(status: int, body: bytes | object, note: str) -> None:
    assert refusal(status, body).note == note


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        pytest.param({}, "revoked", id="no word"),
        pytest.param({"error_description": "Token has been expired or revoked."}, "revoked", id="Google"),
        pytest.param({"error_subtype": "invalid_rapt"}, "policy_changed", id="Google: session length"),
        pytest.param({"suberror": "consent_required"}, "policy_changed", id="Microsoft: consent"),
        pytest.param({"error_codes": [50076]}, "policy_changed", id="Microsoft: another factor"),
        pytest.param({"error_codes": [700082]}, "idle_expired", id="Microsoft: 90 days idle"),
        pytest.param(
            {"error_description": "AADSTS50173: The provided grant has expired due to it being revoked"},
            "revoked",
            id="Microsoft: password changed",
        ),
        pytest.param(
            {"error_description": "AADSTS700082: The refresh token has expired due to inactivity."},
            "idle_expired",
            id="Microsoft: inactivity",
        ),
        pytest.param({"error_description": "refresh token expired"}, "idle_expired", id="expired"),
        pytest.param({"error_description": "Refresh token was already used"}, "reuse_detected", id="already used"),
        pytest.param({"error_description": "token reuse detected; revoked"}, "reuse_detected", id="reuse"),
        pytest.param({"error_description": "blocked by Conditional Access policies"}, "policy_changed", id="policy"),
        pytest.param({"error": "interaction_required"}, "policy_changed", id="interaction_required"),
        pytest.param({"error_codes": {"odd": 1}}, "revoked", id="odd codes"),
    ],
)
def test_why_a_grant_ended_as_far_as_the_words_tell(members: Mapping[str, object], reason: str) -> None:
    assert refusal(400, {"error": "invalid_grant", **members}).reason == reason


def test_other_refusals_have_no_reason() -> None:
    assert refusal(401, {"error": "invalid_client", "error_description": "secret expired"}).reason == "unknown"


# -- patience -------------------------------------------------------------------------------------------------------

LATER = "Fri, 15 Jan 2027 08:02:00 GMT"  # two minutes after NOW


@pytest.mark.conformance("2 own: patience")
@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        pytest.param({"retry-after": "120"}, 120.0, id="seconds"),
        pytest.param({"retry-after": " 1.5 "}, 1.5, id="a fraction"),
        pytest.param({"retry-after": "0"}, 0.0, id="at once"),
        pytest.param({"retry-after": "86400"}, 3600.0, id="more than an hour"),
        pytest.param({"retry-after": "-5"}, None, id="negative"),
        pytest.param({"retry-after": "soon"}, None, id="a word"),
        pytest.param({"retry-after": ""}, None, id="empty"),
        pytest.param({"retry-after": "inf"}, None, id="infinite"),
        pytest.param({}, None, id="absent"),
        pytest.param({"retry-after": LATER}, 120.0, id="a date"),
        pytest.param({"retry-after": "Fri, 15 Jan 2027 08:02:00 -0000"}, 120.0, id="a date without a zone"),
        pytest.param({"retry-after": "Friday, 15-Jan-27 08:02:00 GMT"}, 120.0, id="a date of the old form"),
        pytest.param({"retry-after": "Fri, 15 Jan 2027 07:00:00 GMT"}, 0.0, id="a date that is over"),
        pytest.param({"retry-after": "Sat, 15 Jan 2028 08:00:00 GMT"}, 3600.0, id="a date in a year"),
        pytest.param(
            {"retry-after": LATER, "date": "Fri, 15 Jan 2027 08:01:50 GMT"}, 10.0, id="by the server's own clock"
        ),
        pytest.param({"retry-after": LATER, "date": "yesterday"}, 120.0, id="a date beside an odd clock"),
    ],
)
def test_how_long_a_server_asks_to_be_left_alone(headers: Mapping[str, str], wait: float | None) -> None:
    assert refusal(503, b"", headers).retry_after == wait


def test_aliases_belong_to_their_credential() -> None:
    plain = replace(SITE, error_aliases={})

    assert refusal(200, {"error": "bad_refresh_token"}, at=plain).kind == "request"


def test_a_poll_may_name_its_new_interval() -> None:
    assert refusal(200, {"error": "slow_down", "interval": 11}).interval == 11.0
