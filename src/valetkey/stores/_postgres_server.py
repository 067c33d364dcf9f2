"""The database of a Postgres store: connected to, checked, and brought to the current schema."""

from __future__ import annotations

import secrets
from contextlib import suppress
from typing import Final

import psycopg
from psycopg import errors as pg

from valetkey.stores import _postgres_errors as trouble
from valetkey.stores import _postgres_schema as schema
from valetkey.stores._postgres_pool import PATIENCE, Connection
from valetkey.stores._postgres_url import Place
from valetkey.stores._troubles import newer
from valetkey.values import Secret

MIGRATION_SECONDS: Final = 600.0
"""Seconds that one statement of a migration may take: it may go through all rows."""
BEGIN: Final = b"BEGIN ISOLATION LEVEL READ COMMITTED"
_VERSION: Final = (
    "SELECT id, schema_version, EXISTS (SELECT 1 FROM pg_catalog.pg_index"
    " WHERE indexrelid = to_regclass(%s) AND indisvalid) FROM {S}.store"
)
_TURN: Final = b"SELECT pg_advisory_xact_lock(hashtextextended('valetkey:' || %s, 0))"
_SCHEMA: Final = b"SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = %s"
_TABLE: Final = (
    b"SELECT 1 FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
    b" WHERE n.nspname = %s AND c.relname = 'store'"
)
"""Whether there are tables.  Not by `to_regclass`: to a session that looked for them a moment ago it may answer from
its cache, which hears of others' tables only when a relation is locked, as it is where a catalog is read."""
_ENCODING: Final = b"SELECT pg_encoding_to_char(encoding) FROM pg_database WHERE datname = current_database()"
_EXTENSION: Final = (
    b"SELECT n.nspname FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace"
    b" WHERE e.extname = 'pg_trgm'"
)


class Server:
    """Where the store is, and how connections to it are made."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.known_id = ""
        """The store's id, once a connection was made."""
        self.trigrams: bool | None = None
        """Whether a search can go by trigrams, as the last connection found it when it was made; None: none was."""
        self._texts: dict[str, bytes] = {}

    def sql(self, template: str) -> bytes:
        """Return a statement, with the schema in the place of ``{S}``."""
        text = self._texts.get(template)
        if text is None:
            text = self._texts[template] = template.replace("{S}", self.place.quoted_schema).encode()
        return text

    def open(self) -> Connection:
        """Open a connection to the store, whose tables are made where there were none.

        Raises:
            StoreUnavailable: The server does not answer, refuses the login, or is a replica.
            StoreError: The tables are newer, of another program, gone, or may not be used or made by this role.
            ConfigurationError: The database cannot hold all text.
        """
        connection = self.connect(self.place.conninfo)
        try:
            with trouble.translated(self.place):
                self.known_id = self._prepared(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def connect(self, conninfo: Secret) -> Connection:
        """Open a connection.  Nothing is prepared on it, so that a pooler may serve each transaction elsewhere."""
        try:
            return Connection.connect(conninfo.reveal(), autocommit=True, prepare_threshold=None)
        except psycopg.Error as error:
            raise trouble.connect_error(error, self.place) from error

    # -- the schema

    def _prepared(self, connection: Connection) -> str:
        """Return the store's id, after making what is missing."""
        found = self._version(connection)
        if found is None and self.known_id:
            raise trouble.MISSING(self.place)
        if found is None or found[1] < len(schema.MIGRATIONS):
            connection.patience = MIGRATION_SECONDS
            found = self._migrated(connection)
            connection.patience = PATIENCE
        return found[0]

    def _version(self, connection: Connection) -> tuple[str, int] | None:
        """Return the store's id and schema version, refusing what this code must not touch; None: no tables yet."""
        try:
            index = f"{self.place.quoted_schema}.{schema.TRIGRAM_INDEX}"
            rows = connection.execute(self.sql(_VERSION), (index,)).fetchall()
        except (pg.UndefinedTable, pg.InvalidSchemaName):
            return None
        except pg.UndefinedColumn as error:
            raise trouble.FOREIGN(self.place) from error
        if len(rows) != 1:
            raise trouble.FOREIGN(self.place)
        name, version, self.trigrams = str(rows[0][0]), int(rows[0][1]), bool(rows[0][2])
        if version > len(schema.MIGRATIONS):
            raise newer(self.place.url, version, len(schema.MIGRATIONS))
        return name, version

    def _migrated(self, connection: Connection) -> tuple[str, int]:
        """Run the steps that are missing, in one transaction, one process at a time."""
        try:
            connection.execute(BEGIN)
            connection.execute(_TURN, (self.place.schema,))
            found = self._version_in_turn(connection)
            self._make_schema(connection)
            for step in schema.MIGRATIONS[found[1] :]:
                for statement in step:
                    connection.execute(self.sql(statement))
            self._write_version(connection, found)
            self._make_trigrams(connection)
            connection.execute(b"COMMIT")
        except pg.InsufficientPrivilege as error:
            raise trouble.MAY_NOT_MAKE(self.place) from error
        except (pg.DuplicateTable, pg.DuplicateFunction) as error:
            raise trouble.FOREIGN(self.place) from error
        finally:
            with suppress(psycopg.Error):
                connection.rollback()
        return found[0], len(schema.MIGRATIONS)

    def _version_in_turn(self, connection: Connection) -> tuple[str, int]:
        """Look again: somebody else may have made the tables meanwhile.  For a new store, return a new id."""
        if connection.execute(_TABLE, (self.place.schema,)).fetchall():
            found = self._version(connection)
            if found is not None:
                return found
        encoding = str(connection.execute(_ENCODING).fetchall()[0][0])
        if encoding != "UTF8":
            raise trouble.encoding(self.place, encoding)
        return secrets.token_hex(16), 0

    def _make_schema(self, connection: Connection) -> None:
        if not connection.execute(_SCHEMA, (self.place.schema,)).fetchall():
            connection.execute(self.sql("CREATE SCHEMA {S}"))

    def _write_version(self, connection: Connection, found: tuple[str, int]) -> None:
        name, before = found
        steps = len(schema.MIGRATIONS)
        if before:
            connection.execute(self.sql("UPDATE {S}.store SET schema_version = %s"), (steps,))
        else:
            connection.execute(self.sql("INSERT INTO {S}.store VALUES (%s, %s)"), (name, steps))

    def _make_trigrams(self, connection: Connection) -> None:
        """Have searches go by trigrams, where the extension is there or this role can make it; else by beginnings."""
        found = connection.execute(_EXTENSION).fetchall() or self._extension(connection)
        for (where,) in found:
            quoted = '"' + str(where).replace('"', '""') + '"'
            connection.execute(self.sql(schema.TRIGRAMS.replace("{T}", quoted)))
        self.trigrams = bool(found)

    @staticmethod
    def _extension(connection: Connection) -> list[tuple[str]]:
        """Try to make the extension; return in which schema it is then, if anywhere: somebody else may have made it.

        Why it cannot be made makes no difference: it is not installed, the role may not, the server forbids it.
        """
        connection.execute(b"SAVEPOINT extension")
        try:
            connection.execute(schema.EXTENSION.encode())
        except psycopg.Error as error:
            if trouble.lost(error):
                raise
            connection.execute(b"ROLLBACK TO SAVEPOINT extension")
        return connection.execute(_EXTENSION).fetchall()
