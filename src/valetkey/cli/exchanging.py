"""``valetkey exchange``: exchange a token for one that is for another service (RFC 8693)."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final

import click

from valetkey.cli.commands import command, credential_argument, pass_session, whose
from valetkey.cli.completion import complete_credentials, complete_token_types
from valetkey.cli.exits import Stop
from valetkey.cli.output import ahead, emit
from valetkey.cli.prompts import ask_hidden, read_file
from valetkey.cli.session import Session
from valetkey.cli.shapes import of_status
from valetkey.cli.terminal import is_terminal, out, say
from valetkey.errors import clean
from valetkey.values import Secret

if TYPE_CHECKING:
    from valetkey.client import OAuth2Client
    from valetkey.model.connections import ConnectionKey, Status

_NEVER_ARGUMENT: Final = (
    "a token is never an argument, for others can read command lines: name a connection with --from, "
    "give --subject-file, or let it come on stdin"
)


@command(
    "exchange",
    json=True,
    makes_store=True,
    examples=(
        "valetkey exchange billing --from notes --owner ada --audience billing",
        "pass show api-token | valetkey exchange billing --audience billing",
        "valetkey exchange billing --subject-file id.jwt --subject-type id_token",
        "valetkey exchange billing --from notes --header | curl -sH @- https://...",
    ),
)
@credential_argument
@click.option(
    "--from",
    "subject",
    metavar="NAME",
    shell_complete=complete_credentials,
    help="Whose token is exchanged: the owner's connection under NAME.",
)
@click.option("--from-account", metavar="LABEL", default="", help="Which of several accounts of it.")
@click.option("--subject-file", metavar="FILE", help='The token to exchange; "-" is stdin, as without it.')
@click.option(
    "--subject-type",
    metavar="TYPE",
    default="access_token",
    show_default=True,
    shell_complete=complete_token_types,
    help="What that is: access_token, id_token, jwt..., or a URI.",
)
@click.option(
    "--actor", metavar="NAME", shell_complete=complete_credentials, help="Who acts for them: a connection under NAME."
)
@click.option("--actor-account", metavar="LABEL", default="", help="Which of several accounts of it.")
@click.option("--actor-file", metavar="FILE", help='The token of who acts; "-" is stdin.')
@click.option(
    "--actor-type",
    metavar="TYPE",
    default="access_token",
    show_default=True,
    shell_complete=complete_token_types,
    help="What that is.",
)
@click.option("--audience", metavar="NAME", multiple=True, help="The service it is for; may be given again.")
@click.option("--resource", metavar="URL", multiple=True, help="Its address (RFC 8707); may be given again.")
@click.option("--scope", "scopes", metavar="SCOPE", multiple=True, help="Ask for this too; may be given again.")
@click.option(
    "--requested-type",
    metavar="TYPE",
    default="",
    shell_complete=complete_token_types,
    help="The type to ask for; otherwise the server's choice.",
)
@whose
@click.option("--token", "as_token", is_flag=True, help="Print the new token alone.")
@click.option("--header", "as_header", is_flag=True, help='Print the line "Authorization: Bearer ...".')
@pass_session
def exchange(
    session: Session,
    /,
    *,
    name: str,
    subject: str | None,
    from_account: str,
    subject_file: str | None,
    actor: str | None,
    actor_account: str,
    actor_file: str | None,
    owner: str | None,
    account: str,
    as_token: bool,
    as_header: bool,
    **wish: Any,
) -> None:
    """Exchange a token for one that is for another service, under the credential NAME (RFC 8693).

    What is got is a connection of its own: the same call finds it again and asks nobody, and one that came --from a
    connection is exchanged again when its token has ended.  Without --from, the token is read from --subject-file or
    stdin, or asked for without showing it.
    """
    _check(subject, from_account, subject_file, actor, actor_account, actor_file)
    if as_token and as_header:
        msg = "--token and --header are two ways to print it: choose one."
        raise click.UsageError(msg)
    session.credential(name)
    subjects = _party(session, subject, owner, from_account) or _given("The token to exchange", subject_file)
    actors = _party(session, actor, owner, actor_account) or (_given("", actor_file) if actor_file else None)
    client, key = _exchanged(session, name, subjects, actors, owner=owner, account=account, **wish)
    if as_token or as_header:
        _print_token(session, key, as_header=as_header)
        return
    _tell(session, key, client.status())


exchange.allow_extra_args = True  # click's own refusal would repeat what may be a token


def _check(
    subject: str | None,
    from_account: str,
    subject_file: str | None,
    actor: str | None,
    actor_account: str,
    actor_file: str | None,
) -> None:
    """Refuse what contradicts itself, before anything is read.

    Raises:
        click.UsageError: It does.
    """
    context = click.get_current_context()
    if context.args:
        raise click.UsageError(_NEVER_ARGUMENT, context)
    sides = (
        ("--from", subject, "--subject-file", subject_file, "--from-account", from_account),
        ("--actor", actor, "--actor-file", actor_file, "--actor-account", actor_account),
    )
    for by_name, named, by_file, file, label, account in sides:
        if named is not None and file is not None:
            msg = f"{by_name} and {by_file} both say whose token it is: choose one."
            raise click.UsageError(msg)
        if account and named is None:
            msg = f"{label} belongs to {by_name}."
            raise click.UsageError(msg)
    if actor_file == "-" and subject is None and subject_file in {None, "-"}:
        msg = "stdin is for one of the two tokens: give the other as a file, or name its connection."
        raise click.UsageError(msg)


def _party(session: Session, name: str | None, owner: str | None, account: str) -> OAuth2Client | None:
    """Return a client for the connection that is named, if one is."""
    return session.client(name, owner, account) if name is not None else None


def _given(prompt: str, path: str | None) -> Secret:
    """Read a token from a file, stdin or the person.

    Raises:
        Stop: There is none (``entry_empty``), or it is no one word (``token_malformed``).
    """
    text = (ask_hidden(prompt) if path is None else read_file(path)).strip()
    where = "what was entered" if path is None else "stdin" if path == "-" else clean(path, 200)
    if not text:
        msg = f"a token is needed, and {where} is empty"
        raise Stop(msg, code="entry_empty", hint="name a connection with --from, or give --subject-file")
    if not text.isprintable() or " " in text:
        msg = f"a token is one word, and {where} is not"
        raise Stop(msg, code="token_malformed", hint='give the token alone: no "Bearer", no JSON around it')
    return Secret(text)


def _exchanged(
    session: Session, name: str, subject: Any, actor: Any, *, owner: str | None, account: str, **wish: Any
) -> tuple[OAuth2Client, ConnectionKey]:
    """Exchange in a flight, which Ctrl-C does not end, and return what was got."""
    from valetkey.trading import wish_of  # noqa: PLC0415 - most commands exchange nothing

    wanted = wish_of(actor=actor, **wish)
    key = session.core.call(lambda: session.desk.exchange(name, subject, actor, wanted, owner, account))
    return session.client(key.credential, key.owner, key.account), key


def _print_token(session: Session, key: ConnectionKey, *, as_header: bool) -> None:
    held = session.core.source(key).get()
    held.ensure_bearer()
    if session.json:
        found = {"access_token": held.secret.reveal(), "token_type": "Bearer", "header": held.form}
        emit(
            {**found, "expires_at": held.end, "granted": list(held.granted), "account": key.account, "owner": key.owner}
        )
    elif as_header:
        out(f"{held.carrier}: {held.header}")
    else:
        sys.stdout.write(held.secret.reveal() + "\n" * is_terminal(sys.stdout))


def _tell(session: Session, key: ConnectionKey, status: Status) -> None:
    from valetkey.engine.trouble import request_command  # noqa: PLC0415

    if session.json:
        emit({"connection": of_status(status)})
        return
    granted = f" Granted: {clean(', '.join(status.granted))}." if status.granted else ""
    now = session.core.clock.now()
    ends = f" Ends {ahead(status.expires_at, now)}{_after(status)}." if status.expires_at is not None else ""
    out(f"Exchanged.{granted}{ends}")
    say(f"  -> {request_command(key)} URL")


def _after(status: Status) -> str:
    return ", and is exchanged again then" if status.refreshable else ""
