"""The audit log: one line for each event, and the same as rows of a file."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from valetkey.engine.history import ORIGINS, Origin, origin_of
from valetkey.errors import clean
from valetkey.model.connections import Connection, ConnectionKey, Event
from valetkey.model.credentials import OAuth2Credential
from valetkey.model.ports import FORGOTTEN
from valetkey.server.times import Moment, ago
from valetkey.server.views.naming import Named, named
from valetkey.server.views.timeline import by, told_of

KINDS: Final = (
    "connected",
    "refreshed",
    "refresh_failed",
    "needs_reauth",
    "disconnected",
    "revoked",
    "revocation_incomplete",
    "id_token_refused",
    "imported",
    "refresh_asked",
    "refresh_job",
    "links_job",
    "links_fetched",
    "disconnect_job",
    "tested",
    "owner_forgotten",
    "connect_failed",
    "link_created",
    "link_to_confirm",
    "sign_in_due",
    "link_used",
    "link_declined",
    "link_withdrawn",
    "link_refused",
    "sign_in_dropped",
    "app_added",
    "app_changed",
    "app_secret_added",
    "app_secret_replaced",
    "app_secret_refused",
    "app_secret_withdrawn",
    "app_secret_fell_back",
    "app_secret_erased",
    "app_secret_end",
    "app_secret_ends_soon",
    "app_certificate_ends_soon",
    "signed_in",
    "sign_in_refused",
    "operator_added",
    "operator_invited",
    "operator_disabled",
    "operator_enabled",
    "operator_password_changed",
    "operator_removed",
    "api_key_made",
    "api_key_revoked",
    "tags_changed",
    "brand_changed",
    "addresses_changed",
    "key_change_begun",
    "key_changed",
    "key_retired",
)
"""The kinds that can be chosen as a filter."""
_BAD: Final = {
    "needs_reauth": "refused",
    "refresh_failed": "failed",
    "revocation_incomplete": "not confirmed",
    "connect_failed": "failed",
    "id_token_refused": "refused",
    "link_refused": "refused",
    "app_secret_refused": "refused",
    "app_secret_fell_back": "refused",
    "sign_in_refused": "refused",
}
_COLUMNS: Final = (
    *("seq", "at", "kind", "env", "connection_id", "credential", "owner", "account", "actor", "origin", "detail"),
)
PLACES: Final[dict[Origin, str]] = {
    "library": "Library",
    "command": "Command line",
    "worker": "Worker",
    "console": "Console",
    "api_key": "API key",
    "account_holder": "Connect page",
}
"""What is said of where something was done from."""
assert set(PLACES) == set(ORIGINS)  # noqa: S101 - each has its words


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of the log.

    Attributes:
        when: When.
        title: What happened.
        text: How and why.
        on: Which connection; None: none.
        place: Provider, owner and account.
        who: Who did it.
        origin: From where: which face of ours.
        address: The network address, where it was noted.
        result: How it ended.
        tone: The class of its tag.
    """

    when: Moment
    title: str
    text: str
    on: Named | None
    place: str
    who: str
    origin: str
    address: str
    result: str
    tone: str

    def says(self, text: str) -> bool:
        """Whether a text, given in lower case, stands in what the line shows."""
        shown = (self.title, self.text, self.place, self.who, self.origin, self.address, self.result)
        return any(text in one.lower() for one in (*shown, self.on.title if self.on else ""))


def line(event: Event, credential: OAuth2Credential | None, now: float) -> Line:
    """Return an event as a line of the log."""
    connection = Connection(event.connection_id, event.credential, event.owner, event.account, event.env)
    gone = event.detail == FORGOTTEN
    name = named(connection, None, credential) if event.credential else None
    told = told_of(event, name.provider if name else "")
    who = by(event).removeprefix("By ").removesuffix(".")
    failed = event.kind == "tested" and not event.detail.get("ok")
    result = _BAD.get(event.kind, "failed" if failed else "ok")
    return Line(
        when=ago(event.at, now),
        title=told.title,
        text=told.text.removeprefix(by(event)).strip(),
        on=name if event.connection_id and not gone else None,
        place="" if name is None else f"{name.provider} · a forgotten owner" if gone else name.place,
        who=who if "@" in who else who[:1].upper() + who[1:],
        origin=PLACES[origin_of(event)],
        address=clean(event.detail.get("address") or "", 60),
        result=result,
        tone="tag-bad" if event.kind == "needs_reauth" else "tag-warn" if result != "ok" else "quiet",
    )


def speaks(text: str, declared: Mapping[str, OAuth2Credential]) -> Callable[[Event], bool]:
    """Return what tells whether a text stands in the line of an event, whatever its case."""
    wanted = text.lower()
    return lambda event: line(event, declared.get(event.credential), event.at).says(wanted)


def key_text(event: Event) -> str:
    """Return which connection an event is about, as in messages."""
    return clean(str(ConnectionKey(event.env, event.credential, event.owner, event.account)), 300)


def to_object(event: Event) -> dict[str, Any]:
    """Return an event as JSON values."""
    special = {"detail": dict(event.detail), "origin": origin_of(event)}
    return {name: special[name] if name in special else getattr(event, name) for name in _COLUMNS}


def as_lines(events: Iterable[Event]) -> Iterator[str]:
    """Yield events as lines of JSON."""
    for event in events:
        yield json.dumps(to_object(event), ensure_ascii=False) + "\n"


def as_csv(events: Iterable[Event]) -> Iterator[str]:
    """Yield events as rows of CSV (RFC 4180), with a header.

    A cell that a spreadsheet would take for a formula begins with an apostrophe: owners and labels are others' text.
    """
    yield _row(_COLUMNS)
    for event in events:
        told = to_object(event)
        told["detail"] = json.dumps(told["detail"], ensure_ascii=False)
        yield _row([_harmless(told[name]) for name in _COLUMNS])


def _row(cells: Iterable[object]) -> str:
    text = io.StringIO()
    csv.writer(text).writerow(["" if cell is None else cell for cell in cells])
    return text.getvalue()


def _harmless(cell: object) -> object:
    return f"'{cell}" if isinstance(cell, str) and cell[:1] in tuple("=+-@\t\r") and cell else cell
