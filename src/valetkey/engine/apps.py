"""The app's own state: one circuit breaker per app secret, beside the connections and never on them (R12)."""

from __future__ import annotations

from dataclasses import replace

from valetkey.engine.app_facts import KIND, MEMBER, facts_for
from valetkey.engine.storing import token_origin as origin_now
from valetkey.engine.trouble import app_command
from valetkey.engine.world import World
from valetkey.errors import ClientRejected, ConfigurationError, StoreError
from valetkey.forks import late_imports
from valetkey.logs import get_logger
from valetkey.model.connections import Document
from valetkey.model.credentials import AppCredentials, OAuth2Credential
from valetkey.model.ports import KeyRetired
from valetkey.protocol.token_response import Refusal

_log = get_logger("apps")
_TRIES = 3
FIRST_PAUSE = 15.0
LONGEST_PAUSE = 300.0


def app_state(world: World, env: str, credential: OAuth2Credential) -> Document | None:
    """Return what is kept of the app of a credential: what is held against it, its other secrets; None: nothing."""
    document = _document(world, env, credential)
    return document if document.body else None


def _document(world: World, env: str, credential: OAuth2Credential) -> Document:
    """Return it as it is stored, also where nothing stands in it any more."""
    name = credential.name
    return world.store.get_document(KIND, name, env=env) or Document(kind=KIND, env=env, id=name)


def standing(app: AppCredentials, state: Document | None) -> str:
    """Return a text that changes when a secret comes or goes that a request of this app may use, and tells none."""
    return "+".join((app.fingerprint(), *facts_for(app, state).fingerprints()))


def held_against(app: AppCredentials, state: Document | None) -> Document | None:
    """Return `state` where the provider rejects this app with all the secrets that it has now, else None."""
    return state if state is not None and state.body.get("fingerprint") == standing(app, state) else None


def ensure_accepted(
    world: World, env: str, credential: OAuth2Credential, app: AppCredentials
) -> tuple[Document | None, bool]:
    """Let a request pass, unless the provider has just rejected these very app credentials.

    Returns what is kept of the app, and whether anything is held against it, so that a success closes the breaker.

    Raises:
        ClientRejected: The breaker is open; nothing is to be sent before ``retry_after`` seconds are over.
    """
    state = app_state(world, env, credential)
    if state is None or "fingerprint" not in state.body:
        return state, False
    wait = float(state.body.get("next_try_at", 0.0)) - world.clock.now()
    same = held_against(app, state) is not None
    if same and 0 < wait <= 2 * LONGEST_PAUSE:  # a longer one is from before the clock was set back
        raise _rejected(env, credential, str(state.body.get("error", "")), str(state.body.get("description", "")), wait)
    return state, True


def app_rejected(world: World, env: str, credential: OAuth2Credential, tried: str, refusal: Refusal) -> ClientRejected:
    """Open the breaker for what was `tried` (see `standing`), for a pause that doubles; return the error to raise."""
    pause = FIRST_PAUSE
    for _ in range(_TRIES):
        before = _document(world, env, credential)
        again = before.body.get("fingerprint") == tried
        now = world.clock.now()
        failures = _failures(before, now) if again else 1
        pause = min(FIRST_PAUSE * 2 ** (failures - 1), LONGEST_PAUSE)
        body = {
            **_others(before),
            "fingerprint": tried,
            "error": refusal.error,
            "description": refusal.description,
            "failures": failures,
            "since": before.body.get("since", now) if again else now,
            "next_try_at": now + pause,
        }
        if _put(world, replace(before, body=body)):
            break
    return _rejected(env, credential, refusal.error, refusal.description, pause)


def _others(state: Document) -> dict[str, object]:
    """Return what of a body is not the breaker's."""
    return {MEMBER: state.body[MEMBER]} if MEMBER in state.body else {}


def _put(world: World, state: Document) -> bool:
    try:
        return world.store.put_document(state, expect=state.version) is not None
    except KeyRetired:  # its secrets were sealed anew meanwhile
        return False


def _failures(before: Document, now: float) -> int:
    """Count this rejection, unless the breaker is open: then its request was under way when the first was rejected."""
    failures = int(before.body.get("failures", 0))
    return max(failures, 1) if now < float(before.body.get("next_try_at", 0.0)) else failures + 1


def app_accepted(world: World, env: str, credential: OAuth2Credential) -> None:
    """Close the breaker: the provider took the app credentials.

    What came for them is stored already, so the store's trouble with this is logged, not raised; the next success
    closes the breaker as well.
    """
    try:
        for _ in range(_TRIES):
            state = _document(world, env, credential)
            if "fingerprint" not in state.body or _put(world, replace(state, body=_others(state))):
                return
    except StoreError as error:
        _log.warning("the breaker of app %r was not closed: %s", credential.name, error)


def app_for(world: World, env: str, credential: OAuth2Credential, client_id: str) -> AppCredentials:
    """Return the app that a grant, or a sign-in under way, belongs to, by its client id (empty: nobody knows).

    It is the app of today, unless that registered itself anew meanwhile: then it is the registration of then, to which
    the server still binds the refresh token (RFC 6749 section 6).

    Raises:
        ConfigurationError: There is no app (``app_missing``), or its secret has ended (``app_ended``).
    """
    try:
        app = world.app(credential)
    except ConfigurationError:
        found = _before(world, env, credential, client_id)
        if found is None:
            raise
        return found
    if client_id in {"", app.client_id}:
        return app
    return _before(world, env, credential, client_id) or app


def _before(world: World, env: str, credential: OAuth2Credential, client_id: str) -> AppCredentials | None:
    if not (client_id and credential.registers):
        return None
    with late_imports:
        from valetkey.engine.registrations import registered_before  # noqa: PLC0415 - mostly somebody added the app

    return registered_before(world, env, credential, client_id)


def client_changed(credential: OAuth2Credential, client_id: str, issuer: str, token_origin: str, app_id: str) -> str:
    """Return how the app differs from the one that a grant belongs to, or an empty string (R12).

    A refresh token is bound to its client and server: sent by or to another it can only do harm.
    """
    if client_id and client_id != app_id:
        return "another client id"
    if issuer and credential.issuer and issuer != credential.issuer:
        return "another issuer"
    if token_origin and credential.token_url and token_origin != origin_now(credential):
        return "another token endpoint"
    return ""


def _rejected(env: str, credential: OAuth2Credential, error: str, description: str, wait: float) -> ClientRejected:
    name = credential.display_name or credential.name
    return ClientRejected(
        f"{name} does not accept the app credentials of {credential.name!r} ({error or 'no error code'})",
        error=error,
        description=description,
        status=401,
        retry_after=wait,
        hint=f"check the client id and secret, then: {app_command(credential.name, env)}",
    )
