"""What happened to a connection, in words; the newest first, repeats folded."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Final

from valetkey.errors import clean
from valetkey.model.connections import Event
from valetkey.server.times import Moment, ago
from valetkey.server.views.reasons import failing_reason, person_reason

_LONGEST: Final = 300
_FOLDED: Final = frozenset({"refreshed", "refresh_failed"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line of the timeline.

    Attributes:
        icon: Its symbol.
        colour: The class of its symbol.
        title: What happened.
        text: How, why, and by whom.
        when: When; of repeats, the last of them.
        means: What it means for a person; empty where that is plain.
    """

    icon: str
    colour: str
    title: str
    text: str
    when: Moment
    means: str = ""


def timeline(events: Iterable[Event], provider: str, now: float) -> tuple[Entry, ...]:
    """Return the timeline of events that are given newest first."""
    groups = groupby(enumerate(events), key=lambda one: one[1].kind if one[1].kind in _FOLDED else one[0])
    return tuple(_entry([event for _, event in group], provider, now) for _, group in groups)


def _entry(events: Sequence[Event], provider: str, now: float) -> Entry:
    last = events[0]
    told = told_of(last, provider)
    title = told.title if len(events) == 1 else f"{told.title} {len(events)} times"
    text = told.text if len(events) == 1 else _spread(events, now)
    return Entry(icon=told.icon, colour=told.colour, title=title, text=text, when=ago(last.at, now), means=told.means)


def _spread(events: Sequence[Event], now: float) -> str:
    first = ago(events[-1].at, now)
    if events[0].kind == "refresh_failed":
        errors = sorted({failing_reason(str(event.detail.get("error", ""))) for event in events})
        return f"Since {first.exact or first.said}: {', '.join(errors)}."
    return f"Since {first.exact or first.said}, all without a failure in between."


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """An event in words."""

    icon: str
    colour: str
    title: str
    text: str = ""
    means: str = ""


def told_of(event: Event, provider: str) -> Told:
    """Return what an event says to a person, wherever it is shown."""
    build = _KINDS.get(event.kind)
    if build is None:
        return Told(icon="info", colour="", title=clean(event.kind, 60).replace("_", " ").capitalize(), text=by(event))
    return build(event, event.detail, provider)


def by(event: Event) -> str:
    """Return who did it."""
    actor = clean(event.actor, 200)
    if event.kind == "sign_in_refused":
        return "By somebody unknown."
    faces = {"library": "the program", "command": "a command", "worker": "the worker", "": "the engine"}
    return f"By {faces.get(actor, actor)}."


def _connected(event: Event, detail: Mapping[str, Any], _: str) -> Told:
    granted = detail.get("granted") or ()
    scopes = f" {len(granted)} scope{'s' if len(granted) != 1 else ''} granted." if granted else ""
    title = "Connected again" if detail.get("reconnected") else "Connected"
    return Told(icon="plug", colour="", title=title, text=by(event) + scopes)


def _refreshed(event: Event, detail: Mapping[str, Any], provider: str) -> Told:
    rotated = f" {provider} gave a new refresh token." if detail.get("rotated") else ""
    late = " The answer was kept on this host until the store took it." if detail.get("replayed") else ""
    return Told(icon="ok", colour="c-ok", title="Refreshed", text=by(event) + rotated + late)


def _failed(_: Event, detail: Mapping[str, Any], provider: str) -> Told:
    what = failing_reason(str(detail.get("error", "")))
    text = f"{provider}: {what}. The connection is kept, and tried again."
    return Told(icon="retry", colour="c-retry", title="Refresh failed", text=text)


def _dead(_: Event, detail: Mapping[str, Any], provider: str) -> Told:
    said = clean(detail.get("description") or "", _LONGEST)
    error = clean(detail.get("error") or "", 100)
    quoted = f"{provider} answered {error}" + (f", \u201c{said}\u201d" if said else "") if error else ""
    means = person_reason(str(detail.get("reason", "")), provider)
    return Told(
        icon="broken",
        colour="c-bad",
        title="Refresh refused, stopped",
        text=f"{quoted}. That answer is final, so it is not tried again." if quoted else "",
        means=f"{means[:1].upper()}{means[1:]}. Signing in again restores it; owner, account, id and history stay.",
    )


def _revoked(_: Event, detail: Mapping[str, Any], provider: str) -> Told:
    what = " and ".join(clean(one, 40).replace("_", " ") for one in detail.get("revoked") or ())
    text = f"{provider} confirmed it{': ' + what if what else ''}."
    return Told(icon="unplug", colour="", title="Access withdrawn at the provider", text=text)


def _incomplete(_: Event, __: Mapping[str, Any], provider: str) -> Told:
    text = f"{provider} did not confirm that everything is withdrawn; a token may live until its end."
    return Told(icon="unplug", colour="c-warn", title="Access may not be withdrawn everywhere", text=text)


def _disbelieved(_: Event, detail: Mapping[str, Any], provider: str) -> Told:
    text = (
        f"The id token of {provider} {clean(detail.get('said', ''), _LONGEST)}. The tokens were kept, who it is stays."
    )
    return Told(icon="shield", colour="c-warn", title="Id token not believed", text=text)


def _tested(event: Event, detail: Mapping[str, Any], _: str) -> Told:
    ok = bool(detail.get("ok"))
    return Told(
        icon="ok" if ok else "broken",
        colour="c-ok" if ok else "c-bad",
        title="Tested",
        text=f"{by(event)} {clean(detail.get('said', ''), _LONGEST)}".strip(),
    )


def _forgotten(event: Event, detail: Mapping[str, Any], _: str) -> Told:
    text = f"{by(event)} {detail.get('connections', 0)} connections were erased."
    return Told(icon="user", colour="c-bad", title="An owner was forgotten", text=text)


