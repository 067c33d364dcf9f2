"""What an answer that is no token means for the record (R7, R8, R9, R12)."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from valetkey.engine.apps import app_accepted, app_for, app_rejected, app_state, standing
from valetkey.engine.id_tokens import Renewed
from valetkey.engine.replay import replay
from valetkey.engine.storing import swap_sealed, tell
from valetkey.engine.trouble import broken_grant, needs_person, refused_assertion, retry_hint
from valetkey.engine.windows import backoff, sign_in_by
from valetkey.engine.world import World, open_grant
from valetkey.errors import ProviderError, ProviderUnavailable, ReauthorizationRequired
from valetkey.model.connections import Expect, Reason, Record
from valetkey.model.credentials import OAuth2Credential
from valetkey.model.grants import Grant
from valetkey.model.ports import KeyRetired
from valetkey.protocol.token_response import Refusal

UNCLEAR: Final = ("unclear", "unclear_again")
"""The errors of empty 400s in a row: the next after these counts as a refusal, if back-off lay between them (R12)."""


def release(world: World, record: Record, holder: str, *, doubt: int | None = None) -> None:
    """Give the claim back, the grant untouched."""
    same = replace(record, doubt=record.doubt if doubt is None else doubt)
    swap_facts(world, same, expect=Expect.of(record, holder=holder))


def swap_facts(world: World, new: Record, *, expect: Expect) -> Record | None:
    """Swap in a record whose grant has not changed; None when the row had moved on.

    Where the grant was sealed anew meanwhile, with another data key, that sealing is kept.

    Raises:
        DecryptionFailed: The store does not have the data key that the row itself names (``sealed_broken``).
    """
    try:
        return world.store.swap(new, expect=expect)
    except KeyRetired:
        current = world.store.find(new.id)
        if current is None or (current.incarnation, current.version) != (expect.incarnation, expect.version):
            return None
    try:
        return world.store.swap(replace(new, sealed=current.sealed), expect=expect)
    except KeyRetired as error:
        raise broken_grant(new.key, str(error)) from None


def refused(
    world: World,
    credential: OAuth2Credential,
    record: Record,
    holder: str,
    tried: str,
    refusal: Refusal,
    *,
    retry: bool,
) -> None:
    """Act on a refusal: raises, or returns where the record is to be looked at again.

    `tried` says what all was tried of the app; see `apps.standing`.
    """
    if refusal.kind == "grant":
        app_accepted(world, record.key.env, credential)  # whose grant it is was looked at, so the app was taken
    if refusal.kind == "doubt":
        kept = _quarantine(world, record, refusal)
        unanswered(world, credential, record, holder, _words(refusal), retry=retry, kept=kept)
    elif refusal.kind == "client":
        _refused_app(world, credential, record, holder, tried, refusal)
    elif not credential.asserts and (
        refusal.kind == "grant" or (refusal.counts_as_refused and _unclear_too_often(world, record))
    ):
        _refused_grant(world, credential, record, holder, refusal)
    else:
        raise _put_off(world, credential, record, holder, refusal)


def unsent(world: World, credential: OAuth2Credential, record: Record, holder: str, why: str) -> ProviderUnavailable:
    """R8: the request never left.  The claim goes back at once; an older doubt stays."""
    name = credential.display_name or credential.name
    wait = _failing(world, record, holder, error="unreachable", text=why, doubt=record.doubt)
    return ProviderUnavailable(
        f"{name} could not be reached: {why}", error="unreachable", retry_after=wait, hint=_retry_hint(record)
    )


def unanswered(
    world: World,
    credential: OAuth2Credential,
    record: Record,
    holder: str,
    why: str,
    *,
    retry: bool,
    kept: Grant | None = None,
) -> None:
    """R9: sent, and no readable answer.  Once more with the same token, where the provider allows for it.

    `kept` is the grant with a refresh token out of that answer: then it is that one which is sent once more.
    """
    doubt = record.doubt + 1
    if retry and kept is not None:
        swap_sealed(world, replace(record, doubt=doubt), kept, expect=Expect.of(record, holder=holder))
        return
    if retry and credential.resends:
        release(world, record, holder, doubt=doubt)
        return
    name = credential.display_name or credential.name
    wait = _failing(world, record, holder, error="no_answer", text=why, doubt=doubt, grant=kept)
    msg = f"{name} gave no readable answer to the refresh: {why}"
    raise ProviderUnavailable(msg, error="no_answer", retry_after=wait, hint=_retry_hint(record))


def mark_dead(
    world: World,
    record: Record,
    credential: OAuth2Credential,
    *,
    reason: Reason,
    holder: str | None = None,
    refusal: Refusal | None = None,
) -> ReauthorizationRequired | None:
    """Mark the record ``needs_reauth`` by compare-and-swap and return the error to raise.  Nothing is deleted.

    None: the row had moved on meanwhile, nothing was marked, look again.
    """
    dead = replace(
        record,
        state="needs_reauth",
        reason=reason,
        error=refusal.error if refusal else reason,
        error_text=refusal.description if refusal else "",
        next_try_at=None,
        due_at=None,
    )
    stored = swap_facts(world, dead, expect=Expect.of(record, holder=holder))
    if stored is None:
        return None
    world.changed(stored)
    tell(world, "needs_reauth", stored, reason=reason, error=dead.error, description=dead.error_text)
    return needs_person(stored, credential)


def estranged(
    world: World, credential: OAuth2Credential, record: Record, holder: str, grant: Grant | None, found: Renewed
) -> None:
    """Act on an answer that speaks of another sign-in: nothing of it is used, and a person must look (R12).

    Its refresh token is kept aside, for it may be the only one that the provider still knows.  Raises, or returns where
    the row had moved on.
    """
    said = found.flaw.what if found.flaw else ""
    dead = replace(
        record,
        state="needs_reauth",
        reason="identity_changed",
        error="identity_changed",
        error_text=f"the id token {said}",
        next_try_at=None,
        due_at=None,
    )
    kept = None if grant is None else replace(grant, quarantined=found.tokens.refresh_token or grant.quarantined)
    expect = Expect.of(record, holder=holder)
    stored = swap_facts(world, dead, expect=expect) if kept is None else swap_sealed(world, dead, kept, expect=expect)
    if stored is None:
        return
    world.changed(stored)
    tell(world, "needs_reauth", stored, reason=dead.reason, error=dead.error, description=dead.error_text)
    raise needs_person(stored, credential)


def _refused_grant(world: World, credential: OAuth2Credential, record: Record, holder: str, refusal: Refusal) -> None:
    """R7: read again from the primary; moved on: adopt; else mark, with a reason."""
    current = world.store.find(record.id)  # by id, for it may have been renamed
    if current is None or (current.incarnation, current.version) != (record.incarnation, record.version):
        return
    if current.claim is None or current.claim.holder != holder:
        return  # taken over meanwhile: whoever holds the claim now hears the provider's word too
    if replay(world, record.id, spending=record.refresh_fp):
        return
    reason = _why(record, credential, refusal, world.clock.now())
    error = mark_dead(world, current, credential, reason=reason, holder=holder, refusal=refusal)
    if error is not None:
        raise error


def _why(record: Record, credential: OAuth2Credential, refusal: Refusal, now: float) -> Reason:
    """Tell why a grant ended: a lifetime that is known to be over tells more than most providers' words."""
    if record.doubt:
        return "lost_in_rotation"
    by, idle = sign_in_by(record, credential), record.refresh_expires_at
    said = reason_of(refusal)
    if by is not None and now >= by:
        return "policy_changed"
    return "idle_expired" if idle is not None and now >= idle and said in {"unknown", "revoked"} else said


