"""``valetkey token`` and ``valetkey header``: the token itself, for programs that cannot ask a library."""

from __future__ import annotations

import sys

from valetkey.cli.commands import command, credential_argument, pass_session, resource_option, whose
from valetkey.cli.output import emit
from valetkey.cli.session import Session
from valetkey.cli.terminal import is_terminal, out


@command(
    "token",
    json=True,
    examples=(
        "valetkey token github",
        "valetkey token google --owner ada --json | jq .expires_at",
        "valetkey token suite --resource https://files.example.com/",
        "valetkey header github | curl -sH @- https://api.github.com/user    # better",
    ),
)
@credential_argument
@whose
@resource_option
@pass_session
def token(session: Session, *, name: str, owner: str | None, account: str, resource: str | None) -> None:
    """Print a valid access token of NAME, refreshed if need be.

    On a pipe nothing follows the token, not even a line break.  Whoever has it can use the account until it ends:
    prefer request, header or exec.  A token that is bound to a key or certificate is not handed out.

    With --resource it is for that one of the declared resources alone, out of the same grant (RFC 8707).
    """
    held = session.source(name, owner, account, resource).get()
    held.ensure_bearer()
    if session.json:
        emit(
            {
                "access_token": held.secret.reveal(),
                "token_type": "Bearer",
                "header": held.form,
                "expires_at": held.end,
                "granted": list(held.granted),
            }
        )
        return
    sys.stdout.write(held.secret.reveal() + "\n" * is_terminal(sys.stdout))


@command(
    "header",
    examples=(
        "valetkey header github | curl -sH @- https://api.github.com/user",
        "valetkey header google --owner ada | curl -sH @- https://example.com/me",
    ),
)
@credential_argument
@whose
@resource_option
@pass_session
def header(session: Session, *, name: str, owner: str | None, account: str, resource: str | None) -> None:
    """Print the line "Authorization: Bearer ..." for NAME, as curl reads it with -H @-.

    Where the provider wants the token in another header, it is that one.  curl takes only Authorization off when a
    redirect leads elsewhere: leave its -L away then, or use request, which takes off any.

    So the token stands neither in the process list nor in the history of your shell.
    """
    held = session.source(name, owner, account, resource).get()
    held.ensure_bearer()
    out(f"{held.carrier}: {held.header}")
