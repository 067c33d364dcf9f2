"""Which connections want a person's attention, and counts by that, on plain values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from valetkey.model.connections import Counts, Record, attention_at


def wants_attention(record: Record, by: float) -> bool:
    """Tell whether a record is connected and counts as ``expires_soon`` before a time."""
    moment = attention_at(record)
    return moment is not None and moment < by


def counted(records: Iterable[Record], now: float) -> Counts:
    """Return the counts of records, one by one: for stores that keep none."""
    return Counter(
        (record.key.credential, "expires_soon" if wants_attention(record, now) else record.state) for record in records
    )
