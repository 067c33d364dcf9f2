"""The errors that say a person must act, worded once for every face."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from valetkey.errors import ConfigurationError, DecryptionFailed, NotConnected, ProviderError, ReauthorizationRequired
from valetkey.forks import late_imports
from valetkey.model.connections import Connection, ConnectionKey, Record
from valetkey.model.credentials import OAuth2Credential
from valetkey.model.names import DEFAULT_ENV

if TYPE_CHECKING:
    from valetkey.protocol.refusals import Refusal

WHY: Final[dict[str, str]] = {
    "revoked": "access was withdrawn at {name}",
    "idle_expired": "{name} ended it after a time without use",
    "policy_changed": "a rule of {name} or of its administrator ended it",
    "no_refresh_token": "its token ended and {name} gave no refresh token",
    "lost_in_rotation": "{name}'s answer to a refresh was lost, and with it the only new token",
    "reuse_detected": "{name} saw a refresh token twice and ended the grant",
    "identity_changed": "{name}'s answer to a refresh spoke of somebody else, and was not used",
    "key_lost": "the key that its token was sealed with is lost",
    "unknown": "{name} no longer accepts its refresh token",
}
"""Reason -> what happened, in words.  Every face prints these."""


def why(reason: str, credential: OAuth2Credential) -> str:
    """Return a reason in words."""
    if reason == "row_corrupt":
        return "its row in the store is damaged"
    return WHY.get(reason, WHY["unknown"]).format(name=credential.display_name or credential.name)


def connect_command(key: ConnectionKey) -> str:
    """Return the command line that connects this account (again)."""
    return _command("connect", key)


def refresh_command(key: ConnectionKey) -> str:
    """Return the command line that refreshes this account now."""
    return _command("refresh", key)


def look_up_command(key: ConnectionKey, choose: Iterable[str] = ()) -> str:
    """Return the command line that looks up anew what a connection keeps, with what can be chosen."""
    return " ".join((_command("look-up", key), *(f"--choose {name}=..." for name in choose)))


def request_command(key: ConnectionKey) -> str:
    """Return the command line that calls an API for this account, but for the address."""
    return _command("request", key)


def exchange_hint(credential: OAuth2Credential) -> str:
    """Say how a token of a credential that exchanges tokens is got, in Python and at a shell."""
    name = credential.name
    return f"valet.exchange({name!r}, subject=valet.client(...)); at a shell: valetkey exchange {name} --from NAME"


def retry_hint(key: ConnectionKey) -> str:
    """Say what to do while refreshing fails: nothing, for the next use tries again, with or without a worker."""
    return f"nothing to do: it is tried again at its next use; at once with: {refresh_command(key)}"


def app_command(credential: str, env: str) -> str:
    """Return the command line that takes the app credentials of a credential, in this environment."""
    return _command("app add", ConnectionKey(env, credential))


def command_line(words: Iterable[str]) -> str:
    """Return a command line for a shell; what cannot be seen in a word, or turns the text around it, is escaped."""
    with late_imports:
        import shlex  # noqa: PLC0415 - troubles are rare

    return " ".join(shlex.quote(word) if word.isprintable() else f"$'{_escaped(word)}'" for word in words)


def _escaped(word: str) -> str:
    """Return a word as bash, zsh and ksh read it within ``$'...'``."""
    seen = (c if c.isprintable() and c not in "\\'" else f"\\U{ord(c):08x}" for c in word)
    return "".join(seen)


def _command(verb: str, key: ConnectionKey) -> str:
    words = ["valetkey", *verb.split(), key.credential]
    if key.owner is not None:
        words += ["--owner", key.owner]
    if key.account:
        words += ["--account", key.account]
    if key.env != DEFAULT_ENV:
        words += ["--env", key.env]
    return command_line(words)


def broken_grant(key: ConnectionKey, problem: str) -> DecryptionFailed:
    """Say that a connection's grant is damaged in the store; others are not."""
    return DecryptionFailed(
        f"the grant of {key} cannot be opened: {problem}",
        code="sealed_broken",
        hint=f"restore the store from a backup, or connect it again: {connect_command(key)}",
    )


def not_connected(key: ConnectionKey, credential: OAuth2Credential, record: Record | None) -> NotConnected:
    """Say that nobody connected this account yet, or that it was disconnected."""
    name = credential.display_name or credential.name
    gone = record is not None and record.state == "disconnected"
    exchange = exchange_hint(credential) if credential.grant == "token_exchange" else ""
    return NotConnected(
        f"{key} was disconnected from {name}" if gone else f"{key} is not connected to {name} yet",
        connection=record.connection if record else Connection("", key.credential, key.owner, key.account, key.env),
        reason="disconnected" if gone else "never_connected",
        hint=exchange or f"run: {connect_command(key)}",
    )


def needs_person(record: Record, credential: OAuth2Credential) -> ReauthorizationRequired:
    """Say that a person must sign in again, and why."""
    return ReauthorizationRequired(
        f"{record.key} needs to be connected again: {why(record.reason, credential)}",
        connection=record.connection,
        reason=record.reason or "unknown",
        hint=f"run: {connect_command(record.key)}",
    )


def refused_assertion(
    credential: OAuth2Credential, refusal: Refusal, *, retry_after: float | None = None
) -> ProviderError:
    """Say that an assertion was refused (RFC 7521 section 4.1.1): nobody can sign in to repair that."""
    said = ": ".join(part for part in (refusal.error, refusal.description) if part)
    what = "token to be exchanged" if credential.grant == "token_exchange" else "assertion"
    whose = "the key, whom it speaks for" if credential.grant == "jwt_bearer" else "whom it speaks for"
    return ProviderError(
        f"{credential.display_name or credential.name} did not accept the {what} ({said})",
        error=refusal.error,
        description=refusal.description,
        status=refusal.status,
        retry_after=retry_after,
        code="assertion_refused",
        hint=f"check {whose}, its audience, and this machine's clock; then: valetkey refresh {credential.name}",
    )


def not_refreshable(record: Record, credential: OAuth2Credential) -> ConfigurationError:
    """Say that a person asked to refresh what works and cannot be refreshed."""
    name = credential.display_name or credential.name
    return ConfigurationError(
        f"{record.key} cannot be refreshed: {name} gave no refresh token. Its access token still works",
        code="grant_not_refreshable",
        hint=f"nothing to do; for a new token: {connect_command(record.key)}",
    )
