"""The master key is missing, unreadable, wrong or damaged: never a second key, never "not connected"."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from valetkey import ConfigurationError, DecryptionFailed, NotConnected, StoreError
from valetkey.keys import new_key
from valetkey.keys.text import write_keys

HOUR = 3600

Uses = dict[str, Callable[[], object]]


def sign_in(face: Any, owner: str | None = None) -> Any:
    start = face.valet.authorize("notes", owner=owner)
    callback = face.practice.provider.approve(start.url)
    return face.valet.finish(callback, binding=start.binding, owner=owner)


@pytest.fixture
def key(face: Any) -> Path:
    """Return the key file of a practice in which two accounts are connected and a secret is kept."""
    face.practice.connect("notes")
    face.practice.connect("notes", owner="ben", login="ben")
    file: Path = face.practice._folder / "key"
    return file


@pytest.fixture
def uses(face: Any) -> Uses:
    """Return all that needs the key."""
    return {
        "call": lambda: face.client().get("/me"),
        "token": lambda: face.client().get_access_token(),
        "refresh": lambda: face.client().refresh(),
        "connect again": lambda: sign_in(face),
        "connect another": lambda: sign_in(face, owner="eve"),
        "export": lambda: list(face.valet.export(include_tokens=True)),
        "token object": lambda: face.valet.secrets.get("notes-oauth-token"),
    }


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if not path.name.startswith("practice.db")}


def lose(key: Path) -> None:
    key.unlink()


def lock_away(key: Path) -> None:
    key.unlink()
    key.mkdir()


def replace(key: Path) -> None:
    key.write_text(write_keys([new_key()]))


def put_back(key: Path, right: str) -> None:
    if key.is_dir():
        key.rmdir()
    key.write_text(right)
    key.chmod(0o600)


def cut_off(key: Path) -> None:
    key.write_text(key.read_text()[:-20])


def empty(key: Path) -> None:
    key.write_text("")


@pytest.mark.parametrize(
    ("spoil", "kind", "code", "named"),
    [
        pytest.param(lose, DecryptionFailed, "key_missing", "key", id="missing"),
        pytest.param(lock_away, ConfigurationError, "key_unreadable", "directory", id="unreadable"),
        pytest.param(replace, DecryptionFailed, "key_wrong", "key", id="wrong"),
        pytest.param(cut_off, ConfigurationError, "key_invalid", "line 2", id="cut off"),
        pytest.param(empty, ConfigurationError, "key_invalid", "holds no key", id="empty"),
    ],
)
def test_without_the_right_key_nothing_is_read_made_or_overwritten(
    face: Any,
    refused: Any,
    restart: Any,
    stored: Any,
    key: Path,
    uses: Uses,
    spoil: Callable[[Path], None],
    kind: Any,
    code: str,
    named: str,
) -> None:
    right = key.read_text()
    face.practice.clock.advance(HOUR + 1)
    restart()
    spoil(key)
    before, there = stored(), files(key.parent)

    for use in uses.values():
        refused(use, kind, code, str(key), named)

    assert stored() == before, "every byte of every row"
    assert files(key.parent) == there, "no second key, and nothing half written"
    assert face.client().status().state == "connected", "what can be told without the key is told"
    assert len(face.valet.connections()) == 2
    assert face.practice.provider.refresh_requests == 0, "what could not be stored is not asked for"
    put_back(key, right)
    assert face.client().get("/me").status_code == 200, "the same valet goes on once the key is back"
    restart()
    assert face.client(owner="ben").get("/me").json()["login"] == "ben"


@pytest.mark.parametrize("spoil", [pytest.param(lose, id="missing"), pytest.param(replace, id="wrong")])
def test_without_the_right_key_no_secret_is_stored_under_another(
    face: Any, refused: Any, stored: Any, key: Path, spoil: Callable[[Path], None]
) -> None:
    right = key.read_text()
    options = {**face.practice._options(), "secrets": None}
    with type(face.practice.valet)(**options) as valet:
        valet.secrets.set("mail", "kept")
    spoil(key)
    before = stored()

    with type(face.practice.valet)(**options) as valet:
        for use in (lambda: valet.secrets.set("mail", "new"), lambda: valet.secrets.get("mail")):
            refused(use, DecryptionFailed, "key_missing" if spoil is lose else "key_wrong")

    assert stored() == before
    put_back(key, right)
    with type(face.practice.valet)(**options) as valet:
        assert valet.secrets.get("mail") == "kept"


def test_a_folder_in_the_place_of_the_key_is_moved_as_the_hint_says(
    face: Any, refused: Any, restart: Any, key: Path
) -> None:
    saved = shutil.copy(key, key.parent / "saved")
    restart()
    lock_away(key)
    error = refused(lambda: face.client().get("/me"), ConfigurationError, "key_unreadable", str(key))

    subprocess.run(shlex.split(error.hint[error.hint.rindex("mv ") :]), check=True)
    Path(saved).rename(key)

    assert face.client().get("/me").status_code == 200


def test_a_key_that_is_lost_for_good_costs_the_grants_and_not_the_program(
    face: Any, refused: Any, restart: Any, key: Path, database: Path
) -> None:
    """What the hint says for that case: the store goes aside, and one connects anew."""
    restart()
    lose(key)
    error = refused(lambda: face.client().get("/me"), DecryptionFailed, "key_missing")
    assert "connect anew in an empty store: move the store's file away" in error.hint

    restart()
    database.rename(database.with_suffix(".lost"))
    with pytest.raises(NotConnected):
        face.client().get("/me")
    sign_in(face)

    assert face.client().get("/me").status_code == 200
    assert key.is_file()


def test_an_app_secret_that_cannot_be_opened_is_no_fault_of_the_app(face: Any, key: Path) -> None:
    """It is kept in the store as the connections are: the status tells of the key, and not of a wrong client secret."""
    secret_id = face.practice.wiring.credential("notes").secret_id
    app = face.practice.secrets.get(secret_id)
    face.practice.secrets.delete(secret_id)
    options = {**face.practice._options(), "secrets": None}
    with type(face.practice.valet)(**options) as valet:
        valet.secrets.set(secret_id, app)
        assert valet.client("notes").status().state == "connected"
    for spoil, kind, code in ((lose, StoreError, "key_missing"), (lock_away, ConfigurationError, "key_unreadable")):
        spoil(key)
        with type(face.practice.valet)(**options) as valet, pytest.raises(kind) as caught:
            valet.client("notes").status()
        assert caught.value.code == code
        key.touch(exist_ok=True)
