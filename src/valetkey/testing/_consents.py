"""What becomes of a person's yes: authorization codes (RFC 6749, 7636) and device codes (RFC 8628)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass
from typing import Any, Literal

from valetkey.testing._ledger import Client, Family, Ledger
from valetkey.testing._refused import Refused

_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")
_CONSONANTS = "BCDFGHJKLMNPQRSTVWXZ"
_TOLERANCE = 0.5
"""Seconds by which a poll may come early: two requests do not take the same time on their way."""
_SLOWER = 5.0


@dataclass(slots=True, kw_only=True)
class _Code:
    client_id: str
    redirect_uri: str
    challenge: str
    login: str
    scopes: tuple[str, ...]
    expires_at: float
    nonce: str = ""
    family: Family | None = None


@dataclass(slots=True, kw_only=True)
class DeviceRequest:
    """A device that waits for a person (RFC 8628)."""

    client: Client
    user_code: str
    scopes: tuple[str, ...]
    expires_at: float
    interval: float
    polled_at: float | None = None
    state: Literal["pending", "approved", "denied", "spent"] = "pending"
    login: str = ""


class Consents:
    """Codes between a person's decision and the tokens.  Safe for threads: it shares the ledger's lock."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._codes: dict[str, _Code] = {}
        self._devices: dict[str, DeviceRequest] = {}

    def code_for(
        self,
        client: Client,
        *,
        redirect_uri: str,
        challenge: str,
        login: str,
        scopes: tuple[str, ...],
        nonce: str = "",
    ) -> str:
        """Return a new authorization code, bound to all of this."""
        value = self._ledger.mint("code")
        expires_at = self._ledger.now() + self._ledger.rules.code_lifetime
        with self._ledger.lock:
            self._codes[value] = _Code(
                client_id=client.client_id,
                redirect_uri=redirect_uri,
                challenge=challenge,
                login=login,
                scopes=scopes,
                expires_at=expires_at,
                nonce=nonce,
            )
        return value

    def exchange(self, client: Client, *, code: str, redirect_uri: str, verifier: str) -> dict[str, Any]:
        """Turn a code into tokens, once; a second try ends what the first one got (RFC 6749 section 4.1.2).

        Raises:
            Refused: The code is unknown, another client's, used or expired, or it does not fit redirect URI or
                verifier.
        """
        with self._ledger.lock:
            entry = self._codes.get(code)
            if entry is None or entry.client_id != client.client_id:
                raise Refused(error="invalid_grant", why="unknown authorization code")
            if entry.family is not None:
                self._ledger.end(entry.family)
                raise Refused(
                    error="invalid_grant", why="the authorization code was used before; its tokens are revoked"
                )
            if self._ledger.now() >= entry.expires_at:
                raise Refused(error="invalid_grant", why="the authorization code has expired")
            if entry.redirect_uri != redirect_uri:
                raise Refused(error="invalid_grant", why="redirect_uri is not the one of the authorization request")
            _check_verifier(entry.challenge, verifier)
            entry.family = self._ledger.open_family(client, entry.login, entry.scopes, entry.nonce)
            return self._ledger.issue(entry.family, refresh="refresh_token" in client.grant_types)

    def start_device(self, client: Client, scopes: tuple[str, ...]) -> tuple[str, DeviceRequest]:
        """Return a new device code and what waits behind it."""
        rules = self._ledger.rules
        request = DeviceRequest(
            client=client,
            user_code=_user_code(),
            scopes=scopes,
            expires_at=self._ledger.now() + rules.device_code_lifetime,
            interval=rules.device_interval,
        )
        device_code = self._ledger.mint("dc")
        with self._ledger.lock:
            self._devices[device_code] = request
        return device_code, request

    def find_device(self, user_code: str) -> DeviceRequest | None:
        """Return the request that waits under this code, however a person typed it (RFC 8628 section 6.1)."""
        typed = _plain(user_code)
        with self._ledger.lock:
            waiting = (d for d in self._devices.values() if d.state == "pending" and self._ledger.now() < d.expires_at)
            return next((device for device in waiting if _plain(device.user_code) == typed), None)

    def decide_device(self, device: DeviceRequest, *, login: str, scopes: tuple[str, ...] | None) -> None:
        """Write down the person's answer: the scopes given, or None for no."""
        with self._ledger.lock:
            device.login = login
            device.state = "denied" if scopes is None else "approved"
            device.scopes = () if scopes is None else scopes

    def poll_device(self, client: Client, device_code: str) -> dict[str, Any]:
        """Answer a poll (RFC 8628 section 3.5).

        Raises:
            Refused: ``authorization_pending``, ``slow_down``, ``access_denied``, ``expired_token``, or
                ``invalid_grant`` for an unknown or used code.
        """
        with self._ledger.lock:
            device = self._devices.get(device_code)
            if device is None or device.client.client_id != client.client_id or device.state == "spent":
                raise Refused(error="invalid_grant", why="unknown device code")
            if self._ledger.now() >= device.expires_at:
                raise Refused(error="expired_token", why="nobody answered in time")
            self._check_pace(device)
            if device.state == "denied":
                raise Refused(error="access_denied", why="the person said no")
            if device.state == "pending":
                raise Refused(error="authorization_pending", why="nobody has answered yet")
            device.state = "spent"
            family = self._ledger.open_family(client, device.login, device.scopes)
            return self._ledger.issue(family, refresh="refresh_token" in client.grant_types)

    def _check_pace(self, device: DeviceRequest) -> None:
        before, device.polled_at = device.polled_at, self._ledger.now()
        if before is not None and device.polled_at - before < device.interval - _TOLERANCE:
            device.interval += _SLOWER
            raise Refused(error="slow_down", why=f"wait {device.interval:g} seconds between polls from now on")


def _check_verifier(challenge: str, verifier: str) -> None:
    """Check PKCE (RFC 7636 section 4.6); a verifier without a challenge is refused too (RFC 9700 section 2.1.1)."""
    if not challenge and not verifier:
        return
    digest = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    if not _VERIFIER.fullmatch(verifier) or not hmac.compare_digest(digest.encode(), challenge.encode()):
        raise Refused(error="invalid_grant", why="code_verifier does not fit")


def _user_code() -> str:
    letters = "".join(secrets.choice(_CONSONANTS) for _ in range(8))
    return f"{letters[:4]}-{letters[4:]}"


def _plain(user_code: str) -> str:
    return "".join(c for c in user_code.upper() if c.isalnum())
