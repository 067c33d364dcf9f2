"""Helpers for the tests of stores."""

from __future__ import annotations

import os
import shutil
import sqlite3
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from valetkey.stores.sqlite import SQLiteStore
from valetkey.testing._contract_shared import Child

sys.path.insert(0, str(Path(__file__).parent))  # tests are not packages; what they share here is `sameness`

NOBODY = 65534


class DictService:
    """The simplest secret service there is; `calls` tells what was asked of it."""

    def __init__(self) -> None:
        self.kept: dict[str, str] = {}
        self.calls: list[str] = []

    def get(self, secret_id: str) -> str | None:
        self.calls.append("get")
        return self.kept.get(secret_id)

    def set(self, secret_id: str, value: str) -> None:
        self.calls.append("set")
        self.kept[secret_id] = value

    def delete(self, secret_id: str) -> None:
        self.calls.append("delete")
        self.kept.pop(secret_id, None)


@pytest.fixture
def service() -> DictService:
    return DictService()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "valetkey.db"


@pytest.fixture
def store(path: Path) -> Iterator[SQLiteStore]:
    store = SQLiteStore(path)
    yield store
    store.close()


@pytest.fixture
def sql(path: Path) -> Callable[..., list[tuple[Any, ...]]]:
    """Run one statement in the file, past the store."""

    def run(statement: str, *values: Any) -> list[tuple[Any, ...]]:
        db = sqlite3.connect(path, isolation_level=None)
        try:
            return db.execute(statement, values).fetchall()
        finally:
            db.close()

    return run


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user of the machine may enter."""
    folder = Path(tempfile.mkdtemp(prefix="valetkey-"))
    folder.chmod(0o755)
    yield folder
    for inside in [folder, *folder.rglob("*")]:
        inside.chmod(0o700)
    shutil.rmtree(folder)


@pytest.fixture
def as_plain_user() -> Callable[[Callable[[], Any]], Any]:
    """Run a function in a child process that may do no more than any user: root may write everything."""

    def run(work: Callable[[], Any]) -> Any:
        def child(_: Child) -> Any:
            if os.geteuid() == 0:
                os.setgroups([])
                os.setresgid(NOBODY, NOBODY, NOBODY)
                os.setresuid(NOBODY, NOBODY, NOBODY)
            return work()

        return Child(child).result()

    return run
