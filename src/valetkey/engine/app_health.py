"""How an app is: its secrets, and what it does to the connections under it, by cause."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

from valetkey.engine.app_certificates import DAY, WARN_DAYS, CertificateInUse, certificate_in_use
from valetkey.engine.app_facts import Facts, facts_for, proof_of, secrets_of
from valetkey.engine.apps import app_state, held_against
from valetkey.engine.status import told_group
from valetkey.engine.world import World
from valetkey.errors import ConfigurationError, StoreError, StoreUnavailable, clean
from valetkey.model.connections import Document, Query, State
from valetkey.model.credentials import EMPTY, AppCredentials, OAuth2Credential
from valetkey.values import Secret

Health = Literal["working", "not_answering", "ends_soon", "fixing", "missing", "unreadable"]
_NO_ANSWER: Final = ("unreachable", "no_answer", "temporarily_unavailable", "server_error")


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretInUse:
    """The secret in use.

    Attributes:
        fingerprint: 12 hex digits by which two people can compare it.
        stored_at: When it came into use, where it was replaced here.
        stored_by: Who stored it.
        ends_at: When the provider ends it, where somebody said so.
        refused: Whether the provider refuses it, while it takes a fallback.
        error: The provider's error then.
        description: Its words.
    """

    fingerprint: str
    stored_at: float | None = None
    stored_by: str = ""
    ends_at: float | None = None
    refused: bool = False
    error: str = ""
    description: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSecret:
    """A secret that waits for the first request which the provider takes it with.

    Attributes:
        fingerprint: As of the one in use.
        stored_at: When it was stored.
        stored_by: By whom.
        ends_at: When the provider ends it, where somebody said so.
        overlap: Seconds for which the old one is kept after it was taken.
        error: With which error the provider refused it, where it refused the secret in use too.
        description: In which words.
    """

    fingerprint: str
    stored_at: float
    stored_by: str
    ends_at: float | None
    overlap: float
    error: str = ""
    description: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OldSecret:
    """A secret that was in use before, kept `until` it is erased (Unix seconds)."""

    fingerprint: str
    until: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedSecret:
    """The last new secret, where the provider did not take it and it was dropped: when, whose, and what was said."""

    at: float
    by: str
    error: str
    description: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How the connections under an app are.

    Attributes:
        counts: (state, reason) -> how many.
        stopped: How many have no access token any more that works.
        living: How many access tokens still work.
        first_end: When the first of these ends, in Unix seconds.
        last_end: When the last of these ends.
        owners: How many owners they belong to.
        total: How many connections there are.
        unread: Of how many only the state is known: the other figures are not about these.
    """

    counts: dict[tuple[State, str], int]
    stopped: int = 0
    living: int = 0
    first_end: float | None = None
    last_end: float | None = None
    owners: int = 0
    total: int = 0
    unread: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class AppHealth:
    """How an app is.

    Attributes:
        credential: The name of its credential.
        health: In one word: ``working``; ``not_answering``: the token endpoint does not answer; ``ends_soon``: its
            secret or certificate ends within 30 days, or the secret in use is refused and a fallback serves;
            ``fixing``: the provider rejects it, or its secret or certificate has ended; ``missing``: there are no app
            credentials; ``unreadable``: what is stored cannot be read.
        error: Why, as the provider's error or as a code of ours.
        description: The provider's words.
        client_id: The client id, empty where there is none.
        since: Since when the provider rejects the app.
        next_try_at: When a rejected app is tried again; until then its circuit breaker is open, and nothing is sent.
        secret: The secret in use; None for a public client, and where there is none.
        new_secret: One that waits to follow it.
        old_secrets: Those that were in use before, the latest first.
        refused_secret: The last new one, where the provider did not take it.
        certificate: The certificate that its connections carry, where they do.
    """

    credential: str
    health: Health
    error: str = ""
    description: str = ""
    client_id: str = ""
    since: float | None = None
    next_try_at: float | None = None
    secret: SecretInUse | None = None
    new_secret: NewSecret | None = None
    old_secrets: tuple[OldSecret, ...] = ()
    refused_secret: RefusedSecret | None = None
    certificate: CertificateInUse | None = None


def app_health(world: World, env: str, credential: OAuth2Credential) -> AppHealth:
    """Return how an app is.

    Raises:
        StoreError: The store cannot be read.
    """
    try:
        app = world.app(credential)
    except StoreUnavailable:
        raise
    except (ConfigurationError, StoreError) as error:
        missing = error.code == "app_missing"
        return AppHealth(credential=credential.name, health="missing" if missing else "unreadable", error=error.code)
    return _of(world, env, credential, app, app_state(world, env, credential))


