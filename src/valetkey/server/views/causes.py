"""What is behind it: connections that are not well, grouped by cause, with one thing to do for all of a group."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, urlencode

from valetkey.model.connections import State
from valetkey.model.credentials import OAuth2Credential
from valetkey.model.troubles import Trouble
from valetkey.server.times import Moment, due, length
from valetkey.server.views.naming import provider_name
from valetkey.server.views.reasons import OURS, app_reason, failing_reason, person_reason
from valetkey.server.words import STATES, Word

MOST: Final = 3
Totals = Mapping[tuple[str, State], int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """One cause.

    Attributes:
        word: How its symbol looks.
        n: How many connections it stopped, or will.
        title: What happened.
        text: What it means, and who must act.
        state: The filter that shows all of them.
        credential: The filter's credential; empty for all.
        fix: The credential whose app is to be mended; empty where that is not what is needed.
        next_try: When it is tried again; None where that is not what is needed.
    """

    word: Word
    n: int
    title: str
    text: str
    state: State
    credential: str = ""
    fix: str = ""
    next_try: Moment | None = None

    @property
    def act(self) -> str:
        """What the button says."""
        return "Fix app" if self.fix else "Show all"

    @property
    def spoken(self) -> str:
        """What the button says besides, to those who do not see it."""
        return self.title if self.fix else f"of: {self.title}"

    @property
    def address(self) -> str:
        """Where the button leads."""
        if self.fix:
            return f"/console/apps/{quote(self.fix, safe='')}"
        of = {"state": self.state, **({"credential": self.credential} if self.credential else {})}
        return f"/console/connections?{urlencode(of)}"


def summary(found: Sequence[Cause], trouble: int) -> str:
    """Return what the card says of itself; `trouble`: how many connections are not well."""
    n = len(found)
    if not n:
        return "Nothing is wrong any more"
    return f"{_many(trouble)}, {n} cause{'s' if n != 1 else ''}{' shown' if n == MOST else ''}"


def causes(
    totals: Totals,
    people: Iterable[Trouble],
    failing: Iterable[Trouble],
    sick: Mapping[str, str],
    declared: Mapping[str, OAuth2Credential],
    now: float,
) -> tuple[Cause, ...]:
    """Return the causes, the worst first, at most `MOST`.

    Args:
        totals: How many connections each credential has in each state.
        people: Why some of those are so that a person must sign in again for, summed.
        failing: Why some of those are so whose refresh fails, summed.
        sick: Credential -> why its app cannot be used.
        declared: The credentials, by name.
        now: Unix seconds.
    """
    found = [
        *_apps(totals, sick, declared),
        *_people(totals, people, declared),
        *_failing(totals, [one for one in failing if one.credential not in sick], declared, now),
    ]
    return tuple(found[:MOST])


def _apps(totals: Totals, sick: Mapping[str, str], declared: Mapping[str, OAuth2Credential]) -> Iterable[Cause]:
    for name, error in sorted(sick.items()):
        n = totals.get((name, "app_error"), 0)
        if n:
            yield Cause(
                word=STATES["app_error"],
                n=n,
                title=f"{provider_name(declared.get(name), name)}: {app_reason(error)}",
                text=f"{_many(n)}. Signing in again cannot repair it: the app's credentials must be put right.",
                state="app_error",
                credential=name,
                fix=name,
            )


def _people(totals: Totals, troubles: Iterable[Trouble], declared: Mapping[str, OAuth2Credential]) -> Iterable[Cause]:
    """Group those that a person must sign in again for by what happened; providers stand in the title."""
    where = {name: n for (name, state), n in totals.items() if state == "needs_reauth"}
    reasons: dict[str, Counter[str]] = {}
    for some in troubles:
        reasons.setdefault(some.reason or "unknown", Counter())[some.credential] += some.n
    if not where:
        return
    if len(reasons) == 1:  # then the figures of the store are those of this reason
        reasons = {reason: Counter(where) for reason in reasons}
    for reason, names in sorted(reasons.items(), key=lambda item: -item[1].total()):
        providers = ", ".join(f"{provider_name(declared.get(name), name)} {n}" for name, n in names.most_common(3))
        one = next(iter(names)) if len(names) == 1 else ""
        said = person_reason(reason, provider_name(declared.get(one), one) if one else "the provider")
        said = f"{said[:1].upper()}{said[1:]}"
        yield Cause(
            word=STATES["needs_reauth"],
            n=names.total(),
            title=said if one else f"{said}: {providers}",
            text=f"{_many(names.total())}. {_people_can(reason)}",
            state="needs_reauth",
            credential=one,
        )


def _people_can(reason: str) -> str:
    if reason == "row_corrupt":
        return "A backup of the store may hold it whole; valetkey refresh tells what else can be done."
    return "Only the account holders can restore access, by signing in again."


def _failing(
    totals: Totals, troubles: list[Trouble], declared: Mapping[str, OAuth2Credential], now: float
) -> Iterable[Cause]:
    groups: dict[tuple[str, str], list[Trouble]] = {}
    for one in troubles:
        groups.setdefault((one.credential, one.error), []).append(one)
    met = {place: sum(one.n for one in members) for place, members in groups.items()}
    alone = Counter(name for name, _ in groups)
    for (name, error), members in sorted(groups.items(), key=lambda item: -met[item[0]]):
        n = totals.get((name, "refresh_failing"), met[name, error]) if alone[name] == 1 else met[name, error]
        ends = [one.ends_at for one in members if one.ends_at is not None]
        left = (min(ends) - now) if ends else 0.0
        whose = "Its access token still works" if n == 1 else "Their access tokens still work"
        lives = f"{whose} for {length(left)}. " if left > 0 else ""
        tries = [one.next_try_at for one in members if one.next_try_at is not None]
        yield Cause(
            word=STATES["refresh_failing"],
            n=n,
            title=f"{provider_name(declared.get(name), name)}: the token endpoint {_answers(error)}",
            text=f"{_many(n)}. {lives}Nothing to do yet: it is tried again by itself,",
            state="refresh_failing",
            credential=name,
            next_try=due(min(tries, default=None), now, idle="at the next use"),
        )


def _answers(error: str) -> str:
    said = failing_reason(error)
    if error in OURS or not said:
        return "cannot be reached" if error == "unreachable" else "gives no readable answer"
    return f"answers {said}" if said[:1].isdigit() else f"answers with: {said}"


def _many(n: int) -> str:
    return "1 connection" if n == 1 else f"{n:,} connections"
