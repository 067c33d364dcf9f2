"""Who calls, and what they may see."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Final

from fastapi import Depends, Request
from fastapi.security import HTTPBearer

from valetkey.engine.api_keys import ApiKey
from valetkey.engine.api_keys import Scope as Right
from valetkey.engine.status import whole_status
from valetkey.engine.world import World
from valetkey.model.connections import Record, Status
from valetkey.model.credentials import OAuth2Credential
from valetkey.server.api.problems import Refusal, nothing_here
from valetkey.server.asking import Server

BEARER: Final = HTTPBearer(
    scheme_name="apiKey",
    bearerFormat="vk_...",
    auto_error=False,  # the gate has looked before
    description="An API key of this environment: `valetkey api-key add NAME --scope read`, or the console's settings.",
)


@dataclass(frozen=True, slots=True)
class Caller:
    """Whoever calls: the key, and the engine as the key may use it."""

    server: Server
    key: ApiKey

    @property
    def actor(self) -> str:
        """Who acts, as events tell it."""
        return f"API key {self.key.name}"

    @property
    def world(self) -> World:
        """The engine's world, whose events name the key."""
        return self.server.core.acting(self.actor)

    def record(self, connection_id: str) -> Record:
        """Return the record of a connection that this key may see.

        Raises:
            Refusal: There is none, or it may not: both look the same.
        """
        core = self.server.core
        found = core.store.find(connection_id)
        if found is None or found.key.env != core.env or not self.key.sees(found.key.credential, found.key.owner):
            raise nothing_here()
        return found

    def credentials(self) -> tuple[OAuth2Credential, ...]:
        """Return the declared credentials that this key may see."""
        wanted = self.key.credentials
        return tuple(c for c in self.server.core.credentials() if not wanted or c.name in wanted)

    def credential(self, name: str) -> OAuth2Credential:
        """Return a declared credential that this key may see.

        Raises:
            Refusal: There is none, or it may not: both look the same.
        """
        found = next((credential for credential in self.credentials() if credential.name == name), None)
        if found is None:
            raise nothing_here()
        return found

    def statuses(self) -> Callable[[Record], Status]:
        """Return what makes statuses of records; it has looked at all apps, once.

        The status of a connection whose credential nobody declares any more is ``app_error``: it must not hide others.
        """
        core = self.server.core
        declared = {credential.name: credential for credential in core.credentials()}
        troubles = core.app_errors()

        def status(record: Record) -> Status:
            name = record.key.credential
            credential = declared.get(name) or OAuth2Credential(name=name)
            trouble = troubles.get(name, "") if name in declared else "credential_unknown"
            return whole_status(core.world, record.key, record, credential, app_error=trouble)

        return status


def demand(key: ApiKey, right: Right) -> None:
    """Check that a key has a scope.

    Raises:
        Refusal: It has not.
    """
    if not key.may(right):
        raise Refusal(
            HTTPStatus.FORBIDDEN,
            f"this API key does not have the scope {right}",
            code="api_key_scope_missing",
            hint=f"make a key with it: valetkey api-key add NAME --scope {right}",
            headers={"WWW-Authenticate": f'Bearer realm="valetkey", error="insufficient_scope", scope="{right}"'},
        )


def _who(right: Right) -> Callable[[Request], Caller]:
    def check(request: Request) -> Caller:
        demand(request.state.key, right)
        return Caller(request.app.state.server, request.state.key)

    return check


def beyond_limits(detail: str) -> Refusal:
    """Return what a key gets that asks for more than its limits allow, where nothing is given away by saying so."""
    return Refusal(
        HTTPStatus.FORBIDDEN,
        detail,
        code="api_key_limited",
        hint="use a key without that limit; see: valetkey api-key list",
    )


Reader = Annotated[Caller, Depends(_who("read"))]
TokenReader = Annotated[Caller, Depends(_who("read_secret"))]
Refresher = Annotated[Caller, Depends(_who("refresh"))]
Connector = Annotated[Caller, Depends(_who("connect"))]
Manager = Annotated[Caller, Depends(_who("manage"))]
