"""What disconnecting many connections at once would do, summed: worked out without doing it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from valetkey.engine.consequences import Consequence, keys_that_lose, length, losing, obstacle_of, some_of
from valetkey.engine.world import World
from valetkey.errors import ConfigurationError
from valetkey.model.connections import Query, Record
from valetkey.model.credentials import Reach
from valetkey.model.paging import each_record

_REACH: Final[dict[Reach, str]] = {
    "token": "It ends the tokens of these connections, and nothing else.",
    "grant": "It ends what the app may do with these accounts through these connections.",
    "user": "It ends everything that the app may do with these accounts.",
}
_LAST: Final = " Of several connections of one account the last that leaves is withdrawn, and that ends all of them."


@dataclass(frozen=True, slots=True, kw_only=True)
class Sum:
    """What disconnecting many would do.

    Attributes:
        n: How many connections there are.
        live: How many of them have a token.
        others: Connections beside them that a revocation would end too; it is left out where they are.
        lines: All of it in sentences.
    """

    n: int
    live: int
    others: tuple[str, ...]
    lines: tuple[Consequence, ...]


def of_disconnects(world: World, env: str, records: Iterable[Record]) -> Sum:
    """Work out what disconnecting all of these would do.  Nothing is changed, and no provider asked.

    They leave in the order of `leaving.in_order`, so none of them stands in the way of another in the end.
    """
    every = tuple(records)
    live = [record for record in every if record.sealed is not None]
    told = _Told(world, env, frozenset(record.id for record in every))
    for name in dict.fromkeys(record.key.credential for record in live):
        told.take(name, [record for record in live if record.key.credential == name])
    keys = keys_that_lose(world, env, live)
    lines = [*told.lines(), *_here(len(live)), *([losing(keys, "their tokens")] if keys else [])]
    lines += [*_handed_out(live, world.clock.now())]
    stays = "Ids, owners, accounts and history stay"
    lines.append(Consequence(place="stays", text=stays, more="without tokens.", serious=False))
    return Sum(n=len(every), live=len(live), others=tuple(told.others), lines=tuple(lines))


@dataclass(slots=True)
class _Told:
    """How many the providers would be told of, by what that ends; and of how many they would not, and why."""

    world: World
    env: str
    chosen: frozenset[str]
    withdrawn: Counter[tuple[str, Reach]] = field(default_factory=Counter[tuple[str, Reach]])
    accounts: dict[tuple[str, str, str], list[str]] = field(default_factory=dict[tuple[str, str, str], list[str]])
    kept: Counter[tuple[str, str]] = field(default_factory=Counter[tuple[str, str]])
    others: dict[str, None] = field(default_factory=dict[str, None])

    def take(self, name: str, records: Sequence[Record]) -> None:
        """Count the live connections of a credential."""
        try:
            credential = self.world.credential(name)
        except ConfigurationError:
            self.kept[name, f"{name} is not declared any more, so it cannot be told"] += len(records)
            return
        shown = credential.display_name or name
        said: dict[tuple[str, str, str], str] = {}
        for record in records:  # the app is read once for all that are its own
            app = (record.client_id, record.issuer, record.token_origin)
            said[app] = said[app] if app in said else obstacle_of(self.world, record, credential, shown)
            self.kept[shown, said[app]] += bool(said[app])
        free = [record for record in records if not said[record.client_id, record.issuer, record.token_origin]]
        users = _Users(records, self.chosen)
        if credential.revocation_reach == "user" and free:
            for other in _everything(self.world, self.env):
                users.meet(other)
            self.others |= {str(other.key): None for other in users.beside}
        held = sum(users.holds_up(record) for record in free)
        if held:
            names = some_of([str(other.key) for other in users.beside])
            self.kept[shown, f"It would end other connections of the same accounts too: {names}"] += held
        if len(free) > held:
            self.withdrawn[shown, credential.revocation_reach] += len(free) - held
        if credential.revocation_reach == "user":
            for record in free:
                self.accounts.setdefault(_account(record), []).append(shown)

    def lines(self) -> Iterator[Consequence]:
        """Return it in sentences, what is withdrawn first."""
        shared = {name for names in self.accounts.values() if len(names) > 1 for name in names}
        for (name, reach), n in self.withdrawn.most_common():
            text = f"{name} is told to withdraw the access of {many(n)}"
            along = _LAST if reach == "user" and name in shared else ""
            yield Consequence(place="provider", text=text, more=_REACH[reach] + along)
        for (name, why), n in (+self.kept).most_common():
            more = f"{why[:1].upper()}{why[1:]}. The account holders can withdraw the access there."
            yield Consequence(place="provider", text=f"Nothing is withdrawn at {name} for {many(n)}", more=more)


class _Users:
    """Whether connections beside those chosen are of the same users; see `revoking.siblings` for who is the same."""

    def __init__(self, mine: Sequence[Record], chosen: frozenset[str]) -> None:
        self.beside: list[Record] = []
        self._chosen = chosen
        self._clients = {"", *(record.client_id for record in mine)}
        self._credentials = {record.key.credential for record in mine}
        self._origins = {record.token_origin for record in mine} - {""}
        self._mine, self._theirs = _Who(mine), _Who(())

    def meet(self, other: Record) -> None:
        """Look at a connection, which may be of another app."""
        of_the_app = other.sealed is not None and other.client_id in self._clients and self._at_provider(other)
        if of_the_app and other.id not in self._chosen and self._mine.knows(other):
            self.beside.append(other)
            self._theirs.add(other)

    def _at_provider(self, other: Record) -> bool:
        return other.key.credential in self._credentials or other.token_origin in self._origins

    def holds_up(self, record: Record) -> bool:
        """Whether one beside is of the same user, so that nothing would be withdrawn."""
        return self._theirs.knows(record)


class _Who:
    """Some people: by the provider's id of them, and by owner where that is not known of both."""

    def __init__(self, records: Iterable[Record]) -> None:
        self._subjects: set[str] = set()
        self._owners: set[str | None] = set()
        self._nameless: set[str | None] = set()
        for record in records:
            self.add(record)

    def add(self, record: Record) -> None:
        subject = record.identity.subject if record.identity else ""
        self._owners.add(record.key.owner)
        if subject:
            self._subjects.add(subject)
        else:
            self._nameless.add(record.key.owner)

    def knows(self, record: Record) -> bool:
        subject = record.identity.subject if record.identity else ""
        if not subject:
            return record.key.owner in self._owners
        return subject in self._subjects or record.key.owner in self._nameless


