"""An authorization server of one user and one client, small enough that its whole state is a key.

Tokens are numbered in the order of their making: ``r3`` is newer than ``r2``.  A family is what one consent gave.
"""

from __future__ import annotations

import json
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import parse_qs

from valetkey.values import Request, Response

Reuse = Literal["revoke", "deny", "grace", "none"]
"""What a refresh token that was spent already meets: the end of its family, a no, another successor; or there is no
rotation at all."""
HOUR = 3600


@dataclass(slots=True)
class Family:
    """The tokens of one consent.

    Attributes:
        valid: Refresh tokens that buy something.
        spent: Those that bought something already.
        revoked: Those that were revoked one by one.
        access: The access tokens.
        ended_by: Empty while it lives; else ``reuse``, ``revocation`` or ``person``.
    """

    valid: set[str] = field(default_factory=set)
    spent: set[str] = field(default_factory=set)
    revoked: set[str] = field(default_factory=set)
    access: set[str] = field(default_factory=set)
    ended_by: str = ""

    @property
    def lives(self) -> bool:
        return not self.ended_by and bool(self.valid)

    def key(self) -> Hashable:
        return (*sorted(self.valid), "|", *sorted(self.spent), "|", *sorted(self.revoked), self.ended_by)


class SmallServer:
    """Token and revocation endpoint.

    Attributes:
        reach: What a revocation ends: that token, its family, or everything of the user and client.
        spent_too: Whether the revocation of a spent refresh token counts as that of its family.
        by_access: Whether there are no refresh tokens: a grant is renewed by its access token.
        asked: How many refreshes it was asked for...
        refreshes: ...and how many it has answered with tokens.
    """

    def __init__(
        self, on_reuse: Reuse = "revoke", reach: str = "grant", *, spent_too: bool = False, by_access: bool = False
    ) -> None:
        self.on_reuse = on_reuse
        self.reach = reach
        self.spent_too = spent_too
        self.by_access = by_access
        self.families: list[Family] = []
        self.asked = 0
        self.refreshes = 0
        self._serial = 0

    def key(self) -> Hashable:
        return (self._serial, self.asked, self.refreshes, tuple(family.key() for family in self.families))

    def consent(self) -> tuple[str, str]:
        """Return the first refresh and access token of a new family; they may be one."""
        self.families.append(Family())
        return self._issue(self.families[-1], rotate=True)

    def withdraw(self) -> None:
        """Let the person take all access back."""
        for family in self.families:
            family.ended_by = family.ended_by or "person"

    def family(self, token: str) -> Family:
        return next(f for f in self.families if token in f.valid | f.spent | f.revoked | f.access)

    def takes(self, refresh_token: str) -> bool:
        """Whether that refresh token buys something now."""
        return any(refresh_token in family.valid and not family.ended_by for family in self.families)

    def living(self) -> list[Family]:
        return [family for family in self.families if family.lives]

    # -- requests

    def answer(self, request: Request) -> Response:
        form = {name: values[0] for name, values in parse_qs(request.body.decode()).items()}
        if request.url.endswith("/revoke"):
            self._revoke(form["token"])
            return Response(status=200)
        if form["grant_type"] == "authorization_code":
            return self._tokens(*self.consent())
        return self._refresh(form["access_token" if self.by_access else "refresh_token"])

    def _refresh(self, token: str) -> Response:
        self.asked += 1
        family = self.family(token)
        if family.ended_by or token not in family.valid | family.spent:
            return _refused("the grant was revoked")
        if token in family.spent and self.on_reuse != "grace":
            if self.on_reuse == "revoke":
                family.ended_by = "reuse"
            return _refused("this refresh token was used already")
        self.refreshes += 1
        if self.on_reuse == "none":
            return self._tokens(token, self._issue(family, rotate=self.by_access)[1])
        family.valid.discard(token)
        family.spent.add(token)
        return self._tokens(*self._issue(family, rotate=True))

    def _issue(self, family: Family, *, rotate: bool) -> tuple[str, str]:
        self._serial += 1
        refresh, access = f"r{self._serial}", f"a{self._serial}"
        if self.by_access:
            refresh = access
        if rotate:
            family.valid.add(refresh)
        family.access.add(access)
        return refresh, access

    def _revoke(self, token: str) -> None:
        """Revoke a refresh token, within the reach; an access token goes alone."""
        family = self.family(token)
        alone = token in family.access and not self.by_access
        if alone or (token in family.spent and not self.spent_too):
            return
        if self.reach == "token":
            family.valid.discard(token)
            family.revoked.add(token)
            return
        for other in self.families if self.reach == "user" else [family]:
            other.ended_by = other.ended_by or "revocation"

    def _tokens(self, refresh: str, access: str) -> Response:
        renewing = {} if self.by_access else {"refresh_token": refresh}
        return _json(200, **renewing, access_token=access, expires_in=HOUR, token_type="Bearer")


def serial(token: str) -> int:
    """Return the number of a token: a newer one has a higher one."""
    return int(token[1:])


def _refused(why: str) -> Response:
    return _json(400, error="invalid_grant", error_description=why)


def _json(status: int, **members: object) -> Response:
    return Response(status=status, headers={"content-type": "application/json"}, body=json.dumps(members).encode())
