"""Hearing of changes: one thread for each store of a process, which listens to what each commit publishes.

A subscription that is silent may be one that is dead: the way cut without a word, or a server that is no longer the
primary.  So the thread has something published for itself every few seconds, on the way that writes take.  Only while
that comes back, `Ear.listening` is true.  Whoever watches is told None each time it becomes so.
"""

from __future__ import annotations

import json
import secrets
import socket
import threading
import time
import types
import weakref
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Final

from redis.exceptions import RedisError

from valetkey.errors import ValetkeyError, clean
from valetkey.logs import get_logger
from valetkey.model.connections import ConnectionKey
from valetkey.stores._bell import Bell
from valetkey.stores._redis_link import Link
from valetkey.stores._watchers import Tell, weakly

_log = get_logger("stores.redis")

_CHECK: Final = 3.0
"""Seconds from one look at whether the subscription lives to the next."""
_PATIENCE: Final = 2.0
"""Seconds in which what was published for ourselves must come back."""
_BLINK: Final = 1.0
"""Seconds after which the thread looks whether anybody still wants it."""
_FIRST_PAUSE: Final = 0.1
_LONGEST_PAUSE: Final = 5.0
_MESSAGE: Final = b"message"
_SUBSCRIBED: Final = b"subscribe"


def news(connection_id: str, keys: Sequence[ConnectionKey]) -> str:
    """Return what a commit publishes: which connection has changed, and all keys by which it is or was known."""
    told = [[key.env, key.credential, key.owner, key.account] for key in keys]
    return json.dumps({"id": connection_id, "keys": told}, separators=(",", ":"))


class Ear:
    """The listening of one store object.

    Args:
        link: The way to the server.
        channel: Where commits are published.
        bell: Rung when something was heard.
        whisper: Publishes on a channel, on the way that writes take.
    """

    def __init__(self, link: Link, channel: bytes, bell: Bell, whisper: Callable[[bytes], None]) -> None:
        self._link = link
        self._channel = channel
        self._bell = bell
        self._whisper = weakref.WeakMethod(whisper) if isinstance(whisper, types.MethodType) else lambda: whisper
        self._watchers: list[Callable[[], Tell | None]] = []
        self._awaited: dict[str, list[int]] = {}
        self.after_fork()

    def after_fork(self) -> None:
        """Start without a thread: the parent's is not here."""
        self._lock = threading.RLock()
        self._halt = threading.Event()
        self._thread: threading.Thread | None = None
        self._line: _Line | None = None
        self.listening: bool = False
        """Whether nothing is missed at present."""

    # -- for the store

    def add(self, tell: Tell) -> None:
        """Tell one more, a method as long as its object lives; the thread starts when the store is used."""
        with self._lock:
            self._watchers.append(weakly(tell))
            if self.listening:
                tell(None)

    def ensure(self) -> None:
        """Have a thread listen, if anybody wants to be told."""
        if self._thread is not None or not self._watchers:
            return
        with self._lock:
            if self._thread is None:
                self._halt = threading.Event()
                arguments = (weakref.ref(self), self._halt)
                thread = threading.Thread(target=_listen, args=arguments, name="valetkey-redis", daemon=True)
                with suppress(RuntimeError):  # none can be started at the end of the interpreter
                    thread.start()
                    self._thread = thread

    def close(self) -> None:
        """End the thread and wait for it."""
        with self._lock:
            thread, self._thread = self._thread, None
            self._halt.set()
            self.listening = False
            if self._line is not None:
                self._line.wake()
        if thread is not None and thread is not threading.current_thread():
            thread.join(self._link.timeout)

    @contextmanager
    def attend(self, connection_id: str) -> Generator[Callable[[], int]]:
        """Count what is heard of one connection while the block runs."""
        with self._lock:
            counters = self._awaited.setdefault(connection_id, [0, 0])
            counters[0] += 1
        try:
            yield lambda: counters[1]
        finally:
            with self._lock:
                counters[0] -= 1
                if not counters[0]:
                    self._awaited.pop(connection_id, None)

    def changed(self, connection_id: str) -> None:
        """Wake those that wait for a change of that connection."""
        with self._lock:
            counters = self._awaited.get(connection_id)
            if counters is not None:
                counters[1] += 1
        self._bell.ring()

    # -- for the thread

    def dial(self, halt: threading.Event) -> _Line | None:
        """Subscribe; None where the server does not answer now."""
        line = _Line(self._link.line(), self._channel)
        try:
            line.subscribe(self._link.timeout)
        except (RedisError, OSError, ValueError) as error:
            _log.debug("%s cannot be listened to: %s", self._link.place.shown, clean(error))
            line.close()
            return None
        with self._lock:
            if halt.is_set():
                line.close()
                return None
            self._line = line
            self._told(None)
            self.listening = True
        return line

    def deaf(self, line: _Line) -> None:
        """Say that something may be missed from now on."""
        with self._lock:
            if self._line is line:
                self._line = None
                self.listening = False
        self._bell.ring()

    def heard(self, message: bytes) -> None:
        """Tell what a commit published."""
        try:
            told = json.loads(message)
            connection_id, keys = told["id"], [ConnectionKey(*key) for key in told["keys"]]
        except (ValueError, TypeError, KeyError):
            if message:  # nothing is what a store that is being opened publishes, to see whether it may
                self._told(None)
            return
        for key in keys:
            self._told(key)
        self.changed(connection_id)

    def whisper(self, channel: bytes) -> bool:
        """Publish something for ourselves; False where that fails."""
        publish = self._whisper()
        try:
            if publish is not None:
                publish(channel)
        except ValetkeyError:
            return False
        return publish is not None

    def _living(self) -> list[Tell]:
        """Return who is to be told, and forget those who are gone."""
        with self._lock:
            known = [(watcher, watcher()) for watcher in self._watchers]
            self._watchers = [watcher for watcher, tell in known if tell is not None]
        return [tell for _, tell in known if tell is not None]

    def _told(self, key: ConnectionKey | None) -> None:
        for tell in self._living():
            try:
                tell(key)
            except Exception as error:  # noqa: BLE001 - it is the caller's own code
                _log.warning("who watches %s raised %s", self._link.place.shown, type(error).__name__)