def _account(record: Record) -> tuple[str, str, str]:
    """Return which account it is, of which app at which provider: by owner where the provider's id is not known."""
    subject = record.identity.subject if record.identity else ""
    return record.token_origin or record.key.credential, record.client_id, subject or f"owner {record.key.owner}"


def _everything(world: World, env: str) -> Iterator[Record]:
    return each_record(world.store, Query(env=env))


def _here(n: int) -> Iterator[Consequence]:
    if n:
        yield Consequence(
            place="here",
            text=f"The tokens of {many(n)} are erased here at once",
            more="This cannot be undone. To connect again, each account holder must allow it again.",
        )
        yield Consequence(
            place="others",
            text="Every program that uses these connections loses them",
            more="From now on its calls fail with NotConnected. A sign-in under way cannot finish.",
        )


def _handed_out(live: Sequence[Record], now: float) -> Iterator[Consequence]:
    ends = [record.expires_at for record in live if record.expires_at is None or record.expires_at > now]
    if not ends:
        return
    known = [end for end in ends if end is not None]
    left = f"for up to {length(max(known) - now)} more" if known else ""
    unknown = len(ends) - len(known)
    if unknown:
        left = f"{left}, {unknown:,} of them for a time that is not known" if left else "for a time that is not known"
    some = "1 access token that was" if len(ends) == 1 else f"{len(ends):,} access tokens that were"
    more = "Where it is told, the provider may end them at once; not every service checks at each call."
    yield Consequence(place="lives", text=f"{some} handed out may work {left}", more=more)


def many(n: int) -> str:
    """Return a number of connections in words."""
    return "1 connection" if n == 1 else f"{n:,} connections"
