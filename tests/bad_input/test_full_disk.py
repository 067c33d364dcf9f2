"""A disk that is full, really: before a refresh, at the very moment of the commit; and one that may only be read."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from valetkey import ReauthorizationRequired, RefreshBusy, StoreUnavailable, Valet
from valetkey.engine.windows import CLAIM_LIFE, LISTEN

HOUR = 3600


def test_on_a_full_disk_nothing_is_sent_and_the_old_token_serves_while_it_lives(
    face: Any, refused: Any, stored: Any, disk: Any
) -> None:
    face.practice.connect("notes")
    client = face.client()
    client.get("/me")
    disk.fill()
    before = stored()

    face.practice.clock.advance(HOUR - 30)  # due, and not over yet
    assert client.get("/me").status_code == 200
    refused(client.refresh, StoreUnavailable, "store_full", str(disk.path))  # who asked for a new one is not fobbed off
    assert client.status().state == "connected"
    face.practice.clock.advance(31)
    error = refused(lambda: client.get("/me"), StoreUnavailable, "store_full", str(disk.path))

    assert f"df -h {disk.path}" in error.hint
    assert face.practice.provider.refresh_requests == 0, "the claim comes first, and it could not be written"
    assert stored() == before
    disk.make_room()
    assert client.get("/me").status_code == 200
    assert (face.practice.provider.refreshes, face.practice.provider.reuses) == (1, 0)


def test_who_asks_for_a_new_token_is_not_told_of_one_that_is_older_still(face: Any, refused: Any, disk: Any) -> None:
    face.practice.connect("notes")
    client = face.client()
    client.get("/me")
    with Valet(**face.practice._options()) as other:
        other.client("notes").refresh()
    disk.fill()

    refused(client.refresh, StoreUnavailable, "store_full")

    disk.make_room()
    assert client.refresh().state == "connected"


@pytest.mark.parametrize("change", ["connect", "connect another", "disconnect", "rename"])
def test_a_change_on_a_full_disk_fails_whole(face: Any, refused: Any, stored: Any, disk: Any, change: str) -> None:
    face.practice.connect("notes")
    face.client().get("/me")
    disk.fill()
    before = stored()
    changes = {
        "connect": lambda: face.valet.authorize("notes"),
        "connect another": lambda: face.valet.authorize("notes", owner="ben"),
        "disconnect": lambda: face.valet.disconnect("notes"),
        "rename": lambda: face.valet.rename("notes", to="work"),
    }

    refused(changes[change], StoreUnavailable, "store_full", str(disk.path))

    assert stored() == before
    assert face.practice.provider.revocations == 0
    disk.make_room()
    changes[change]()


class AtCommit:
    """A refresh whose answer is there when the disk becomes full."""

    def __init__(self, face: Any, disk: Any) -> None:
        self.face, self.disk = face, disk
        self.clock = face.practice.clock
        face.practice.connect("notes")
        self.client = face.client()
        self.old = self.client.get_access_token()

    def refresh(self) -> Any:
        """Return the token that a caller gets while the refresh is under way; fill the disk before its answer comes."""
        provider = self.face.practice.provider
        with provider.hold("token", after=True) as held, ThreadPoolExecutor(1) as other:
            call = other.submit(self.client.get_access_token)
            held.wait_for(1)
            self.disk.fill()
            held.release()
            return call.result(60)


def test_a_disk_that_is_full_at_the_commit_is_tried_for_a_minute(face: Any, refused: Any, sql: Any, disk: Any) -> None:
    """The provider has rotated: the answer is the only successor, and there is no place to keep it."""
    work = AtCommit(face, disk)
    facts = "SELECT version, state, sealed, access_fp, refresh_fp, failures, error, last_refresh_at FROM connection"
    before = sql(facts)
    work.clock.advance(HOUR + 1)
    began = work.clock.now()

    refused(work.refresh, StoreUnavailable, "store_full", str(disk.path))

    assert work.clock.now() - began == pytest.approx(LISTEN, abs=1)
    assert sql(facts) == before, "nothing of the answer is in the row"
    assert sql("PRAGMA integrity_check") == [("ok",)]
    assert face.practice.provider.refresh_requests == 1
    disk.make_room()
    work.clock.advance(HOUR)
    with pytest.raises(RefreshBusy):  # whoever was cut off from the store gets a claim's life to bring its answer
        work.client.get("/me")
    work.clock.advance(CLAIM_LIFE)
    with pytest.raises(ReauthorizationRequired) as caught:  # the provider takes the old one for a stolen one
        work.client.get("/me")
    assert caught.value.reason == "lost_in_rotation", "the honest reason: it is our side that lost it"
    assert face.practice.connect("notes").state == "connected"
    assert work.client.get("/me").status_code == 200


def test_room_that_comes_back_within_the_minute_saves_the_grant(face: Any, disk: Any) -> None:
    work = AtCommit(face, disk)
    work.clock.advance(HOUR + 1)
    waited: list[float] = []

    def sleep(seconds: float) -> None:
        waited.append(seconds)
        if sum(waited) > LISTEN / 2 and (disk.path / "ballast").exists():
            disk.make_room()
        work.clock.advance(seconds)

    work.clock.sleep = sleep
    token = work.refresh()

    assert len(waited) > 3, "it was tried again and again"
    assert face.practice.provider.is_live(token.reveal())
    assert work.client.get("/me").status_code == 200
    assert (face.practice.provider.refreshes, face.practice.provider.reuses) == (1, 0)


def test_while_a_full_disk_keeps_the_new_token_out_the_old_one_serves(face: Any, disk: Any) -> None:
    work = AtCommit(face, disk)
    work.clock.advance(HOUR - 100)  # refreshed ahead: the old token still has some time

    token = work.refresh()

    assert token == work.old
    assert work.client.get_access_token() == work.old
    assert work.client.get("/me").status_code == 200
    assert work.client.status().state == "connected"


def test_a_store_that_is_made_on_a_full_disk_leaves_no_half_key(face: Any, refused: Any, disk: Any) -> None:
    disk.fill()

    refused(lambda: face.valet.authorize("notes"), StoreUnavailable, "store_full", str(disk.path))

    face.valet.close()
    assert [path.name for path in disk.path.iterdir() if "key" in path.name] == []
    disk.make_room()
    assert face.practice.connect("notes").state == "connected"
    assert Path(disk.path / "key").read_text().count("\n") == 2


def test_on_a_disk_that_may_only_be_read_nothing_is_touched_and_nothing_is_sent(
    face: Any, refused: Any, restart: Any, disk: Any
) -> None:
    face.practice.connect("notes")
    face.practice.valet.close()
    restart()
    before = {path.name: path.read_bytes() for path in disk.path.iterdir()}
    face.practice.clock.advance(HOUR + 1)
    disk.remount("ro")

    for use in (lambda: face.client().get("/me"), lambda: face.client().refresh(), face.valet.connections):
        error = refused(use, StoreUnavailable, "store_read_only", str(disk.path), "Nothing was changed")

    assert "VALETKEY_HOME" in error.hint
    assert face.practice.provider.refresh_requests == 0
    assert {path.name: path.read_bytes() for path in disk.path.iterdir()} == before
    disk.remount("rw")
    assert face.client().get("/me").status_code == 200
