"""Planted secrets show up nowhere: not in logs, reprs, texts, tracebacks, pickles or argv."""

from __future__ import annotations

import copy
import json
import logging
import pickle
import traceback
from typing import Any

import pytest

from valetkey import Secret, ValetkeyError
from valetkey.model.grants import Grant
from valetkey.testing.provider import DEFAULT_CLIENT_SECRET

HOUR = 3600


class Spread:
    """Everything that a life of a connection said to anybody."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def hear(self, *things: Any) -> None:
        for thing in things:
            self.texts += [repr(thing), str(thing), f"{thing!r}"]

    def catch(self, function: Any) -> None:
        try:
            self.hear(function())
        except ValetkeyError as error:
            self.hear(error, error.hint, error.__dict__)
            self.texts += traceback.format_exception(error)
            self.texts += traceback.TracebackException.from_exception(error, capture_locals=False).format()
            self.texts.append(repr(pickle.dumps(error)))


def canaries(face: Any) -> set[str]:
    return {*face.practice.provider.tokens_ever_issued(), DEFAULT_CLIENT_SECRET}


def live_a_whole_life(face: Any, spread: Spread) -> None:
    practice, provider = face.practice, face.practice.provider
    spread.hear(practice.connect("notes"))
    client = face.client()
    spread.hear(client.target, client.auth, face.raw, face.raw._core.world, face.raw._core.source(client._source.key))
    spread.catch(lambda: client.get("/me"))
    spread.catch(client.get_access_token)
    for fault in (
        {"status": 503},
        {"status": 400, "error": "invalid_scope"},
        {"status": 401, "error": "invalid_client"},
        {"status": 200, "body": b"<html>"},
    ):
        practice.clock.advance(HOUR + 600)
        provider.fail_next(**fault)
        spread.catch(lambda: client.get("/me"))
    practice.clock.advance(HOUR + 600)
    provider.drop_after_rotation(times=2)
    spread.catch(lambda: client.get("/me"))
    spread.hear(practice.connect("notes"))
    spread.catch(lambda: client.get("https://evil.example/"))
    practice.clock.advance(120)
    provider.expire_access_tokens()
    spread.catch(lambda: client.get("/me"))
    practice.clock.advance(HOUR + 1)
    provider.revoke("ada")
    spread.catch(lambda: client.get("/me"))
    spread.hear(client.status(), face.valet.connections(), face.valet.events())
    spread.hear(list(face.valet.export()))
    spread.catch(client.disconnect)


@pytest.mark.conformance("1 core: confidential")
def test_no_secret_shows_in_the_whole_life_of_a_connection(face: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    spread = Spread()

    live_a_whole_life(face, spread)

    planted = canaries(face)
    assert len(planted) > 5
    told = "\n".join([*spread.texts, caplog.text])
    assert [secret for secret in planted if secret in told] == []


@pytest.mark.conformance("1 core: confidential", "1 DPoP: key kept")
def test_the_store_holds_no_secret_in_clear(face: Any) -> None:
    face.practice.connect("notes")
    face.client().get("/me")
    face.practice.clock.advance(HOUR + 1)
    face.client().get("/me")
    face.practice.valet.secrets.set("practice-secret", "canary-in-a-secret")

    folder = face.practice._folder
    bytes_at_rest = b"".join(path.read_bytes() for path in folder.iterdir() if path.is_file())

    found = [secret for secret in [*canaries(face), "canary-in-a-secret"] if secret.encode() in bytes_at_rest]
    assert b"con_" in bytes_at_rest
    assert found == []


@pytest.mark.parametrize(
    "show",
    [
        pytest.param(repr, id="repr"),
        pytest.param(str, id="str"),
        pytest.param(lambda s: copy.deepcopy(s).__repr__(), id="deepcopy"),
        pytest.param(lambda s: repr([s, {"a": s}, (s,)]), id="inside containers"),
        pytest.param(lambda s: repr(Grant(access_token=s, refresh_token=s, id_token=s)), id="inside a grant"),
        pytest.param(lambda s: "%s %r" % (s, s), id="percent"),  # noqa: UP031
    ],
)
def test_a_secret_prints_as_stars(show: Any) -> None:
    assert "canary" not in show(Secret("canary"))


@pytest.mark.parametrize(
    "leak",
    [
        pytest.param(lambda s: f"{s}", id="f-string"),
        pytest.param("{}".format, id="format"),
        pytest.param(pickle.dumps, id="pickle"),
        pytest.param(json.dumps, id="json"),
        pytest.param(list, id="iteration"),
        pytest.param(len, id="length"),
        pytest.param(lambda s: s + "x", id="addition"),
        pytest.param(lambda s: setattr(s, "_value", "other"), id="change"),
    ],
)
def test_a_secret_refuses_what_would_spread_it(leak: Any) -> None:
    with pytest.raises((TypeError, AttributeError)) as caught:
        leak(Secret("canary"))
    assert "canary" not in str(caught.value)
