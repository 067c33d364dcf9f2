"""URLs with a hole in them: ``https://{shop}.myshopify.com/oauth/token``, filled in by rule.

A value is put in only where it cannot move the URL to another place: never a slash, an ``@``, a dot-segment; in a host
it is one label, unless the provider is one that people run themselves and the whole host is the parameter.  So what
somebody types into a form, or a provider answers, cannot send a client secret elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from typing import Final, Literal
from urllib.parse import urlsplit

from valetkey.model.checks import is_host, is_port
from valetkey.model.located import UrlParam
from valetkey.model.places import Place, did_you_mean

__all__ = [
    "HOLE",
    "KEPT",
    "Kind",
    "UrlParam",
    "Where",
    "fill",
    "filled",
    "fits",
    "holes",
    "parts",
    "refuse_missing",
    "refuse_value",
    "unused",
]

Where = Literal["url", "scheme", "host", "whole host", "path", "header"]
"""The place of a hole: the beginning of a URL, before ``://``, in the host, all of it, behind it, in a header."""
Kind = Literal["url", "host", "header"]
"""What a template is: a URL, a host, or the value of a header."""
HOLE: Final = re.compile(r"\{([a-z_][a-z0-9_]*)\}")
KEPT: Final = frozenset({"client_id"})
"""Holes that are not filled when a credential is declared, but when its app is known."""
_SEGMENT = re.compile(r"[A-Za-z0-9._~-]+")
_LABEL = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
_BASE = re.compile(r"https://([A-Za-z0-9.-]+)(?::[0-9]{1,5})?((?:/[A-Za-z0-9._~-]+)*)/?")
_HEADER = re.compile(r"[\x21-\x7e]{1,200}")
_WORDS: Final[Mapping[str, str]] = {"url": "place of a whole URL", "header": "value of a header"}


def holes(template: str) -> tuple[str, ...]:
    """Return the names of the parameters that `template` waits for."""
    return tuple(name for name in HOLE.findall(template) if name not in KEPT)


def parts(template: str, kind: Kind = "url") -> tuple[tuple[Where, str], ...]:
    """Return the pieces of a template in order, each with what it is of a URL; together they are the template."""
    if kind == "header":
        return (("header", template),)
    if kind == "url" and HOLE.match(template) and "://" not in template:
        base, brace, path = template.partition("}")
        return ("url", f"{base}{brace}"), ("path", path)
    before, slashes, rest = template.partition("://") if "://" in template else ("", "", template)
    host, slash, tail = rest.partition("/")
    where: Where = "whole host" if HOLE.fullmatch(host) else "host"
    return ("scheme", before), ("path", slashes), (where, host), ("path", f"{slash}{tail}")


def fill(
    place: Place,
    template: str,
    values: Mapping[str, str],
    rules: Mapping[str, UrlParam],
    later: AbstractSet[str] = frozenset(),
    kind: Kind = "url",
) -> str:
    """Put `values` into `template`; the holes named `later` are left as they are.

    Raises:
        ConfigurationError: ``param_missing``: a value is missing; ``param_invalid``: one may not stand there.
    """

    def put(where: Where, text: str) -> str:
        def one(match: re.Match[str]) -> str:
            name = match[1]
            if name in KEPT or name in later:
                return match[0]
            rule = rules.get(name) or UrlParam(name=name)
            value = values.get(name, "") or rule.default
            if not value:
                refuse_missing(place, rule)
            if not fits(rule, value, where):
                refuse_value(place, rule, where)
            return rule.values.get(value, value)

        return HOLE.sub(one, text)

    return "".join(put(where, text) for where, text in parts(template, kind))


def filled(
    template: str, values: Mapping[str, str], rules: Mapping[str, UrlParam], kind: Kind = "url"
) -> tuple[str, tuple[str, ...]]:
    """Put those of `values` that may stand there into `template`; returns it, and the names of the holes left.

    It is what is done at use, with what connections keep: nothing is raised, and nothing is put where it may not be.
    """
    left: list[str] = []

    def put(where: Where, text: str) -> str:
        def one(match: re.Match[str]) -> str:
            name = match[1]
            if name in KEPT:
                return match[0]
            rule = rules.get(name) or UrlParam(name=name)
            value = values.get(name, "")
            if not value or not fits(rule, value, where):
                left.append(name)
                return match[0]
            said = rule.values.get(value, value)
            return said.rstrip("/") if where == "url" else said

        return HOLE.sub(one, text)

    return "".join(put(where, text) for where, text in parts(template, kind)), tuple(left)


def fits(rule: UrlParam, value: str, where: Where) -> bool:
    """Tell whether a value may stand there, by the parameter's own rule and by the general one."""
    if rule.values:
        return value in rule.values
    if rule.pattern and re.fullmatch(rule.pattern, value) is None:
        return False
    if where == "whole host" and rule.whole_host:
        name, colon, port = value.partition(":")
        return is_host(name) and (not colon or is_port(port))
    return where in _FITS and _FITS[where](value)


def _is_base(value: str) -> bool:
    """Tell whether it is an https URL of host and plain path, which all parsers read alike."""
    found = _BASE.fullmatch(value)
    if found is None or not is_host(found[1]):
        return False
    return all(segment.strip(".") for segment in urlsplit(value).path.strip("/").split("/") if segment)


def _is_segment(value: str) -> bool:
    return _SEGMENT.fullmatch(value) is not None and value.strip(".") != ""


def _is_label(value: str) -> bool:
    return _LABEL.fullmatch(value) is not None


_FITS: Final[Mapping[Where, Callable[[str], bool]]] = {
    "url": _is_base,
    "host": _is_label,
    "whole host": _is_label,
    "path": _is_segment,
    "header": lambda value: _HEADER.fullmatch(value) is not None,
}


def refuse_missing(place: Place, rule: UrlParam) -> None:
    """Refuse to go on without a value.

    Raises:
        ConfigurationError: ``param_missing``, with a right example.
    """
    about = f" ({rule.description})" if rule.description else ""
    place.refuse(
        f'the URL parameter "{rule.name}"{about} is not given',
        code="param_missing",
        hint=f"add {place.line('params', {rule.name: _right(rule) or '...'})}",
    )


def refuse_value(place: Place, rule: UrlParam, where: Where) -> None:
    """Refuse a value that may not stand there: one that is of no closed set, or could move the URL.

    Raises:
        ConfigurationError: ``param_invalid``, with a right example.
    """
    line = place.line("params", {rule.name: _right(rule) or "name"})
    if rule.values:
        place.refuse(
            f'params["{rule.name}"] is none of those there are',
            code="param_invalid",
            hint=f"write one of {', '.join(rule.values)}, for example {line}",
        )
    place.refuse(
        f'params["{rule.name}"] is not a value that may stand in the {_WORDS.get(where, f"{where} of a URL")}',
        code="param_invalid",
        hint=f"write {line}",
    )


def _right(rule: UrlParam) -> str:
    return rule.example or rule.default or next(iter(rule.values), "")


def unused(place: Place, values: Mapping[str, str], used: frozenset[str]) -> None:
    """Refuse values that no URL waits for: a misspelt name would go unnoticed otherwise."""
    for name in values:
        if name not in used:
            place.refuse(
                f'params["{name:.60}"] is a parameter of no URL{did_you_mean(name, used)}',
                code="param_invalid",
                hint=f'remove "{name:.60}" from params',
            )
