"""Whether what stands in a preset's file is of the right form: members that there are, of the right types."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields
from typing import Any, Final, cast

from valetkey.model.located import UrlParam
from valetkey.model.places import did_you_mean
from valetkey.model.preset_members import MEMBERS, Kind, Mistake

WEIGHTS: Final = ("read", "write", "admin")
"""How much a scope allows: to look, to change, to decide for others."""
PKCE_SUPPORT: Final = ("required", "supported", "ignored", "breaks")
"""What a provider does with PKCE: no sign-in without it; it holds it; it passes it over; no sign-in with it."""
QUIRK: Final = ("text", "source", "seen_as")
VERIFIED: Final = ("level", "date")
SCOPE: Final = ("text", "weight")
URL_PARAM: Final[Mapping[str, str]] = {f.name: str(f.type) for f in fields(UrlParam) if f.name != "name"}
_WORDS: Final[Mapping[str, str]] = {
    "bool": "true or false",
    "str": "a text",
    "Mapping[str, str]": "a table of texts",
    "tuple[str, ...]": "a list of texts",
}


def shape_mistakes(data: Mapping[str, Any]) -> Iterator[Mistake]:
    """Yield what is not of the right form."""
    for name, value in data.items():
        if name not in MEMBERS:
            yield Mistake(str(name), f"there is no such member{did_you_mean(str(name), MEMBERS)}")
        else:
            yield from _CHECKS[MEMBERS[name].kind](name, value)
    if not data.get("display_name"):
        yield Mistake("display_name", "it is missing", MEMBERS["display_name"].example)
    if "credential" not in data and "extends" not in data:
        yield Mistake("credential", "the table [credential] is missing", MEMBERS["credential"].example)


def is_text(value: object) -> bool:
    """Tell whether it is a string."""
    return isinstance(value, str)


def _texts(name: str, value: object) -> Iterator[Mistake]:
    if not isinstance(value, list | tuple) or not all(map(is_text, cast("list[object]", value))):
        yield Mistake(name, "it is a list of texts", MEMBERS[name].example)


def _text(name: str, value: object) -> Iterator[Mistake]:
    if not is_text(value):
        yield Mistake(name, "it is a text", MEMBERS[name].example)


def _pkce(name: str, value: object) -> Iterator[Mistake]:
    if value not in PKCE_SUPPORT:
        yield Mistake(name, f"it is one of {', '.join(PKCE_SUPPORT)}", MEMBERS[name].example)


def _table(name: str, value: object) -> Iterator[Mistake]:
    if not isinstance(value, Mapping):
        yield Mistake(name, "it is a table", MEMBERS[name].example)
        return
    for member, one in cast("Mapping[str, object]", value).items():
        if not is_text(one):
            yield Mistake(f"{name}.{member}", "it is a text", MEMBERS[name].example)


def _verified(name: str, value: object) -> Iterator[Mistake]:
    yield from _table(name, value)
    if isinstance(value, Mapping):
        yield from _unknown(name, cast("Mapping[str, object]", value), VERIFIED)


def _scopes(name: str, value: object) -> Iterator[Mistake]:
    if not isinstance(value, Mapping):
        yield Mistake(name, "it is a table", MEMBERS[name].example)
        return
    for scope, about in cast("Mapping[str, object]", value).items():
        yield from _scope(f"{name}.{scope}", scope, about)


def _scope(place: str, scope: str, about: object) -> Iterator[Mistake]:
    example = f'"{scope}" = {{ text = "Read orders", weight = "read" }}'
    if is_text(about):
        return
    if not isinstance(about, Mapping):
        yield Mistake(place, "it is a text, or a table of text and weight", example)
        return
    told = cast("Mapping[str, object]", about)
    yield from _unknown(place, told, SCOPE)
    if not is_text(told.get("text")):
        yield Mistake(place, "its text is missing", example)
    if told.get("weight", WEIGHTS[0]) not in WEIGHTS:
        yield Mistake(place, f"its weight is one of {', '.join(WEIGHTS)}", example)


def _params(name: str, value: object) -> Iterator[Mistake]:
    if not isinstance(value, Mapping):
        yield Mistake(name, "it is a table of tables", MEMBERS[name].example)
        return
    for param, given in cast("Mapping[str, object]", value).items():
        place = f"{name}.{param}"
        if not isinstance(given, Mapping):
            yield Mistake(place, "it is a table", MEMBERS[name].example)
            continue
        rule = cast("Mapping[str, object]", given)
        yield from _unknown(place, rule, URL_PARAM)
        for member, one in rule.items():
            if member in URL_PARAM and not _is_of(URL_PARAM[member], one):
                yield Mistake(f"{place}.{member}", f"it is {_WORDS[URL_PARAM[member]]}")


def _is_of(kind: str, value: object) -> bool:
    if kind == "bool":
        return isinstance(value, bool)
    if kind.startswith("Mapping"):
        return isinstance(value, Mapping) and all(map(is_text, cast("Mapping[str, object]", value).values()))
    return is_text(value)


def _quirks(name: str, value: object) -> Iterator[Mistake]:
    if not isinstance(value, list | tuple):
        yield Mistake(name, "it is a list of tables", MEMBERS[name].example)
        return
    for number, quirk in enumerate(cast("list[object]", value), 1):
        place = f"{name}.{number}"
        if not isinstance(quirk, Mapping):
            yield Mistake(place, "it is a table", MEMBERS[name].example)
            continue
        told = cast("Mapping[str, object]", quirk)
        yield from _unknown(place, told, QUIRK)
        for member, one in told.items():
            if not is_text(one):
                yield Mistake(f"{place}.{member}", "it is a text", MEMBERS[name].example)


def _credential(name: str, value: object) -> Iterator[Mistake]:
    if not isinstance(value, Mapping):
        yield Mistake(name, "it is a table", MEMBERS[name].example)


def _unknown(place: str, given: Mapping[str, object], known: Mapping[str, str] | tuple[str, ...]) -> Iterator[Mistake]:
    for member in given:
        if member not in known:
            near = did_you_mean(str(member), known)
            yield Mistake(f"{place}.{member}", f"there is no such member{near}", f"one of {', '.join(known)}")


_CHECKS: Final[Mapping[Kind, Callable[[str, object], Iterator[Mistake]]]] = {
    "text": _text,
    "pkce": _pkce,
    "url": _text,
    "texts": _texts,
    "labels": _table,
    "table": _table,
    "scopes": _scopes,
    "params": _params,
    "quirks": _quirks,
    "verified": _verified,
    "credential": _credential,
}
