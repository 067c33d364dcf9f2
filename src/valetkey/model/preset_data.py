"""What stands in the file of a preset: its members, and the mistakes that can be made in it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any, Final, Literal, cast

from valetkey.errors import ConfigurationError
from valetkey.model import settings
from valetkey.model.checks import frozen
from valetkey.model.credentials import EMPTY
from valetkey.model.places import Place, did_you_mean
from valetkey.model.templates import UrlParam

Level = Literal["documentation", "sources-agree", "community"]
LEVELS: Final[tuple[Level, ...]] = ("documentation", "sources-agree", "community")


@dataclass(frozen=True, slots=True, kw_only=True)
class Quirk:
    """Something odd about a provider.

    Attributes:
        text: What.
        source: Where it is said: a URL, or a repository and path.
        seen_as: How it was seen there, where that is less than reading the provider's own words.
    """

    text: str
    source: str
    seen_as: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """How well the facts of a preset are checked.

    Attributes:
        level: ``documentation`` (against the provider's own pages or repositories), ``sources-agree`` (independent
            public sources agree), ``community`` (somebody who uses it says so).
        date: When, as year and month: ``2026-11``.
    """

    level: Level = "community"
    date: str = ""


STANDARD_ERRORS: Final = frozenset(
    {
        # RFC 6749 sections 4.1.2.1 and 5.2
        *("invalid_request", "invalid_client", "invalid_grant", "unauthorized_client", "unsupported_grant_type"),
        *("invalid_scope", "access_denied", "server_error", "temporarily_unavailable"),
        # RFC 8628 section 3.5, RFC 7009 section 2.2.1
        *("authorization_pending", "slow_down", "expired_token", "unsupported_token_type"),
    }
)
_TEXTS: Final = ("display_name", "register_url", "redirect_note", "docs_url", "scopes_doc_url")
_TABLES: Final = ("register_labels", "sources", "well_known_scopes")
_MEMBERS: Final = (*_TEXTS, *_TABLES, "category", "credential", "extends", "params", "quirks", "verified")
_LABELS: Final = ("client_id", "client_secret", "redirect_uri")
_OWN_TO_A_PROGRAM: Final = frozenset({"preset", "secret_id", "token_secret_id", "per_owner", "params", "description"})
_ESCAPES: Final = ("a/b", "a@b", "a:b", "a?b", "a#b", "a\\b", "a%2fb", "a b", "", "..", "a\nb")
"""What no pattern of a URL parameter may let through: each could move the URL to another place."""
_DATE = re.compile(r"20\d\d-(0[1-9]|1[0-2])")


def facts() -> tuple[str, ...]:
    """Return what ``[sources]`` may name: the members that are facts, and the fields of ``[credential]``."""
    members = (*_TEXTS[1:], "register_labels", "well_known_scopes", "params")
    return (*members, *(name for name in settings.SETTINGS if name not in _OWN_TO_A_PROGRAM))


def credential_fields(data: Mapping[str, Any]) -> Mapping[str, object]:
    """Return the fields that the preset gives to a credential."""
    given = cast("Mapping[str, object]", data.get("credential", EMPTY))
    values: dict[str, object] = {"display_name": data.get("display_name", ""), **given}
    return {name: tuple(cast("list[str]", v)) if isinstance(v, list) else v for name, v in values.items()}


def url_params(data: Mapping[str, Any]) -> Mapping[str, UrlParam]:
    """Return the parameters of its URLs, by name."""
    params = cast("Mapping[str, Mapping[str, Any]]", data.get("params", EMPTY))
    return {name: UrlParam(name=name, **param) for name, param in params.items()}


def extended(family: Mapping[str, Any], data: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the data of a preset that says only what is different in it from the one of its family.

    Tables are joined, the family's quirks come first, and everything else that `data` names replaces what the family
    says.  How well a family is checked says nothing about its members, and a source of the family's nothing about what
    a member says otherwise.
    """
    joined = {**family, **{name: value for name, value in data.items() if name != "extends"}}
    for name in ("register_labels", "params", "credential"):
        if name in family and name in data:
            joined[name] = _joined(family[name], data[name])
    own = {*data, *data.get("credential", {})}
    told = {name: source for name, source in family.get("sources", {}).items() if name not in own}
    joined["sources"] = {**told, **data.get("sources", {})}
    joined["quirks"] = [*family.get("quirks", ()), *data.get("quirks", ())]
    joined["verified"] = data.get("verified", {})
    return joined


def _joined(below: Mapping[str, Any], above: Mapping[str, Any]) -> Mapping[str, Any]:
    both = {name: _joined(below[name], value) for name, value in above.items() if _are_tables(below.get(name), value)}
    return {**below, **above, **both}


def _are_tables(*values: object) -> bool:
    return all(isinstance(value, Mapping) for value in values)


