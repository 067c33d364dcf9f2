"""What an API's 401 or 403 asks for (RFC 6750 section 3, RFC 9470, RFC 9449 section 9; grammar: RFC 9110 section 11).

A 401 is not always a case for a refresh, so its challenges are read before anything is done (rule R11).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, Literal

from valetkey.errors import clean
from valetkey.model.credentials import OAuth2Credential
from valetkey.values import Secret, Value

_MAX_TEXT: Final = 8192
_MAX_CHALLENGES: Final = 16
_MAX_PARAMS: Final = 32
_MAX_VALUE: Final = 1024
_MAX_AGE: Final = 10**9
AUTHORIZATION: Final = "Authorization"
"""The header of credentials (RFC 9110 section 11.6.2), which HTTP clients leave behind at another origin."""
_UNAUTHORIZED: Final = 401
_FORBIDDEN: Final = 403

_GAP: Final = re.compile(r"[\s,]*")
_TOKEN: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_TOKEN68: Final = re.compile(r"[ \t]+[A-Za-z0-9\-._~+/]+=*(?=[ \t]*(?:,|$))")
_VALUE: Final = re.compile(r'[ \t]*=[ \t]*(?:"((?:[^"\\]|\\.)*)\\?(?:"|$)|([^\s,"]*))', re.DOTALL)
_ESCAPE: Final = re.compile(r"\\(.)", re.DOTALL)
_NOTHING: Final[Mapping[str, str]] = MappingProxyType({})

_NOT_ABOUT_THE_TOKEN: Final = frozenset({"invalid_request"})
"""Registered errors of a 401 that a new token cannot mend."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Challenge(Value):
    """One challenge of a ``WWW-Authenticate`` header: its scheme and the names of its parameters in lower case."""

    scheme: str
    params: Mapping[str, str] = field(default_factory=lambda: _NOTHING)


VerdictKind = Literal["renew", "step_up", "dpop_nonce", "dpop_proof", "scope", "nothing"]
_ABOUT_THE_PROOF: Final[dict[str, VerdictKind]] = {"use_dpop_nonce": "dpop_nonce", "invalid_dpop_proof": "dpop_proof"}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Verdict(Value):
    """What to do after an API's answer.

    Attributes:
        kind: ``renew``: the token is refused, get a new one.  ``step_up``: the token is fine, the sign-in is too weak
            or too old (RFC 9470).  ``dpop_nonce``: the same again with the server's nonce.  ``dpop_proof``:
            the proof does not hold, maybe for the server's clock.  ``scope``: the grant
            holds too little.  ``nothing``: the answer is for the caller.
        acr_values: With ``step_up``: the authentication contexts that would do.
        max_age: With ``step_up``: seconds that a sign-in may be old, or None.
        scopes: With ``scope`` and ``step_up``: what the API asks for, where it says so.
        explicit: With ``renew``: whether the API said ``invalid_token`` in so many words.
    """

    kind: VerdictKind
    acr_values: tuple[str, ...] = ()
    max_age: int | None = None
    scopes: tuple[str, ...] = ()
    explicit: bool = False


NOTHING: Final = Verdict(kind="nothing")


def carrier(credential: OAuth2Credential, *, bound: bool = False) -> tuple[str, str]:
    """Return the name of the header that carries access tokens, and its value with ``{token}`` for the token.

    It is RFC 6750's, unless the provider wants another (`OAuth2Credential.token_header`); a token that is `bound` to a
    key has a scheme of its own (RFC 9449 section 7.1).
    """
    if bound:
        return AUTHORIZATION, "DPoP {token}"
    if not credential.token_header:
        return AUTHORIZATION, "Bearer {token}"
    name, _, value = credential.token_header.partition(":")
    return (AUTHORIZATION if name.lower() == AUTHORIZATION.lower() else name), value.strip()


