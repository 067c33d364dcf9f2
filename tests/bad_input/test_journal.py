"""The journal's disk is full or read-only: the refresh goes on, and somebody is told, once."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from shared.elsewhere import valet_elsewhere
from valetkey import Valet
from valetkey.testing import Practice

HOUR = 3600


@pytest.fixture
def valet(practice: Practice, tmp_path: Path) -> Iterator[Valet]:
    valet = valet_elsewhere(practice, tmp_path)
    yield valet
    valet.close()


def refresh(practice: Practice, valet: Valet, times: int) -> None:
    for _ in range(times):
        practice.clock.advance(HOUR + 1)
        assert valet.client("notes").get("/me").status_code == 200


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


@pytest.mark.parametrize("trouble", ["full", "read-only"])
def test_a_refresh_goes_on_without_its_net(
    practice: Practice, journal_disk: Any, valet: Valet, trouble: str, caplog: pytest.LogCaptureFixture
) -> None:
    if trouble == "full":
        journal_disk.fill()
    else:
        journal_disk.remount("ro")

    refresh(practice, valet, 3)

    assert practice.provider.refreshes == 3
    (told,) = warnings(caplog)
    assert "an answer could not be kept on this host until the store has it" in told
    left = [path for path in journal_disk.path.rglob("*") if path.is_file() and path.name != "ballast"]
    assert left == [], "nothing half written lies about"


def test_it_is_kept_again_as_soon_as_there_is_room(
    practice: Practice, journal_disk: Any, valet: Valet, caplog: pytest.LogCaptureFixture
) -> None:
    journal_disk.fill()
    refresh(practice, valet, 1)
    journal_disk.make_room()

    refresh(practice, valet, 1)

    assert [path.suffix for path in journal_disk.path.rglob("*") if path.is_file()] == [".done"]
    assert len(warnings(caplog)) == 1
