"""Switches of the wicked server: its token endpoint."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from valetkey.testing._faults import HTML_PAGE, OMIT
from valetkey.testing._wicked import EVIL, JSON, answer, bodied, bomb, change, padded, rule, switch, with_duplicate
from valetkey.testing.provider import DEFAULT_CLIENT_ID

if TYPE_CHECKING:
    from valetkey.testing._wicked import Switch
    from valetkey.testing.wicked import WickedServer

_ERROR: Final = "a clean error; the stored token stays"
_UNKNOWN: Final = "go on; it is not known when the token ends"
_LONG: Final = 65536


def _bent(bend: Callable[[bytes], bytes], **headers: str) -> Callable[[WickedServer], None]:
    return lambda server: server.twist("token", bodied(bend, **headers))


def _new_secret(server: WickedServer) -> None:
    server.register_client(DEFAULT_CLIENT_ID, "a secret of which nobody was told")


def _patience(status: int, after: float | str) -> Callable[[WickedServer], None]:
    return lambda server: server.fail_next(status=status, retry_after=after, times=None)


def _member(name: str, does: str, wants: str, source: str, **members: Any) -> Switch:
    return switch(name, f"token answers hold {does}", wants, source, change("token", **members))


def _typed(name: str, does: str, wants: str, value: str) -> Switch:
    return switch(name, f"token answers hold {does}", wants, "RFC 6749 5.1, 7.1", lambda s: s.token_type_as(value))


_BODIES = (
    switch(
        "token-html",
        "token answers are a page of HTML with status 200",
        _ERROR,
        "RFC 6749 5.1",
        answer("token", 200, HTML_PAGE, Content_Type="text/html"),
    ),
    switch(
        "token-truncated",
        "token answers end in their middle",
        _ERROR,
        "RFC 6749 5.1",
        _bent(lambda body: body[: len(body) // 2]),
    ),
    switch(
        "token-array", "token answers are a JSON array", _ERROR, "RFC 6749 5.1", _bent(lambda body: b"[" + body + b"]")
    ),
    switch(
        "token-duplicate-keys",
        "token answers hold two access tokens",
        _ERROR,
        "RFC 8259 4",
        _bent(lambda body: with_duplicate(body, "access_token")),
    ),
    switch(
        "token-bom",
        "token answers begin with a byte order mark",
        "read it, or a clean error",
        "RFC 8259 8.1",
        _bent(lambda body: b"\xef\xbb\xbf" + body),
    ),
    switch("token-huge", "token answers have ten megabytes", f"{_ERROR}; bounded memory", "seen", _bent(padded)),
    switch(
        "token-gzip-bomb",
        "token answers are ten megabytes in ten kilobytes",
        f"{_ERROR}; bounded memory",
        "seen",
        _bent(lambda _: bomb(), Content_Encoding="gzip"),
    ),
    switch(
        "token-form-encoded", "token answers are a form", "read it", "seen", lambda server: server.answer_form_encoded()
    ),
    switch(
        "token-error-200",
        "token answers are an error with status 200",
        "treat it as the error it is",
        "seen",
        lambda server: server.fail_next(status=200, error="bad_refresh_token", times=None),
    ),
    switch(
        "token-ok-false",
        "token answers have status 200, and say in the body that they are none",
        "treat it as the error it is",
        "seen",
        answer("token", 200, b'{"ok": false, "error": "token_revoked"}', **JSON),
    ),
    switch(
        "token-empty-400",
        "refusals have status 400 and no body",
        "count it as a failure; after some of them, with waits between, ask the person again",
        "seen",
        answer("token", 400),
    ),
    switch(
        "token-empty-401",
        "refusals have status 401 and no body",
        "as with token-empty-400",
        "seen",
        answer("token", 401),
    ),
)

_WAYS = (
    switch(
        "token-redirect-307",
        "the token endpoint redirects elsewhere, with the body",
        "do not follow",
        "RFC 9700 4.12",
        answer("token", 307, b"", Location=f"{EVIL}/token"),
    ),
    switch(
        "token-redirect-302",
        "the token endpoint redirects elsewhere",
        "do not follow",
        "RFC 9700 4.12",
        answer("token", 302, b"", Location=f"{EVIL}/token"),
    ),
    switch(
        "token-429",
        "the token endpoint asks for 30 seconds of patience",
        "wait; the token stays",
        "RFC 6585 4",
        _patience(429, 30),
    ),
    switch(
        "token-503-date",
        "the token endpoint is down until a date",
        "wait; the token stays",
        "RFC 9110 10.2.3",
        _patience(503, "Fri, 15 Jan 2100 08:01:00 GMT"),
    ),
    switch(
        "token-500",
        "the token endpoint has a fault",
        "try again later; the token stays",
        "RFC 9110 15.6.1",
        lambda server: server.fail_next(status=500, times=None),
    ),
    switch(
        "token-reset-before",
        "the token endpoint closes the connection, without having done anything",
        "one retry of a refresh, never of a code; the token stays",
        "RFC 6749 4.1.2",
        lambda server: server.drop_before(times=None),
    ),
    switch(
        "token-reset-after",
        "the token endpoint does its work and closes the connection, once",
        "outcome unknown: one retry of a refresh, never of a code",
        "RFC 6749 4.1.2",
        lambda server: server.drop_after(),
    ),
    switch(
        "token-client-unknown",
        "the app's secret was changed",
        "tell that the app is wrong; keep the grants",
        "RFC 6749 5.2",
        _new_secret,
    ),
)

_MEMBERS = (
    _member("access-token-missing", "no access token", _ERROR, "RFC 6749 5.1", access_token=OMIT),
    _member("access-token-null", "an access token that is null", _ERROR, "RFC 6749 5.1", access_token=None),
    _member("access-token-number", "an access token that is a number", _ERROR, "RFC 6749 5.1", access_token=7),
    _member(
        "access-token-long", "an access token of 64 kilobytes", "take it", "RFC 6749 5.1", access_token="x" * _LONG
    ),
    _typed("token-type-inverted", "the token type in inverted case", "take it", "bEARER"),
    _typed("token-type-lower", "the token type in small letters", "take it", "bearer"),
    _typed("token-type-mac", "a token type that nobody speaks", "do not use the token", "mac"),
    _member("token-type-missing", "no token type", "take it, or a clean error", "RFC 6749 5.1", token_type=OMIT),
    _member("expires-in-missing", "no lifetime", _UNKNOWN, "RFC 6749 5.1", expires_in=OMIT),
    _member(
        "expires-in-text", "a lifetime that is a text", "take it as the number it holds", "seen", expires_in="3600"
    ),
    _member("expires-in-zero", "a lifetime of zero", "go on; never refresh without end", "seen", expires_in=0),
    _member("expires-in-negative", "a negative lifetime", "go on; never refresh without end", "seen", expires_in=-1),
    _member("expires-in-huge", "a lifetime of a million years", "go on", "seen", expires_in=10**14),
    _member("expires-in-float", "a lifetime with a fraction", "go on", "seen", expires_in=3600.5),
    _member("scope-missing", "no scope", "take it that what was asked for was given", "RFC 6749 5.1", scope=OMIT),
    _member(
        "scope-narrower", "fewer scopes than asked for", "store and show those", "RFC 6749 3.3", scope="notes.read"
    ),
    _member(
        "scope-broader",
        "more scopes than asked for",
        "store and show those",
        "RFC 6749 3.3",
        scope="notes.read notes.write admin",
    ),
    _member(
        "scope-reordered", "the scopes in another order", "take it", "RFC 6749 3.3", scope="notes.write notes.read"
    ),
    _member("scope-commas", "commas between the scopes", "read them", "seen", scope="notes.read,notes.write"),
    _member(
        "token-unknown-members",
        "members that nobody knows",
        "ignore them",
        "RFC 6749 5.1",
        colour="blue",
        nested={"a": [1, None]},
    ),
)

_REFRESHES = (
    switch(
        "refresh-same-token",
        "a refresh answers with the same refresh token",
        "keep it",
        "RFC 6749 6",
        rule(rotate=False, repeat_refresh_token=True),
    ),
    switch(
        "refresh-no-token",
        "a refresh answers without a refresh token, and the old one lives on",
        "keep the old",
        "RFC 6749 6",
        rule(rotate=False),
    ),
    switch(
        "refresh-grace",
        "a refresh answers with a new refresh token, and the old one lives on for a while",
        "use the new one always",
        "RFC 6749 6",
        rule(on_reuse="grace"),
    ),
    switch(
        "refresh-reset-after-rotation",
        "the next refresh is granted, and the connection closed",
        "one retry with the same token; refused then, ask the person again, and say what happened",
        "seen",
        lambda server: server.drop_after_rotation(),
    ),
    switch(
        "refresh-ends-access-tokens",
        "a refresh ends the access tokens of before at once",
        "use the newest stored token for the retry after a 401",
        "seen",
        rule(refresh_ends_access_tokens=True),
    ),
    switch(
        "resource-refused",
        "it gives no token for one resource alone",
        "tell so; the grant and all its other tokens stay",
        "RFC 8707 2",
        rule(for_one_resource="refused"),
    ),
    switch(
        "resource-refused-late",
        "it spends the refresh token, and then gives no token for one resource",
        "tell so; use the tokens that live to their end; then ask the person again",
        "seen",
        rule(for_one_resource="refused_late"),
    ),
    switch(
        "resource-another",
        "tokens for one resource are for another",
        "send them to the resource that was asked for, and nowhere else; one refresh and one retry, then give up",
        "RFC 8707 3",
        rule(for_one_resource="another"),
    ),
    switch(
        "refresh-token-dead",
        "all grants are taken back",
        "ask the person again",
        "RFC 7009 2.1",
        lambda server: server.revoke(),
    ),
)

SWITCHES: Final[tuple[Switch, ...]] = (*_BODIES, *_WAYS, *_MEMBERS, *_REFRESHES)
