"""The plot of a connection's last hours: how long each access token lived, and what its refreshes met."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from typing import Final

from valetkey.model.connections import Event, Record

HOURS: Final = 12
SPAN: Final = HOURS * 3600.0
LEFT, NOW, RIGHT = 4.0, 554.2, 636.0
"""Where the plot begins, where it is now, and where it ends, in its own units."""
GOT: Final = frozenset({"connected", "imported", "refreshed"})
"""The events that brought an access token."""
LOST: Final = frozenset({"needs_reauth", "disconnected"})


@dataclass(frozen=True, slots=True)
class Bar:
    """A token's life, or a time without any."""

    kind: str
    x: float
    width: float


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that happened at a moment."""

    kind: str
    x: float


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the hours, and what stands under it."""

    x: float
    text: str
    anchor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Plot:
    """What is drawn, and the same in words.

    Attributes:
        bars: Lives of tokens (``tk``, ``cur``, ``fut``) and times without one (``gap``).
        marks: Refreshes (``rf``) and failures (``er``).
        lines: The hours.
        end: When the current token ends, as text beside its bar; empty where it does not, or out of the picture.
        end_x: Where that stands.
        summary: What the plot shows.
    """

    bars: tuple[Bar, ...]
    marks: tuple[Mark, ...]
    lines: tuple[Line, ...]
    end: str
    end_x: float
    summary: str


def plot(record: Record, events: Sequence[Event], now: float) -> Plot:
    """Return the plot of a connection; `events` are its latest, in any order."""
    seen = sorted(events, key=lambda event: (event.at, event.seq))
    begun = [event.at for event in seen if event.kind in GOT]
    bars = [*_lives(record, seen, begun, now), *_current(record, begun, now)]
    recent = [event for event in seen if now - SPAN < event.at <= now]
    marks = [Mark("rf", _x(event.at, now)) for event in recent if event.kind == "refreshed"]
    marks += [Mark("er", _x(event.at, now)) for event in recent if event.kind in {"refresh_failed", "needs_reauth"}]
    end = record.expires_at if record.sealed is not None and record.state != "needs_reauth" else None
    shown = end is not None and now < end and _x(end, now) < RIGHT - 40
    return Plot(
        bars=tuple(bars),
        marks=tuple(marks),
        lines=tuple(_lines(now)),
        end=_clock(end) if shown and end is not None else "",
        end_x=round(_x(end, now) + 8, 1) if shown and end is not None else 0.0,
        summary=_summary(record, recent, now),
    )


def _x(when: float, now: float) -> float:
    return round(NOW - (now - when) * (NOW - LEFT) / SPAN, 1)


def _bar(kind: str, start: float, end: float, now: float) -> Bar | None:
    left, right = max(_x(start, now), LEFT), min(_x(end, now), RIGHT)
    return Bar(kind, left, round(max(right - left - 1.0, 1.5), 1)) if right > left else None


def _lives(record: Record, events: Sequence[Event], begun: Sequence[float], now: float) -> list[Bar]:
    """Return the lives of earlier tokens, each to the moment when the next one came, and times without a token."""
    life = (record.expires_at - record.obtained_at) if record.expires_at and record.obtained_at else None
    bars = [_bar("tk", start, min(later, start + life) if life else later, now) for start, later in pairwise(begun)]
    ends = [event.at for event in events if event.kind in LOST]
    bars += [_bar("gap", end, min((at for at in begun if at > end), default=now), now) for end in ends]
    return [bar for bar in bars if bar is not None]


def _current(record: Record, begun: Sequence[float], now: float) -> list[Bar]:
    if record.sealed is None:
        return []
    start = record.obtained_at or (begun[-1] if begun else now)
    end = record.expires_at
    bars = [_bar("cur", start, now if end is None else min(now, end), now)]
    if record.state != "needs_reauth" and (end is None or end > now):
        bars.append(_bar("fut", now, now + SPAN if end is None else end, now))
    return [bar for bar in bars if bar is not None]


def _lines(now: float) -> list[Line]:
    step = 2 * 3600.0
    return [
        Line(_x(now - SPAN + n * step, now), _clock(now - SPAN + n * step), "start" if n == 0 else "middle")
        for n in range(HOURS // 2)
    ]


def _clock(when: float) -> str:
    return datetime.fromtimestamp(when, UTC).strftime("%H:%M")


def _summary(record: Record, recent: Sequence[Event], now: float) -> str:
    refreshed = sum(event.kind == "refreshed" for event in recent)
    failed = sum(event.kind == "refresh_failed" for event in recent)
    refused = [event for event in recent if event.kind == "needs_reauth"]
    said = [f"In the last {HOURS} hours (UTC) the token was refreshed {_times(refreshed)}"]
    if failed:
        said.append(f"a refresh failed {_times(failed)}")
    if refused:
        said.append(f"the refresh at {_clock(refused[-1].at)} was refused for good")
    end = record.expires_at
    if record.sealed is not None and end is not None:
        said.append(f"the access token {'ends' if end > now else 'ended'} at {_clock(end)}")
    return "; ".join(said) + "."


def _times(n: int) -> str:
    return "never" if n == 0 else "once" if n == 1 else f"{n} times"
