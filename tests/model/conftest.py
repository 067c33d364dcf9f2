"""What the tests of this folder get besides: stores, and what seals."""

from __future__ import annotations

from shared.sealed_stores import clock, keys, store, vault

__all__ = ["clock", "keys", "store", "vault"]
