"""Exchanging tokens at the edge: what callers name is checked, and becomes a connection of its own (RFC 8693)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from valetkey.errors import ConfigurationError
from valetkey.forks import late_imports
from valetkey.model.connections import ConnectionKey
from valetkey.model.exchanges import Exchange
from valetkey.model.names import listed
from valetkey.model.wiring import check_account, check_owner
from valetkey.values import Secret

if TYPE_CHECKING:
    from valetkey.core import Core
    from valetkey.engine.exchanging import Party
    from valetkey.model.credentials import OAuth2Credential


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be exchanged for what."""

    exchange: Exchange
    scopes: tuple[str, ...]


def wish_of(
    audience: Sequence[str],
    resource: Sequence[str],
    scopes: Sequence[str],
    subject_type: str,
    actor: object,
    actor_type: str,
    requested_type: str,
) -> Wish:
    """Check what is wished for.

    Raises:
        ConfigurationError: One text where several are listed (``scopes_not_a_list``), or a type that is none.
    """
    with late_imports:
        from valetkey.protocol.token_exchange import token_type  # noqa: PLC0415

    exchange = Exchange(
        subject_type=token_type(subject_type),
        actor_type=token_type(actor_type) if actor is not None else "",
        audience=listed(audience, "audience"),
        resource=listed(resource, "resource"),
        requested_type=token_type(requested_type) if requested_type else "",
    )
    return Wish(exchange, listed(scopes))


def exchange(
    core: Core, declared: OAuth2Credential, subject: object, actor: object, wish: Wish, owner: object, account: str
) -> ConnectionKey:
    """Exchange a token, and return the key of the connection that holds what it was exchanged for."""
    with late_imports:
        from valetkey.engine.exchanging import exchanged, label_of  # noqa: PLC0415

    whose, acting = _party(subject, "subject"), _party(actor, "actor")
    inherited = whose.key.owner if whose.key is not None and owner is None else owner
    label = check_account(account) or label_of(whose, acting, wish.exchange, wish.scopes)
    key = ConnectionKey(core.env, declared.name, check_owner(inherited, declared), label)
    exchanged(core.world, declared, key, wish.exchange, subject=whose, actor=acting, scopes=wish.scopes)
    return key


def _party(given: Any, what: str) -> Party:
    with late_imports:
        from valetkey.client import AsyncOAuth2Client, OAuth2Client, parts_of  # noqa: PLC0415
        from valetkey.engine.exchanging import Party  # noqa: PLC0415

    if given is None and what == "actor":
        return Party()
    if isinstance(given, (OAuth2Client, AsyncOAuth2Client)):
        return Party(key=parts_of(given)[0].key)
    if isinstance(given, Secret) and given:
        return Party(given=given)
    msg = f"{what} is neither a client nor a Secret that holds a token"
    raise ConfigurationError(msg, code="subject_invalid", hint=f"pass {what}=valet.client(...), or a Secret")
