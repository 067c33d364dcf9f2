"""``valetkey api-key``: the keys with which programs call the REST API."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final

import click

from valetkey.cli.commands import group, pass_session
from valetkey.cli.exits import Stop
from valetkey.cli.output import Column, Table, ago, ahead, emit
from valetkey.cli.prompts import confirm
from valetkey.cli.session import Session
from valetkey.cli.terminal import out, say
from valetkey.errors import clean

if TYPE_CHECKING:
    from valetkey.engine.api_keys import ApiKey, ApiKeys

_SCOPES: Final = ("read", "read_secret", "refresh", "connect", "manage")
_DAY: Final = 86400.0


@group("api-key")
def api_key() -> None:
    """Make, list and revoke the keys with which programs call the REST API.

    A key is shown once, when it is made; of its secret only a hash is kept.  It is good in one environment, for its
    scopes, and within its limits.  The master key of the store is another thing: "valetkey key".
    """


@api_key.command(
    "add",
    json=True,
    makes_store=True,
    examples=(
        "valetkey api-key add status-page --scope read --no-identities",
        "valetkey api-key add crm --scope read --credential hubspot --days 90",
        "valetkey api-key add sync --scope read_secret | vault kv put kv/sync key=-",
    ),
)
@click.argument("name")
@click.option(
    "--scope", "scopes", type=click.Choice(_SCOPES), multiple=True, required=True, help="What it may do; repeatable."
)
@click.option("--owner", "owners", metavar="ID", multiple=True, help="Only of this owner; may be given again.")
@click.option("--credential", "credentials", metavar="NAME", multiple=True, help="Only under this; may be given again.")
@click.option("--network", "networks", metavar="CIDR", multiple=True, help="Only from there; may be given again.")
@click.option("--no-identities", is_flag=True, help="Not who people are at the provider.")
@click.option("--rate", type=click.IntRange(1, 100_000), default=600, show_default=True, help="Calls a minute.")
@click.option("--days", type=click.IntRange(1, 36_500), metavar="N", help="Ends after so many; default: never.")
@pass_session
def add(
    session: Session,
    *,
    name: str,
    scopes: tuple[str, ...],
    owners: tuple[str, ...],
    credentials: tuple[str, ...],
    networks: tuple[str, ...],
    no_identities: bool,
    rate: int,
    days: int | None,
) -> None:
    """Make a key and print it, alone, to stdout: this once.

    NAME is for people: what uses the key.  No scope includes another.
    """
    made, secret = _keys(session).add(
        name,
        scopes,
        owners=owners,
        credentials=credentials,
        networks=networks,
        rate=rate,
        identities=not no_identities,
        life=None if days is None else days * _DAY,
        by="command",
    )
    if session.json:
        emit({"api_key": {**_members(made), "key": secret.reveal()}})
        return
    out(secret.reveal())
    sys.stdout.flush()
    say(f"This is the only time that the key of {clean(made.name)} is shown; it may {', '.join(made.scopes)}.")
    say(f"  -> to take it back: valetkey api-key revoke {made.id}")


@api_key.command("list", json=True, examples=("valetkey api-key list",))
@pass_session
def list_(session: Session) -> None:
    """List the keys, those that ended lately among them.  Never a key itself."""
    found = _keys(session).list()
    if session.json:
        emit({"api_keys": [_members(key) for key in found]})
        return
    if not found:
        say("There are no API keys yet.")
        say("  -> valetkey api-key add NAME --scope read")
        return
    now = session.core.clock.now()
    table = Table(
        (
            Column("ID"),
            Column("NAME", shrinks=True),
            Column("MAY"),
            Column("LIMITED TO", shrinks=True, optional=True),
            Column("LAST USED"),
            Column("ENDS"),
        )
    )
    for key in found:
        ends = "ended" if key.ended(now) else ahead(key.ends_at, now) or "never"
        used = ago(key.last_used_at, now) or "never"
        table.add(key.id, clean(key.name), ", ".join(key.scopes), clean(_limits(key)), used, ends)
    table.write()


@api_key.command("revoke", json=True, examples=("valetkey api-key revoke 8f3a41c0",))
@click.argument("key_id", metavar="ID")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@pass_session
def revoke(session: Session, *, key_id: str, yes: bool) -> None:
    """Revoke a key: from now on no server takes it.

    ID is as in the list, or the beginning of the key as it is shown: vk_8f3a41c0.
    """
    keys = _keys(session)
    wanted = key_id.removeprefix("vk_").partition("_")[0]
    found = next((key for key in keys.list() if key.id == wanted), None)
    if found is None:
        msg = f'there is no API key "{clean(wanted, 60)}"'
        raise Stop(msg, code="api_key_unknown", hint="see: valetkey api-key list")
    confirm(f"Revoke the API key of {clean(found.name)}?", yes=yes)
    keys.revoke(wanted, by="command")
    if session.json:
        emit({"api_key": _members(found), "revoked": True})
        return
    out(f"Revoked the API key of {clean(found.name)}.")


def _keys(session: Session) -> ApiKeys:
    from valetkey.engine.api_keys import ApiKeys  # noqa: PLC0415 - not for --help

    return ApiKeys(session.core.store, session.core.clock, session.core.env)


def _limits(key: ApiKey) -> str:
    parts = [f"owner {', '.join(key.owners)}"] if key.owners else []
    parts += [", ".join(key.credentials)] if key.credentials else []
    parts += [f"from {', '.join(key.networks)}"] if key.networks else []
    parts += [] if key.identities else ["no identities"]
    return "; ".join(parts)


def _members(key: ApiKey) -> dict[str, Any]:
    return {
        "id": key.id,
        "name": key.name,
        "scopes": list(key.scopes),
        "owners": list(key.owners),
        "credentials": list(key.credentials),
        "networks": list(key.networks),
        "rate": key.rate,
        "identities": key.identities,
        "created_at": key.created_at,
        "created_by": key.created_by,
        "ends_at": key.ends_at,
        "last_used_at": key.last_used_at,
    }
