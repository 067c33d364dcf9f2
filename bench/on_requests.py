"""Adapters of the clients that stand on `requests`."""

from __future__ import annotations

import base64
import datetime as dt
import json
from collections.abc import Mapping
from contextlib import suppress
from types import MappingProxyType
from typing import Any, Self

from peer import APP, PARALLEL, Peer, PersonNeeded, lasting


def pooled(session: Any) -> Any:
    """Give a session enough connections for all its callers."""
    import requests

    session.mount("http://", requests.adapters.HTTPAdapter(pool_connections=PARALLEL, pool_maxsize=PARALLEL))
    return session


class OnRequests(Peer):
    colour = "sync"
    session: Any

    def get(self, url: str) -> int:
        return int(self.session.get(url).status_code)

    def close(self) -> None:
        self.session.close()


class RequestsOAuthlib(OnRequests):
    def make(self, base: str, token: Mapping[str, Any] | None, *, expired: bool = False) -> Self:
        from requests_oauthlib import OAuth2Session

        held = {**lasting(token or {}, expired=expired), "expires_in": -10 if expired else 3600}
        self.session = pooled(
            OAuth2Session(
                APP[0],
                token=held,
                auto_refresh_url=f"{base}/token",
                auto_refresh_kwargs={"client_id": APP[0], "client_secret": APP[1]},
                token_updater=self.save,
            )
        )
        return self

    def refresh_token(self) -> str | None:
        return str(self.session.token["refresh_token"])

    def objects(self) -> list[Any]:
        return [self.session, self.session.token]


class GoogleAuth(OnRequests):
    def make(self, base: str, token: Mapping[str, Any] | None, *, expired: bool = False) -> Self:
        from google.auth.transport.requests import AuthorizedSession
        from google.oauth2.credentials import Credentials

        now = dt.datetime.now(dt.UTC).replace(tzinfo=None)
        held = token or {}
        self.credentials = Credentials(
            held["access_token"],
            refresh_token=held["refresh_token"],
            token_uri=f"{base}/token",
            client_id=APP[0],
            client_secret=APP[1],
            expiry=now + dt.timedelta(seconds=-10 if expired else 3600),
        )
        self.session = pooled(AuthorizedSession(self.credentials))
        pooled(self.session._auth_request_session)
        return self

    def refresh_token(self) -> str | None:
        return str(self.credentials.refresh_token)

    def objects(self) -> list[Any]:
        return [self.session, self.credentials]


class RequestsOAuth2Client(OnRequests):
    def make(self, base: str, token: Mapping[str, Any] | None, *, expired: bool = False) -> Self:
        import requests
        from requests_oauth2client import BearerToken, OAuth2AccessTokenAuth, OAuth2Client

        held = token or {}
        app = OAuth2Client(token_endpoint=f"{base}/token", client_id=APP[0], client_secret=APP[1], testing=True)
        life = -10 if expired else 3600
        bearer = BearerToken(held["access_token"], refresh_token=held["refresh_token"], expires_in=life)
        self.auth = OAuth2AccessTokenAuth(app, bearer)
        self.session = pooled(requests.Session())
        self.session.auth = self.auth
        return self

    def refresh_token(self) -> str | None:
        return self.auth.token.refresh_token if self.auth.token else None

    def objects(self) -> list[Any]:
        return [self.auth, self.auth.token, self.auth.client]


class MsalError(Exception):
    """MSAL raises nothing when a refresh fails: it returns what the server said."""


class Msal(OnRequests):
    """MSAL speaks to Microsoft's addresses only: its HTTP client leads them to the local server."""

    own_store = True

    def make(self, base: str, token: Mapping[str, Any] | None, *, expired: bool = False) -> Self:
        import msal
        import requests

        self.session = pooled(requests.Session())
        self.app = msal.PublicClientApplication(
            APP[0],
            authority=_AUTHORITY,
            instance_discovery=False,
            http_client=_MsalHttp(self.session, base),
            token_cache=self._cache(msal),
        )
        if token is not None:
            held = {**token, "expires_in": 30 if expired else 3600, "client_info": _CLIENT_INFO}
            self.app.token_cache.add(
                {
                    "client_id": APP[0],
                    "scope": ["s"],
                    "token_endpoint": f"{_AUTHORITY}/token",
                    "environment": "login.microsoftonline.com",
                    "response": held,
                }
            )
        return self

    def _cache(self, msal: Any) -> Any:
        if self.store is None:
            return msal.TokenCache()
        from msal_extensions import FilePersistence, PersistedTokenCache

        return PersistedTokenCache(FilePersistence(str(self.store)))

    def token(self) -> str:
        accounts = self.app.get_accounts()
        found = self.app.acquire_token_silent_with_error(["s"], account=accounts[0] if accounts else None)
        if not found:
            raise PersonNeeded
        if "access_token" not in found:
            raise MsalError(found.get("error"))
        return str(found["access_token"])

    def get(self, url: str) -> int:
        return int(self.session.get(url, headers={"Authorization": f"Bearer {self.token()}"}).status_code)

    def refresh_token(self) -> str | None:
        import msal

        found = list(self.app.token_cache.search(msal.TokenCache.CredentialType.REFRESH_TOKEN))
        return str(found[-1]["secret"]) if found else None

    def objects(self) -> list[Any]:
        return [self.app, self.app.token_cache]


_AUTHORITY = "https://login.microsoftonline.com/common"
_CLIENT_INFO = base64.urlsafe_b64encode(json.dumps({"uid": "u", "utid": "t"}).encode()).decode().rstrip("=")


class _MsalAnswer:
    def __init__(self, status: int, text: str, headers: Mapping[str, str] = MappingProxyType({})) -> None:
        self.status_code, self.text, self.headers = status, text, headers

    def raise_for_status(self) -> None:
        if self.status_code >= 400:
            raise RuntimeError(str(self.status_code))


class _MsalHttp:
    def __init__(self, session: Any, base: str) -> None:
        self._session, self._base = session, base

    def get(self, _url: str, **_: Any) -> _MsalAnswer:
        ends = {"issuer": _AUTHORITY, "authorization_endpoint": f"{_AUTHORITY}/authorize"}
        return _MsalAnswer(200, json.dumps({**ends, "token_endpoint": f"{_AUTHORITY}/token"}))

    def post(self, _url: str, data: Any = None, headers: Any = None, **_: Any) -> _MsalAnswer:
        answer = self._session.post(f"{self._base}/token", data=data, headers=headers)
        text = answer.text
        with suppress(ValueError):  # an answer that is no JSON is for MSAL to judge
            body = answer.json()
            if "access_token" in body:
                text = json.dumps(body | {"client_info": _CLIENT_INFO, "scope": "s"})
        return _MsalAnswer(answer.status_code, text, answer.headers)

    def close(self) -> None:
        """Leave the session to the adapter."""
