"""Replacing an app's secret without downtime: in which order the secrets of an app are tried, and what follows.

A candidate is tried by one request at a time, all others go on with the secret in use.  It takes that one's place with
the first answer that takes it, and the old one is kept as a fallback for a while.  A request that is refused with
``invalid_client`` has not spent its refresh token (RFC 6749 section 5.2), so the next secret may be tried with the
very same token, before any connection is touched or the app's breaker opens.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal, TypeVar

from valetkey.engine.app_facts import (
    Facts,
    Fallback,
    InUse,
    Lean,
    Refused,
    change,
    facts_for,
    proof_of,
    secrets_of,
    with_proof,
)
from valetkey.engine.apps import app_state
from valetkey.engine.world import World
from valetkey.errors import DecryptionFailed, StoreError, ValetkeyError
from valetkey.logs import get_logger
from valetkey.model.connections import Document, Event
from valetkey.model.credentials import AppCredentials, OAuth2Credential
from valetkey.protocol.refusals import Refusal

T = TypeVar("T")
_log = get_logger("apps")
Role = Literal["candidate", "current", "fallback"]
MOST_FALLBACKS: Final = 3
TEST_SECONDS: Final = 60.0
"""For how long one request has a candidate to itself: as long as its answer is listened for."""
FIRST_PAUSE: Final = 60.0
LONGEST_PAUSE: Final = 900.0
"""Seconds between two tries of a secret in use that the provider refuses while it takes a fallback."""


@dataclass(frozen=True, slots=True)
class Way:
    """One secret to try, as the app with it, and what it is."""

    role: Role
    app: AppCredentials


def ways(
    world: World, env: str, credential: OAuth2Credential, app: AppCredentials, state: Document | None, *, spends: bool
) -> tuple[Way, ...]:
    """Return the secrets to try, in order; mostly there is only the one in use.

    Args:
        world: Where.
        env: The environment.
        credential: Whose app.
        app: The app with the secret in use.
        state: What is kept of it, as it was just read.
        spends: Whether a refused secret costs nothing but a request: a refresh.  A person's sign-in is not used to
            try a candidate, and a secret in use that was refused a moment ago.
    """
    if state is None or state.sealed is None:  # nearly always
        return (Way("current", app),)
    facts = facts_for(app, state)
    try:
        secrets = secrets_of(world, state)
    except DecryptionFailed as error:  # what is in use can be read, and so it is used
        _log.warning("the other secrets of app %r cannot be opened: %s", credential.name, error)
        return (Way("current", app),)
    candidate = facts.candidate
    if candidate is not None and candidate.fp == app.fingerprint():  # somebody stopped halfway, or stored it by hand
        finish(world, env, credential, app)
        candidate = None
    order = [Way("current", app)]
    now = world.clock.now()
    falls = [one for one in facts.fallbacks if now < one.until and one.fp in secrets]
    if len(falls) < len(facts.fallbacks):
        erase_ended(world, env, credential, app)
    order += [Way("fallback", with_proof(credential, app, secrets[one.fp])) for one in falls]
    if _leans(world, env, credential, app, facts, falls, spends=spends):
        order = [*order[1:], order[0]]
    if candidate is not None and candidate.fp in secrets:
        first = candidate.accepted or (spends and _has_it_alone(world, env, credential, app))
        way = Way("candidate", with_proof(credential, app, secrets[candidate.fp]))
        order.insert(0 if first else 1, way)
    return tuple({way.app.fingerprint(): way for way in reversed(order)}.values())[::-1]


def _leans(
    world: World,
    env: str,
    credential: OAuth2Credential,
    app: AppCredentials,
    facts: Facts,
    falls: Sequence[Fallback],
    *,
    spends: bool,
) -> bool:
    """Whether a fallback goes first; at times one request asks whether the secret in use is taken again."""
    lean = facts.lean
    if lean is None or all(one.fp != lean.fp for one in falls):
        return False
    now = world.clock.now()
    if not spends or 0 < lean.next_try_at - now <= 2 * LONGEST_PAUSE:  # a longer one: the clock was set back
        return True

    def mine(document: Document | None) -> Facts | None:
        there = facts_for(app, document)
        if there.lean is None or there.lean.next_try_at != lean.next_try_at:
            return None
        failures = lean.failures + 1
        return replace(there, lean=replace(there.lean, failures=failures, next_try_at=now + _pause(failures)))

    return change(world, env, credential.name, mine) is None


def _has_it_alone(world: World, env: str, credential: OAuth2Credential, app: AppCredentials) -> bool:
    """Whether this request is the one that tries the candidate."""
    now = world.clock.now()

    def mine(document: Document | None) -> Facts | None:
        there = facts_for(app, document)
        if there.candidate is None or 0 < there.candidate.tested_until - now <= TEST_SECONDS:
            return None
        return replace(there, candidate=replace(there.candidate, tested_until=now + TEST_SECONDS))

    return change(world, env, credential.name, mine) is not None


def _pause(failures: int) -> float:
    return float(min(FIRST_PAUSE * 2 ** min(failures - 1, 8), LONGEST_PAUSE))


def next_way(answer: object) -> bool:
    """Whether an answer means that another secret of the app may be tried with the same request."""
    return isinstance(answer, Refusal) and answer.app_fault


def taken(answer: object) -> bool:
    """Whether an answer shows that the provider took the secret: tokens, or a final word about the grant itself."""
    return answer.final if isinstance(answer, Refusal) else answer is not None


def to_settle(app: AppCredentials, state: Document | None, way: Way, refused: bool) -> bool:
    """Whether it changes anything that the provider took this secret; mostly it is the one in use, and does not."""
    if refused or way.role == "candidate":
        return True
    return state is not None and way.role == "current" and facts_for(app, state).lean is not None


def settle(
    world: World,
    env: str,
    credential: OAuth2Credential,
    app: AppCredentials,
    way: Way,
    refusals: Sequence[tuple[Way, Refusal]],
) -> None:
    """Act on it that the provider took a secret, and refused those before it.

    What came with it is the caller's and must not be lost: trouble with this is logged, and the next answer settles it.
    """
    try:
        if way.role == "candidate":
            promote(world, env, credential, app)
            return
        _drop_refused(world, env, credential, app, refusals, well=way.role == "current")
        if way.role == "fallback":
            _lean(world, env, credential, app, way, refusals)
    except ValetkeyError as error:
        _log.warning("what became of the secrets of app %r was not noted: %s", credential.name, error)


def _drop_refused(
    world: World,
    env: str,
    credential: OAuth2Credential,
    app: AppCredentials,
    refusals: Sequence[tuple[Way, Refusal]],
    *,
    well: bool,
) -> None:
    """Drop a candidate that was refused where another secret was taken; `well`: that was the one in use."""
    refused = {way.app.fingerprint(): refusal for way, refusal in refusals}
    gone: list[Refused] = []

    def step(document: Document | None) -> Facts | None:
        facts = facts_for(app, document)
        candidate, new = facts.candidate, facts
        gone.clear()
        if candidate is not None and (refusal := refused.get(candidate.fp)):
            gone.append(_refused(world, candidate.by, refusal))
            new = replace(new, candidate=None, refused=gone[0])
        if well and facts.lean is not None:
            new = replace(new, lean=None)
        return None if new is facts else new

    change(world, env, credential.name, step)
    for one in gone:
        tell_app(world, env, credential, "app_secret_refused", by=one.by, error=one.error, description=one.description)


def all_refused(
    world: World,
    env: str,
    credential: OAuth2Credential,
    app: AppCredentials,
    refusals: Sequence[tuple[Way, Refusal]],
) -> Refusal:
    """Return the refusal to tell of where no secret was taken; what was said to a candidate is noted with it."""
    said = next((refusal for way, refusal in refusals if way.role == "candidate"), None)

    def step(document: Document | None) -> Facts | None:
        facts = facts_for(app, document)
        if said is None or facts.candidate is None:
            return None
        told = replace(facts.candidate, error=said.error, description=said.description)
        return None if told == facts.candidate else replace(facts, candidate=told)

    if said is not None:
        try:
            change(world, env, credential.name, step)
        except ValetkeyError as error:
            _log.warning("what was said to the candidate of app %r was not noted: %s", credential.name, error)
    return next((refusal for way, refusal in refusals if way.role == "current"), refusals[0][1])


def _refused(world: World, by: str, refusal: Refusal) -> Refused:
    return Refused(at=world.clock.now(), by=by, error=refusal.error, description=refusal.description)


def _lean(
    world: World,
    env: str,
    credential: OAuth2Credential,
    app: AppCredentials,
    way: Way,
    refusals: Sequence[tuple[Way, Refusal]],
) -> None:
    """Let a fallback go first: the provider took it, and refused the secret in use."""
    why = next((refusal for one, refusal in refusals if one.role == "current"), None)
    if why is None:
        return
    fp, now = way.app.fingerprint(), world.clock.now()

    def step(document: Document | None) -> Facts | None:
        facts = facts_for(app, document)
        if facts.lean is not None and facts.lean.fp == fp:
            return None  # it is known, and when the secret in use is tried next was noted before it was
        lean = Lean(
            fp=fp,
            over=app.fingerprint(),
            since=now,
            next_try_at=now + _pause(1),
            error=why.error,
            description=why.description,
        )
        return replace(facts, lean=lean)

    if change(world, env, credential.name, step) is not None:
        tell_app(world, env, credential, "app_secret_fell_back", error=why.error, description=why.description)


def promote(world: World, env: str, credential: OAuth2Credential, app: AppCredentials) -> None:
    """Put the candidate that was accepted into the place of the secret in use, which becomes a fallback.

    First it is noted that it was accepted, with the old one beside it; then it is stored where the app's secret is
    kept.  Who stops in between loses nothing: the next request goes on from there.

    Raises:
        ValetkeyError: The place where the secret is kept, or the store, does not take it.
    """
    now = world.clock.now()

    def accept(document: Document | None) -> Facts | None:
        facts = facts_for(app, document)
        candidate = facts.candidate
        if candidate is None or candidate.accepted:
            return None
        old = Fallback(fp=app.fingerprint(), at=now, until=now + candidate.overlap)
        kept = [one for one in facts.fallbacks if one.until > now and one.fp not in {candidate.fp, old.fp}]
        falls = [old, *kept] if candidate.overlap > 0 else kept
        return replace(
            facts, candidate=replace(candidate, accepted=True), fallbacks=tuple(falls[:MOST_FALLBACKS]), lean=None
        )

    old = proof_of(credential, app)
    old_secret = {} if old is None else {app.fingerprint(): old}
    change(world, env, credential.name, accept, adding=old_secret)
    document = app_state(world, env, credential)
    candidate = facts_for(app, document).candidate
    if candidate is None:
        return  # another request has done it
    new = with_proof(credential, app, secrets_of(world, document)[candidate.fp])
    world.keep_app(credential, new)
    finish(world, env, credential, new)


def finish(world: World, env: str, credential: OAuth2Credential, app: AppCredentials) -> None:
    """Note that the candidate is the secret in use now: it stands where that is kept."""
    by: list[str] = []

    def step(document: Document | None) -> Facts | None:
        facts = facts_for(app, document)
        new = facts.candidate
        if new is None or new.fp != app.fingerprint():
            return None
        by[:] = [new.by]
        in_use = InUse(fp=new.fp, at=world.clock.now(), by=new.by, ends_at=new.ends_at)
        return replace(facts, candidate=None, in_use=in_use, refused=None, lean=None)

    facts = change(world, env, credential.name, step)
    if facts is not None:
        until = facts.fallbacks[0].until if facts.fallbacks else None
        tell_app(world, env, credential, "app_secret_replaced", by=by[0], fallback_until=until)


def erase_ended(world: World, env: str, credential: OAuth2Credential, app: AppCredentials) -> None:
    """Erase the fallbacks whose time is over."""
    now = world.clock.now()

    def step(document: Document | None) -> Facts | None:
        facts = facts_for(app, document)
        left = tuple(one for one in facts.fallbacks if now < one.until)
        if len(left) == len(facts.fallbacks):
            return None
        return replace(facts, fallbacks=left)

    if change(world, env, credential.name, step) is not None:
        tell_app(world, env, credential, "app_secret_erased")


def in_use(world: World, env: str, credential: OAuth2Credential, app: AppCredentials) -> AppCredentials:
    """Return the app with the secret that the provider takes, as far as it is known."""
    try:
        return ways(world, env, credential, app, app_state(world, env, credential), spends=False)[0].app
    except StoreError:
        return app


def tried_in_order(
    world: World,
    env: str,
    credential: OAuth2Credential,
    app: AppCredentials,
    send: Callable[[AppCredentials], T | Refusal],
) -> T | Refusal:
    """Send what a person's sign-in brought, with one secret after the other until one is not refused."""
    refusals: list[tuple[Way, Refusal]] = []
    state = app_state(world, env, credential)
    for way in ways(world, env, credential, app, state, spends=False):
        answer = send(way.app)
        if isinstance(answer, Refusal) and next_way(answer):
            refusals.append((way, answer))
            continue
        if taken(answer) and to_settle(app, state, way, bool(refusals)):
            settle(world, env, credential, app, way, refusals)
        return answer
    return refusals[0][1]


def tell_app(world: World, env: str, credential: OAuth2Credential, kind: str, **detail: object) -> None:
    """Append an event about an app; the store's trouble with it is logged, for what it tells of is done."""
    told = {name: value for name, value in detail.items() if value not in (None, "")}
    event = Event(kind=kind, at=world.clock.now(), env=env, credential=credential.name, actor=world.actor, detail=told)
    try:
        world.store.append_event(event)
    except ValetkeyError as error:
        _log.warning("the event %s of app %r was not written: %s", kind, credential.name, error)
