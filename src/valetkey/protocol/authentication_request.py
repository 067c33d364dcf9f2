"""What a sign-in may ask for beside scopes: how the person is to be asked, who it should be, and what exactly.

OpenID Connect Core section 3.1.2.1 and 5.5, RFC 9470 section 4 (step-up), RFC 9396 section 2 (details).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

from valetkey.errors import ConfigurationError

_LONGEST: Final = 16 * 1024
_PROMPTS: Final = frozenset({"none", "login", "consent", "select_account", "create"})


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthenticationRequest:
    """How one sign-in is asked for.

    Attributes:
        prompt: What the server is to ask the person again: ``login``, ``consent``, ``select_account`` or several of
            them separated by spaces; ``none``: nothing, and then it may refuse.
        login_hint: Who is expected to sign in, an e-mail address say.
        max_age: Seconds since the person last signed in that are too long; checked in the id token.
        acr_values: Authentication contexts that would do, the best first; one of them is checked for in the id token.
        claims: The ``claims`` parameter: what is to be said of the person, and where (Core section 5.5).
        authorization_details: What exactly access is asked for: objects with a ``type`` each (RFC 9396).

    Raises:
        ConfigurationError: A member means nothing (``authentication_request_invalid``).
    """

    prompt: str = ""
    login_hint: str = ""
    max_age: int | None = None
    acr_values: Sequence[str] = ()
    claims: Mapping[str, Any] | None = None
    authorization_details: Sequence[Mapping[str, Any]] = ()

    def __post_init__(self) -> None:
        """Check what can be checked before anything is sent."""
        prompts = set(self.prompt.split())
        if prompts - _PROMPTS or ("none" in prompts and len(prompts) > 1):
            raise _invalid("prompt", f"is made of {', '.join(sorted(_PROMPTS))}, and none stands alone")
        if self.max_age is not None and (isinstance(self.max_age, bool) or self.max_age < 0):
            raise _invalid("max_age", "is a number of seconds, 0 or more")
        if isinstance(self.acr_values, str) or any(not acr or " " in acr for acr in self.acr_values):
            raise _invalid("acr_values", "is a list of texts without spaces")
        if any(not isinstance(one.get("type"), str) or not one["type"] for one in self.authorization_details):
            raise _invalid("authorization_details", "is a list of objects, each with a type (RFC 9396 section 2)")
        for name, value in self.params().items():
            if len(value) > _LONGEST:
                raise _invalid(name, f"is longer than {_LONGEST // 1024} KiB")

    def params(self) -> dict[str, str]:
        """Return the parameters of the authorization request; those that say nothing are empty."""
        return {
            "prompt": self.prompt,
            "login_hint": self.login_hint,
            "max_age": "" if self.max_age is None else str(self.max_age),
            "acr_values": " ".join(self.acr_values),
            "claims": _json(self.claims) if self.claims else "",
            "authorization_details": _json(self.authorization_details) if self.authorization_details else "",
        }


NOTHING_SPECIAL: Final = AuthenticationRequest()


def _json(value: object) -> str:
    try:
        return json.dumps(value, separators=(",", ":"), default=_plain)
    except (TypeError, ValueError):
        raise _invalid("claims or authorization_details", "holds something that is not JSON") from None


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(cast("Mapping[str, object]", value))
    if isinstance(value, tuple | frozenset | set):
        return list(cast("tuple[object, ...]", value))
    raise TypeError


def _invalid(member: str, what: str) -> ConfigurationError:
    msg = f"AuthenticationRequest: {member} {what}"
    return ConfigurationError(msg, code="authentication_request_invalid", hint=f"correct {member}, or leave it out")