def preset_mistakes(data: Mapping[str, Any], family: Mapping[str, Any] | None = None) -> list[str]:
    """Return what is wrong with the data of a preset, one sentence each.

    Args:
        data: As it stands in its file.
        family: The data of the preset that it extends.
    """
    shape = [*_shape(data)]
    if shape:  # what follows takes for granted that members are of the right type
        return shape
    if family is not None:
        data = extended(family, data)
    params = [*_url_params(data)]
    return [*_texts(data), *params, *_quirks(data), *(() if params else _credential(data))]


def _shape(data: Mapping[str, Any]) -> Iterator[str]:
    wanted: dict[str, Callable[[object], bool]] = {
        **dict.fromkeys(_TEXTS, _is_text),
        **dict.fromkeys(_TABLES, _is_table),
        "category": lambda value: isinstance(value, list | tuple) and all(map(_is_text, cast("list[object]", value))),
        "credential": lambda value: isinstance(value, Mapping),
        "extends": _is_text,
        "params": lambda value: _is_tables(value, UrlParam, without="name"),
        "quirks": lambda value: isinstance(value, list | tuple) and all(map(_is_quirk, cast("list[object]", value))),
        "verified": _is_table,
    }
    for name, value in data.items():
        if name not in wanted:
            yield f'there is no member "{name}"{did_you_mean(name, _MEMBERS)}'
        elif not wanted[name](value):
            yield f"{name} is not of the form that docs/presets.md describes"
    if not data.get("display_name"):
        yield "display_name is missing"
    if "credential" not in data and "extends" not in data:
        yield "the table [credential] is missing"


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_table(value: object) -> bool:
    return isinstance(value, Mapping) and all(map(_is_text, cast("Mapping[str, object]", value).values()))


def _is_tables(value: object, kind: type[Any], *, without: str) -> bool:
    known = {f.name: f.type for f in fields(kind) if f.name != without}
    if not isinstance(value, Mapping):
        return False
    for member in cast("Mapping[str, object]", value).values():
        if not isinstance(member, Mapping):
            return False
        for name, one in cast("Mapping[str, object]", member).items():
            if name not in known or not isinstance(one, bool if known[name] == "bool" else str):
                return False
    return True


def _is_quirk(value: object) -> bool:
    return _is_table(value) and set(cast("Mapping[str, str]", value)) <= {"text", "source", "seen_as"}


def _texts(data: Mapping[str, Any]) -> Iterator[str]:
    for name in ("register_url", "docs_url", "scopes_doc_url"):
        url = data.get(name, "")
        if url and not url.startswith("https://"):
            yield f"{name} does not start with https://"
    for name in data.get("register_labels", ()):
        if name not in _LABELS:
            yield f'register_labels: there is no "{name}"{did_you_mean(name, _LABELS)}'
    for name, source in data.get("sources", EMPTY).items():
        if name not in facts():
            yield f'sources: there is no fact "{name}"{did_you_mean(name, facts())}'
        elif not source:
            yield f"sources: {name} is empty: write the page where it is said"
    verified = data.get("verified", EMPTY)
    if set(verified) - {"level", "date"} or verified.get("level", LEVELS[-1]) not in LEVELS:
        yield f"verified: level is one of {', '.join(LEVELS)}"
    if verified and not _DATE.fullmatch(verified.get("date", "")):
        yield "verified: date is a year and a month, such as 2026-11"


def _url_params(data: Mapping[str, Any]) -> Iterator[str]:
    for name, rule in url_params(data).items():
        if not rule.pattern:
            continue
        try:
            pattern = re.compile(rule.pattern)
        except re.error:
            yield f"params.{name}: the pattern is no regular expression"
            continue
        loose = [text for text in _ESCAPES if pattern.fullmatch(text) and not (rule.whole_host and text == "a:b")]
        if loose:
            yield f"params.{name}: the pattern lets {loose[0]!r} through"
        for text in filter(None, (rule.default, rule.example)):
            if not pattern.fullmatch(text):
                yield f"params.{name}: {text!r} does not match the pattern"


def _quirks(data: Mapping[str, Any]) -> Iterator[str]:
    for number, quirk in enumerate(data.get("quirks", ()), 1):
        if not quirk.get("text") or not quirk.get("source"):
            yield f"quirk {number} has no text or no source"


def _credential(data: Mapping[str, Any]) -> Iterator[str]:
    given = cast("Mapping[str, object]", data["credential"])
    for name in sorted(_OWN_TO_A_PROGRAM.intersection(given)):
        yield f"credential: {name} is for the program to say"
    rules = url_params(data)
    examples = frozen({name: rule.example or rule.default or "example" for name, rule in rules.items()})
    place = Place("credential")
    try:
        settings.known_fields(place, given)
        made = settings.build("preset", {"params": examples}, place=place, base=credential_fields(data), rules=rules)
    except ConfigurationError as error:
        yield str(error)
        return
    if not made.api_hosts:
        yield "credential: api_hosts is missing"
    for ours, standard in made.error_aliases.items():
        if standard not in STANDARD_ERRORS:
            yield f'credential: error_aliases sends "{ours}" to "{standard}", which is no standard error'
