"""What happens under a claim: the refresh token is spent once, and its successor is stored (R4, R6, R8, R9)."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TypeVar

from valetkey.engine.app_secrets import Way, all_refused, next_way, settle, taken, to_settle, ways
from valetkey.engine.apps import app_accepted, standing
from valetkey.engine.id_tokens import note_renewed, renewed
from valetkey.engine.lifecycle import Held, held
from valetkey.engine.narrowing import (
    GrantInQuestion,
    bought,
    facts_of,
    narrowed,
    refused_resource,
    speaks_of_resource,
    told_of,
)
from valetkey.engine.own_tokens import own_request
from valetkey.engine.proving import new_dpop_key
from valetkey.engine.replay import healed
from valetkey.engine.revoking import revoke_grant, superseded
from valetkey.engine.storing import grant_facts, kept_of, note_details, swap_sealed
from valetkey.engine.subjects import REFUSED_SUBJECT, SubjectRefused, Subjects, exchange_again
from valetkey.engine.verdicts import estranged, refused, release, unanswered, unsent
from valetkey.engine.windows import CLAIM_LIFE, DEADLINE, LISTEN, SEND_MARGIN, sign_in_by, sign_in_due
from valetkey.engine.world import NO_JOURNAL, World, emit, event_about, open_grant
from valetkey.errors import StoreError, StoreUnavailable, ValetkeyError
from valetkey.logs import get_logger
from valetkey.model.connections import Document, Expect, Record, altered
from valetkey.model.credentials import AppCredentials, OAuth2Credential
from valetkey.model.grants import Grant
from valetkey.model.journals import JournalEntry
from valetkey.model.ports import InDoubt, NotSent, TooLate
from valetkey.protocol.token_exchange import parse_exchange_response
from valetkey.protocol.token_request import refresh_request
from valetkey.protocol.token_response import Refusal, TokenSet, parse_token_response
from valetkey.values import Request

T = TypeVar("T")
_log = get_logger("spending")
COMMIT_PAUSE = 1.0
"""Seconds between tries to commit, at most."""


@dataclass(frozen=True, slots=True)
class Claimed:
    """A record that this flight has claimed, the claim's holder, since when (monotonic), and its life in seconds."""

    record: Record
    holder: str
    since: float
    life: float = CLAIM_LIFE


@dataclass(frozen=True, slots=True)
class Work:
    """What is to be done under a claim.

    Attributes:
        app: The app that spends, with the secret in use.
        state: What is kept of the app, its other secrets among it.
        grant: The grant of the claimed record, where it was opened before; None: it has to be.
        retry: Whether the same token may be sent once more where the answer is lost.
        suspect: Whether anything is held against the app.
        used: Whether it is a caller that wants the token now.
        subjects: The tokens that are exchanged for the new one, where it is got that way (RFC 8693).
        resource: For which resource a token is bought (RFC 8707); empty: the grant's own.
    """

    app: AppCredentials
    grant: Grant | None = None
    state: Document | None = None
    retry: bool = False
    suspect: bool = False
    used: bool = False
    subjects: Subjects | None = None
    resource: str = ""


def spend(world: World, credential: OAuth2Credential, claimed: Claimed, work: Work) -> Held | None:
    """Spend the refresh token under the claim and store what comes back.

    Returns None when the record has to be looked at again: the row had moved on, or the answer was lost and the same
    token may be sent once more.

    Raises:
        TooLate: The claim was too old to send; it was given back.
        GrantInQuestion: The provider refuses the grant, but was asked for one resource; the claim was given back.
        ProviderError: It gives no token for that resource (``resource_refused``); the same.
    """
    env = claimed.record.key.env
    try:
        grant = _to_spend(work.grant or open_grant(world, claimed.record))
        order = ways(world, env, credential, work.app, work.state, spends=True)
        first = _request(world, credential, order[0].app, claimed.record, grant, work)
    except ValetkeyError:
        release(world, claimed.record, claimed.holder)
        raise
    sent = _tried(world, credential, claimed, work, grant, order, first)
    if sent is None:
        return None
    if taken(sent.answer) and isinstance(sent.answer, Refusal):
        _settle(world, credential, claimed, work, sent)
    if isinstance(sent.answer, Refusal):
        _refused(world, credential, claimed, work, sent.answer)
        return None
    found = renewed(world, credential, work.app, claimed.record, grant, sent.answer)
    if found is not None and found.estranged:
        _settle(world, credential, claimed, work, sent)
        estranged(world, credential, claimed.record, claimed.holder, grant, found)
        return None
    done = _commit(world, credential, claimed, found.tokens if found else sent.answer, grant, work)
    if done is not None:
        params = note_details(world, done.record, done.grant, kept_of(credential, sent.answer))
        if params is not done.record.params:
            done = replace(done, record=altered(done.record, params=params), facts=altered(done.facts, params=params))
    if found is not None and done is not None:
        note_renewed(world, credential, found, done.record)
    _settle(world, credential, claimed, work, sent)
    if work.suspect:
        app_accepted(world, env, credential)
    return done


