"""A connection's token is exchanged for one for another service (RFC 8693), and assertions are supplied."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qs

import pytest

from valetkey import ConfigurationError, NotConnected, ReauthorizationRequired, Secret
from valetkey.errors import ConnectError, ProviderError
from valetkey.testing.provider import OMIT

conformance = pytest.mark.conformance
HOUR = 3600
API = "https://billing.example.com/api"


@pytest.fixture
def place(face: Any) -> Place:
    face.practice.provider.allow_target("billing")
    face.practice.provider.allow_target(API)
    face.practice.declare("billing", grant="token_exchange", scopes=[])
    face.practice.connect("notes", owner="ada")
    return Place(face)


class Place:
    """A person's connection, and a credential by which its token is exchanged."""

    def __init__(self, face: Any) -> None:
        self.face, self.practice, self.provider = face, face.practice, face.practice.provider
        self.sent: list[dict[str, list[str]]] = []
        self.before: Any = lambda _: None
        endpoint = face.raw._core.world.endpoint
        real = endpoint.send

        def send(request: Any, *, deadline: float) -> Any:
            if form := parse_qs(request.body.decode()):  # others ask who it is
                self.sent.append(form)
                self.before(form)
            return real(request, deadline=deadline)

        object.__setattr__(face.raw._core.world, "endpoint", type("Wire", (), {"send": staticmethod(send)})())

    def exchange(self, subject: Any = None, **options: Any) -> Any:
        whose = subject or self.face.client(owner="ada").target
        return self.face.valet.exchange("billing", **{"subject": whose, "audience": ["billing"], **options})

    def grants(self) -> list[str]:
        return [form["grant_type"][0].rpartition(":")[2] for form in self.sent]

    def subject(self) -> Any:
        return self.face.client(owner="ada").status()


@conformance("1 exchange: request and answer")
def test_a_token_is_exchanged_once_for_each_target_and_kept(place: Place) -> None:
    client = place.exchange(resource=[API], scopes=["notes.read"])
    mine = place.face.client(owner="ada").get_access_token()

    assert client.get_access_token() != mine
    (form,) = place.sent
    kind = "urn:ietf:params:oauth:token-type:access_token"
    assert form["subject_token"] == [mine.reveal()]
    assert (form["subject_token_type"], form["audience"], form["resource"]) == ([kind], ["billing"], [API])
    assert "actor_token" not in form
    assert "actor_token_type" not in form
    again = place.exchange(resource=[API], scopes=["notes.read"])
    other = place.exchange()
    assert again.get_access_token() == client.get_access_token() != other.get_access_token()
    assert len(place.sent) == 2
    status = client.status()
    assert (status.state, status.refreshable, status.connection.owner) == ("connected", True, "ada")
    kept = json.loads(status.params["exchange"])
    assert (kept["subject"], kept["audience"]) == (place.subject().connection_id, ["billing"])
    assert mine.reveal() not in str(status)


def test_what_has_ended_is_exchanged_again_for_a_subject_that_is_brought_up_to_date(place: Place) -> None:
    client = place.exchange()
    place.practice.clock.advance(HOUR + 1)

    assert client.get("/me").status_code == 200

    assert place.grants() == ["token-exchange", "refresh_token", "token-exchange"]
    assert place.sent[2]["subject_token"] == [place.face.client(owner="ada").get_access_token().reveal()]


@conformance("1 exchange: errors")
def test_a_refused_subject_is_renewed_once_and_no_grant_is_blamed(place: Place) -> None:
    client = place.exchange()
    place.practice.clock.advance(120)
    place.provider.expire_access_tokens()  # behind our back: also the subject's

    place.exchange(account="fresh")
    assert place.grants() == ["token-exchange", "token-exchange", "refresh_token", "token-exchange"]

    place.practice.clock.advance(HOUR + 1)
    place.provider.expire_access_tokens()
    place.sent.clear()
    assert client.get("/me").status_code == 200
    assert place.grants() == ["refresh_token", "token-exchange"]

    place.practice.clock.advance(HOUR - 1000)
    assert place.face.client(owner="ada").get("/me").status_code == 200
    place.provider.expire_access_tokens()
    place.sent.clear()
    client.refresh()
    assert place.grants() == ["token-exchange", "refresh_token", "token-exchange"]
    assert place.subject().state == "connected"


@conformance("1 exchange: errors")
def test_a_server_that_keeps_refusing_costs_one_renewal_and_nobody_a_connection(place: Place) -> None:
    client = place.exchange()
    place.practice.clock.advance(HOUR - 300)
    place.face.client(owner="ada").refresh()
    place.practice.clock.advance(120)
    place.sent.clear()
    place.before = lambda form: "subject_token" in form and place.provider.expire_access_tokens()

    with pytest.raises(ProviderError):
        client.refresh()

    assert place.grants() == ["token-exchange", "refresh_token", "token-exchange"]
    assert place.subject().state == "connected"
    assert client.status().state == "refresh_failing"


