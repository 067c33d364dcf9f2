"""The rules of a store on plain values: what may be claimed, swapped and noted, and what a query matches.

Every store reads the row, asks here, and writes what it is told, all within one atomic step of its own.  So the
decisions of DESIGN section 6 (R3, R6) stand in one place, and stores differ only in how they make a step atomic.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from valetkey.model.connections import Claim, ConnectionKey, Document, Expect, Query, Record, Sealed, altered
from valetkey.stores._attention import wants_attention

NOTABLE: Final = frozenset({"tags", "last_used_at", "identity", "params", "cooldown_until", "learnt_lifetime"})
"""The side facts that `Store.note` may change."""

_KEPT: Final = tuple(sorted(NOTABLE - {"cooldown_until"}))

DATA_KEY: Final = "data_key"
"""The kind of the documents that hold wrapped data keys; their id is the key id."""


# -- claims and writes ---------------------------------------------------------------------------------------------


def claimed(
    row: Record | None, record: Record, *, holder: str, until: float, spending: str, over: str | None, dead: bool
) -> Record | None:
    """Return `row` with the claim of `holder`, or None where it may not be claimed (R3).

    `row` is what the store holds now, with `Claim.expired` worked out now; `record` is what the caller has seen.
    """
    if row is None or not _same_grant(row, record) or not _free(row.claim, over, dead):
        return None
    doubt = row.doubt + _in_doubt(row.claim, holder, spending)
    return altered(row, claim=Claim(holder=holder, until=until, spending=spending), doubt=doubt)


def _same_grant(row: Record, record: Record) -> bool:
    return (row.incarnation, row.version) == (record.incarnation, record.version)


def _free(claim: Claim | None, over: str | None, dead: bool) -> bool:
    return claim is None or ((claim.expired or dead) and claim.holder == over)


def _in_doubt(claim: Claim | None, holder: str, spending: str) -> bool:
    return claim is not None and claim.holder != holder and bool(spending) and claim.spending == spending


def renewed(row: Record | None, record: Record, *, holder: str, until: float) -> Record | None:
    """Return `row` with the claim of `holder` prolonged, or None where that holder does not hold it."""
    if row is None or row.incarnation != record.incarnation or row.claim is None or row.claim.holder != holder:
        return None
    return altered(row, claim=replace(row.claim, until=until, expired=False))


def as_expected(row: Record | None, expect: Expect) -> bool:
    """Tell whether `row` still is what the writer has seen (see `Expect`)."""
    if row is None or (row.incarnation, row.version) != (expect.incarnation, expect.version):
        return False
    if expect.holder is None and expect.spent is None:
        return True
    held = expect.holder is not None and row.claim is not None and row.claim.holder == expect.holder
    return held or (expect.spent is not None and row.refresh_fp == expect.spent)


def swapped(row: Record, new: Record) -> Record:
    """Return what is stored when `new` takes the place of `row`.

    The key stays that of the row, for only `rename` changes it: a refresh that was under way during a rename must
    neither undo it nor fail for it.  So do side facts within one incarnation: what was noted since `new` was read
    stays.  Of two last uses the later one counts.  A cool-down is about one access token, and ends with it.
    """
    kept = _KEPT if new.incarnation == row.incarnation else ()
    if new.version == row.version and kept:
        kept = (*kept, "cooldown_until")
    if new.key != row.key:
        kept = (*kept, "key", "secret_id")
    facts = {name: getattr(row, name) for name in kept}
    if kept:
        facts["last_used_at"] = max(filter(None, (row.last_used_at, new.last_used_at)), default=None)
    return altered(new, claim=None, **facts)


def noted(row: Record, changes: Mapping[str, Any]) -> Record:
    """Return `row` with side facts changed.

    Raises:
        ValueError: A change is not one of the side facts.
    """
    if wrong := sorted(set(changes) - NOTABLE):
        msg = f"note() changes {', '.join(sorted(NOTABLE))}; not {', '.join(wrong)}"
        raise ValueError(msg)
    return altered(row, **changes)


def rekeyed(row: Record | None, record: Record, sealed: Sealed) -> Record | None:
    """Return `row` with another sealing of the same grant, or None where it is not as `record` was read."""
    if row is None or row.sealed is None or not _same_grant(row, record) or row.sealed != record.sealed:
        return None
    return replace(row, sealed=sealed)


def one_of_each_key(anew: Sequence[tuple[Record, Sealed]]) -> Sequence[Sealed]:
    """Return for each data key that is to seal something anew one of what it sealed."""
    return list({sealed.key_id: sealed for record, sealed in anew if record.sealed is not None}.values())


def moved_on(row: Record | None, record: Record) -> bool:
    """Tell whether the row is another one than was read, or gone; that a claim has run out is no change of the row."""
    return row is None or _timeless(row) != _timeless(record)


def _timeless(record: Record) -> Record:
    claim = record.claim
    return replace(record, claim=replace(claim, expired=False)) if claim and claim.expired else record


# -- documents -----------------------------------------------------------------------------------------------------


def alive(document: Document | None, now: float) -> Document | None:
    """Return the document, unless its time is over."""
    over = document is not None and document.expires_at is not None and now >= document.expires_at
    return None if over else document


def put(current: Document | None, document: Document, *, expect: int | None, now: float) -> Document | None:
    """Return `document` with the version it is stored under, or None where another version than expected is there.

    The count goes on over one that has expired but is still kept, so that the version of a lease that ran out does
    not come back.
    """
    there = alive(current, now)
    if expect is not None and (there.version if there else 0) != expect:
        return None
    return replace(document, version=(current.version if current else 0) + 1)


def data_key_of(sealed: Sealed | None, kind: str = "") -> str:
    """Return the id of the data key that must exist for `sealed` to be of use; empty when none is needed.

    Data keys themselves are wrapped by a master key, which the store does not hold.
    """
    return "" if sealed is None or kind == DATA_KEY else sealed.key_id


# -- listing -------------------------------------------------------------------------------------------------------


def sort_key(key: ConnectionKey) -> tuple[str, str, str]:
    """Return what connections of one environment are ordered by: those without owner come first."""
    return key.credential, stored_owner(key.owner), key.account


def stored_owner(owner: str | None) -> str:
    """Return an owner as text that is never null, so that two "no owner" collide: ``""``, or ``"=ada"``."""
    return "" if owner is None else f"={owner}"


def owner_of(stored: str) -> str | None:
    """Return the owner that `stored_owner` wrote."""
    return stored[1:] if stored else None


def search_text(record: Record) -> str:
    """Return the text in which a search looks: credential, owner, account and identity, without case, without NUL."""
    key, who = record.key, record.identity
    parts = [key.credential, key.owner or "", key.account]
    if who is not None:
        parts += [who.subject, who.email, who.name, who.login]
    return "\n".join(parts).casefold().replace("\0", "\n")  # an index of trigrams takes NUL for the end of a text


def matches(record: Record, query: Query) -> bool:
    """Tell whether a record is one of those that the query asks for."""
    key = record.key
    return (
        key.env == query.env
        and query.credential in {None, key.credential}
        and query.owner in {None, key.owner}
        and (not query.own or key.owner is None)
        and query.state in {None, record.state}
        and (query.missing_scope is None or query.missing_scope in missing(record))
        and (query.search is None or query.search.casefold() in search_text(record))
        and (query.attention_by is None or wants_attention(record, query.attention_by))
    )


def missing(record: Record) -> tuple[str, ...]:
    """Return the scopes that were asked for and not given, each once."""
    return tuple(scope for scope in dict.fromkeys(record.requested) if scope not in record.granted)
