"""Adapters of the clients that stand on `httpx2` and `httpx`."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Self

from peer import APP, PARALLEL, Peer, PersonNeeded, lasting


class AuthlibAsync(Peer):
    colour = "async"

    def make(self, base: str, token: Mapping[str, Any] | None, *, expired: bool = False) -> Self:
        from authlib.integrations.httpx_client import AsyncOAuth2Client

        async def updated(token: Mapping[str, Any], **_: Any) -> None:
            self.save(token)

        held = lasting(token or {}, expired=expired)
        self.client = AsyncOAuth2Client(
            *APP, token=held, token_endpoint=f"{base}/token", update_token=updated, follow_redirects=True
        )
        return self

    async def get(self, url: str) -> int:
        return int((await self.client.get(url)).status_code)

    def refresh_token(self) -> str | None:
        return str(self.client.token["refresh_token"])

    def objects(self) -> list[Any]:
        return [self.client, self.client.token]

    async def close(self) -> None:
        await self.client.aclose()


class AuthlibSync(Peer):
    colour = "sync"

    def make(self, base: str, token: Mapping[str, Any] | None, *, expired: bool = False) -> Self:
        import httpx2
        from authlib.integrations.httpx_client import OAuth2Client

        self.client = OAuth2Client(
            *APP,
            token=lasting(token or {}, expired=expired),
            token_endpoint=f"{base}/token",
            update_token=self.save,
            follow_redirects=True,
            limits=httpx2.Limits(max_connections=PARALLEL),
        )
        return self

    def get(self, url: str) -> int:
        return int(self.client.get(url).status_code)

    def refresh_token(self) -> str | None:
        return str(self.client.token["refresh_token"])

    def objects(self) -> list[Any]:
        return [self.client, self.client.token]

    def close(self) -> None:
        self.client.close()


class McpSdk(Peer):
    colour = "async"

    def make(self, base: str, token: Mapping[str, Any] | None, *, expired: bool = False) -> Self:
        import httpx2
        from mcp.client.auth import OAuthClientProvider
        from mcp.shared.auth import OAuthClientInformationFull, OAuthClientMetadata, OAuthToken

        peer, callback = self, ["http://127.0.0.1/cb"]

        class Storage:
            tokens = OAuthToken(**dict(token or {}))
            info = OAuthClientInformationFull(
                client_id=APP[0],
                client_secret=APP[1],
                redirect_uris=callback,
                token_endpoint_auth_method="client_secret_post",  # noqa: S106 - a method, not a password
            )

            async def get_tokens(self) -> Any:
                return self.tokens

            async def set_tokens(self, tokens: Any) -> None:
                self.tokens = tokens
                peer.save(tokens.model_dump())

            async def get_client_info(self) -> Any:
                return self.info

            async def set_client_info(self, info: Any) -> None:
                self.info = info

        async def nobody(*_: object) -> Any:
            raise PersonNeeded

        self.storage = Storage()
        provider = OAuthClientProvider(base, OAuthClientMetadata(redirect_uris=callback), self.storage, nobody, nobody)
        # What its own login would leave behind in this process: only there it knows when the token ends.
        context = provider.context
        context.current_tokens, context.client_info = self.storage.tokens, self.storage.info
        context.token_expiry_time = time.time() + (-10 if expired else 3600)
        provider._initialized = True
        self.client = httpx2.AsyncClient(auth=provider, follow_redirects=True, timeout=30)
        return self

    async def get(self, url: str) -> int:
        return (await self.client.get(url)).status_code

    def refresh_token(self) -> str | None:
        return self.storage.tokens.refresh_token

    def objects(self) -> list[Any]:
        return [self.client, self.client.auth, self.client.auth.context, self.storage.tokens, self.storage.info]

    async def close(self) -> None:
        await self.client.aclose()


class HttpxAuth(Peer):
    colour = "sync"
    own_store = True

    def make(self, base: str, token: Mapping[str, Any] | None, *, expired: bool = False) -> Self:
        import httpx
        from httpx_auth import JsonTokenFileCache, OAuth2, OAuth2ResourceOwnerPasswordCredentials

        if self.store is not None:
            OAuth2.token_cache = JsonTokenFileCache(str(self.store))
        self.token_client = httpx.Client()
        self.auth = OAuth2ResourceOwnerPasswordCredentials(
            f"{base}/token", "ada", "-", client=self.token_client, client_auth=APP
        )
        self.auth.request_new_token = self._login
        self.cache = OAuth2.token_cache
        if token is not None:
            life = -10 if expired else 3600
            self.cache._add_access_token(self.auth.state, token["access_token"], life, token["refresh_token"])
        self.client = self._client(httpx)
        return self

    def _login(self) -> Any:
        raise PersonNeeded

    def _client(self, httpx: Any) -> Any:
        return httpx.Client(auth=self.auth, follow_redirects=True, limits=httpx.Limits(max_connections=PARALLEL))

    def get(self, url: str) -> Any:
        return self.client.get(url).status_code

    def refresh_token(self) -> str | None:
        held = self.cache.tokens.get(self.auth.state)
        return held[2] if held else None

    def objects(self) -> list[Any]:
        return [self.client, self.auth, self.cache]

    def close(self) -> Any:
        self.client.close()
        self.token_client.close()


class HttpxAuthAsync(HttpxAuth):
    colour = "async"

    def _client(self, httpx: Any) -> Any:
        return httpx.AsyncClient(auth=self.auth, follow_redirects=True)

    async def get(self, url: str) -> int:
        return int((await self.client.get(url)).status_code)

    async def close(self) -> None:
        await self.client.aclose()
        self.token_client.close()
