"""Taking grants over from elsewhere, and giving them out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from valetkey.engine.rows import BadRow, GrantRow, as_mapping, read_row, write_row
from valetkey.engine.status import DAMAGED
from valetkey.engine.storing import put_grant
from valetkey.engine.world import World, open_grant
from valetkey.errors import ConfigurationError, ConnectError, DecryptionFailed
from valetkey.model.connections import ConnectionKey, Query, Record
from valetkey.model.credentials import OAuth2Credential
from valetkey.model.paging import each_record

IMPORT_WARNING: Final = (
    "Stop whatever refreshes these grants now, before they are imported: two refreshers of one rotating grant kill it."
)
"""What every face says before it imports."""

Outcome = Literal["created", "replaced", "skipped", "invalid"]
OnConflict = Literal["skip", "newer"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedRow:
    """What became of one row.

    Attributes:
        number: Its place, from 1.
        credential: As the row has it.
        owner: As the row has it.
        account: As the row has it.
        outcome: ``created``, ``replaced``, ``skipped`` or ``invalid``; with a dry run, what would have become of it.
        reason: Why, or what to mind; empty when there is nothing to say.
    """

    number: int
    credential: str
    owner: str | None
    account: str
    outcome: Outcome
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportReport:
    """What became of all rows."""

    rows: tuple[ImportedRow, ...]
    dry_run: bool
    warning: str = IMPORT_WARNING

    @property
    def counts(self) -> Mapping[Outcome, int]:
        """Outcome -> how many rows; outcomes that did not occur count 0."""
        return Counter(row.outcome for row in self.rows)


def import_grants(
    world: World,
    env: str,
    rows: Iterable[Mapping[str, Any]],
    *,
    dry_run: bool = False,
    on_conflict: OnConflict = "skip",
) -> ImportReport:
    """Take over grants, row by row; a bad row stops none of the others.  See `rows.read_row` for their form.

    Where a connection exists already, ``skip`` leaves it and ``newer`` replaces it by a row that was obtained later,
    or ends later where that is all that is known.

    Raises:
        ConfigurationError: `on_conflict` is neither.
        StoreUnavailable: The store does not answer.  What was imported stays; the same call goes on from there.
    """
    if on_conflict not in {"skip", "newer"}:
        msg = f"on_conflict={on_conflict!r} is unknown"
        raise ConfigurationError(msg, code="on_conflict_unknown", hint='use on_conflict="skip" or "newer"')
    work = _Import(world, env, dry_run=dry_run, on_conflict=on_conflict)
    return ImportReport(rows=tuple(work.take(n, row) for n, row in enumerate(rows, start=1)), dry_run=dry_run)


def export_grants(
    world: World,
    env: str,
    *,
    credential: str | None = None,
    owner: str | None = None,
    include_tokens: bool = False,
) -> Iterator[dict[str, Any]]:
    """Yield the connections that hold a grant as rows for `import_grants`; None does not filter.

    With `include_tokens` the rows hold tokens in clear.  One that is damaged has ``error`` in place of its token.

    Raises:
        DecryptionFailed: No token can be opened, for the master key is missing or another one.
        StoreUnavailable: The store does not answer.
    """
    query = Query(env=env, credential=credential, owner=owner)
    for record in each_record(world.store, query):
        if record.sealed is not None:
            yield _row(world, record, include_tokens)


def _row(world: World, record: Record, include_tokens: bool) -> dict[str, Any]:
    if record.error == DAMAGED:
        return {**write_row(record, None), "error": f"its row in the store is damaged: {record.error_text}"}
    if not include_tokens:
        return write_row(record, None)
    try:
        return write_row(record, open_grant(world, record))
    except DecryptionFailed as error:
        if error.code != "sealed_broken":
            raise
        return {**write_row(record, None), "error": str(error)}


class _Import:
    """One run over rows."""

    def __init__(self, world: World, env: str, *, dry_run: bool, on_conflict: OnConflict) -> None:
        self._world = world
        self._env = env
        self._dry_run = dry_run
        self._on_conflict = on_conflict
        self._seen: set[ConnectionKey] = set()

    def take(self, number: int, row: object) -> ImportedRow:
        """Take one row and say what became of it."""
        members = as_mapping(row)
        outcome: Outcome = "invalid"
        reason = "it is no object"
        if members is not None:
            outcome, reason = self._outcome(members)
        names = members or {}
        owner = names.get("owner")
        return ImportedRow(
            number=number,
            credential=_writable(names.get("credential") or ""),
            owner=None if owner is None else _writable(owner),
            account=_writable(names.get("account") or ""),
            outcome=outcome,
            reason=reason,
        )

    def _outcome(self, row: Mapping[str, Any]) -> tuple[Outcome, str]:
        try:
            credential = self._credential(row.get("credential"))
            read = read_row(row, credential, self._env, self._world.clock.now())
        except BadRow as bad:
            return "invalid", str(bad)
        if read.dead:
            return "skipped", f"it was {read.dead} where it comes from"
        if read.key in self._seen:
            return "skipped", "an earlier row is of the same connection"
        self._seen.add(read.key)
        there = self._world.store.load(read.key)
        held = self._held_back(there, read)
        if held:
            return "skipped", held
        return self._put(credential, read, there)

    def _credential(self, name: object) -> OAuth2Credential:
        if not isinstance(name, str) or not name:
            msg = "it names no credential"
            raise BadRow(msg)
        try:
            return self._world.credential(name)
        except ConfigurationError as error:
            raise BadRow(str(error)) from None

    def _held_back(self, there: Record | None, read: GrantRow) -> str:
        """Return why the row must not be taken, or an empty text."""
        if there is None or there.state == "pending":
            return ""
        if there.access_fp == read.grant.access_token.fingerprint():
            return "this very token is there already"
        if self._on_conflict == "skip":
            return f"there is a connection already ({there.state})"
        return "" if _newer(read, there) else "what is there is not older, as far as can be told"

    def _put(self, credential: OAuth2Credential, read: GrantRow, there: Record | None) -> tuple[Outcome, str]:
        outcome: Outcome = "created" if there is None or there.state == "pending" else "replaced"
        app_id = self._app_id(credential)
        if not self._dry_run:
            try:
                put_grant(
                    self._world,
                    credential,
                    read.key,
                    read.grant,
                    requested=read.requested,
                    client_id=read.client_id or app_id,
                    before=there,
                    identity=read.identity,
                    params={**credential.params, **read.params},
                    tags=read.tags,
                    event="imported",
                )
            except ConnectError as error:
                return "skipped", str(error)
        if read.client_id and app_id and read.client_id != app_id:
            return outcome, "it belongs to another client id than the app here, so it cannot be refreshed here"
        return outcome, ""

    def _app_id(self, credential: OAuth2Credential) -> str:
        try:
            return self._world.app(credential).client_id
        except ConfigurationError:
            return ""


def _writable(name: object) -> str:
    """Return a name as the row has it; half a surrogate pair, which no file and no answer can hold, becomes "?"."""
    return str(name).encode("utf-8", "replace").decode()


def _newer(read: GrantRow, there: Record) -> bool:
    if read.grant.obtained_at and there.obtained_at:
        return read.grant.obtained_at > there.obtained_at
    if read.grant.expires_at is not None and there.expires_at is not None:
        return read.grant.expires_at > there.expires_at
    return False
