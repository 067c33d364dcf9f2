"""What the tests of this folder get besides: a keyring of the operating system."""

from __future__ import annotations

from shared.memory_keyring import os_keyring

__all__ = ["os_keyring"]
