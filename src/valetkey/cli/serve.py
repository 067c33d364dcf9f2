"""``valetkey serve``: the console and the connect pages for others, and who may sign in there."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import click

from valetkey.cli.commands import group, pass_session, working_group
from valetkey.cli.exits import OK, STORE, Stop
from valetkey.cli.output import FORMAT_VERSION, Column, Table, ago, emit, emit_line
from valetkey.cli.prompts import ask_hidden, at_hand, confirm
from valetkey.cli.running import Terminated
from valetkey.cli.session import Session
from valetkey.cli.terminal import out, say
from valetkey.errors import clean

if TYPE_CHECKING:
    from valetkey.core import Core
    from valetkey.server.operators import Operator, Operators

_ADD: Final = "valetkey serve operator add NAME"
_COMMAND: Final = "the command"
"""Who did it, in the audit log."""


@working_group(
    "serve",
    examples=(
        "valetkey serve operator add mira@example.com",
        "valetkey serve --base-url https://connect.example.com    # behind a proxy",
        "valetkey serve --host 0.0.0.0 --base-url https://connect.example.com",
    ),
)
@click.option("--host", default="127.0.0.1", show_default=True, metavar="ADDRESS", help="Where it listens.")
@click.option("--port", type=click.IntRange(1, 65535), default=8421, show_default=True, metavar="N", help="Its port.")
@click.option("--base-url", metavar="URL", help="Its public address, with https; otherwise the one in the settings.")
@click.option(
    "--trust-proxy",
    default="127.0.0.1",
    show_default=True,
    metavar="ADDRESSES",
    help="The proxies whose X-Forwarded-For is believed.",
)
@pass_session
@click.pass_context
def serve(
    context: click.Context, session: Session, *, host: str, port: int, base_url: str | None, trust_proxy: str
) -> int:
    """Serve the console and the connect pages until Ctrl-C or SIGTERM.

    Beyond this machine it starts only with a public address in https, a master key, and an operator who may do
    everything.  TLS is the business of a proxy before it.
    """
    if context.invoked_subcommand is not None:
        return OK
    from valetkey.desk import Desk  # noqa: PLC0415 - none of this is for --help
    from valetkey.engine.public import addresses  # noqa: PLC0415
    from valetkey.server.app import application  # noqa: PLC0415
    from valetkey.server.serving import announced, listen  # noqa: PLC0415
    from valetkey.server.serving import serve as run  # noqa: PLC0415

    session.serves = True
    core = session.core
    base_url = base_url or addresses(core.store, core.env).public or None
    app = application(core, Desk(core), base_url=base_url)
    _demand_safe(core, host, base_url)
    try:
        listening = listen(host, port)
    except OSError as error:
        msg = f"{clean(host)} port {port} cannot be had: {error.strerror}"
        raise Stop(msg, code="port_in_use", hint="choose another --port or --host") from error
    url = (base_url or f"http://{_in_url(host)}:{port}").rstrip("/")
    with listening, announced(core, url):
        _tell(session, core, url, host, port)
        try:
            run(app, listening, trusted_proxies=trust_proxy, root_path=urlsplit(url).path)
        except Terminated:
            say("The server has ended.")
    return OK


def _demand_safe(core: Core, host: str, base_url: str | None) -> None:
    """Refuse to be reachable for others without what protects the console.

    Raises:
        Stop: The public address, the key or an operator is missing.
    """
    from valetkey.server.operators import Operators  # noqa: PLC0415
    from valetkey.server.settings import is_loopback  # noqa: PLC0415

    public = base_url is not None and not is_loopback(urlsplit(base_url).hostname or "")
    if not public and is_loopback(host):
        return
    if not public:
        msg = f"listening on {clean(host)} lets others in, and there is no public address with https"
        hint = f"valetkey serve --host {host} --base-url https://connect.example.com, with a proxy that speaks TLS"
        raise Stop(msg, code="public_url_missing", hint=hint)
    _demand_key(core)
    every = Operators(core.store, core.clock, core.env).every()
    if not any(one.standing == "active" and one.grade == "everything" for one in every):
        msg = "beyond this machine nobody could sign in: there is no operator who may do everything"
        raise Stop(msg, code="operator_missing", hint=_ADD)


def _demand_key(core: Core) -> None:
    from valetkey.engine.key_status import key_status  # noqa: PLC0415

    store = core.store
    found = key_status(store, core.vault, core.keys)
    if not found.readable:
        raise Stop(found.problem, code=found.code, hint=found.hint, status=STORE)
    if not found.masters and not core.keys.can_create:
        hint = "valetkey key new FILE, then VALETKEY_KEY_FILE=FILE"
        raise Stop("there is no master key", code="key_missing", hint=hint, status=STORE)


def _tell(session: Session, core: Core, url: str, host: str, port: int) -> None:
    from valetkey.server.operators import Operators  # noqa: PLC0415

    if session.json:
        emit_line({"format_version": FORMAT_VERSION, "kind": "serving", "url": url, "host": host, "port": port})
        return
    out(f"Serving the environment {core.env} at {url}, on {clean(host)} port {port} (Ctrl-C ends it).")
    if not Operators(core.store, core.clock, core.env).any():
        say(f"Nobody has a password yet. A link to sign in with: valetkey console login-link; or: {_ADD}")
    sys.stdout.flush()


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host


# -- operators


@group("operator")
def operator() -> None:
    """Say who may sign in to the console with a password, and what they may do there.

    A grade is "look", "connections" (connect, refresh, disconnect) or "everything" (keys and operators too).
    """


def _operators(session: Session) -> Operators:
    from valetkey.server.operators import Operators  # noqa: PLC0415

    return Operators(session.core.store, session.core.clock, session.core.env)


def _members(one: Operator) -> dict[str, Any]:
    return {
        "name": one.name,
        "grade": one.grade,
        "standing": one.standing,
        "since": one.since,
        "by": one.by,
        "seen_at": one.seen_at,
    }


@operator.command(
    "add",
    json=True,
    examples=(
        "valetkey serve operator add mira@example.com",
        "pass show console | valetkey serve operator add sam --grade look",
    ),
)
@click.argument("name")
@click.option(
    "--grade",
    type=click.Choice(("look", "connections", "everything")),
    default="everything",
    show_default=True,
    help="What they may do.",
)
@pass_session
def add(session: Session, *, name: str, grade: Any) -> None:
    """Add the operator NAME; the password is asked for twice, or comes on stdin."""
    made = _operators(session).add(name, _new_password(), grade, by=_COMMAND)
    _done(session, made, f"{clean(made.name)} may sign in now: {made.grade}.")


@operator.command("list", json=True, examples=("valetkey serve operator list",))
@pass_session
def list_(session: Session) -> None:
    """List who may sign in."""
    found = _operators(session).every()
    if session.json:
        emit({"operators": [_members(one) for one in found]})
        return
    if not found:
        say(f"Nobody has a password.\n  -> {_ADD}")
        return
    now = session.core.clock.now()
    table = Table((Column("NAME", shrinks=True), Column("STANDING"), Column("MAY"), Column("SIGNED IN")))
    for one in found:
        table.add(clean(one.name), one.standing, one.grade, ago(one.seen_at, now))
    table.write()


@operator.command("disable", json=True, examples=("valetkey serve operator disable sam",))
@click.argument("name")
@pass_session
def disable(session: Session, *, name: str) -> None:
    """Let NAME sign in no more, and end all of their sessions at once."""
    changed = _operators(session).disable(name, by=_COMMAND)
    _done(session, changed, f"{clean(changed.name)} cannot sign in any more; their sessions have ended.")


@operator.command("enable", json=True, examples=("valetkey serve operator enable sam",))
@click.argument("name")
@pass_session
def enable(session: Session, *, name: str) -> None:
    """Let NAME sign in again, with the password from before."""
    changed = _operators(session).enable(name, by=_COMMAND)
    _done(session, changed, f"{clean(changed.name)} may sign in again.")


@operator.command("password", json=True, examples=("valetkey serve operator password mira@example.com",))
@click.argument("name")
@pass_session
def password(session: Session, *, name: str) -> None:
    """Give NAME another password; it is asked for twice, or comes on stdin.  Their sessions end."""
    changed = _operators(session).set_password(name, _new_password(), by=_COMMAND)
    _done(session, changed, f"{clean(changed.name)} has another password; their sessions have ended.")


@operator.command("remove", json=True, examples=("valetkey serve operator remove sam --yes",))
@click.argument("name")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@pass_session
def remove(session: Session, *, name: str, yes: bool) -> None:
    """Forget the operator NAME.  The audit log keeps what they did."""
    confirm(f"Remove the operator {clean(name)}?", yes=yes)
    _operators(session).remove(name, by=_COMMAND)
    if session.json:
        emit({"removed": name})
    else:
        out(f"{clean(name)} is no operator any more.")


def _done(session: Session, one: Operator, told: str) -> None:
    if session.json:
        emit({"operator": _members(one)})
    else:
        out(told)


def _new_password() -> str:
    """Ask for a new password: twice of a person, once of a pipe.

    Raises:
        Stop: The two differ.
    """
    first = ask_hidden("Password")
    if at_hand() and ask_hidden("The same once more") != first:
        raise Stop("the two passwords differ; nothing was changed", code="password_differs", hint="try again")
    return first


serve.add_command(operator)
