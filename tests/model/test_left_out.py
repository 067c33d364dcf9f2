"""Providers without a preset: the list is in order, and whoever asks for one is told why."""

from __future__ import annotations

import re

import pytest

from valetkey.errors import ConfigurationError
from valetkey.model.left_out import LeftOut, left_out
from valetkey.model.preset_index import BUILT_IN
from valetkey.model.presets import load_preset

PRESETS = {path.stem for path in BUILT_IN.glob("*.toml")}


def test_what_is_left_out_has_no_preset() -> None:
    assert set(left_out()) & PRESETS == set()


@pytest.mark.parametrize("one", left_out().values(), ids=lambda one: one.id)
def test_each_has_a_reason_a_source_and_a_month_and_leads_to_a_preset_or_nowhere(one: LeftOut) -> None:
    assert re.fullmatch(r"[a-z0-9][a-z0-9-]*", one.id)
    assert one.provider
    assert len(one.why) > 20
    assert not one.why.endswith(".")
    assert one.source.startswith("https://")
    assert re.fullmatch(r"20\d\d(-(0[1-9]|1[0-2]))?", one.month)
    assert one.instead in PRESETS | {""}


def test_who_asks_for_one_is_told_why_and_what_to_use() -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_preset("fitbit")

    assert caught.value.code == "preset_unknown"
    assert "switched off on 2 November 2026" in str(caught.value)
    assert "https://developers.google.com/health/about" in str(caught.value)
    assert caught.value.hint == 'use preset="google-health"'


def test_where_nothing_replaces_it_the_hint_is_the_usual_one() -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_preset("medium")

    assert "Medium is left out" in str(caught.value)
    assert "authorization_url and token_url by hand" in caught.value.hint
