"""The tables of the Postgres store, as steps from each schema version to the next.

The row of the table ``store`` counts the steps that a database has seen.  A step that was released is never changed: a
new one is added.  ``{S}`` stands for the schema.  Column names are those of the SQLite store (`_rows.COLUMNS`).  All
that is compared or listed in order has the collation "C": the order of the contract is that of code points, whatever
the database's own language.
"""

from __future__ import annotations

from typing import Final

from valetkey.stores._where import ATTENTION, FIRST_ATTENTION

LONGEST: Final = 100
"""Characters of a line that the indexes of beginnings hold: they take no long ones."""

_FIRST: Final = (
    "CREATE TABLE {S}.store (id text NOT NULL, schema_version integer NOT NULL)",
    # The store's clock (R3).  Not now(), which stands still within a transaction.
    """
    CREATE FUNCTION {S}.unix_now() RETURNS double precision LANGUAGE sql VOLATILE PARALLEL SAFE
    AS 'SELECT EXTRACT(EPOCH FROM pg_catalog.clock_timestamp())::double precision'
    """,
    # True, or an error: a pooler may lead a connection that began at the primary to a replica later.
    """
    CREATE FUNCTION {S}.on_primary() RETURNS boolean LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
    BEGIN
        IF pg_catalog.pg_is_in_recovery() THEN
            RAISE EXCEPTION 'this server is a replica' USING ERRCODE = 'read_only_sql_transaction';
        END IF;
        RETURN true;
    END $$
    """,
    # Claims change no indexed column: with room in the page, PostgreSQL leaves the indexes alone.
    """
    CREATE TABLE {S}.connection (
        id text COLLATE "C" PRIMARY KEY,
        env text COLLATE "C" NOT NULL,
        credential text COLLATE "C" NOT NULL,
        owner text COLLATE "C" NOT NULL,
        account text COLLATE "C" NOT NULL,
        search text COLLATE "C" NOT NULL,
        incarnation bigint NOT NULL,
        version bigint NOT NULL,
        claim_holder text,
        claim_until double precision,
        claim_spending text,
        doubt bigint NOT NULL,
        state text COLLATE "C" NOT NULL,
        reason text NOT NULL,
        error text COLLATE "C" NOT NULL,
        failures bigint NOT NULL,
        next_try_at double precision,
        cooldown_until double precision,
        expires_at double precision,
        refresh_expires_at double precision,
        obtained_at double precision,
        learnt_lifetime double precision,
        client_id text NOT NULL,
        issuer text NOT NULL,
        token_origin text NOT NULL,
        refreshable smallint NOT NULL,
        access_fp text NOT NULL,
        refresh_fp text NOT NULL,
        secret_id text NOT NULL,
        created_at double precision NOT NULL,
        connected_at double precision,
        last_refresh_at double precision,
        last_used_at double precision,
        due_at double precision,
        key_id text COLLATE "C",
        granted text NOT NULL,
        requested text NOT NULL,
        identity text,
        params text NOT NULL,
        tags text NOT NULL,
        error_text text NOT NULL,
        sealed bytea
    ) WITH (fillfactor = 80)
    """,
    "ALTER TABLE {S}.connection ALTER COLUMN sealed SET STORAGE EXTERNAL",  # what is sealed cannot be compressed
    "CREATE UNIQUE INDEX connection_key ON {S}.connection (env, credential, owner, account)",
    "CREATE INDEX connection_owner ON {S}.connection (env, owner, credential, account)",
    "CREATE INDEX connection_state ON {S}.connection (env, state, credential, owner, account)",
    "CREATE INDEX connection_error ON {S}.connection (env, error) WHERE error <> ''",
    "CREATE INDEX connection_due ON {S}.connection (env, due_at) WHERE due_at IS NOT NULL",
    "CREATE INDEX connection_next_try ON {S}.connection (next_try_at) WHERE next_try_at IS NOT NULL",
    "CREATE INDEX connection_key_id ON {S}.connection (key_id) WHERE key_id IS NOT NULL",
    # Which scopes were asked for and not given: a table of its own, so that a page of them is found by an index.
    """
    CREATE TABLE {S}.missing_scope (
        env text COLLATE "C" NOT NULL,
        scope text COLLATE "C" NOT NULL,
        credential text COLLATE "C" NOT NULL,
        owner text COLLATE "C" NOT NULL,
        account text COLLATE "C" NOT NULL,
        connection_id text COLLATE "C" NOT NULL REFERENCES {S}.connection (id) ON DELETE CASCADE,
        PRIMARY KEY (env, scope, credential, owner, account)
    )
    """,
    "CREATE INDEX missing_scope_connection ON {S}.missing_scope (connection_id)",
    """
    CREATE TABLE {S}.document (
        kind text COLLATE "C" NOT NULL,
        env text COLLATE "C" NOT NULL,
        id text COLLATE "C" NOT NULL,
        version bigint NOT NULL,
        expires_at double precision,
        key_id text COLLATE "C",
        body text NOT NULL,
        sealed bytea,
        PRIMARY KEY (kind, env, id)
    )
    """,
    "CREATE INDEX document_expiry ON {S}.document (expires_at) WHERE expires_at IS NOT NULL",
    "CREATE INDEX document_key_id ON {S}.document (key_id) WHERE key_id IS NOT NULL",
    """
    CREATE TABLE {S}.event (
        seq bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
        env text COLLATE "C" NOT NULL,
        connection_id text COLLATE "C" NOT NULL,
        kind text NOT NULL,
        at double precision NOT NULL,
        credential text NOT NULL,
        owner text NOT NULL,
        account text NOT NULL,
        actor text NOT NULL,
        detail text NOT NULL
    )
    """,
    "CREATE INDEX event_env ON {S}.event (env, seq)",
    "CREATE INDEX event_connection ON {S}.event (env, connection_id, seq)",
)

