"""Switches of the wicked server: id tokens, the keys that sign them, and userinfo."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from valetkey.testing._faults import HTML_PAGE, OMIT
from valetkey.testing._wicked import EVIL, HUGE, JSON, answer, both, change, switch
from valetkey.testing.provider import DEFAULT_CLIENT_ID

if TYPE_CHECKING:
    from valetkey.testing._wicked import Switch
    from valetkey.testing.wicked import WickedServer

_REJECT: Final = "reject the tokens; store nothing"
_CORE: Final = "OpenID Connect Core 3.1.3.7"
_WEEK: Final = 7 * 86400
_OLD: Final = 301


def _claim(name: str, does: str, **claims: Any) -> Switch:
    return switch(name, f"id tokens {does}", _REJECT, _CORE, change("id_token", **claims))


def _timed(name: str, does: str, claim: str, ago: int) -> Switch:
    def turn(server: WickedServer) -> None:
        server.change_answer(endpoint="id_token", **{claim: int(server.now()) - ago})

    return switch(name, f"id tokens {does}", _REJECT, _CORE, turn)


def _keys(**settings: object) -> Callable[[WickedServer], None]:
    def turn(server: WickedServer) -> None:
        for name, value in settings.items():
            setattr(server.keys, name, value)

    return turn


def _refreshed(name: str, does: str, **claims: Any) -> Switch:
    wants = "reject; use nothing of the answer, and have a person look"
    return switch(
        name, f"id tokens of refreshes {does}", wants, "OpenID Connect Core 12.2", change("id_token", **claims)
    )


def _another_key(server: WickedServer) -> None:
    server.keys.companions = 2
    server.keys.named = False


_CLAIMS = (
    _claim("id-token-iss-wrong", "are of another issuer", iss=EVIL),
    _claim("id-token-iss-missing", "are of no issuer", iss=OMIT),
    _claim("id-token-aud-wrong", "are for another app", aud="other"),
    _claim("id-token-aud-missing", "are for nobody", aud=OMIT),
    _claim("id-token-aud-second", "are for this app and one that nobody trusts", aud=[DEFAULT_CLIENT_ID, "other"]),
    switch(
        "id-token-aud-array",
        "id tokens are for a list of one app",
        "accept",
        _CORE,
        change("id_token", aud=[DEFAULT_CLIENT_ID]),
    ),
    _claim("id-token-azp-other", "were given to another app", azp="other"),
    _timed("id-token-expired", "ended five minutes ago", "exp", _OLD),
    _claim("id-token-exp-missing", "have no end", exp=OMIT),
    _claim("id-token-iat-missing", "do not say when they were made", iat=OMIT),
    _timed("id-token-iat-old", "were made a week ago", "iat", _WEEK),
    _claim("id-token-sub-missing", "name no subject", sub=OMIT),
    _claim("id-token-nonce-wrong", "bring another nonce", nonce="other"),
    _claim("id-token-nonce-missing", "bring no nonce", nonce=OMIT),
    _claim("id-token-at-hash-wrong", "belong to another access token", at_hash="AAAAAAAAAAAAAAAAAAAAAA"),
    _claim("id-token-c-hash-wrong", "belong to another code", c_hash="AAAAAAAAAAAAAAAAAAAAAA"),
)

_SIGNATURES = (
    switch("id-token-alg-none", "id tokens are not signed", _REJECT, _CORE, _keys(alg="none")),
    switch(
        "id-token-alg-secret",
        "id tokens are signed with the client secret, which was not agreed on",
        _REJECT,
        _CORE,
        _keys(alg="HS256"),
    ),
    switch(
        "id-token-alg-other",
        "id tokens are signed with an algorithm that it does not name",
        _REJECT,
        _CORE,
        both(_keys(alg="RS256"), change("discovery", id_token_signing_alg_values_supported=["ES256"])),
    ),
    switch(
        "id-token-bad-signature-es",
        "id tokens have a signature by ES256 that does not hold",
        _REJECT,
        _CORE,
        _keys(forged=1000),
    ),
    switch(
        "id-token-bad-signature-rs",
        "id tokens have a signature by RS256 that does not hold",
        _REJECT,
        _CORE,
        _keys(alg="RS256", forged=1000),
    ),
    switch(
        "id-token-kid-missing", "id tokens do not name their key, and there is one", "accept", _CORE, _keys(named=False)
    ),
    switch(
        "id-token-kid-missing-many",
        "id tokens do not name their key, and there are several",
        "try those that fit, or reject",
        "OpenID Connect Core 10.1",
        _another_key,
    ),
    switch(
        "id-token-missing",
        "there is no id token though the scope openid was given",
        _REJECT,
        "OpenID Connect Core 3.1.3.3",
        change("token", id_token=OMIT),
    ),
)

_KEYS = (
    switch(
        "keys-rotated",
        "the keys are new",
        "fetch them once more",
        "OpenID Connect Core 10.1.1",
        lambda server: server.keys.rotate(),
    ),
    switch(
        "keys-rotated-before-signing",
        "the keys are new, right before an id token is signed",
        "fetch them once more",
        "OpenID Connect Core 10.1.1",
        _keys(rotates_next=True),
    ),
    switch(
        "keys-html",
        "the keys are a page of HTML with status 200",
        "a clean error, and the code not spent",
        "RFC 7517 5",
        answer("jwks", 200, HTML_PAGE, Content_Type="text/html"),
    ),
    switch(
        "keys-huge",
        "the keys have ten megabytes",
        "a clean error, in bounded memory",
        "seen",
        answer("jwks", 200, b'{"keys": ["' + b"x" * HUGE + b'"]}', **JSON),
    ),
    switch("keys-none", "there are no keys", _REJECT, "RFC 7517 5", change("jwks", keys=[])),
)

_REFRESHED = (
    _refreshed("refreshed-id-token-iss-wrong", "are of another issuer", iss=EVIL),
    _refreshed("refreshed-id-token-sub-wrong", "name another subject", sub="mallory"),
    _refreshed("refreshed-id-token-aud-wrong", "are for another app", aud="other"),
    _refreshed("refreshed-id-token-auth-time", "tell of another sign-in", auth_time=7),
    switch(
        "refreshed-id-token-missing",
        "a refresh brings no id token",
        "go on",
        "OpenID Connect Core 12.2",
        change("token", id_token=OMIT),
    ),
)

_USERINFO = (
    switch(
        "userinfo-sub-wrong",
        "userinfo speaks of another subject",
        "use nothing of it",
        "OpenID Connect Core 5.3.2",
        change("userinfo", sub="mallory", name="Mallory"),
    ),
    switch(
        "userinfo-html",
        "userinfo is a page of HTML",
        "go on without it",
        "OpenID Connect Core 5.3.2",
        answer("userinfo", 200, HTML_PAGE, Content_Type="text/html"),
    ),
)

SWITCHES: Final[tuple[Switch, ...]] = (*_CLAIMS, *_SIGNATURES, *_KEYS, *_REFRESHED, *_USERINFO)
