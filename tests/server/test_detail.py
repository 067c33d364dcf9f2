"""The page of one connection, and what can be done there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from valetkey.errors import ValetkeyError

HERE = "/console/connections"


def at(status: Any) -> str:
    return f"{HERE}/{status.connection_id}"


def follow(visitor: Any, answer: Any) -> str:
    """Go where a form sent the browser, and return what is told there."""
    assert answer.status_code == 303, answer.text
    return unescape(visitor.get(answer.headers["location"]).text)


def test_a_connection_is_told_with_its_identity_place_and_scopes(site: Any) -> None:
    status = site.practice.connect(owner="northwind", account="work")

    text = unescape(site.operator().get(at(status)).text)

    assert f'<h1 class="wrap">{status.identity.title}</h1>' in text
    assert "account work" in text
    assert f"{len(status.requested)} of {len(status.requested)} granted" in text
    assert status.connection_id in text


def test_refresh_now_is_told_on_the_page_it_leads_to(site: Any) -> None:
    status = site.practice.connect(owner="ada")
    operator = site.operator()
    operator.get(at(status))

    text = follow(operator, operator.post(f"{at(status)}/refresh"))

    assert "Refreshed." in text
    assert site.practice.provider.refreshes == 1
    assert "Refresh asked for" in text
    assert "By login link." in text


def test_a_refresh_that_is_refused_says_so_and_shows_the_providers_words(site: Any) -> None:
    status = site.practice.connect(owner="ada")
    site.practice.provider.revoke()
    operator = site.operator()
    operator.get(at(status))

    text = follow(operator, operator.post(f"{at(status)}/refresh"))

    assert "Notes no longer accepts this connection\u2019s refresh token" in text
    assert "Needs re-authorization" in text
    assert "invalid_grant" in text
    assert "ReauthorizationRequired" in text
    assert "Refresh refused, stopped" in text


def test_a_provider_that_is_down_is_told_calmly(site: Any) -> None:
    status = site.practice.connect(owner="ada")
    site.practice.provider.fail_next(status=503)
    operator = site.operator()
    operator.get(at(status))

    text = follow(operator, operator.post(f"{at(status)}/refresh"))

    assert "Notes does not refresh the token: 503" in text
    assert "The access token at hand still works" in text
    assert "note-bad" not in text.partition('id="why"')[0].rpartition("<section")[2]


def test_a_test_makes_one_harmless_call(site: Any) -> None:
    status = site.practice.connect(owner="ada")
    operator = site.operator()
    operator.get(at(status))

    text = follow(operator, operator.post(f"{at(status)}/test"))
    assert "Notes answered 200." in text
    assert f"The token is that of {status.identity.title}." in text

    site.practice.provider.expire_access_tokens()
    assert "Notes answered 401." in follow(operator, operator.post(f"{at(status)}/test"))


def test_a_credential_without_userinfo_has_nothing_to_call(site: Any) -> None:
    site.practice.declare("files", display_name="Files", userinfo_url="")
    status = site.practice.connect("files", owner="ada")
    operator = site.operator()
    operator.get(at(status))

    assert "no harmless call to make" in follow(operator, operator.post(f"{at(status)}/test"))


def test_a_disconnect_names_its_consequences_and_tells_truthfully_what_was_revoked(site: Any) -> None:
    status = site.practice.connect(owner="ada")
    operator = site.operator()

    asked = unescape(operator.get(f"{at(status)}/disconnect").text)
    assert "Notes is told to withdraw the access" in asked
    assert "An access token that was handed out may work" in asked
    assert site.practice.provider.live_grants == 1

    text = follow(operator, operator.post(f"{at(status)}/disconnect"))
    assert "Disconnected. Notes confirmed" in text
    assert site.practice.provider.live_grants == 0
    assert "By login link." in text


@pytest.mark.scenario(4)
def test_a_disconnect_without_revocation_endpoint_says_what_lives_on(site: Any) -> None:
    site.practice.declare("files", display_name="Files", revocation_url="")
    status = site.practice.connect("files", owner="ada")
    operator = site.operator()

    assert "Nothing is withdrawn at Files" in operator.get(f"{at(status)}/disconnect").text
    text = follow(operator, operator.post(f"{at(status)}/disconnect"))
    assert "Files has no revocation endpoint" in text
    assert "lives until" in text


@pytest.mark.parametrize("path", ["", "/refresh", "/test", "/disconnect"])
def test_what_is_not_there_or_elsewhere_is_the_same_page(site: Any, path: str) -> None:
    operator = site.operator()
    site.practice.connect(owner="ada")
    operator.get(HERE)
    missing = (operator.post if path in {"/refresh", "/test"} else operator.get)(f"{HERE}/con_nothing{path}")
    assert missing.status_code == 404
    assert missing.text.replace(operator.csrf, "") == operator.get("/console/no-such-page").text.replace(
        operator.csrf, ""
    )


def test_who_may_only_look_can_change_nothing(site: Any) -> None:
    status = site.practice.connect(owner="ada")
    visitor = site.operator("look")
    visitor.get(at(status))

    for path in ("/refresh", "/test", "/disconnect"):
        assert visitor.post(f"{at(status)}{path}").status_code == 403
    assert site.practice.provider.refreshes == 0


def test_no_token_is_on_any_of_its_pages(site: Any) -> None:
    status = site.practice.connect(owner="ada")
    operator = site.operator()
    operator.get(at(status))
    pages = [operator.get(at(status)).text, operator.get(f"{at(status)}/disconnect").text, operator.get(HERE).text]
    pages += [follow(operator, operator.post(f"{at(status)}/{what}")) for what in ("refresh", "test", "disconnect")]

    assert site.practice.provider.tokens_ever_issued()
    for token in site.practice.provider.tokens_ever_issued():
        assert not any(token in page for page in pages)


@pytest.mark.scenario(13)
def test_hostile_words_of_a_provider_stay_words(site: Any) -> None:
    status = site.practice.connect(owner="ada")
    site.practice.provider.fail_next(
        status=400, error="invalid_grant", description="<script>alert(1)</script>\x1b[31m\u202egone"
    )
    with pytest.raises(ValetkeyError):
        site.practice.client(owner="ada").refresh()

    text = site.operator().get(at(status)).text
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert "\x1b" not in text
    assert "\u202e" not in text


@pytest.mark.scenario(1)
@pytest.mark.parametrize("which", ["code1", "code2"])
def test_the_snippet_runs_as_it_stands(site: Any, which: str, tmp_path: Path) -> None:
    status = site.practice.connect(owner="north/wind", account="it's")
    text = site.operator().get(at(status)).text
    shown = re.search(rf'<pre id="{which}"[^>]*>(.*?)</pre>', text, re.DOTALL)
    assert shown is not None
    program = tmp_path / "snippet.py"
    program.write_text(unescape(shown[1]))
    folder = Path(site.practice.valet._core.store.path).parent
    done = subprocess.run(
        [sys.executable, program],
        env={**os.environ, "VALETKEY_KEY_FILE": str(folder / "key")},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.stdout, done.returncode) == ("200\n", 0), done.stderr


def test_the_shell_line_runs_as_it_stands(site: Any) -> None:
    status = site.practice.connect(owner="north wind", account="it's")
    text = site.operator().get(at(status)).text
    shown = re.search(r'<pre id="code3"[^>]*>(.*?)</pre>', text, re.DOTALL)
    assert shown is not None
    folder = Path(site.practice.valet._core.store.path).parent
    done = subprocess.run(
        ["sh", "-c", unescape(shown[1])],
        env={
            **os.environ,
            "VALETKEY_KEY_FILE": str(folder / "key"),
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert status.identity.email in done.stdout


def test_what_an_action_came_to_is_told_to_nobody_else(site: Any) -> None:
    status = site.practice.connect(owner="ada")
    operator = site.operator()
    operator.get(at(status))
    where = operator.post(f"{at(status)}/refresh").headers["location"]

    assert "Refreshed." in operator.get(where).text
    assert "Refreshed." not in site.operator().get(where).text


def test_links_lead_somewhere_wherever_the_application_is_mounted(served: Any) -> None:
    site = served(within=lambda app: Starlette(routes=[Mount("/tokens", app)]))
    practice = site.practice
    status = practice.connect(owner="ada")
    practice.provider.revoke()
    with pytest.raises(ValetkeyError):
        practice.client(owner="ada").refresh()
    visitor = site.visitor()
    link = site.sessions.link().reveal()
    visitor.get(f"/tokens/login/link?token={link}")
    assert visitor.post("/tokens/login/link", token=link).status_code == 303

    for page in (f"/tokens{HERE}", f"/tokens{at(status)}"):
        text = visitor.get(page).text
        assert f'href="/tokens{at(status)}/reauthorize"' in text
        addresses = set(re.findall(r'(?:href|action|formaction)="(/[^"?#]*)', text))
        assert addresses
        assert all(address.startswith("/tokens/") for address in addresses), addresses
