"""The settings page of API keys: made once, shown once, revoked."""

from __future__ import annotations

import re
from typing import Any

import httpx2
import pytest

from valetkey.engine.api_keys import ApiKeys

PAGE = "/console/settings/api-keys"
KEY = re.compile(r"vk_[0-9a-f]{8}_[A-Za-z0-9_-]{43}")


@pytest.fixture
def keys(site: Any) -> ApiKeys:
    core = site.practice.valet._core
    return ApiKeys(core.store, core.clock, core.env)


def nonce(page: httpx2.Response) -> str:
    return page.text.partition('name="nonce" value="')[2].partition('"')[0]


def filled(page: httpx2.Response, **fields: Any) -> dict[str, Any]:
    return {"name": "crm", "ends": "90", "may": ["read"], "rate": "600", "nonce": nonce(page), **fields}


def test_a_new_key_is_shown_in_one_answer_and_works(site: Any, keys: ApiKeys) -> None:
    operator = site.operator()
    fields = filled(operator.get(PAGE), may=["read", "read_secret"], owners="ada, bob", credentials="notes")

    made = operator.post(f"{PAGE}/new", **fields)

    assert (made.status_code, made.headers["cache-control"]) == (200, "no-store")
    (secret,) = KEY.findall(made.text)
    found = keys.find(secret)
    assert found is not None
    assert (found.scopes, found.owners, found.credentials) == (("read", "read_secret"), ("ada", "bob"), ("notes",))
    assert found.ends_at == site.practice.clock.now() + 90 * 86400
    headers = {"Authorization": f"Bearer {secret}"}
    assert httpx2.get(f"{site.base}/v1/connections", headers=headers).status_code == 200
    assert f"{site.base}/v1/connections" in made.text
    listed = operator.get(PAGE)
    assert found.prefix in listed.text
    assert KEY.search(listed.text) is None


def test_a_form_that_is_sent_again_makes_no_second_key(site: Any, keys: ApiKeys) -> None:
    operator = site.operator()
    fields = filled(operator.get(PAGE))
    operator.post(f"{PAGE}/new", **fields)

    again = operator.post(f"{PAGE}/new", **fields)
    without = operator.post(f"{PAGE}/new", **{**fields, "nonce": ""})

    assert [(one.status_code, one.headers["location"]) for one in (again, without)] == [(303, PAGE)] * 2
    assert len(keys.list()) == 1


def test_a_revoked_key_opens_nothing_any_more(site: Any, keys: ApiKeys) -> None:
    key, secret = keys.add("crm", ["read"])
    operator = site.operator()
    operator.get(PAGE)

    assert operator.post(f"{PAGE}/revoke", id=key.id).headers["location"] == PAGE

    headers = {"Authorization": f"Bearer {secret.reveal()}"}
    assert httpx2.get(f"{site.base}/v1/connections", headers=headers).status_code == 401
    assert operator.post(f"{PAGE}/revoke", id=key.id).status_code == 303


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        pytest.param({"name": ""}, "its name is empty", id="no name"),
        pytest.param({"may": []}, "it may do nothing", id="no scope"),
        pytest.param({"may": ["admin"]}, "is no scope", id="an unknown scope"),
        pytest.param({"rate": "-1"}, "calls a minute cannot be", id="a rate below"),
        pytest.param({"rate": "9" * 5000}, "calls a minute cannot be", id="a rate beyond"),
        pytest.param({"ends": "sometime"}, "nobody said when it ends", id="no end"),
        pytest.param({"networks": "home"}, "is no network", id="no network"),
    ],
)
def test_what_cannot_be_is_said_and_what_was_entered_stays(
    site: Any, keys: ApiKeys, fields: dict[str, Any], said: str
) -> None:
    operator = site.operator()

    answer = operator.post(f"{PAGE}/new", **filled(operator.get(PAGE), owners="<u-17>", **fields))

    assert answer.status_code == 400
    assert said in answer.text
    assert 'value="&lt;u-17&gt;"' in answer.text
    assert keys.list() == ()


@pytest.mark.parametrize("grade", ["look", "connections"])
def test_only_who_may_do_everything_sees_and_makes_keys(site: Any, keys: ApiKeys, grade: str) -> None:
    page = site.operator().get(PAGE)
    operator = site.operator(grade)

    assert operator.get(PAGE).status_code == 403
    assert operator.post(f"{PAGE}/new", **filled(page)).status_code == 403
    assert keys.list() == ()


def test_hostile_names_stay_text(site: Any, keys: ApiKeys) -> None:
    keys.add("<script>alert(1)</script>", ["read"], owners=["<b>"], credentials=["</table>"])

    page = site.operator().get(PAGE).text

    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert "<b>" not in page
