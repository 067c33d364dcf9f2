"""The tables of the SQLite store, as steps from each schema version to the next.

`PRAGMA user_version` counts the steps that a file has seen.  A step that was released is never changed: a new one is
added.  Column names are those of the values in ``valetkey.model.connections``; where a value may be absent and takes
part in a key, it is written so that it is never null (`_rules.stored_owner`).
"""

from __future__ import annotations

from typing import Final

from valetkey.stores._where import ATTENTION, FIRST_ATTENTION

APPLICATION_ID: Final = 0x766B6579
"""``vkey``: tells a store of ours from any other SQLite file."""

_FIRST: Final = (
    "CREATE TABLE store (id TEXT NOT NULL)",
    "INSERT INTO store VALUES (lower(hex(randomblob(16))))",
    # The long columns come last: SQLite reads a row from its start, and only as far as it needs to.
    """
    CREATE TABLE connection (
        id TEXT PRIMARY KEY NOT NULL,
        env TEXT NOT NULL,
        credential TEXT NOT NULL,
        owner TEXT NOT NULL,
        account TEXT NOT NULL,
        search TEXT NOT NULL,
        incarnation INTEGER NOT NULL,
        version INTEGER NOT NULL,
        claim_holder TEXT,
        claim_until REAL,
        claim_boot TEXT,
        claim_spending TEXT,
        doubt INTEGER NOT NULL,
        state TEXT NOT NULL,
        reason TEXT NOT NULL,
        error TEXT NOT NULL,
        failures INTEGER NOT NULL,
        next_try_at REAL,
        cooldown_until REAL,
        expires_at REAL,
        refresh_expires_at REAL,
        obtained_at REAL,
        learnt_lifetime REAL,
        client_id TEXT NOT NULL,
        issuer TEXT NOT NULL,
        token_origin TEXT NOT NULL,
        refreshable INTEGER NOT NULL,
        access_fp TEXT NOT NULL,
        refresh_fp TEXT NOT NULL,
        secret_id TEXT NOT NULL,
        created_at REAL NOT NULL,
        connected_at REAL,
        last_refresh_at REAL,
        last_used_at REAL,
        due_at REAL,
        key_id TEXT,
        granted TEXT NOT NULL,
        requested TEXT NOT NULL,
        identity TEXT,
        params TEXT NOT NULL,
        tags TEXT NOT NULL,
        error_text TEXT NOT NULL,
        sealed BLOB
    )
    """,
    "CREATE UNIQUE INDEX connection_key ON connection (env, credential, owner, account)",
    "CREATE INDEX connection_owner ON connection (env, owner, credential, account)",
    "CREATE INDEX connection_state ON connection (env, state, credential, owner, account)",
    # All that a search looks at, in the order of the list: rows that do not match are never read.
    "CREATE INDEX connection_search ON connection (env, credential, owner, account, state, search)",
    "CREATE INDEX connection_error ON connection (env, error) WHERE error <> ''",
    "CREATE INDEX connection_due ON connection (env, due_at) WHERE due_at IS NOT NULL",
    "CREATE INDEX connection_next_try ON connection (next_try_at) WHERE next_try_at IS NOT NULL",
    "CREATE INDEX connection_key_id ON connection (key_id) WHERE key_id IS NOT NULL",
    # Which scopes were asked for and not given: a table of its own, so that a page of them is found by an index.
    """
    CREATE TABLE missing_scope (
        env TEXT NOT NULL,
        scope TEXT NOT NULL,
        credential TEXT NOT NULL,
        owner TEXT NOT NULL,
        account TEXT NOT NULL,
        connection_id TEXT NOT NULL REFERENCES connection (id) ON DELETE CASCADE,
        PRIMARY KEY (env, scope, credential, owner, account)
    ) WITHOUT ROWID
    """,
    "CREATE INDEX missing_scope_connection ON missing_scope (connection_id)",
    """
    CREATE TRIGGER connection_created AFTER INSERT ON connection BEGIN
        INSERT INTO missing_scope
            SELECT DISTINCT new.env, value, new.credential, new.owner, new.account, new.id
            FROM json_each(new.requested) WHERE value NOT IN (SELECT value FROM json_each(new.granted));
    END
    """,
    """
    CREATE TRIGGER connection_scopes AFTER UPDATE OF granted, requested, env, credential, owner, account ON connection
    WHEN new.granted <> old.granted OR new.requested <> old.requested OR new.env <> old.env
        OR new.credential <> old.credential OR new.owner <> old.owner OR new.account <> old.account
    BEGIN
        DELETE FROM missing_scope WHERE connection_id = new.id;
        INSERT INTO missing_scope
            SELECT DISTINCT new.env, value, new.credential, new.owner, new.account, new.id
            FROM json_each(new.requested) WHERE value NOT IN (SELECT value FROM json_each(new.granted));
    END
    """,
    """
    CREATE TABLE document (
        kind TEXT NOT NULL,
        env TEXT NOT NULL,
        id TEXT NOT NULL,
        version INTEGER NOT NULL,
        expires_at REAL,
        key_id TEXT,
        body TEXT NOT NULL,
        sealed BLOB,
        PRIMARY KEY (kind, env, id)
    ) WITHOUT ROWID
    """,
    "CREATE INDEX document_expiry ON document (expires_at) WHERE expires_at IS NOT NULL",
    "CREATE INDEX document_key_id ON document (key_id) WHERE key_id IS NOT NULL",
    """
    CREATE TABLE event (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        env TEXT NOT NULL,
        connection_id TEXT NOT NULL,
        kind TEXT NOT NULL,
        at REAL NOT NULL,
        credential TEXT NOT NULL,
        owner TEXT NOT NULL,
        account TEXT NOT NULL,
        actor TEXT NOT NULL,
        detail TEXT NOT NULL
    )
    """,
    "CREATE INDEX event_env ON event (env, seq)",
    "CREATE INDEX event_connection ON event (env, connection_id, seq)",
)

