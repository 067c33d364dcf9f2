"""Every error that valetkey raises: one small tree.

Each error has a stable ``code`` (a documented string), a message for people, and a ``hint`` that says the next
step.  None of them ever holds a secret; text from a provider is capped and stripped of control characters.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

if TYPE_CHECKING:
    from valetkey.model.connections import Connection

TEXT_LIMIT = 300


def clean(text: object, limit: int = TEXT_LIMIT) -> str:
    """Return text from outside made safe to show: printable characters only, at most `limit` of them.

    RFC 6749 section 10.14 asks for it; it keeps terminal escapes out of logs and terminals.
    """
    plain = "".join(c if c.isprintable() else " " for c in str(text)[: limit * 4])
    plain = " ".join(plain.split())
    return plain if len(plain) <= limit else plain[: limit - 1] + "\N{HORIZONTAL ELLIPSIS}"


class ValetkeyError(Exception):
    """The base of all errors of this package.

    Attributes:
        code: A stable name for what happened, such as ``"app_missing"``.
        hint: What to do next, or an empty string.
    """

    default_code: ClassVar[str] = "error"

    def __init__(self, message: str, *, code: str = "", hint: str = "") -> None:
        super().__init__(message)
        self.code: str = code or self.default_code
        self.hint: str = hint
        if hint:
            self.add_note(f"  -> {hint}")  # a traceback ends with the next step too

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else self.code

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (type(self), self.args, self.__dict__.copy())


def _rebuild(cls: type[ValetkeyError], args: tuple[object, ...], attributes: dict[str, object]) -> ValetkeyError:
    error = cls.__new__(cls)
    Exception.__init__(error, *args)
    error.__dict__.update(attributes)
    return error


# -- the program or its set-up -------------------------------------------------------------------------------------


class ConfigurationError(ValetkeyError):
    """A declaration, an argument or a file is wrong.  The message names it, the hint says how to mend it."""

    default_code = "configuration"


class AmbiguousAccount(ValetkeyError):
    """The owner has several accounts under this credential and the call named none."""

    default_code = "ambiguous_account"

    def __init__(self, message: str, *, accounts: tuple[str, ...], hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.accounts = accounts


class HostNotAllowed(ValetkeyError):
    """The URL's host is not one that this credential's token may be sent to.  Nothing was sent.

    Attributes:
        credential: The credential's name.
        hosts: The `api_hosts` to declare if it is meant: those of now, and the one that was refused.  Empty where the
            URL was relative, and nobody knows to what.
    """

    default_code = "host_not_allowed"

    def __init__(self, message: str, *, credential: str = "", hosts: tuple[str, ...] = (), hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.credential = credential
        self.hosts = hosts


# -- connecting ----------------------------------------------------------------------------------------------------


class ConnectError(ValetkeyError):
    """Connecting an account did not end well.  Nothing was stored."""

    default_code = "connect_failed"


class StateMismatch(ConnectError):
    """The callback's ``state`` is unknown, used, expired, or belongs to another browser (RFC 6749 section 10.12)."""

    default_code = "state_mismatch"


class IssuerMismatch(ConnectError):
    """The callback came from another authorization server than the one asked (RFC 9207 section 2.4)."""

    default_code = "issuer_mismatch"


DeniedBy = Literal["by_person", "by_admin", "approval_pending", "unknown"]


class AuthorizationDenied(ConnectError):
    """The provider says that access was not given; ``why`` tells by whom, as far as the provider says."""

    default_code = "authorization_denied"

    def __init__(self, message: str, *, why: DeniedBy = "unknown", code: str = "", hint: str = "") -> None:
        super().__init__(message, code=code, hint=hint)
        self.why: DeniedBy = why


class ConsentExpired(ConnectError):
    """Nobody answered in time."""

    default_code = "consent_expired"


class WrongUser(ConnectError):
    """Another person finished the consent than the one who started it."""

    default_code = "wrong_user"