@conformance("1 exchange: errors")
def test_a_target_that_is_refused_is_final_and_stores_nothing(place: Place) -> None:
    with pytest.raises(ConnectError) as caught:
        place.exchange(audience=["elsewhere"])

    assert caught.value.code == "invalid_target"
    assert place.grants() == ["token-exchange"]
    assert place.subject().state == "connected"
    found = place.face.valet.connections(credential="billing")
    assert [status.state for status in found] == ["pending"]


@conformance("1 exchange: request and answer")
def test_an_answer_without_its_type_and_what_is_no_access_token_are_refused(place: Place) -> None:
    place.provider.change_answer(1, issued_token_type=OMIT)
    with pytest.raises(ConnectError) as caught:
        place.exchange()
    assert (caught.value.code, "issued_token_type" in str(caught.value)) == ("exchange_refused", True)
    with pytest.raises(ConnectError) as caught:
        place.exchange(requested_type="jwt")
    assert (caught.value.code, "N_A" in str(caught.value)) == ("exchange_refused", True)


@conformance("1 exchange: request and answer")
def test_who_acts_for_the_subject_is_sent_with_its_type(place: Place) -> None:
    place.practice.connect("notes", owner="bot", login="bot")
    bot = place.face.client(owner="bot").target

    place.exchange(actor=bot, actor_type="jwt")

    actor = place.face.client(owner="bot").get_access_token().reveal()
    assert place.sent[-1]["actor_token"] == [actor]
    assert place.sent[-1]["actor_token_type"] == ["urn:ietf:params:oauth:token-type:jwt"]


def test_a_token_that_was_given_is_exchanged_too_and_ends_with_its_own(place: Place) -> None:
    given = Secret(place.face.client(owner="ada").get_access_token().reveal())

    client = place.exchange(given, owner="eve")

    assert client.get("/me").status_code == 200
    assert not client.status().refreshable
    place.practice.clock.advance(HOUR + 1)
    with pytest.raises(ReauthorizationRequired):
        client.get_access_token()
    with pytest.raises(ConnectError) as caught:
        place.exchange(given, owner="eve")
    assert caught.value.code == "exchange_refused"


def test_one_text_for_a_list_is_told_by_its_own_name(place: Place) -> None:
    for name in ("audience", "resource", "scopes"):
        with pytest.raises(ConfigurationError, match=f"{name}='billing' is one string") as caught:
            place.exchange(**{name: "billing"})
        assert caught.value.hint == f"write {name}=['billing']"


@conformance("1 exchange: request and answer")
@pytest.mark.parametrize("issued", ["refresh_token", "id_token", "saml1", "saml2"])
def test_what_is_issued_as_something_else_is_no_access_token(place: Place, issued: str) -> None:
    place.provider.change_answer(1, issued_token_type=f"urn:ietf:params:oauth:token-type:{issued}")
    with pytest.raises(ConnectError) as caught:
        place.exchange()
    assert caught.value.code == "exchange_refused"
    assert issued in str(caught.value)


def test_what_cannot_be_exchanged_is_said_before_anything_is_sent(place: Place) -> None:
    ada = place.face.client(owner="ada").target
    for options, code in (
        ({"subject": "a text"}, "subject_invalid"),
        ({"subject": ada, "subject_type": "passport"}, "token_type_unknown"),
        ({"subject": ada, "audience": "billing"}, "scopes_not_a_list"),
        ({"subject": ada, "resource": ["billing#part"]}, "resource_invalid"),
    ):
        with pytest.raises(ConfigurationError) as caught:
            place.face.valet.exchange("billing", **options)
        assert caught.value.code == code
    with pytest.raises(ConfigurationError) as caught:
        place.face.valet.exchange("notes", subject=ada)
    assert caught.value.code == "grant_mismatch"
    with pytest.raises(NotConnected):
        place.exchange(place.face.client(owner="nobody").target)
    with pytest.raises(ConfigurationError) as caught:
        place.face.valet.connect("billing")
    assert caught.value.code in {"exchange_needed", "consent_not_needed"}
    assert place.sent == []


def test_assertions_are_supplied_by_the_program_or_kept_as_a_secret(face: Any) -> None:
    issuer = face.practice.provider.issuer

    def saml(name: str) -> str:
        return f"<Assertion><NameID>{name}</NameID><Audience>{issuer}</Audience></Assertion>"

    face.practice.declare("hr", grant="saml2_bearer", client_auth="none", assertion_secret_id="hr-assertion")
    with pytest.raises(ConfigurationError) as caught:
        face.client("hr", owner="ada").get_access_token()
    assert caught.value.code == "assertion_missing"
    face.practice.secrets.set("hr-assertion", saml("ada"))
    assert face.client("hr", owner="ada").get("/me").json()["login"] == "ada"

    face.valet.supply_assertions("hr", lambda owner, account: Secret(saml(f"{owner}-{account}")))

    assert face.client("hr", owner="bob", account="x").get("/me").json()["login"] == "bob-x"
