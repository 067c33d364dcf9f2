"""All of a list, read page by page as it is needed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from valetkey.model.connections import Document, Query, Record
from valetkey.model.ports import Store

RECORDS: Final = 500
DOCUMENTS: Final = 200


def each_record(store: Store, query: Query) -> Iterator[Record]:
    """Yield all connections that a query asks for, in order; those that come meanwhile too, where they lie ahead."""
    cursor: str | None = None
    while True:
        found = store.list(query, cursor=cursor, limit=RECORDS)
        yield from found.items
        cursor = found.cursor
        if cursor is None:
            return


def each_document(store: Store, kind: str, *, env: str = "", after: str = "") -> Iterator[Document]:
    """Yield all documents of a kind with an id above `after`, in the order of their ids."""
    while True:
        found = store.list_documents(kind, env=env, after=after, limit=DOCUMENTS)
        yield from found
        if len(found) < DOCUMENTS:
            return
        after = found[-1].id
