"""Planted secrets are in no answer but the token endpoint's, and in no log."""

from __future__ import annotations

import base64
import json
import logging
from typing import Any

import pytest

from valetkey.testing.provider import DEFAULT_CLIENT_SECRET

HOUR = 3600.0
OTHERS = ["uvicorn", "uvicorn.error", "uvicorn.access", "asyncio", "starlette", "fastapi"]


def crawl(api: Any, program: Any, connection: str) -> list[Any]:
    """Call all there is, well and badly, over a connection that is well, failing, dead and gone; not for tokens."""
    answers: list[Any] = []

    def call(method: str, path: str, **options: Any) -> None:
        answers.append(program.http.request(method, path, **options))

    def look() -> None:
        for path in ("/connections", f"/connections/{connection}", "/credentials", "/credentials/notes", "/events"):
            call("GET", path)
        for path in ("/providers", "/providers/github", "/openapi.json", "/nowhere", "/connections?limit=x"):
            call("GET", path)
        call("GET", "/connections", params={"search": "ada"})

    look()
    call("PATCH", f"/connections/{connection}", json={"tags": {"team": "sales"}})
    call("POST", f"/connections/{connection}/refresh")
    for fault in (
        {"status": 503},
        {"status": 400, "error": "invalid_scope"},
        {"status": 401, "error": "invalid_client"},
    ):
        api.practice.clock.advance(2 * HOUR)
        api.practice.provider.fail_next(**fault)
        call("POST", f"/connections/{connection}/refresh")
        look()
    api.practice.clock.advance(2 * HOUR)
    api.practice.provider.fail_next(status=400, error="invalid_request", body=_echo(api))
    call("POST", f"/connections/{connection}/refresh")
    api.practice.clock.advance(2 * HOUR)
    api.practice.provider.revoke("ada")
    call("POST", f"/connections/{connection}/refresh")
    look()
    row = {
        "credential": "notes",
        "owner": "eve",
        "access_token": "canary-import-at",
        "refresh_token": "canary-import-rt",
    }
    call(
        "POST",
        "/connections/import",
        json={"rows": [row, {**row, "credential": "x"}, {**row, "expires_at": "canary-x"}]},
    )
    call("POST", "/connections/import", json={"rows": [row], "more": row})
    call("POST", f"/connections/{connection}/disconnect")
    look()
    call("POST", "/owners/forget", json={"owner": "ada"})
    look()
    return answers


def _echo(api: Any) -> str:
    """Return an answer of a provider that sends back what it was sent."""
    tokens = " ".join(sorted(api.practice.provider.tokens_ever_issued()))
    said = json.dumps(f"bad {DEFAULT_CLIENT_SECRET} {tokens}")
    return f'{{"error": "invalid_request", "error_description": {said}}}'


@pytest.mark.scenario(17)
def test_no_answer_and_no_log_holds_a_secret(api: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    for name in OTHERS:
        caplog.set_level(logging.DEBUG, logger=name)
    connection = api.practice.connect("notes", owner="ada").connection_id
    program = api.program()

    answers = crawl(api, program, connection)

    assert {answer.status_code for answer in answers} >= {200, 404, 409, 422, 503}
    key_file = (api.practice._folder / "key").read_text().split()
    planted = {
        *api.practice.provider.tokens_ever_issued(),
        DEFAULT_CLIENT_SECRET,
        "canary-import-at",
        "canary-import-rt",
        "canary-x",
        program.secret,
        program.secret.split("_", 2)[2],
        *(word for word in key_file if len(word) > 30),
    }
    assert len(planted) > 8
    planted |= {base64.b64encode(secret.encode()).decode() for secret in planted}
    told = "\n".join([*(f"{answer.headers}\n{answer.text}" for answer in answers), caplog.text])
    assert [secret for secret in planted if secret in told] == []


def test_the_token_endpoint_is_the_one_that_tells(api: Any) -> None:
    connection = api.practice.connect("notes", owner="ada").connection_id

    answer = api.program().token(connection)

    tokens = api.practice.provider.tokens_ever_issued()
    assert [token for token in tokens if token in answer.text] == [answer.json()["access_token"]]
