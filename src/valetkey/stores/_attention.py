"""Which connections want a person's attention, and counts by that, on plain values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

from valetkey.model.connections import Counts, Record, attention_at
from valetkey.model.troubles import Group, Standings, Trouble


def wants_attention(record: Record, by: float) -> bool:
    """Tell whether a record is connected and counts as ``expires_soon`` before a time."""
    moment = attention_at(record)
    return moment is not None and moment < by


def counted(records: Iterable[Record], now: float) -> Counts:
    """Return the counts of records, one by one: for stores that keep none."""
    return Counter(
        (record.key.credential, "expires_soon" if wants_attention(record, now) else record.state) for record in records
    )


def reasoned(records: Iterable[Record]) -> Sequence[Trouble]:
    """Return why these are not well, summed: for stores that cannot read parts of rows."""
    return together(
        Trouble(
            credential=record.key.credential,
            reason=record.reason,
            error=record.error,
            ends_at=record.expires_at,
            next_try_at=record.next_try_at,
        )
        for record in records
    )


def together(troubles: Iterable[Trouble]) -> Sequence[Trouble]:
    """Return troubles with those as one that have credential, reason and error in common."""
    found: dict[tuple[str, str, str], Trouble] = {}
    for one in troubles:
        place = (one.credential, one.reason, one.error)
        there = found.get(place)
        found[place] = one if there is None else _as_one(there, one)
    return tuple(found.values())


def grouped(records: Iterable[Record], now: float) -> Standings:
    """Return how these are, in groups: for stores that cannot sum by themselves."""
    found: dict[Group, Group] = {}
    owners: set[str] = set()
    for record in records:
        alike = _group(record, now)
        there, end = found.get(alike), record.expires_at
        found[alike] = (
            replace(alike, first_end=end, last_end=end)
            if there is None
            else replace(
                there, n=there.n + 1, first_end=_first(there.first_end, end), last_end=_last(there.last_end, end)
            )
        )
        if record.sealed is not None and record.key.owner is not None:
            owners.add(record.key.owner)
    return Standings(groups=tuple(found.values()), owners=len(owners))


def _group(record: Record, now: float) -> Group:
    end = record.expires_at
    moment = attention_at(replace(record, state="connected"))
    return Group(
        state=record.state,
        reason=record.reason,
        error=record.error if record.failures else "",
        held=record.sealed is not None,
        soon=moment is not None and moment < now,
        alive="unknown" if end is None else "ends" if end > now else "ended",
    )


def _last(one: float | None, other: float | None) -> float | None:
    return max((moment for moment in (one, other) if moment is not None), default=None)


def _as_one(one: Trouble, other: Trouble) -> Trouble:
    ends, tries = _first(one.ends_at, other.ends_at), _first(one.next_try_at, other.next_try_at)
    return replace(one, n=one.n + other.n, ends_at=ends, next_try_at=tries)


def _first(one: float | None, other: float | None) -> float | None:
    return min((moment for moment in (one, other) if moment is not None), default=None)
