"""The app's own state: one circuit breaker per app secret, beside the connections and never on them (R12)."""

from __future__ import annotations

from valetkey.engine.storing import token_origin as origin_now
from valetkey.engine.trouble import app_command
from valetkey.engine.world import World
from valetkey.errors import ClientRejected, StoreError
from valetkey.logs import get_logger
from valetkey.model.connections import Document
from valetkey.model.credentials import AppCredentials, OAuth2Credential
from valetkey.protocol.token_response import Refusal

_log = get_logger("apps")
KIND = "app"
FIRST_PAUSE = 15.0
LONGEST_PAUSE = 300.0


def app_state(world: World, env: str, credential: OAuth2Credential) -> Document | None:
    """Return what is held against the app of a credential, or None when all is well."""
    return world.store.get_document(KIND, credential.name, env=env)


def ensure_accepted(world: World, env: str, credential: OAuth2Credential, app: AppCredentials) -> bool:
    """Let a request pass, unless the provider has just rejected these very app credentials.

    Returns whether anything is held against the app, so that a success closes the breaker.

    Raises:
        ClientRejected: The breaker is open; nothing is to be sent before ``retry_after`` seconds are over.
    """
    state = app_state(world, env, credential)
    if state is None:
        return False
    wait = float(state.body.get("next_try_at", 0.0)) - world.clock.now()
    same = state.body.get("fingerprint") == app.fingerprint()
    if same and 0 < wait <= 2 * LONGEST_PAUSE:  # a longer one is from before the clock was set back
        raise _rejected(env, credential, str(state.body.get("error", "")), str(state.body.get("description", "")), wait)
    return True


def app_rejected(
    world: World, env: str, credential: OAuth2Credential, app: AppCredentials, refusal: Refusal
) -> ClientRejected:
    """Open the breaker for these app credentials, for a pause that doubles, and return the error to raise."""
    before = app_state(world, env, credential)
    fingerprint = app.fingerprint()
    again = before is not None and before.body.get("fingerprint") == fingerprint
    now = world.clock.now()
    failures = _failures(before, now) if before is not None and again else 1
    pause = min(FIRST_PAUSE * 2 ** (failures - 1), LONGEST_PAUSE)
    body = {
        "fingerprint": fingerprint,
        "error": refusal.error,
        "description": refusal.description,
        "failures": failures,
        "since": before.body.get("since", now) if before is not None and again else now,
        "next_try_at": now + pause,
    }
    world.store.put_document(Document(kind=KIND, env=env, id=credential.name, body=body))
    return _rejected(env, credential, refusal.error, refusal.description, pause)


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
        if app_state(world, env, credential) is not None:
            world.store.delete_document(KIND, credential.name, env=env)
    except StoreError as error:
        _log.warning("the breaker of app %r was not closed: %s", credential.name, error)


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
