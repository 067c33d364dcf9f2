"""Signing in: sessions and one-time login links, kept in the store by the hash of their token alone."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, cast, get_args

from valetkey.model.connections import Document
from valetkey.model.ports import Clock, Store
from valetkey.server.settings import SESSION_LIFE
from valetkey.values import Secret

SESSION: Final = "session"
LINK: Final = "login_link"
LINK_LIFE: Final = 60.0
"""Seconds for which a login link works."""
LOCAL: Final = "you, at this machine"
"""Who comes by a login link that the command made."""

Grade = Literal["look", "connections", "everything"]
GRADES: Final = get_args(Grade)


@dataclass(frozen=True, slots=True)
class Session:
    """Somebody who signed in.

    Attributes:
        operator: Their name.
        grade: What they may do: each grade includes those before it.
        token: What the cookie holds.
    """

    operator: str
    grade: Grade
    token: Secret

    def may(self, grade: Grade) -> bool:
        """Whether this session's grade includes another."""
        return GRADES.index(self.grade) >= GRADES.index(grade)

    @property
    def csrf(self) -> str:
        """The token that each of this session's forms carries."""
        return csrf_token(self.token.reveal())


def csrf_token(cookie: str) -> str:
    """Return the form token that belongs to a cookie: nobody can make it who does not know the cookie."""
    return hmac.new(cookie.encode(), b"valetkey:csrf", hashlib.sha256).hexdigest()


class Sessions:
    """The sessions of all processes that share a store."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def begin(self, operator: str, grade: Grade) -> Session:
        """Begin a session; its token goes into the cookie and nowhere else."""
        token = secrets.token_urlsafe(32)
        body = {"operator": operator, "grade": grade, "at": self._clock.now()}
        self._put(SESSION, token, body, SESSION_LIFE)
        return Session(operator, grade, Secret(token))

    def find(self, token: str) -> Session | None:
        """Return the session of a cookie, if it is one and still lasts."""
        found = self._store.get_document(SESSION, _hashed(token)) if token else None
        grade = found.body.get("grade") if found else None
        if found is None or grade not in GRADES:
            return None
        return Session(str(found.body.get("operator", "")), cast("Grade", grade), Secret(token))

    def end(self, token: str) -> None:
        """End a session."""
        self._store.delete_document(SESSION, _hashed(token))

    def end_of(self, operator: str) -> None:
        """End all sessions of an operator."""
        after = ""
        while page := self._store.list_documents(SESSION, after=after):
            for document in page:
                if document.body.get("operator") == operator:
                    self._store.delete_document(SESSION, document.id)
            after = page[-1].id

    # -- login links

    def link(self, grade: Grade = "everything") -> Secret:
        """Make the token of a login link: it works once, within `LINK_LIFE` seconds."""
        token = secrets.token_urlsafe(32)
        self._put(LINK, token, {"grade": grade}, LINK_LIFE)
        return Secret(token)

    def link_lives(self, token: str) -> bool:
        """Whether a login link could still be used.  Looking does not use it up."""
        return bool(token) and self._store.get_document(LINK, _hashed(token)) is not None

    def use_link(self, token: str) -> Session | None:
        """Begin a session by a login link and use it up; None where it is no longer one."""
        found = self._store.take_document(LINK, _hashed(token)) if token else None
        if found is None or found.body.get("grade") not in GRADES:
            return None
        return self.begin(LOCAL, found.body["grade"])

    def _put(self, kind: str, token: str, body: Mapping[str, object], life: float) -> None:
        ends = self._clock.now() + life
        self._store.put_document(Document(kind=kind, id=_hashed(token), body=body, expires_at=ends))


def _hashed(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
