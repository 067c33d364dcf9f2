"""What a person is asked for before a sign-in: params that its URLs wait for, and that nobody has said yet.

Only what cannot lead elsewhere is asked for: a value of a closed set, a part of a path, a label below a domain that the
declaration writes in full.  Where a param names the host, the program has to say it: whoever sits at a browser could
have the client secret sent to a host of their own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

from valetkey.model.credentials import OAuth2Credential
from valetkey.model.located import UrlParam
from valetkey.model.places import Place
from valetkey.model.placing import URL_FIELDS, named, signed_in_with
from valetkey.model.preset_lint import steered
from valetkey.model.templates import HOLE, Where, fits, parts, refuse_missing, refuse_value

LONGEST: Final = 200
"""Characters of a value."""
_ADDRESS: Final = re.compile(r"(?:https?://)?([^/?#]*)(?:[/?#].*)?", re.IGNORECASE | re.DOTALL)
_ELSEWHERE: Final[frozenset[Where]] = frozenset({"path"})
_HOSTS: Final[frozenset[Where]] = frozenset({"host", "whole host"})


def open_to_people(credential: OAuth2Credential) -> tuple[UrlParam, ...]:
    """Return the rules of what anybody may be let say at a sign-in: all but what names a host."""
    return tuple(rule for rule in _given(credential) if not _names_the_host(credential, rule))


def asked(credential: OAuth2Credential, known: Mapping[str, str]) -> tuple[UrlParam, ...]:
    """Return the rules of what a person has to say before a sign-in for which `known` is known."""
    return tuple(rule for rule in _left(credential, known) if not _names_the_host(credential, rule))


def left_to_program(credential: OAuth2Credential, known: Mapping[str, str]) -> tuple[UrlParam, ...]:
    """Return the rules of what a sign-in for which `known` is known waits for, and nobody at a browser may say."""
    return tuple(rule for rule in _left(credential, known) if _names_the_host(credential, rule))


def takes(credential: OAuth2Credential, rule: UrlParam, value: str) -> bool:
    """Tell whether a value may stand everywhere where the param stands."""
    places: frozenset[Where] = frozenset(
        where for where, text in _pieces(credential) if rule.name in HOLE.findall(text)
    )
    return len(value) <= LONGEST and all(fits(rule, value, where) for where in (places or _ELSEWHERE))


def understood(credential: OAuth2Credential, rule: UrlParam, typed: str) -> str:
    """Return what is meant by what a person typed: of ``https://Acme.myshopify.com/admin`` the shop is ``acme``.

    What cannot be meant comes back as it is; `takes` tells.
    """
    typed = typed.strip()
    if takes(credential, rule, typed):
        return typed
    found = _ADDRESS.fullmatch(typed)
    host = found[1].lower() if found else ""
    shapes = (_shape(text, rule.name) for where, text in _pieces(credential) if where == "host")
    meant = (match[1] for shape in shapes if shape is not None and (match := shape.fullmatch(host)))
    return next((value for value in (*meant, typed.lower()) if takes(credential, rule, value)), typed)


def as_meant(credential: OAuth2Credential, params: Mapping[str, str]) -> dict[str, str]:
    """Return params as they are meant, where a person typed them; see `understood`."""
    rules = {rule.name: rule for rule in credential.url_params}
    return {name: understood(credential, rules[name], text) if name in rules else text for name, text in params.items()}


def check_values(credential: OAuth2Credential, params: Mapping[str, str]) -> None:
    """Check params that are given to a sign-in.

    Raises:
        ConfigurationError: There is no such param, or it may not stand there (``param_invalid``).
    """
    signed_in_with(credential, params)
    rules = {rule.name: rule for rule in credential.url_params}
    for name, value in params.items():
        if name in rules and not takes(credential, rules[name], value):
            refuse_value(_place(credential), rules[name], "host")


def check_given(
    credential: OAuth2Credential, params: Mapping[str, str], known: Mapping[str, str], *, by_program: bool
) -> None:
    """Check the params that a link is made with; `known` is what the connection keeps from before.

    Raises:
        ConfigurationError: As `check_values`, also where one names a host and not the program itself says it; or such a
            one is left out, for nobody at a browser may be asked for it (``param_missing``).
    """
    check_values(credential, params)
    for rule in _given(credential):
        if rule.name in params and not by_program and _names_the_host(credential, rule):
            _refuse_host(_place(credential), rule)
    for rule in left_to_program(credential, {**known, **params}):
        refuse_missing(_place(credential), rule)


def _place(credential: OAuth2Credential) -> Place:
    return Place(f'credential "{credential.name}"')


def _refuse_host(place: Place, rule: UrlParam) -> None:
    place.refuse(
        f'params["{rule.name}"] names the host that gets the client secret',
        code="param_invalid",
        hint="let the program say it, by valet.connect_link(..., params=...), or declare it",
    )


def _given(credential: OAuth2Credential) -> tuple[UrlParam, ...]:
    """Return the rules of what a sign-in may be given, and what nobody has to look up."""
    names = named(credential)
    return tuple(rule for rule in credential.url_params if rule.name in names)


def _left(credential: OAuth2Credential, known: Mapping[str, str]) -> Iterator[UrlParam]:
    """Yield the rules of what URLs wait for; what a callback says needs nobody's word."""
    waiting = {name for _, text in _pieces(credential) for name in HOLE.findall(text)}
    for rule in _given(credential):
        if rule.name in waiting and not rule.callback and not known.get(rule.name):
            yield rule


def _names_the_host(credential: OAuth2Credential, rule: UrlParam) -> bool:
    if rule.values:
        return False
    hosts = [text for where, text in _pieces(credential) if where in _HOSTS and rule.name in HOLE.findall(text)]
    return (rule.whole_host and bool(hosts)) or any(next(steered("", host, {}), None) for host in hosts)


def _pieces(credential: OAuth2Credential) -> Iterator[tuple[Where, str]]:
    """Yield the pieces of all URLs and hosts, but for whole URLs: these come with the answers of providers alone."""
    for field in URL_FIELDS:
        yield from (piece for piece in parts(getattr(credential, field)) if piece[0] != "url")
    for host in credential.api_hosts:
        yield "whole host" if HOLE.fullmatch(host) else "host", host


def _shape(host: str, name: str) -> re.Pattern[str] | None:
    """Return what reads the value out of a whole host; None where other holes stand in it too."""
    if HOLE.findall(host) != [name]:
        return None
    before, after = (re.escape(part) for part in host.split(f"{{{name}}}"))
    return re.compile(f"{before}([^.]+){after}")
