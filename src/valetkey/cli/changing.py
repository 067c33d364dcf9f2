"""``valetkey refresh`` and ``valetkey disconnect``."""

from __future__ import annotations

import click

from valetkey.cli.commands import command, credential_argument, pass_session, whose
from valetkey.cli.output import ahead, emit
from valetkey.cli.prompts import confirm
from valetkey.cli.session import Session
from valetkey.cli.shapes import of_status
from valetkey.cli.terminal import out, paint
from valetkey.errors import clean


@command("refresh", json=True, examples=("valetkey refresh github", "valetkey refresh google --owner ada"))
@credential_argument
@whose
@pass_session
def refresh(session: Session, *, name: str, owner: str | None, account: str) -> None:
    """Refresh the access token of NAME now.

    It is done by itself when a token is due; this is for looking whether it works.
    """
    key = session.key_of(name, owner, account)
    status = session.client(name, owner, account).refresh()
    if session.json:
        emit({"connection": of_status(status)})
        return
    end = ahead(status.expires_at, session.core.clock.now())
    out(f"{paint('Refreshed', 'good')} {key}." + (f" The new token ends {end}." if end else ""))


@command(
    "disconnect",
    json=True,
    examples=("valetkey disconnect github", "valetkey disconnect slack --owner ada --account work --yes"),
)
@credential_argument
@whose
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@pass_session
def disconnect(session: Session, *, name: str, owner: str | None, account: str, yes: bool) -> None:
    """Erase the tokens of NAME here, revoke them at the provider, and say truthfully what was revoked.

    The connection keeps its id; signing in again is "valetkey connect".
    """
    key = session.key_of(name, owner, account)
    status = session.core.status(key)
    if status.state not in {"pending", "disconnected"}:
        who = f" ({clean(status.identity.title)})" if status.identity and status.identity.title else ""
        confirm(f"Disconnect {key}{who}?", yes=yes)
    done = session.core.call(lambda: session.core.disconnect(key))
    if session.json:
        emit({"told": done.told, "revoked": list(done.revoked), "may_live": list(done.may_live)})
        return
    out(clean(done.told, 2000))
