"""All clients that are measured, ours first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from on_aiohttp import AiohttpOAuth2Client
from on_httpx import AuthlibAsync, AuthlibSync, HttpxAuth, HttpxAuthAsync, McpSdk
from on_requests import GoogleAuth, Msal, RequestsOAuth2Client, RequestsOAuthlib
from ours import ValetkeyAsync, ValetkeySync
from peer import Peer

CLIENTS: Final[Mapping[str, type[Peer]]] = {
    "valetkey": ValetkeySync,
    "valetkey async": ValetkeyAsync,
    "Authlib": AuthlibSync,
    "Authlib async": AuthlibAsync,
    "MCP SDK (async)": McpSdk,
    "google-auth": GoogleAuth,
    "MSAL": Msal,
    "requests-oauthlib": RequestsOAuthlib,
    "requests-oauth2client": RequestsOAuth2Client,
    "httpx-auth": HttpxAuth,
    "httpx-auth async": HttpxAuthAsync,
    "aiohttp-oauth2-client": AiohttpOAuth2Client,
}
