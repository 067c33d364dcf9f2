"""What a form asks of a connection's own params: a shop, a data centre, a tenant."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from markupsafe import Markup

from valetkey.errors import clean
from valetkey.model.credentials import EMPTY
from valetkey.model.located import UrlParam
from valetkey.server.texts import said

PREFIX = "param_"
"""How the names of such fields begin."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ParamField:
    """One field.

    Attributes:
        name: Of the field.
        label: What it asks for.
        value: What stands in it.
        hint: How it is written; empty: nothing to say.
        choices: The values there are -> how each is called, where that is a closed set.
        required: Whether it has to be filled in.
        trouble: Why what was typed is not taken; empty: it is, or nothing was.
    """

    name: str
    label: str
    value: str = ""
    hint: Markup | str = ""
    choices: Mapping[str, str] = EMPTY
    required: bool = True
    trouble: Markup | str = ""


def param_fields(
    rules: Iterable[UrlParam],
    values: Mapping[str, str],
    *,
    wrong: Mapping[str, str] = EMPTY,
    required: bool = True,
) -> tuple[ParamField, ...]:
    """Return the fields for these params; `wrong` says which are ``empty`` or ``wrong``."""
    return tuple(_field(rule, values.get(rule.name, ""), wrong.get(rule.name, ""), required) for rule in rules)


def _field(rule: UrlParam, value: str, wrong: str, required: bool) -> ParamField:
    name, more = _told(rule)
    return ParamField(
        name=f"{PREFIX}{rule.name}",
        label=name,
        value=value or rule.default,
        hint=more if not wrong or rule.values else "",
        choices={typed: typed if typed == stands else f"{typed} ({stands})" for typed, stands in rule.values.items()},
        required=required and not rule.default,
        trouble=_trouble(rule, wrong) if wrong else "",
    )


def _told(rule: UrlParam) -> tuple[str, Markup | str]:
    """Return what a param is called for people, and what more there is to say: descriptions say the name first."""
    words = clean(rule.description or rule.name.replace("_", " "), 200)
    name, _, more = (part.strip() for part in re.split(r"([:,]) ", f"{words}: ", maxsplit=1))
    more = more.rstrip(": ")
    more = more if _is_literal(rule, more.partition(" ")[0].rstrip(",;:")) else _capital(more)
    if rule.example and not rule.values and rule.example not in more:
        return _capital(name), said("params.more" if more else "params.example", more=more, example=rule.example)
    return _capital(name), more


def _is_literal(rule: UrlParam, word: str) -> bool:
    """Tell whether a word is something that people type as it stands: a value, or an address."""
    return "." in word or word in {rule.example, rule.default, *rule.values}


def _capital(words: str) -> str:
    return f"{words[:1].upper()}{words[1:]}"


def _trouble(rule: UrlParam, wrong: str) -> Markup:
    if wrong == "empty" or rule.values:
        return said("params.choose" if rule.values else "params.empty")
    return said("params.like", example=rule.example) if rule.example else said("params.wrong")
