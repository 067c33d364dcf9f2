"""The console over Redis."""

from __future__ import annotations

from pathlib import Path

import pytest

from shared.console_over import walk_through


def test_its_pages_over_redis(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    walk_through(url, tmp_path, monkeypatch)
