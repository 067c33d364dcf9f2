"""The key pairs of an app: the one in use, those beside it while it is replaced, one that waits to be registered."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from valetkey.engine.app_facts import BY_KEY, facts_for, secrets_of
from valetkey.engine.apps import app_state
from valetkey.engine.world import World
from valetkey.model.credentials import AppCredentials, OAuth2Credential
from valetkey.model.fapi2 import allowed_algs
from valetkey.protocol.signing import read_key
from valetkey.values import Secret

Role = Literal["in_use", "new", "next", "old"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AppKey:
    """One key pair of an app, as all may see it.

    Attributes:
        role: ``in_use``; ``next``: it is published, and not used yet; ``new``: it is tried; ``old``: a fallback.
        kid: Its id.
        alg: The algorithm that it signs with (RFC 7518).
        jwk: Its public half (RFC 7517).
    """

    role: Role
    kid: str
    alg: str
    jwk: dict[str, str]


def next_key_id(credential: OAuth2Credential) -> str:
    """Return under which id the key is kept that waits to be registered at the provider."""
    return f"{credential.secret_id}-next-key"


def described(credential: OAuth2Credential, key: Secret, role: Role, *, kid: str = "") -> AppKey:
    """Return what all may see of a private key; `kid` is the id that the provider gave to it, empty for none.

    Raises:
        ConfigurationError: It cannot be read, or may not sign (``private_key_unreadable``, ``private_key_unfit``).
    """
    alg, allowed = credential.signing_alg, allowed_algs(credential)
    read = read_key(key, alg=alg, allowed=allowed, what="private_key", name=credential.name, kid=kid)
    return AppKey(role=role, kid=read.kid, alg=read.alg, jwk=read.public_jwk())


def app_keys(
    world: World, env: str, credential: OAuth2Credential, app: AppCredentials | None, waiting: Secret | None
) -> tuple[AppKey, ...]:
    """Return the key pairs of an app, each once: the one in use first.

    Args:
        world: Where.
        env: The environment.
        credential: Whose app.
        app: The app; None: there is none yet.
        waiting: The key that waits to be registered.

    Raises:
        ConfigurationError: As `described`.
        DecryptionFailed: Those beside the one in use cannot be opened.
    """
    known: dict[frozenset[tuple[str, str]], AppKey] = {}
    for role, key in _keys(world, env, credential, app, waiting):
        given = app.key_id if app is not None and role == "in_use" else ""
        one = described(credential, key, role, kid=given)
        known.setdefault(frozenset(member for member in one.jwk.items() if member[0] != "kid"), one)
    return tuple(known.values())


def _keys(
    world: World, env: str, credential: OAuth2Credential, app: AppCredentials | None, waiting: Secret | None
) -> Iterator[tuple[Role, Secret]]:
    if app is not None and app.private_key is not None:
        yield "in_use", app.private_key
        if credential.client_auth == BY_KEY:
            yield from _beside(world, env, credential, app)
    if waiting is not None:
        yield "next", waiting


def _beside(world: World, env: str, credential: OAuth2Credential, app: AppCredentials) -> Iterator[tuple[Role, Secret]]:
    state = app_state(world, env, credential)
    facts, kept, now = facts_for(app, state), secrets_of(world, state), world.clock.now()
    if facts.candidate is not None and facts.candidate.fp in kept:
        yield "new", kept[facts.candidate.fp]
    for one in facts.fallbacks:
        if now < one.until and one.fp in kept:
            yield "old", kept[one.fp]
