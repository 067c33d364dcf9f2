"""The names that callers give: credentials, owners, accounts, environments.  An empty one never slips through."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final, cast

from valetkey.errors import ConfigurationError, clean
from valetkey.model.credentials import OAuth2Credential

if TYPE_CHECKING:
    from valetkey.model.places import Place

LONGEST: Final = 200
"""Characters of an owner, an account label, an environment."""
DEFAULT_ENV: Final = "default"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")

_MARKS = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]")
"""What turns the direction of the text around it (Unicode UAX #9), or is not there to see."""


def has_control(text: str) -> bool:
    """Tell whether `text` holds control characters, line separators or broken surrogates."""
    return not text.isprintable() and _CONTROL.search(text) is not None  # the first is quick, and sees all of these


def has_marks(text: str) -> bool:
    """Tell whether `text` holds marks that turn the direction of the text around it: it would be read as another."""
    return not text.isascii() and _MARKS.search(text) is not None


def _place(title: str) -> Place:
    """Return what tells a mistake in the thing named so."""
    from valetkey.model.places import Place  # noqa: PLC0415 - only on the way to an error

    return Place(title)


def check_name(name: object, *, what: str = "credential") -> str:
    """Return the name of a credential or secret: letters, digits, ``.``, ``_`` and ``-``, at most 100.

    It becomes part of URLs, secret ids, environment variables and file tables.

    Raises:
        ConfigurationError: ``name_missing`` or ``name_invalid``.
    """
    if not isinstance(name, str) or not name.strip():
        _place("declaration").refuse(
            f"a {what} was declared without a name",
            code="name_missing",
            hint=f'give it a name as the first argument, such as "github"; it is what valet.client() takes ({what})',
        )
    if _NAME.fullmatch(name) is None:
        suggestion = re.sub(r"[^A-Za-z0-9._-]+", "-", name)[:100].strip("-._") or "github"
        _place(f'{what} "{clean(name, 60)}"').refuse(
            "the name holds a character that names may not have, or is too long",
            code="name_invalid",
            hint=f'name it "{suggestion}": letters, digits, ".", "_" and "-", a letter or digit first',
        )
    return name


def check_named(credential: object) -> str:
    """Return by which name a caller means a credential; the declaration itself, which has one, is no name.

    Raises:
        ConfigurationError: ``credential_unknown``.
    """
    if isinstance(credential, str):
        return credential
    name = getattr(credential, "name", "github")
    msg = f"a credential is meant by its name, not by an object of type {type(credential).__name__}"
    raise ConfigurationError(msg, code="credential_unknown", hint=f'pass "{clean(name, 60)}"')


def listed(scopes: Sequence[str], what: str = "scopes") -> tuple[str, ...]:
    """Return scopes, or `what` else is listed, as a tuple.

    Raises:
        ConfigurationError: They are one string (``scopes_not_a_list``).
    """
    if isinstance(scopes, str):
        msg = f"{what}={scopes!r} is one string, and has to be a list: each of its letters would count"
        raise ConfigurationError(msg, code="scopes_not_a_list", hint=f"write {what}=[{scopes!r}]")
    return tuple(scopes)


def check_owner(owner: object, credential: OAuth2Credential, *, kept: bool = False) -> str | None:
    """Return whose grant is meant: None (the program's own) or the owner's id as text.

    A non-empty string, an int and a UUID are ids.  An empty string is refused, for an empty session must never mean
    the shared grant.  `kept`: it may be one that is in the store already, from before marks of direction were refused.

    Raises:
        ConfigurationError: ``owner_invalid``; or ``owner_required``, where the credential is declared `per_owner`.
    """
    if owner is None:
        if credential.per_owner:
            _place(f'credential "{credential.name}"').refuse(
                "it is declared per_owner, and no owner is given",
                code="owner_required",
                hint=f'pass the id of the person it is for: valet.client("{credential.name}", owner=user_id)',
            )
        return None
    plain = _owner_text(owner)
    if plain is None:
        problem = f"is {type(owner).__name__}, which is no id"
    else:
        problem = "is empty" if not plain.strip() else _problem(plain, marks=kept)
    if plain is None or problem:
        own = "" if credential.per_owner else ", or leave it out for the program's own grant"
        _place(f'credential "{credential.name}"').refuse(
            f"the owner {problem}",
            code="owner_invalid",
            hint=f"pass a non-empty str, an int or a UUID as owner{own}",
        )
    return plain


def _owner_text(owner: object) -> str | None:
    if isinstance(owner, str):
        return str.__str__(owner)  # of a str enum its value, not its name
    if isinstance(owner, int) and not isinstance(owner, bool):
        return str(int(owner))
    import uuid  # noqa: PLC0415 - seldom needed

    return str(owner) if isinstance(owner, uuid.UUID) else None


def _problem(text: str, *, marks: bool = False) -> str:
    if has_control(text):
        return "holds control characters"
    if not marks and (found := None if text.isascii() else _MARKS.search(text)):
        return f"holds a mark that turns the direction of text (U+{ord(found[0]):04X}), so it would be read as another"
    return f"has more than {LONGEST} characters" if len(text) > LONGEST else ""


def _problem_of(name: object) -> str:
    return _problem(name) if isinstance(name, str) else f"is {type(name).__name__}, not text"


def check_account(account: object) -> str:
    """Return the label of one of several connections; empty for the only one.

    Raises:
        ConfigurationError: ``account_invalid``.
    """
    problem = _problem_of(account)
    if isinstance(account, str) and account and not account.strip():
        problem = "is blank"
    if problem:
        _place("account").refuse(
            f"the label {problem}",
            code="account_invalid",
            hint=f'pass a short text such as account="work" (at most {LONGEST} characters), or leave it out',
        )
    return str.__str__(cast("str", account))


def check_env(env: object) -> str:
    """Return the name of an environment.

    Raises:
        ConfigurationError: ``env_invalid``.
    """
    problem = _problem_of(env)
    if isinstance(env, str) and not env.strip():
        problem = "is empty"
    if problem:
        _place("environment").refuse(
            f"the name {problem}",
            code="env_invalid",
            hint="set VALETKEY_ENV, --env or Valet(env=...) to a name such as dev, staging or prod, or leave it unset",
        )
    return str.__str__(cast("str", env))


def current_env(env: str | None = None) -> str:
    """Return the environment to work in: `env`, else ``VALETKEY_ENV``, else ``default``.

    An empty ``VALETKEY_ENV`` counts as unset, as shells make no difference; an empty argument is an error.

    Raises:
        ConfigurationError: ``env_invalid``.
    """
    return check_env(env if env is not None else os.environ.get("VALETKEY_ENV") or DEFAULT_ENV)


def folder_of_env(env: str) -> str:
    """Return the name of the folder in which an environment keeps what is its own: another for each, and a legal one.

    >>> folder_of_env("we/ird"), folder_of_env("..")
    ('we%2Fird', '%2E%2E')
    """
    from urllib.parse import quote  # noqa: PLC0415 - the default environment needs no folder

    name = quote(env, safe="")
    if not name.strip("."):  # quote() leaves dots alone, and those two names are taken in every folder
        name = name.replace(".", "%2E")
    if len(name) <= LONGEST:
        return name
    from hashlib import sha256  # noqa: PLC0415 - names that long are rare

    return f"{name[:100]}-{sha256(env.encode(errors='surrogatepass')).hexdigest()[:32]}"


def find_credential(name: object, known: Iterable[str]) -> ConfigurationError:
    """Return the error for a credential that nobody declared: it names the nearest one and how to declare it."""
    from valetkey.model.left_out import left_out  # noqa: PLC0415 - only on the way to an error
    from valetkey.model.places import nearest  # noqa: PLC0415 - as above

    declared = sorted(known)
    near, absent = nearest(str(name).strip(), declared), left_out().get(str(name))
    shown = clean(name, 60)
    if absent:
        about, hint = f"; {absent.told}", absent.hint
    elif near:
        about, hint = f'; did you mean "{near}"?', f'use "{near}"'
    else:
        about, hint = (f" (declared: {', '.join(declared[:10])})" if declared else "; none is declared"), ""
    if isinstance(name, str) and _NAME.fullmatch(name):
        how = f'wire_oauth2_credential("{name}", preset=...), or [credentials.{name}] in valetkey.toml'
        hint = f"{hint}, or declare it: {how}" if hint else f"declare it: {how}"
    return ConfigurationError(
        f'credential "{shown}" is not declared{about}',
        code="credential_unknown",
        hint=hint or 'pass the name that a credential was declared under, such as valet.client("github")',
    )
