"""The JSON Schema of a preset's file, made from the model: for editors that complete and check as one types."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, Final, get_args

from valetkey.model import credentials
from valetkey.model.credentials import OAuth2Credential
from valetkey.model.located import LookUp, UrlParam
from valetkey.model.preset_data import LABELS, LEVELS, OWN_TO_A_PROGRAM, STANDARD_ERRORS, facts
from valetkey.model.preset_members import MEMBERS, Kind
from valetkey.model.preset_shape import PKCE_SUPPORT, WEIGHTS
from valetkey.model.settings import URLS

Schema = dict[str, Any]
_TEXT: Final[Schema] = {"type": "string"}
_HTTPS: Final[Schema] = {"type": "string", "pattern": "^https://"}
_URL: Final[Schema] = {"type": "string", "pattern": "^(https://|http://(127\\.|localhost|\\[::1\\])|\\{|$)"}
_DAY: Final[Schema] = {"type": "string", "format": "date"}
_NESTED: Final[Mapping[str, type[Any]]] = {"tuple[UrlParam, ...]": UrlParam, "tuple[LookUp, ...]": LookUp}
_ATTRIBUTE = re.compile(r"^    ([a-z_0-9]+): (.*(?:\n        .*)*)", re.MULTILINE)


def schema() -> Schema:
    """Return the schema (JSON Schema, draft 2020-12)."""
    kinds, tables = _kinds(), _tables()
    members = {
        name: {"description": member.about, **(tables[name] if member.kind == "table" else kinds[member.kind])}
        for name, member in MEMBERS.items()
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A preset of valetkey: the facts about one OAuth2 provider",
        **_table(members),
        "required": ["display_name"],
        "anyOf": [{"required": ["credential"]}, {"required": ["extends"]}],
    }


def _kinds() -> Mapping[Kind, Schema]:
    quirk = {"text": {**_TEXT, "minLength": 1}, "source": {**_TEXT, "minLength": 1}, "seen_as": _TEXT}
    scope = {**_table({"text": _TEXT, "weight": {"enum": list(WEIGHTS)}}), "required": ["text"]}
    date = {**_TEXT, "pattern": "^20\\d\\d-(0[1-9]|1[0-2])$"}
    return {
        "text": _TEXT,
        "pkce": {"enum": list(PKCE_SUPPORT)},
        "url": _HTTPS,
        "texts": _list(_TEXT),
        "labels": _table(dict.fromkeys(LABELS, _TEXT)),
        "scopes": _open({"anyOf": [_TEXT, scope]}),
        "params": _open(_of_class(UrlParam, without=("name",))),
        "quirks": _list({**_table(quirk), "required": ["text", "source"]}),
        "verified": {**_table({"level": {"enum": list(LEVELS)}, "date": date}), "required": ["date"]},
        "credential": _of_class(OAuth2Credential, without=("name", "source", *OWN_TO_A_PROGRAM)),
    }


def _tables() -> Mapping[str, Schema]:
    return {"legacy": _table(dict.fromkeys(URLS, _DAY)), "sources": _table(dict.fromkeys(facts(), _TEXT))}


def _table(properties: Mapping[str, Schema]) -> Schema:
    return {"type": "object", "properties": dict(properties), "additionalProperties": False}


def _open(values: Schema) -> Schema:
    return {"type": "object", "additionalProperties": values}


def _list(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def _of_class(kind: type[Any], *, without: tuple[str, ...] = ()) -> Schema:
    """Return the schema of a table whose members are a dataclass's fields, described as its docstring does."""
    told = {name: " ".join(text.split()) for name, text in _ATTRIBUTE.findall(inspect.cleandoc(kind.__doc__ or ""))}
    found = {f.name: {"description": told.get(f.name, ""), **_of_type(f.name, str(f.type))} for f in fields(kind)}
    return _table({name: schema for name, schema in found.items() if name not in without})


def _of_type(name: str, kind: str) -> Schema:
    kind = kind.removesuffix(" | None")
    if name == "error_aliases":
        return _open({"enum": sorted(STANDARD_ERRORS)})
    if name in URLS:
        return _URL
    known: dict[str, Schema] = {
        "str": _TEXT,
        "bool": {"type": "boolean"},
        "float": {"type": "number", "minimum": 0},
        "tuple[str, ...]": _list(_TEXT),
        "Mapping[str, str]": _open(_TEXT),
        "Mapping[str, Any]": {"type": "object"},
    }
    if kind in known:
        return known[kind]
    if kind in _NESTED:
        return _list(_of_class(_NESTED[kind], without=()))
    return {"enum": list(get_args(getattr(credentials, kind)))}
