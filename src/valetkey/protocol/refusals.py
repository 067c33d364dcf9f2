"""What an authorization server's "no" means (RFC 6749 section 5.2, RFC 8628 section 3.5, rules R7, R9 and R12).

Every answer that is no success becomes a `Refusal`, and its kind decides what may be done next; nobody else
compares error texts.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final, Literal

from valetkey.model.connections import Reason
from valetkey.model.credentials import OAuth2Credential
from valetkey.protocol.answers import understood
from valetkey.protocol.bodies import Members, as_list, as_object, flaw, read_members, retry_after, seconds
from valetkey.protocol.texts import provider_text
from valetkey.values import Response, Secret, Value

Kind = Literal[
    "grant",
    "client",
    "unclear",
    "transient",
    "doubt",
    "request",
    "pending",
    "slow_down",
    "expired",
    "denied",
    "redirect",
]

UNSUPPORTED_TOKEN_TYPE: Final = "unsupported_token_type"  # noqa: S105 - an error code

_KINDS: Final[dict[str, Kind]] = {
    "invalid_grant": "grant",
    # OpenID Connect Core section 3.1.2.6 knows these at the authorization endpoint only; Microsoft answers a refresh
    # with them when a policy wants the person back.
    "interaction_required": "grant",
    "login_required": "grant",
    "consent_required": "grant",
    "invalid_client": "client",
    "unauthorized_client": "client",
    "deleted_client": "client",  # Google
    "disabled_client": "client",
    "temporarily_unavailable": "transient",
    "server_error": "transient",
    "authorization_pending": "pending",
    "slow_down": "slow_down",
    "expired_token": "expired",
    "access_denied": "denied",
    "authorization_declined": "denied",  # Microsoft's word for access_denied in the device flow
}

_DEAD_REFRESH_TOKEN: Final = re.compile(
    r"(?i)refresh[_ ]token (?:is |was |has |has been )?(?:invalid|not valid|no longer valid|expired|revoked|unknown)"
    r"|\b(?:invalid|expired|revoked|unknown) refresh[_ ]token"
)
_FOR_INVALID_GRANT: Final = ("unauthorized_client", "invalid_request")
"""What some servers say of a dead refresh token: Atlassian, and those on older releases of league/oauth2-server."""
_NO_ERROR: Final = frozenset({"", "0", "false", "none", "ok", "success"})
"""What some servers write into ``error`` when there is none (TikTok: ``{"error": {"code": "ok"}}``)."""
_NOT_NOW: Final = frozenset({408, 425, 429, 503})
_NO_WORD: Final = frozenset({400, 401, 403})
_UNAUTHORIZED: Final = 401
_REDIRECTS: Final = range(300, 400)
_SUCCESS: Final = range(200, 300)
_SERVER_ERROR: Final = 500

# Microsoft: 50076, 50078, 50079 ask for another factor, 53000 and 53003 are conditional access, 65001 is a consent
# taken back, 70043 a sign-in frequency; 70008 and 700082 are disuse.  Google: invalid_rapt is a session length set by
# an administrator.  The first row that is found decides.
_REASONS: Final[tuple[tuple[re.Pattern[str], Reason], ...]] = (
    (re.compile(r"(?i)re-?used?\b|already (?:been )?(?:used|redeemed|rotated)|replay"), "reuse_detected"),
    (re.compile(r"\b(?:AADSTS)?(?:50076|50078|50079|53000|53003|65001|70043)\b"), "policy_changed"),
    (re.compile(r"(?i)rapt|_required\b|polic(?:y|ies)|conditional[ _]access|multi-?factor|\bmfa\b"), "policy_changed"),
    (re.compile(r"(?i)inactiv|\bidle\b|not (?:been )?used|\b(?:AADSTS)?(?:70008|700082)\b"), "idle_expired"),
    (re.compile(r"(?i)revok|withdr[ae]w|invalidated|uninstall|password"), "revoked"),
    (re.compile(r"(?i)expired"), "idle_expired"),
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Refusal(Value):
    """An answer that is no success.  It holds nothing that may not be shown, but for `quarantined`.

    Attributes:
        kind: What it means:

            - ``grant``: the final word on this grant; a person must act.
            - ``client``: the app is refused, whatever the grant; the grant is kept.
            - ``unclear``: a no without a word why; see `counts_as_refused`.
            - ``transient``: a readable "not now"; the request was not processed.
            - ``doubt``: nobody knows whether the request was processed.
            - ``request``: our request or set-up is wrong; the grant is kept.
            - ``pending``, ``slow_down``, ``expired``, ``denied``: answers to polling with a device code.
            - ``redirect``: the endpoint points elsewhere, where nothing is sent.
        error: The error code by its standard name; empty when the answer held none.
        description: The provider's own words: cleaned, capped, token-like runs masked.
        status: The HTTP status.
        retry_after: Seconds to wait, at most an hour; None when the server does not say.
        note: What was wrong with an answer that could not be read, in a few words.
        reason: Why the grant ended, as far as the words tell; it has a meaning for kind ``grant`` only.
        interval: Seconds between two polls from now on, where an answer to polling says so.
        quarantined: A refresh token that came in an answer which must not be used (R12).
    """

    kind: Kind
    error: str = ""
    description: str = ""
    status: int = 0
    retry_after: float | None = None
    note: str = ""
    reason: Reason = "unknown"
    interval: float | None = None
    quarantined: Secret | None = field(default=None, repr=False)

    @property
    def final(self) -> bool:
        """Whether this is the provider's final word on the grant."""
        return self.kind == "grant"

    @property
    def app_fault(self) -> bool:
        """Whether the app is refused, not the grant."""
        return self.kind == "client"

    @property
    def in_doubt(self) -> bool:
        """Whether the refresh token may have been spent by this request (R9)."""
        return self.kind == "doubt"

    @property
    def counts_as_refused(self) -> bool:
        """Whether this answer, given again and again, means that the grant is dead (R12).

        So do an empty 400 and a readable body without an error; pages of proxies and broken JSON never do.
        """
        return self.kind == "unclear" and self.note in ("", _EMPTY)

    @property
    def retryable(self) -> bool:
        """Whether the same request may succeed later without anybody doing anything."""
        return self.kind in ("transient", "doubt", "unclear", "pending", "slow_down")

    @property
    def goes_on(self) -> bool:
        """Whether polling with a device code goes on after this answer (RFC 8628 section 3.5)."""
        return self.kind in ("pending", "slow_down", "transient", "doubt")