_SEARCH: Final = (
    # What a search reads through where it cannot go by trigrams: a tenth of the bytes of the connections themselves,
    # and nothing that a refresh writes.
    """
    CREATE TABLE {S}.search_text (
        env text COLLATE "C" NOT NULL,
        credential text COLLATE "C" NOT NULL,
        owner text COLLATE "C" NOT NULL,
        account text COLLATE "C" NOT NULL,
        connection_id text COLLATE "C" NOT NULL REFERENCES {S}.connection (id) ON DELETE CASCADE,
        search text COLLATE "C" NOT NULL,
        PRIMARY KEY (env, credential, owner, account)
    )
    """,
    "CREATE UNIQUE INDEX search_text_connection ON {S}.search_text (connection_id)",
    "INSERT INTO {S}.search_text SELECT env, credential, owner, account, id, search FROM {S}.connection",
    # By whatever name the schema goes then.
    """
    CREATE FUNCTION {S}.keep_search_text() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF TG_OP = 'INSERT' THEN
            EXECUTE pg_catalog.format('INSERT INTO %I.search_text VALUES ($1, $2, $3, $4, $5, $6)', TG_TABLE_SCHEMA)
                USING NEW.env, NEW.credential, NEW.owner, NEW.account, NEW.id, NEW.search;
        ELSE
            EXECUTE pg_catalog.format('UPDATE %I.search_text SET env = $1, credential = $2, owner = $3, account = $4,'
                ' connection_id = $5, search = $6 WHERE connection_id = $7', TG_TABLE_SCHEMA)
                USING NEW.env, NEW.credential, NEW.owner, NEW.account, NEW.id, NEW.search, OLD.id;
        END IF;
        RETURN NULL;
    END $$
    """,
    """
    CREATE TRIGGER search_text_created AFTER INSERT ON {S}.connection
    FOR EACH ROW EXECUTE FUNCTION {S}.keep_search_text()
    """,
    """
    CREATE TRIGGER search_text_changed AFTER UPDATE OF env, credential, owner, account, search ON {S}.connection
    FOR EACH ROW EXECUTE FUNCTION {S}.keep_search_text()
    """,
    "DROP INDEX IF EXISTS {S}.connection_search",  # trigrams, which stand with the new table now
)

