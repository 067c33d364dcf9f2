"""``valetkey status``: what is connected, and what to do about what is not."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import click

from valetkey.cli.commands import command, pass_session, whose
from valetkey.cli.completion import complete_credentials
from valetkey.cli.exits import NOT_WELL, OK, told
from valetkey.cli.output import Column, ago, ahead, emit
from valetkey.cli.session import BROKEN, Session
from valetkey.cli.shapes import of_status
from valetkey.cli.statuses import StatusTable, checked_owner
from valetkey.cli.terminal import say
from valetkey.engine.status import DAMAGED as BROKEN_ROW
from valetkey.errors import ConfigurationError, ValetkeyError, clean
from valetkey.model.connections import Connection, ConnectionKey, Query, Status
from valetkey.model.credentials import OAuth2Credential
from valetkey.protocol.authorization_details import NAME as DETAILS
from valetkey.protocol.authorization_details import in_words

if TYPE_CHECKING:
    from valetkey.engine.probing import Probe

_SHORT: Final = {
    "revoked": "access withdrawn",
    "idle_expired": "unused for too long",
    "policy_changed": "a rule changed",
    "no_refresh_token": "ended",
    "lost_in_rotation": "an answer was lost",
    "reuse_detected": "a token was used twice",
    "identity_changed": "it spoke of somebody else",
    "key_lost": "its key is lost",
    BROKEN_ROW: "its row is damaged",
    BROKEN: "it cannot be opened",
    "unknown": "no longer accepted",
}
_AT_REST: Final = ("pending", "disconnected")
"""States that are nobody's trouble unless the connection is asked for by name."""
_USABLE: Final = ("connected", "expires_soon", "refresh_failing")
_REFUSALS: Final = frozenset({*range(200, 300), 401, 403})
"""With which statuses an API refuses a token; with one of success its answer says no. Any other says nothing of it."""
_SHOWN: Final = 200


@command(
    "status",
    json=True,
    examples=(
        "valetkey status",
        "valetkey status slack --owner ada",
        "valetkey status --check || echo 'a connection wants attention'",
        "valetkey status github --verify",
        "valetkey status --json | jq -r '.connections[] | .credential + \" \" + .state'",
    ),
)
@click.argument("name", metavar="[NAME]", required=False, shell_complete=complete_credentials)
@whose
@click.option("--check", is_flag=True, help="Exit with 1 where something needs attention.")
@click.option("--verify", is_flag=True, help="Ask each provider whether its API takes the token.")
@pass_session
def status(session: Session, *, name: str | None, owner: str | None, account: str, check: bool, verify: bool) -> int:
    """Show what is connected, how it is, and what to do about what is not well.

    Looking changes nothing and asks no provider.  With --check each grant is opened too, for damage shows only then;
    and connections that were never made or were disconnected count only where NAME is given.  With --verify one
    harmless call is made for each connection that is usable, where a call is known: its token is refreshed first only
    where any call would do that, and one that is refused is left as it is.
    """
    found, more = _wanted(session, name, owner, account)
    if check:
        found = [_opened(session, one) for one in found]
    probes = [_verified(session, one) if verify else None for one in found]
    if session.json:
        emit({"connections": [_members(*one, verify=verify) for one in zip(found, probes, strict=True)], "more": more})
    elif found:
        _table(session, found, probes if verify else None)
        if more:
            say(f"Only the first {_SHOWN} are shown; all of them: valetkey connections --all")
    else:
        say("Nothing is declared or connected yet.")
        say("  -> valetkey practice, or valetkey providers list")
    refused = any(one is not None and one.possible and not one.ok for one in probes)
    return (NOT_WELL if refused else _verdict(found, named=name is not None)) if check else OK


def _wanted(session: Session, name: str | None, owner: str | None, account: str) -> tuple[list[Status], bool]:
    """Return the statuses that were asked for, and whether there are more."""
    if name is not None and account:
        return [session.core.status(session.key_of(name, owner, account))], False
    declared = [session.credential(name)] if name is not None else list(session.core.credentials())
    query = Query(env=session.core.env, credential=name, owner=checked_owner(owner))
    page = session.statuses(query, None, _SHOWN)
    found = [one for one in page.items if not account or one.connection.account == account]
    if owner is None and page.cursor is None:
        seen = {one.connection.credential for one in found}
        found += [_unconnected(session, credential) for credential in declared if credential.name not in seen]
        found.sort(key=lambda one: one.connection.credential)
    if owner is not None and name is not None and not found:
        found = [session.core.status(session.key_of(name, owner, account))]
    return found, page.cursor is not None


