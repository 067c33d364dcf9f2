"""Operators: who may sign in to the console, and what they may do there.

All of an environment stand in one document of the store, which changes by compare-and-swap: so the last one who may do
everything cannot go, not even when two of them disable each other at the same moment.
"""

from __future__ import annotations

import hashlib
import secrets
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeVar

from valetkey.errors import ConfigurationError, StoreUnavailable
from valetkey.model.connections import Document, Event
from valetkey.model.ports import Clock, Store
from valetkey.server import passwords
from valetkey.server.grades import GRADES, Grade
from valetkey.values import Secret

KIND: Final = "operators"
SEEN: Final = "operator_seen"
INVITATION: Final = "invitation"
INVITATION_LIFE: Final = 48 * 3600.0
"""Seconds for which an invitation works."""
RESERVED: Final = frozenset({"login link", "the command", "library", "command", "console", "worker"})
"""What the audit log calls those who are no operators."""
_ALL: Final = "all"
_NAME_LIMIT: Final = 64
_ROUNDS: Final = 50

T = TypeVar("T")
Standing = Literal["active", "invited", "disabled"]
_Rows = dict[str, dict[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator:
    """Somebody who may sign in.

    Attributes:
        name: What they type, and what the audit log says: a mail address, a login.
        grade: What they may do.
        standing: ``invited`` until they have chosen a password.
        since: When that began, Unix seconds.
        by: Who had it begin.
        epoch: Changes when all of their sessions are to end.
        until: When the invitation ends.
        seen_at: When they signed in last.
    """

    name: str
    grade: Grade
    standing: Standing
    since: float
    by: str = ""
    epoch: str = ""
    until: float | None = None
    seen_at: float | None = None


class Operators:
    """The operators of one environment."""

    def __init__(self, store: Store, clock: Clock, env: str) -> None:
        self._store = store
        self._clock = clock
        self._env = env

    # -- looking

    def every(self) -> list[Operator]:
        """Return all of them, by name, with when they were seen last."""
        seen = {document.id: document for document in self._store.list_documents(SEEN, env=self._env)}
        rows = self._rows()[0]
        return [_operator(rows[key], seen.get(_id(key))) for key in sorted(rows)]

    def find(self, name: str) -> Operator | None:
        """Return the operator with that name."""
        row = self._rows()[0].get(_key(name))
        return _operator(row) if row else None

    def any(self) -> bool:
        """Whether anybody can sign in with a password."""
        return any(row.get("standing") == "active" for row in self._rows()[0].values())

    def check(self, name: str, password: str) -> Operator | None:
        """Return the operator whose password it is.  An unknown name takes as long as a wrong password."""
        key = _key(name)
        row = self._rows()[0].get(key)
        stored = str(row["hash"]) if row and row.get("standing") == "active" else None
        if not passwords.matches(stored, password) or row is None or stored is None:
            return None
        if passwords.is_outdated(stored):
            self._change(lambda rows: rows[key].update(hash=passwords.hashed(password)) if key in rows else None)
        return _operator(row)

    def saw(self, operator: Operator) -> None:
        """Note that somebody has signed in."""
        body = {"at": self._clock.now()}
        self._store.put_document(Document(kind=SEEN, env=self._env, id=_id(_key(operator.name)), body=body))

    # -- changing

    def add(self, name: str, password: str, grade: Grade, *, by: str) -> Operator:
        """Add an operator with a password.

        Raises:
            ConfigurationError: The name is taken (``operator_taken``) or none (``operator_invalid``), or the password
                is weak (``password_weak``).
        """
        passwords.demand_good(password)
        row = self._row(name, grade, "active", by, hash=passwords.hashed(password))
        return self._put(row, "operator_added", by)

    def invite(self, name: str, grade: Grade, *, by: str) -> tuple[Operator, Secret]:
        """Add an operator who chooses the password on a page; return the token of that page's address.

        Raises:
            ConfigurationError: As for `add`.
        """
        until = self._clock.now() + INVITATION_LIFE
        row = self._row(name, grade, "invited", by, until=until)
        made = self._put(row, "operator_invited", by)
        return made, self._invitation(made)

    def renew(self, name: str, *, by: str) -> tuple[Operator, Secret]:
        """Make another invitation for somebody who has not chosen a password; the older one works no more.

        Raises:
            ConfigurationError: Nobody has that name (``operator_unknown``), or they chose one (``operator_joined``).
        """
        until = self._clock.now() + INVITATION_LIFE

        def change(row: dict[str, Any], _: _Rows) -> None:
            if row.get("hash"):
                msg = f"{row['name']} has chosen a password already"
                raise ConfigurationError(
                    msg, code="operator_joined", hint="give another: valetkey serve operator password"
                )
            row.update(standing="invited", since=self._clock.now(), by=by, epoch=_epoch(), until=until)

        made = self._alter(name, change, "operator_invited", by)
        return made, self._invitation(made)

    def _invitation(self, made: Operator) -> Secret:
        """Return the token of an invitation; it ends with the epoch of the row that it was made for."""
        token = secrets.token_urlsafe(32)
        body = {"key": _key(made.name), "epoch": made.epoch}
        ends = made.until
        self._store.put_document(Document(kind=INVITATION, env=self._env, id=_id(token), body=body, expires_at=ends))
        return Secret(token)

    def invited(self, token: str) -> Operator | None:
        """Return whom an invitation is for, without using it up."""
        found = self._store.get_document(INVITATION, _id(token), env=self._env) if token else None
        return self._invited(self._rows()[0], found)

    def accept(self, token: str, password: str) -> Operator | None:
        """Use up an invitation: from now on the operator signs in with that password.  None: it is none any more.

        Raises:
            ConfigurationError: The password is weak; the invitation is not used up.
        """
        passwords.demand_good(password)
        found = self._store.take_document(INVITATION, _id(token), env=self._env) if token else None
        stored = passwords.hashed(password)

        def change(rows: _Rows) -> Operator | None:
            who = self._invited(rows, found)
            if who is None:
                return None
            row = rows[_key(who.name)]
            row.update(standing="active", hash=stored, since=self._clock.now(), by=who.name, until=None)
            return _operator(row)

        accepted = self._change(change)
        if accepted is not None:
            self._tell("operator_added", accepted.name, by=accepted.name)
        return accepted

    def disable(self, name: str, *, by: str) -> Operator:
        """Let somebody sign in no more; all of their sessions end with the same write.

        Raises:
            ConfigurationError: Nobody has that name (``operator_unknown``), or nobody else may do everything
                (``operator_last``).
        """

        def change(row: dict[str, Any], rows: _Rows) -> None:
            _demand_others(rows, row)
            row.update(standing="disabled", since=self._clock.now(), by=by, epoch=_epoch(), until=None)

        return self._alter(name, change, "operator_disabled", by)

    def enable(self, name: str, *, by: str) -> Operator:
        """Let somebody sign in again.

        Raises:
            ConfigurationError: Nobody has that name, or they never chose a password (``operator_invited``).
        """

        def change(row: dict[str, Any], _: _Rows) -> None:
            if not row.get("hash"):
                msg = f"{row['name']} never chose a password"
                raise ConfigurationError(msg, code="operator_invited", hint="renew the invitation in the console")
            row.update(standing="active", since=self._clock.now(), by=by)

        return self._alter(name, change, "operator_enabled", by)

    def set_password(self, name: str, password: str, *, by: str) -> Operator:
        """Give somebody another password; all of their sessions end.

        Raises:
            ConfigurationError: Nobody has that name, or the password is weak.
        """
        passwords.demand_good(password)
        stored = passwords.hashed(password)

        def change(row: dict[str, Any], _: _Rows) -> None:
            standing = "disabled" if row["standing"] == "disabled" else "active"
            row.update(hash=stored, epoch=_epoch(), standing=standing, until=None)

        return self._alter(name, change, "operator_password_changed", by)

    def remove(self, name: str, *, by: str) -> None:
        """Forget somebody; their sessions end, and the audit log keeps the name.

        Raises:
            ConfigurationError: As for `disable`.
        """
        key = _key(name)

        def change(rows: _Rows) -> str:
            row = _demand(rows, key, name)
            _demand_others(rows, row)
            return str(rows.pop(key)["name"])

        gone = self._change(change)
        self._store.delete_document(SEEN, _id(key), env=self._env)
        self._tell("operator_removed", gone, by=by)

    # -- within

    def _row(self, name: str, grade: Grade, standing: Standing, by: str, **more: Any) -> dict[str, Any]:
        since = self._clock.now()
        row = {"name": _checked(name), "grade": grade, "standing": standing, "since": since, "by": by}
        return {**row, "epoch": _epoch(), "hash": "", "until": None, **more}

    def _put(self, row: dict[str, Any], told: str, by: str) -> Operator:
        def change(rows: _Rows) -> None:
            if _key(row["name"]) in rows:
                msg = f"there is an operator {row['name']} already"
                raise ConfigurationError(msg, code="operator_taken", hint="choose another name, or remove that one")
            rows[_key(row["name"])] = row

        self._change(change)
        self._tell(told, row["name"], by=by)
        return _operator(row)

    def _alter(self, name: str, alter: Callable[[dict[str, Any], _Rows], None], told: str, by: str) -> Operator:
        def change(rows: _Rows) -> Operator:
            row = _demand(rows, _key(name), name)
            alter(row, rows)
            return _operator(row)

        changed = self._change(change)
        self._tell(told, changed.name, by=by)
        return changed

    def _invited(self, rows: Mapping[str, Mapping[str, Any]], found: Document | None) -> Operator | None:
        row = rows.get(str(found.body.get("key"))) if found else None
        if found is None or row is None or row["standing"] != "invited" or row["epoch"] != found.body.get("epoch"):
            return None
        return _operator(row)

    def _rows(self) -> tuple[_Rows, int]:
        found = self._store.get_document(KIND, _ALL, env=self._env)
        if found is None:
            return {}, 0
        return {str(key): dict(row) for key, row in found.body.get("operators", {}).items()}, found.version

    def _change(self, change: Callable[[_Rows], T]) -> T:
        """Change all of them at once; what `change` raises changes nothing."""
        for _ in range(_ROUNDS):
            rows, version = self._rows()
            result = change(rows)
            document = Document(kind=KIND, env=self._env, id=_ALL, body={"operators": rows})
            if self._store.put_document(document, expect=version) is not None:
                return result
        msg = "the operators are being changed by others all the time"
        raise StoreUnavailable(msg, hint="try again")

    def _tell(self, kind: str, name: str, *, by: str) -> None:
        detail = {"operator": name}
        self._store.append_event(Event(kind=kind, at=self._clock.now(), env=self._env, actor=by, detail=detail))


def _operator(row: Mapping[str, Any], seen: Document | None = None) -> Operator:
    grade = row.get("grade")
    return Operator(
        name=str(row["name"]),
        grade=grade if grade in GRADES else GRADES[0],
        standing=row["standing"],
        since=float(row["since"]),
        by=str(row.get("by", "")),
        epoch=str(row["epoch"]),
        until=row.get("until"),
        seen_at=float(seen.body["at"]) if seen else None,
    )


def _demand(rows: _Rows, key: str, name: str) -> dict[str, Any]:
    if key not in rows:
        msg = f"there is no operator {name[:_NAME_LIMIT]!r}"
        raise ConfigurationError(msg, code="operator_unknown", hint="see who there is: valetkey serve operator list")
    return rows[key]


def _demand_others(rows: _Rows, row: Mapping[str, Any]) -> None:
    """Refuse to lose the last one who may do everything."""

    def rules(one: Mapping[str, Any]) -> bool:
        return (one["standing"], one["grade"]) == ("active", "everything")

    if rules(row) and sum(map(rules, rows.values())) == 1:
        msg = f"{row['name']} is the last operator who may do everything"
        raise ConfigurationError(msg, code="operator_last", hint="add another one with the grade everything first")


def _checked(name: str) -> str:
    text = unicodedata.normalize("NFKC", name).strip()
    if not 0 < len(text) <= _NAME_LIMIT or not text.isprintable() or text.casefold() in RESERVED:
        msg = f"an operator's name has 1 to {_NAME_LIMIT} characters, all of them printable"
        raise ConfigurationError(msg, code="operator_invalid", hint="take a mail address, or the login at work")
    return text


def _key(name: str) -> str:
    """Return what names are compared by: ``Mira`` and ``mira`` are the same."""
    return unicodedata.normalize("NFKC", name).strip().casefold()


def _id(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _epoch() -> str:
    return secrets.token_hex(8)
