"""``valetkey refresh`` and ``valetkey disconnect``."""

from __future__ import annotations

import click

from valetkey.cli.commands import command, credential_argument, pairs, pass_session, whose
from valetkey.cli.exits import Stop
from valetkey.cli.output import ahead, emit
from valetkey.cli.prompts import confirm
from valetkey.cli.session import Session
from valetkey.cli.shapes import of_status
from valetkey.cli.terminal import out, paint
from valetkey.errors import clean
from valetkey.model.connections import ConnectionKey


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


@command("look-up", json=True, examples=("valetkey look-up xero", "valetkey look-up xero --choose tenant_id=..."))
@credential_argument
@whose
@click.option("--choose", metavar="NAME=VALUE", multiple=True, callback=pairs, help="Which of several: tenant, site...")
@pass_session
def look_up(session: Session, *, name: str, owner: str | None, account: str, choose: dict[str, str]) -> None:
    """Ask the provider of NAME again for what a connection has to know of itself: tenant, site, data centre.

    It is done by itself after each sign-in; the first of several is used until another is chosen.
    """
    status = session.desk.look_up(session.key_of(name, owner, account), choose)
    if session.json:
        emit({"connection": of_status(status)})
        return
    for param, value in status.params.items():
        out(f"{clean(param, 60)}  {clean(value, 200)}")
    for param, choices in status.choices.items():
        out(f"There are several of {param}:")
        for one in choices:
            mark = paint("*", "good") if status.params.get(param) == one.id else " "
            out(f" {mark} {clean(one.id, 80)}  {clean(one.label, 80)}")
    if status.hint:
        out(status.hint)


@command(
    "disconnect",
    json=True,
    examples=(
        "valetkey disconnect github --dry-run",
        "valetkey disconnect slack --owner ada --account work --yes",
    ),
)
@credential_argument
@whose
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@click.option("--dry-run", is_flag=True, help="Only say what it would do.")
@pass_session
def disconnect(session: Session, *, name: str, owner: str | None, account: str, yes: bool, dry_run: bool) -> None:
    """Erase the tokens of NAME here, revoke them at the provider, and say truthfully what was revoked.

    The connection keeps its id; signing in again is "valetkey connect".
    """
    key = session.key_of(name, owner, account)
    if dry_run:
        _would(session, key)
        return
    status = session.core.status(key)
    if status.state not in {"pending", "disconnected"}:
        who = f" ({clean(status.identity.title)})" if status.identity and status.identity.title else ""
        confirm(f"Disconnect {key}{who}?", yes=yes)
    done = session.core.call(lambda: session.core.disconnect(key))
    if session.json:
        emit({"told": done.told, "revoked": list(done.revoked), "may_live": list(done.may_live)})
        return
    out(clean(done.told, 2000))


def _would(session: Session, key: ConnectionKey) -> None:
    """Say what a disconnect would do; nothing is changed, and no provider asked."""
    from valetkey.engine.consequences import of_disconnect  # noqa: PLC0415

    record = session.core.store.load(key)
    if record is None:
        msg = f"there is no connection {key}"
        raise Stop(msg, code="connection_unknown", hint="see: valetkey connections")
    found = of_disconnect(session.core.world, record)
    if session.json:
        emit({"would": found.to_object()})
        return
    for line in found.lines:
        out(clean(f"{line.text}{'' if line.text.endswith('.') else '.'} {line.more}", 2000))
