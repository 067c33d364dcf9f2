"""``valetkey app register`` and ``valetkey app registration``: apps that register themselves (RFC 7591, RFC 7592)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from valetkey.cli.commands import command, credential_argument, group, pass_session
from valetkey.cli.output import emit, facts, moment
from valetkey.cli.prompts import confirm
from valetkey.cli.session import Session
from valetkey.cli.terminal import out, say
from valetkey.errors import clean

if TYPE_CHECKING:
    from valetkey.engine.registrations import Registered
    from valetkey.model.credentials import OAuth2Credential


def _pairs(_: click.Context, __: click.Parameter, values: Sequence[str]) -> dict[str, Any]:
    pairs = {name: text for name, _, text in (value.partition("=") for value in values)}
    if not all(pairs):
        msg = 'write NAME=VALUE, such as client_name="Notes"; nothing behind the = removes a member'
        raise click.BadParameter(msg)
    return {name: _value(name, text) for name, text in pairs.items()}


def _value(name: str, text: str) -> Any:
    """Return a member's value: a list or an object where it begins as one in JSON, else the text; None where empty."""
    if not text.startswith(("[", "{")):
        return text or None
    try:
        return json.loads(text)
    except ValueError:
        msg = f"{name} begins like a list or an object, and is no JSON: write {name}='[\"ops@example.com\"]'"
        raise click.BadParameter(msg) from None


@command(
    "register",
    json=True,
    makes_store=True,
    examples=("valetkey app register notes", "valetkey app register notes --redirect-uri https://app.example.com/back"),
)
@credential_argument
@click.option(
    "--redirect-uri", "redirect_uris", metavar="URL", multiple=True, help="Where answers come; may be given again."
)
@pass_session
def register(session: Session, *, name: str, redirect_uris: tuple[str, ...]) -> None:
    """Have the app of a credential register itself at its server (RFC 7591).

    Connecting does so by itself where registration is dynamic and nobody added an app.  What the server gives is stored
    sealed.  An app that has registered before gets a new client id, so that its connections have to be made anew.
    """
    from valetkey.cli.apps import redirect_uri_of  # noqa: PLC0415
    from valetkey.engine.registering import register as do  # noqa: PLC0415 - not for --help

    credential = session.credential(name)
    uris = redirect_uris or tuple(uri for uri in (redirect_uri_of(credential),) if uri)
    made = do(session.core.world, session.core.env, credential, uris)
    _tell(session, credential, made, f"Registered the app of {credential.name}.")


@group("registration")
def registration() -> None:
    """See, change and delete what an app registered (RFC 7592)."""


@registration.command("show", json=True, examples=("valetkey app registration show notes",))
@credential_argument
@pass_session
def show(session: Session, *, name: str) -> None:
    """Ask the server what it has of the app, and keep what it says: also a new secret."""
    from valetkey.engine.registering import read  # noqa: PLC0415

    credential = session.credential(name)
    _tell(session, credential, read(session.core.world, session.core.env, credential), "")


@registration.command(
    "update",
    json=True,
    examples=("valetkey app registration update notes", 'valetkey app registration update notes --set client_name="X"'),
)
@credential_argument
@click.option(
    "--set", "changes", metavar="NAME=VALUE", multiple=True, callback=_pairs, help="Change a member; NAME= removes it."
)
@pass_session
def update(session: Session, *, name: str, changes: dict[str, Any]) -> None:
    """Send the server all that it has of the app, changed where --set says so; it may give a new secret with it."""
    from valetkey.engine.registering import update as do  # noqa: PLC0415

    credential = session.credential(name)
    made = do(session.core.world, session.core.env, credential, changes)
    _tell(session, credential, made, f"Updated the registration of {credential.name}.")


@registration.command("delete", json=True, examples=("valetkey app registration delete notes",))
@credential_argument
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@pass_session
def delete(session: Session, *, name: str, yes: bool) -> None:
    """Delete the app at its server, and here.  The server may end everything that was connected with it."""
    from valetkey.engine.registering import delete as do  # noqa: PLC0415

    credential = session.credential(name)
    confirm(f"Delete the registration of {credential.name}, and perhaps all its connections?", yes=yes)
    there = do(session.core.world, session.core.env, credential)
    if session.json:
        emit({"deleted": credential.name, "at_server": there})
        return
    out(f"Deleted the registration of {credential.name}.")
    if not there:
        say("It was deleted here only: its server gave no address to delete it at.")


def _tell(session: Session, credential: OAuth2Credential, made: Registered, done: str) -> None:
    """Tell what the server has: no secret among it."""
    known = made.registration
    if session.json:
        emit(
            {
                "registration": {
                    "name": credential.name,
                    "issuer": made.issuer or None,
                    "client_id": known.client_id,
                    "client_auth": known.client_auth,
                    "secret_ends_at": known.secret_ends_at,
                    "manageable": bool(known.management_url and known.token),
                    "metadata": dict(known.metadata),
                }
            }
        )
        return
    if done:
        out(done)
    facts(
        {
            "client id": clean(known.client_id),
            "issuer": made.issuer,
            "proves itself by": known.client_auth,
            "secret ends": moment(known.secret_ends_at) if known.secret_ends_at else "",
            "redirect URIs": " ".join(map(clean, known.redirect_uris)),
            "name": clean(str(known.metadata.get("client_name", ""))),
            "scopes": clean(str(known.metadata.get("scope", ""))),
            "managed at": known.management_url,
        }
    )
