"""A damaged row, a store of a newer schema, a file that is no store: told, left as it is, and the rest works."""

from __future__ import annotations

import shlex
import sqlite3
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from valetkey import ConfigurationError, DecryptionFailed, StoreError, ValetkeyError

HOUR = 3600
BEN = {"owner": "ben"}

BROKEN_JSON = "params = '{'"
NO_NUMBER = "expires_at = 'soon'"
CUT_OFF = "sealed = substr(sealed, 1, 20)"
EMPTY = "sealed = x''"
OF_ANOTHER = "sealed = (SELECT sealed FROM connection WHERE owner = '=eve')"
OF_AN_OLDER_VERSION = "version = version + 1"
NO_SUCH_KEY = "key_id = 'dk_gone'"

SEALED = [
    pytest.param(CUT_OFF, id="cut off"),
    pytest.param(EMPTY, id="empty"),
    pytest.param(OF_ANOTHER, id="copied over from another row"),
    pytest.param(OF_AN_OLDER_VERSION, id="of another version"),
    pytest.param(NO_SUCH_KEY, id="its data key is gone"),
]
CLEAR = [pytest.param(BROKEN_JSON, id="broken JSON"), pytest.param(NO_NUMBER, id="text for a number")]


@pytest.fixture
def damage(face: Any, sql: Any) -> Callable[[str], None]:
    """Connect three accounts; return what damages the row of one of them."""
    for owner in ("ada", "ben", "eve"):
        face.practice.connect("notes", owner=owner, login=owner)
    return lambda change: sql(f"UPDATE connection SET {change} WHERE owner = '=ben'")  # noqa: S608


def others_work(face: Any) -> bool:
    return all(face.client(owner=owner).get("/me").json()["login"] == owner for owner in ("ada", "eve"))


def row_of_ben(sql: Any) -> Any:
    return sql("SELECT * FROM connection WHERE owner = '=ben'")


@pytest.mark.parametrize("change", SEALED)
@pytest.mark.parametrize("expired", [pytest.param(False, id="valid"), pytest.param(True, id="expired")])
def test_a_damaged_grant_is_named_and_left_alone_until_it_is_connected_again(
    face: Any, refused: Any, damage: Any, sql: Any, change: str, expired: bool
) -> None:
    damage(change)
    face.practice.clock.advance(HOUR + 1 if expired else 1)
    before = row_of_ben(sql)

    for use in (
        lambda: face.client(**BEN).get("/me"),
        lambda: face.client(**BEN).get_access_token(),
        lambda: face.client(**BEN).refresh(),
    ):
        error = refused(use, DecryptionFailed, "sealed_broken", "notes/ben")

    assert row_of_ben(sql) == before, "not claimed, not marked, not overwritten"
    assert face.practice.provider.refresh_requests == 0
    assert error.hint.endswith("connect it again: valetkey connect notes --owner ben --env test")
    assert others_work(face)
    if change != OF_AN_OLDER_VERSION:  # there the copy of the row would be of another version
        rows = {row["owner"]: row for row in face.valet.export(include_tokens=True)}
        assert ["error" in rows[owner] for owner in ("ada", "ben", "eve")] == [False, True, False]
    face.practice.connect("notes", owner="ben", login="ben")
    assert face.client(**BEN).get("/me").json()["login"] == "ben"
    assert len(face.valet.connections()) == 3, "with the same row"


@pytest.mark.parametrize("change", CLEAR)
def test_a_damaged_row_is_named_and_kept_until_it_is_removed_as_the_hint_says(
    face: Any, refused: Any, damage: Any, sql: Any, restart: Any, database: Path, change: str
) -> None:
    damage(change)
    before = row_of_ben(sql)
    [[connection]] = sql("SELECT id FROM connection WHERE owner = '=ben'")

    for use in (
        lambda: face.client(**BEN).get("/me"),
        lambda: face.client(**BEN).refresh(),
        lambda: face.client(**BEN).status(),
        lambda: face.valet.disconnect("notes", **BEN),
        lambda: face.practice.connect("notes", owner="ben", login="ben"),
    ):
        error = refused(use, StoreError, "row_corrupt", connection, str(database))

    assert row_of_ben(sql) == before
    assert others_work(face)
    listed = {status.connection.owner: status for status in face.valet.connections()}
    assert (listed["ben"].state, listed["ben"].reason) == ("needs_reauth", "row_corrupt")
    assert listed["ben"].hint.endswith("valetkey refresh notes --owner ben --env test")
    assert [listed[owner].state for owner in ("ada", "eve")] == ["connected", "connected"]
    assert [row["owner"] for row in face.valet.export() if "error" in row] == ["ben"]
    _, file, statement = shlex.split(error.hint[error.hint.index("sqlite3 ") :])
    assert file == str(database)
    sql(statement)
    restart()
    assert face.client(**BEN).status().state == "pending"
    face.practice.connect("notes", owner="ben", login="ben")
    assert face.client(**BEN).get("/me").json()["login"] == "ben"
    assert others_work(face)


