"""Secrets with a schema: a dataclass, or a pydantic model by duck typing (nothing of pydantic is imported).

They are kept as one JSON object.  Values are checked when they are set and when they are read; an error names the
secret and the member, and never shows a value, not even by way of the error it came from.
"""

from __future__ import annotations

import dataclasses
import enum
import functools
import json
import types
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Literal, Union, cast, get_args, get_origin, get_type_hints

from valetkey.errors import ConfigurationError
from valetkey.model.app_credentials import AppCredentials, is_service_account, service_account_members
from valetkey.values import Secret

_SCALARS: Final = (str, int, float, bool)
_LISTS: Final[Mapping[object, type]] = {list: list, tuple: tuple, set: set, frozenset: frozenset, Sequence: tuple}
_SAID: Final[Mapping[type, str]] = {str: "a string", int: "a whole number", float: "a number", bool: "true or false"}


class _Wrong(Exception):
    """A member does not fit.  Holds its path and what was expected, never the value."""

    def __init__(self, *, path: str = "", why: str) -> None:
        super().__init__(path, why)
        self.path = path
        self.why = why


def encode_secret(schema: object, value: object, *, name: str = "") -> str:
    """Return the text under which a secret service keeps `value`.

    Args:
        schema: A dataclass, a pydantic model, or None for a plain text.
        value: An instance of the schema, or a mapping with its members.
        name: The secret's name, for errors.

    Raises:
        ConfigurationError: The value does not fit the schema (``secret_invalid``).
    """
    if schema is None or schema is str:
        return str(_checked(name, lambda: _plain_text(value)))
    members = _checked(name, lambda: _members(schema, value))
    text = json.dumps(members, separators=(",", ":"), ensure_ascii=False)
    decode_secret(schema, text, name=name)
    return text


def decode_secret(schema: object, text: str, *, name: str = "") -> Any:
    """Return what `encode_secret` made a text of: an instance of the schema.

    Members may be spelt in camelCase too (``clientId`` for ``client_id``); of a dataclass, others are ignored.

    Raises:
        ConfigurationError: The text does not fit the schema (``secret_invalid``).
    """
    if schema is None or schema is str:
        return text
    return _checked(name, lambda: _instance(schema, _unfolded(schema, _json_object(text)), ""))


def _checked(name: str, work: Callable[[], Any]) -> Any:
    """Run `work`, and raise its complaint anew, outside of all that has seen the value."""
    try:
        return work()
    except _Wrong as wrong:
        path, why = wrong.path, wrong.why
    title = f"the secret {name!r}" if name else "the secret"
    problem = f"{title}: {path} {why}" if path else f"{title} {why}"
    hint = f"enter it again: valetkey secret set {name}" if name else "enter it again"
    raise ConfigurationError(problem, code="secret_invalid", hint=hint)


# -- from text to values -------------------------------------------------------------------------------------------


def _json_object(text: str) -> Mapping[str, Any]:
    found: object = None
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise _Wrong(why="is not a JSON object")
    return cast("Mapping[str, Any]", found)


