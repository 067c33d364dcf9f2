"""Switches of the wicked server: its API and DPoP, and devices."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from valetkey.testing._faults import OMIT
from valetkey.testing._wicked import JSON, both, challenged, change, rule, switch

if TYPE_CHECKING:
    from valetkey.testing._wicked import Switch
    from valetkey.testing.wicked import WickedServer

_STOP: Final = "stop; no restart by itself"
_MINUTES: Final = 300
_STEP_UP: Final = 'Bearer error="insufficient_user_authentication", acr_values="gold", max_age="60"'
_MANY: Final = 'Negotiate, Basic realm="a, b", bEARER realm="x\\"y", error = "invalid_token" , DPoP algs="ES256"'


def _refusing(status: int, challenge: str) -> Callable[[WickedServer], None]:
    def turn(server: WickedServer) -> None:
        headers = {"WWW-Authenticate": challenge}
        server.fail_next(status=status, body=b"", headers=headers, endpoint="api", times=None)

    return turn


def _polled(name: str, does: str, wants: str, error: str, times: int | None = 1) -> Switch:
    def turn(server: WickedServer) -> None:
        server.fail_next(status=400, error=error, times=times)

    return switch(name, does, wants, "RFC 8628 3.5", turn)


def _started(name: str, does: str, wants: str, **members: Any) -> Switch:
    return switch(name, does, wants, "RFC 8628 3.2", change("device_authorization", **members))


_API = (
    switch(
        "api-step-up",
        "the API wants a stronger sign-in",
        "no refresh; tell which sign-in it wants",
        "RFC 9470 3",
        _refusing(401, _STEP_UP),
    ),
    switch(
        "api-scope-for-ever",
        "the API wants more scopes, whatever they are",
        "no refresh; tell which; give up soon",
        "RFC 6750 3.1",
        _refusing(403, 'Bearer error="insufficient_scope", scope="notes.admin"'),
    ),
    switch(
        "api-dead-403",
        "the API answers a dead token with 403",
        "no refresh, unless it is declared so",
        "seen",
        lambda server: server.twist("api", challenged(str, status=403)),
    ),
    switch(
        "api-no-error-code",
        "the API answers a dead token with a challenge without a word",
        "refresh once",
        "RFC 6750 3.1",
        lambda server: server.twist("api", challenged(lambda _: "Bearer")),
    ),
    switch(
        "api-many-challenges",
        "the API answers a dead token with several challenges in odd writing",
        "find the one that counts; refresh once",
        "RFC 9110 11.6.1",
        lambda server: server.twist("api", challenged(lambda _: _MANY)),
    ),
    switch(
        "api-refuses-for-ever",
        "the API answers every token with 401",
        "one refresh and one retry, then give up",
        "RFC 6750 3.1",
        _refusing(401, 'Bearer error="invalid_token"'),
    ),
)

_DPOP = (
    switch(
        "dpop-nonce",
        "proofs need the nonce of the answer before",
        "put the newest nonce into a new proof",
        "RFC 9449 8, 9",
        rule(dpop_nonces=True),
    ),
    switch(
        "dpop-scheme-case",
        "challenges for a nonce have the scheme in odd letters",
        "read them all the same",
        "RFC 9449 7.1",
        both(
            rule(dpop_nonces=True),
            lambda server: server.twist("api", challenged(lambda text: text.replace("DPoP ", "dPOP "))),
        ),
    ),
    switch(
        "dpop-bearer",
        "tokens are bearer tokens though bound ones were asked for",
        "discard them",
        "RFC 9449 5",
        lambda server: server.token_type_as("Bearer"),
    ),
    switch(
        "clock-ahead",
        "its clock is five minutes ahead",
        "count lifetimes by the own clock; learn the difference for what is signed",
        "RFC 9449 11.1",
        rule(clock_offset=_MINUTES),
    ),
    switch(
        "clock-behind",
        "its clock is five minutes behind",
        "as with clock-ahead",
        "RFC 9449 11.1",
        rule(clock_offset=-_MINUTES),
    ),
)

_DEVICES = (
    _started("device-no-interval", "the start of a device flow names no interval", "wait 5 seconds", interval=OMIT),
    _started(
        "device-no-expiry", "the start of a device flow does not say how long it is good", "reject", expires_in=OMIT
    ),
    _started("device-no-code", "the start of a device flow has no code to show", "reject", user_code=OMIT),
    _polled(
        "device-slow-down", "the first poll is answered by slow_down", "wait 5 seconds longer from then on", "slow_down"
    ),
    _polled("device-pending", "the first poll is answered by authorization_pending", "go on", "authorization_pending"),
    _polled("device-denied", "polls are answered by access_denied", _STOP, "access_denied", None),
    _polled("device-expired", "polls are answered by expired_token", _STOP, "expired_token", None),
    _polled("device-invalid-request", "polls are answered by invalid_request", _STOP, "invalid_request", None),
    switch(
        "device-poll-reset",
        "the first poll is answered by a closed connection",
        "go on, more slowly",
        "RFC 8628 3.5",
        lambda server: server.drop_before(),
    ),
    switch(
        "device-html",
        "the start of a device flow is a page of HTML",
        "a clean error",
        "RFC 8628 3.2",
        lambda server: server.answer_html(endpoint="device_authorization"),
    ),
)

_REVOCATION = (
    switch(
        "revocation-503",
        "the revocation endpoint is down",
        "forget the tokens, and say that they still live",
        "RFC 7009 2.2.1",
        lambda server: server.fail_next(status=503, endpoint="revocation", times=None),
    ),
    switch(
        "revocation-unsupported",
        "the revocation endpoint does not take this kind of token",
        "forget the tokens, and say that they still live",
        "RFC 7009 2.2.1",
        lambda server: server.fail_next(
            status=400, body=b'{"error": "unsupported_token_type"}', headers=JSON, endpoint="revocation", times=None
        ),
    ),
)

SWITCHES: Final[tuple[Switch, ...]] = (*_API, *_DPOP, *_DEVICES, *_REVOCATION)
