"""OAuth2 credentials for third-party services: connected once, kept fresh, refreshed exactly once.

>>> from valetkey import Valet, wire_oauth2_credential
>>> credential = wire_oauth2_credential("github", preset="github", scopes=["read:user"])
>>> github = Valet().client("github")  # no I/O yet; github.get("/user") finds and refreshes the token

Everything here is loaded on first use, so that importing the package costs next to nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from valetkey.async_valet import AsyncValet
    from valetkey.client import AsyncOAuth2Client, OAuth2Client
    from valetkey.errors import (
        AmbiguousAccount,
        AuthorizationDenied,
        ClientRejected,
        ConfigurationError,
        ConnectError,
        ConsentExpired,
        DecryptionFailed,
        HostNotAllowed,
        IssuerMismatch,
        NotConnected,
        ProviderError,
        ProviderProtocolError,
        ProviderUnavailable,
        ReauthorizationRequired,
        RefreshBusy,
        ScopesMissing,
        StateMismatch,
        StepUpRequired,
        StoreError,
        StoreUnavailable,
        ValetkeyError,
        WrongUser,
    )
    from valetkey.model.connections import Status
    from valetkey.model.credentials import AppCredentials, OAuth2Credential
    from valetkey.model.grants import Grant
    from valetkey.model.ports import SecretService
    from valetkey.model.wiring import Wiring, wire_oauth2_credential, wire_secret
    from valetkey.protocol.authentication_request import AuthenticationRequest
    from valetkey.protocol.ciba import BackchannelRequest
    from valetkey.valet import Valet
    from valetkey.values import Secret

__version__ = "0.1.0"

__all__ = [
    "AmbiguousAccount",
    "AppCredentials",
    "AsyncOAuth2Client",
    "AsyncValet",
    "AuthenticationRequest",
    "AuthorizationDenied",
    "BackchannelRequest",
    "ClientRejected",
    "ConfigurationError",
    "ConnectError",
    "ConsentExpired",
    "DecryptionFailed",
    "Grant",
    "HostNotAllowed",
    "IssuerMismatch",
    "NotConnected",
    "OAuth2Client",
    "OAuth2Credential",
    "ProviderError",
    "ProviderProtocolError",
    "ProviderUnavailable",
    "ReauthorizationRequired",
    "RefreshBusy",
    "ScopesMissing",
    "Secret",
    "SecretService",
    "StateMismatch",
    "Status",
    "StepUpRequired",
    "StoreError",
    "StoreUnavailable",
    "Valet",
    "ValetkeyError",
    "Wiring",
    "WrongUser",
    "wire_oauth2_credential",
    "wire_secret",
]

_HOME = {
    "AuthenticationRequest": "protocol.authentication_request",
    "AppCredentials": "model.credentials",
    "AsyncOAuth2Client": "client",
    "AsyncValet": "async_valet",
    "BackchannelRequest": "protocol.ciba",
    "Grant": "model.grants",
    "OAuth2Client": "client",
    "OAuth2Credential": "model.credentials",
    "Secret": "values",
    "SecretService": "model.ports",
    "Status": "model.connections",
    "Valet": "valet",
    "Wiring": "model.wiring",
    "wire_oauth2_credential": "model.wiring",
    "wire_secret": "model.wiring",
}


def __getattr__(name: str) -> object:
    if name not in __all__:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    from importlib import import_module  # noqa: PLC0415 - not at import time: see above

    value: object = getattr(import_module(f"valetkey.{_HOME.get(name, 'errors')}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
