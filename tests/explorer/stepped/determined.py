"""What is random in the engine, made to depend on nothing but who asks how often."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from stepped.interleaving import running

from valetkey.engine import connect, storing, verdicts


def _text(size: int) -> str:
    racer = running()
    if racer is None:  # before the play begins
        return "-" * size
    racer.nonces += 1
    return f"{racer.name}{racer.nonces}".ljust(size, "-")


def _bytes(size: int) -> bytes:
    return _text(size).encode()


def _backoff(failures: int) -> float:
    return min(2.0**failures, 300.0)


def determine(patch: Any) -> None:
    """Take the chance out of the engine; `patch` is pytest's monkeypatch."""
    patch.setattr(connect, "secrets", SimpleNamespace(token_urlsafe=_text, token_bytes=_bytes))
    patch.setattr(storing, "new_connection_id", lambda: f"con_{_text(20)}")
    patch.setattr(verdicts, "backoff", _backoff)
