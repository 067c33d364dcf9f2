"""URLs with a hole in them: ``https://{shop}.myshopify.com/oauth/token``, filled in by rule.

A value is put in only where it cannot move the URL to another place: never a slash, an ``@``, a dot-segment; in a host
it is one label, unless the provider is one that people run themselves and the whole host is the parameter.  So what
somebody types into a form cannot send a client secret elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from valetkey.model.checks import is_host
from valetkey.model.places import Place, did_you_mean

HOLE: Final = re.compile(r"\{([a-z_][a-z0-9_]*)\}")
KEPT: Final = frozenset({"client_id"})
"""Holes that are not filled when a credential is declared, but when its app is known."""
_SEGMENT = re.compile(r"[A-Za-z0-9._~-]+")
_LABEL = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?")


@dataclass(frozen=True, slots=True, kw_only=True)
class UrlParam:
    """One parameter of a provider's URLs.

    Attributes:
        name: As it stands between the braces.
        description: What it is, for people.
        pattern: A regular expression that the whole value matches, beside the general rule; empty for none.
        default: The value where the declaration gives none; empty: one has to be given.
        whole_host: Whether it is a whole host (of a service that people run themselves), not a part of one.
        example: A value to show in hints.
    """

    name: str
    description: str = ""
    pattern: str = ""
    default: str = ""
    whole_host: bool = False
    example: str = ""


def holes(template: str) -> tuple[str, ...]:
    """Return the names of the parameters that `template` waits for."""
    return tuple(name for name in HOLE.findall(template) if name not in KEPT)


def fill(place: Place, template: str, values: Mapping[str, str], rules: Mapping[str, UrlParam]) -> str:
    """Put `values` into `template`.

    Raises:
        ConfigurationError: ``param_missing``: a value is missing; ``param_invalid``: one may not stand there.
    """
    before_host, slashes, rest = template.partition("://") if "://" in template else ("", "", template)
    host, slash, tail = rest.partition("/")

    def put(where: str, text: str) -> str:
        def one(match: re.Match[str]) -> str:
            name = match[1]
            if name in KEPT:
                return match[0]
            rule = rules.get(name) or UrlParam(name=name)
            value = values.get(name, "") or rule.default
            _allowed(place, rule, value, where if where != "host" or match[0] != text else "whole host")
            return value

        return HOLE.sub(one, text)

    return f"{put('scheme', before_host)}{slashes}{put('host', host)}{slash}{put('path', tail)}"


def _allowed(place: Place, rule: UrlParam, value: str, where: str) -> None:
    if not value:
        about = f" ({rule.description})" if rule.description else ""
        place.refuse(
            f'the URL parameter "{rule.name}"{about} is not given',
            code="param_missing",
            hint=f"add {place.line('params', {rule.name: rule.example or '...'})}",
        )
    if not _fits(rule, value, where) or (rule.pattern and re.fullmatch(rule.pattern, value) is None):
        place.refuse(
            f'params["{rule.name}"] is not a value that may stand in the {where} of a URL',
            code="param_invalid",
            hint=f"write {place.line('params', {rule.name: rule.example or rule.default or 'name'})}",
        )


def _fits(rule: UrlParam, value: str, where: str) -> bool:
    if where == "whole host" and rule.whole_host:
        name, colon, port = value.partition(":")
        return is_host(name) and (port.isdecimal() if colon else True)
    if where in {"host", "whole host"}:
        return _LABEL.fullmatch(value) is not None
    return where == "path" and _SEGMENT.fullmatch(value) is not None and value.strip(".") != ""


def unused(place: Place, values: Mapping[str, str], used: frozenset[str]) -> None:
    """Refuse values that no URL waits for: a misspelt name would go unnoticed otherwise."""
    for name in values:
        if name not in used:
            place.refuse(
                f'params["{name:.60}"] is a parameter of no URL{did_you_mean(name, used)}',
                code="param_invalid",
                hint=f'remove "{name:.60}" from params',
            )