def _unconnected(session: Session, credential: OAuth2Credential) -> Status:
    """Return the status of a declared credential under which nobody connected yet."""
    key = ConnectionKey(session.core.env, credential.name)
    return Status(
        connection=Connection("", key.credential, env=key.env),
        state="pending",
        hint=_first_step(session, credential),
        requested=credential.all_scopes,
    )


def _first_step(session: Session, credential: OAuth2Credential) -> str:
    try:
        session.core.app(credential)
    except ConfigurationError as error:
        return f"run: valetkey app add {credential.name}" if error.code == "app_missing" else error.hint
    owner = " --owner ID" if credential.per_owner else ""
    return f"run: valetkey connect {credential.name}{owner}"


def _table(session: Session, found: list[Status], probes: list[Probe | None] | None) -> None:
    now = session.core.clock.now()
    api = () if probes is None else (Column("API"),)
    table = StatusTable(session, Column("GRANTED", shrinks=True), Column("LAST REFRESH"), *api)
    for at, one in enumerate(found):
        cells = [_granted(one), _last_refresh(session, one, now)]
        if probes is not None:
            cells.append(_api(probes[at]))
        well = one.state in {"connected", "disconnected"}
        below = "" if well else clean(one.hint.removeprefix("run: "), 500)
        table.add(one, *cells, below=below, note=_why_not(probes[at]) if probes is not None else "")
    table.write()


def _verified(session: Session, one: Status) -> Probe | None:
    """Return what came of the harmless call; None where there is no usable token to make it with."""
    from valetkey.engine.probing import Probe, probe  # noqa: PLC0415

    if one.state not in _USABLE or not one.connection.id:
        return None
    try:
        return session.core.call(lambda: probe(session.core.world, one.connection.key))
    except ValetkeyError as error:
        return Probe(ok=False, said=told(error).message)


def _api(probe: Probe | None) -> str:
    if probe is None:
        return ""
    if not probe.possible:
        return "no call known"
    if probe.ok:
        return "takes it"
    word = "refuses it" if probe.status in _REFUSALS else "no answer"
    return f"{word} ({probe.status})" if probe.status else word


def _why_not(probe: Probe | None) -> str:
    """Return why a token was not taken; empty where it was, or nobody was asked."""
    return clean(probe.said, 500) if probe is not None and probe.possible and not probe.ok else ""


def _members(one: Status, probe: Probe | None, *, verify: bool) -> dict[str, Any]:
    """Return a status, with what the API said where it was asked."""
    if not verify:
        return of_status(one)
    found = None
    if probe is not None:
        found = {"ok": probe.ok if probe.possible else None, "status": probe.status or None, "said": probe.said}
    return {**of_status(one), "verified": found}


def _granted(one: Status) -> str:
    """Return what was granted: scopes, then what exactly (RFC 9396)."""
    details = in_words(one.params.get(DETAILS, ""))
    return "; ".join(part for part in (clean(", ".join(one.granted)), details) if part)


def _last_refresh(session: Session, one: Status, now: float) -> str:
    if one.state == "needs_reauth":
        why = _SHORT.get(one.reason, _SHORT["unknown"])
        at = None if one.reason in {BROKEN, BROKEN_ROW} else _refused_at(session, one)
        return f"refused {ago(at, now)}: {why}" if at else why
    if one.state == "refresh_failing":
        waits = (one.next_try_at or now) - now
        return "failing, next try on use" + (f", {ahead(one.next_try_at, now)}" if waits >= 1 else "")
    return ago(one.last_refresh_at, now)


def _refused_at(session: Session, one: Status) -> float | None:
    events = session.core.store.list_events(
        env=one.connection.env, connection_id=one.connection.id, limit=20, newest_first=True
    )
    return next((event.at for event in events if event.kind == "needs_reauth"), None)


def _opened(session: Session, one: Status) -> Status:
    """Return the status with what opening the grant shows."""
    error = session.damage(one.connection.key) if one.connection.id and one.reason != BROKEN_ROW else None
    if error is None:
        return one
    return replace(one, state="needs_reauth", reason=error.code, hint=error.hint)


def _verdict(found: list[Status], *, named: bool) -> int:
    unwell = [one for one in found if one.state != "connected" and (named or one.state not in _AT_REST)]
    return NOT_WELL if unwell else OK
