"""``valetkey connect``: sign in and connect an account."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

import click

from valetkey.cli.commands import command, credential_argument, pass_session, whose
from valetkey.cli.output import ahead, emit
from valetkey.cli.session import Session
from valetkey.cli.shapes import of_status
from valetkey.cli.terminal import out, paint, say, stdout_is_ours, warn
from valetkey.errors import ConnectError, clean

if TYPE_CHECKING:
    from valetkey.model.connections import ConnectionKey, Status
    from valetkey.model.credentials import OAuth2Credential

_LONGEST_WAIT: Final = 600


@command(
    "connect",
    json=True,
    makes_store=True,
    examples=(
        "valetkey connect github             # opens your browser",
        "valetkey connect github --device    # shows a code to enter anywhere",
        "valetkey connect bank --ciba ada@example.com    # asks Ada on her phone",
        "valetkey connect slack --paste      # over ssh: open the address anywhere",
        "valetkey connect google --owner ada --account work --scope openid",
    ),
)
@credential_argument
@whose
@click.option("--scope", "scopes", metavar="SCOPE", multiple=True, help="Ask for this too; may be given again.")
@click.option("--device", is_flag=True, help="Show a code that is entered in any browser (RFC 8628).")
@click.option("--paste", is_flag=True, help="Open an address anywhere, paste back where you land.")
@click.option("--ciba", "login_hint", metavar="WHO", help="Have WHO asked on another device (OpenID CIBA).")
@click.option("--binding-message", metavar="TEXT", help="With --ciba: what is shown there too.")
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
    *,
    name: str,
    owner: str | None,
    account: str,
    scopes: tuple[str, ...],
    device: bool,
    paste: bool,
    login_hint: str | None,
    binding_message: str | None,
    no_browser: bool,
    port: int | None,
    timeout: int,
) -> None:
    """Sign in as the account holder and connect the account NAME.

    The browser opens on this machine and comes back to 127.0.0.1.  On a machine without one, use --device where the
    provider knows it, else --paste.  Connecting again replaces the tokens; the connection keeps its id.
    """
    if sum((device, paste, login_hint is not None, no_browser or port is not None)) > 1:
        msg = "--device, --paste, --ciba, and --no-browser or --port are four ways: choose one."
        raise click.UsageError(msg)
    if binding_message and login_hint is None:
        msg = "--binding-message belongs to --ciba."
        raise click.UsageError(msg)
    key = session.key_of(name, owner, account)
    credential = session.credential(name)
    if not device and login_hint is None and credential.signs_in:
        _require_redirect_uri(credential, paste=paste)
    if login_hint is not None and credential.signs_in:
        from valetkey.protocol.ciba import BackchannelRequest  # noqa: PLC0415 - few are asked in that way

        asked = BackchannelRequest(login_hint=login_hint, binding_message=binding_message or "")
        status = session.desk.connect(name, owner, account, scopes, "ciba", None, request=asked)
    elif device or paste or not credential.signs_in:
        status = session.desk.connect(name, owner, account, scopes, "device" if device else "paste", None)
    else:
        with stdout_is_ours():
            _by_browser(session, credential, key, scopes=scopes, port=port, timeout=timeout, opens=not no_browser)
        status = session.core.status(key)
    _tell(session, credential, status)


def _require_redirect_uri(credential: OAuth2Credential, *, paste: bool) -> None:
    """Check that the provider can answer to this machine or, where the answer is pasted, to an address anywhere.

    Raises:
        ConnectError: ``redirect_https_only``, with what to type.
    """
    from valetkey.connecting import loopback_place  # noqa: PLC0415

    if paste and credential.redirect_uri:
        return
    try:
        loopback_place(credential, None)
    except ConnectError as error:
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
) -> None:
    from valetkey.connecting import connect_browser  # noqa: PLC0415 - a person is slower than an import
    from valetkey.interaction import TerminalInteraction, open_browser  # noqa: PLC0415

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
    sys.stdout.flush()


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
