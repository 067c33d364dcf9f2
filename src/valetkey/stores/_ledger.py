"""What a store over a plain secret service leaves to its ledger as it is: documents, data keys and events."""

from __future__ import annotations

from collections.abc import Sequence

from valetkey.model.connections import Document, Event, Record
from valetkey.model.ports import Store


class LedgerPart:
    """The half of a store that the ledger does alone."""

    def __init__(self, ledger: Store) -> None:
        self.ledger: Store = ledger

    def store_id(self) -> str:
        """Return the id of the ledger."""
        return self.ledger.store_id()

    def now(self) -> float:
        """Return Unix seconds by the ledger's clock."""
        return self.ledger.now()

    def close(self) -> None:
        """Let go of the ledger's handles.  The secret service belongs to whoever made it."""
        self.ledger.close()

    # -- documents

    def get_document(self, kind: str, document_id: str, *, env: str = "") -> Document | None:
        """Return it, unless it is absent or past its `expires_at`."""
        return self.ledger.get_document(kind, document_id, env=env)

    def put_document(self, document: Document, *, expect: int | None = None) -> Document | None:
        """Store it.  `expect`: the version that must be there now (0: none; None: any).  None: it was not."""
        return self.ledger.put_document(document, expect=expect)

    def take_document(self, kind: str, document_id: str, *, env: str = "") -> Document | None:
        """Return and remove it in one atomic step: of two takers only one gets it."""
        return self.ledger.take_document(kind, document_id, env=env)

    def delete_document(self, kind: str, document_id: str, *, env: str = "") -> bool:
        """Remove it; False when it was not there."""
        return self.ledger.delete_document(kind, document_id, env=env)

    def list_documents(
        self, kind: str, *, env: str | None = "", after: str = "", limit: int = 1000
    ) -> Sequence[Document]:
        """Return documents of a kind in the order of (env, id), those with an id above `after`; env None: of all."""
        return self.ledger.list_documents(kind, env=env, after=after, limit=limit)

    # -- data keys

    def sealed_with(self, key_id: str, *, limit: int = 100) -> tuple[tuple[Record, ...], tuple[Document, ...]]:
        """Return up to `limit` documents sealed with that data key.  Records are none: token objects are not sealed."""
        return (), tuple(self.ledger.sealed_with(key_id, limit=limit)[1])

    def count_sealed(self, key_id: str) -> dict[str, int]:
        """Return how many documents of each kind are sealed with that data key; records are none."""
        return dict(self.ledger.count_sealed(key_id))

    def retire_key(self, key_id: str) -> bool:
        """Remove the ``data_key`` document with that id if nothing is sealed with it any more, atomically."""
        return self.ledger.retire_key(key_id)

    # -- events

    def append_event(self, event: Event) -> int:
        """Append it; returns its number."""
        return self.ledger.append_event(event)

    def list_events(
        self,
        *,
        env: str,
        connection_id: str | None = None,
        after: int = 0,
        limit: int = 100,
        newest_first: bool = False,
        before: int | None = None,
    ) -> Sequence[Event]:
        """Return events with a number above `after` and below `before`, oldest first unless `newest_first`."""
        return self.ledger.list_events(
            env=env, connection_id=connection_id, after=after, limit=limit, newest_first=newest_first, before=before
        )

    def forget_events(self, *, env: str, owner: str) -> int:
        """Take owner, account and details out of all events about an owner; returns of how many."""
        return self.ledger.forget_events(env=env, owner=owner)