_COUNTS: Final = (
    # Counts, kept in the transaction of each write.  The two rows that a change touches are locked in one order, so
    # that of two changes neither waits for the other for ever.
    """
    CREATE TABLE {S}.state_count (
        env text COLLATE "C" NOT NULL,
        credential text COLLATE "C" NOT NULL,
        state text COLLATE "C" NOT NULL,
        n bigint NOT NULL,
        PRIMARY KEY (env, credential, state)
    ) WITH (fillfactor = 50)
    """,
    """
    INSERT INTO {S}.state_count
        SELECT env, credential, state, count(*) FROM {S}.connection GROUP BY env, credential, state
    """,
    # A statement that makes many rows counts them once: a count that is written over and over in one transaction grows
    # slower with each time.
    """
    CREATE FUNCTION {S}.count_created() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        EXECUTE pg_catalog.format(
            'INSERT INTO %I.state_count AS c SELECT env, credential, state, count(*) FROM made'
            ' GROUP BY env, credential, state ORDER BY env, credential, state'
            ' ON CONFLICT (env, credential, state) DO UPDATE SET n = c.n + excluded.n', TG_TABLE_SCHEMA);
        RETURN NULL;
    END $$
    """,
    """
    CREATE TRIGGER state_count_created AFTER INSERT ON {S}.connection
    REFERENCING NEW TABLE AS made FOR EACH STATEMENT EXECUTE FUNCTION {S}.count_created()
    """,
    """
    CREATE FUNCTION {S}.keep_state_count() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF TG_OP = 'UPDATE' THEN
            IF (NEW.env, NEW.credential, NEW.state) = (OLD.env, OLD.credential, OLD.state) THEN
                RETURN NULL;
            END IF;
        END IF;
        EXECUTE pg_catalog.format(
            'INSERT INTO %I.state_count AS c SELECT * FROM (VALUES ($1, $2, $3, 1::bigint), ($4, $5, $6, -1::bigint))'
            ' AS d (env, credential, state, n) WHERE d.env IS NOT NULL ORDER BY d.env, d.credential, d.state'
            ' ON CONFLICT (env, credential, state) DO UPDATE SET n = c.n + excluded.n', TG_TABLE_SCHEMA)
            USING CASE WHEN TG_OP = 'UPDATE' THEN NEW.env END, CASE WHEN TG_OP = 'UPDATE' THEN NEW.credential END,
                CASE WHEN TG_OP = 'UPDATE' THEN NEW.state END, OLD.env, OLD.credential, OLD.state;
        RETURN NULL;
    END $$
    """,
    """
    CREATE TRIGGER state_count_kept AFTER DELETE OR UPDATE OF env, credential, state ON {S}.connection
    FOR EACH ROW EXECUTE FUNCTION {S}.keep_state_count()
    """,
    # Most rows are not in it: what renews itself wants nobody's attention.
    (
        f"CREATE INDEX connection_attention ON {{S}}.connection (env, {FIRST_ATTENTION}, credential)"
        f" WHERE state = 'connected' AND {FIRST_ATTENTION} IS NOT NULL"
    ),
)

BEGINNINGS: Final = tuple(f"left(split_part(search, E'\\n', {number}), {LONGEST})" for number in range(1, 8))
"""The beginnings of the lines of what is searched (`_rules.search_text`), word for word as in the indexes."""

_BEGINNINGS: Final = tuple(
    f"CREATE INDEX search_text_beginning_{number} ON {{S}}.search_text (env, ({line}) text_pattern_ops)"
    for number, line in enumerate(BEGINNINGS, start=1)
)
"""What a search goes by where there are no trigrams."""

_SIGN_IN_DUE: Final = (
    "ALTER TABLE {S}.connection ADD COLUMN sign_in_due_at double precision",
    "DROP INDEX {S}.connection_attention",
    (
        f"CREATE INDEX connection_attention ON {{S}}.connection (env, {ATTENTION}, credential)"
        f" WHERE state = 'connected' AND {ATTENTION} IS NOT NULL"
    ),
)
"""Who has to sign in again before long, however often their grant is refreshed, wants attention too."""

MIGRATIONS: tuple[tuple[str, ...], ...] = (_FIRST, _SEARCH, _COUNTS, _BEGINNINGS, _SIGN_IN_DUE)
"""Step n turns schema version n into n + 1."""

EXTENSION: Final = "CREATE EXTENSION IF NOT EXISTS pg_trgm"
"""Any role may run it that may make schemas in the database: the extension is a trusted one since PostgreSQL 13."""

TRIGRAM_INDEX: Final = "search_text_trigrams"
TRIGRAMS: Final = (
    f"CREATE INDEX IF NOT EXISTS {TRIGRAM_INDEX} ON {{S}}.search_text USING gin (search {{T}}.gin_trgm_ops)"
)
"""What a search for any part of a text goes by, with the extension pg_trgm in the schema ``{T}``."""
