"""What adapters say when they are given the wrong thing, and when their library is not there."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from typing import Any

import pytest

from valetkey import ConfigurationError
from valetkey.adapters.aiohttp import middleware
from valetkey.adapters.httpx import HttpxAuth
from valetkey.adapters.requests import RequestsAuth
from valetkey.testing import Practice

TAKES = [
    pytest.param(RequestsAuth, "an OAuth2Client", "Valet()", id="requests"),
    pytest.param(middleware, "an AsyncOAuth2Client", "AsyncValet()", id="aiohttp"),
    pytest.param(HttpxAuth, "an OAuth2Client or AsyncOAuth2Client", "Valet()", id="httpx"),
]


@pytest.mark.parametrize(("adapter", "wanted", "hint"), TAKES)
@pytest.mark.parametrize("wrong", ["github", None, 7])
def test_what_is_no_client_is_refused_at_once(
    adapter: Callable[[Any], object], wanted: str, hint: str, wrong: object
) -> None:
    with pytest.raises(ConfigurationError, match=f"takes {wanted}, not {type(wrong).__name__}") as caught:
        adapter(wrong)

    assert caught.value.code == "client_unsuitable"
    assert hint in caught.value.hint


def test_each_takes_the_clients_that_fit_its_colour(practice: Practice) -> None:
    blocking, awaited = practice.valet.client("notes"), practice.async_valet.client("notes")

    assert "notes" in repr(HttpxAuth(blocking)) == repr(HttpxAuth(awaited))
    assert "notes" in repr(RequestsAuth(blocking))
    assert "notes" in repr(middleware(awaited))
    for adapter, wrong in ((RequestsAuth, awaited), (middleware, blocking)):
        with pytest.raises(ConfigurationError, match="Client, not "):
            adapter(wrong)  # type: ignore[operator]


@pytest.mark.parametrize("library", ["aiohttp", "httpx", "requests"])
def test_a_library_that_is_not_there_is_named_with_the_line_that_installs_it(
    library: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"valetkey.adapters.{library}"
    monkeypatch.setitem(sys.modules, name, sys.modules[name])  # put back afterwards
    del sys.modules[name]
    monkeypatch.setitem(sys.modules, library, None)

    with pytest.raises(ImportError) as caught:
        importlib.import_module(name)

    assert f"{name} needs {library} (" in str(caught.value)
    assert str(caught.value).endswith(f'pip install "valetkey[{library}]"')
