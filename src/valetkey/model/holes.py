"""Filling the holes of URLs and scopes with the params of a declaration, and leaving those that connections fill."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import replace
from typing import Any, Final

from valetkey.model import checks, templates
from valetkey.model.checks_placed import check_rule
from valetkey.model.credentials import EMPTY
from valetkey.model.located import LookUp, UrlParam
from valetkey.model.places import Place

SCOPES: Final = ("scopes", "forced_scopes")


def fill_urls(place: Place, values: dict[str, Any], rules: Mapping[str, UrlParam], urls: Iterable[str]) -> None:
    """Put the declared params into the fields `values`, and keep the rules of what is left to each connection.

    Raises:
        ConfigurationError: ``param_missing``, ``param_invalid``.
    """
    rules = {**rules, **{rule.name: rule for rule in values.get("url_params", ())}}
    params: Mapping[str, str] = values.get("params", EMPTY)
    for rule in rules.values():
        check_rule(place, rule)
    later = _later(values, rules, params)
    templates.unused(place, params, _wanted(values, urls) | frozenset(rules) | later)
    _check_own(place, params, rules)
    for name in urls:
        if name in values:
            values[name] = templates.fill(place, values[name], params, rules, later)
    if "api_hosts" in values:
        hosts = (templates.fill(place, host, params, rules, later, "host") for host in values["api_hosts"])
        values["api_hosts"] = tuple(dict.fromkeys(host.lower() for host in hosts))
    for name in SCOPES:
        if name in values:
            values[name] = tuple(_scope(place, scope, params, rules) for scope in values[name])
    _fill_others(place, values, params, rules, later)
    defaults = {name: rule.default for name, rule in rules.items() if rule.default}
    if defaults or params:
        values["params"] = checks.frozen({**defaults, **params})
    kept = tuple(rule for name, rule in rules.items() if name in later)
    if kept:
        values["url_params"] = kept
    else:
        values.pop("url_params", None)


def _scope(place: Place, scope: str, params: Mapping[str, str], rules: Mapping[str, UrlParam]) -> str:
    """Fill a scope, which may be the URL of an API: with what the declaration says, for it is the same for all."""
    return templates.fill(place, scope, params, rules, kind="url" if "://" in scope else "header")


def _later(values: Mapping[str, Any], rules: Mapping[str, UrlParam], params: Mapping[str, str]) -> frozenset[str]:
    """Return the params that each connection brings: kept, looked up, said by a callback, or left out here."""
    looked_up = (name for one in values.get("look_ups", ()) for name in one.params)
    left = (name for name, rule in rules.items() if rule.callback or (rule.optional and not params.get(name)))
    return frozenset((*values.get("kept_params", ()), *values.get("callback_params", ()), *looked_up, *left))


def _wanted(values: Mapping[str, Any], urls: Iterable[str]) -> frozenset[str]:
    texts = [str(values.get(name, "")) for name in urls]
    texts += [*values.get("api_hosts", ()), *values.get("api_headers", EMPTY).values()]
    texts += [one.url for one in values.get("look_ups", ())]
    texts += [scope for name in SCOPES for scope in values.get(name, ())]
    texts += (*values.get("signed_secret_claims", EMPTY).values(), values.get("redirect_name", ""))
    return frozenset(hole for text in texts for hole in templates.holes(text))


def _check_own(place: Place, params: Mapping[str, str], rules: Mapping[str, UrlParam]) -> None:
    """Check given values of closed sets, also of those that are filled in later."""
    for name, value in params.items():
        rule = rules.get(name)
        if rule is not None and rule.values and value and value not in rule.values:
            templates.refuse_value(place, rule, "path")


def _fill_others(
    place: Place,
    values: dict[str, Any],
    params: Mapping[str, str],
    rules: Mapping[str, UrlParam],
    later: AbstractSet[str],
) -> None:
    """Fill look-ups, and of headers those holes alone that a parameter has the name of: braces may stand there."""

    def header(text: str) -> str:
        unknown = {hole for hole in templates.holes(text) if hole not in rules}
        return templates.fill(place, text, params, rules, later | unknown, "header")

    def look_up(one: LookUp) -> LookUp:
        url = templates.fill(place, one.url, params, rules, later)
        return replace(one, url=url, headers=checks.frozen({name: header(text) for name, text in one.headers.items()}))

    if "api_headers" in values:
        values["api_headers"] = checks.frozen({name: header(text) for name, text in values["api_headers"].items()})
    if "signed_secret_claims" in values:
        claims = values["signed_secret_claims"].items()
        filled = {name: templates.fill(place, text, params, rules, kind="header") for name, text in claims}
        values["signed_secret_claims"] = checks.frozen(filled)
    if "redirect_name" in values:
        values["redirect_name"] = templates.fill(place, values["redirect_name"], params, rules, kind="header")
    if "look_ups" in values:
        values["look_ups"] = tuple(look_up(one) for one in values["look_ups"])
