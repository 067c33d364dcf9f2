"""An app's secret is replaced without downtime: over both facades, on a provider where an app may have several."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest

from valetkey import ConfigurationError, Secret, Valet
from valetkey.engine.app_facts import KIND
from valetkey.errors import ClientRejected, ProviderUnavailable, ReauthorizationRequired, StoreUnavailable
from valetkey.testing._contract_base import at_once
from valetkey.testing.provider import DEFAULT_CLIENT_SECRET
from valetkey.working import run_worker

HOUR, DAY = 3600, 86400
NEW = "a-new-secret-beside-the-old-one"


@pytest.fixture
def place(face: Any) -> Place:
    return Place(face)


class Place:
    """An app with connections under it."""

    def __init__(self, face: Any) -> None:
        self.face, self.practice, self.provider = face, face.practice, face.practice.provider
        self.apps = face._blocking(face.raw.apps)

    def connect(self, *owners: str) -> None:
        for owner in owners:
            self.practice.connect("notes", owner=owner)

    def expire(self, seconds: float = HOUR + 1) -> None:
        self.practice.clock.advance(seconds)

    def use(self, owner: str = "u1") -> int:
        return int(self.face.client(owner=owner).get("/me").status_code)

    def kept(self) -> str:
        return str(json.loads(self.practice.secrets.get("notes-app-credentials"))["client_secret"])

    def told(self) -> list[str]:
        return [event.kind for event in self.face.valet.events(limit=1000) if event.kind.startswith("app_")]

    def refused(self) -> int:
        """How many requests were refused because of the app's secret."""
        return sum(one.status == 401 for one in self.provider.requests if one.endpoint == "token")

    def sealed(self) -> bool:
        document = self.practice.valet._core.store.get_document(KIND, "notes", env="test")
        return document is not None and document.sealed is not None


def test_a_new_secret_follows_the_one_in_use_with_the_first_refresh_that_takes_it(place: Place) -> None:
    place.connect("u1")
    place.provider.add_secret(NEW)

    assert place.apps.replace_secret("notes", Secret(NEW), overlap=2 * DAY).state == "waiting"
    waiting = place.apps.health("notes")
    assert (waiting.health, waiting.new_secret.overlap, place.kept()) == ("working", 2 * DAY, DEFAULT_CLIENT_SECRET)
    place.expire()
    assert place.use() == 200

    health = place.apps.health("notes")
    assert (place.kept(), health.new_secret, place.refused()) == (NEW, None, 0)
    assert health.secret.fingerprint == waiting.new_secret.fingerprint
    assert [old.fingerprint for old in health.old_secrets] == [waiting.secret.fingerprint]
    assert place.told() == ["app_secret_added", "app_secret_replaced"]


def test_the_old_secret_may_go_at_the_provider_at_once_and_no_refresh_fails(place: Place) -> None:
    place.connect("u1", "u2")
    place.provider.add_secret(NEW)
    place.apps.replace_secret("notes", NEW)
    place.provider.remove_secret(DEFAULT_CLIENT_SECRET)
    place.expire()

    assert [place.use("u1"), place.use("u2")] == [200, 200]

    assert (place.kept(), place.refused(), place.apps.health("notes").health) == (NEW, 0, "working")


def test_a_wrong_secret_is_dropped_with_the_providers_word_and_the_one_in_use_stays(place: Place) -> None:
    place.connect("u1", "u2")
    place.apps.replace_secret("notes", "the Secret ID beside it")
    place.expire()

    assert [place.use("u1"), place.use("u2")] == [200, 200]

    health = place.apps.health("notes")
    assert (health.health, health.new_secret, place.kept()) == ("working", None, DEFAULT_CLIENT_SECRET)
    said = health.refused_secret
    assert (said.error, said.description) == ("invalid_client", "client authentication failed")
    assert (place.refused(), place.told()) == (1, ["app_secret_added", "app_secret_refused"])
    assert not place.sealed()


