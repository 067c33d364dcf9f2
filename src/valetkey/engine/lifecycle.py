"""From "give me a usable token" to one: the valid token is only read; the rest is `renewal`'s (R0, R1).

`obtain` runs in a flight; callers only wait for it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from valetkey.engine.narrowing import facts_of, in_hand, told_of
from valetkey.engine.trouble import not_connected
from valetkey.engine.windows import windows
from valetkey.engine.world import World, open_grant
from valetkey.errors import StoreUnavailable
from valetkey.forks import late_imports
from valetkey.model.connections import ConnectionKey, Record
from valetkey.model.credentials import OAuth2Credential
from valetkey.model.grants import Grant
from valetkey.model.names import check_owner
from valetkey.model.placing import placed
from valetkey.model.resources import aimed
from valetkey.model.secret_names import token_secret_id
from valetkey.values import Value


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Held(Value):
    """A token in hand, with the record that it stands in.

    Attributes:
        record: The record.
        grant: The grant, whose access token is the one in hand: its own, or that for one resource (RFC 8707).
        facts: What the record would say if the token in hand were the grant's own: its times, scopes, fingerprint.
    """

    record: Record
    grant: Grant
    facts: Record


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Want(Value):
    """What a caller needs.

    Attributes:
        refused: The fingerprint of an access token that the API refused: any other will do (R11).
        manual: A person asked: back-off and cool-down do not hold it up, and a failure is raised even while the old
            token lives.
        ahead: Refresh already in the soft window.
        resource: For which resource the token is to be (RFC 8707); empty: the grant's own.
        due: A worker asks: spend the refresh token if the record's own due time has come, also where the access token
            is good for longer; wait for nobody, and raise a failure even while the old token lives.
    """

    refused: str = ""
    manual: bool = False
    ahead: bool = False
    due: bool = False
    resource: str = ""

    @property
    def strict(self) -> bool:
        """Whether the old token, though it lives, is no answer to a failure."""
        return self.manual or self.due


def obtain(world: World, key: ConnectionKey, want: Want | None = None) -> Held:
    """Return a usable token of the connection, refreshing it if need be.

    Raises:
        ConfigurationError: Nobody declared the credential, its app is missing, or it wants an owner.
        NotConnected: There is no grant.
        ReauthorizationRequired: The grant is dead: a person must sign in again.
        ClientRejected: The provider does not accept the app; the grant is kept.
        ProviderUnavailable: The provider does not answer and the old token has ended; the grant is kept.
        RefreshBusy: Another holder did not finish in time.
        StoreError: The store or its key.
    """
    credential = world.credential(key.credential)
    check_owner(key.owner, credential, kept=True)
    want = _aimed(credential, want or Want())
    try:
        record = look(world, credential, key)
        if usable(world, credential, record, want):
            return opened(world, record, want.resource)
        with late_imports:
            from valetkey.engine.renewal import renew  # noqa: PLC0415 - a valid token needs none of it

        return renew(world, placed(credential, record.params), record, want)
    except StoreUnavailable:
        world.lookout.store_away()
        raise


def _aimed(credential: OAuth2Credential, want: Want) -> Want:
    """Return the wish with the resource left away where the grant's own token is for that one alone."""
    return want if not want.resource else replace(want, resource=aimed(credential, want.resource))


def load(world: World, key: ConnectionKey) -> Record | None:
    """Read the record of a connection, and remember whether the store answers."""
    try:
        record = world.store.load(key)
    except StoreUnavailable:
        world.lookout.store_away()
        raise
    if world.lookout.away:
        world.lookout.store_back(world.clock.monotonic())
    return record


def read(world: World, key: ConnectionKey, want: Want | None = None) -> Held | None:
    """Return the token of the connection where it is usable as it is; None where `obtain` has something to do.

    Raises:
        NotConnected: There is no grant.
        ConfigurationError: Nobody declared the credential, or it wants an owner.
        StoreError: The store or its key.
    """
    credential = world.credential(key.credential)
    check_owner(key.owner, credential, kept=True)
    want = _aimed(credential, want or Want())
    record = look(world, credential, key)
    return opened(world, record, want.resource) if usable(world, credential, record, want) else None


def by_hand(world: World, key: ConnectionKey, want: Want) -> Want:
    """Return the wish of a person who asks for any token but the one that is stored now."""
    record = world.store.load(key)
    aim = _aimed(world.credential(key.credential), want).resource if want.resource else ""
    facts = None if record is None else facts_of(world, record, aim)
    return replace(want, manual=True, refused="" if facts is None else facts.access_fp)


def look(world: World, credential: OAuth2Credential, key: ConnectionKey) -> Record:
    """Read the record of a connection that has a grant, or can get one by itself.

    Raises:
        NotConnected: Nobody connected it yet, or it was disconnected.
    """
    record = load(world, key) or _left_by_others(world, credential, key)
    by_itself = credential.by_itself
    if record is None and by_itself:
        return Record(id="", key=key)
    if record is None or record.state == "disconnected" or (record.sealed is None and not by_itself):
        raise not_connected(key, credential, record)
    return record


def _left_by_others(world: World, credential: OAuth2Credential, key: ConnectionKey) -> Record | None:
    """Take over a token object that a plain secret service holds although this host knows nothing of it yet."""
    holds = getattr(world.store, "holds", None)
    if holds is None or not holds(token_secret_id(credential.token_secret_id, key.owner, key.account)):
        return None
    with late_imports:
        from valetkey.engine.storing import reserve  # noqa: PLC0415 - once per connection and host

    return reserve(world, credential, key)


def usable(world: World, credential: OAuth2Credential, record: Record, want: Want) -> bool:
    """Whether the token at hand will do: not refused, and not yet due."""
    if record.sealed is None or dead(record, world.clock.now()):
        return False
    facts = facts_of(world, record, want.resource)
    if facts is None or (want.refused and facts.access_fp == want.refused):
        return False
    if want.due:
        return record.due_at is None or world.clock.now() < record.due_at
    moments = windows(facts, credential)
    limit = moments.soft if want.ahead else moments.due
    return limit is None or world.clock.now() < limit


def dead(record: Record, now: float) -> bool:
    """Whether a person must sign in again.

    That nothing could renew a token was said by the clock alone: it holds no longer once the clock says otherwise.
    """
    if record.state != "needs_reauth":
        return False
    return record.reason != "no_refresh_token" or record.expires_at is None or now >= record.expires_at


def opened(world: World, record: Record, resource: str = "") -> Held:
    """Open the grant of a record that holds one, and a token for `resource` where one is named."""
    grant = open_grant(world, record)
    if grant is None:
        raise not_connected(record.key, world.credential(record.key.credential), record)
    return held(record, grant, resource)


def held(record: Record, grant: Grant, resource: str) -> Held:
    """Return a token in hand: that for `resource`, or the grant's own where none is named."""
    return Held(record, in_hand(grant, resource), told_of(record, grant, resource))
