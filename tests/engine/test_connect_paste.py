"""Connecting without a browser on this machine: by a pasted address, and by a code in the terminal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import pytest

from valetkey.connecting import connect_device, connect_paste
from valetkey.errors import ConnectError, StateMismatch


class Paster:
    """An interaction with a person who pastes what `answer` makes of the address shown."""

    def __init__(self, answer: Callable[[str], str]) -> None:
        self.answer = answer
        self.urls: list[str] = []
        self.codes: list[tuple[str, str, str, float]] = []
        self.waits: list[str] = []
        self.on_code: Callable[[str], object] = lambda _: None

    def opening(self, name: str) -> None:
        raise AssertionError(name)

    def waiting(self, text: str) -> None:
        self.waits.append(text)

    def show_url(self, url: str) -> None:
        self.urls.append(url)

    def show_code(self, user_code: str, verification_uri: str, complete: str, expires_in: float) -> None:
        self.codes.append((user_code, verification_uri, complete, expires_in))
        self.on_code(user_code)

    def ask_callback(self, prompt: str) -> str:
        assert "whole address" in prompt
        return self.answer(self.urls[-1])


def _paste(stage: Any, answer: Callable[[str], str], **options: Any) -> Any:
    known = {"scopes": (), "interaction": Paster(answer)}
    return connect_paste(stage.world, stage.credentials["notes"], stage.key(), **{**known, **options})


@pytest.mark.parametrize(
    "shape",
    [
        pytest.param("{url}", id="the address"),
        pytest.param("  '{url}'\n", id="quoted, with space"),
        pytest.param("<{url}>", id="in angle brackets"),
        pytest.param("{query}", id="the query alone"),
        pytest.param("?{query}", id="the query with its mark"),
    ],
)
def test_what_is_pasted_connects(stage: Any, shape: str) -> None:
    def answer(url: str) -> str:
        landed = stage.provider.approve(url)
        return shape.format(url=landed, query=urlsplit(landed).query)

    assert _paste(stage, answer).state == "connected"


def test_the_redirect_uri_of_a_paste_is_one_that_could_be_registered(stage: Any) -> None:
    seen: list[str] = []

    def answer(url: str) -> str:
        landed = stage.provider.approve(url)
        seen.append(landed.partition("?")[0])
        return str(landed)

    _paste(stage, answer)
    assert seen == ["http://127.0.0.1:8421/callback/notes"]


@pytest.mark.parametrize("declared", [True, False])
def test_a_paste_works_with_an_https_address(stage: Any, declared: bool) -> None:
    uri = "https://app.example.com/landed"
    stage.provider.allow_redirect(uri)
    stage.change(loopback="https_only", redirect_uri=uri if declared else "")

    record = _paste(stage, stage.provider.approve, redirect_uri=None if declared else uri)
    assert record.state == "connected"


def test_a_paste_without_any_usable_address_says_so(stage: Any) -> None:
    stage.change(loopback="https_only")

    with pytest.raises(ConnectError) as caught:
        _paste(stage, stage.provider.approve)
    assert caught.value.code == "redirect_https_only"


@pytest.mark.parametrize("pasted", ["", "  ", "''"])
def test_nothing_pasted_gives_up_and_leaves_nothing(stage: Any, pasted: str) -> None:
    with pytest.raises(ConnectError) as caught:
        _paste(stage, lambda _: pasted)

    assert caught.value.code == "paste_empty"
    assert "valetkey connect notes" in caught.value.hint
    assert stage.flows() == 0


def test_the_wrong_address_pasted_is_refused(stage: Any) -> None:
    with pytest.raises(StateMismatch):
        _paste(stage, lambda url: url)
    assert stage.provider.token_requests == 0


def test_a_code_in_the_terminal_connects(stage: Any) -> None:
    talk = Paster(str)
    talk.on_code = stage.provider.enter_user_code

    record = connect_device(stage.world, stage.credentials["notes"], stage.key(), scopes=(), interaction=talk)

    assert record.state == "connected"
    ((_, uri, complete, expires_in),) = talk.codes
    assert uri in complete
    assert expires_in == 600
    assert talk.waits == ["Waiting for the code to be entered (Ctrl-C to stop) ..."]