def reason_of(refusal: Refusal) -> Reason:
    """Tell from the provider's words why a grant ended; ``unknown`` where it says nothing at all."""
    return "unknown" if refusal.reason == "revoked" and not refusal.description else refusal.reason


def _refused_app(
    world: World,
    credential: OAuth2Credential,
    record: Record,
    holder: str,
    tried: str,
    refusal: Refusal,
) -> None:
    """R12: the app's fault.  The row stays as it was; a secret that was replaced meanwhile is tried at once."""
    release(world, record, holder)
    env = record.key.env
    if standing(app_for(world, env, credential, record.client_id), app_state(world, env, credential)) != tried:
        return
    raise app_rejected(world, env, credential, tried, refusal)


def _unclear_too_often(world: World, record: Record) -> bool:
    return record.error == UNCLEAR[-1] and _waited(world, record)


def _unclear(world: World, record: Record) -> str:
    """Return the error of one more unclear answer.  One that came before its back-off was over counts for nothing."""
    if record.error not in UNCLEAR:
        return UNCLEAR[0]
    return UNCLEAR[-1] if _waited(world, record) else record.error


def _waited(world: World, record: Record) -> bool:
    return record.next_try_at is None or world.clock.now() >= record.next_try_at


def _put_off(
    world: World, credential: OAuth2Credential, record: Record, holder: str, refusal: Refusal
) -> ProviderError:
    """Not now, or not like this: the grant is kept and tried again later."""
    name = credential.display_name or credential.name
    error = _unclear(world, record) if refusal.counts_as_refused else refusal.error or f"http_{refusal.status}"
    kept = _quarantine(world, record, refusal)
    wait = _failing(
        world,
        record,
        holder,
        error=error,
        text=refusal.description,
        doubt=record.doubt + (kept is not None),
        at_least=refusal.retry_after or 0.0,
        grant=kept,
    )
    if refusal.kind == "grant":
        return refused_assertion(credential, refusal, retry_after=wait)
    if refusal.kind in {"transient", "unclear"}:
        return ProviderUnavailable(
            f"{name} did not refresh the token: {_words(refusal)}",
            error=refusal.error,
            description=refusal.description,
            status=refusal.status,
            retry_after=wait,
            hint=_retry_hint(record),
        )
    return ProviderError(
        f"{name} refused the refresh request: {_words(refusal)}",
        error=refusal.error,
        description=refusal.description,
        status=refusal.status,
        retry_after=wait,
        code="refresh_refused",
        hint=f"the grant is kept; check the declaration of {credential.name!r} (scopes, parameters)",
    )