def test_a_fallback_serves_where_the_new_secret_dies_and_is_erased_at_its_end(place: Place) -> None:
    place.connect("u1", "u2")
    place.provider.add_secret(NEW)
    place.apps.replace_secret("notes", NEW, overlap=DAY)
    place.expire()
    place.use("u1")
    place.provider.remove_secret(NEW)
    place.expire()

    assert [place.use("u1"), place.use("u2")] == [200, 200]
    leaning = place.apps.health("notes")
    assert (place.refused(), leaning.health, leaning.secret.error) == (1, "ends_soon", "invalid_client")
    assert place.told()[-1] == "app_secret_fell_back"
    place.provider.add_secret(NEW)
    place.expire()
    assert (place.use("u1"), place.apps.health("notes").secret.refused) == (200, False)  # it is asked for again

    place.provider.remove_secret(NEW)
    place.expire(2 * DAY)
    with pytest.raises(ClientRejected):
        place.use("u1")
    assert (place.apps.health("notes").old_secrets, place.sealed()) == ((), False)
    assert (place.apps.health("notes").health, place.told()[-1]) == ("fixing", "app_secret_erased")


def test_a_promotion_that_stopped_halfway_is_ended_by_the_next_refresh(
    practice: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    practice.connect("notes")
    practice.provider.add_secret(NEW)
    practice.valet.apps.replace_secret("notes", NEW)
    practice.clock.advance(HOUR + 1)
    with monkeypatch.context() as patched:
        patched.setattr(practice.secrets, "set", _away)
        assert practice.client().get("/me").status_code == 200
    practice.provider.remove_secret(DEFAULT_CLIENT_SECRET)
    assert json.loads(practice.secrets.get("notes-app-credentials"))["client_secret"] == DEFAULT_CLIENT_SECRET
    practice.clock.advance(HOUR + 1)

    assert practice.client().get("/me").status_code == 200

    assert json.loads(practice.secrets.get("notes-app-credentials"))["client_secret"] == NEW
    health = practice.valet.apps.health("notes")
    assert (health.new_secret, len(health.old_secrets)) == (None, 1)
    assert sum(one.status == 401 for one in practice.provider.requests) == 0


def _away(*_: object) -> None:
    raise StoreUnavailable("the secret service does not answer")


def test_no_secret_is_kept_where_nobody_wants_it(place: Place) -> None:
    place.connect("u1")
    place.provider.add_secret(NEW)
    place.apps.replace_secret("notes", NEW, overlap=0)
    place.expire()
    place.use()

    assert (place.apps.health("notes").old_secrets, place.sealed()) == ((), False)


def test_where_all_secrets_are_refused_no_connection_is_touched_and_the_candidate_waits(place: Place) -> None:
    place.connect("u1")
    place.apps.replace_secret("notes", NEW)
    place.provider.add_secret("another")
    place.provider.remove_secret(DEFAULT_CLIENT_SECRET)
    place.expire()

    for _ in range(2):
        with pytest.raises(ClientRejected):
            place.use()
    health = place.apps.health("notes")
    assert (place.refused(), health.health, health.new_secret.error) == (2, "fixing", "invalid_client")
    assert health.next_try_at is not None
    place.provider.add_secret(NEW)
    place.expire(60)

    assert (place.use(), place.kept(), place.apps.health("notes").health) == (200, NEW, "working")


def test_a_grant_that_the_provider_ended_proves_a_new_secret_too(place: Place) -> None:
    place.connect("u1")
    place.provider.add_secret(NEW)
    place.apps.replace_secret("notes", NEW)
    place.provider.revoke("ada")
    place.expire()

    with pytest.raises(ReauthorizationRequired):
        place.use()

    assert place.kept() == NEW


def test_an_outage_proves_nothing(place: Place) -> None:
    place.connect("u1")
    place.apps.replace_secret("notes", NEW)
    place.provider.fail_next(status=503)
    place.expire()
    with pytest.raises(ProviderUnavailable):
        place.use()

    assert place.apps.health("notes").new_secret is not None
    assert (place.apps.health("notes").health, place.kept()) == ("not_answering", DEFAULT_CLIENT_SECRET)


def test_a_sign_in_is_not_used_to_try_a_secret_and_gets_through_with_any(place: Place) -> None:
    place.apps.replace_secret("notes", "wrong")
    place.connect("u1")
    assert (place.refused(), place.apps.health("notes").refused_secret) == (0, None)

    place.provider.add_secret(NEW)
    place.apps.replace_secret("notes", NEW)
    place.provider.remove_secret(DEFAULT_CLIENT_SECRET)
    place.connect("u2")

    assert (place.kept(), place.use("u2")) == (NEW, 200)


def test_a_herd_tries_a_wrong_secret_and_a_dead_one_once(practice: Any) -> None:
    owners = [f"u{n}" for n in range(4)]
    for owner in owners:
        practice.connect("notes", owner=owner)
    others = [Valet(**practice._options()) for _ in range(2)]  # as two processes would be, each with its owners
    calls = [
        (lambda valet=others[n % 2], owner=owner: valet.client("notes", owner=owner).get("/me").status_code)
        for n, owner in enumerate(owners)
        for _ in range(10)
    ]

    def refused() -> int:
        return sum(one.status == 401 for one in practice.provider.requests if one.endpoint == "token")

    practice.valet.apps.replace_secret("notes", "wrong")
    practice.clock.advance(HOUR + 1)
    assert at_once(*calls) == [200] * 40
    assert (refused(), practice.provider.refreshes) == (1, 4)

    practice.provider.add_secret(NEW)
    practice.valet.apps.replace_secret("notes", NEW)
    practice.clock.advance(HOUR + 1)
    practice.client(owner="u0").get("/me")
    practice.provider.remove_secret(NEW)
    practice.clock.advance(HOUR + 1)
    assert practice.client(owner="u0").get("/me").status_code == 200
    assert at_once(*calls) == [200] * 40
    assert refused() == 2
    for valet in others:
        valet.close()


@pytest.mark.parametrize("check", ["client_credentials", "introspection"])
def test_a_secret_is_checked_at_once_where_that_spends_nothing(practice: Any, check: str) -> None:
    practice.declare("checked", secret_check=check, introspection_url=f"{practice.provider.issuer}/introspect")
    apps = practice.valet.apps

    wrong = apps.replace_secret("checked", "wrong")
    practice.provider.add_secret(NEW)

    assert (wrong.state, wrong.error) == ("refused", "invalid_client")
    assert apps.health("checked").refused_secret.error == "invalid_client"
    assert (apps.replace_secret("checked", NEW).state, apps.health("checked").refused_secret) == ("replaced", None)
    assert json.loads(practice.secrets.get("checked-app-credentials"))["client_secret"] == NEW


def test_an_end_is_told_of_thirty_seven_and_one_days_ahead_and_once_each(practice: Any) -> None:
    valet = practice.valet
    practice.connect("notes")
    valet.apps.set_end("notes", practice.clock.now() + 40 * DAY)
    seen = []
    for _ in range(42):
        run_worker(
            valet._core, once=True, concurrency=1, per_host=1, stops=[], tell=lambda _: None, on_dead=lambda *_: None
        )
        seen.append(sum(event.kind == "app_secret_ends_soon" for event in valet.events(limit=1000)))
        practice.clock.advance(DAY)

    assert (seen[9], seen[10], seen[32], seen[33], seen[38], seen[39], seen[41]) == (0, 1, 1, 2, 2, 3, 3)
    assert (valet.apps.health("notes").health, valet.apps.health("notes").error) == ("fixing", "app_secret_ended")


def test_who_replaces_a_secret_again_or_by_hand_gets_that_one(place: Place) -> None:
    place.connect("u1")
    place.apps.replace_secret("notes", "wrong")
    assert place.apps.withdraw_secret("notes")
    assert not place.apps.withdraw_secret("notes")
    place.apps.replace_secret("notes", "wrong again")
    place.provider.add_secret(NEW)
    app = {"client_id": "practice-app", "client_secret": NEW}
    place.practice.secrets.set("notes-app-credentials", json.dumps(app))
    place.expire()

    assert (place.use(), place.refused(), place.kept()) == (200, 0, NEW)


def test_what_cannot_be_replaced_is_refused_and_says_why(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    replaced = place.apps.replace_secret
    wrong = {
        "app_secret_same": lambda: replaced("notes", DEFAULT_CLIENT_SECRET),
        "secret_invalid": lambda: replaced("notes", " "),
        "overlap_invalid": lambda: replaced("notes", NEW, overlap=-1),
        "ends_at_invalid": lambda: replaced("notes", NEW, ends_at=5),
        "credential_unknown": lambda: replaced("nothing", NEW),
    }
    for code, call in wrong.items():
        with pytest.raises(ConfigurationError) as caught:
            call()
        assert (caught.value.code, bool(caught.value.hint)) == (code, True)
    monkeypatch.setitem(os.environ, "VALETKEY_NOTES_CLIENT_SECRET", "x")
    with pytest.raises(ConfigurationError) as caught:
        replaced("notes", NEW)
    assert caught.value.code == "app_secret_outside"
    assert place.told() == []
