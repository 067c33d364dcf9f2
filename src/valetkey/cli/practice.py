"""``valetkey practice``: try everything against a provider on this machine."""

from __future__ import annotations

import shlex
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import click

from valetkey.cli.commands import command, pass_session
from valetkey.cli.connecting import sentence
from valetkey.cli.exits import Stop
from valetkey.cli.session import Session
from valetkey.cli.terminal import out, paint, say
from valetkey.errors import ConfigurationError
from valetkey.model.connections import ConnectionKey, Document, Query

if TYPE_CHECKING:
    from valetkey.model.credentials import OAuth2Credential
    from valetkey.testing import PracticeProvider

NAME: Final = "practice"
_SCOPES: Final = ("notes.read", "notes.write")
_SLICE: Final = 0.5


@command(
    NAME,
    makes_store=True,
    examples=(
        "valetkey practice                  # and in another terminal, what it says",
        "valetkey practice --lifetime 90    # watch tokens being refreshed",
        "valetkey practice --once           # walk through it all by itself",
    ),
)
@click.option("--port", type=click.IntRange(0, 65535), default=0, metavar="N", help="Its port; a free one otherwise.")
@click.option(
    "--lifetime",
    type=click.IntRange(1, 86400),
    default=3600,
    show_default=True,
    metavar="SECONDS",
    help="How long its access tokens live.",
)
@click.option("--auto-approve", is_flag=True, help="Consent without showing the page.")
@click.option("--once", is_flag=True, help="Connect, call, refresh, disconnect by itself, and end.")
@pass_session
def practice(session: Session, *, port: int, lifetime: int, auto_approve: bool, once: bool) -> None:
    """Run an OAuth provider with a small API on 127.0.0.1, to try everything without an account anywhere.

    It declares the credential "practice" and adds its app.  All it knows is in memory: when it ends, it takes the
    credential and its connections along.
    """
    from valetkey.testing import PracticeProvider  # noqa: PLC0415

    provider = PracticeProvider(
        port=port, access_token_lifetime=lifetime, auto_approve=auto_approve or once, device_interval=1
    )
    with _listening(provider, port), _declared(session, provider) as credential:
        if once:
            _walk_through(session, provider, credential)
            return
        _say_what_next(session, provider)
        while True:  # in slices: an endless wait cannot be interrupted on every system
            threading.Event().wait(_SLICE)


@contextmanager
def _listening(provider: PracticeProvider, port: int) -> Generator[None]:
    try:
        provider.start()
    except OSError as error:
        msg = f"port {port} cannot be had: {error.strerror}"
        raise Stop(msg, code="port_in_use", hint="choose another --port, or leave it away") from error
    try:
        yield
    finally:
        provider.stop()


@contextmanager
def _declared(session: Session, provider: PracticeProvider) -> Generator[OAuth2Credential]:
    """Declare the credential with its app, and take away all that came of it."""
    from valetkey.declarations import DECLARATION  # noqa: PLC0415
    from valetkey.engine.secrets import encode_secret  # noqa: PLC0415
    from valetkey.model.credentials import AppCredentials  # noqa: PLC0415
    from valetkey.model.registry import declare  # noqa: PLC0415
    from valetkey.model.settings import to_declaration  # noqa: PLC0415
    from valetkey.testing.provider import DEFAULT_CLIENT_ID, DEFAULT_CLIENT_SECRET  # noqa: PLC0415

    core = session.core
    _refuse_taken(session)
    fields = {**provider.credential_fields(), "display_name": "The practice provider", "scopes": list(_SCOPES)}
    credential = declare(NAME, fields, source="command")
    app = {"client_id": DEFAULT_CLIENT_ID, "client_secret": DEFAULT_CLIENT_SECRET}
    core.secret_service.set(credential.secret_id, encode_secret(AppCredentials, app, name=credential.secret_id))
    body = {"source": "command", "fields": to_declaration(credential)}
    core.store.put_document(Document(kind=DECLARATION, env=core.env, id=NAME, body=body))
    try:
        yield credential
    finally:
        _erase_connections(session)
        core.secret_service.delete(credential.secret_id)
        core.store.delete_document(DECLARATION, NAME, env=core.env)


def _refuse_taken(session: Session) -> None:
    try:
        known = session.core.credential(NAME)
    except ConfigurationError as error:
        if error.code != "credential_unknown":
            raise
        return
    if known.source not in {"command", "console"}:
        msg = 'there is a credential "practice" of your own'
        hint = "practise in an environment of its own: valetkey practice --env practice"
        raise Stop(msg, code="name_taken", hint=hint)


def _erase_connections(session: Session) -> None:
    store = session.core.store
    while True:
        page = store.list(Query(env=session.core.env, credential=NAME), limit=200)
        for record in page.items:
            session.core.disconnect(record.key)
            gone = store.find(record.id)
            if gone is not None:
                store.delete(gone)
        if not page.items:
            return


def _say_what_next(session: Session, provider: PracticeProvider) -> None:
    options = [("--env", session.env), ("--store", session.store), ("--key", session.key)]
    more = "".join(f" {name} {shlex.quote(value)}" for name, value in options if value)
    out(f"A practice provider listens on {provider.url} (Ctrl-C ends it).")
    out("In another terminal:")
    out()
    for line in ("connect practice", "request practice /notes", "status", "events", "disconnect practice"):
        out(f"  valetkey {line}{more}")
    out()
    sys.stdout.flush()


def _walk_through(session: Session, provider: PracticeProvider, credential: OAuth2Credential) -> None:
    """Play it all through, with the provider playing the person."""
    from valetkey.engine.connect import finish_authorization, start_authorization  # noqa: PLC0415

    core = session.core
    key = ConnectionKey(core.env, NAME)
    uri = f"http://127.0.0.1:8421/callback/{NAME}"
    start = start_authorization(core.world, credential, key, scopes=(), redirect_uri=uri)
    finish_authorization(core.world, provider.approve(start.url), binding=start.binding)
    client = session.client(NAME, None, "")
    _step("connect", f"connected{sentence(credential, core.status(key), core.clock.now())}")
    answer = client.get("/me").raise_for_status()
    _step("request", f"GET /me answered {answer.status_code}")
    client.refresh()
    _step("refresh", f"{provider.refreshes} refresh, {provider.reuses} reuses of a refresh token")
    client.get("/notes").raise_for_status()
    _step("request", "GET /notes answered with the new token")
    done = core.call(lambda: core.disconnect(key))
    _step("disconnect", done.told)
    if provider.live_grants:
        msg = "the practice provider still knows a live grant"
        raise Stop(msg, code="grant_alive", status=1)
    say("Now by hand: valetkey practice")


def _step(what: str, told: str) -> None:
    out(f"{paint('ok', 'good')}  {what}: {told}")
