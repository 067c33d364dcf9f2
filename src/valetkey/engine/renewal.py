"""Renewing a grant: who may spend the refresh token, who waits, and what a 401 means (R2-R5, R10, R11).

It is loaded when a token has to be refreshed for the first time: a valid one needs none of it.  What happens to a
claim once it is held is in `spending`.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Final

from valetkey.engine.apps import app_for, client_changed, ensure_accepted
from valetkey.engine.discovery import complete
from valetkey.engine.id_tokens import ready_if_possible
from valetkey.engine.lifecycle import Held, Want, dead, load, look, obtain, opened, usable
from valetkey.engine.narrowing import (
    GrantInQuestion,
    ensure_signed_in_for,
    facts_of,
    refused_resource,
    resource_unrenewable,
)
from valetkey.engine.replay import replay
from valetkey.engine.spending import Claimed, Work, spend
from valetkey.engine.storing import reserve
from valetkey.engine.subjects import SubjectRefused, Subjects
from valetkey.engine.takeover import at_work, may_take_over
from valetkey.engine.trouble import connect_command, needs_person, not_refreshable, refresh_command, retry_hint
from valetkey.engine.verdicts import mark_dead, release, unsent
from valetkey.engine.windows import DEADLINE, STILL, YOUNG, claim_life
from valetkey.engine.world import World, open_grant
from valetkey.errors import (
    ClientRejected,
    ConfigurationError,
    ProviderError,
    ProviderUnavailable,
    ReauthorizationRequired,
    RefreshBusy,
    StoreError,
    StoreUnavailable,
)
from valetkey.forks import late_imports
from valetkey.model.connections import ConnectionKey, Document, Record
from valetkey.model.credentials import AppCredentials, OAuth2Credential
from valetkey.model.grants import Grant
from valetkey.model.ports import TooLate
from valetkey.model.resources import aimed
from valetkey.protocol.bodies import LONGEST_WAIT

MOST_CLAIMS: Final = 5
"""How often one flight claims: a slow store, or an app whose secret keeps changing, must not go on for ever."""


def renew(world: World, credential: OAuth2Credential, record: Record, want: Want) -> Held:
    """Return a usable token where that of `record`, just read, is not: refresh it, or wait for whoever does."""
    attempt = _Attempt(world, credential, record.key, want)
    held = attempt.step(record, looked=True)
    while held is None:
        held = attempt.step(look(world, credential, record.key))
    return held


class _Attempt:
    """One caller's way to a usable token: each step acts on the record as it was just read."""

    def __init__(self, world: World, credential: OAuth2Credential, key: ConnectionKey, want: Want) -> None:
        self.world = world
        self.credential = credential
        self.key = key
        self.want = want
        self.give_up_at = world.clock.monotonic() + DEADLINE
        self.doubts = 0
        self.claims = 0
        self.refused_subject = ""
        self.questioned = False

    def step(self, record: Record, *, looked: bool = False) -> Held | None:
        """Return the token, or None when the record has to be looked at again; `looked`: it is known to be unusable."""
        if not looked and usable(self.world, self.credential, record, self.want):
            return self._opened(record)
        try:
            return self._renewed(record)
        except ReauthorizationRequired as error:
            if self.credential.grant != "token_exchange":
                raise
            return self._old(look(self.world, self.credential, self.key), error)  # the subject's grant is what is dead
        except (ProviderError, ConfigurationError) as error:
            return self._old(look(self.world, self.credential, self.key), error)

    def _renewed(self, record: Record) -> Held | None:
        """Spend the refresh token, or watch somebody else do it."""
        if self._left_behind(record):
            return None
        if not self._refreshable(record):
            return self._unrefreshable(record)
        if not self._knows_server(record):
            return self._wait(record)
        app, state, suspect = self._app(record)
        if record.id == "":
            reserve(self.world, self.credential, self.key)
            return None
        work = Work(app, state=state, suspect=suspect, used=self._uses, resource=self.want.resource)
        return self._claimed(record, work)

    def _claimed(self, record: Record, work: Work) -> Held | None:
        """Claim the right to spend, and spend; or wait where another holder has it."""
        work = replace(work, subjects=self._subjects(record))
        grant = open_grant(self.world, record)  # a row that cannot be opened is not written to: it stays as it is
        if self.want.resource:
            ensure_signed_in_for(record, grant, self.credential, self.want.resource)
        claimed = self._claim(record)
        if claimed is None:
            return self._wait(record)
        if claimed.record.doubt and not self._may_resend(grant):
            release(self.world, claimed.record, claimed.holder)
            return self._in_doubt(claimed.record)
        same = claimed.record.sealed == record.sealed
        return self._spent(claimed, replace(work, grant=grant if same else None, retry=self.doubts == 0))

    def _spent(self, claimed: Claimed, work: Work) -> Held | None:
        """Do the work under the claim, unless too many claims of this flight came to nothing."""
        self.claims += 1
        if self.claims > MOST_CLAIMS:
            release(self.world, claimed.record, claimed.holder)
            raise _fruitless(self.key)
        try:
            with self._subject_once(), suppress(TooLate):
                outcome = spend(self.world, self.credential, claimed, work)
                self.doubts += outcome is None
                return outcome
        except GrantInQuestion as question:
            self._question(claimed.record, question)
        return None

    def _question(self, record: Record, question: GrantInQuestion) -> None:
        """Find out by a refresh of its own token whether the grant is dead, once; then the resource is asked for again.

        By then the refresh token may be another: that of a newer sign-in, too.
        """
        if self.questioned:
            raise refused_resource(self.credential, self.want.resource, question.refusal)
        self.questioned = True
        obtain(self.world, self.key, Want(refused=record.access_fp))  # raises where it is dead

    def _subjects(self, record: Record) -> Subjects | None:
        """Return the tokens to exchange, brought up to date before anything is claimed; None where nothing is."""
        if self.credential.grant != "token_exchange":
            return None
        with late_imports:
            from valetkey.engine.subjects import subjects_of  # noqa: PLC0415 - only for those who exchange tokens

        return subjects_of(self.world, record, refused=self.refused_subject)

    @contextmanager
    def _subject_once(self) -> Generator[None]:
        """Remember a subject token that the server did not take: it is brought up to date, once (RFC 8693 2.2.2)."""
        try:
            yield
        except SubjectRefused as error:
            self.refused_subject = error.fingerprint

    def _may_resend(self, grant: Grant | None) -> bool:
        """Whether a token that was sent without a readable answer may be sent again (R9)."""
        fresh = grant is None or grant.quarantined is not None
        return fresh or self.credential.resends or self.want.manual

    def _in_doubt(self, record: Record) -> Held | None:
        """Let the old token serve to its end where its refresh token must not be sent again; then ask a person."""
        if self._lives(record) or self.want.resource:  # what becomes of the grant is for its own token to tell
            return self._old(record, _unanswered(self.credential, record))
        error = mark_dead(self.world, record, self.credential, reason="lost_in_rotation")
        if error is not None:
            raise error
        return None

    @property
    def _uses(self) -> bool:
        """Whether it is a caller that wants the token now."""
        return not (self.want.due or self.want.manual or self.want.ahead)

    def _left_behind(self, record: Record) -> bool:
        """Bring what somebody left behind on this host, be the row marked as dead or not; True: it has changed (R6).

        Not while its holder is about to bring it.
        """
        if record.id == "" or at_work(self.world, record):
            return False
        return replay(self.world, record.id, spending=record.refresh_fp)

    def _lives(self, record: Record) -> bool:
        """Whether the old token may still be handed out while its successor is not there."""
        if record.sealed is None or dead(record, self.world.clock.now()):
            return False
        facts = facts_of(self.world, record, self.want.resource)
        return facts is not None and facts.access_fp != self.want.refused and self._unexpired(facts)

    def _opened(self, record: Record) -> Held:
        return opened(self.world, record, self.want.resource)

    def _unexpired(self, record: Record) -> bool:
        return record.expires_at is None or self.world.clock.now() < record.expires_at

    def _old(self, record: Record, error: Exception) -> Held:
        """Serve the old token while it lives, else raise (R5, R12)."""
        if not self.want.strict and self._lives(record):
            return self._opened(record)
        raise error

    def _refreshable(self, record: Record) -> bool:
        if dead(record, self.world.clock.now()):
            raise needs_person(record, self.credential)
        return record.refreshable or self.credential.by_itself

    def _unrefreshable(self, record: Record) -> Held | None:
        """Let a token without a refresh token serve to its very end; then a person is needed."""
        if self.want.manual and record.sealed is not None and self._unexpired(record):
            raise not_refreshable(record, self.credential)
        if self._lives(record):
            return self._opened(record)
        if self.want.resource:
            raise resource_unrenewable(self.credential, record, self.want.resource)
        error = mark_dead(self.world, record, self.credential, reason="no_refresh_token")
        if error is not None:
            raise error
        return None

    def _knows_server(self, record: Record) -> bool:
        """Find out what the issuer stands for, and its keys; False: it is not known, and another holder is at work.

        A server that cannot be asked is noted as one that cannot be reached (R8).
        """
        if not record.id or not (self.credential.issuer or self.credential.discovers):
            return True
        try:
            self.credential = complete(self.world, self.credential, lenient=True)
        except ProviderError as error:
            claimed = self._claim(record)
            if claimed is None:
                return False
            failed = unsent(self.world, self.credential, claimed.record, claimed.holder, str(error))
            raise (failed if isinstance(error, ProviderUnavailable) else error) from error
        ready_if_possible(self.world, self.credential, record.requested or self.credential.all_scopes)
        return True

    def _app(self, record: Record) -> tuple[AppCredentials, Document | None, bool]:
        """Return the app that may spend this grant now, what is kept of it, and whether anything is held against it."""
        app = app_for(self.world, self.key.env, self.credential, record.client_id)
        belongs_to = record.client_id, record.issuer, record.token_origin
        if difference := client_changed(self.credential, *belongs_to, app.client_id):
            raise _another_app(self.key, difference)
        return app, *ensure_accepted(self.world, self.key.env, self.credential, app)

    def _claim(self, record: Record) -> Claimed | None:
        """Claim the right to spend, or None while somebody else may be spending (R3, R4, R10)."""
        self._respect_backoff(record)
        may, known_dead = may_take_over(self.world, record)
        if not may:
            return None
        over = record.claim.holder if record.claim else None
        holder, life = self.world.nonce(), claim_life(self.credential)
        since = self.world.clock.monotonic()  # before the statement: the claim must not seem younger than it is
        try:
            claimed = self.world.store.claim(
                record, holder=holder, life=life, spending=record.refresh_fp, over=over, dead=known_dead
            )
        except StoreUnavailable:  # the claim may stand, and nobody would use it
            with suppress(StoreError):
                release(self.world, record, holder)
            raise
        if claimed is None:
            return None
        if _verdict(claimed) != _verdict(record):
            release(self.world, claimed, holder)
            return None
        return Claimed(claimed, holder, since, life)

    def _respect_backoff(self, record: Record) -> None:
        wait = (record.next_try_at or 0.0) - self.world.clock.now()
        set_back = wait > LONGEST_WAIT  # the clock was, for nobody is told to wait that long
        if wait > 0 and not set_back and not self.want.manual and self.doubts == 0:
            raise _patience(self.credential, record, wait)

    def _wait(self, record: Record) -> Held | None:
        """Watch the record while another holder works; meanwhile the old token serves (R5)."""
        if not self.want.manual and self._lives(record):
            return self._opened(record)
        left = self.give_up_at - self.world.clock.monotonic()
        if left <= 0 or self.want.due:
            msg = f"{self.key} is being refreshed by another process, which has not finished yet"
            raise RefreshBusy(msg, hint="try again in a few seconds")
        self.world.store.wait_for_change(record, min(left, STILL))
        return None


