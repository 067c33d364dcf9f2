"""Declared secrets: structured values with a schema, checked when they are set and when they are read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import MISSING, Field, asdict, dataclass, fields, is_dataclass
from typing import Any, Final, Literal, NoReturn, Union, cast, get_args, get_origin

from valetkey.model.places import Place, did_you_mean
from valetkey.values import Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretDeclaration:
    """A declared secret.

    Attributes:
        name: Its key in the wiring.
        display_name: Its name for people.
        description: What the program uses it for.
        schema: A dataclass, or a pydantic model; None for plain text.
        secret_id: Under which id the secret service keeps it.
    """

    name: str
    display_name: str = ""
    description: str = ""
    schema: type[Any] | None = None
    secret_id: str = ""

    def parse(self, value: str) -> Any:
        """Return the value as the schema sees it: an instance of it; without a schema, the text as a `Secret`.

        Raises:
            ConfigurationError: ``secret_invalid``; it names the field, never a value.
        """
        if self.schema is None:
            return Secret(value)
        try:
            members = json.loads(value)
        except ValueError:
            members = None
        if not isinstance(members, dict):
            self._refuse("it is no JSON object")
        found = cast("dict[str, Any]", members)
        return self._model(found) if hasattr(self.schema, "model_validate") else self._dataclass(found)

    def dump(self, value: object) -> str:
        """Return the text to store for `value`: an instance of the schema, a mapping, or plain text.

        Raises:
            ConfigurationError: ``secret_invalid``.
        """
        plain = self._plain(value)
        self.parse(plain)
        return plain

    def _plain(self, value: object) -> str:
        if isinstance(value, Secret):
            return value.reveal()
        if isinstance(value, str):
            return value
        if hasattr(value, "model_dump"):
            value = cast("Any", value).model_dump()
        elif is_dataclass(value) and not isinstance(value, type):
            value = asdict(value)
        if not isinstance(value, Mapping):
            self._refuse(f"{type(value).__name__} cannot be kept as a secret")
        members = cast("Mapping[str, object]", value)
        given = {name: member for name, member in members.items() if member is not None}
        try:
            return json.dumps(given, separators=(",", ":"), default=_revealed)
        except TypeError:
            self._refuse("it holds something that JSON cannot hold")

    def _model(self, members: dict[str, Any]) -> Any:
        try:
            return cast("Any", self.schema).model_validate(members)
        except ValueError as error:
            # the error of a pydantic model holds the refused values: only the names of its fields are told
            listed = cast("list[dict[str, Any]]", getattr(error, "errors", list)())
            names = sorted({".".join(map(str, item.get("loc", ()))) for item in listed} - {""})
            self._refuse(f"not as its schema wants it: {', '.join(names) or type(error).__name__}")

    def _dataclass(self, members: dict[str, Any]) -> Any:
        schema = cast("Any", self.schema)
        known: dict[str, Field[Any]] = {f.name: f for f in fields(schema) if f.init}
        for name in members:
            if name not in known:
                self._refuse(f'it has no field "{name:.60}"{did_you_mean(name, known)}')
        for name, field in known.items():
            required = field.default is MISSING and field.default_factory is MISSING
            if required and members.get(name) in (None, ""):
                self._refuse(f'the field "{name}" is missing')
        hints = _hints(schema)
        try:
            return schema(**{name: self._member(name, hints.get(name, Any), value) for name, value in members.items()})
        except (TypeError, ValueError) as error:
            # what a __post_init__ says may hold the value: it is not repeated
            self._refuse(f"its schema refused it ({type(error).__name__})")

    def _member(self, name: str, wanted: Any, value: Any) -> Any:
        if Secret in (wanted, *get_args(wanted)) and isinstance(value, str):
            return Secret(value)
        if not _matches(wanted, value):
            self._refuse(f'the field "{name}" is of the wrong type ({type(value).__name__})')
        return value

    def _refuse(self, problem: str) -> NoReturn:
        wanted = ", ".join(f.name for f in fields(self.schema)) if is_dataclass(self.schema) else ""
        hint = f"set it again: `valetkey secret set {self.secret_id}`" + (
            f" with the fields {wanted}" if wanted else ""
        )
        Place(f'secret "{self.name}"').refuse(problem, code="secret_invalid", hint=hint)


def _revealed(member: object) -> object:
    """Show a `Secret`, or a pydantic ``SecretStr``, to the JSON writer; a TypeError refuses anything else."""
    if isinstance(member, Secret):
        return member.reveal()
    return cast("Any", member).get_secret_value() if hasattr(member, "get_secret_value") else _refuse(member)


def _refuse(member: object) -> NoReturn:
    raise TypeError(type(member).__name__)


def _hints(schema: type[Any]) -> Mapping[str, Any]:
    from typing import get_type_hints  # noqa: PLC0415 - evaluates annotations, so only when a secret is read

    try:
        return get_type_hints(schema)
    except (NameError, TypeError):
        return {}


def _matches(wanted: Any, value: Any) -> bool:
    """Tell whether a JSON value fits an annotation, as far as plain annotations go; others are left to the schema."""
    import types  # noqa: PLC0415 - only when a secret is read

    origin = get_origin(wanted)
    if origin in {Union, types.UnionType}:
        return any(_matches(one, value) for one in get_args(wanted))
    if origin is Literal:
        return value in get_args(wanted)
    kinds = _JSON_KINDS.get(wanted)
    return kinds is None or type(value) in kinds


_JSON_KINDS: Final[Mapping[Any, tuple[type, ...]]] = {
    str: (str,),
    bool: (bool,),
    int: (int,),
    float: (int, float),
    Secret: (str,),
    type(None): (type(None),),
}
"""Exact types: a bool is no int here, as in JSON."""
