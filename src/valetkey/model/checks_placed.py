"""Checks of what a declaration leaves to each connection: parameters, callbacks and look-ups."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from typing import Any, Final, TypeVar, cast
from urllib.parse import urlsplit

from valetkey.model import checks, templates
from valetkey.model.credentials import OAuth2Credential
from valetkey.model.located import LookUp, UrlParam
from valetkey.model.places import Place, did_you_mean
from valetkey.model.placing import URL_FIELDS, names_later

T = TypeVar("T", UrlParam, LookUp)
_NAME = re.compile(r"[a-z_][a-z0-9_]{0,63}")
_OF_CALLBACKS: Final = frozenset({"code", "state", "iss", "error", "error_description", "error_uri", "response"})
"""What RFC 6749 section 4.1.2, RFC 9207 and JARM put into a callback."""
_CHOOSE: Final = ("list", "id", "label")
_MOVING: Final = frozenset({"url", "scheme", "host", "whole host"})


# -- types ---------------------------------------------------------------------------------------------------------


def url_params(place: Place, field: str, value: object) -> tuple[UrlParam, ...]:
    """Check parameters of URLs: a table of tables by name, or what was read from one."""
    if isinstance(value, Mapping):
        tables = cast("Mapping[str, Any]", value).items()
        named = [{**cast("Mapping[str, Any]", one), "name": name} if _is_table(one) else one for name, one in tables]
        return _each(place, field, named, UrlParam, {"name": "shop"})
    return _each(place, field, value, UrlParam, {"name": "shop"})


def _is_table(value: object) -> bool:
    return isinstance(value, Mapping)


def look_ups(place: Place, field: str, value: object) -> tuple[LookUp, ...]:
    """Check look-ups: a list of tables."""
    return _each(place, field, value, LookUp, {"url": "https://api.example.com/me", "params": {"tenant": "id"}})


def _each(place: Place, field: str, value: object, kind: type[T], example: object) -> tuple[T, ...]:
    if isinstance(value, str | Mapping) or not isinstance(value, Sequence):
        place.refuse(
            f"{field} is no list of tables", code="field_type", hint=f"write for example {place.line(field, [example])}"
        )
    return tuple(_one(place, field, one, kind) for one in cast("Sequence[object]", value))


def _one(place: Place, field: str, value: object, kind: type[T]) -> T:
    if isinstance(value, kind):
        return value
    known = {f.name: str(f.type) for f in fields(kind)}
    if not isinstance(value, Mapping):
        place.refuse(f"{field} holds what is no table", code="field_type", hint=f"remove it from {field}")
    given = cast("Mapping[str, object]", value)
    for name in given:
        if name not in known:
            near = did_you_mean(str(name), known)
            hint = f"it has: {', '.join(known)}"
            place.refuse(f'{field}: there is no "{name!s:.60}"{near}', code="field_unknown", hint=hint)
    typed: dict[str, Any] = {name: _TYPES[known[name]](place, f"{field}.{name}", one) for name, one in given.items()}
    needed = "name" if kind is UrlParam else "url"
    if not typed.get(needed):
        place.refuse(f"{field}: {needed} is missing", code="look_up_invalid", hint=f"add {place.line(needed, '...')}")
    return kind(**typed)


_TYPES: Final[Mapping[str, Any]] = {"str": checks.text, "bool": checks.flag, "Mapping[str, str]": checks.table}


# -- meaning -------------------------------------------------------------------------------------------------------


def sample(credential: OAuth2Credential, template: str, kind: templates.Kind = "url") -> str:
    """Return a template with something in its holes that may stand there, to be checked as any URL."""
    later = names_later(credential)
    rules = {rule.name: rule for rule in credential.url_params}
    if not later or "{" not in template:
        return template

    def put(where: templates.Where, text: str) -> str:
        def one(hole: re.Match[str]) -> str:
            rule = rules.get(hole[1])
            if hole[1] not in later or where == "scheme":
                return hole[0]
            if rule is not None and rule.values:
                return next(iter(rule.values.values()))
            return "https://sample.example" if where == "url" else "sample"

        return templates.HOLE.sub(one, text)

    return "".join(put(where, text) for where, text in templates.parts(template, kind))


def check_placed(credential: OAuth2Credential, place: Place) -> None:
    """Check what is left to each connection.

    Raises:
        ConfigurationError: It could send something to where it must not go, or means nothing.
    """
    for rule in credential.url_params:
        check_rule(place, rule)
    for name in names_later(credential) - set(credential.kept_params):
        _check_name(place, name)
    _check_callback(credential, place)
    for one in credential.look_ups:
        _check_look_up(credential, place, one)


def _check_name(place: Place, name: str) -> None:
    if not _NAME.fullmatch(name):
        place.refuse(
            f'"{name:.60}" is no name of a param',
            code="param_invalid",
            hint="write small letters, digits and _ only, such as tenant_id",
        )


def check_rule(place: Place, rule: UrlParam) -> None:
    """Check the rule of a parameter; raises as `check_placed`."""
    if rule.callback and not rule.values:
        place.refuse(
            f"url_params.{rule.name}: what a callback says must be one of a closed set, for it can be written by hand",
            code="param_invalid",
            hint=f"add {place.line('values', {'us': 'example.com', 'eu': 'example.eu'})}, or remove callback",
        )
    for typed, stands in rule.values.items():
        if not (checks.is_host(stands) or re.fullmatch(r"[A-Za-z0-9._~-]+", stands)) or not stands.strip("."):
            place.refuse(
                f'url_params.{rule.name}: the value of "{typed:.40}" is neither a host nor a part of one or of a path',
                code="param_invalid",
                hint=f"write for example {place.line('values', {'eu': 'example.eu'})}",
            )
    if rule.values and rule.default and rule.default not in rule.values:
        place.refuse(
            f"url_params.{rule.name}: the default is none of its values",
            code="param_invalid",
            hint=f"write {place.line('default', next(iter(rule.values)))}",
        )


def _check_callback(credential: OAuth2Credential, place: Place) -> None:
    """Check the rules for callbacks, which come by way of the browser: nothing in them may say where tokens go."""
    named = (*credential.callback_params.values(), *(rule.callback for rule in credential.url_params if rule.callback))
    for name in (*named, *credential.callback_equals):
        if name in _OF_CALLBACKS:
            place.refuse(
                f"a callback's \"{name}\" is the protocol's own",
                code="parameter_reserved",
                hint=f'remove "{name}": it is checked in any case, and never kept',
            )
    for field in URL_FIELDS:
        _check_holes(credential, place, field, getattr(credential, field))
    for host in credential.api_hosts:
        _check_holes(credential, place, "api_hosts", f"https://{host}")
    if credential.callback_hmac and credential.client_auth == "none":
        place.refuse(
            "callback_hmac is made with the client secret, and client_auth is none",
            code="client_public",
            hint=f"write {place.line('client_auth', 'client_secret_post')}, or leave callback_hmac out",
        )
    known = names_later(credential) | set(credential.params)
    for template in credential.callback_equals.values():
        _check_known(place, "callback_equals", templates.holes(template), known)


def _check_holes(credential: OAuth2Credential, place: Place, field: str, template: str) -> None:
    for where, text in templates.parts(template) if "{" in template else ():
        wrong = next((name for name in templates.holes(text) if name in credential.callback_params), "")
        if wrong and where in _MOVING:
            place.refuse(
                f"{field}: {{{wrong}}} comes by way of the browser, and may not say which host it is",
                code="param_invalid",
                hint=f"keep it in the path or in api_headers, or make it a parameter with values ({wrong} of [params])",
            )


def _check_known(place: Place, field: str, holes: Iterable[str], known: Iterable[str]) -> None:
    for name in holes:
        if name not in known:
            place.refuse(
                f"{field}: there is no param {{{name:.60}}}{did_you_mean(name, known)}",
                code="param_invalid",
                hint=f"name it in kept_params, callback_params, look_ups or params, or remove it from {field}",
            )


def _check_look_up(credential: OAuth2Credential, place: Place, one: LookUp) -> None:
    field, url = "look_ups", sample(credential, one.url)
    checks.url(place, f"{field}.url", url)
    own = {urlsplit(text).netloc for text in (credential.token_url, credential.userinfo_url) if text}
    host, wanted = urlsplit(one.url).netloc, (*credential.api_hosts, *own)
    if not one.url.startswith("{") and not any(_below(host, entry) for entry in wanted):
        place.refuse(
            f"{field}: {host:.80} may not see the access token",
            code="host_invalid",
            hint=f"add it: {place.line('api_hosts', [*credential.api_hosts, host])}",
        )
    checks.headers(place, f"{field}.headers", one.headers)
    if not one.params:
        place.refuse(
            f"{field}: nothing is kept of its answer",
            code="look_up_invalid",
            hint=f"add {place.line('params', {'tenant_id': 'id'})}: param name and dotted path",
        )
    for name in one.choose:
        checks.choice(place, f"{field}.choose", name, _CHOOSE)
    if one.choose and not (one.choose.get("list") and one.choose.get("id") in one.params.values()):
        place.refuse(
            f"{field}: choose needs the list, and the id of its entries, which one of params keeps",
            code="look_up_invalid",
            hint=f"write {place.line('choose', {'list': '.', 'id': next(iter(one.params.values())), 'label': 'name'})}",
        )
    if one.matching and not one.choose:
        place.refuse(
            f"{field}: matching is about the entries of a list, and choose names none",
            code="look_up_invalid",
            hint=f"add {place.line('choose', {'list': '.', 'id': 'id'})}, or remove matching",
        )


def _below(host: str, entry: str) -> bool:
    return host == entry or (entry.startswith("*.") and host.endswith(entry[1:]))