def test_a_damaged_secret_hides_no_connection(face: Any, sql: Any) -> None:
    """The app of one credential cannot be read: its connections say so, and those of others are as they were."""
    face.practice.connect("notes")
    face.practice.declare("other")
    face.practice.connect("other")
    secret_id = face.practice.wiring.credential("other").secret_id
    app = face.practice.secrets.get(secret_id)
    face.practice.secrets.delete(secret_id)
    options = {**face.practice._options(), "secrets": None}
    with type(face.practice.valet)(**options) as valet:
        for each in (secret_id, face.practice.wiring.credential("notes").secret_id):
            valet.secrets.set(each, app)
        for change, reason in ((CUT_OFF, "sealed_broken"), ("body = '{'", "row_corrupt")):
            sql(f"UPDATE document SET {change} WHERE kind = 'secret' AND id = ?", secret_id)  # noqa: S608

            states = {status.connection.credential: (status.state, status.reason) for status in valet.connections()}

            assert states == {"notes": ("connected", ""), "other": ("app_error", reason)}
            assert valet.client("other").get("/me").status_code == 200, "a valid token needs no app"


def test_a_damaged_record_of_a_declaration_is_written_anew_from_the_code(face: Any, sql: Any, restart: Any) -> None:
    face.practice.connect("notes")
    whole = sql("SELECT body FROM document WHERE kind = 'declaration'")
    for body in ("{", "[]", "{}"):
        sql("UPDATE document SET body = ? WHERE kind = 'declaration'", body)
        restart()

        assert face.client().get("/me").status_code == 200
        assert sql("SELECT body FROM document WHERE kind = 'declaration'") == whole


@pytest.mark.parametrize("body", ["{", "[]", "{}"])
def test_a_damaged_data_key_is_never_advised_to_be_removed(
    face: Any, sql: Any, restart: Any, stored: Any, body: str
) -> None:
    """Everything is sealed with it: removing the row would lose all connections."""
    face.practice.connect("notes")
    whole = sql("SELECT body FROM document WHERE kind = 'data_key'")[0][0]
    sql("UPDATE document SET body = ? WHERE kind = 'data_key'", body)
    restart()
    before = stored()

    with pytest.raises(StoreError) as caught:
        face.client().get("/me")

    assert "DELETE" not in caught.value.hint
    assert "backup" in caught.value.hint
    assert stored() == before
    sql("UPDATE document SET body = ? WHERE kind = 'data_key'", whole)
    assert face.client().get("/me").status_code == 200


# -- the file


USES = [
    pytest.param(lambda face: face.client().get("/me"), id="call"),
    pytest.param(lambda face: face.client().status(), id="status"),
    pytest.param(lambda face: face.valet.connections(), id="list"),
    pytest.param(lambda face: face.client().refresh(), id="refresh"),
    pytest.param(lambda face: face.valet.authorize("notes"), id="connect"),
    pytest.param(lambda face: face.valet.disconnect("notes"), id="disconnect"),
    pytest.param(lambda face: list(face.valet.export()), id="export"),
]


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


@pytest.mark.parametrize("use", USES)
def test_a_store_of_a_newer_valetkey_is_not_touched(
    face: Any, refused: Any, restart: Any, database: Path, use: Callable[[Any], object]
) -> None:
    face.practice.connect("notes")
    face.practice.valet.close()
    restart()
    with sqlite3.connect(database) as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    before = files(database.parent)

    error = refused(lambda: use(face), StoreError, "store_newer", str(database), "99")

    face.valet.close()
    assert files(database.parent) == before
    assert "pip install --upgrade valetkey" in error.hint


@pytest.mark.parametrize("use", USES)
def test_a_file_that_is_no_store_is_not_touched(
    face: Any, refused: Any, restart: Any, database: Path, use: Callable[[Any], object]
) -> None:
    restart()
    database.write_bytes(b"Dear diary, today I wrote no database.\n" * 200)
    before = files(database.parent)

    error = refused(lambda: use(face), StoreError, "store_corrupt", str(database))

    face.valet.close()
    assert files(database.parent) == before
    subprocess.run(shlex.split(error.hint[error.hint.index("mv ") :]), check=True)
    assert face.client().status().state == "pending"
    assert face.practice.connect("notes").state == "connected"


def test_a_folder_in_the_place_of_the_store_is_told_and_moved_as_the_hint_says(
    face: Any, refused: Any, restart: Any, database: Path, caplog: pytest.LogCaptureFixture
) -> None:
    restart()
    database.mkdir(mode=0o755)

    error = refused(lambda: face.client().get("/me"), ConfigurationError, "store_path", str(database), "folder")

    assert "chmod" not in caplog.text, "of a folder nobody says that it should be mode 600"
    assert list(database.iterdir()) == []
    face.valet.close()
    subprocess.run(shlex.split(error.hint[error.hint.index("mv ") :]), check=True)
    assert face.practice.connect("notes").state == "connected"


def test_what_went_wrong_once_does_not_stick(face: Any, restart: Any, database: Path) -> None:
    """A long-running program comes back by itself when its store does."""
    face.practice.connect("notes")
    face.practice.valet.close()
    restart()
    saved = database.rename(database.with_suffix(".saved"))
    database.write_bytes(b"x" * 4096)
    with pytest.raises(ValetkeyError):
        face.client().get("/me")

    saved.replace(database)

    assert face.client().get("/me").status_code == 200
