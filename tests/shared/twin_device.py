"""The device authorization endpoint of a twin (RFC 8628): somebody enters a code elsewhere, and decides."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping

from shared.everywhere import Asked, Reply
from shared.twin_demands import CLIENT_ID, Demands, Refused
from valetkey.model.credentials import OAuth2Credential

INTERVAL = 7
"""Seconds between two questions: not those of the RFC, so that they have to be read."""


class DeviceSide(Demands):
    """What answers a device.

    Attributes:
        hesitates: How many questions come before the person has decided.
        denies: Whether the person says no.
    """

    def __init__(self, credential: OAuth2Credential, now: Callable[[], float]) -> None:
        super().__init__(credential, now)
        self.hesitates, self.denies = 2, False
        self._device_code = ""
        self._asked_at = 0.0

    def _begin_device(self, request: Asked) -> Reply:
        self.seen["device"] += 1
        declared = self.credential
        self._demand(request.method == "POST", "a device asks by POST")
        given = self._given(request)
        self._authenticate(request, given, declared.client_auth)
        self._demand(given.get("client_id") == CLIENT_ID, "client_id is in the body")
        wanted = declared.scope_separator.join(declared.all_scopes)
        self._demand(given.get("scope", "") == wanted, "the scopes are named", "invalid_scope")
        self._device_code, self._asked_at = secrets.token_urlsafe(24), self._now()
        where = f"{declared.device_authorization_url}/enter"
        answer = {"device_code": self._device_code, "user_code": "ABCD-EFGH", "verification_uri": where}
        return Reply(200, {**answer, "expires_in": 900, "interval": INTERVAL})

    def _ask_for_device(self, given: Mapping[str, str]) -> None:
        """Look at a question whether the person has decided (section 3.4)."""
        known = bool(self._device_code) and given.get("device_code") == self._device_code
        self._demand(known, "the device code is one that waits", "invalid_grant")
        self._demand(self._now() >= self._asked_at + INTERVAL, "a device waits between two questions", "slow_down")
        self._demand_params(given, self.credential.token_params)
        self._asked_at = self._now()
        if self.hesitates:
            self.hesitates -= 1
            raise Refused(400, "authorization_pending", "nobody has entered the code yet")
        self._device_code = ""
        if self.denies:
            raise Refused(400, "access_denied", "the person said no")
