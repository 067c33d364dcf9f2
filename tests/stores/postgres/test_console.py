"""The console over PostgreSQL."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from shared.console_over import walk_through


def test_its_pages_over_postgresql(postgres: Any, schema: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = postgres.url()
    walk_through(f"{url}{'&' if '?' in url else '?'}schema={schema}", tmp_path, monkeypatch)
