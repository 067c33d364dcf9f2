"""What a provider remembers of the one grant that its twin gives: which tokens work, and for how long.

The rules are the declaration's: a refresh token that is spent may be taken for a while or not at all, may end
everything when it comes back, dies when nobody uses it, and does not outlive its sign-in for ever.
"""

from __future__ import annotations

from collections.abc import Callable

from valetkey.model.credentials import OAuth2Credential


class Dead(Exception):
    """A refresh token is not taken; the text says why."""


class Grant:
    """The tokens of one grant.

    Attributes:
        access_token: The newest.
        refresh_token: The newest that works; empty: there is none.
    """

    def __init__(self, declared: OAuth2Credential, now: Callable[[], float]) -> None:
        self._declared, self._now = declared, now
        self._ends: dict[str, float | None] = {}
        self._spent: dict[str, float] = {}
        self._began = self._used = 0.0
        self.access_token = ""
        self.refresh_token = ""

    def begin(self) -> None:
        """Start anew, as with a sign-in: what was given before is of another grant, and of no interest."""
        self._ends.clear()
        self._spent.clear()
        self._began = self._used = self._now()
        self.access_token = self.refresh_token = ""

    @property
    def live(self) -> set[str]:
        """The access tokens that work."""
        now = self._now()
        return {token for token, end in self._ends.items() if end is None or now < end}

    @property
    def lives(self) -> bool:
        """Whether anything of it still works."""
        return bool(self.live or self.refresh_token)

    def give_access(self, token: str, *, life: float | None) -> None:
        """Let an access token work; `life` is in seconds, None: it has no end."""
        if self._declared.refresh_ends_access_token:
            self._ends.clear()
        self.access_token = token
        self._ends[token] = None if life is None else self._now() + life

    def give_refresh(self, token: str) -> None:
        """Let this refresh token be the newest."""
        self.refresh_token = token

    def spend(self, token: str) -> None:
        """Take a refresh token, by the rules that are declared.

        Raises:
            Dead: It is not taken, and the text says why.
        """
        now, grace, spent = self._now(), self._declared.refresh_grace, self._spent.get(token)
        if spent is not None and not (grace and now <= spent + grace):
            if self._declared.on_reuse in {"revoke_grant", "revoke_all"}:
                self.end()
            msg = "the refresh token was used already"
            raise Dead(msg)
        if spent is None and (token != self.refresh_token or not token):
            msg = "the refresh token is not one that was given"
            raise Dead(msg)
        self._in_time(now)
        self._used = now
        if self._declared.rotates_refresh_token:
            self._spent.setdefault(token, now)

    def _in_time(self, now: float) -> None:
        idle, most = self._declared.refresh_token_lifetime, self._declared.refresh_token_max_lifetime
        if idle is not None and now >= self._used + idle:
            msg = "the refresh token expired, for nobody used it"
            raise Dead(msg)
        if most is not None and now >= self._began + most:
            msg = "the grant expired, however much it was used"
            raise Dead(msg)

    def revoke(self, token: str) -> None:
        """Revoke one token, and with it what the declaration says that it takes along."""
        if self._declared.revocation_reach != "token":
            self.end()
        elif token == self.refresh_token:
            self.refresh_token = ""
        else:
            self._ends.pop(token, None)

    def end_access(self) -> None:
        """End the access tokens before their time, as some providers do now and then."""
        self._ends.clear()

    def end(self) -> None:
        """End all of it."""
        self._ends.clear()
        self._spent.clear()
        self.refresh_token = ""