def _refused(world: World, credential: OAuth2Credential, claimed: Claimed, work: Work, refusal: Refusal) -> None:
    """Act on a refusal: what is, or may be, of one resource or subject alone leaves the record as it is.

    Raises, or returns where the record is to be looked at again.
    """
    error: Exception | None = None
    if work.resource and speaks_of_resource(credential, refusal):
        error = refused_resource(credential, work.resource, refusal)
    elif work.resource and refusal.kind == "grant":
        error = GrantInQuestion(refusal)
    elif work.subjects is not None and work.subjects.mark and refusal.error in REFUSED_SUBJECT:
        error = SubjectRefused(work.subjects.mark)
    if error is not None:
        release(world, claimed.record, claimed.holder)
        raise error
    tried = standing(work.app, work.state)
    refused(world, credential, claimed.record, claimed.holder, tried, refusal, retry=work.retry)


@dataclass(frozen=True, slots=True)
class _Sent:
    """The answer to act on, the secret that it came to, and what was said to those before it."""

    answer: TokenSet | Refusal
    way: Way
    refusals: list[tuple[Way, Refusal]]


def _tried(
    world: World,
    credential: OAuth2Credential,
    claimed: Claimed,
    work: Work,
    grant: Grant | None,
    order: tuple[Way, ...],
    request: Request,
) -> _Sent | None:
    """Send with one secret of the app after the other until one is not refused; None: the record is to be read again.

    A refused secret has not cost the refresh token.  Each further request leaves under the claim renewed, so that its
    age counts anew (R4).
    """
    refusals: list[tuple[Way, Refusal]] = []
    way, answer = order[0], _send_in_time(world, credential, claimed, request, retry=work.retry)
    for following in order[1:]:
        if not (isinstance(answer, Refusal) and next_way(answer)):
            break
        refusals.append((way, answer))
        again = replace(claimed, since=world.clock.monotonic())
        if not world.store.renew(claimed.record, holder=claimed.holder, life=claimed.life):
            return None
        way, request = following, _request(world, credential, following.app, claimed.record, grant, work)
        answer = _send_in_time(world, credential, again, request, retry=work.retry)
    if answer is None:
        return None
    if refusals and isinstance(answer, Refusal) and next_way(answer):
        refusals.append((way, answer))
        answer = all_refused(world, claimed.record.key.env, credential, work.app, refusals)
    return _Sent(answer, way, refusals)


def _settle(world: World, credential: OAuth2Credential, claimed: Claimed, work: Work, sent: _Sent) -> None:
    """Act on it that the provider took one of the app's secrets."""
    if to_settle(work.app, work.state, sent.way, bool(sent.refusals)):
        settle(world, claimed.record.key.env, credential, work.app, sent.way, sent.refusals)


def _send_in_time(
    world: World, credential: OAuth2Credential, claimed: Claimed, request: Request, *, retry: bool
) -> TokenSet | Refusal | None:
    """Send it while the claim is young enough; see `_send`.

    Raises:
        TooLate: It is too old; it was given back.
    """
    send_by = claimed.since + min(DEADLINE, claimed.life / 2)
    if world.clock.monotonic() > send_by - SEND_MARGIN:
        release(world, claimed.record, claimed.holder)
        msg = "the claim had become too old to send under it"
        raise TooLate(msg)
    return _send(world, credential, claimed, replace(request, send_by=send_by), retry=retry)


def _request(
    world: World,
    credential: OAuth2Credential,
    app: AppCredentials,
    record: Record,
    grant: Grant | None,
    work: Work,
) -> Request:
    credential = narrowed(credential, work.resource)
    if work.subjects is not None:
        request = exchange_again(credential, app, record, work.subjects)
        return replace(request, dpop_key=grant.dpop_key if grant is not None else None)
    if credential.by_itself:
        asked = record.requested or credential.all_scopes
        request = own_request(world, credential, app, record.key, scope=asked)
        return replace(request, dpop_key=grant.dpop_key if grant is not None else new_dpop_key(credential))
    if grant is None or grant.refresh_token is None:
        msg = f"{record.key} holds no refresh token although its record says so"
        raise ValetkeyError(msg, code="row_corrupt", hint="connect it again")
    spends = refresh_request(credential, app, refresh_token=grant.refresh_token, access_token=grant.access_token)
    return replace(spends, dpop_key=grant.dpop_key)


def _to_spend(grant: Grant | None) -> Grant | None:
    """Return the grant with the refresh token to send: what was quarantined is the successor of the one beside it."""
    if grant is None or grant.quarantined is None:
        return grant
    return replace(grant, refresh_token=grant.quarantined, quarantined=None)