_ONE_MORE: Final = """
    INSERT INTO state_count VALUES (new.env, new.credential, new.state, 1)
        ON CONFLICT (env, credential, state) DO UPDATE SET n = n + 1
"""
_ONE_LESS: Final = """
    UPDATE state_count SET n = n - 1 WHERE env = old.env AND credential = old.credential AND state = old.state
"""

_COUNTS: Final = (
    """
    CREATE TABLE state_count (
        env TEXT NOT NULL,
        credential TEXT NOT NULL,
        state TEXT NOT NULL,
        n INTEGER NOT NULL,
        PRIMARY KEY (env, credential, state)
    ) WITHOUT ROWID
    """,
    "INSERT INTO state_count SELECT env, credential, state, count(*) FROM connection GROUP BY env, credential, state",
    f"CREATE TRIGGER state_count_created AFTER INSERT ON connection BEGIN {_ONE_MORE}; END",
    f"CREATE TRIGGER state_count_deleted AFTER DELETE ON connection BEGIN {_ONE_LESS}; END",
    f"""
    CREATE TRIGGER state_count_changed AFTER UPDATE OF state, credential, env ON connection
    WHEN new.state <> old.state OR new.credential <> old.credential OR new.env <> old.env
    BEGIN {_ONE_LESS}; {_ONE_MORE}; END
    """,
    # Most rows are not in it: what renews itself wants nobody's attention.
    (
        f"CREATE INDEX connection_attention ON connection (env, {FIRST_ATTENTION}, credential)"
        f" WHERE state = 'connected' AND {FIRST_ATTENTION} IS NOT NULL"
    ),
)
"""Counts, kept in the transaction of each write; and which connections want a person's attention, and when."""

_SIGN_IN_DUE: Final = (
    "ALTER TABLE connection ADD COLUMN sign_in_due_at REAL",
    "DROP INDEX connection_attention",
    (
        f"CREATE INDEX connection_attention ON connection (env, {ATTENTION}, credential)"
        f" WHERE state = 'connected' AND {ATTENTION} IS NOT NULL"
    ),
)
"""Who has to sign in again before long, however often their grant is refreshed, wants attention too."""

MIGRATIONS: tuple[tuple[str, ...], ...] = (_FIRST, _COUNTS, _SIGN_IN_DUE)
"""Step n turns schema version n into n + 1."""
