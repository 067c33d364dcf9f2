"""What racers do: the engine's own functions, called as a program calls them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

from stepped.plays import NEW_KEY
from stepped.promises import fingerprint

from valetkey.engine.connect import finish_authorization, start_authorization
from valetkey.engine.disconnect import disconnect as end_connection
from valetkey.engine.lifecycle import Held, Want, obtain
from valetkey.engine.renewal import heal as heal_401
from valetkey.errors import (
    ConnectError,
    NotConnected,
    ProviderUnavailable,
    ReauthorizationRequired,
    RefreshBusy,
    StoreUnavailable,
)
from valetkey.model.connections import ConnectionKey

if TYPE_CHECKING:
    from stepped.plays import Act, Part

KEY = ConnectionKey("test", "notes")
ANOTHER = replace(KEY, account="another")
REDIRECT = "http://127.0.0.1:4321/callback/notes"
PAUSE = 5.0
"""Seconds after which a program calls again when the store or the provider did not answer."""
FIRST = "a1"
"""The access token in the row when a play begins."""


def get(**want: Any) -> Act:
    """Ask for a usable token."""
    return lambda part: _token(part, lambda: obtain(part.world, KEY, Want(**want)))


def heal(*, explicit: bool = True) -> Act:
    """Act on a 401 for the first access token."""
    return lambda part: _token(part, lambda: heal_401(part.world, KEY, fingerprint(FIRST), explicit=explicit))


def disconnect(part: Part) -> Any:
    """Disconnect."""
    return _persist(part, lambda: end_connection(part.world, part.credential, KEY))


def reconnect(part: Part) -> str:
    """Sign in anew."""
    return _sign_in(part, KEY)


def connect_another(part: Part) -> str:
    """Sign in once more, as the same person, under another account label."""
    return _sign_in(part, ANOTHER)


def _sign_in(part: Part, key: ConnectionKey) -> str:
    """Sign in: the flow begins, the person consents, the answer comes back."""
    world = part.world
    begun = _persist(part, lambda: start_authorization(world, part.credential, key, scopes=(), redirect_uri=REDIRECT))
    part.scene.note_flow(part.racer, begun.flow_id)
    state = dict(parse_qsl(urlsplit(begun.url).query))["state"]
    answer = f"{REDIRECT}?code=code&state={state}"
    try:
        return finish_authorization(world, answer, binding=begun.binding).state
    except (ConnectError, ProviderUnavailable, StoreUnavailable) as error:
        return error.code


def note_tags(part: Part) -> str:
    """Write side facts, as programs do at any time."""
    record = part.world.store.load(KEY)
    if record is None:
        return "not there"
    part.world.store.note(record.id, incarnation=record.incarnation, changes={"tags": {"team": "blue"}})
    return "noted"


def rekey(part: Part) -> str:
    """Seal the grant anew, as the rotation of keys does at any time."""

    def seal() -> str:
        record = part.world.store.load(KEY)
        if record is None or record.sealed is None:
            return "not there"
        part.world.store.rekey([(record, replace(record.sealed, key_id=NEW_KEY))])
        return "sealed anew"

    sealed: str = _persist(part, seal)
    return sealed


def rename(part: Part) -> str:
    """Give the connection another account label, as a person does."""
    record = part.world.store.load(KEY)
    if record is None:
        return "not there"
    part.world.store.rename(record, replace(record.key, account="work"), record.secret_id)
    return "renamed"


def _token(part: Part, call: Callable[[], Held | None]) -> str:
    try:
        held = _persist(part, call)
    except NotConnected:
        return "not connected"
    except ReauthorizationRequired as error:
        return f"a person must act: {error.reason}"
    return "none" if held is None else held.grant.access_token.reveal()


def _persist(part: Part, call: Callable[[], Any]) -> Any:
    """Call, and call again after what passes by itself."""
    part.nth += 1
    for left in reversed(range(part.scene.case.tries if part.scene.faults else 1)):
        try:
            return call()
        except (RefreshBusy, ProviderUnavailable, StoreUnavailable) as error:
            if not left:
                raise
            part.scene.promises.idle(part.racer)
            part.world.clock.sleep(max(getattr(error, "retry_after", None) or 0.0, PAUSE))
            part.racer.forget(part.nth, left)  # a new call knows nothing of the one before
    raise AssertionError


def refresh_now(part: Part) -> str:
    """Refresh whatever is current, as a person asks for it."""

    def refresh() -> Held:
        record = part.world.store.load(KEY)
        return obtain(part.world, KEY, Want(manual=True, refused=record.access_fp if record else ""))

    return _token(part, refresh)
