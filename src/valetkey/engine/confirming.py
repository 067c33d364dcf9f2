"""The last word of an application that knows who is signed in, about a sign-in that a connect link began.

A link that is sent to a victim must not hand the victim's account to the sender (DESIGN section 8, rule 2).  An
application whose sessions this server cannot see is asked when the browser is back with it: is this the session of the
owner for whom the link was made?  The browser brings a code that it alone can have, so that the sender of the link
cannot answer in the victim's place.
"""

from __future__ import annotations

from valetkey.engine.deciding import confirm_held, drop_one
from valetkey.engine.links import find_link, note_failed, note_used, withdraw_link
from valetkey.engine.world import World
from valetkey.errors import ConfigurationError, StateMismatch, WrongUser
from valetkey.model.connections import Record
from valetkey.model.links import Link
from valetkey.values import Secret


def confirm_link(world: World, env: str, link_id: str, code: Secret, owner: str | None) -> Record:
    """Confirm that the browser which came back is a session of `owner`: the connection becomes live.

    Raises:
        ConfigurationError: There is no such link in this environment (``link_unknown``).
        StateMismatch: It was confirmed before (``confirmation_repeated``); nothing waits (``confirmation_over``); the
            code is another's (``confirmation_mismatch``).
        WrongUser: `owner` is not the link's; the new grant was given back.
    """
    link = find_link(world, link_id)
    if link is None or link.key.env != env:
        msg = "there is no such connect link"
        raise ConfigurationError(msg, code="link_unknown", hint="pass the parameter valetkey_session of the address")
    if link.state != "to_confirm":
        raise _not_waiting(link)
    try:
        record = confirm_held(world, link.held, code, owner)
    except WrongUser:
        note_failed(world, link_id, "wrong_user")
        raise
    missing = [scope for scope in record.requested if scope not in record.granted]
    note_used(world, link_id, record.id, "scopes_missing" if missing else "connected")
    return record


def withdraw(world: World, link_id: str) -> None:
    """End a link, and give back what waits to be confirmed."""
    gone = withdraw_link(world, link_id)
    if gone is not None:
        drop_one(world, gone.held)


def _not_waiting(link: Link) -> StateMismatch:
    if link.confirm and link.state == "used":
        msg = "it was confirmed already, and is connected"
        return StateMismatch(msg, code="confirmation_repeated", hint="nothing needs to be done")
    why = {
        "unconfirmed": "nobody confirmed it within 10 minutes, so the new access was given back",
        "wrong_user": "somebody else had come back, so the new access was given back",
    }.get(link.outcome, "nothing waits to be confirmed")
    return StateMismatch(why, code="confirmation_over", hint="begin anew if it is still meant")
