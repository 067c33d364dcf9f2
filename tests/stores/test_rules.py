"""The small parts that stores share: cursors, queues, the bell."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from valetkey.clock import SystemClock
from valetkey.errors import ConfigurationError
from valetkey.model.connections import ConnectionKey
from valetkey.stores import _cursor, _rules
from valetkey.stores._bell import Bell
from valetkey.stores._queues import Queues
from valetkey.testing.clock import FakeClock

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@given(st.tuples(TEXT, TEXT, TEXT))
def test_a_cursor_is_opaque_text_that_comes_back(position: tuple[str, str, str]) -> None:
    cursor = _cursor.encode(position)
    assert cursor.isascii()
    assert cursor.replace("-", "").replace("_", "").isalnum()
    assert _cursor.decode(cursor) == position


@given(st.text(max_size=30))
def test_any_other_text_is_a_bad_cursor(text: str) -> None:
    try:
        position = _cursor.decode(text)
    except ConfigurationError as error:
        assert error.code == "cursor_invalid"  # noqa: PT017
    else:
        assert all(isinstance(part, str) for part in position)


@given(st.none() | TEXT, st.none() | TEXT)
def test_stored_owners_come_back_and_differ_as_owners_do(one: str | None, other: str | None) -> None:
    assert _rules.owner_of(_rules.stored_owner(one)) == one
    assert (_rules.stored_owner(one) == _rules.stored_owner(other)) is (one == other)


@given(st.lists(st.tuples(TEXT, st.none() | TEXT, TEXT), max_size=8))
def test_no_owner_comes_before_every_owner(parts: list[tuple[str, str | None, str]]) -> None:
    keys = [ConnectionKey("env", *part) for part in parts]
    by_rule = sorted(keys, key=_rules.sort_key)
    assert by_rule == sorted(keys, key=lambda k: (k.credential, k.owner is not None, k.owner or "", k.account))


def test_one_thread_at_a_time_is_at_a_name_and_others_are_free() -> None:
    queues = Queues()
    inside: list[int] = []

    def work(number: int) -> None:
        with queues.wait("name", 60) as mine:
            assert mine
            inside.append(number)
            assert inside == [number]
            with queues.wait(f"other-{number}", 60) as free:
                assert free
            inside.remove(number)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(work, range(64)))


def test_who_does_not_get_its_turn_in_time_is_told() -> None:
    queues = Queues()
    with queues.wait("name", 1), ThreadPoolExecutor(1) as threads:

        def impatient() -> bool:
            with queues.wait("name", 0.01) as mine:
                return mine

        assert threads.submit(impatient).result() is False
    with queues.wait("name", 0.01) as mine:
        assert mine


def test_the_bell_wakes_at_once() -> None:
    bell = Bell(SystemClock())
    looked = threading.Event()
    rung: list[bool] = []

    def changed() -> bool:
        looked.set()
        return bool(rung)

    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(bell.wait_until, changed, 60.0)
        assert looked.wait(60)
        rung.append(True)
        bell.ring()
        assert waiting.result() is True


def test_a_ring_between_looking_and_waiting_is_not_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    bell = Bell(SystemClock())
    naps: list[float] = []
    real = bell._nap

    def nap(seconds: float, rings: int) -> None:
        naps.append(seconds)
        real(60.0, rings)

    monkeypatch.setattr(bell, "_nap", nap)
    answers = iter([False, True])

    def changed() -> bool:
        answer = next(answers)
        if not answer:
            bell.ring()  # somebody commits right after this look
        return answer

    assert bell.wait_until(changed, 120.0) is True
    assert len(naps) == 1


def test_naps_grow_from_two_to_twenty_five_milliseconds() -> None:
    class Noting(FakeClock):
        naps: list[float] = []  # noqa: RUF012

        def sleep(self, seconds: float) -> None:
            self.naps.append(seconds)
            super().sleep(seconds)

    clock = Noting()
    assert Bell(clock).wait_until(lambda: False, 1.0) is False
    assert clock.naps[0] == 0.002
    assert max(clock.naps) == 0.025
    assert clock.naps[:-1] == sorted(clock.naps[:-1])
    assert sum(clock.naps) == pytest.approx(1.0)
