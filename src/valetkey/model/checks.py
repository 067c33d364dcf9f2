"""Checks of single values in a declaration; every mistake becomes an error that names its place and its cure."""

from __future__ import annotations

import ipaddress
import json
import math
import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, Final, cast
from urllib.parse import SplitResult, urlsplit

from valetkey.model.credentials import EMPTY
from valetkey.model.names import has_control
from valetkey.model.places import Place, did_you_mean

LONGEST_TEXT: Final = 4000
_LABEL = "[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_HOST = re.compile(rf"(?:{_LABEL}\.)*{_LABEL}", re.IGNORECASE)
_LOOPBACK = re.compile(r"127\.\d{1,3}\.\d{1,3}\.\d{1,3}")
_SCOPE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")
"""RFC 6749 section 3.3: scope-token."""
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")


def is_loopback(host: str) -> bool:
    """Tell whether a host name means this very machine: 127.0.0.0/8, ``::1`` and ``localhost``."""
    return host in {"localhost", "::1"} or _LOOPBACK.fullmatch(host) is not None


def is_host(text: str) -> bool:
    """Tell whether `text` is a host name in ASCII (international names in their ``xn--`` form) or an IPv4 address."""
    return len(text) <= 253 and _HOST.fullmatch(text) is not None  # noqa: PLR2004 - RFC 1035 section 2.3.4


def is_port(text: str) -> bool:
    """Tell whether `text` is the number of a port."""
    return text.isascii() and text.isdecimal() and 0 < int(text[:6]) <= 65535  # noqa: PLR2004 - 16 bits


def is_ipv6(text: str) -> bool:
    """Tell whether `text` is an IPv6 address, without brackets and without a zone, which means nothing elsewhere."""
    try:
        return "%" not in text and bool(ipaddress.IPv6Address(text))
    except ValueError:
        return False


# -- types: what a field of the dataclass says, as code and TOML give it -----------------------------------------------


def text(place: Place, field: str, value: object) -> str:
    """Check a string without control characters."""
    if not isinstance(value, str):
        example = json.dumps(value, default=str) if field == "authorization_details" else "..."
        raise _wrong_type(place, field, value, "text", example)
    if has_control(value) or len(value) > LONGEST_TEXT:
        problem = f"{field} holds control characters" if has_control(value) else f"{field} is too long"
        place.refuse(problem, code="text_invalid", hint=f"write {field} as one line of plain text")
    return value


def flag(place: Place, field: str, value: object) -> bool:
    """Check True or False; nothing that merely looks like them."""
    if not isinstance(value, bool):
        wanted = str(value).strip().lower() not in {"false", "0", "no", "off", ""}
        raise _wrong_type(place, field, value, "true or false", wanted)
    return value