class ScopesMissing(ConnectError):
    """The grant holds fewer scopes than the call demands."""

    default_code = "scopes_missing"

    def __init__(self, message: str, *, granted: tuple[str, ...], missing: tuple[str, ...], hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.granted = granted
        self.missing = missing


# -- a person must act ---------------------------------------------------------------------------------------------


class ReauthorizationRequired(ValetkeyError):
    """The grant is of no more use: a person must sign in again.

    Attributes:
        connection: Which connection: its ``.id``, ``.credential``, ``.owner`` and ``.account``.
        reason: Why, as one of the documented reasons (``"revoked"``, ``"lost_in_rotation"``, ...).
        connect_url: The stable page where a person mends it, where a server is mounted; else None.
    """

    default_code = "reauthorization_required"

    def __init__(
        self,
        message: str,
        *,
        connection: Connection,
        reason: str,
        hint: str = "",
        code: str = "",
        connect_url: str | None = None,
    ) -> None:
        super().__init__(message, code=code, hint=hint)
        self.connection = connection
        self.reason = reason
        self.connect_url = connect_url


class NotConnected(ReauthorizationRequired):
    """Nobody has connected this account yet, or it was disconnected.  Raising it writes nothing."""

    default_code = "not_connected"


class StepUpRequired(ValetkeyError):
    """The API wants a stronger or fresher sign-in than the token stands for (RFC 9470).  Nothing was refreshed.

    Attributes:
        acr_values: The ways of signing in that would do, the best first.
        max_age: How many seconds ago the person may have signed in; None: that does not matter.
        scopes: The scopes that the API wants besides.
    """

    default_code = "step_up_required"

    def __init__(
        self,
        message: str,
        *,
        acr_values: tuple[str, ...],
        max_age: int | None,
        scopes: tuple[str, ...] = (),
        hint: str = "",
    ) -> None:
        super().__init__(message, hint=hint)
        self.acr_values = acr_values
        self.max_age = max_age
        self.scopes = scopes


# -- the provider --------------------------------------------------------------------------------------------------


class ProviderError(ValetkeyError):
    """The authorization server answered with an error, or did not answer.

    Attributes:
        error: The OAuth error code, such as ``"invalid_client"``; empty when there was none.
        description: The provider's own words, cleaned.
        status: The HTTP status, or None when there was no answer.
        retryable: Whether the same call may succeed later without anybody doing anything.
        retry_after: Seconds until the next try makes sense, or None when nobody said.
    """

    default_code = "provider_error"
    default_retryable: ClassVar[bool] = False

    def __init__(
        self,
        message: str,
        *,
        error: str = "",
        description: str = "",
        status: int | None = None,
        retryable: bool | None = None,
        retry_after: float | None = None,
        code: str = "",
        hint: str = "",
    ) -> None:
        super().__init__(message, code=code, hint=hint)
        self.error = clean(error, 64)
        self.description = clean(description)
        self.status = status
        self.retryable = self.default_retryable if retryable is None else retryable
        self.retry_after = retry_after


class ProviderUnavailable(ProviderError):
    """The provider is down, slow, unreachable or asks for patience.  The grant is kept."""

    default_code = "provider_unavailable"
    default_retryable = True


class ClientRejected(ProviderError):
    """The provider does not accept the *app*: wrong or expired client secret.  No connection is touched."""

    default_code = "client_rejected"


class ProviderProtocolError(ProviderError):
    """The provider's answer is not what the protocol allows, so it was not used."""

    default_code = "provider_protocol"


# -- the store and its key -----------------------------------------------------------------------------------------


class StoreError(ValetkeyError):
    """The store cannot do what was asked.  Nothing was half written."""

    default_code = "store"


class DecryptionFailed(StoreError):
    """What is stored cannot be opened: missing key, wrong key, or a changed row.  It is kept as it is."""

    default_code = "decryption_failed"


class StoreUnavailable(StoreError):
    """The store does not answer: locked, full, read-only, or down."""

    default_code = "store_unavailable"


class RefreshBusy(ValetkeyError):
    """Another holder is refreshing and did not finish within the deadline.  Try again in a moment."""

    default_code = "refresh_busy"