def _verdict(record: Record) -> tuple[str, int, float | None]:
    """Return what a refusal or a failure between our look and our claim changes: a version does not count it."""
    return record.state, record.failures, record.next_try_at


def _patience(credential: OAuth2Credential, record: Record, wait: float) -> ProviderUnavailable:
    name = credential.display_name or credential.name
    return ProviderUnavailable(
        f"{name} could not be asked for a new token ({record.error or 'no answer'}); the next try is in {wait:.0f} s",
        error=record.error,
        description=record.error_text,
        retry_after=wait,
        hint=retry_hint(record.key),
    )


def _fruitless(key: ConnectionKey) -> RefreshBusy:
    msg = f"{key} was claimed {MOST_CLAIMS} times, and each time its refresh came to nothing before an answer"
    return RefreshBusy(msg, hint="try again in a few seconds; if it repeats, look at the store: valetkey doctor")


def _unanswered(credential: OAuth2Credential, record: Record) -> ProviderUnavailable:
    name = credential.display_name or credential.name
    return ProviderUnavailable(
        f"{name} left the last refresh unanswered, and sending its token again could end more than this grant",
        error="no_answer",
        hint=f"sign in anew with: {connect_command(record.key)}; or dare it with: {refresh_command(record.key)}",
    )


def _another_app(key: ConnectionKey, difference: str) -> ClientRejected:
    return ClientRejected(
        f"credential {key.credential!r} now has {difference} than the one its grant was given to; nothing was sent",
        code="client_changed",
        hint=f"put the old one back, or sign in anew with: {connect_command(key)}",
    )