def seconds(place: Place, field: str, value: object) -> float:
    """Check a number of seconds, zero or more."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _wrong_type(place, field, value, "a number of seconds", 3600)
    if not math.isfinite(value) or value < 0:
        place.refuse(
            f"{field} is {value}, and seconds are zero or more",
            code="number_invalid",
            hint=f"write for example {place.line(field, 3600)}",
        )
    return value


def words(place: Place, field: str, value: object) -> tuple[str, ...]:
    """Check a list of strings; one string is refused, for it would be taken apart into letters."""
    if isinstance(value, str):
        parts = [part for part in re.split(r"[\s,]+", value) if part]
        place.refuse(
            f"{field} is one string, and has to be a list of strings",
            code="scopes_not_a_list" if field == "scopes" else "field_type",
            hint=f"write {place.line(field, parts or ['...'])}",
        )
    if isinstance(value, Mapping) or not isinstance(value, Iterable):
        raise _wrong_type(place, field, value, "a list of strings", ["..."])
    found = tuple(text(place, field, item) for item in cast("Iterable[object]", value))
    if not all(found):
        place.refuse(f"{field} holds an empty string", code="text_invalid", hint=f"remove the empty one: {field}")
    return tuple(dict.fromkeys(found))


def table(place: Place, field: str, value: object) -> Mapping[str, str]:
    """Check a mapping of strings to strings."""
    if not isinstance(value, Mapping):
        raise _wrong_type(place, field, value, "a table of strings", {"name": "value"})
    given = cast("Mapping[object, object]", value)
    for name, member in given.items():
        if not isinstance(name, str) or not name or not isinstance(member, str):
            example = {str(name) or "name": "" if _structured(member) else str(member)}
            place.refuse(
                f"{field} takes strings only, and {name!r:.60} is {type(member).__name__}",
                code="field_type",
                hint=f"write {place.line(field, example)}",
            )
        text(place, field, name)
        text(place, field, member)
    return frozen(cast("Mapping[str, str]", given))


def frozen(value: Mapping[str, str]) -> Mapping[str, str]:
    """Return a copy that nobody can change."""
    return MappingProxyType(dict(value)) if value else EMPTY


def choice(place: Place, field: str, value: object, allowed: tuple[str, ...]) -> str:
    """Check one of a closed set of words."""
    word = text(place, field, value)
    if word not in allowed:
        place.refuse(
            f'{field} is "{word:.60}"{did_you_mean(word, allowed)}',
            code="choice_invalid",
            hint=f"write {field} as one of: {', '.join(allowed)}",
        )
    return word


def _wrong_type(place: Place, field: str, value: Any, wanted: str, example: object) -> Exception:
    return place.error(
        f"{field} is {type(value).__name__}, and has to be {wanted}",
        code="field_type",
        hint=f"write {place.line(field, example)}",
    )


def _structured(value: object) -> bool:
    return isinstance(value, Mapping | list | tuple | set)


# -- meaning -----------------------------------------------------------------------------------------------------------


def url(place: Place, field: str, value: str) -> None:
    """Check an endpoint: absolute, https (http on loopback), no user, no fragment (RFC 6749 section 3.1)."""
    parts = _split(place, field, value)
    if "#" in value:
        place.refuse(
            f"{field} has a fragment (#...)",
            code="url_invalid",
            hint=f"write {place.line(field, value.partition('#')[0])}",
        )
    _scheme(place, field, parts)


def identifier_url(place: Place, field: str, value: str) -> None:
    """Check a URL that has neither query nor fragment: an issuer (RFC 8414 section 2), or a base for others."""
    url(place, field, value)
    if "?" in value:
        place.refuse(
            f"{field} has a query (?...)",
            code="url_invalid",
            hint=f"write {place.line(field, value.partition('?')[0])}",
        )


def redirect_uri(place: Place, field: str, value: str) -> None:
    """Check a redirect URI: https, http on loopback, or a private scheme in reverse domain form (RFC 8252, 7.1)."""
    scheme = value.partition(":")[0]
    if scheme.lower() in {"http", "https"}:
        url(place, field, value)
    elif "." not in scheme or "#" in value or not re.fullmatch(r"[a-z][a-z0-9.+-]*:/[^/\s].*", value):
        place.refuse(
            f"{field} is no redirect URI that may be used",
            code="url_invalid",
            hint=f"write an https URL, {place.line(field, 'http://127.0.0.1:8421/callback/name')}, "
            "or a scheme of your own domain: com.example.app:/callback",
        )


def _split(place: Place, field: str, value: str) -> SplitResult:
    try:
        parts = urlsplit(value)
        parts.port  # noqa: B018 - looking at it checks it
    except ValueError:
        raise _no_url(place, field, _odd_in(value) or " (there is no such port or address)") from None
    odd = _odd_in(value)
    if odd:
        raise _no_url(place, field, odd)
    if "@" in parts.netloc:
        # never shown: a password may stand in it
        place.refuse(
            f"{field} holds a user or password before the host",
            code="url_invalid",
            hint=f"remove everything from // to @ in {field}; app credentials are kept as a secret",
        )
    host = parts.hostname or ""
    if not parts.scheme or not (is_host(host) or is_ipv6(host)):
        raise _no_url(place, field, "" if host.isascii() else " (its host is not ASCII: write the form with xn--)")
    return parts


def _odd_in(value: str) -> str:
    """Return what no URL may hold, in words; empty where there is nothing of the kind."""
    if any(c.isspace() for c in value):
        return " (it holds a space)"
    if "{" in value or "}" in value:
        return " (a parameter is written {name}: small letters, digits and _)"
    odd = next((c for c in value if c in '\\"<>'), "")
    return f" (it holds {odd})" if odd else ""


def _no_url(place: Place, field: str, about: str) -> Exception:
    return place.error(
        f"{field} is no absolute URL{about}",
        code="url_invalid",
        hint=f"write scheme, host and path: {place.line(field, 'https://auth.example.com/oauth')}",
    )


def _scheme(place: Place, field: str, parts: SplitResult) -> None:
    if parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname or "")):
        return
    place.refuse(
        f"{field} does not start with https:// (http is for 127.0.0.1, ::1 and localhost only)",
        code="url_insecure",
        hint=f"write {place.line(field, f'https://{parts.netloc}{parts.path}')}",
    )


def hosts(place: Place, field: str, value: tuple[str, ...]) -> None:
    """Check host names that may see a token: ``api.example.com``, ``*.example.com``, ``localhost:8080``, ``[::1]``."""
    for host in value:
        if "/" in host or "@" in host:
            bare = urlsplit(host if "//" in host else f"//{host}").hostname or "api.example.com"
            place.refuse(
                f"{field} holds a URL, and takes host names",
                code="host_invalid",
                hint=f"write {place.line(field, [bare])}",
            )
        _host(place, field, host)


def _host(place: Place, field: str, host: str) -> None:
    if host.startswith("["):
        address, bracket, rest = host[1:].partition("]")
        if bracket and is_ipv6(address) and re.fullmatch(r"(?::\d+)?", rest, re.ASCII):
            return
    name, _, port = host.partition(":")
    bare = name.removeprefix("*.")
    whole_domain = bare != name and "." not in bare
    if not is_host(bare) or whole_domain or (":" in host and not port.isdecimal()):
        place.refuse(
            f'{field}: "{host:.80}" is no host name' + (" (too wide)" if whole_domain else ""),
            code="host_invalid",
            hint=f"write {place.line(field, ['api.example.com'])}, or *.example.com for all hosts below",
        )


def scopes(place: Place, field: str, value: tuple[str, ...], separator: str) -> None:
    """Check scopes: each is one word (RFC 6749 section 3.3) and does not hold what separates them."""
    for scope in value:
        if separator in scope or any(c.isspace() for c in scope):
            parts = [part for part in re.split(rf"\s|{re.escape(separator)}", scope) if part]
            place.refuse(
                f'{field}: "{scope:.80}" is more than one scope',
                code="scopes_malformed",
                hint=f"write {place.line(field, parts)}",
            )
        if _SCOPE.fullmatch(scope) is None:
            place.refuse(
                f'{field}: "{scope:.80}" holds a character that no scope may have',
                code="scopes_malformed",
                hint=f"write the {field} as the provider's documentation spells them",
            )


def headers(place: Place, field: str, value: Mapping[str, str]) -> None:
    """Check header names, and that none carries a secret of its own."""
    for name in value:
        if _HEADER.fullmatch(name) is None or name.lower() in {"authorization", "cookie", "host", "content-length"}:
            place.refuse(
                f'{field}: "{name:.60}" cannot be set here',
                code="parameter_reserved",
                hint=f'remove "{name:.60}" from {field}',
            )


def without(place: Place, field: str, value: Mapping[str, str], reserved: frozenset[str]) -> None:
    """Check that a table of parameters touches none that the protocol sets itself."""
    for name in value:
        if name.lower() in reserved:
            place.refuse(
                f'{field} may not set "{name}": it is set for each request anew',
                code="parameter_reserved",
                hint=f'remove "{name}" from {field}',
            )
