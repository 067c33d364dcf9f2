"""What came back through the browser, and what it means when that is an error (RFC 6749 section 4.1.2.1)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from valetkey.errors import AuthorizationDenied, ConnectError, DeniedBy, ProviderUnavailable
from valetkey.model.credentials import OAuth2Credential
from valetkey.values import Secret

_NONE: Final[Mapping[str, str]] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class CallbackParams:
    """What the provider sent back through the browser.  Nothing of it is trusted before state and issuer are checked.

    Attributes:
        code: The authorization code.
        state: As it came; empty when absent.
        iss: The issuer identifier (RFC 9207), as it came; empty when absent.
        error: The OAuth error code, cleaned; empty when there is none.
        description: The provider's words, cleaned and capped.
        signed: The whole answer as one signed token (JARM), where it came so.
        extra: All other parameters (``realmId``, ``shop``, ``accounts-server``), capped in number and length.
    """

    code: Secret | None = None
    state: str = field(default="", repr=False)
    iss: str = ""
    error: str = ""
    description: str = ""
    signed: Secret | None = None
    extra: Mapping[str, str] = field(default_factory=lambda: _NONE, repr=False)


_PENDING_ERRORS: Final = frozenset(
    {"approval_required", "approval_pending", "pending_approval", "awaiting_approval", "admin_approval_pending"}
)
# Google: admin_policy_enforced, org_internal.  Salesforce: OAUTH_APP_ACCESS_DENIED, OAUTH_APP_BLOCKED.
_ADMIN_ERRORS: Final = frozenset(
    {
        *("admin_policy_enforced", "org_internal", "oauth_app_access_denied", "oauth_app_blocked"),
        *("consent_required", "admin_consent_required", "admin_approval_required", "app_not_approved"),
        *("app_not_allowed", "blocked_by_admin", "access_restricted"),
    }
)
_PERSON_ERRORS: Final = frozenset(
    {"access_denied", "authorization_declined", "user_denied", "user_cancelled_login", "user_cancelled_authorize"}
)
_PENDING: Final = re.compile(
    r"(?:approval|request)\W+(?:is\W+|still\W+)*(?:pending|awaiting|waiting|sent|submitted)"
    r"|(?:pending|await\w*|waiting for)\W+(?:\w+\W+){0,3}(?:approval|review)"
    r"|has been (?:sent|submitted) (?:to|for)",
    re.IGNORECASE,
)
# Microsoft: 65001 consent not given (an administrator's, where users may not), 90094 and 900941 administrator's
# consent needed, 50105 person not assigned to the app, 53003 conditional access.
_BY_ADMIN: Final = re.compile(
    r"AADSTS(?:65001|90094|900941|90008|50105|53003)\b|admin\w*\W+(?:consent|approv\w+|permission)"
    r"|(?:consent|approv\w+|permission)\W+(?:of|by|from) (?:an? |the |your )?(?:\w+ )?admin"
    r"|(?:blocked|restricted|disabled|not allowed) by (?:an? |the |your )?(?:\w+ )?(?:admin|organi[sz]ation|polic)",
    re.IGNORECASE,
)
_ANYBODY: Final = re.compile(r"\bor (?:the )?(?:authori[sz]ation )?server\b", re.IGNORECASE)
"""RFC 6749 section 4.1.2.1 defines access_denied as "the resource owner or authorization server denied the request"."""
_HINTS: Final[dict[str, tuple[str, str]]] = {
    "unauthorized_client": (
        "this app may not use this way of signing in",
        "enable the authorization code grant in the settings of the app at the provider",
    ),
    "invalid_client": (
        "the provider does not know this app",
        "compare the client id in the settings of the app at the provider, then: {add}",
    ),
    "invalid_scope": (
        "the provider does not know, or does not give, one of the scopes",
        "remove it from the scopes of {name}, or enable its API in the settings of the app at the provider",
    ),
    "redirect_uri_mismatch": (
        "the redirect address does not match the one registered for the app",
        "copy the redirect address that this program shows into the settings of the app at the provider",
    ),
    "invalid_request": (
        "the provider does not understand the request",
        "check authorization_url and additional_params of {name}",
    ),
    "invalid_target": (
        "the provider gives no token for this audience or resource",
        "check the resources of {name}, or audience= and resource= of the exchange; trying again is of no use",
    ),
    "invalid_authorization_details": (
        "the provider does not take what exactly is asked for",
        "check the types and members of the authorization_details of {name}; trying again is of no use",
    ),
    "unknown_user_id": (
        "the provider knows nobody by that hint",
        "write the person as the provider knows them (e-mail, phone number, customer number); then: {again}",
    ),
    "expired_login_hint_token": (
        "the token that says who is to be asked has ended",
        "get another one, and start again",
    ),
    "missing_user_code": (
        "the provider wants the person's own code with the request",
        "ask the person for it: {again} --user-code; in a program: BackchannelRequest(user_code=Secret(...))",
    ),
    "invalid_user_code": (
        "the provider does not take the person's code",
        "ask the person for it again, and mind that codes may be locked after some tries",
    ),
    "binding_message_invalid": (
        "the provider does not show such a binding message",
        "make it short and plain, such as X-42, or leave it away",
    ),
    "unsupported_response_type": (
        "the provider does not give authorization codes to this app",
        "enable the authorization code grant in the settings of the app at the provider",
    ),
}
_SAME: Final = {
    "unauthorized_scope_error": "invalid_scope",
    "invalid_redirect_uri": "redirect_uri_mismatch",
    "invalid_binding_message": "binding_message_invalid",
}
_ABOUT_REDIRECT: Final = re.compile(r"\bredirect[_ ]ur[il]s?\b", re.IGNORECASE)
"""A pushed request with an address that is not registered has no error of its own (RFC 9126 section 2.3)."""
_LATER: Final = frozenset({"temporarily_unavailable", "server_error"})


def denied(
    params: CallbackParams, *, credential: OAuth2Credential | None = None, again: str = "", add: str = ""
) -> AuthorizationDenied | ConnectError | ProviderUnavailable:
    """Return the error to raise for a callback that holds an OAuth error (RFC 6749 section 4.1.2.1).

    Call it after `check_issuer`: of an answer from somebody else not even the error is shown.  With `credential`, its
    error aliases count and the hints name it.  `again` and `add` are as for `refused_consent`.
    """
    aliases = credential.error_aliases if credential else _NONE
    error = aliases.get(params.error, params.error)
    name = credential.name if credential else ""
    return refused_consent(error, params.description, name=name, again=again, add=add)


def refused_consent(
    error: str, description: str, *, name: str = "", again: str = "", add: str = ""
) -> AuthorizationDenied | ConnectError | ProviderUnavailable:
    """Return the error to raise for an OAuth error code and description that end a consent, by whatever road.

    `again` and `add` are the command lines that connect this very account, and that take its app credentials.
    """
    error = _SAME.get(error, error)
    if error == "invalid_request" and _ABOUT_REDIRECT.search(description):
        error = "redirect_uri_mismatch"
    quoted = f" ({description})" if description else ""
    name = name or "this credential"
    known = {"name": name, "again": again or f"valetkey connect {name}", "add": add or f"valetkey app add {name}"}
    if error in _LATER:
        msg = f"the provider is not answering properly: {error}{quoted}"
        return ProviderUnavailable(msg, error=error, description=description, hint="try again in a few minutes")
    why = _denied_by(error, description)
    if why is not None:
        return AuthorizationDenied(f"access was not allowed{quoted}", why=why, hint=_DENIED_HINTS[why].format(**known))
    title, hint = _HINTS.get(error, ("the provider refused the request", "start again: {again}"))
    return ConnectError(f"{title}: {error or 'no error code'}{quoted}", code=_code(error), hint=hint.format(**known))


_DENIED_HINTS: Final[dict[DeniedBy, str]] = {
    "by_person": "try again and allow the access: {again}",
    "by_admin": "ask an administrator of the account to allow this app, then try again: {again}",
    "approval_pending": "wait until an administrator has approved the request, then: {again}",
    "unknown": "try again and allow the access, or ask an administrator of the account: {again}",
}


def _denied_by(error: str, description: str) -> DeniedBy | None:
    """Tell who denied; None when the error is no denial at all."""
    error = error.lower()
    if error in _PENDING_ERRORS:
        return "approval_pending"
    if error not in _ADMIN_ERRORS | _PERSON_ERRORS and not _BY_ADMIN.search(description):
        return None
    if _PENDING.search(description):
        return "approval_pending"
    if error in _ADMIN_ERRORS or _BY_ADMIN.search(description):
        return "by_admin"
    return "unknown" if _ANYBODY.search(description) else "by_person"


def _code(error: str) -> str:
    """Return a stable code: the error's own name where it is one that we document."""
    return error if error in _HINTS else "authorization_failed"
