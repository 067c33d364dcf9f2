"""``valetkey app``: the apps that were registered at providers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import click

from valetkey.cli.adding import add
from valetkey.cli.app_keys import key_members, key_words, keys_shown, make_key, use_key
from valetkey.cli.commands import credential_argument, group, pass_session
from valetkey.cli.output import Column, Table, count, emit, facts, span
from valetkey.cli.prompts import confirm
from valetkey.cli.registering import register, registration
from valetkey.cli.replacing import ends, health_facts, health_members, replace
from valetkey.cli.session import Session
from valetkey.cli.terminal import out, say
from valetkey.errors import ConfigurationError, clean
from valetkey.model.connections import Query

if TYPE_CHECKING:
    from valetkey.model.credentials import AppCredentials, OAuth2Credential

_COUNTED: Final = 1000
_FROM: Final = {"code": "the program", "file": "valetkey.toml", "command": "this command", "console": "the console"}


@group("app")
def app() -> None:
    """Add, list, show and remove the apps that you registered at providers.

    An app is a client id, and mostly a client secret, that a provider gave you.  Without one nobody can connect.
    """


app.add_command(add)
app.add_command(replace)
app.add_command(ends)
app.add_command(register)
app.add_command(registration)
app.add_command(make_key)
app.add_command(use_key)


@app.command(
    "list", json=True, examples=("valetkey app list", "valetkey app list --env prod --json | jq '.apps[].name'")
)
@pass_session
def list_(session: Session) -> None:
    """List all declared credentials with their apps."""
    declared = session.core.credentials()
    if session.json:
        emit({"apps": [_members(session, credential) for credential in declared]})
        return
    if not declared:
        say("Nothing is declared yet.")
        say("  -> valetkey app add github, or valetkey providers list")
        return
    columns = (
        Column("NAME"),
        Column("PROVIDER", shrinks=True),
        Column("DECLARED IN"),
        Column("CLIENT ID", shrinks=True),
        Column("SECRET"),
        Column("CONNECTIONS"),
    )
    table = Table(columns)
    for credential in declared:
        members = _members(session, credential)
        table.add(
            credential.name,
            clean(credential.display_name),
            _FROM[credential.source],
            members["client_id"] or f"none: {members['error']}",
            members["secret"] or "",
            str(members["connections"]),
        )
    table.write()


@app.command("show", json=True, examples=("valetkey app show github",))
@credential_argument
@pass_session
def show(session: Session, *, name: str) -> None:
    """Show a credential: its endpoints, its app and how that is, and the redirect URI to register.

    The client secret is never shown: only a fingerprint, by which to see whether two are the same.  A key is
    shown by its id and algorithm.
    """
    from valetkey.apps import health_of  # noqa: PLC0415

    credential = session.credential(name)
    members, keys = _members(session, credential), keys_shown(session, credential)
    if session.json:
        shown_keys = [key_members(key) for key in keys]
        emit({"app": {**members, **health_members(health_of(session.core, credential)), "keys": shown_keys}})
        return
    out(f"{credential.name}: {clean(credential.display_name)}")
    if credential.description:
        out(clean(credential.description))
    facts(
        {
            "declared in": _FROM[credential.source],
            "preset": credential.preset,
            "client id": members["client_id"] or "none: run valetkey app add " + credential.name,
            "client secret": _fingerprint(members["secret"]) or _without_secret(credential, members["client_id"]),
            "key": key_words(keys),
            "certificate": _certificate_words(session, credential),
            "from": members["from"],
            **health_facts(health_of(session.core, credential), session.core.clock.now()),
            "redirect URI": members["redirect_uri"],
            "issuer": credential.issuer,
            "authorization": credential.authorization_url,
            "token": credential.token_url,
            "device": credential.device_authorization_url,
            "revocation": credential.revocation_url,
            "scopes": " ".join(credential.all_scopes),
            "API": credential.api_base_url,
            "API hosts": " ".join(members["api_hosts"]),
            "connections": str(members["connections"]),
        }
    )


def _fingerprint(secret: str | None) -> str:
    return f"fingerprint {secret}" if secret else ""


def _without_secret(credential: OAuth2Credential, client_id: str | None) -> str:
    if not client_id:
        return ""
    return "none: a public client" if credential.client_auth == "none" else f"none: {credential.client_auth}"


def _certificate_words(session: Session, credential: OAuth2Credential) -> str:
    from valetkey.protocol.certificates import read_certificate, uses_certificate  # noqa: PLC0415

    app, _ = _app_of(session, credential)
    if app is None or not uses_certificate(credential):
        return ""
    try:
        found = read_certificate(credential, app)
    except ConfigurationError as error:
        return str(error)
    left = found.not_after - session.core.clock.now()
    ends = f"ends in {span(left)}" if left > 0 else "it has ended"
    return f"{clean(found.subject, 100)}, x5t#S256 {found.thumbprint}, {ends}"


@app.command("remove", json=True, examples=("valetkey app remove github",))
@credential_argument
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@pass_session
def remove(session: Session, *, name: str, yes: bool) -> None:
    """Remove an app's client id and secret from the store.

    Its declaration goes too, once nothing is connected under it, unless it stands in valetkey.toml.  Connections stay:
    without their app they cannot be refreshed, so disconnect them first.
    """
    credential = session.credential(name)
    number = used_by(session, credential.name)
    question = f"Remove the app of {credential.name}?"
    if number:
        used = f"{count(number, 'connection')} {'uses' if number == 1 else 'use'} it"
        question = f"{used} and could not be refreshed any more. {question}"
    confirm(question, yes=yes)
    from valetkey.engine.app_keys import next_key_id  # noqa: PLC0415
    from valetkey.engine.app_replacing import forget_secrets  # noqa: PLC0415

    session.core.secret_service.delete(credential.secret_id)
    session.core.secret_service.delete(next_key_id(credential))
    forget_secrets(session.core.world, session.core.env, credential)
    kept = any(
        wiring.get(name) is not None for wiring in (session.core.declarations.wiring, session.core.declarations.file)
    )
    forgotten = not kept and not number and _forget(session, credential.name)
    if session.json:
        emit({"removed": credential.secret_id, "declaration_removed": forgotten, "connections": number})
        return
    out(f'Removed the secret "{credential.secret_id}"' + (" and the declaration." if forgotten else "."))
    if kept:
        say(f"{credential.name} is still declared in {_FROM[credential.source]}.")


def _forget(session: Session, name: str) -> bool:
    from valetkey.declarations import DECLARATION  # noqa: PLC0415

    return session.core.store.delete_document(DECLARATION, name, env=session.core.env)


def _members(session: Session, credential: OAuth2Credential) -> dict[str, Any]:
    """Return what is told of a credential and its app: no secret among it."""
    from valetkey.protocol.urls import allowed_hosts  # noqa: PLC0415

    app, error = _app_of(session, credential)
    secret = app.client_secret if app is not None else None
    return {
        "name": credential.name,
        "display_name": credential.display_name,
        "preset": credential.preset or None,
        "source": credential.source,
        "secret_id": credential.secret_id,
        "client_id": app.client_id if app is not None else None,
        "secret": session.core.vault.fingerprint(secret.reveal()) if secret else None,
        "from": _place_of(session, credential, app),
        "error": error or None,
        "redirect_uri": redirect_uri_of(credential),
        "authorization_url": credential.authorization_url or None,
        "token_url": credential.token_url or None,
        "issuer": credential.issuer or None,
        "scopes": list(credential.all_scopes),
        "api_hosts": list(allowed_hosts(credential)),
        "per_owner": credential.per_owner,
        "connections": used_by(session, credential.name),
    }


def _app_of(session: Session, credential: OAuth2Credential) -> tuple[AppCredentials | None, str]:
    try:
        return session.core.app(credential), ""
    except ConfigurationError as error:
        return None, "no app yet" if error.code == "app_missing" else str(error)


def _place_of(session: Session, credential: OAuth2Credential, app: AppCredentials | None) -> str:
    from valetkey.app_files import set_variables  # noqa: PLC0415
    from valetkey.app_source import may_register  # noqa: PLC0415

    if app is None:
        return ""
    variables = set_variables(credential.name)
    if not variables and may_register(session.core, credential):
        kept = session.core.secret_service.get(credential.secret_id)
        return f'the secret "{credential.secret_id}"' if kept else "its registration at the server"
    return " and ".join(f"the variable {name}" for name in variables) or f'the secret "{credential.secret_id}"'


def redirect_uri_of(credential: OAuth2Credential) -> str:
    """Return the redirect URI that connecting on this machine uses; empty where there is none."""
    from valetkey.connecting import DEFAULT_PORT, loopback_place  # noqa: PLC0415
    from valetkey.errors import ConnectError  # noqa: PLC0415

    if not credential.signs_in:
        return ""
    try:
        return credential.redirect_uri or loopback_place(credential, None).uri(DEFAULT_PORT)
    except ConnectError:
        return ""


def used_by(session: Session, name: str) -> int:
    """Return how many connections hold tokens under a credential; it stops counting at 1,000."""
    found, cursor = 0, None
    while found < _COUNTED:
        page = session.core.store.list(Query(env=session.core.env, credential=name), cursor=cursor, limit=200)
        found += sum(record.sealed is not None for record in page.items)
        cursor = page.cursor
        if cursor is None:
            break
    return found
