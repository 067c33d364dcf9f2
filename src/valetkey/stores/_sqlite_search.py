"""The index of trigrams by which SQLite finds what is searched for, where this SQLite can keep one (3.34, with FTS5).

It is no step of the schema, for the same file may be opened by programs whose SQLite differ: who opens the file and can
keep the index makes it; who cannot takes it down, since it would not follow their writes.  Without it a search reads
through all names.

It holds no text, only which trigram stands in which rows: what it finds is looked at once more.  Rows have numbers of
their own in it, for SQLite may renumber those of a table when it is compacted.
"""

from __future__ import annotations

import sqlite3
from functools import cache
from typing import Final

MOST: Final = 2000
"""How many candidates are looked at one by one.  Where there are more, a page is full soon if all are read."""
_TERMS: Final = 100
"""How many trigrams that begin with the one or two letters searched for are put together; more begin common words."""
_LONGEST: Final = 64
"""How many trigrams of a long text are looked up: they leave few candidates."""
_LAST: Final = "\U0010ffff" * 3

_TABLE: Final = "fts5(text, content='', columnsize=0, detail=none, tokenize='trigram case_sensitive 1')"
_KEPT: Final = "search_changed"
_TRIGGERS: Final = ("search_created", _KEPT, "search_deleted")


def _text(row: str) -> str:
    """Return what is indexed of a row: with an end, so that a trigram begins with each letter."""
    return f"{row}.search || char(10, 10)"


_ADDED: Final = (
    "INSERT INTO search_row (connection_id) VALUES (new.id);"  # noqa: S608 - names of ours
    f" INSERT INTO search_trigram (rowid, text) SELECT num, {_text('new')} FROM search_row"
    " WHERE connection_id = new.id;"
)
_TAKEN: Final = (
    "INSERT INTO search_trigram (search_trigram, rowid, text)"  # noqa: S608 - names of ours
    f" SELECT 'delete', num, {_text('old')} FROM search_row WHERE connection_id = old.id;"
    " DELETE FROM search_row WHERE connection_id = old.id;"
)
_MAKE: Final = (
    "CREATE TABLE search_row (num INTEGER PRIMARY KEY, connection_id TEXT NOT NULL UNIQUE)",
    f"CREATE VIRTUAL TABLE search_trigram USING {_TABLE}",
    "CREATE VIRTUAL TABLE search_term USING fts5vocab(search_trigram, row)",
    "INSERT INTO search_row (connection_id) SELECT id FROM connection",
    (
        f"INSERT INTO search_trigram (rowid, text) SELECT r.num, {_text('c')}"  # noqa: S608
        " FROM search_row r CROSS JOIN connection c ON c.id = r.connection_id ORDER BY r.num"
    ),
    f"CREATE TRIGGER search_created AFTER INSERT ON connection BEGIN {_ADDED} END",
    (
        f"CREATE TRIGGER {_KEPT} AFTER UPDATE OF search ON connection"
        f" WHEN new.search <> old.search BEGIN {_TAKEN} {_ADDED} END"
    ),
    f"CREATE TRIGGER search_deleted AFTER DELETE ON connection BEGIN {_TAKEN} END",
)
_EMPTIED: Final = (
    "DELETE FROM search_row",
    "DELETE FROM search_trigram_idx",
    "DELETE FROM search_trigram_data WHERE id NOT IN (1, 10)",
    "UPDATE search_trigram_data SET block = CASE id WHEN 1 THEN x'' ELSE x'00000000000000' END",  # as FTS5 makes them
)
"""What empties the tables in which FTS5 keeps the index, where there is no FTS5 to do it."""
_NARROWED: Final = "SELECT count(*) FROM (SELECT 1 FROM search_trigram WHERE search_trigram MATCH ? LIMIT ?)"
_BEGINNING: Final = "SELECT term FROM search_term WHERE term >= ? AND term <= ? LIMIT ?"


@cache
def can_keep() -> bool:
    """Whether this SQLite has what the index is made of."""
    db = sqlite3.connect(":memory:")
    try:
        db.execute(f"CREATE VIRTUAL TABLE search_trigram USING {_TABLE}")
    except sqlite3.OperationalError:
        return False
    finally:
        db.close()
    return True


def is_kept(db: sqlite3.Connection) -> bool:
    """Whether there is an index in the file that follows its writes."""
    return bool(_objects(db, _KEPT))


def prepare(db: sqlite3.Connection) -> None:
    """Make the index where it is missing; take it down where this SQLite could not keep it.

    A file that cannot be written now, or is busy, is searched without.
    """
    if is_kept(db) == can_keep():
        return
    try:
        db.execute("BEGIN IMMEDIATE")
        if is_kept(db) != can_keep():  # of two processes one finds the work done
            for statement in (*_remains(db), *_MAKE) if can_keep() else _down():
                db.execute(statement)
        db.execute("COMMIT")
    except sqlite3.OperationalError:
        db.rollback()
        if not can_keep():  # then no write would succeed
            raise
    except BaseException:
        db.rollback()
        raise


def _down() -> tuple[str, ...]:
    """Return what ends the index without FTS5, and leaves nothing of it that could be read."""
    triggers = (f"DROP TRIGGER IF EXISTS {name}" for name in _TRIGGERS)
    return (*triggers, *_EMPTIED)


def _remains(db: sqlite3.Connection) -> tuple[str, ...]:
    """Return what drops an index that somebody took down."""
    names = ("search_term", "search_trigram", "search_row")
    return tuple(f"DROP TABLE {name}" for name in names if _objects(db, name))


def _objects(db: sqlite3.Connection, name: str) -> list[tuple[int]]:
    return db.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (name,)).fetchall()


def forget_erased(db: sqlite3.Connection) -> None:
    """Write the index anew without what was erased, which until then is only marked in it."""
    if is_kept(db):
        db.execute("INSERT INTO search_trigram (search_trigram) VALUES ('optimize')")


def match(db: sqlite3.Connection, search: str) -> str | None:
    """Return what leads to few candidates for a text without case, ``""`` where there are none.

    None: there is no index, or it would lead to so many that reading through all names meets a page of them sooner.
    """
    if "\0" in search or not is_kept(db):
        return None
    found = _whole(search) if len(search) > 2 else _begun(db, search)  # noqa: PLR2004 - a trigram's length
    if not found:
        return found
    (n,) = db.execute(_NARROWED, (found, MOST + 1)).fetchone()
    return None if n > MOST else found if n else ""


def _whole(search: str) -> str:
    trigrams = dict.fromkeys(search[at : at + 3] for at in range(len(search) - 2))
    return " AND ".join(map(_quoted, list(trigrams)[:_LONGEST]))


def _begun(db: sqlite3.Connection, search: str) -> str | None:
    """Return what finds one or two letters: all trigrams that begin with them."""
    terms = db.execute(_BEGINNING, (search, search + _LAST, _TERMS + 1)).fetchall()
    return None if len(terms) > _TERMS else " OR ".join(_quoted(term) for (term,) in terms)


def _quoted(trigram: str) -> str:
    return '"' + trigram.replace('"', '""') + '"'