class _Line:
    """A connection that is subscribed, and a channel of its own on which it hears itself."""

    def __init__(self, connection: Any, channel: bytes) -> None:
        self._connection = connection
        self._channel = channel
        self.own = b"%s:%s" % (channel, secrets.token_hex(8).encode())
        self.asked: float | None = None
        """Since when we wait to hear ourselves."""
        self.next_check = time.monotonic() + _CHECK

    def subscribe(self, patience: float) -> None:
        """Subscribe, and wait until the server says so."""
        self._connection.connect()
        self._connection.send_command("SUBSCRIBE", self._channel, self.own, check_health=False)
        for _ in range(2):
            if not self._connection.can_read(timeout=patience):
                msg = "no answer to SUBSCRIBE"
                raise TimeoutError(msg)
            if self._connection.read_response()[0] != _SUBSCRIBED:
                msg = "another answer than to SUBSCRIBE"
                raise ValueError(msg)

    def read(self) -> tuple[bytes, bytes] | None:
        """Return the channel and the text of the next message, None where there is none for a moment."""
        if not self._connection.can_read(timeout=_BLINK):
            return None
        kind, channel, message = self._connection.read_response()
        return (channel, message) if kind == _MESSAGE else None

    def wake(self) -> None:
        """Have a `read` in another thread return."""
        sock: Any = getattr(self._connection, "_sock", None)
        with suppress(OSError, AttributeError):
            sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the connection."""
        self._connection.disconnect()


def _listen(ear_ref: weakref.ref[Ear], halt: threading.Event) -> None:
    """Run as a thread, as long as anybody holds the ear."""
    pause = _FIRST_PAUSE
    while not halt.is_set():
        ear = ear_ref()
        line = None if ear is None else ear.dial(halt)
        gone = ear is None
        del ear
        if gone:
            return
        if line is None:
            halt.wait(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)
            continue
        pause = _FIRST_PAUSE
        try:
            _follow(line, ear_ref, halt)
        finally:
            line.close()


def _follow(line: _Line, ear_ref: weakref.ref[Ear], halt: threading.Event) -> None:
    """Pass on what is heard, until the line is dead."""
    while not halt.is_set():
        try:
            message = line.read()
        except (RedisError, OSError, ValueError, TypeError, AttributeError):
            message, alive = None, False
        else:
            alive = True
        ear = ear_ref()
        if ear is None:
            return
        if message is not None and message[0] != line.own:
            ear.heard(message[1])
        if not alive or not _lives(line, ear, heard_itself=message is not None and message[0] == line.own):
            ear.deaf(line)
            return
        del ear


def _lives(line: _Line, ear: Ear, *, heard_itself: bool) -> bool:
    """Whether what we publish for ourselves comes back."""
    now = time.monotonic()
    if heard_itself:
        line.asked, line.next_check = None, now + _CHECK
    if line.asked is not None:
        return now - line.asked < _PATIENCE
    if now >= line.next_check:
        line.asked = now
        return ear.whisper(line.own)
    return True
