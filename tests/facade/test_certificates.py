"""The end of an app's certificate is told: by the log, by an event, and to those who look (RFC 8705)."""

from __future__ import annotations

import json
import logging
import time
from typing import Any

import pytest

from shared.certificates import self_signed
from valetkey.working import run_worker

DAY = 86400.0


@pytest.fixture
def place(face: Any) -> Any:
    """A service whose tokens are bound to its certificate, which lives for 40 days from now."""
    practice = face.practice
    practice.clock.set(time.time())
    practice.declare(
        "bank",
        grant="client_credentials",
        scopes=["notes.read"],
        sender_constraint="mtls",
        issuer="https://bank.example",
        token_url="https://bank.example/token",
    )
    app = json.loads(practice.secrets.get("bank-app-credentials"))
    certificate, key = self_signed("bank.example", days=40)
    practice.secrets.set(
        "bank-app-credentials", json.dumps({**app, "certificate": certificate, "certificate_key": key})
    )
    return face


def health(face: Any) -> Any:
    return face._blocking(face.raw.apps).health("bank")


def work(face: Any) -> None:
    core = face.practice.valet._core
    run_worker(core, once=True, concurrency=1, per_host=1, stops=[], tell=lambda _: None, on_dead=lambda *_: None)


def test_the_end_is_part_of_the_apps_health(place: Any) -> None:
    seen = []
    for _ in range(4):
        found = health(place)
        seen.append((found.health, found.error))
        place.practice.clock.advance(15 * DAY)

    assert seen == [("working", ""), ("ends_soon", ""), ("ends_soon", ""), ("fixing", "certificate_ended")]
    assert found.certificate.subject == "CN=bank.example"
    assert abs(found.certificate.ends_at - (place.practice.clock.now() - 20 * DAY)) < DAY


def test_it_is_told_of_thirty_seven_and_one_days_ahead_and_once_each(
    place: Any, caplog: pytest.LogCaptureFixture
) -> None:
    told = []
    for _ in range(42):
        work(place)
        kinds = [event.kind for event in place.valet.events(limit=1000)]
        told.append(kinds.count("app_certificate_ends_soon"))
        place.practice.clock.advance(DAY)

    assert (told[8], told[11], told[31], told[34], told[37], told[41]) == (0, 1, 1, 2, 2, 3)
    said = [r.getMessage() for r in caplog.records if "certificate of the app of 'bank'" in r.getMessage()]
    assert len(said) == 4, "30, 7 and 1 days ahead, and when it has ended"
    assert all(r.levelno == logging.WARNING for r in caplog.records if r.getMessage() in said)
    assert "has ended" in said[-1]


def test_a_new_certificate_is_told_of_anew(place: Any) -> None:
    place.practice.clock.advance(20 * DAY)
    work(place)
    app = json.loads(place.practice.secrets.get("bank-app-credentials"))
    certificate, key = self_signed("bank.example", days=42)
    place.practice.secrets.set(
        "bank-app-credentials", json.dumps({**app, "certificate": certificate, "certificate_key": key})
    )
    work(place)
    work(place)

    kinds = [event.kind for event in place.valet.events(limit=1000)]
    assert kinds.count("app_certificate_ends_soon") == 2
