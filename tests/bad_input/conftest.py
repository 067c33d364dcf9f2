"""What tests of bad input share: they look at an error from all sides, and do what its hint says."""

from __future__ import annotations

import shlex
import sqlite3
import subprocess
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from valetkey import Valet, ValetkeyError
from valetkey.cli.app import root
from valetkey.testing.provider import DEFAULT_CLIENT_SECRET

Rows = list[tuple[Any, ...]]


class Refusals:
    """Catches errors, and holds each to what every error owes."""

    def __init__(self, secrets: Callable[[], set[str]]) -> None:
        self._secrets = secrets

    def __call__(self, work: Callable[[], object], kind: type[ValetkeyError], code: str, *names: str) -> Any:
        """Return the error of `work`: of this kind and code, naming these things, with a hint, and without a secret."""
        with pytest.raises(ValetkeyError) as caught:
            work()
        error = caught.value
        assert (type(error), error.code) == (kind, code), f"{error} -> {error.hint}"
        assert [name for name in names if name not in str(error)] == [], str(error)
        assert error.hint
        told = "".join([str(error), error.hint, repr(error), *traceback.format_exception(error)])
        assert [secret for secret in self._secrets() if secret in told] == []
        return error


@pytest.fixture
def refused(face: Any) -> Refusals:
    def secrets() -> set[str]:
        key = face.practice._folder / "key"
        keys = {line.split()[-1] for line in key.read_text().splitlines()[1:]} if key.is_file() else set()
        return {*face.practice.provider.tokens_ever_issued(), DEFAULT_CLIENT_SECRET, *keys}

    return Refusals(secrets)


@pytest.fixture
def database(face: Any) -> Path:
    """Return the file of the practice's store."""
    path: Path = face.practice._folder / "practice.db"
    return path


@pytest.fixture
def sql(database: Path) -> Callable[..., Rows]:
    """Run one statement in the practice's store, past valetkey."""

    def run(statement: str, *values: Any) -> Rows:
        db = sqlite3.connect(database, isolation_level=None)
        try:
            return db.execute(statement, values).fetchall()
        finally:
            db.close()

    return run


@pytest.fixture
def stored(sql: Callable[..., Rows]) -> Callable[[], tuple[Rows, Rows]]:
    """Return all that the store holds of connections and documents, as it lies there.

    But for the time of the last use, which is noted in the background.
    """

    def read() -> tuple[Rows, Rows]:
        columns = ", ".join(name for _, name, *_ in sql("PRAGMA table_info(connection)") if name != "last_used_at")
        return (
            sql(f"SELECT {columns} FROM connection ORDER BY id"),  # noqa: S608 - names of columns
            sql("SELECT * FROM document WHERE kind <> 'declaration' ORDER BY kind, env, id"),
        )

    return read


@pytest.fixture
def restart(face: Any) -> Callable[[], None]:
    """Start the program anew, on the same store: nothing of keys and tokens is in memory any more."""

    def run() -> None:
        face.valet.close()
        if face.colour == "sync":
            face.practice.valet = Valet(**face.practice._options())
        else:
            del face.practice.async_valet

    return run


@pytest.fixture
def left(sql: Callable[..., Rows]) -> Callable[[], Rows]:
    """Return what a sign-in that was given up has left: connections, flows, leases."""
    return lambda: (
        sql("SELECT id FROM connection") + sql("SELECT kind, id FROM document WHERE kind IN ('flow', 'lease')")
    )


@pytest.fixture
def follow(database: Path) -> Callable[..., str]:
    """Run the ``valetkey`` command that a hint ends with, on the practice's store; return what it says."""

    def run(hint: str, *more: str, text: str = "") -> str:
        words = shlex.split(hint[hint.rindex("valetkey ") :])
        place = ["--store", str(database), "--key", str(database.parent / "key")]
        done = CliRunner().invoke(root, [*words[1:], *more, *place], input=text)
        assert done.exit_code == 0, done.output
        return done.output

    return run


class Disk:
    """A small disk of its own, to be filled."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._ballast = path / "ballast"

    def fill(self) -> None:
        with self._ballast.open("ab", buffering=0) as file:
            for size in (4096, 64, 1):
                with suppress(OSError):
                    while True:
                        file.write(b"x" * size)

    def make_room(self) -> None:
        self._ballast.unlink()

    def remount(self, mode: str) -> None:
        """Let it be read only (``ro``) or written too (``rw``); nothing may be open on it."""
        subprocess.run(["mount", "-o", f"remount,{mode}", str(self.path)], check=True, capture_output=True)


@contextmanager
def small_disk(path: Path, left_out: Any) -> Iterator[Disk]:
    """Mount a disk of one megabyte on a folder."""
    assert list(path.iterdir()) == []
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(path)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        left_out("The tests on a full disk do", "this user may not mount a small disk; run them as root")
    yield Disk(path)
    subprocess.run(["umount", "--lazy", str(path)], check=True)


@pytest.fixture
def disk(face: Any, left_out: Any) -> Iterator[Disk]:
    """Put the practice's store and key on a disk of one megabyte, before they are made."""
    with small_disk(face.practice._folder, left_out) as disk:
        yield disk


@pytest.fixture
def journal_disk(tmp_path: Path, left_out: Any) -> Iterator[Disk]:
    """Put the journal of this host on a disk of one megabyte."""
    folder = tmp_path / "home" / "valetkey" / "journal"
    folder.mkdir(parents=True)
    with small_disk(folder, left_out) as disk:
        yield disk
