import threading

import pytest

from valetkey.model.ports import Clock
from valetkey.testing import FakeClock
from valetkey.testing.clock import START


def test_the_clock_stands_still_until_it_is_told_to_move() -> None:
    clock: Clock = FakeClock()

    assert clock.now() == clock.now() == START
    assert clock.monotonic() == clock.monotonic()


def test_advancing_moves_both_clocks_by_the_same() -> None:
    clock = FakeClock(now=100)
    before = clock.monotonic()

    clock.advance(3541.5)

    assert clock.now() == 3641.5
    assert clock.monotonic() - before == 3541.5


def test_sleeping_returns_at_once_and_the_time_has_passed() -> None:
    clock = FakeClock(now=0)

    clock.sleep(1_000_000)
    clock.sleep(-5)

    assert clock.now() == 1_000_000


def test_time_does_not_advance_backwards() -> None:
    with pytest.raises(ValueError, match="backwards"):
        FakeClock().advance(-1)


def test_setting_the_wall_clock_leaves_the_monotonic_one_alone() -> None:
    clock = FakeClock()
    before = clock.monotonic()

    clock.set(5)

    assert clock.now() == 5
    assert clock.monotonic() == before


def test_a_reboot_changes_the_boot_id_and_starts_the_monotonic_clock_anew() -> None:
    clock = FakeClock()
    boot, now = clock.boot_id(), clock.now()

    clock.reboot()

    assert clock.boot_id() != boot
    assert clock.monotonic() < 1000
    assert clock.now() == now


def test_no_sleeper_is_lost_when_many_threads_sleep_at_once() -> None:
    clock = FakeClock(now=0)
    threads = [threading.Thread(target=lambda: [clock.sleep(1) for _ in range(500)]) for _ in range(8)]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert clock.now() == 4000
