"""A store that counts as one on a server: answers are written into the journal before they are brought to it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from valetkey import StoreUnavailable, Valet
from valetkey.keys import new_key
from valetkey.keys.text import write_keys
from valetkey.stores.sqlite import SQLiteStore
from valetkey.testing import Practice


class Elsewhere(SQLiteStore):
    """A database that does not count as this host's, and that may be down."""

    local = False
    down = False

    def swap(self, *args: Any, **more: Any) -> Any:
        if self.down:
            msg = "down"
            raise StoreUnavailable(msg)
        return super().swap(*args, **more)


def valet_elsewhere(practice: Practice, folder: Path) -> Valet:
    """Return a valet whose store is elsewhere, with an account that was just connected."""
    key = folder / "key"
    key.touch(0o600)
    key.write_text(write_keys([new_key()]))
    store = Elsewhere(folder / "elsewhere.db", clock=practice.clock)
    valet = Valet(**{**practice._options(), "store": store, "key": key})
    start = valet.authorize("notes")
    valet.finish(practice.provider.approve(start.url), binding=start.binding)
    return valet
