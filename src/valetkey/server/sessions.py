"""Signing in: sessions and one-time login links, kept in the store by the hash of their token alone."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from valetkey.model.connections import Document
from valetkey.model.ports import Clock, Store
from valetkey.server.grades import GRADES, Grade, includes
from valetkey.server.operators import Operator, Operators
from valetkey.server.settings import SESSION_LIFE
from valetkey.values import Secret

__all__ = ["GRADES", "Grade", "Session", "Sessions", "csrf_token"]

SESSION: Final = "session"
LINK: Final = "login_link"
LINK_LIFE: Final = 60.0
"""Seconds for which a login link works."""
FRESH: Final = 300.0
"""Seconds after a sign-in for which dangerous acts need no other one."""
LOCAL: Final = "login link"
"""Who comes by a login link that the command made."""


@dataclass(frozen=True, slots=True)
class Session:
    """Somebody who signed in.

    Attributes:
        operator: Their name.
        grade: What they may do: each grade includes those before it.
        token: What the cookie holds.
        proved_at: When they last showed who they are, Unix seconds.
        local: Whether they came by a login link, and so have no password.
    """

    operator: str
    grade: Grade
    token: Secret
    proved_at: float = 0.0
    local: bool = False

    def may(self, grade: Grade) -> bool:
        """Whether this session's grade includes another."""
        return includes(self.grade, grade)

    @property
    def csrf(self) -> str:
        """The token that each of this session's forms carries."""
        return csrf_token(self.token.reveal())


def csrf_token(cookie: str) -> str:
    """Return the form token that belongs to a cookie: nobody can make it who does not know the cookie."""
    return hmac.new(cookie.encode(), b"valetkey:csrf", hashlib.sha256).hexdigest()


class Sessions:
    """The sessions of one environment, in all processes that share a store."""

    def __init__(self, store: Store, clock: Clock, env: str) -> None:
        self._store = store
        self._clock = clock
        self._env = env
        self._operators = Operators(store, clock, env)

    def begin(self, operator: Operator) -> Session:
        """Begin a session of an operator; its token goes into the cookie and nowhere else."""
        token = secrets.token_urlsafe(32)
        now = self._clock.now()
        self._put(SESSION, token, {"operator": operator.name, "epoch": operator.epoch, "at": now}, SESSION_LIFE)
        return Session(operator.name, operator.grade, Secret(token), now)

    def find(self, token: str) -> Session | None:
        """Return the session of a cookie, if it is one and still lasts.

        The operator is looked at each time: one who was disabled has no session from that very write on.
        """
        found = self._store.get_document(SESSION, _hashed(token), env=self._env) if token else None
        if found is None:
            return None
        at = float(found.body.get("at", 0.0))
        if grade := _local_grade(found.body):
            return Session(LOCAL, grade, Secret(token), at, local=True)
        operator = self._operators.find(str(found.body.get("operator", "")))
        if operator is None or operator.standing != "active" or operator.epoch != found.body.get("epoch"):
            return None
        return Session(operator.name, operator.grade, Secret(token), at)

    def is_fresh(self, session: Session) -> bool:
        """Whether somebody showed who they are a moment ago."""
        return 0 <= self._clock.now() - session.proved_at <= FRESH

    def end(self, token: str) -> None:
        """End a session."""
        self._store.delete_document(SESSION, _hashed(token), env=self._env)

    # -- login links

    def link(self, grade: Grade = "everything") -> Secret:
        """Make the token of a login link: it works once, within `LINK_LIFE` seconds."""
        token = secrets.token_urlsafe(32)
        self._put(LINK, token, {"grade": grade}, LINK_LIFE)
        return Secret(token)

    def link_lives(self, token: str) -> bool:
        """Whether a login link could still be used.  Looking does not use it up."""
        return bool(token) and self._store.get_document(LINK, _hashed(token), env=self._env) is not None

    def use_link(self, token: str) -> Session | None:
        """Begin a session by a login link and use it up; None where it is no longer one."""
        found = self._store.take_document(LINK, _hashed(token), env=self._env) if token else None
        grade = _local_grade({"local": found.body.get("grade")}) if found else None
        if grade is None:
            return None
        token, now = secrets.token_urlsafe(32), self._clock.now()
        self._put(SESSION, token, {"local": grade, "at": now}, SESSION_LIFE)
        return Session(LOCAL, grade, Secret(token), now, local=True)

    def _put(self, kind: str, token: str, body: Mapping[str, object], life: float) -> None:
        ends = self._clock.now() + life
        document = Document(kind=kind, env=self._env, id=_hashed(token), body=body, expires_at=ends)
        self._store.put_document(document)


def _local_grade(body: Mapping[str, Any]) -> Grade | None:
    grade = body.get("local")
    return grade if grade in GRADES else None


def _hashed(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
