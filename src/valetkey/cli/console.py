"""``valetkey console``: the console in the browser of this machine."""

from __future__ import annotations

import sys
import threading
from contextlib import ExitStack
from typing import TYPE_CHECKING, Final

import click

from valetkey.cli.commands import pass_session, working_group
from valetkey.cli.exits import OK, Stop
from valetkey.cli.output import FORMAT_VERSION, emit, emit_line
from valetkey.cli.running import Terminated
from valetkey.cli.session import Session
from valetkey.cli.terminal import out, say, stdout_is_ours, warn

if TYPE_CHECKING:
    import socket
    from pathlib import Path

    from valetkey.core import Core

_HOST: Final = "127.0.0.1"


@working_group(
    "console",
    examples=(
        "valetkey console                 # opens the browser, until Ctrl-C",
        "valetkey console --no-browser    # prints the link",
        "valetkey console login-link      # another link, while it runs",
    ),
)
@click.option(
    "--port", type=click.IntRange(1, 65535), metavar="N", help="Its port; otherwise 8421, or the next that is free."
)
@click.option("--no-browser", is_flag=True, help="Print the link instead of opening a browser.")
@pass_session
@click.pass_context
def console(context: click.Context, session: Session, *, port: int | None, no_browser: bool) -> int:
    """Show connections, apps and events in the browser, and mend what is broken there.

    It listens on this machine alone, and a link that works once signs you in.  Ctrl-C and SIGTERM end it.  To let
    others in, see "valetkey serve".
    """
    if context.invoked_subcommand is not None:
        return OK
    from valetkey.desk import Desk  # noqa: PLC0415 - none of this is for --help
    from valetkey.server.app import application  # noqa: PLC0415
    from valetkey.server.serving import announced, serve  # noqa: PLC0415

    session.serves = True
    core = session.core
    app = application(core, Desk(core), base_url=None)
    with ExitStack() as stack:
        listening = stack.enter_context(_listening(port))
        url = f"http://{_HOST}:{listening.getsockname()[1]}"
        stack.enter_context(announced(core, url))
        _open(session, core, url, stack, browser=not no_browser)
        try:
            serve(app, listening)
        except Terminated:
            say("The console has ended.")
    return OK


def _listening(port: int | None) -> socket.socket:
    from valetkey.server.serving import DEFAULT_PORT, listen, listen_near  # noqa: PLC0415

    wanted = port or DEFAULT_PORT
    try:
        made = listen(_HOST, port) if port else listen_near(_HOST, DEFAULT_PORT)
    except OSError as error:
        msg = f"port {wanted} cannot be had: {error.strerror}"
        raise Stop(msg, code="port_in_use", hint="choose another --port, or leave it away") from error
    if (found := made.getsockname()[1]) != wanted:
        warn(
            f"port {wanted} is taken, so the console is at port {found}",
            f"redirect addresses that name port {wanted} do not lead here; free it, or choose one with --port",
        )
    return made


def _open(session: Session, core: Core, url: str, stack: ExitStack, *, browser: bool) -> None:
    """Tell where the console is, and open the browser on a local page that leads to the login link."""
    from valetkey._pages import start_page  # noqa: PLC0415
    from valetkey.loopback import private_page  # noqa: PLC0415

    link = login_link(core, url)
    if session.json:
        emit_line({"format_version": FORMAT_VERSION, "kind": "serving", "url": url, "login_link": link})
    else:
        out(f"The console of the environment {core.env} is at {url} (Ctrl-C ends it).")
    if browser:
        page = stack.enter_context(private_page(start_page(link, "Open the Console", "Go on")))
        threading.Thread(target=_browse, args=(page, session.json), name="valetkey-open", daemon=True).start()
    elif not session.json:
        out("This link signs you in, once, within a minute:")
        out(f"\n  {link}\n")
    sys.stdout.flush()


def _browse(page: Path, json: bool) -> None:
    from valetkey.interaction import open_browser  # noqa: PLC0415

    with stdout_is_ours():
        opened = open_browser(page.as_uri())
    if not opened and not json:
        say("There is no browser to open here. A link to sign in with: valetkey console login-link")


def login_link(core: Core, url: str) -> str:
    """Return the address of a fresh login link of the server at `url`."""
    from valetkey.server.sessions import Sessions  # noqa: PLC0415

    token = Sessions(core.store, core.clock, core.env).link()
    return f"{url}/login/link?token={token.reveal()}"


@console.command(
    "login-link", json=True, examples=("valetkey console login-link", "valetkey console login-link --env prod")
)
@pass_session
def link(session: Session) -> None:
    """Print a link that signs in to a running console once.

    It works within a minute, for "valetkey console" and "valetkey serve" of the same store and environment.  Whoever
    has it may do everything there: give it to nobody.
    """
    from valetkey.server.serving import running  # noqa: PLC0415

    core = session.core
    found = running(core.store, core.env)
    if not found:
        msg = f"no console of the environment {core.env} runs over this store"
        raise Stop(msg, code="console_missing", hint="start one: valetkey console", status=1)
    links = [login_link(core, one.url) for one in found]
    if session.json:
        emit({"login_links": links})
        return
    for made in links:
        out(made)