def _not_connected(event: Event, detail: Mapping[str, Any], _: str) -> Told:
    why = clean(detail.get("code", ""), 60).replace("_", " ")
    text = f"{by(event)} {why.capitalize()}, request {clean(detail.get('request', ''), 40)}."
    return Told(icon="off", colour="c-bad", title="Not connected", text=text)


def _dropped(event: Event, detail: Mapping[str, Any], provider: str) -> Told:
    given_back = "Its access was given back" if detail.get("revoked") else "Its access was not given back"
    text = f"{by(event)} Nobody confirmed it, or it was meant otherwise. {given_back} at {provider}."
    return Told(icon="off", colour="", title="Sign-in dropped", text=text)


def _signed_in(event: Event, _: Mapping[str, Any], __: str) -> Told:
    return Told(icon="user", colour="", title="Signed in", text=by(event))


def _not_signed_in(_: Event, __: Mapping[str, Any], ___: str) -> Told:
    return Told(icon="shield", colour="c-bad", title="Sign-in refused", text="Wrong name or password.")


def _operator(title: str, icon: str = "user") -> Callable[[Event, Mapping[str, Any], str], Told]:
    def build(event: Event, detail: Mapping[str, Any], _: str) -> Told:
        return Told(icon=icon, colour="", title=title, text=f"{by(event)} {clean(detail.get('operator', ''), 200)}")

    return build


def _api_key(title: str) -> Callable[[Event, Mapping[str, Any], str], Told]:
    def build(event: Event, detail: Mapping[str, Any], _: str) -> Told:
        scopes = ", ".join(clean(one, 40) for one in detail.get("scopes") or ())
        named = f"{clean(detail.get('name', ''), 200)} ({clean(detail.get('key', ''), 40)}…)"
        return Told(icon="key", colour="", title=title, text=f"{by(event)} {named}{': ' + scopes if scopes else ''}")

    return build


def _tagged(event: Event, detail: Mapping[str, Any], _: str) -> Told:
    names = ", ".join(clean(one, 64) for one in detail.get("names") or ())
    return Told(icon="gear", colour="", title="Tags changed", text=f"{by(event)} {names}".strip())


def _said(title: str, icon: str = "info", colour: str = "") -> Callable[[Event, Mapping[str, Any], str], Told]:
    return lambda event, _, __: Told(icon=icon, colour=colour, title=title, text=by(event))


_KINDS: Final[dict[str, Callable[[Event, Mapping[str, Any], str], Told]]] = {
    "connected": _connected,
    "imported": _said("Imported", "plug"),
    "refreshed": _refreshed,
    "refresh_failed": _failed,
    "needs_reauth": _dead,
    "disconnected": _said("Disconnected", "off"),
    "revoked": _revoked,
    "revocation_incomplete": _incomplete,
    "id_token_refused": _disbelieved,
    "refresh_asked": _said("Refresh asked for", "user"),
    "owner_forgotten": _forgotten,
    "refresh_job": _said("Refresh of many asked for", "user"),
    "links_job": _said("Connect links for many asked for", "user"),
    "links_fetched": _said("Connect links of many downloaded", "link"),
    "disconnect_job": _said("Disconnect of many asked for", "user"),
    "sign_in_due": _said("Somebody must sign in again soon: the provider ends it", "clock", "c-warn"),
    "tested": _tested,
    "connect_failed": _not_connected,
    "link_created": _said("Connect link made", "link"),
    "link_to_confirm": _said("Signed in by a connect link, waits to be confirmed", "clock"),
    "sign_in_dropped": _dropped,
    "link_used": _said("Connect link used", "link"),
    "link_declined": _said("Connect link declined", "link"),
    "link_withdrawn": _said("Connect link withdrawn", "link"),
    "link_refused": _said("Connect link refused: somebody else was signed in", "shield", "c-bad"),
    "app_added": _said("App added", "grid"),
    "app_registered": _said("App registered itself", "grid"),
    "app_unregistered": _said("Registration of the app deleted", "grid"),
    "app_changed": _said("App credentials replaced", "grid"),
    "app_secret_added": _said("New client secret stored", "grid"),
    "app_secret_replaced": _said("New client secret in use", "ok", "c-ok"),
    "app_secret_refused": _said("New client secret refused, the one in use stays", "shield", "c-bad"),
    "app_secret_withdrawn": _said("New client secret taken back", "grid"),
    "app_secret_fell_back": _said("Client secret refused, the one before it serves", "retry", "c-retry"),
    "app_secret_erased": _said("Old client secret erased", "grid"),
    "app_secret_end": _said("End of the client secret noted", "clock"),
    "app_certificate_ends_soon": _said("Certificate of the app ends soon", "clock", "c-warn"),
    "app_secret_ends_soon": _said("Client secret ends soon", "clock", "c-warn"),
    "signed_in": _signed_in,
    "sign_in_refused": _not_signed_in,
    "operator_added": _operator("Operator added"),
    "operator_invited": _operator("Operator invited"),
    "operator_disabled": _operator("Operator disabled", "off"),
    "operator_enabled": _operator("Operator enabled"),
    "operator_password_changed": _operator("Password of an operator changed"),
    "operator_removed": _operator("Operator removed", "off"),
    "api_key_made": _api_key("API key made"),
    "api_key_revoked": _api_key("API key revoked"),
    "tags_changed": _tagged,
    "brand_changed": _said("Brand changed", "gear"),
    "addresses_changed": _said("Addresses changed", "gear"),
    "key_change_begun": _said("Change of keys begun", "key"),
    "key_changed": _said("Keys changed", "key"),
    "key_retired": _said("Old key retired", "key"),
}
