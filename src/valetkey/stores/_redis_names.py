"""The keys of one store in Redis, and members of sorted sets that keep the order of a list.

All keys of a store carry one hash tag, ``{valetkey:NAME}``: on a cluster they lie in one slot, so that a script may
touch any of them in one atomic step.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, unquote

from valetkey.model.connections import ConnectionKey, Document, Record
from valetkey.stores._rules import search_text, sort_key, stored_owner
from valetkey.stores._texts import bad_text

_END: Final = re.compile(rb"\0(?!\xff)")
MOST: Final = 100
"""How many connections a leaf holds.  A new name writes its leaf anew, about 15 kB where it is full."""
_LAST: Final = b"\xff"
"""Greater than any byte that UTF-8 uses to begin a character."""


def utf8(text: str) -> bytes:
    """Return text as bytes.

    Raises:
        ConfigurationError: It holds half of a surrogate pair (``text_invalid``).
    """
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise bad_text() from error


@dataclass(frozen=True, slots=True)
class Leaves:
    """Where the names of an environment's connections are (``_redis_leaves``).

    Attributes:
        bounds: A sorted set: where each leaf begins.
        names: A hash: the leaves.
        most: How many connections a leaf holds.
    """

    bounds: bytes
    names: bytes
    most: int


class Names:
    """Names of keys.  What comes from outside is percent-encoded in them, so that no part can look like another."""

    def __init__(self, name: str) -> None:
        self.tag: str = f"{{valetkey:{name}}}"
        self.meta: bytes = self._key("meta")
        self.nothing: bytes = self._key("nothing")
        """A key that never exists."""
        self.mark: bytes = self._key("mark")
        self.counter: bytes = self._key("events")
        self.expiry: bytes = self._key("expiry")
        self.channel: bytes = self._key("changes")

    def _key(self, kind: str, *parts: str) -> bytes:
        return ":".join([self.tag, kind, *(quote(utf8(part), safe="") for part in parts)]).encode()

    # -- connections

    def row(self, connection_id: str) -> bytes:
        """Name a hash: the connection."""
        return self._key("con", connection_id)

    def pointer(self, key: ConnectionKey) -> bytes:
        """Name a string: the id of the connection with that key."""
        return self._key("key", key.env, *sort_key(key))

    def leaves(self, env: str) -> Leaves:
        """Name a sorted set and a hash: all connections in order, with the texts in which a search looks."""
        return Leaves(self._key("bounds", env), self._key("names", env), MOST)

    def every_packed(self) -> str:
        """Name what leads to the sorted sets in which the first version held all names, as a pattern."""
        return f"{self.tag}:all:*"

    def env_of(self, packed: bytes) -> str:
        """Return the environment of such a sorted set."""
        return unquote(packed.decode().removeprefix(f"{self.tag}:all:"))

    def owned(self, env: str, owner: str | None) -> bytes:
        """Name a sorted set: the connections of an owner, in order."""
        return self._key("owner", env, stored_owner(owner))

    def in_state(self, env: str, state: str) -> bytes:
        """Name a sorted set: the connections in a state, in order."""
        return self._key("state", env, state)

    def lacking(self, env: str, scope: str) -> bytes:
        """Name a sorted set: the connections that were not given a scope which they asked for, in order."""
        return self._key("missing", env, scope)

    def due(self, env: str) -> bytes:
        """Name a sorted set: ids by when they are due."""
        return self._key("due", env)

    def attention(self, env: str) -> bytes:
        """Name a sorted set: connected connections by when they want a person's attention."""
        return self._key("attention", env)

    # -- documents, data keys, events

    def document(self, kind: str, env: str, document_id: str) -> bytes:
        """Name a hash: the document."""
        return self._key("doc", kind, env, document_id)

    def documents(self, kind: str) -> bytes:
        """Name a sorted set: the documents of a kind, by environment and id."""
        return self._key("docs", kind)

    def sealed(self, key_id: str) -> bytes:
        """Name a sorted set: all that is sealed with a data key, documents first."""
        return self._key("sealed", key_id)

    def events(self, env: str, connection_id: str | None = None) -> bytes:
        """Name a stream: the events of an environment, or those of one connection in it."""
        return self._key("log", env) if connection_id is None else self._key("log", env, connection_id)


# -- members -------------------------------------------------------------------------------------------------------


def ordered(*texts: str) -> bytes:
    """Return texts as bytes that sort as the tuple of texts does; each ends with a zero byte."""
    return b"".join(utf8(text).replace(b"\0", b"\0\xff") + b"\0" for text in texts)


def texts_of(member: bytes) -> list[str]:
    """Return the texts that `ordered` wrote, and as the last what follows them."""
    return [part.replace(b"\0\xff", b"\0").decode() for part in _END.split(member)]


def member(record: Record) -> bytes:
    """Return the member of a connection in its sorted sets."""
    return ordered(*sort_key(record.key)) + utf8(record.id)


def searched(record: Record) -> bytes:
    """Return the text of a connection in which a search looks."""
    return utf8(search_text(record))


def id_in(found: bytes) -> str:
    """Return the id in a member."""
    return _END.split(found, 3)[3].decode()


def after(position: tuple[str, ...]) -> bytes:
    """Return the lower bound of what lies after all connections at a position."""
    return b"(" + ordered(*position) + _LAST


def before(position: tuple[str, ...]) -> bytes:
    """Return the upper bound of what lies before all connections at a position."""
    return b"(" + ordered(*position)


def within(*first: str) -> tuple[bytes, bytes]:
    """Return the bounds of all members that begin with these texts."""
    start = ordered(*first)
    return (b"[" + start, b"(" + start + _LAST) if first else (b"-", b"+")


DOCUMENT_MARK: Final = b"d"
CONNECTION_MARK: Final = b"r"


def document_member(document: Document) -> bytes:
    """Return the member of a document among all that a data key seals, and among those that expire."""
    return DOCUMENT_MARK + ordered(document.kind, document.env) + utf8(document.id)


def connection_member(connection_id: str) -> bytes:
    """Return the member of a connection among all that a data key seals."""
    return CONNECTION_MARK + utf8(connection_id)
