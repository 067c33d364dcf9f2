"""Answers that come as a form from the provider's site, and answers that nobody would send."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from valetkey.server.joining.clean import KIND as PAGE
from valetkey.server.joining.posted import KIND, LIFE


def answer_of(walk: Any) -> tuple[str, dict[str, str]]:
    """Return where a provider would send its answer as a form, and the fields."""
    parts = urlsplit(walk.provider.approve(walk.begin()))
    return parts.path, {name: values[0] for name, values in parse_qs(parts.query).items()}


def post(walk: Any, path: str, fields: dict[str, str], *, cookies: bool = False) -> Any:
    """Send the form as the provider's page does: from its own origin, without a cookie of ours."""
    client = walk.visitor.client if cookies else walk.site.visitor().client
    return client.post(path, data=fields, headers={"Origin": walk.provider.url})


@pytest.mark.conformance("1 keys: form_post")
def test_an_answer_that_comes_as_a_form_is_fetched_with_the_cookie(walk: Any) -> None:
    path, fields = answer_of(walk)

    sent_on = post(walk, path, fields)

    where = sent_on.headers["location"]
    assert (sent_on.status_code, where.startswith(f"{path}?posted=")) == (303, True)
    assert fields["code"] not in where
    done = walk.visitor.get(where)
    assert done.headers["location"].startswith("/console/connections/con_")


@pytest.mark.conformance("1 keys: form_post")
def test_the_binding_is_checked_when_it_is_fetched(walk: Any, site: Any, walker: Any) -> None:
    path, fields = answer_of(walk)
    where = post(walk, path, fields).headers["location"]

    page = walker(site, site.visitor()).come_back(where)

    assert walk.title(page) == "We could not match this answer to your request"
    assert walk.provider.token_requests == 0


def test_it_is_sealed_fetched_once_and_lives_a_minute(walk: Any) -> None:
    path, fields = answer_of(walk)
    where = post(walk, path, fields).headers["location"]
    store = walk.site.practice.valet._core.store
    (document,) = store.list_documents(KIND, env="test")
    assert fields["code"] not in repr(document)
    assert fields["code"].encode() not in document.sealed.blob

    walk.site.practice.clock.advance(LIFE + 1)

    assert walk.come_back(where).status_code == 400
    assert not store.list_documents(KIND, env="test")


def test_nothing_is_kept_of_an_answer_to_nothing(walk: Any) -> None:
    sent_on = post(walk, "/callback/notes", {"code": "x", "state": "made up"})

    assert sent_on.headers["location"] == "/callback/notes?posted=nothing"
    assert walk.come_back(sent_on.headers["location"]).status_code == 400
    assert not walk.site.practice.valet._core.store.list_documents(KIND, env="test")


@pytest.mark.parametrize(
    "query",
    [
        "",
        "code=x",
        "state=y",
        "code=a&code=b&state=y",
        "state=%00&code=%00",
        "state=%ff%fe&code=x",
        "state=y&error=<script>alert(1)</script>",
        "state=y&error=access_denied&error_description=%1b%5b31m%e2%80%ae",
        "posted=" + "x" * 500,
        "state=" + "y" * 8000,
        "&".join(f"a{number}=b" for number in range(300)),
        "state[]=y&code[]=x",
        "state=%ed%a0%80&code=x",
    ],
)
def test_a_strange_callback_is_a_page_and_nothing_more(walk: Any, query: str) -> None:
    walk.begin()

    page = walk.come_back(f"/callback/notes?{query}")

    assert page.status_code == 400
    assert not walk.site.practice.valet._core.store.list_documents(PAGE, env="test")
    assert "<script>alert" not in page.text
    assert "\x1b" not in page.text
    assert walk.provider.token_requests == 0
    assert len(walk.site.practice.valet.connections()) == 0


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH"])
def test_other_methods_are_refused(walk: Any, method: str) -> None:
    assert walk.visitor.client.request(method, "/callback/notes").status_code == 405


def test_tokens_and_secrets_are_on_no_page(walk: Any) -> None:
    """A crawl after a whole life: connected, re-authorized, failed; no page holds what was planted."""
    practice = walk.site.practice
    walk.connect(whose="owner", owner="u1")
    walk.provider.deny_next()
    walk.connect(whose="owner", owner="u1", account="work")
    status = next(iter(practice.valet.connections()))
    secret = practice.secrets.get("notes-app-credentials")
    planted = {*walk.provider.tokens_ever_issued(), "s3cret: 100% of +/&= odd~characters"}
    assert "s3cret" in secret
    pages = [
        "",
        "/apps",
        "/apps/notes",
        "/new",
        "/new/notes/scopes",
        "/new/notes/app",
        "/links",
        "/links/new",
        "/start",
    ]
    pages += ["/compare/notes", f"/connections/{status.connection_id}/reauthorize", "/connections", "/events"]
    pages += [f"/connections/{status.connection_id}", f"/connections/{status.connection_id}/connected"]

    for path in pages:
        page = walk.visitor.client.get(f"/console{path}", follow_redirects=True)
        assert page.status_code == 200, path
        assert not [one for one in planted if one in page.text], path
