"""Connecting a person who is asked on another device (OpenID CIBA): what the command asks here, and shows meanwhile."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import click

from valetkey.cli.exits import Stop
from valetkey.cli.prompts import ask, ask_hidden, at_hand
from valetkey.cli.terminal import say
from valetkey.errors import ConnectError
from valetkey.values import Secret

if TYPE_CHECKING:
    from valetkey.cli.session import Session
    from valetkey.model.connections import ConnectionKey, Status
    from valetkey.model.credentials import OAuth2Credential

_WANTS_CODE: Final = "missing_user_code"


@dataclass(frozen=True, slots=True, kw_only=True)
class ByPhone:
    """What the options say about it."""

    ciba: bool
    login_hint: str | None
    binding_message: str | None
    user_code: bool

    @property
    def meant(self) -> bool:
        """Whether the person is to be asked on another device, as the options have it."""
        return self.ciba or self.login_hint is not None or self.binding_message is not None or self.user_code


def only_by_phone(credential: OAuth2Credential) -> bool:
    """Whether a person cannot be asked in a browser here, and can on another device."""
    browser = credential.authorization_url or credential.discovers
    return bool(credential.backchannel_authentication_url) and credential.signs_in and not browser


def connect_by_phone(
    session: Session, credential: OAuth2Credential, key: ConnectionKey, scopes: tuple[str, ...], options: ByPhone
) -> Status:
    """Ask for what is not given, have the person asked, and wait.

    Where the provider wants the person's own code and it was not given, it is asked for and the question put again.

    Raises:
        Stop: Something is needed, and nobody is here to ask.
        ValetkeyError: As `Valet.connect` does.
    """
    hint = options.login_hint if options.login_hint is not None else _who(credential)
    code = _code() if options.user_code else None
    try:
        return _connect(session, key, scopes, hint, options.binding_message or "", code)
    except ConnectError as error:
        if error.code != _WANTS_CODE or code is not None or not at_hand():
            raise
        say(f"{credential.display_name or credential.name} wants the person's own code with the question.")
    return _connect(session, key, scopes, hint, options.binding_message or "", _code())


def _who(credential: OAuth2Credential) -> str:
    return ask(f"Who is asked, as {credential.display_name or credential.name} knows them", otherwise="--login-hint")


def _code() -> Secret:
    """Ask for the person's own code; it is sent once and kept nowhere (CIBA section 7.1.2).

    Raises:
        Stop: Nothing was entered (``entry_empty``).
    """
    entered = ask_hidden("The person's own code (hidden)").strip()
    if not entered:
        msg = "the person's own code is needed, and nothing was entered"
        raise Stop(msg, code="entry_empty", hint="enter it, or leave --user-code away")
    return Secret(entered)


def _connect(
    session: Session, key: ConnectionKey, scopes: tuple[str, ...], hint: str, message: str, code: Secret | None
) -> Status:
    from valetkey.protocol.ciba import BackchannelRequest  # noqa: PLC0415 - few are asked in that way

    if not hint:
        msg = "--login-hint is empty: it says who is asked."
        raise click.UsageError(msg)
    wants = BackchannelRequest(login_hint=hint, binding_message=message, user_code=code)
    return session.desk.connect(key.credential, key.owner, key.account, scopes, "ciba", None, request=wants)
