"""Apps that prove themselves by a key, in the console: typed once, sealed, followed by another, never shown again."""

from __future__ import annotations

import json
from typing import Any

import pytest
from joserfc import jwk

from valetkey.engine.app_facts import facts_of, secrets_of
from valetkey.engine.apps import app_state
from valetkey.protocol.signing import read_key

TEAM = {"client_id": "com.example.web", "param_team_id": "TEAM123456", "name": "apple"}


def pem(kind: str = "P-256") -> str:
    key = jwk.RSAKey.generate_key(2048) if kind == "RSA" else jwk.ECKey.generate_key("P-256")
    return key.as_pem(private=True).decode()


def kid(key: Any) -> str:
    return read_key(key, alg="ES256", what="private_key", name="apple").kid


def demand_nothing_shown(key: str, *pages: Any) -> None:
    for page in pages:
        for line in key.strip().splitlines()[1:-1]:
            assert line not in page.text


@pytest.fixture
def apple(site: Any) -> Any:
    """Return an operator, and the app of the preset as the wizard keeps it."""
    operator, key = site.operator(), pem()
    operator.get("/console/presets/apple")
    answer = operator.post("/console/presets/apple", **TEAM, private_key=key, key_id="FIRST12345")
    assert (answer.status_code, answer.headers["location"]) == (303, "/console/new/apple/scopes")
    return operator


def stored(site: Any) -> Any:
    core = site.practice.valet._core
    return core.app(core.credential("apple"))


def test_the_wizard_asks_for_the_key_and_its_id_in_the_place_of_a_secret(site: Any) -> None:
    page = site.operator().get("/console/presets/apple").text

    assert 'name="client_secret"' not in page
    assert ">Key (.p8)</label>" in page
    assert 'name="key_id"' in page
    assert ">The Team ID of your developer account</label>" in page


@pytest.mark.usefixtures("apple")
def test_the_key_is_kept_under_its_id(site: Any) -> None:
    app = stored(site)
    assert (app.client_id, kid(app.private_key), app.client_secret) == ("com.example.web", "FIRST12345", None)


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        pytest.param({"private_key": "", "key_id": "A"}, "the private key is missing", id="none"),
        pytest.param({"private_key": pem(), "key_id": ""}, "the key ID is missing", id="no id"),
        pytest.param({"private_key": pem("RSA"), "key_id": "A"}, "cannot sign with ES256", id="another kind"),
        pytest.param({"private_key": pem().replace("M", "!"), "key_id": "A"}, "private_key", id="damaged"),
        pytest.param({"private_key": "x" * 9000, "key_id": "A"}, "too long", id="endless"),
    ],
)
def test_what_is_no_key_is_refused_and_not_shown(site: Any, typed: dict[str, str], said: str) -> None:
    operator = site.operator()
    operator.get("/console/presets/apple")

    page = operator.post("/console/presets/apple", **TEAM, **typed)

    assert page.status_code == 400
    assert said in page.text
    demand_nothing_shown(typed["private_key"], page)
    assert "x" * 100 not in page.text
    assert [c.name for c in site.practice.valet._core.credentials()] == ["notes"]


def test_another_key_follows_with_overlap_under_its_own_id(site: Any, apple: Any) -> None:
    core, key = site.practice.valet._core, pem()
    first = stored(site).private_key
    page = apple.get("/console/apps/apple")
    assert '<h2 id="replace">Key</h2>' in page.text
    assert "Create a second key at Apple" in page.text
    assert 'key ID <code class="wrap">FIRST12345</code>' in page.text

    answer = apple.post("/console/apps/apple", private_key=key, key_id="SECOND2345", overlap="86400", ends="")

    assert answer.status_code == 303, answer.text
    demand_nothing_shown(key, page, apple.get("/console/apps/apple"))
    assert stored(site).private_key == first, "the one in use stays until the other has worked once"
    state = app_state(core.world, core.env, core.credential("apple"))
    facts = facts_of(state)
    assert facts.candidate is not None
    assert kid(secrets_of(core.world, state)[facts.candidate.fp]) == "SECOND2345"


def test_a_key_whose_id_was_kept_beside_it_keeps_it_when_another_one_comes(site: Any, apple: Any) -> None:
    core = site.practice.valet._core
    first = pem()
    kept = {"client_id": "com.example.web", "private_key": first, "key_id": "BESIDE2345"}  # as the command keeps it
    core.secret_service.set(core.credential("apple").secret_id, json.dumps(kept))
    apple.get("/console/apps/apple")

    answer = apple.post("/console/apps/apple", private_key=pem(), key_id="SECOND2345", overlap="86400", ends="")

    assert answer.status_code == 303, answer.text
    app = stored(site)
    assert (app.key_id, kid(app.private_key)) == ("", "BESIDE2345")


def test_an_app_that_signs_by_a_key_of_its_own_needs_no_secret(site: Any) -> None:
    practice = site.practice
    practice.declare("bank", client_auth="private_key_jwt")
    practice.secrets.delete(practice.wiring.get("bank").secret_id)
    operator = site.operator()
    page = operator.get("/console/new/bank/app")
    assert 'name="client_secret"' not in page.text
    assert "Left empty, one is made in the next step." in page.text

    answer = operator.post("/console/new/bank/app", client_id="valetkey-at-bank", private_key="", key_id="")

    assert answer.headers["location"] == "/console/apps/bank"
    assert "There is no key yet." in operator.get("/console/apps/bank").text
