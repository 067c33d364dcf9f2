"""API keys: how programs of any language prove to the REST API who they are (DESIGN section 8).

A key is ``vk_<id>_<secret>``.  Its document has the id; of the secret only a hash is kept, and a fast one will do: 256
random bits are not found by trying.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from hmac import compare_digest
from ipaddress import ip_address, ip_network
from typing import Any, Final, Literal

from valetkey.errors import ConfigurationError, clean
from valetkey.forks import late_imports
from valetkey.model.connections import Document, Event
from valetkey.model.names import LONGEST, check_owner, has_control
from valetkey.model.paging import each_document
from valetkey.model.ports import Clock, Store
from valetkey.values import Secret

KIND: Final = "api_key"
Scope = Literal["read", "read_secret", "refresh", "connect", "manage"]
SCOPES: Final[Mapping[Scope, str]] = {
    "read": "See credentials, connections, states, identities and events. No token.",
    "read_secret": "Get access tokens. Needed only by programs that call the provider themselves.",
    "refresh": "Refresh now.",
    "connect": "Connect and disconnect accounts.",
    "manage": "Import connections, change their tags, forget owners.",
}
"""What a key may be allowed to do, in words.  None includes another."""
RATE: Final = 600
"""Calls a minute where nobody says otherwise."""
MOST_CALLS: Final = 100_000
"""Calls a minute that a key can be allowed at most."""
LONGEST_NAME: Final = 100
MOST_LIMITS: Final = 100
"""How many owners, credentials or networks a key can name."""
NOTED_EVERY: Final = 60.0
"""Seconds between notes of a key's last use."""
SHOWN_AFTER_END: Final = 30 * 86400.0
"""Seconds for which a key that has ended is still listed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """An API key, without its secret.

    Attributes:
        id: Eight hex digits; public.
        name: What people call it.
        scopes: What it may do.
        owners: Whose connections it sees; none: everybody's.
        credentials: Under which credentials; none: all.
        networks: From where it is taken; none: from anywhere.
        rate: Calls a minute, counted by each process of the server.
        identities: Whether it sees who people are at the provider.
        created_at: Unix seconds.
        created_by: Who made it.
        ends_at: Unix seconds from which it is refused; None: never.
        last_used_at: Unix seconds, to the minute, of its last use.
    """

    id: str
    name: str
    scopes: tuple[Scope, ...]
    owners: tuple[str, ...] = ()
    credentials: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()
    rate: int = RATE
    identities: bool = True
    created_at: float = 0.0
    created_by: str = ""
    ends_at: float | None = None
    last_used_at: float | None = None

    @property
    def prefix(self) -> str:
        """What is shown of the key: ``vk_8f3a41c0``."""
        return f"vk_{self.id}"

    def sees(self, credential: str, owner: str | None) -> bool:
        """Whether connections of that credential and owner are within its limits."""
        return (not self.credentials or credential in self.credentials) and (not self.owners or owner in self.owners)

    @property
    def limited(self) -> bool:
        """Whether there are connections that it does not see: it must not read their names either."""
        return bool(self.owners or self.credentials)

    def may(self, scope: Scope) -> bool:
        """Whether it has a scope."""
        return scope in self.scopes

    def comes_from(self, address: str) -> bool:
        """Whether it is taken from that address."""
        if not self.networks:
            return True
        try:
            at = ip_address(address)
        except ValueError:  # no address: a socket file, say
            return False
        at = getattr(at, "ipv4_mapped", None) or at
        return any(at in ip_network(network) for network in self.networks)

    def ended(self, now: float) -> bool:
        """Whether its time is over."""
        return self.ends_at is not None and now >= self.ends_at


class ApiKeys:
    """The API keys of one environment."""

    def __init__(self, store: Store, clock: Clock, env: str) -> None:
        self._store = store
        self._clock = clock
        self._env = env

    def add(
        self,
        name: str,
        scopes: Iterable[str],
        *,
        owners: Iterable[str] = (),
        credentials: Iterable[str] = (),
        networks: Iterable[str] = (),
        rate: int = RATE,
        identities: bool = True,
        life: float | None = None,
        by: str = "",
    ) -> tuple[ApiKey, Secret]:
        """Make a key; its secret is told once, here.

        `life` is in seconds; None: it does not end.  The names of credentials are not looked up: they may be declared
        later.

        Raises:
            ConfigurationError: A value cannot be (``api_key_invalid``); nothing was made.
        """
        now = self._clock.now()
        if life is not None and not 0 < life <= _LONGEST_LIFE:
            raise _invalid("it would last no time, or longer than anybody can tell", "choose a number of days")
        key = ApiKey(
            id="",
            name=_name(name),
            scopes=_scopes(scopes),
            owners=tuple(_owner(owner) for owner in _some(owners, "owners")),
            credentials=_some(credentials, "credentials"),
            networks=tuple(_network(network) for network in _some(networks, "networks")),
            rate=_rate(rate),
            identities=identities,
            created_at=now,
            created_by=by,
            ends_at=None if life is None else now + life,
        )
        while True:
            key = replace(key, id=secrets.token_hex(4))
            secret = Secret(f"{key.prefix}_{secrets.token_urlsafe(32)}")
            if self._store.put_document(_document(self._env, key, _hashed(secret.reveal())), expect=0) is not None:
                self._tell("api_key_made", key, by)
                return key, secret

    def find(self, text: str) -> ApiKey | None:
        """Return the key with that text; None where there is none, or it was revoked, or has ended."""
        parts = text.split("_", 2)
        if len(parts) != 3 or parts[0] != "vk" or not text.isascii():  # noqa: PLR2004 - mark, id, secret
            return None
        found = self._store.get_document(KIND, parts[1], env=self._env)
        wanted = str(found.body.get("hash", "")) if found is not None else ""
        if found is None or not compare_digest(_hashed(text), wanted):
            return None
        key = _key(found)
        return None if key.ended(self._clock.now()) else key

    def note_use(self, key: ApiKey) -> None:
        """Note that a key was used, once a minute at most."""
        now = self._clock.now()
        if key.last_used_at is not None and 0 <= now - key.last_used_at < NOTED_EVERY:
            return
        found = self._store.get_document(KIND, key.id, env=self._env)
        if found is not None:
            self._change(found, {"last_used_at": now})

    def list(self) -> tuple[ApiKey, ...]:
        """Return all keys by name, those that ended lately among them."""
        found = map(_key, each_document(self._store, KIND, env=self._env))
        return tuple(sorted(found, key=lambda key: (key.name.lower(), key.created_at)))

    def revoke(self, key_id: str, *, by: str = "") -> ApiKey | None:
        """Revoke a key, at once and everywhere; return what it was, None where there was none."""
        found = self._store.take_document(KIND, key_id, env=self._env)
        if found is None:
            return None
        key = _key(found)
        self._tell("api_key_revoked", key, by)
        return key

    def drop_owner(self, owner: str, *, by: str = "") -> None:
        """Take an owner who is forgotten out of all keys; a key that was for nobody else is revoked.

        Left without owners it would see everybody's.
        """
        for key in self.list():
            while owner in key.owners:
                found = self._store.get_document(KIND, key.id, env=self._env)
                if found is None:
                    break
                key = _key(found)  # noqa: PLW2901 - as it is now
                left = [other for other in key.owners if other != owner]
                if not left:
                    self.revoke(key.id, by=by)
                    break
                if self._change(found, {"owners": left}):
                    break

    def _tell(self, kind: str, key: ApiKey, by: str) -> None:
        detail = {"name": key.name, "key": key.prefix, "scopes": list(key.scopes)}
        self._store.append_event(Event(kind=kind, at=self._clock.now(), env=self._env, actor=by, detail=detail))

    def _change(self, found: Document, members: Mapping[str, Any]) -> bool:
        """Change a key unless somebody else does so at the same time."""
        body = {**found.body, **members}
        new = Document(kind=KIND, env=self._env, id=found.id, body=body, expires_at=found.expires_at)
        return self._store.put_document(new, expect=found.version) is not None


_LONGEST_LIFE: Final = 100 * 365 * 86400.0


def _hashed(text: str) -> str:
    return sha256(text.encode()).hexdigest()


def _document(env: str, key: ApiKey, hashed: str) -> Document:
    body: dict[str, Any] = {
        "name": key.name,
        "hash": hashed,
        "scopes": list(key.scopes),
        "owners": list(key.owners),
        "credentials": list(key.credentials),
        "networks": list(key.networks),
        "rate": key.rate,
        "identities": key.identities,
        "created_at": key.created_at,
        "created_by": key.created_by,
        "ends_at": key.ends_at,
    }
    gone = None if key.ends_at is None else key.ends_at + SHOWN_AFTER_END
    return Document(kind=KIND, env=env, id=key.id, body=body, expires_at=gone)


def _key(found: Document) -> ApiKey:
    """Read a key.  What an older or newer version wrote grants no more than it says."""
    body = found.body
    return ApiKey(
        id=found.id,
        name=str(body.get("name", "")),
        scopes=tuple(scope for scope in SCOPES if scope in body.get("scopes", ())),
        owners=tuple(body.get("owners", ())),
        credentials=tuple(body.get("credentials", ())),
        networks=tuple(body.get("networks", ())),
        rate=int(body.get("rate", RATE)),
        identities=body.get("identities") is True,
        created_at=float(body.get("created_at", 0.0)),
        created_by=str(body.get("created_by", "")),
        ends_at=body.get("ends_at"),
        last_used_at=body.get("last_used_at"),
    )


# -- what people enter -------------------------------------------------------------------------------------------------


def _invalid(problem: str, hint: str) -> ConfigurationError:
    return ConfigurationError(f"the API key was not made: {problem}", code="api_key_invalid", hint=hint)


def _name(name: str) -> str:
    plain = clean(name, LONGEST_NAME + 1)
    if not plain or len(plain) > LONGEST_NAME:
        raise _invalid(f"its name is empty, or longer than {LONGEST_NAME} characters", "name it for what uses it")
    return plain


def _scopes(given: Iterable[str]) -> tuple[Scope, ...]:
    wanted = set(given)
    unknown = wanted.difference(SCOPES)
    if unknown or not wanted:
        problem = f'"{clean(min(unknown), 60)}" is no scope' if unknown else "it may do nothing"
        raise _invalid(problem, f"give it one or more of: {', '.join(SCOPES)}")
    return tuple(scope for scope in SCOPES if scope in wanted)


def _some(given: Iterable[str], what: str) -> tuple[str, ...]:
    some = tuple(dict.fromkeys(one.strip() for one in given))
    if len(some) > MOST_LIMITS or "" in some:
        raise _invalid(
            f"one of its {what} is empty, or there are more than {MOST_LIMITS}", "name some, or none for all"
        )
    if any(len(one) > LONGEST or has_control(one) for one in some):
        raise _invalid(f"one of its {what} is too long, or holds control characters", "compare it")
    return some


def _owner(owner: str) -> str:
    with late_imports:
        from valetkey.model.credentials import OAuth2Credential  # noqa: PLC0415 - keys are found more often than made

    return check_owner(owner, OAuth2Credential(name="any"), kept=True) or owner


def _network(network: str) -> str:
    try:
        return str(ip_network(network, strict=False))
    except ValueError:
        raise _invalid(f'"{clean(network, 60)}" is no network', "write 10.4.0.0/24, or one address") from None


def _rate(rate: int) -> int:
    if not 1 <= rate <= MOST_CALLS:
        raise _invalid(f"{rate} calls a minute cannot be", f"choose from 1 to {MOST_CALLS}")
    return rate