_EMPTY: Final = flaw(b"")


def refused(members: Members) -> bool:
    """Tell whether the body says no, whatever the HTTP status (GitHub: ``error``, Slack: ``"ok": false``)."""
    unwell = members.get("ok") is False or members.get("success") is False or members.get("error") is True
    return unwell or bool(error_words(members))


def read_refusal(response: Response, *, credential: OAuth2Credential, now: float | None) -> Refusal:
    """Classify an answer that is no success by status and body.  `now` is Unix seconds; see `bodies.retry_after`."""
    members = read_members(response.body)
    found: Members = understood(members, credential) if members else {}
    error, said = error_of(found, credential)
    words = _description(found)
    return Refusal(
        kind=_kind(response.status, error, no=refused(found), empty=not response.body.strip()),
        error=error,
        description=words or ("" if said == error else said),
        status=response.status,
        retry_after=retry_after(response.headers, now, resets=_resets(response, credential)),
        note=flaw(response.body) if members is None else "",
        reason=_reason(error, said, words, found),
        interval=seconds(found.get("interval")),
    )


def _resets(response: Response, credential: OAuth2Credential) -> tuple[str, ...]:
    """Return the headers that say when to try again: many servers send them with everything, so only where it is no."""
    return credential.rate_limit_reset if response.status in _NOT_NOW else ()


def error_of(members: Members, credential: OAuth2Credential) -> tuple[str, str]:
    """Return the error code by its standard name and as the provider spelled it; empty texts when there is none.

    ``unauthorized_client`` and ``invalid_request`` that speak of a bad refresh token are about the grant: taken at
    its word the first would stop all connections of the app for the sake of one; the second would be tried for ever.
    """
    said = error_words(members)
    if len(said) == 1 and said[0] in _FOR_INVALID_GRANT and _DEAD_REFRESH_TOKEN.search(_description(members)):
        return "invalid_grant", said[0]
    aliases = credential.error_aliases
    for word in said:
        standard = aliases.get(word) or aliases.get(word.lower()) or word.lower()
        if word in aliases or standard in _KINDS:
            return standard, word
    first = said[0] if said else ""
    return first, first


def _kind(status: int, error: str, *, no: bool, empty: bool) -> Kind:
    """Classify by status and error; `no` tells whether the body says no, `empty` whether there is none."""
    by_status = _kind_by_status(status, error)
    if by_status is not None:
        return by_status
    if error:
        return _KINDS.get(error, "request")
    if status in _SUCCESS:
        return "unclear" if no else "doubt"
    if status == _UNAUTHORIZED and empty:
        return "client"
    return "unclear" if status in _NO_WORD else "request"


def _kind_by_status(status: int, error: str) -> Kind | None:
    """Return the kind where the status outweighs the error: no 5xx is ever a final word."""
    if status in _REDIRECTS:
        return "redirect"
    if status in _NOT_NOW:
        return "transient"
    if status >= _SERVER_ERROR or status < _SUCCESS.start:
        return "transient" if error == "temporarily_unavailable" else "doubt"
    return None


def error_words(members: Members) -> list[str]:
    """Return the error codes as the provider spelled them: a text, a number, or members of an object (Facebook)."""
    error = members.get("error")
    if error is None:
        return []
    inner = as_object(error)
    places = [error] if inner is None else [inner.get(name) for name in ("error", "code", "status", "type")]
    words = [provider_text(str(place), 64) for place in places if isinstance(place, (str, int)) and place is not True]
    return [word for word in words if word.lower() not in _NO_ERROR]


def _description(members: Members) -> str:
    inner = as_object(members.get("error")) or {}
    candidates = (
        members.get("error_description"),
        inner.get("message"),
        members.get("message"),
        members.get("reason"),
        members.get("detail"),
    )
    return next((text for text in map(provider_text, candidates) if text), "")


def _reason(error: str, said: str, words: str, members: Members) -> Reason:
    """Guess why a grant ended; where the words tell nothing, somebody took it back: that is the common case."""
    if _KINDS.get(error) != "grant":
        return "unknown"
    hints = [
        said,
        error,
        members.get("suberror"),
        members.get("error_subtype"),
        words,
        *as_list(members.get("error_codes")),
    ]
    text = " ".join(str(hint) for hint in hints if isinstance(hint, (str, int)))
    for pattern, reason in _REASONS:
        if pattern.search(text):
            return reason
    return "revoked"
