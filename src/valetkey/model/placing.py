"""A credential as one connection sees it: what the connection keeps is put into URLs, hosts and headers, by rule.

A declaration may leave holes that only a connection fills: its shop, its data centre, the tenant that was looked up.
`placed` fills them at use, by the rules of `templates`: what does not fit is not put in, and nothing goes to a host
that the declaration does not allow.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any, Final

from valetkey.model.credentials import OAuth2Credential

if TYPE_CHECKING:
    from valetkey.model.located import LookUp

URL_FIELDS: Final = tuple(
    f.name for f in fields(OAuth2Credential) if f.name.endswith("_url") or f.name in {"issuer", "verify"}
)
HOLES: Final = re.compile(r"\{([a-z_][a-z0-9_]*)\}")


def names_later(credential: OAuth2Credential) -> frozenset[str]:
    """Return the names of the params that each connection has a value of its own for."""
    looked_up = (name for one in credential.look_ups for name in one.params)
    rules = (rule.name for rule in credential.url_params)
    return frozenset((*credential.kept_params, *credential.callback_params, *rules, *looked_up))


def placed(credential: OAuth2Credential, params: Mapping[str, str]) -> OAuth2Credential:
    """Return the credential with the params of a connection in the holes of its URLs, `api_hosts` and `api_headers`.

    What the connection does not say, or what may not stand there, leaves a URL and a host with their hole, so that
    nothing is sent there, and a header out.
    """
    if not has_places(credential):
        return credential
    from valetkey.model.templates import filled  # noqa: PLC0415 - most credentials have no such holes

    given, rules = {**credential.params, **params}, {rule.name: rule for rule in credential.url_params}
    hosts = tuple(filled(host, given, rules, "host")[0].lower() for host in credential.api_hosts)
    changes: dict[str, Any] = {"api_hosts": hosts}
    for field in URL_FIELDS:
        template: str = getattr(credential, field)
        url = filled(template, given, rules)[0] if "{" in template else template
        if url != template and (not template.startswith("{") or _listed(url, hosts)):
            changes[field] = url
    return replace(credential, **changes, api_headers=_headers(credential, given))


def signed_in_with(credential: OAuth2Credential, params: Mapping[str, str]) -> OAuth2Credential:
    """Return the credential for a sign-in that gives these params beside those of the declaration.

    Raises:
        ConfigurationError: ``param_invalid``: there is no such param, or the value may not stand where it belongs.
    """
    if not params:
        return credential
    from valetkey.model.places import Place  # noqa: PLC0415 - most sign-ins give none
    from valetkey.model.templates import UrlParam, Where, fits, refuse_value, unused  # noqa: PLC0415

    place = Place(f'credential "{credential.name}"')
    unused(place, params, named(credential))
    rules = {rule.name: rule for rule in credential.url_params}
    for name, value in params.items():
        rule = rules.get(name) or UrlParam(name=name)
        kind: Where = "whole host" if rule.whole_host else "path" if name in rules else "header"
        if not fits(rule, value, kind):
            refuse_value(place, rule, "host" if kind == "path" and _in_host(credential, name) else kind)
    return replace(credential, params={**credential.params, **params})


def _in_host(credential: OAuth2Credential, name: str) -> bool:
    """Whether a param stands in a host, as far as those are concerned who correct it."""
    urls: Iterator[str] = (getattr(credential, field) for field in URL_FIELDS)
    hosts = (url.partition("://")[2].partition("/")[0] for url in urls)
    return any(f"{{{name}}}" in host for host in (*hosts, *credential.api_hosts))


def has_places(credential: OAuth2Credential) -> bool:
    """Whether anything in the credential waits for what a connection says."""
    names = names_later(credential)
    return bool(names) and any(not names.isdisjoint(HOLES.findall(text)) for text in _templates(credential))


def unplaced(credential: OAuth2Credential, params: Mapping[str, str]) -> tuple[str, ...]:
    """Return what is missing of a connection with these params: what holes wait for, and what was to be looked up."""
    names = names_later(credential)
    if not names:
        return ()
    given = {**credential.params, **params}
    after = placed(credential, params)
    left = [name for text in _templates(after) for name in HOLES.findall(text) if name in names]
    kept = frozenset(after.api_headers)
    left += [
        name
        for header, text in credential.api_headers.items()
        if header not in kept
        for name in HOLES.findall(text)
        if name in names
    ]
    left += [one.name for one in credential.look_ups if not given.get(one.name)]
    return tuple(dict.fromkeys(left))


def named(credential: OAuth2Credential) -> frozenset[str]:
    """Return the params that who signs in may give: those that nothing else says, and what a look-up chooses."""
    come = comes_by_itself(credential.kept_params, credential.callback_params, credential.look_ups)
    rules = (rule.name for rule in credential.url_params if rule.per_connection and rule.name not in come)
    return frozenset((*rules, *(one.name for one in credential.look_ups if one.choose)))


def comes_by_itself(kept: Iterable[str], said: Iterable[str], look_ups: Iterable[LookUp]) -> frozenset[str]:
    """Return the params that a token answer, a callback or a look-up brings, so that nobody has to be asked."""
    return frozenset((*kept, *said, *(name for one in look_ups for name in one.params)))


def _templates(credential: OAuth2Credential) -> Iterator[str]:
    yield from (text for field in URL_FIELDS if "{" in (text := getattr(credential, field)))
    yield from credential.api_hosts
    yield from credential.api_headers.values()


def _headers(credential: OAuth2Credential, given: Mapping[str, str]) -> Mapping[str, str]:
    from valetkey.model.templates import filled  # noqa: PLC0415 - as above

    names, rules = names_later(credential), {rule.name: rule for rule in credential.url_params}
    found: dict[str, str] = {}
    for name, template in credential.api_headers.items():
        if names.isdisjoint(HOLES.findall(template)):
            found[name] = template
            continue
        value, left = filled(template, given, rules, "header")
        if names.isdisjoint(left):
            found[name] = value
    return found


def _listed(url: str, hosts: tuple[str, ...]) -> bool:
    """Tell whether the host of a URL is one of the declared ones."""
    host = url.partition("://")[2].partition("/")[0].lower()
    return any(host == entry or (entry.startswith("*.") and host.endswith(entry[1:])) for entry in hosts)
