"""A store of which some documents were read at once, for a page that needs one of each credential."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, cast

from valetkey.errors import StoreError
from valetkey.model.connections import Document
from valetkey.model.ports import Store

FEW: Final = 3
"""So many credentials are looked at one by one: what would be read at once may be more than they need."""
MOST: Final = 1000
"""Of a kind with more documents than this none is read at once."""


def glance(store: Store, env: str, *kinds: str) -> Store:
    """Return `store` as it is, but that it has read all documents of some kinds: one question for each kind.

    Each is given out once.  Who asks a second time, for one that could not be opened say, gets what is there then.
    """
    return cast("Store", _Glance(store, env, {kind: _all(store, env, kind) for kind in kinds}))


def _all(store: Store, env: str, kind: str) -> dict[str, Document] | None:
    try:
        found = store.list_documents(kind, env=env, limit=MOST)
    except StoreError as error:
        if error.code != "row_corrupt":
            raise
        return None  # a damaged one must not hide the others
    return {one.id: one for one in found} if len(found) < MOST else None


class _Glance:
    def __init__(self, store: Store, env: str, seen: Mapping[str, dict[str, Document] | None]) -> None:
        self._store = store
        self._env = env
        self._seen = seen
        self._given: set[tuple[str, str]] = set()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def get_document(self, kind: str, document_id: str, *, env: str = "") -> Document | None:
        seen = self._seen.get(kind) if env == self._env else None
        if seen is None or (kind, document_id) in self._given:
            return self._store.get_document(kind, document_id, env=env)
        self._given.add((kind, document_id))
        return seen.get(document_id)
