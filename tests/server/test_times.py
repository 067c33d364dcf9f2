"""How long something lasts yet, and how long ago it was."""

from __future__ import annotations

import pytest

from valetkey.server.times import ago, until

NOW = 1_800_000_000.0


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        pytest.param(86400 - 3, "in 24 h", id="a day, made a moment ago"),
        pytest.param(1800 - 1, "in 30 min", id="half an hour, made a moment ago"),
        pytest.param(7 * 86400 - 3, "in 7 days", id="a week"),
        pytest.param(86400 * 1.98, "in 48 h", id="nearly two days"),
        pytest.param(5399, "in 90 min", id="before hours are counted"),
        pytest.param(89, "in 1 min", id="nearer to one"),
        pytest.param(41.9, "in 41 s", id="seconds are counted down"),
    ],
)
def test_what_is_to_come_is_told_to_the_nearest_unit(seconds: float, said: str) -> None:
    assert until(NOW + seconds, NOW, never="").said == said


def test_what_is_over_is_told_in_whole_units() -> None:
    assert ago(NOW - 86397, NOW).said == "23 h ago"
    assert until(NOW - 3599, NOW, never="").said == "ended 59 min ago"