def _unfolded(schema: object, members: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the members by our names, also where they are those of a service account's key file."""
    if schema is AppCredentials and is_service_account(members):
        return service_account_members(members)
    return members


def _instance(schema: Any, members: Mapping[str, Any], path: str) -> Any:
    if hasattr(schema, "model_validate"):
        return _model(schema, members, path)
    if not dataclasses.is_dataclass(schema):
        raise _Wrong(why=f"has a schema that is neither a dataclass nor a pydantic model: {schema!r}")
    arguments: dict[str, Any] = {}
    kinds = _kinds(schema)
    for field in dataclasses.fields(schema):
        spelling = next((s for s in (field.name, _camel(field.name)) if s in members), None)
        where = f"{path}{field.name}"
        if spelling is not None and field.init:
            arguments[field.name] = _read(kinds[field.name], members[spelling], where)
        elif field.init and field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise _Wrong(path=where, why="is missing")
    return _built(schema, arguments, path)


def _built(schema: Any, arguments: Mapping[str, Any], path: str) -> Any:
    made, refused = None, ""
    try:
        made = schema(**arguments)
    except (TypeError, ValueError) as error:  # of its __post_init__; the text may hold the value
        refused = type(error).__name__
    if refused:
        raise _Wrong(path=path.rstrip("."), why=f"is refused by {schema.__name__} ({refused})")
    return made


def _model(schema: Any, members: Mapping[str, Any], path: str) -> Any:
    made, wrong = None, None
    try:
        made = schema.model_validate(members)
    except ValueError as error:
        wrong = _model_error(error, path)
    if wrong is not None:
        raise wrong
    return made


def _model_error(error: ValueError, path: str) -> _Wrong:
    """Return where a pydantic model refuses, and the type of its complaint; its text may hold the value."""
    errors: Any = getattr(error, "errors", list)
    nothing: dict[str, Any] = {}
    first: Any = next(iter(errors()), nothing)
    where = path + ".".join(str(part) for part in first.get("loc", ()))
    return _Wrong(path=where.rstrip("."), why=f"is not valid ({first.get('type', type(error).__name__)})")


def _kinds(schema: Any) -> Mapping[str, Any]:
    try:
        return _hints(schema)
    except (NameError, TypeError) as error:
        raise _Wrong(why=f"has a schema whose types cannot be found: {schema.__name__} ({error})") from error


@functools.lru_cache(maxsize=256)
def _hints(schema: Any) -> Mapping[str, Any]:
    return get_type_hints(schema)


def _read(kind: Any, value: object, path: str) -> Any:
    """Return `value` as an instance of `kind`."""
    return _READERS.get(get_origin(kind) or kind, _read_other)(kind, value, path)


def _read_union(union: Any, value: object, path: str) -> Any:
    kinds = get_args(union)
    if value is None and type(None) in kinds:
        return None
    wrong: _Wrong | None = None
    for kind in kinds:
        if kind is not type(None):
            try:
                return _read(kind, value, path)
            except _Wrong as error:
                wrong = wrong or error
    raise wrong or _Wrong(path=path, why="is not null")


def _read_choice(literal: Any, value: object, path: str) -> object:
    choices = get_args(literal)
    for choice in choices:
        if choice == value and type(choice) is type(value):
            return choice
    raise _Wrong(path=path, why=f"is none of: {', '.join(str(choice) for choice in choices)}")


def _read_scalar(kind: type, value: object, path: str) -> Any:
    if kind is float and type(value) is int:
        return float(value)
    if type(value) is not kind:
        raise _Wrong(path=path, why=f"is not {_SAID[kind]}")
    return value


def _read_secret(_: Any, value: object, path: str) -> Secret:
    return value if isinstance(value, Secret) else Secret(_read_scalar(str, value, path))


def _read_list(kind: Any, value: object, path: str) -> Any:
    if not isinstance(value, (list, tuple, set, frozenset)):
        raise _Wrong(path=path, why="is not a list")
    items: list[Any] = list(cast("list[Any]", value))
    origin, kinds = get_origin(kind) or kind, get_args(kind)
    if origin is tuple and kinds and kinds[-1] is not ...:
        if len(kinds) != len(items):
            raise _Wrong(path=path, why=f"does not have {len(kinds)} members")
        return tuple(_read(k, item, f"{path}[{n}]") for n, (k, item) in enumerate(zip(kinds, items, strict=True)))
    member = kinds[0] if kinds else Any
    make: Any = _LISTS[origin]
    return make(_read(member, item, f"{path}[{n}]") for n, item in enumerate(items))


def _read_mapping(kind: Any, value: object, path: str) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise _Wrong(path=path, why="is not an object")
    member = (*get_args(kind), Any, Any)[1]
    members: Mapping[Any, Any] = value  # pyright: ignore[reportUnknownVariableType] - JSON
    return {str(name): _read(member, item, f"{path}.{name}") for name, item in members.items()}


def _read_other(kind: Any, value: object, path: str) -> Any:
    if kind is Any or kind is object:
        return value
    if isinstance(kind, enum.EnumMeta):
        return _read_enum(kind, value, path)
    if dataclasses.is_dataclass(kind) or hasattr(kind, "model_validate"):
        if not isinstance(value, Mapping):
            raise _Wrong(path=path, why="is not an object")
        return _instance(kind, cast("Mapping[str, Any]", value), f"{path}.")
    raise _Wrong(path=path, why=f"has a type that a secret cannot have: {kind!r}")


def _read_enum(kind: Any, value: object, path: str) -> Any:
    for member in kind:
        if member is value or member.value == value:
            return member
    raise _Wrong(path=path, why=f"is none of: {', '.join(str(member.value) for member in kind)}")


_READERS: Final[Mapping[object, Callable[[Any, object, str], Any]]] = {
    Union: _read_union,
    types.UnionType: _read_union,
    Literal: _read_choice,
    Secret: _read_secret,
    **dict.fromkeys(_SCALARS, _read_scalar),
    **dict.fromkeys(_LISTS, _read_list),
    dict: _read_mapping,
    Mapping: _read_mapping,
}


# -- from values to text -------------------------------------------------------------------------------------------


def _plain_text(value: object) -> str:
    if isinstance(value, Secret):
        return value.reveal()
    if not isinstance(value, str):
        raise _Wrong(why="is not a string, and has no schema")
    return value


def _members(schema: Any, value: object) -> Any:
    """Return the members of `value` as JSON values, secrets in clear."""
    if isinstance(value, Mapping):
        value = _instance(schema, _known(schema, cast("Mapping[str, Any]", value)), "")
    if not isinstance(schema, type) or not isinstance(value, schema):
        raise _Wrong(why=f"is not of its schema {getattr(schema, '__name__', schema)}")
    return _plain(value, "")


def _known(schema: Any, members: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the members, if all are of the schema: where a value is set, a slip of the pen is told."""
    if dataclasses.is_dataclass(schema):
        names = {field.name for field in dataclasses.fields(schema)}
        unknown = sorted(set(members) - names - {_camel(name) for name in names})
        if unknown:
            raise _Wrong(path=unknown[0], why=f"is not a member of its schema ({', '.join(sorted(names))})")
    return members


def _plain(value: Any, path: str) -> Any:
    """Return a value as JSON knows it."""
    if value is None or type(value) in _SCALARS:
        return value
    if isinstance(value, Secret):
        return value.reveal()
    if hasattr(value, "get_secret_value"):  # pydantic's SecretStr shows stars in its own dumps
        return _plain(value.get_secret_value(), path)
    if isinstance(value, enum.Enum):
        return _plain(value.value, path)
    return _plain_structure(value, path)


def _plain_structure(value: Any, path: str) -> Any:
    members = _members_of(value)
    if members is not None:
        return {str(name): _plain(member, f"{path}.{name}") for name, member in members.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(item, path) for item in cast("list[Any]", value)]
    return _as_text(value, path)


def _members_of(value: Any) -> Mapping[Any, Any] | None:
    if hasattr(value, "model_dump"):
        return cast("Mapping[Any, Any]", value.model_dump(by_alias=True))
    if dataclasses.is_dataclass(value):
        members = ((field.name, getattr(value, field.name)) for field in dataclasses.fields(value))
        return {name: member for name, member in members if member is not None}
    return value if isinstance(value, Mapping) else None  # pyright: ignore[reportUnknownVariableType]


def _as_text(value: Any, path: str) -> str:
    """Return what has one obvious text, such as a date, URL, UUID or path; refuse bytes and the like."""
    if hasattr(value, "isoformat"):
        return str(value.isoformat())
    own: Any = type(value).__str__
    if isinstance(value, (bytes, bytearray)) or own is object.__str__:
        raise _Wrong(path=path.lstrip("."), why=f"is of type {type(value).__name__}, which a secret cannot have")
    return str(value)


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(word.title() for word in others)
