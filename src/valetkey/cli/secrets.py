"""``valetkey secret``: the secrets of the program, sealed in the store."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

import click

from valetkey.cli.commands import group, pass_session
from valetkey.cli.exits import Stop
from valetkey.cli.output import Column, Table, emit
from valetkey.cli.prompts import ask_hidden, confirm
from valetkey.cli.session import Session
from valetkey.cli.terminal import is_terminal, out, say
from valetkey.errors import clean

if TYPE_CHECKING:
    from valetkey.engine.secrets import StoreSecrets


@group("secret")
def secret() -> None:
    """Set, list and delete secrets: app credentials, and what a program declared with wire_secret().

    A value is never an argument: it is asked for, or comes on stdin.
    """


@secret.command(
    "set",
    json=True,
    makes_store=True,
    examples=("valetkey secret set stripe-webhook", "openssl rand -hex 32 | valetkey secret set stripe-webhook"),
)
@click.argument("secret_id", metavar="ID")
@pass_session
def set_(session: Session, *, secret_id: str) -> None:
    """Store a secret, sealed; the one that was there is replaced.

    Where a schema is declared, the value is a JSON object that has to fit it.
    """
    if click.get_current_context().args:
        msg = "the value is never an argument, for others can read command lines: it is asked for, or comes on stdin"
        raise click.UsageError(msg, click.get_current_context())
    value = ask_hidden(f"Value of {secret_id} (hidden)")
    if not value:
        msg = "the value is empty"
        raise Stop(msg, code="entry_empty", hint=f"to remove it: valetkey secret delete {secret_id}")
    text = _checked(session, secret_id, value)
    session.desk.secrets().set(secret_id, text)
    fingerprint = session.core.vault.fingerprint(text)
    if session.json:
        emit({"id": secret_id, "fingerprint": fingerprint})
        return
    out(f'Stored, sealed, as secret "{clean(secret_id)}" (fingerprint {fingerprint}).')


set_.allow_extra_args = True  # click's own refusal would repeat the value


@secret.command(
    "get",
    json=True,
    examples=("valetkey secret get stripe-webhook", "valetkey secret get stripe-webhook --reveal > webhook.key"),
)
@click.argument("secret_id", metavar="ID")
@click.option("--reveal", is_flag=True, help="Print the value itself.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask before printing it to a terminal.")
@pass_session
def get(session: Session, *, secret_id: str, reveal: bool, yes: bool) -> None:
    """Print the fingerprint of a secret; with --reveal the value itself."""
    value = session.desk.secrets().get(secret_id)
    if value is None:
        msg = f'there is no secret "{clean(secret_id)}"'
        raise Stop(msg, code="secret_missing", hint="see: valetkey secret list")
    if reveal and is_terminal(sys.stdout):
        confirm(f"Show {clean(secret_id)} on this terminal?", yes=yes)
    fingerprint = session.core.vault.fingerprint(value)
    if session.json:
        emit({"id": secret_id, "fingerprint": fingerprint, **({"value": value} if reveal else {})})
    elif reveal:
        sys.stdout.write(value + "\n" * is_terminal(sys.stdout))
    else:
        out(fingerprint)


@secret.command("list", json=True, examples=("valetkey secret list",))
@pass_session
def list_(session: Session) -> None:
    """List the ids of the secrets in the store, those that are declared and not set among them.  Never a value."""
    from valetkey.engine.secrets import StoreSecrets  # noqa: PLC0415

    core = session.core
    stored = StoreSecrets(getattr(core.store, "ledger", core.store), core.vault, core.env)
    rows = _rows(session, stored)
    if session.json:
        emit({"secrets": rows})
        return
    if not rows:
        say("There are no secrets yet.")
        return
    table = Table((Column("ID"), Column("SET"), Column("FINGERPRINT"), Column("WHAT", shrinks=True)))
    for row in rows:
        table.add(row["id"], "yes" if row["set"] else "no", row["fingerprint"] or "", clean(row["what"]))
    table.write()


@secret.command("delete", json=True, examples=("valetkey secret delete stripe-webhook",))
@click.argument("secret_id", metavar="ID")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@pass_session
def delete(session: Session, *, secret_id: str, yes: bool) -> None:
    """Delete a secret from the store."""
    service = session.desk.secrets()
    there = service.get(secret_id) is not None
    if there:
        confirm(f"Delete the secret {clean(secret_id)}?", yes=yes)
    service.delete(secret_id)
    if session.json:
        emit({"id": secret_id, "deleted": there})
        return
    out(f'Deleted "{clean(secret_id)}".' if there else f'There is no secret "{clean(secret_id)}".')


def _checked(session: Session, secret_id: str, value: str) -> str:
    """Return the text to store: for a declared secret, what its schema makes of the value."""
    from valetkey.engine.secrets import encode_secret  # noqa: PLC0415

    schema = _schema_of(session, secret_id)
    if schema is None:
        return value
    try:
        members: object = json.loads(value)
    except ValueError:
        members = None
    if not isinstance(members, Mapping):
        fields = ", ".join(getattr(schema, "__dataclass_fields__", {})) or getattr(schema, "__name__", "its schema")
        msg = f'the secret "{clean(secret_id)}" is declared as an object, and this is no JSON object'
        raise Stop(msg, code="secret_invalid", hint=f"enter a JSON object with: {fields}")
    return encode_secret(schema, cast("Mapping[str, Any]", members), name=secret_id)


def _schema_of(session: Session, secret_id: str) -> Any:
    from valetkey.model.credentials import AppCredentials  # noqa: PLC0415

    declared = session.declared_secret(secret_id)
    if declared is not None:
        return declared.schema
    app_ids = {credential.secret_id for credential in session.core.credentials()}
    return AppCredentials if secret_id in app_ids else None


def _rows(session: Session, stored: StoreSecrets) -> list[dict[str, Any]]:
    what = {c.secret_id: f"app of {c.name}" for c in session.core.credentials()}
    declared = (*session.core.declarations.file.secrets(), *session.core.declarations.wiring.secrets())
    what |= {one.secret_id: one.description or one.display_name for one in declared}
    there = {secret_id: stored.get(secret_id) for secret_id in stored.ids()}
    vault = session.core.vault
    return [
        {
            "id": secret_id,
            "set": secret_id in there,
            "fingerprint": vault.fingerprint(there[secret_id] or "") if secret_id in there else None,
            "what": what.get(secret_id, ""),
        }
        for secret_id in sorted({*there, *what})
    ]
