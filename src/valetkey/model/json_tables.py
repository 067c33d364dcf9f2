"""Tables of JSON values in a declaration: what an app says of itself when it registers (RFC 7591 section 2)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, cast

from valetkey.model import checks
from valetkey.model.credentials import EMPTY
from valetkey.model.places import Place

_DEEPEST: Final = 8
_LISTS: Final = frozenset({"contacts", "default_acr_values", "request_uris", "post_logout_redirect_uris"})
"""Members of client metadata that are lists of strings (RFC 7591 section 2, OpenID Connect Registration section 2)."""
_PRIVATE: Final = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
"""Members of a JWK that only its owner may know (RFC 7518 section 6)."""


def json_table(place: Place, field: str, value: object) -> Mapping[str, Any]:
    """Check a mapping of names to JSON values, and return it as one that nobody can change.

    Raises:
        ConfigurationError: It holds something else (``field_type``), is not as RFC 7591 has it
            (``client_metadata_invalid``), or a private key stands in it (``secret_in_declaration``).
    """
    if not isinstance(value, Mapping):
        raise _wrong(place, field, f"{field} is {type(value).__name__}, and has to be a table")
    given = cast("Mapping[object, object]", value)
    made = {_name(place, field, name): _frozen(place, field, member, 1) for name, member in given.items()}
    for name, member in made.items():
        _check_member(place, field, name, member)
    if made.get("jwks") and made.get("jwks_uri"):
        place.refuse(
            f"{field} has both jwks and jwks_uri, of which an app names one (RFC 7591 section 2)",
            code="client_metadata_invalid",
            hint=f"remove one of them from {field}",
        )
    return MappingProxyType(made) if made else EMPTY


def plain_json(value: object) -> Any:
    """Return what stands in a declaration as JSON values: dicts and lists, which may be changed."""
    if isinstance(value, Mapping):
        return {name: plain_json(member) for name, member in cast("Mapping[str, object]", value).items()}
    if isinstance(value, tuple | list):
        return [plain_json(member) for member in cast("tuple[object, ...]", value)]
    return value


def _frozen(place: Place, field: str, value: object, depth: int) -> Any:
    if isinstance(value, str):
        return checks.text(place, field, value)
    if isinstance(value, bool | int) or (isinstance(value, float) and math.isfinite(value)):
        return value
    if depth < _DEEPEST and isinstance(value, Mapping):
        inner = cast("Mapping[object, object]", value)
        made = {_name(place, field, name): _frozen(place, field, one, depth + 1) for name, one in inner.items()}
        return MappingProxyType(made)
    if depth < _DEEPEST and isinstance(value, list | tuple):
        return tuple(_frozen(place, field, one, depth + 1) for one in cast("list[object]", value))
    what = "is nested too deeply" if isinstance(value, Mapping | list | tuple) else f"holds {type(value).__name__}"
    raise _wrong(place, field, f"{field} {what}, and takes texts, numbers, true and false, lists and tables")


def _name(place: Place, field: str, name: object) -> str:
    if not isinstance(name, str) or not name:
        raise _wrong(place, field, f"{field} has a name that is no text")
    return checks.text(place, field, name)


def _check_member(place: Place, field: str, name: str, member: Any) -> None:
    texts = isinstance(member, tuple) and all(isinstance(one, str) for one in cast("tuple[object, ...]", member))
    if name in _LISTS and not texts:
        one = member if isinstance(member, str) else "..."
        place.refuse(
            f"{field}: {name} is a list of texts (RFC 7591 section 2)",
            code="client_metadata_invalid",
            hint=f"write {place.line(field, {name: [one]})}",
        )
    if name == "jwks":
        _check_keys(place, field, cast("object", member))


def _check_keys(place: Place, field: str, jwks: object) -> None:
    keys = cast("Mapping[str, object]", jwks).get("keys") if isinstance(jwks, Mapping) else None
    if not isinstance(keys, tuple) or not all(isinstance(key, Mapping) for key in cast("tuple[object, ...]", keys)):
        place.refuse(
            f"{field}: jwks is no set of keys (RFC 7517 section 5)",
            code="client_metadata_invalid",
            hint=f'write jwks in {field} as {{"keys": [...]}}, or leave it out: our own key is put in by itself',
        )
    for key in cast("tuple[Mapping[str, object], ...]", keys):
        if _PRIVATE & set(key):
            place.refuse(
                f"{field}: a key in jwks is a private one, and everybody could read it",
                code="secret_in_declaration",
                hint="write its public half alone: kty, crv, x, y or kty, n, e, with kid, use and alg",
            )


def _wrong(place: Place, field: str, what: str) -> Exception:
    example = {"client_name": "Notes", "contacts": ["ops@example.com"]}
    return place.error(what, code="field_type", hint=f"write {place.line(field, example)}")
