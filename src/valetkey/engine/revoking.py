"""Giving grants back at the provider (RFC 7009), within the reach of its revocation, and a true word about it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal

from valetkey.engine.api_headers import headers_towards
from valetkey.engine.app_secrets import in_use
from valetkey.engine.apps import app_for, client_changed
from valetkey.engine.discovery import complete
from valetkey.engine.patience import STORE_SECONDS, patiently
from valetkey.engine.siblings import siblings
from valetkey.engine.turns import Turn, revoking
from valetkey.engine.world import World, open_grant
from valetkey.errors import ConfigurationError, DecryptionFailed, ProviderError, StoreError
from valetkey.logs import get_logger
from valetkey.model.connections import Identity, Record
from valetkey.model.credentials import EMPTY, OAuth2Credential
from valetkey.model.grants import Grant
from valetkey.model.placing import placed
from valetkey.model.ports import InDoubt, NotSent
from valetkey.protocol.revocation import Revoked, StillLives, parse_revocation, revocation_request
from valetkey.values import Request, Secret

_log = get_logger("revoking")
REVOKE_SECONDS: Final = 10.0
_PAUSE: Final = 1.0
_LONGEST_PAUSE: Final = 5.0

Kind = Literal["refresh_token", "access_token"]
_WORDS: Final[dict[Kind, str]] = {"refresh_token": "refresh token", "access_token": "access token"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Revocation:
    """What a revocation came to.

    Attributes:
        revoked: What the provider confirmed.
        may_live: Sentences about what may still live, and for how long.
        sentence: All of it in a sentence for people.
        discreet: The same without naming any other connection.
    """

    revoked: tuple[Kind, ...] = ()
    may_live: tuple[str, ...] = ()
    sentence: str = ""
    discreet: str = ""

    @property
    def complete(self) -> bool:
        """Whether nothing is known to live on."""
        return not self.may_live


def revoke(world: World, credential: OAuth2Credential | None, record: Record) -> Revocation:
    """Revoke the grant of a record that was just disconnected; `record` is as it was before.  Never raises.

    `credential` None: it is not declared any more.
    """
    if credential is None:
        name = record.key.credential
        return _not_revoked(f"{name} is not declared any more, so nothing was revoked there", name)
    try:
        grant = open_grant(world, record)
    except (DecryptionFailed, ValueError):
        why = "The stored token could not be opened, so nothing could be revoked"
        return _not_revoked(why, _name(credential))
    if grant is None:
        return Revocation()
    result = _revoke(world, credential, grant, record, record.identity)
    if record.claim is not None and not record.claim.expired:
        late = "A refresh was under way elsewhere; the token that it brings is to be revoked there when it arrives."
        return Revocation(
            revoked=result.revoked,
            may_live=(*result.may_live, late),
            sentence=f"{result.sentence} {late}".strip(),
            discreet=f"{result.discreet} {late}".strip(),
        )
    return result


def revoke_grant(
    world: World,
    credential: OAuth2Credential,
    grant: Grant,
    *,
    record: Record | None = None,
    identity: Identity | None = None,
    strict: bool = False,
) -> tuple[Kind, ...]:
    """Revoke a grant that nobody wants any more and return what the provider confirmed.

    `record` is the connection that it was meant for, `identity` whose it is, as far as known: both are needed to
    tell whether a revocation with the reach of a user would hit another connection.

    Raises:
        StoreError: The store does not come back, so nothing was revoked; where `strict` says that the caller can keep
            the grant for later.  Else never.
    """
    whose = identity or (record.identity if record else None)
    result = _revoke(world, credential, grant, record, whose, strict=strict)
    if not result.complete:
        _log.info("a grant of %s was not wholly revoked: %s", credential.name, " ".join(result.may_live))
    return result.revoked


def superseded(credential: OAuth2Credential, row: Record, incarnation: int, grant: Grant) -> bool:
    """Whether a later sign-in took the place of what `grant` continues, and a revocation would end `grant` alone.

    Then nobody holds it any more: whoever replaced it revoked its predecessor, and knew nothing of it.
    """
    if credential.revocation_reach != "token" or row.incarnation <= incarnation:
        return False
    ours = {token.fingerprint() for token in (grant.access_token, grant.refresh_token) if token is not None}
    return not ours & {row.access_fp, row.refresh_fp}


def _revoke(
    world: World,
    credential: OAuth2Credential,
    grant: Grant,
    record: Record | None,
    identity: Identity | None,
    *,
    strict: bool = False,
) -> Revocation:
    name = _name(credential)
    here = placed(credential, record.params if record else EMPTY)
    until = world.clock.monotonic() + STORE_SECONDS
    try:
        credential = patiently(world, lambda: complete(world, here, lenient=True), until=until)
        answers = patiently(world, lambda: _asked(world, credential, grant, record, identity), until=until)
    except (ConfigurationError, ProviderError) as error:
        why = f"{name} could not be asked to revoke the token: {error}"
        return _left_alone(world, credential, grant, _Obstacle(why))
    except StoreError as error:
        if strict:
            raise
        why = f"nothing was revoked at {name}, for the store failed: {error}"
        return _left_alone(world, credential, grant, _Obstacle(why))
    if isinstance(answers, _Obstacle):
        return _left_alone(world, credential, grant, answers)
    return _summary(world, credential, grant, answers)


def _asked(
    world: World, credential: OAuth2Credential, grant: Grant, record: Record | None, identity: Identity | None
) -> dict[Kind, str] | _Obstacle:
    """Ask the provider, in its turn, and return its answers, or why it may not be asked."""
    with revoking(world, credential, record.key if record else None) as turn:
        obstacle = _obstacle(world, credential, record, identity, turn)
        return obstacle or _tell_provider(world, credential, grant, record, turn)


@dataclass(frozen=True, slots=True)
class _Obstacle:
    """Why nothing may be sent; `discreet` names no other connection, and is empty where `why` names none either."""

    why: str
    discreet: str = ""


def _obstacle(
    world: World, credential: OAuth2Credential, record: Record | None, identity: Identity | None, turn: Turn
) -> _Obstacle | None:
    """Return why nothing may be sent, None where it may."""
    name = _name(credential)
    if not credential.revocation_url:
        return _Obstacle(f"{name} has no revocation endpoint")
    wide = credential.revocation_reach == "user"
    if record is None:
        return _Obstacle(f"a revocation at {name} might end other connections too") if wide else None
    app = app_for(world, record.key.env, credential, record.client_id)
    difference = client_changed(credential, record.client_id, record.issuer, record.token_origin, app.client_id)
    if difference:
        return _Obstacle(f"{credential.name!r} now has {difference} than the one that the token was given to")
    if not turn.free:
        brings = "what a sign-in under way brings"
        return _Obstacle(f"a revocation at {name} would also end {brings}, so nothing was revoked there")
    # it may be this very one, where it was connected anew in the meantime
    other = next(siblings(world, record, identity), None) if wide else None
    if other is None:
        return None
    why, discreet = (
        f"a revocation at {name} would also end {what}, so nothing was revoked there"
        for what in (other.key, "another connection")
    )
    return _Obstacle(why, discreet)


def _tell_provider(
    world: World, credential: OAuth2Credential, grant: Grant, record: Record | None, turn: Turn
) -> dict[Kind, str]:
    """Ask for the revocation of each token; returns kind -> what went wrong, empty where it was confirmed.

    The refresh token goes first: with it go its access tokens (RFC 7009 section 2.1), unless the reach is one token,
    or nobody vouches for the reach: then the access token is revoked as well, which does no harm.
    """
    answers: dict[Kind, str] = {}
    if record is None:
        app, params = world.app(credential), credential.params
    else:
        app = app_for(world, record.key.env, credential, record.client_id)
        app, params = in_use(world, record.key.env, credential, app), record.params
    env = record.key.env if record is not None else ""
    with_it = headers_towards(world, credential, credential.revocation_url, env, app.client_id)
    for kind, token in _tokens(world, credential, grant):
        if kind == "access_token" and answers.get("refresh_token") == "" and _goes_along(credential):
            continue
        if answers.get(kind):
            continue  # one of several was not taken back: whoever waits here need not hear that of each
        request = revocation_request(
            credential,
            app,
            token=token,
            hint=kind,
            access_token=grant.access_token,
            dpop_key=grant.dpop_key,
            params=params,
            api_headers=with_it,
        )
        answers[kind] = _ask(world, credential, request, turn)
    return answers


def _goes_along(credential: OAuth2Credential) -> bool:
    return credential.revocation_reach != "token" and bool(credential.preset)


def _tokens(world: World, credential: OAuth2Credential, grant: Grant) -> Iterator[tuple[Kind, Secret]]:
    """Yield the tokens that this provider takes back: the refresh token first, no access token that has ended."""
    only = credential.revocation_token
    if grant.refresh_token is not None and only != "access_token":
        yield "refresh_token", grant.refresh_token
    if only != "refresh_token":
        for one in grant.access_tokens:
            if not _over(world, one.expires_at):
                yield "access_token", one.access_token


def _ask(world: World, credential: OAuth2Credential, request: Request, turn: Turn) -> str:
    """Send a revocation, twice where it may help; returns what went wrong, or an empty text."""
    trouble, pause = _try(world, credential, request, turn)
    if trouble and pause is not None:
        world.clock.sleep(min(pause, _LONGEST_PAUSE))
        trouble, _ = _try(world, credential, request, turn)
    return trouble


def _try(world: World, credential: OAuth2Credential, request: Request, turn: Turn) -> tuple[str, float | None]:
    """Send it once; returns what went wrong, and after how many seconds another try makes sense."""
    try:
        deadline = min(world.clock.monotonic() + REVOKE_SECONDS, turn.until)
        response = world.endpoint.send(request, deadline=deadline)
    except (NotSent, InDoubt) as error:
        return str(error) or type(error).__name__, _PAUSE
    answer = parse_revocation(response, credential=credential, now=world.clock.now())
    return ("", None) if isinstance(answer, Revoked) else (_shown(answer), _pause(answer))


def _pause(answer: StillLives) -> float | None:
    if answer.retry_after is not None:
        return answer.retry_after
    return _PAUSE if answer.error.startswith("http_5") or answer.error == "http_429" else None


def _shown(answer: StillLives) -> str:
    return answer.error.upper().replace("_", " ") if answer.error.startswith("http_") else answer.error


# -- in words


def _summary(world: World, credential: OAuth2Credential, grant: Grant, answers: dict[Kind, str]) -> Revocation:
    name = _name(credential)
    revoked: tuple[Kind, ...] = tuple(kind for kind, trouble in answers.items() if not trouble)
    failed = "; ".join(trouble for trouble in answers.values() if trouble)
    living = _living(world, credential, grant, revoked)
    if failed:
        what = f" of more than the {_WORDS[revoked[0]]}" if revoked else ""
        said = f"{name} did not confirm the revocation{what} ({failed})"
    elif revoked:
        what = f"the {_WORDS[revoked[0]]}" if living else "the token"
        said = f"{name} confirmed that {what} is revoked"
    else:
        said = f"{name} takes back no token that still lives"
    told = _sentence(said, living)
    return Revocation(revoked=revoked, may_live=living, sentence=told, discreet=told)


def _left_alone(world: World, credential: OAuth2Credential, grant: Grant, obstacle: _Obstacle) -> Revocation:
    living = _living(world, credential, grant, ())
    told, discreet = (
        _sentence(_capital(why), living or ("Its tokens had ended already.",))
        for why in (obstacle.why, obstacle.discreet or obstacle.why)
    )
    return Revocation(may_live=living, sentence=told, discreet=discreet)


def _not_revoked(why: str, where: str) -> Revocation:
    living = (f"The token may live on until the access is withdrawn at {where}.",)
    told = _sentence(why, living)
    return Revocation(may_live=living, sentence=told, discreet=told)


def _living(world: World, credential: OAuth2Credential, grant: Grant, revoked: tuple[Kind, ...]) -> tuple[str, ...]:
    """Return a sentence for each token that nobody confirmed to be dead."""
    where = f"until the access is withdrawn at {_name(credential)}"
    ends = _unrevoked(world, credential, grant, revoked)
    return tuple(
        f"The {_WORDS[kind]} lives {where if end is None else f'until {moment(end)}'}." for kind, end in ends.items()
    )


def _unrevoked(
    world: World, credential: OAuth2Credential, grant: Grant, revoked: tuple[Kind, ...]
) -> dict[Kind, float | None]:
    """Return the tokens that may live, with their ends."""
    whole = bool(revoked) and credential.revocation_reach != "token"
    left: dict[Kind, float | None] = {}
    if grant.refresh_token is not None and "refresh_token" not in revoked and not whole:
        left["refresh_token"] = grant.refresh_expires_at
    if "access_token" not in revoked and not (whole and _goes_along(credential)):
        left["access_token"] = _last_end(grant)
    return {kind: end for kind, end in left.items() if not _over(world, end)}


def _last_end(grant: Grant) -> float | None:
    """Return when the last of its access tokens ends; None: that is not known."""
    ends = [token.expires_at for token in grant.access_tokens]
    known = [end for end in ends if end is not None]
    return max(known) if len(known) == len(ends) else None


def _sentence(said: str, living: tuple[str, ...]) -> str:
    if not living:
        return f"{said}."
    first, *others = living
    return " ".join((f"{said}; {first[:1].lower()}{first[1:]}", *others))


def moment(when: float) -> str:
    """Return Unix seconds as people read them, in UTC."""
    return datetime.fromtimestamp(when, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _over(world: World, end: float | None) -> bool:
    return end is not None and end <= world.clock.now()


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _name(credential: OAuth2Credential) -> str:
    return credential.display_name or credential.name
