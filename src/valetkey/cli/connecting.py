"""``valetkey connect``: sign in and connect an account."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final

import click

from valetkey.cli.by_phone import ByPhone, connect_by_phone, only_by_phone
from valetkey.cli.commands import command, credential_argument, pairs, pass_session, whose
from valetkey.cli.output import ahead, emit
from valetkey.cli.session import Session
from valetkey.cli.shapes import of_status
from valetkey.cli.terminal import out, paint, say, stdout_is_ours, warn
from valetkey.errors import ConnectError, clean

if TYPE_CHECKING:
    from valetkey.desk import How
    from valetkey.model.connections import ConnectionKey, Status
    from valetkey.model.credentials import OAuth2Credential
    from valetkey.protocol.authentication_request import AuthenticationRequest

_LONGEST_WAIT: Final = 600


@command(
    "connect",
    json=True,
    makes_store=True,
    examples=(
        "valetkey connect github             # opens your browser",
        "valetkey connect github --device    # shows a code to enter anywhere",
        "valetkey connect bank --login-hint ada@example.com --binding-message X-42",
        "valetkey connect slack --paste      # over ssh: open the address anywhere",
        "valetkey connect google --owner ada --account work --scope openid",
        "valetkey connect bank --acr-values phr --max-age 300",
    ),
)
@credential_argument
@whose
@click.option("--scope", "scopes", metavar="SCOPE", multiple=True, help="Ask for this too; may be given again.")
@click.option("--param", "params", metavar="NAME=VALUE", multiple=True, callback=pairs, help="Of this account: shop...")
@click.option("--device", is_flag=True, help="Show a code that is entered in any browser (RFC 8628).")
@click.option("--paste", is_flag=True, help="Open an address anywhere, paste back where you land.")
@click.option("--ciba", is_flag=True, help="Have the person asked on another device (OpenID CIBA).")
@click.option("--login-hint", metavar="WHO", help="With --ciba, which it stands for: who is asked.")
@click.option("--binding-message", metavar="TEXT", help="With --ciba: what is shown here and there.")
@click.option("--user-code", is_flag=True, help="With --ciba: ask for the person's own code, without showing it.")
@click.option("--prompt", metavar="WORDS", help="Have the person asked anew: login, consent, select_account.")
@click.option("--max-age", type=click.IntRange(0), metavar="SECONDS", help="A sign-in that is older is made anew.")
@click.option("--acr-values", metavar="WORDS", help="How the person proves who they are, the best first.")
@click.option("--no-browser", is_flag=True, help="Show the page to open here instead of opening it.")
@click.option("--port", type=click.IntRange(1, 65535), metavar="N", help="Listen on this port of 127.0.0.1.")
@click.option(
    "--timeout",
    type=click.IntRange(1, _LONGEST_WAIT),
    default=300,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait for you.",
)
@pass_session
def connect(
    session: Session,
    /,
    *,
    name: str,
    owner: str | None,
    account: str,
    scopes: tuple[str, ...],
    params: dict[str, str],
    device: bool,
    paste: bool,
    prompt: str | None,
    max_age: int | None,
    acr_values: str | None,
    no_browser: bool,
    port: int | None,
    timeout: int,
    **asked: Any,
) -> None:
    """Sign in as the account holder and connect the account NAME.

    The browser opens on this machine and comes back to 127.0.0.1.  On a machine without one, use --device where the
    provider knows it, else --paste.  Where people are asked on another device (--ciba), say who; what this command does
    not know, it asks for.  Connecting again replaces the tokens; the connection keeps its id.

    --prompt, --max-age and --acr-values are for a sign-in in a browser, and are checked in the id token (RFC 9470).
    """
    by_phone = ByPhone(**asked)
    if sum((device, paste, by_phone.meant, no_browser or port is not None)) > 1:
        msg = "--device, --paste, --ciba or --login-hint, and --no-browser or --port are four ways: choose one."
        raise click.UsageError(msg)
    key = session.key_of(name, owner, account)
    credential = session.credential(name)
    if params:
        from valetkey.model.asked_params import as_meant  # noqa: PLC0415 - most accounts have none

        params = as_meant(credential, params)
    wants = _wants(prompt, max_age, acr_values)
    if wants is not None and (device or by_phone.meant or not credential.signs_in):
        msg = "--prompt, --max-age and --acr-values go with a sign-in in a browser: here, or with --paste."
        raise click.UsageError(msg)
    if by_phone.meant and not credential.signs_in:
        msg = f"--ciba is of no use here: nobody signs in for {name}."
        raise click.UsageError(msg)
    if by_phone.meant or (only_by_phone(credential) and not (device or paste)):
        status = connect_by_phone(session, credential, key, scopes, by_phone)
        _tell(session, credential, status)
        return
    if not device and credential.signs_in:
        _require_redirect_uri(credential, paste=paste)
    if device or paste or not credential.signs_in:
        how: How = "device" if device else "paste"
        status = session.desk.connect(name, owner, account, scopes, how, None, request=wants, params=params)
    else:
        with stdout_is_ours():
            own, opens = session.desk.own(credential, key, params), not no_browser
            _by_browser(session, own, key, scopes=scopes, port=port, timeout=timeout, opens=opens, wants=wants)
        status = session.core.status(key)
    _tell(session, credential, status)


def _wants(prompt: str | None, max_age: int | None, acr_values: str | None) -> AuthenticationRequest | None:
    """Return how the person is to be asked; None where the options say nothing of it.

    Raises:
        ConfigurationError: They mean nothing (``authentication_request_invalid``).
    """
    if prompt is None and max_age is None and acr_values is None:
        return None
    from valetkey.protocol.authentication_request import AuthenticationRequest  # noqa: PLC0415 - seldom used

    words = tuple((acr_values or "").split())
    return AuthenticationRequest(prompt=prompt or "", max_age=max_age, acr_values=words)


def _require_redirect_uri(credential: OAuth2Credential, *, paste: bool) -> None:
    """Check that the provider can answer to this machine or, where the answer is pasted, to an address anywhere.

    Raises:
        ConnectError: ``redirect_https_only``, with what to type; ``answer_as_form``.
    """
    from valetkey.connecting import loopback_place  # noqa: PLC0415

    if paste and credential.redirect_uri:
        return
    try:
        loopback_place(credential, None)
    except ConnectError as error:
        if error.code != "redirect_https_only":
            raise
        name = credential.name
        add = "" if credential.redirect_uri else f"valetkey app add {name} --redirect-uri https://...; then: "
        error.hint = f"{add}valetkey connect {name} --paste"
        raise


def _by_browser(
    session: Session,
    credential: OAuth2Credential,
    key: ConnectionKey,
    *,
    scopes: tuple[str, ...],
    port: int | None,
    timeout: int,
    opens: bool,
    wants: AuthenticationRequest | None,
) -> None:
    from valetkey.connecting import connect_browser  # noqa: PLC0415 - a person is slower than an import
    from valetkey.interaction import TerminalInteraction, open_browser  # noqa: PLC0415
    from valetkey.protocol.authentication_request import NOTHING_SPECIAL  # noqa: PLC0415

    connect_browser(
        session.core.world,
        credential,
        key,
        scopes=scopes,
        port=port,
        interaction=TerminalInteraction() if opens else _Quiet(),
        timeout=timeout,
        opener=open_browser if opens else _show_page,
        run=session.core.call,
        wants=wants or NOTHING_SPECIAL,
    )


def _show_page(url: str) -> bool:
    """Show the local page that leads to the provider; only this user can read it."""
    say("Open this page in a browser on this machine (Ctrl-C to stop):")
    say(f"\n{url}\n")
    return True


class _Quiet:
    """Says nothing of a browser that nobody opens."""

    def __init__(self) -> None:
        self._last = ""

    def opening(self, name: str) -> None:
        """Say nothing."""

    def waiting(self, text: str) -> None:
        """Say it, once."""
        if text != self._last:
            self._last = text
            say(clean(text))

    def show_url(self, url: str) -> None:
        """Show the address."""
        say(url)

    def show_code(self, user_code: str, verification_uri: str, complete: str, expires_in: float) -> None:
        """Not asked for."""

    def ask_callback(self, prompt: str) -> str:
        """Not asked for."""
        return prompt


def _tell(session: Session, credential: OAuth2Credential, status: Status) -> None:
    if session.json:
        emit({"connection": of_status(status)})
        return
    out(f"{paint('Connected', 'good')}{sentence(credential, status, session.core.clock.now())}")
    if status.missing:
        missing = ", ".join(clean(scope) for scope in status.missing)
        warn(f"asked for and not granted: {missing}", "the calls that need them will be refused by the API")
    if credential.beside:
        _tell_beside(session, status, credential.beside)
    sys.stdout.flush()


def _tell_beside(session: Session, status: Status, name: str) -> None:
    """Tell how the connection is that the same sign-in was to fill."""
    first = status.connection
    beside = session.core.status(session.key_of(name, first.owner, first.account))
    if beside.state == "connected":
        out(f"{name}, which the same sign-in fills, is connected.")
    else:
        warn(f"{name}, which the same sign-in was to fill, is {beside.state}", beside.hint)


def sentence(credential: OAuth2Credential, status: Status, now: float) -> str:
    """Return what follows the word "Connected": as whom, with what, for how long."""
    who = f" as {clean(status.identity.title)}" if status.identity and status.identity.title else ""
    granted = f" Granted: {clean(', '.join(status.granted))}." if status.granted else ""
    return f"{who}.{granted} {_life(credential, status, now)}"


def _life(credential: OAuth2Credential, status: Status, now: float) -> str:
    if status.refreshable:
        return "Renews itself."
    if status.expires_at is not None:
        return f"Ends {ahead(status.expires_at, now)}, and cannot renew itself."
    return "Does not expire." if credential.never_expires else "The provider does not say when it ends."
