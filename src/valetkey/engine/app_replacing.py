"""What a person does to an app's secret: replace it with overlap, take that back, say when it ends."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final, Literal

from valetkey.engine.app_certificates import days_left, warn_of_certificate
from valetkey.engine.app_facts import Candidate, Facts, InUse, Refused, change, facts_for, facts_of, with_proof
from valetkey.engine.app_secrets import erase_ended, promote, tell_app
from valetkey.engine.apps import app_state
from valetkey.engine.world import World
from valetkey.errors import ConfigurationError, StoreError
from valetkey.model.connections import Document
from valetkey.model.credentials import AppCredentials, OAuth2Credential
from valetkey.model.ports import InDoubt, NotSent
from valetkey.protocol.certificates import uses_certificate
from valetkey.protocol.introspection import Introspection, introspection_request, parse_introspection
from valetkey.protocol.refusals import Refusal
from valetkey.protocol.token_request import client_credentials_request
from valetkey.protocol.token_response import TokenSet, parse_token_response
from valetkey.values import Request, Secret

OVERLAP: Final = 7 * 86400.0
"""Seconds for which the old secret is kept, where nobody says."""
LONGEST_OVERLAP: Final = 90 * 86400.0
CHECK_SECONDS: Final = 10.0
State = Literal["waiting", "replaced", "refused"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Replacement:
    """What became of a new secret.

    Attributes:
        state: ``replaced``: it is the one in use.  ``waiting``: it is in use after the first request that the provider
            takes it with, which is the next one that is due.  ``refused``: the provider does not take it; it was
            dropped, and the secret in use is the one that it was.
        error: The provider's error code, where it was refused.
        description: The provider's words.
    """

    state: State
    error: str = ""
    description: str = ""


def replace_secret(
    world: World,
    env: str,
    credential: OAuth2Credential,
    secret: Secret,
    *,
    overlap: float = OVERLAP,
    ends_at: float | None = None,
) -> Replacement:
    """Store a secret that follows the one in use as soon as the provider has taken it, and check it where that is free.

    Args:
        world: Where; its actor is who does it.
        env: The environment.
        credential: Whose app.
        secret: The new secret.
        overlap: Seconds for which the old one is kept as a fallback after that; 0: not at all.
        ends_at: When the provider ends the new one, in Unix seconds, where that is known.

    Raises:
        ConfigurationError: There is no app yet (``app_missing``); it is a public client, or has this very secret
            (``app_secret_same``); a number is out of range (``overlap_invalid``, ``ends_at_invalid``).
    """
    check_overlap(overlap)
    check_end(world, ends_at)
    app = world.app(credential)
    new = with_proof(credential, app, secret)
    if new.fingerprint() == app.fingerprint():
        what = "key" if credential.proves_by_key else "secret"
        raise ConfigurationError(
            f"that is the {what} which the app of {credential.name!r} uses already",
            code="app_secret_same",
            hint="create a second secret at the provider beside the one in use, and give that one",
        )
    _end_promotion(world, env, credential, app)
    app = world.app(credential)
    candidate = Candidate(
        fp=new.fingerprint(),
        over=app.fingerprint(),
        overlap=overlap,
        at=world.clock.now(),
        by=world.actor,
        ends_at=ends_at,
    )

    def step(document: Document | None) -> Facts:
        return replace(facts_for(app, document), candidate=candidate, refused=None)

    change(world, env, credential.name, step, adding={candidate.fp: secret})
    tell_app(world, env, credential, "app_secret_added", overlap=overlap, ends_at=ends_at)
    return _checked(world, env, credential, app, new)


def check_overlap(overlap: float) -> None:
    """Check for how long a secret is to be kept.

    Raises:
        ConfigurationError: It is out of range (``overlap_invalid``).
    """
    if not 0 <= overlap <= LONGEST_OVERLAP:
        msg = f"overlap={overlap:g} is out of range"
        hint = f"use 0 to {LONGEST_OVERLAP:.0f} seconds (90 days)"
        raise ConfigurationError(msg, code="overlap_invalid", hint=hint)


def check_end(world: World, ends_at: float | None) -> None:
    """Check when a secret is to end.

    Raises:
        ConfigurationError: That is over (``ends_at_invalid``).
    """
    if ends_at is not None and not world.clock.now() < ends_at < 1e11:  # noqa: PLR2004 - milliseconds are more
        msg = f"ends_at={ends_at:g} is no moment to come"
        raise ConfigurationError(msg, code="ends_at_invalid", hint="give Unix seconds, or leave it away")


def _end_promotion(world: World, env: str, credential: OAuth2Credential, app: AppCredentials) -> None:
    """Bring an earlier replacement to its end that somebody left halfway."""
    candidate = facts_for(app, app_state(world, env, credential)).candidate
    if candidate is not None and candidate.accepted:
        promote(world, env, credential, app)


# -- the check that spends nothing -------------------------------------------------------------------------------------


def check_of(credential: OAuth2Credential) -> str:
    """Return by which request a secret can be checked without spending anything: ``none`` where there is none."""
    return "client_credentials" if credential.grant == "client_credentials" else credential.secret_check


def _checked(
    world: World, env: str, credential: OAuth2Credential, app: AppCredentials, new: AppCredentials
) -> Replacement:
    """Check a candidate at once where that costs nothing; else the next refresh that is due does."""
    if check_of(credential) == "none":
        return Replacement(state="waiting")
    answer = _asked(world, credential, new)
    if isinstance(answer, Refusal) and answer.error == "invalid_client":
        _drop(world, env, credential, app, answer)
        return Replacement(state="refused", error=answer.error, description=answer.description)
    if answer is None or isinstance(answer, Refusal):
        return Replacement(state="waiting")  # it says nothing about the secret: a refresh will
    promote(world, env, credential, app)
    return Replacement(state="replaced")


def _asked(
    world: World, credential: OAuth2Credential, app: AppCredentials
) -> Introspection | TokenSet | Refusal | None:
    """Send the check; None where no answer came."""
    introspects = check_of(credential) == "introspection"
    request = _check_request(credential, app, introspects=introspects)
    try:
        response = world.endpoint.send(request, deadline=world.clock.monotonic() + CHECK_SECONDS)
    except (NotSent, InDoubt):
        return None
    now = world.clock.now()
    if introspects:
        return parse_introspection(response, credential=credential, now=now)
    return parse_token_response(response, credential=credential, now=now, request=request)


def _check_request(credential: OAuth2Credential, app: AppCredentials, *, introspects: bool) -> Request:
    if introspects:  # a token that nobody has: it is not active, and the server says so to an app that it knows
        return introspection_request(credential, app, token=Secret(secrets.token_urlsafe(32)))
    own = credential.grant == "client_credentials"
    return client_credentials_request(credential, app, scope=credential.all_scopes if own else ())


def _drop(world: World, env: str, credential: OAuth2Credential, app: AppCredentials, refusal: Refusal) -> None:
    said = Refused(at=world.clock.now(), by=world.actor, error=refusal.error, description=refusal.description)

    def step(document: Document | None) -> Facts:
        return replace(facts_for(app, document), candidate=None, refused=said)

    change(world, env, credential.name, step)
    tell_app(world, env, credential, "app_secret_refused", error=refusal.error, description=refusal.description)


# -- the rest ----------------------------------------------------------------------------------------------------------


def withdraw_secret(world: World, env: str, credential: OAuth2Credential) -> bool:
    """Take back a new secret that is not in use yet; False: none waits."""
    app = world.app(credential)

    def step(document: Document | None) -> Facts | None:
        facts = facts_for(app, document)
        return None if facts.candidate is None or facts.candidate.accepted else replace(facts, candidate=None)

    if change(world, env, credential.name, step) is None:
        return False
    tell_app(world, env, credential, "app_secret_withdrawn")
    return True


def set_end(world: World, env: str, credential: OAuth2Credential, ends_at: float | None) -> None:
    """Note when the provider ends the secret in use; None: never, or nobody knows.

    Raises:
        ConfigurationError: There is no app, or no secret (``app_missing``); that moment is over (``ends_at_invalid``).
    """
    check_end(world, ends_at)
    app = world.app(credential)

    def step(document: Document | None) -> Facts:
        facts = facts_for(app, document)
        known = facts.in_use or InUse(fp=app.fingerprint())
        return replace(facts, in_use=replace(known, ends_at=ends_at, warned=None))

    change(world, env, credential.name, step)
    tell_app(world, env, credential, "app_secret_end", ends_at=ends_at)


def forget_secrets(world: World, env: str, credential: OAuth2Credential) -> None:
    """Erase all that is kept beside the secret in use: another app is stored, or none any more."""

    def step(document: Document | None) -> Facts | None:
        return Facts() if facts_of(document).body() else None

    change(world, env, credential.name, step)


def look_after(world: World, env: str, credentials: Iterable[OAuth2Credential]) -> None:
    """Tell of secrets and certificates that end soon, 30, 7 and 1 days ahead, and erase fallbacks that are over."""
    for credential in credentials:
        known = facts_of(app_state(world, env, credential)).body()
        if not known and not uses_certificate(credential):
            continue
        try:
            app = world.app(credential)
        except (ConfigurationError, StoreError):
            continue  # other looks tell of an app that cannot be read
        warn_of_certificate(world, env, credential, app)
        if known:
            erase_ended(world, env, credential, app)
            _warn(world, env, credential, app)


def _warn(world: World, env: str, credential: OAuth2Credential, app: AppCredentials) -> None:
    now = world.clock.now()
    told: list[float | None] = []

    def step(document: Document | None) -> Facts | None:
        facts = facts_for(app, document)
        known = facts.in_use
        days = None if known is None else days_left(known.ends_at, now)
        if known is None or days is None or (known.warned is not None and known.warned <= days):
            return None
        told[:] = [known.ends_at]
        return replace(facts, in_use=replace(known, warned=days))

    if change(world, env, credential.name, step) is not None:
        tell_app(world, env, credential, "app_secret_ends_soon", ends_at=told[0])