def _of(world: World, env: str, credential: OAuth2Credential, app: AppCredentials, state: Document | None) -> AppHealth:
    facts = facts_for(app, state)
    held = held_against(app, state)
    body: Mapping[str, Any] = held.body if held is not None else EMPTY
    secret = _in_use(world, credential, app, facts)
    silent = _silent(world, env, credential)
    now = world.clock.now()
    error, description = str(body.get("error") or ""), str(body.get("description") or "")
    certificate = certificate_in_use(credential, app)
    cut_off = "certificate_ended" if certificate is not None and certificate.ends_at <= now else ""
    if secret is not None and secret.ends_at is not None and secret.ends_at <= now:
        cut_off = "app_secret_ended"
    health: Health = "working"
    if held is not None or cut_off:
        health, error = "fixing", error or cut_off or "client_rejected"
    elif silent:
        health, error = "not_answering", silent
    elif secret is not None and (secret.refused or _soon(secret.ends_at, now)):
        health, error, description = "ends_soon", secret.error, secret.description
    elif certificate is not None and _soon(certificate.ends_at, now):
        health = "ends_soon"
    found = AppHealth(
        credential=credential.name,
        health=health,
        error=error,
        description=clean(description),
        client_id=app.client_id,
        since=body.get("since"),
        next_try_at=body.get("next_try_at"),
        secret=secret,
        certificate=certificate,
    )
    return _with_others(world, found, facts, state)


def _soon(ends_at: float | None, now: float) -> bool:
    return ends_at is not None and ends_at - now <= max(WARN_DAYS) * DAY


def _in_use(world: World, credential: OAuth2Credential, app: AppCredentials, facts: Facts) -> SecretInUse | None:
    proof = proof_of(credential, app)
    if proof is None:
        return None
    known, lean = facts.in_use, facts.lean
    return SecretInUse(
        fingerprint=_shown(world, proof),
        stored_at=known.at if known else None,
        stored_by=known.by if known else "",
        ends_at=known.ends_at if known else None,
        refused=lean is not None,
        error=lean.error if lean else "",
        description=lean.description if lean else "",
    )


def _shown(world: World, secret: Secret) -> str:
    fingerprint = getattr(world.sealer, "fingerprint", None)
    return str(fingerprint(secret.reveal())) if callable(fingerprint) else ""


def _with_others(world: World, found: AppHealth, facts: Facts, state: Document | None) -> AppHealth:
    """Return `found` with what is kept beside the secret in use."""
    try:
        shown = {fp: _shown(world, secret) for fp, secret in secrets_of(world, state).items()}
    except StoreError:
        shown = {}
    one, now, last = facts.candidate, world.clock.now(), facts.refused
    new = (
        None
        if one is None
        else NewSecret(
            fingerprint=shown.get(one.fp, ""),
            stored_at=one.at,
            stored_by=one.by,
            ends_at=one.ends_at,
            overlap=one.overlap,
            error=one.error,
            description=one.description,
        )
    )
    old = (OldSecret(fingerprint=shown.get(f.fp, ""), until=f.until) for f in facts.fallbacks if now < f.until)
    refused = (
        None if last is None else RefusedSecret(at=last.at, by=last.by, error=last.error, description=last.description)
    )
    return replace(found, new_secret=new, old_secrets=tuple(old), refused_secret=refused)


def _silent(world: World, env: str, credential: OAuth2Credential) -> str:
    """Return the error of a connection that waits for its token endpoint to answer, empty where none does."""
    query = Query(env=env, credential=credential.name, state="refresh_failing")
    for record in world.store.list(query, limit=1).items:
        if record.error in _NO_ANSWER or record.error.startswith("http_5"):
            return record.error
    return ""


def standing_of(world: World, env: str, credential: OAuth2Credential, *, rejected: str = "") -> Standing:
    """Return how the connections under an app are, by cause; `rejected` is why the app cannot be used, if so.

    Raises:
        StoreError: The store cannot be read.
    """
    found = world.store.standings(env=env, credential=credential.name, now=world.clock.now())
    counts: Counter[tuple[State, str]] = Counter()
    stopped, living = 0, 0
    first: list[float] = []
    last: list[float] = []
    for group in found.groups:
        counts[told_group(group, app_error=rejected)] += group.n
        stopped += group.n if group.held and group.alive == "ended" else 0
        if group.held and group.alive == "ends":
            living += group.n
            first += [group.first_end] if group.first_end is not None else []
            last += [group.last_end] if group.last_end is not None else []
    return Standing(
        counts=dict(counts.most_common()),
        stopped=stopped,
        living=living,
        first_end=min(first, default=None),
        last_end=max(last, default=None),
        owners=found.owners,
        total=counts.total(),
        unread=found.unread,
    )