def _quarantine(world: World, record: Record, refusal: Refusal) -> Grant | None:
    """Return the grant with the refresh token of an answer that must not be used: maybe the only successor (R12)."""
    grant = open_grant(world, record) if refusal.quarantined else None
    return None if grant is None else replace(grant, quarantined=refusal.quarantined)


def _failing(
    world: World,
    record: Record,
    holder: str,
    *,
    error: str,
    text: str,
    doubt: int,
    at_least: float = 0.0,
    grant: Grant | None = None,
) -> float:
    """Note a failure on the record, give the claim back, and return the seconds until the next try."""
    failures = record.failures + 1
    wait = max(backoff(failures), at_least)
    next_try_at = world.clock.now() + wait
    failing = replace(
        record,
        state="refresh_failing" if record.sealed is not None else record.state,
        error=error,
        error_text=text,
        failures=failures,
        doubt=doubt,
        next_try_at=next_try_at,
        due_at=next_try_at if record.due_at is not None else None,
    )
    expect = Expect.of(record, holder=holder)
    stored = (
        swap_facts(world, failing, expect=expect)
        if grant is None
        else swap_sealed(world, failing, grant, expect=expect)
    )
    if stored is not None:
        world.changed(stored)
        tell(world, "refresh_failed", stored, error=error, failures=failures, next_try_in=round(wait, 1))
    return wait


def _words(refusal: Refusal) -> str:
    said = ": ".join(part for part in (refusal.error, refusal.description) if part)
    return f"HTTP {refusal.status}" + (f", {said}" if said else "")


def _retry_hint(record: Record) -> str:
    return retry_hint(record.key)
