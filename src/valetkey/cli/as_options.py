"""The library's lines of Python as options of the command: ``params={"shop": "acme"}`` is ``--param shop=acme``."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Mapping
from typing import Final, cast

_REPEATED: Final = {"params": "--param", "scopes": "--scope", "api_hosts": "--api-host"}
_ONCE: Final = frozenset(
    {
        *("api_base_url", "authorization_url", "backchannel_authentication_url", "device_authorization_url"),
        *("assertion_secret_id", "assertion_subject", "client_auth", "grant", "introspection_url", "issuer"),
        *("preset", "redirect_uri", "revocation_url", "token_url", "userinfo_url"),
    }
)
"""Fields of a declaration that ``valetkey app add`` has an option for."""
_TEXT: Final = r'"(?:[^"\\]|\\.)*"'
_LINE: Final = re.compile(rf"\b([a-z_]+)=({_TEXT}|\[(?:{_TEXT}(?:, )?)*\]|\{{(?:{_TEXT}: {_TEXT}(?:, )?)*\}})")
_PARAM: Final = re.compile(r'params\["([^"]*)"\]')
_REMOVE: Final = re.compile(r'remove "([^"]*)" from params')


def hint_at_shell(hint: str) -> str:
    """Return a hint with options in place of lines of Python; a line that no option stands for is left."""
    return _REMOVE.sub(r"leave --param \1 away", _LINE.sub(_option, hint))


def message_at_shell(message: str) -> str:
    """Return a message about a value that was given by an option; one about a file or a record is left as it is."""
    return message if is_of_a_place(message) else _PARAM.sub(r"--param \1", message)


def is_of_a_place(message: str) -> bool:
    """Tell whether it is about what stands in a file or in the store, which options do not change (`Place.error`)."""
    return "(in " in message


def _option(line: re.Match[str]) -> str:
    field, value = line[1], ast.literal_eval(line[2])
    if isinstance(value, str):
        return f"--{field.replace('_', '-')} {shlex.quote(value)}" if field in _ONCE else line[0]
    if field not in _REPEATED:
        return line[0]
    if isinstance(value, dict):
        pairs = cast("Mapping[str, str]", value).items()
        return " ".join(f"--param {shlex.quote(f'{name}={text}')}" for name, text in pairs)
    return " ".join(f"{_REPEATED[field]} {shlex.quote(each)}" for each in cast("list[str]", value))
