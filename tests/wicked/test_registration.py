"""Apps that register themselves (RFC 7591, RFC 7592): what the server returned counts, and nothing wrong of it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from valetkey import AsyncValet
from valetkey.engine import registering
from valetkey.engine.registrations import registered
from valetkey.model.connections import ConnectionKey

conformance = pytest.mark.conformance


class Apps:
    """A credential whose app registers itself, and what is managed by hand."""

    def __init__(self, trial: Any) -> None:
        self.trial = trial
        fields = trial.server.credential_fields(discover=True)
        self.credential = trial.wiring.oauth2_credential(
            "notes", **{**fields, "scopes": ["notes.read"], "registration": "dynamic"}
        )
        self.world = trial.valet._core.world

    @property
    def kept(self) -> Any:
        found = registered(self.world.store, self.world.sealer, "test", self.credential)
        return found and found.registration

    def update(self) -> Any:
        return registering.update(self.world, "test", self.credential, {"client_name": "other"})

    def asked(self, endpoint: str) -> int:
        return sum(seen.endpoint == endpoint for seen in self.trial.server.requests)


@pytest.fixture
def apps(trial: Any) -> Apps:
    return Apps(trial)


def row(name: str, code: str, *lines: str) -> Any:
    return pytest.param(name, code, id=name, marks=[conformance(*lines)] if lines else [])


@pytest.mark.parametrize(
    ("name", "code"),
    [
        row("registration-other-redirect-uris", "registration_refused", "1 metadata: registration"),
        row("registration-no-id", "registration_refused"),
        row("registration-odd-id", "registration_refused"),
        row("registration-managed-inside", "registration_refused", "1 metadata: bounds"),
        row("registration-html", "registration_refused"),
        row("registration-huge", "provider_unavailable"),
        row("registration-refused", "registration_refused"),
        row("registration-redirect", "registration_refused"),
        row("registration-unknown-auth", "registration_refused"),
        row("registration-no-secret", "registration_refused"),
        row("registration-secret-ended", "registration_refused"),
    ],
)
def test_a_registration_that_is_none_ends_a_sign_in_before_it_begins(apps: Apps, name: str, code: str) -> None:
    trial = apps.trial
    trial.server.misbehave(name)

    assert trial.refused(lambda: trial.valet.authorize("notes")).code == code

    assert apps.asked("registration") == 1
    assert (trial.server.token_requests, apps.asked("authorization"), trial.ungranted) == (0, 0, True)
    trial.server.behave()
    assert trial.sign_in().state == "connected"


@conformance("1 metadata: registration")
def test_an_app_proves_itself_as_it_was_registered_and_not_as_it_asked(apps: Apps) -> None:
    apps.trial.server.misbehave("registration-other-auth")
    start = apps.trial.valet.authorize("notes")
    assert apps.kept.client_auth == "client_secret_post"
    client = apps.trial.server._ledger.clients[apps.kept.client_id]
    apps.trial.server.register_client(
        client.client_id, client.client_secret, auth="client_secret_post", redirect_uris=client.redirect_uris
    )

    callback = apps.trial.server.approve(start.url)

    assert apps.trial.valet.finish(callback, binding=start.binding).state == "connected"
    (sent,) = (seen for seen in apps.trial.server.requests if seen.endpoint == "token")
    assert sent.authentication == "post"


def test_the_token_of_a_registration_goes_to_its_server_only(apps: Apps) -> None:
    sent: list[str] = []
    real = apps.world.endpoint.send

    def send(request: Any, *, deadline: float) -> Any:
        sent.append(request.url)
        return real(request, deadline=deadline)

    object.__setattr__(apps.world, "endpoint", type("Wire", (), {"send": staticmethod(send)})())
    apps.trial.server.misbehave("registration-managed-elsewhere")
    assert apps.trial.sign_in().state == "connected", "the app itself is good"
    assert apps.trial.refused(apps.update).code == "registration_unmanaged"

    apps.trial.server.behave()
    registering.register(apps.world, "test", apps.credential, ())
    apps.trial.server.misbehave("management-moves")
    apps.update()
    first = apps.kept.management_url
    apps.update()

    assert apps.kept.management_url == first
    assert not any("evil" in url for url in sent)


@conformance("1 metadata: registration")
@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("management-other-client", "registration_refused"),
        ("management-gone", "registration_gone"),
        ("management-html", "registration_refused"),
    ],
)
def test_a_wrong_answer_to_managing_an_app_changes_nothing_here(apps: Apps, name: str, code: str) -> None:
    apps.trial.sign_in()
    before = apps.kept
    apps.trial.server.misbehave(name)

    assert apps.trial.refused(apps.update).code == code

    assert apps.kept == before
    assert apps.trial.status.state == "connected"


@conformance("1 metadata: registration secrets")
def test_a_new_secret_in_any_answer_is_the_one_in_use(apps: Apps) -> None:
    apps.trial.sign_in()
    apps.trial.server.misbehave("management-new-secret")

    apps.update()

    assert apps.kept.client_secret.reveal() == "dynamic-new-secret"
    assert apps.world.app(apps.credential).client_secret.reveal() == "dynamic-new-secret"


# -- a second redirect URI, at a server where a registration cannot be changed

FIRST, SECOND = "http://127.0.0.1:8421/callback/notes", "https://app.example.com/callback/notes"


def signed_in(apps: Apps, owner: str, redirect_uri: str) -> Any:
    valet = apps.trial.valet
    start = valet.authorize("notes", owner=owner, redirect_uri=redirect_uri)
    return start, lambda: valet.finish(apps.trial.server.approve(start.url), binding=start.binding, owner=owner)


@pytest.fixture
def unmanaged(apps: Apps) -> Apps:
    apps.trial.server.misbehave("registration-managed-elsewhere")
    return apps


async def refreshed(trial: Any, owner: str) -> str:
    async with AsyncValet(trial.store, **trial.options) as valet:
        return (await valet.client("notes", owner=owner).refresh()).state


def test_connections_go_on_with_the_app_that_they_were_made_with(unmanaged: Apps) -> None:
    trial = unmanaged.trial
    signed_in(unmanaged, "ada", FIRST)[1]()
    first = unmanaged.kept.client_id
    signed_in(unmanaged, "bob", SECOND)[1]()
    assert unmanaged.kept.client_id != first

    trial.age()
    for owner in ("ada", "bob"):
        assert trial.valet.client("notes", owner=owner).refresh().state == "connected"
    trial.age()
    assert asyncio.run(refreshed(trial, "ada")) == "connected"
    assert trial.store.load(ConnectionKey("test", "notes", "ada")).client_id == first

    asked = trial.server.revocations
    done = trial.valet.disconnect("notes", owner="ada")
    assert done.may_live == ()
    assert trial.server.revocations > asked
    assert trial.valet.client("notes", owner="bob").refresh().state == "connected"


def test_a_sign_in_under_way_ends_with_the_app_that_it_began_with(unmanaged: Apps) -> None:
    _, finish_first = signed_in(unmanaged, "ada", FIRST)
    _, finish_second = signed_in(unmanaged, "bob", SECOND)

    assert finish_first().state == "connected"
    assert finish_second().state == "connected"


def test_deleting_the_registration_forgets_those_before_it(unmanaged: Apps) -> None:
    signed_in(unmanaged, "ada", FIRST)[1]()
    signed_in(unmanaged, "bob", SECOND)[1]()
    assert len(unmanaged.world.store.list_documents("registration_before", env="test")) == 1

    registering.delete(unmanaged.world, "test", unmanaged.credential)

    assert unmanaged.world.store.list_documents("registration_before", env="test") == ()
