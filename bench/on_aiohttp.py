"""The adapter of the client that stands on `aiohttp`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

from peer import APP, Peer, lasting


class AiohttpOAuth2Client(Peer):
    """It has neither storage nor a hook: whoever wants the new token looks at the grant after each request."""

    colour = "async"
    session: Any = None

    def make(self, base: str, token: Mapping[str, Any] | None, *, expired: bool = False) -> Self:
        self._asked = base, lasting(token or {}, expired=expired)
        return self

    def open(self) -> None:
        """Make the client: that wants a running event loop, which `make` does not have."""
        import aiohttp
        from aiohttp_oauth2_client.grant.authorization_code import AuthorizationCodeGrant
        from aiohttp_oauth2_client.middleware import OAuth2Middleware

        base, token = self._asked
        self.grant = AuthorizationCodeGrant(
            f"{base}/token", f"{base}/authorize", APP[0], token=token, client_secret=APP[1]
        )
        self.session = aiohttp.ClientSession(middlewares=(OAuth2Middleware(self.grant),))

    async def get(self, url: str) -> int:
        if self.session is None:
            self.open()
        async with self.session.get(url) as answer:
            await answer.read()
        self.save(self.grant.token.model_dump())
        return int(answer.status)

    def refresh_token(self) -> str | None:
        return str(self.grant.token.refresh_token)

    def objects(self) -> list[Any]:
        return [self.session, self.grant, self.grant.token]

    async def close(self) -> None:
        if self.session is not None:
            await self.session.close()
            await self.grant.close()
