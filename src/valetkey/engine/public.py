"""Addresses that operators set for an environment: where the server is reached, where people may be sent back to."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from valetkey.engine.returns import check_base, origin_of
from valetkey.errors import ConfigurationError, StoreUnavailable
from valetkey.model.connections import Document, Event
from valetkey.model.ports import Clock, Store

KIND: Final = "addresses"
_ID: Final = "addresses"
MOST: Final = 50
"""Return addresses, at most."""
_ROUNDS: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Addresses:
    """What operators set.

    Attributes:
        public: The public address of the server; empty: nobody set one.
        return_urls: Addresses below which people may be sent back to.
    """

    public: str = ""
    return_urls: tuple[str, ...] = ()


def addresses(store: Store, env: str) -> Addresses:
    """Return what operators set for an environment."""
    return _read(store, env)[0]


def return_urls(store: Store, env: str, *, own: Iterable[str | None], named: Iterable[str]) -> tuple[str, ...]:
    """Return where people may be sent back to: on our own origins, below what code names, and what operators set."""
    stored = addresses(store, env)
    origins = (f"{origin_of(url)}/" for url in (*own, stored.public) if url)
    return tuple(dict.fromkeys((*origins, *named, *stored.return_urls)))


def set_addresses(store: Store, clock: Clock, env: str, *, public: str, return_urls: Iterable[str], by: str) -> None:
    """Set the addresses of an environment; `public` was checked by whoever serves there.

    Raises:
        ConfigurationError: A return address is none (``return_url_invalid``), or there are too many
            (``return_urls_many``); nothing was changed.
        StoreUnavailable: Others change them all the time.
    """
    checked = tuple(dict.fromkeys(check_base(url.strip()) for url in return_urls if url.strip()))
    if len(checked) > MOST:
        msg = f"there are {len(checked)} return addresses, and {MOST} are taken"
        raise ConfigurationError(msg, code="return_urls_many", hint="set one that is above several of them")
    new = Addresses(public=public, return_urls=checked)
    for _ in range(_ROUNDS):
        before, version = _read(store, env)
        if before == new:
            return
        body = {"public": new.public, "return_urls": list(new.return_urls)}
        if store.put_document(Document(kind=KIND, env=env, id=_ID, body=body), expect=version) is not None:
            event = Event(kind="addresses_changed", at=clock.now(), env=env, actor=by, detail=_changes(before, new))
            store.append_event(event)
            return
    msg = "others change the addresses at the same time"
    raise StoreUnavailable(msg, hint="try again")


def _read(store: Store, env: str) -> tuple[Addresses, int]:
    found = store.get_document(KIND, _ID, env=env)
    if found is None:
        return Addresses(), 0
    urls = tuple(str(url) for url in found.body.get("return_urls", ()))
    return Addresses(public=str(found.body.get("public", "")), return_urls=urls), found.version


def _changes(before: Addresses, after: Addresses) -> dict[str, Any]:
    found: dict[str, Any] = {
        "added": [url for url in after.return_urls if url not in before.return_urls],
        "removed": [url for url in before.return_urls if url not in after.return_urls],
    }
    if before.public != after.public:
        found["public"] = after.public
    return {name: value for name, value in found.items() if value or name == "public"}