def heal(world: World, key: ConnectionKey, refused: str, *, explicit: bool, resource: str = "") -> Held | None:
    """Answer to a 401 that says the token is invalid: the token to retry with, or None to let the 401 stand (R11).

    `refused` is the fingerprint of the access token that was sent; `explicit` tells whether the challenge said
    ``invalid_token`` in so many words.  `resource` is what the token is for (RFC 8707): of the grant nothing else is
    touched then, so that a resource which refuses everything harms nobody; a new token for it is bought once a minute
    at most, as for all.

    Raises:
        ReauthorizationRequired: The token is dead and nothing can renew it.
        ValetkeyError: As `obtain` does.
    """
    credential = world.credential(key.credential)
    record = load(world, key)
    if record is None or record.sealed is None:
        return None
    want = Want(refused=refused, resource=aimed(credential, resource))
    facts = facts_of(world, record, want.resource)
    if facts is None or facts.access_fp != refused:
        return obtain(world, key, want)
    if _may_heal(world, credential, facts, want, explicit=explicit):
        return obtain(world, key, want)
    return None


def _may_heal(world: World, credential: OAuth2Credential, record: Record, want: Want, *, explicit: bool) -> bool:
    """Whether a refused token is to be refreshed; `record` is as `facts_of` returns it.

    Raises:
        ReauthorizationRequired: Nothing can renew it, and the API said that it is dead.
    """
    now = world.clock.now()
    renewable = record.refreshable or credential.by_itself
    young = abs(now - (record.obtained_at or 0.0)) < YOUNG
    if want.resource:
        return renewable and not young
    # What lies further ahead than it can is from before the clock was set back: it holds nothing up.
    if 0 < (record.cooldown_until or 0.0) - now <= 2 * YOUNG:
        return False
    if young:
        world.store.note(record.id, incarnation=record.incarnation, changes={"cooldown_until": now + YOUNG})
    elif not renewable:
        _unhealable(world, credential, record, explicit=explicit)
    else:
        _learn_lifetime(world, record, now)
    return renewable and not young


def _unhealable(world: World, credential: OAuth2Credential, record: Record, *, explicit: bool) -> None:
    """Mark a refused token that nothing can renew as dead, if the API said so in RFC 6750's word."""
    if not explicit:
        return
    error = mark_dead(world, record, credential, reason="revoked")
    if error is not None:
        raise error


def _learn_lifetime(world: World, record: Record, now: float) -> None:
    """Remember how long a token of unknown life lived: the first 401 told (R13)."""
    if record.expires_at is None and record.obtained_at is not None and record.learnt_lifetime is None:
        lived = now - record.obtained_at
        world.store.note(record.id, incarnation=record.incarnation, changes={"learnt_lifetime": lived})
