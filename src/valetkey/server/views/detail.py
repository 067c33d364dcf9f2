"""The page of one connection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from valetkey.engine.consequences import said_calls
from valetkey.engine.windows import windows
from valetkey.errors import clean
from valetkey.model.choices import plain
from valetkey.model.connections import Event, Record, ResourceTokenStatus, Status
from valetkey.model.credentials import OAuth2Credential
from valetkey.model.exchanges import PARAM as EXCHANGE
from valetkey.model.exchanges import Exchange
from valetkey.protocol.authorization_details import NAME as DETAILS
from valetkey.protocol.authorization_details import in_words
from valetkey.server.times import Moment, ago, due, length, short
from valetkey.server.views.plot import HOURS, SPAN
from valetkey.server.words import NOTHING

_LONGEST: Final = 200
_BUSIEST: Final = 8
"""How many API keys are named."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One of the four figures.

    Attributes:
        name: What it tells.
        value: The figure.
        more: What belongs to it.
        bad: Whether it is bad news.
        counts: The moment that is counted down to after the figure, where it is one.
    """

    name: str
    value: str
    more: str = ""
    bad: bool = False
    counts: Moment | None = None


def figures(
    status: Status, record: Record, events: Sequence[Event], credential: OAuth2Credential, now: float
) -> tuple[Figure, ...]:
    """Return the four figures: the access token, its next refresh, its last use, how often it was refreshed."""
    refreshed = sum(event.kind == "refreshed" and now - event.at < SPAN for event in events)
    failed = sum(event.kind == "refresh_failed" and now - event.at < SPAN for event in events)
    more = f"in the last {HOURS} hours"
    if failed:
        more += f", and {failed} failed"
    if status.state == "needs_reauth" and record.error:
        more += "; then one was refused"
    used = ago(record.last_used_at, now)
    return (
        _access(status, record, now),
        _next(status, record, credential, now),
        Figure(
            name="Last used",
            value=used.said.capitalize(),
            more=short(record.last_used_at, now) if record.last_used_at is not None else "",
        ),
        Figure(name="Refreshes", value=str(refreshed), more=more),
    )


def _access(status: Status, record: Record, now: float) -> Figure:
    name, end = "Access token", record.expires_at
    if record.sealed is None:
        return Figure(name=name, value="None", more="nobody is connected")
    if status.state == "needs_reauth" and (end is None or end > now):
        return Figure(name=name, value="Refused", more="a person must sign in again", bad=True)
    if end is None:
        return Figure(name=name, value="No end known", more="a 401 will tell")
    if end > now:
        return Figure(name=name, value=f"{length(end - now)} left", more=f"until {short(end, now)}")
    bad = not (record.refreshable and status.state == "connected")
    more = "renewed at the next use" if not bad else short(end, now)
    return Figure(name=name, value=f"Ended {length(now - end)} ago", more=more, bad=bad)


def _next(status: Status, record: Record, credential: OAuth2Credential, now: float) -> Figure:
    value, more = _renewal(status, record, credential, now)
    if isinstance(value, Moment):
        return Figure(name="Next refresh", value="", more=more, counts=value)
    return Figure(name="Next refresh", value=value, more=more)


def _renewal(status: Status, record: Record, credential: OAuth2Credential, now: float) -> tuple[str | Moment, str]:
    """Return when the token is renewed next, and what belongs to it."""
    if record.sealed is None or not record.refreshable or status.state == "needs_reauth":
        dead = status.state == "needs_reauth"
        return "None", "after re-authorization" if dead else "there is no refresh token"
    if status.state == "app_error":
        return "Waits", "until the app is put right"
    if status.state == "refresh_failing":
        return due(record.next_try_at, now, idle="at the next use"), "tried again by itself"
    at = windows(record, credential).due
    if at is None:
        return "After a 401", "the end is not known"
    if at <= now:
        return "At the next use", "the token is due"
    return due(at, now, idle=""), f"{length((record.expires_at or at) - at)} before it ends, at the latest"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """One scope.

    Attributes:
        name: Its name.
        given: Whether it was granted.
        more: What that means; empty where it is plain.
    """

    name: str
    given: bool
    more: str = ""


def scopes(status: Status, record: Record) -> tuple[Scope, ...]:
    """Return what was asked for, what of it was given, and what was given besides."""
    known = record.sealed is not None and bool(record.granted)
    asked = [
        Scope(
            name=clean(name, _LONGEST),
            given=known and name not in status.missing,
            more="Requested, not granted. Calls that need it will be answered 403." if name in status.missing else "",
        )
        for name in status.requested
    ]
    extra = [
        Scope(name=clean(name, _LONGEST), given=True, more="Granted without having been asked for.")
        for name in status.granted
        if name not in status.requested
    ]
    return (*asked, *extra)


def scope_count(status: Status, record: Record) -> str:
    """Return how many scopes were given: "3 of 4 granted"."""
    asked = len(status.requested)
    if record.sealed is None:
        return "nothing granted"
    if not record.granted:
        return "not told by the provider"
    return f"{asked - len(status.missing)} of {asked} granted" if asked else f"{len(status.granted)} granted"


def fingerprint(text: str) -> str:
    """Return a fingerprint as people compare it: "a91f·04c2·77de"; a dash for none."""
    short = text[:12]
    return "·".join(short[at : at + 4] for at in range(0, len(short), 4)) or NOTHING


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """A line of facts: its name, its value, and what stands under that."""

    name: str
    value: str
    more: str = ""
    code: str = ""
    link: str = ""


def identity_facts(status: Status, record: Record, now: float) -> tuple[Fact, ...]:
    """Return who it is at the provider, and whose it is here."""
    who, key = status.identity, record.key
    facts: list[Fact] = []
    if who is not None:
        name = clean(who.name or who.title, _LONGEST)
        rest = [clean(part, _LONGEST) for part in (who.email, who.login) if part and clean(part, _LONGEST) != name]
        facts.append(Fact(name="Identity", value=name, more=" · ".join(rest)))
        facts.append(Fact(name="Subject", value="", code=clean(who.subject, _LONGEST) or NOTHING))
    else:
        facts.append(Fact(name="Identity", value="Not known", more="the provider was not asked, or did not say"))
    facts.append(
        Fact(name="Owner", value="your program\u2019s own")
        if key.owner is None
        else Fact(name="Owner", value=clean(key.owner, _LONGEST), link=key.owner)
    )
    facts.append(Fact(name="Account", value=clean(key.account, _LONGEST) or "default"))
    connected = ago(record.connected_at, now)
    facts.append(Fact(name="Connected", value=connected.said, more=connected.exact))
    facts += [_param_fact(name, value) for name, value in plain(record.params).items()]
    return tuple(facts)


def _param_fact(name: str, value: str) -> Fact:
    """Return what came with a connection, in words where it is more than a word."""
    if name == DETAILS:
        return Fact(name="Authorization details", value=in_words(value) or NOTHING)
    exchange = Exchange.of({name: value}) if name == EXCHANGE else None
    if exchange is None:
        return Fact(name=clean(name, 40), value=clean(value, _LONGEST))
    targets = clean(" · ".join((*exchange.audience, *exchange.resource)), _LONGEST)
    return Fact(name="Exchanged for", value=targets or NOTHING, more="its token", code=exchange.subject)


def call_facts(calls: Mapping[str, int], names: Mapping[str, str]) -> tuple[Fact, ...]:
    """Return which API keys called in the last 24 hours, the busiest first; those revoked since by their ids."""
    busiest = sorted(calls.items(), key=lambda one: (-one[1], one[0]))
    return tuple(
        Fact(
            name=clean(names[key_id], _LONGEST) if key_id in names else f"vk_{key_id}",
            value=said_calls(count),
            more="" if key_id in names else "revoked since",
        )
        for key_id, count in busiest[:_BUSIEST]
    )


def storage_facts(
    record: Record, credential: OAuth2Credential, store: str, tokens: Sequence[ResourceTokenStatus] = ()
) -> tuple[Fact, ...]:
    """Return what is known of the tokens without showing them, `tokens` of resources among them; and where they are."""
    rotates = {True: "rotates", False: "does not rotate", None: ""}[credential.rotates_refresh_token]
    held = record.sealed is not None
    refresh = ", ".join(["Stored", *([rotates] if rotates else [])]) if record.refresh_fp else "None"
    return (
        Fact(
            name="Access token",
            value="Stored" if held else "None",
            more="fingerprint",
            code=fingerprint(record.access_fp),
        ),
        *(
            Fact(
                name="Token for",
                value=clean(one.resource, _LONGEST),
                more="fingerprint",
                code=fingerprint(one.fingerprint),
            )
            for one in tokens
        ),
        Fact(name="Refresh token", value=refresh, more="fingerprint", code=fingerprint(record.refresh_fp)),
        Fact(
            name="Credential",
            value="",
            code=record.key.credential,
            more="PKCE S256" if credential.pkce else "without PKCE",
        ),
        Fact(
            name="Encrypted",
            value="AES-256-GCM"
            if record.sealed and record.sealed.key_id
            else "By the secret service"
            if held
            else "Nothing",
            more=store,
            code=record.sealed.key_id[:12] if record.sealed else "",
        ),
        Fact(name="ID", value="", code=record.id),
    )