def _send(
    world: World, credential: OAuth2Credential, claimed: Claimed, request: Request, *, retry: bool
) -> TokenSet | Refusal | None:
    """Send it, renewing the claim while the answer is awaited; None where the record is to be looked at again.

    Raises:
        TooLate: The claim had become too old before the request left; it was given back.
    """
    record, holder = claimed.record, claimed.holder

    def renew() -> object:
        return world.store.renew(record, holder=holder, life=claimed.life)

    try:
        with world.pulse(claimed.life / 3, renew):
            response = world.endpoint.send(request, deadline=world.clock.monotonic() + LISTEN)
    except TooLate:
        release(world, record, holder)
        raise
    except NotSent as error:
        raise unsent(world, credential, record, holder, str(error)) from error
    except InDoubt as error:
        unanswered(world, credential, record, holder, str(error), retry=retry)
        return None
    except BaseException:
        # Whether the request left is not known, but its connection is closed: the next one may try, in doubt.
        with suppress(StoreError):
            release(world, record, holder, doubt=record.doubt + 1)
        raise
    parse = parse_exchange_response if credential.grant == "token_exchange" else parse_token_response
    return parse(response, credential=credential, now=world.clock.now(), request=request)


def _commit(
    world: World,
    credential: OAuth2Credential,
    claimed: Claimed,
    answer: TokenSet,
    before: Grant | None,
    work: Work,
) -> Held | None:
    """Store the new grant; the row decides whether it is still wanted (R6)."""
    record, resource = claimed.record, work.resource
    grant = bought(answer, before, credential, record, resource=resource, now=world.clock.now())
    new = _renewed(world, credential, record, grant, used=work.used)
    rotated = bool(record.refresh_fp) and new.refresh_fp != record.refresh_fp
    expect = Expect.of(record, holder=claimed.holder, spent=record.refresh_fp if rotated else None)
    told = event_about(world, "refreshed", new, rotated=rotated, **({"resource": resource} if resource else {}))
    entry = _noted(world, record, grant) if rotated and world.journal is not NO_JOURNAL else None
    try:
        stored = _patiently(world, lambda: swap_sealed(world, new, grant, expect=expect, event=told))
        if stored is None:
            done = _not_wanted(world, credential, new, grant, resource, kept=entry is not None)
        else:
            done = held(stored, grant, resource)
    except StoreError:
        if entry is not None:
            world.journal.leave(entry)
        raise
    if entry is not None:
        world.journal.settle(entry)
    if stored is not None:
        _warn(world, credential, record, stored)
        world.changed(stored)
    return done


def _warn(world: World, credential: OAuth2Credential, before: Record, now: Record) -> None:
    """Tell, at the first refresh of the last days, that a person must sign in again (an absolute lifetime)."""
    due, end = sign_in_due(now, credential), sign_in_by(now, credential)
    if due is None or end is None or not (before.obtained_at or 0.0) < due <= (now.obtained_at or 0.0):
        return
    _log.warning("%s: somebody must sign in again within %.1f days", now.key, (end - world.clock.now()) / 86400)
    with suppress(StoreError):
        emit(world, "sign_in_due", now, by=end)


def _noted(world: World, record: Record, grant: Grant) -> JournalEntry:
    """Write the answer down on this host before it goes to a store elsewhere: it carries the only successor (R6)."""
    entry = JournalEntry(
        env=record.key.env,
        connection_id=record.id,
        incarnation=record.incarnation,
        version=record.version,
        spent=record.refresh_fp,
        at=world.clock.now(),
        grant=grant.to_json(),
    )
    return world.journal.write(entry)


def _renewed(world: World, credential: OAuth2Credential, record: Record, grant: Grant, *, used: bool) -> Record:
    changes = {**healed(world, record), "requested": record.requested or credential.all_scopes}
    if used:
        changes["last_used_at"] = world.clock.now()
    return grant_facts(record, grant, credential, **changes)


def _patiently(world: World, step: Callable[[], T]) -> T:
    """Do it, trying again while the store does not answer: what is in hand may be the only successor."""
    give_up = world.clock.monotonic() + LISTEN
    pause = 0.05
    while True:
        try:
            return step()
        except StoreUnavailable:
            world.lookout.store_away()
            if world.clock.monotonic() + pause > give_up:
                raise
            world.clock.sleep(pause)
            pause = min(pause * 2, COMMIT_PAUSE)


def _not_wanted(
    world: World, credential: OAuth2Credential, new: Record, grant: Grant, resource: str, *, kept: bool
) -> Held | None:
    """Find out why the row moved on: ours is in it after all, or nobody wants it and it is revoked, or adopt theirs.

    What a newer sign-in replaced is revoked where that ends it alone (R14), as the grant before it was.

    Raises:
        StoreError: The store does not come back; what is to be revoked is left to the journal, where that `kept` it.
    """
    current = _patiently(world, lambda: world.store.find(new.id))
    if current is not None and current.sealed is not None and _same_tokens(current, new):
        ours = told_of(new, grant, resource).access_fp
        facts = facts_of(world, current, resource)
        if facts is not None and facts.access_fp == ours:
            return held(current, grant, resource)
    if current is None or current.state == "disconnected" or superseded(credential, current, new.incarnation, grant):
        revoke_grant(world, credential, grant, record=new, strict=kept)
    if current is None:
        world.journal.erase(new.id)  # it was forgotten
    return None


def _same_tokens(one: Record, other: Record) -> bool:
    return (one.access_fp, one.refresh_fp) == (other.access_fp, other.refresh_fp)