def carried(credential: OAuth2Credential, token: Secret, *, bound: bool = False) -> dict[str, str]:
    """Return the header with `token` in it, as one item; see `carrier`."""
    name, value = carrier(credential, bound=bound)
    return {name: value.replace("{token}", token.reveal())}


def parse_challenges(values: Sequence[str]) -> tuple[Challenge, ...]:
    """Return the challenges of all ``WWW-Authenticate`` headers of an answer.  Never raises.

    One header may hold several challenges, separated by the same commas that separate their parameters.  Where a
    parameter comes twice the first one counts; what is no challenge at all is skipped.
    """
    found: list[tuple[str, dict[str, str]]] = []
    for value in values:
        for name, param in _pieces(value[:_MAX_TEXT]):
            if param is None:
                found.append((name, {}))
            elif found and len(found[-1][1]) < _MAX_PARAMS:
                found[-1][1].setdefault(name, clean(param, _MAX_VALUE))
    return tuple(Challenge(scheme, MappingProxyType(params)) for scheme, params in found[:_MAX_CHALLENGES])


def refusal(status: int, values: Sequence[str], *, carried: bool, refresh_on_403: bool) -> Verdict:
    """Tell what an API's answer asks for, by its status and its ``WWW-Authenticate`` headers.

    An answer to a request that did not carry our token (`carried`), as after a redirect to another origin, is never
    about it.
    """
    return judge(status, parse_challenges(values), refresh_on_403=refresh_on_403) if carried else NOTHING


def judge(status: int, challenges: Sequence[Challenge], *, refresh_on_403: bool) -> Verdict:
    """Tell what an API's answer asks for.

    A 401 without a word asks for a new token, as ``invalid_token`` does.  A 403 does so only with `refresh_on_403`,
    for the few providers that say it so, and never when it names another reason.
    """
    if status not in (_UNAUTHORIZED, _FORBIDDEN):
        return NOTHING
    errors = {challenge.params.get("error", "").lower(): challenge for challenge in reversed(challenges)}
    if "insufficient_user_authentication" in errors:
        return _step_up(errors["insufficient_user_authentication"].params)
    for error, kind in _ABOUT_THE_PROOF.items():
        if error in errors:
            return Verdict(kind=kind)
    if "insufficient_scope" in errors:
        scopes = errors["insufficient_scope"].params.get("scope", "")
        return Verdict(kind="scope", scopes=tuple(scopes.split()))
    about_the_token = not errors or not _NOT_ABOUT_THE_TOKEN.issuperset(errors)
    if about_the_token and (status == _UNAUTHORIZED or refresh_on_403):
        return Verdict(kind="renew", explicit="invalid_token" in errors)
    return NOTHING


def _step_up(params: Mapping[str, str]) -> Verdict:
    age = params.get("max_age", "")
    return Verdict(
        kind="step_up",
        acr_values=tuple(params.get("acr_values", "").split()),
        max_age=min(int(age), _MAX_AGE) if age.isascii() and age.isdecimal() else None,
        scopes=tuple(params.get("scope", "").split()),
    )


def _pieces(text: str) -> Iterator[tuple[str, str | None]]:
    """Yield (scheme, None) for each scheme and (name, value) for each parameter, in the order of the header."""
    at = 0
    while at < len(text):
        at = _end(_GAP.match(text, at), at)
        name = _TOKEN.match(text, at)
        if name is None:
            at += 1
            continue
        value = _VALUE.match(text, name.end())
        if value is not None:
            yield name.group().lower(), _unquoted(value)
            at = value.end()
        else:
            yield name.group().lower(), None
            at = _end(_TOKEN68.match(text, name.end()), name.end())


def _end(match: re.Match[str] | None, otherwise: int) -> int:
    return match.end() if match else otherwise


def _unquoted(value: re.Match[str]) -> str:
    quoted, plain = value.groups()
    return _ESCAPE.sub(r"\1", quoted) if quoted is not None else plain
