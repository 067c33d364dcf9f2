"""What an app does to the connections under it, by cause."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from valetkey.engine.app_health import Standing
from valetkey.model.connections import State
from valetkey.server.times import short
from valetkey.server.views.apps import AppView
from valetkey.server.views.reasons import failing_reason, person_reason
from valetkey.server.words import STATES, Word

_LOST: Final = Word("No connection lost", "ok", "st-ok", "c-ok")
_TITLES: Final[Mapping[State, str]] = {
    "connected": "connected",
    "expires_soon": "end soon, and need a new sign-in",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One cause: how its symbol looks, what is so, what it means, and the filter that shows whom; `n`: how many."""

    word: Word
    title: str
    text: str
    state: str = ""
    n: int = 0


def rows(app: AppView, standing: Standing, now: float) -> tuple[Row, ...]:
    """Return the causes, the worst first."""
    return tuple(_rejected(app, standing, now) if app.health == "fixing" else _by_state(app, standing, now))


def _rejected(app: AppView, standing: Standing, now: float) -> Iterator[Row]:
    if not standing.total:
        return
    of = f", of {standing.total - standing.unread:,} looked at" if standing.unread else ""
    if standing.stopped:
        yield Row(
            word=STATES["app_error"],
            title=f"{standing.stopped:,} stopped{of}: {app.why}",
            text="You repair it here. Nobody signs in again.",
            state="app_error",
            n=standing.stopped,
        )
    if standing.living:
        yield Row(
            word=STATES["expires_soon"],
            title=f"{standing.living:,} still work{of}, until their access token ends",
            text=_ends(standing, now),
            state="app_error",
            n=standing.living,
        )
    since = f" since {app.since.said}" if app.since is not None else ""
    yield Row(
        word=_LOST,
        title="No connection lost",
        text=f"All refresh tokens are kept; none was spent on a refused request{since}.",
    )


def _by_state(app: AppView, standing: Standing, now: float) -> Iterator[Row]:
    order: list[State] = ["app_error", "needs_reauth", "refresh_failing", "expires_soon", "connected"]
    for state in order:
        for (one, reason), n in standing.counts.items():
            if one == state:
                yield Row(word=STATES[state], n=n, state=state, **_words(app, state, reason, n, standing, now))


def _words(app: AppView, state: State, reason: str, n: int, standing: Standing, now: float) -> dict[str, str]:
    if state == "needs_reauth":
        why = person_reason(reason, app.provider.name)
        return {"title": f"{n:,} stopped: {why}", "text": "The account holders have to sign in again."}
    if state == "refresh_failing":
        why = failing_reason(reason)
        return {"title": f"{n:,} cannot be refreshed now: {why}", "text": "Nothing to do: it is tried again by itself."}
    text = _ends(standing, now) if state == "connected" else "Only the account holders can renew them."
    return {"title": f"{n:,} {_TITLES.get(state, app.why)}", "text": text}


def _ends(standing: Standing, now: float) -> str:
    if standing.first_end is None or standing.last_end is None:
        return "Their access tokens do not say when they end."
    first, last = short(standing.first_end, now), short(standing.last_end, now)
    if first == last:
        return f"The access token ends at {first}." if standing.living == 1 else f"Their access tokens end at {first}."
    return f"The first access token ends at {first}, the last at {last}."
