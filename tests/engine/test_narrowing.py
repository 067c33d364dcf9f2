"""Tokens for one resource each, out of one grant (RFC 8707 section 2.2)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs

import pytest

from valetkey.engine.consequences import of_disconnect
from valetkey.engine.disconnect import disconnect
from valetkey.engine.lifecycle import Want, obtain
from valetkey.engine.renewal import heal
from valetkey.engine.revoking import moment
from valetkey.engine.status import whole_status
from valetkey.engine.storing import put_grant
from valetkey.engine.transfer import export_grants, import_grants
from valetkey.engine.windows import CLAIM_LIFE, YOUNG
from valetkey.engine.world import open_grant
from valetkey.errors import (
    ConfigurationError,
    ProviderError,
    ProviderUnavailable,
    ReauthorizationRequired,
    StoreUnavailable,
)
from valetkey.model.connections import Expect, Record, Sealed
from valetkey.model.grants import Grant
from valetkey.model.ports import InDoubt
from valetkey.values import Request, Response

conformance = pytest.mark.conformance
HOUR = 3600


@pytest.fixture
def aimed(stage: Any) -> Any:
    """A connected stage whose grant is for two resources; its tokens are young."""
    stage.notes, stage.me = f"{stage.provider.url}/notes", f"{stage.provider.url}/me"
    for resource in (stage.notes, stage.me):
        stage.provider.allow_target(resource)
    stage.change(resources=(stage.notes, stage.me))
    stage.connect()
    stage.wire.sent.clear()
    return stage


def get(stage: Any, resource: str = "", **want: Any) -> Any:
    return obtain(stage.world, stage.key(), Want(resource=resource, **want))


def grant(stage: Any) -> Grant:
    found = open_grant(stage.world, stage.record())
    assert found is not None
    return found


def form(request: Request) -> dict[str, list[str]]:
    return parse_qs(request.body.decode())


def opens(stage: Any, held: Any) -> dict[str, bool]:
    token = stage.provider._ledger._access[held.grant.access_token.reveal()]
    return {name: token.opens(f"{stage.provider.url}/{name}") for name in ("notes", "me")}


# -- buying


@conformance("1 resource: one grant")
def test_a_refresh_names_the_resource_and_its_token_is_kept_beside_the_grants_own(aimed: Any) -> None:
    before = grant(aimed)

    held = get(aimed, aimed.notes)

    (request,) = aimed.wire.sent
    assert form(request)["grant_type"] == ["refresh_token"]
    assert form(request)["refresh_token"] == [before.refresh_token and before.refresh_token.reveal()]
    assert form(request)["resource"] == [aimed.notes]
    assert opens(aimed, held) == {"notes": True, "me": False}
    after = grant(aimed)
    assert after.access_token == before.access_token
    assert after.refresh_token not in (None, before.refresh_token), "the new one is that of the whole grant"
    assert after.resource_tokens[aimed.notes].access_token == held.grant.access_token != before.access_token


def test_the_row_tells_of_the_grants_own_token_and_of_the_refresh_token_that_is_left(aimed: Any) -> None:
    before = aimed.record()
    aimed.clock.advance(HOUR / 2)

    held = get(aimed, aimed.notes)

    after, left = aimed.record(), grant(aimed)
    assert (after.access_fp, after.expires_at, after.obtained_at) == (
        before.access_fp,
        before.expires_at,
        before.obtained_at,
    )
    assert after.refresh_fp == left.refresh_token.fingerprint() != before.refresh_fp
    assert (after.version, after.state, after.claim) == (before.version + 1, "connected", None)
    assert held.record == after
    assert held.facts.expires_at == after.expires_at + HOUR / 2
    assert held.facts.access_fp == held.grant.access_token.fingerprint()
    (event,) = [event for event in aimed.events() if event.kind == "refreshed"]
    assert event.detail == {"rotated": True, "resource": aimed.notes}


def test_each_resource_has_a_token_of_its_own_and_each_refresh_token_is_spent_once(aimed: Any) -> None:
    tokens = {name: get(aimed, name).grant.access_token for name in ("", aimed.notes, aimed.me)}

    again = {name: get(aimed, name).grant.access_token for name in ("", aimed.notes, aimed.me)}

    assert again == tokens
    assert len({token.reveal() for token in tokens.values()}) == 3
    spent = [form(request)["refresh_token"][0] for request in aimed.wire.sent]
    assert len(spent) == len(set(spent)) == 2
    assert aimed.provider.reuses == 0


def test_where_the_grants_own_token_is_for_that_one_alone_no_other_is_bought(aimed: Any) -> None:
    aimed.change(resources=(aimed.notes,))

    held = get(aimed, aimed.notes)

    assert aimed.wire.sent == []
    assert held.facts == held.record == aimed.record()


@conformance("1 resource: one grant")
def test_with_one_token_per_resource_people_sign_in_for_all_and_the_first_token_is_for_the_first(stage: Any) -> None:
    stage.provider.rules.one_resource = True
    notes, me = f"{stage.provider.url}/notes", f"{stage.provider.url}/me"
    for resource in (notes, me):
        stage.provider.allow_target(resource)
    stage.change(resources=(notes, me), one_token_per_resource=True)
    assert parse_qs(stage.start().url)["resource"] == [notes, me]
    stage.connect()

    own, other = get(stage), get(stage, me)

    assert get(stage, notes).grant.access_token == own.grant.access_token
    assert opens(stage, own) == {"notes": True, "me": False}
    assert opens(stage, other) == {"notes": False, "me": True}
    tokens = [form(one).get("resource") for one in stage.wire.sent if one.url.endswith("/token")]
    assert tokens == [[notes], [me]]


# -- keeping


def test_a_refresh_of_the_grants_own_token_keeps_those_of_resources_that_live(aimed: Any) -> None:
    notes = get(aimed, aimed.notes).grant.access_token
    aimed.clock.advance(HOUR / 2)
    me = get(aimed, aimed.me).grant.access_token
    aimed.clock.advance(HOUR / 2 + 1)

    get(aimed)

    assert {name: token.access_token for name, token in grant(aimed).resource_tokens.items()} == {aimed.me: me}
    assert get(aimed, aimed.me).grant.access_token == me
    assert get(aimed, aimed.notes).grant.access_token != notes


def test_one_that_has_ended_is_bought_again_and_nothing_else(aimed: Any) -> None:
    get(aimed, aimed.notes)
    aimed.clock.advance(HOUR / 2)
    own = get(aimed, manual=True, refused=aimed.record().access_fp).grant.access_token
    aimed.clock.advance(HOUR / 2 + 1)
    aimed.wire.sent.clear()

    get(aimed, aimed.notes)

    assert [form(one)["resource"] for one in aimed.wire.sent] == [[aimed.notes]]
    assert grant(aimed).access_token == own


def test_a_token_object_keeps_them(aimed: Any) -> None:
    get(aimed, aimed.notes)
    held = grant(aimed)

    assert Grant.from_json(held.to_json()) == held
    assert held.resource_tokens[aimed.notes].access_token.reveal() not in repr(held)


@pytest.mark.parametrize("value", ["text", {"https://a.example/": {}}, {"https://a.example/": "text"}, 7, ["a"]])
def test_a_token_object_with_odd_ones_is_none(value: object) -> None:
    with pytest.raises(ValueError, match="resource"):
        Grant.from_token_object({"access_token": "a", "resource_tokens": value})


@pytest.mark.parametrize("value", ["text", {"a": "b"}, 7, [7]])
def test_a_token_object_with_odd_resources_is_none(value: object) -> None:
    with pytest.raises(ValueError, match="resources"):
        Grant.from_token_object({"access_token": "a", "resources": value})


def test_export_and_import_keep_them(aimed: Any) -> None:
    notes = get(aimed, aimed.notes).grant.access_token
    (row,) = export_grants(aimed.world, "test", include_tokens=True)
    assert "resource_tokens" not in next(export_grants(aimed.world, "test")).get("token", {})

    report = import_grants(aimed.world, "test", [{**row, "account": "work"}])

    assert [one.outcome for one in report.rows] == ["created"], report
    aimed.wire.sent.clear()
    held = obtain(aimed.world, aimed.key(account="work"), Want(resource=aimed.notes))
    assert (held.grant.access_token, aimed.wire.sent) == (notes, [])


def test_a_row_whose_token_of_a_resource_no_header_can_carry_is_not_imported(aimed: Any) -> None:
    get(aimed, aimed.notes)
    (row,) = export_grants(aimed.world, "test", include_tokens=True)
    row["token"]["resource_tokens"][aimed.notes]["access_token"] = "a\r\nb"

    (one,) = import_grants(aimed.world, "test", [{**row, "account": "work"}]).rows

    assert (one.outcome, one.reason) == ("invalid", "its access token is none that a header can carry")


def test_a_new_sign_in_begins_without_them(aimed: Any) -> None:
    get(aimed, aimed.notes)

    aimed.connect()

    assert grant(aimed).resource_tokens == {}


# -- refusals


@pytest.mark.parametrize("error", ["invalid_target", "invalid_request", "invalid_scope", "access_denied"])
@conformance("1 resource: invalid_target")
def test_a_refused_resource_is_told_and_harms_nothing(aimed: Any, error: str) -> None:
    before, me = aimed.record(), get(aimed, aimed.me)
    before = aimed.record()
    aimed.provider.fail_next(status=400, error=error)

    with pytest.raises(ProviderError) as caught:
        get(aimed, aimed.notes)

    assert (caught.value.code, caught.value.error) == ("resource_refused", error)
    assert aimed.notes in str(caught.value)
    assert aimed.record() == before, "neither state nor claim nor back-off"
    assert get(aimed, aimed.me).grant.access_token == me.grant.access_token
    assert get(aimed, aimed.notes).record.state == "connected"


def test_an_empty_refusal_of_a_resource_never_counts_against_the_grant(aimed: Any) -> None:
    for _ in range(5):
        aimed.provider.fail_next(status=400, body=b"")
        with pytest.raises(ProviderError, match="HTTP 400"):
            get(aimed, aimed.notes)
        aimed.clock.advance(600)

    assert (aimed.record().state, aimed.record().failures) == ("connected", 0)


def test_while_the_token_lives_a_refusal_is_no_error(aimed: Any) -> None:
    notes = get(aimed, aimed.notes)
    aimed.clock.advance(HOUR - 30)
    aimed.provider.fail_next(status=400, error="invalid_target")

    assert get(aimed, aimed.notes).grant.access_token == notes.grant.access_token


def test_a_grant_that_is_refused_for_a_resource_is_asked_about_and_lives_on(aimed: Any) -> None:
    """Some servers say `invalid_grant` of a resource that was not in the authorization request."""
    object.__setattr__(aimed.world, "endpoint", _NeverFor(aimed.wire, aimed.notes))

    with pytest.raises(ProviderError) as caught:
        get(aimed, aimed.notes)

    assert (caught.value.code, caught.value.error) == ("resource_refused", "invalid_grant")
    assert [form(one)["resource"] for one in aimed.wire.sent] == [[aimed.notes, aimed.me]], "once, for its own token"
    assert (aimed.record().state, aimed.provider.reuses) == ("connected", 0)
    assert get(aimed, aimed.me).record.state == "connected"


class _NeverFor:
    """A way to a provider that says of one resource that the grant is invalid."""

    def __init__(self, inner: Any, resource: str) -> None:
        self.inner = inner
        self.resource = resource

    def send(self, request: Request, *, deadline: float) -> Any:
        if form(request).get("resource") == [self.resource]:
            return Response(status=400, headers={}, body=b'{"error": "invalid_grant"}')
        return self.inner.send(request, deadline=deadline)


def test_a_grant_that_is_refused_by_mistake_is_asked_for_the_resource_again(aimed: Any) -> None:
    aimed.provider.fail_next(status=400, error="invalid_grant")

    held = get(aimed, aimed.notes)

    asked = [form(one)["resource"] for one in aimed.wire.sent]
    assert asked == [[aimed.notes], [aimed.notes, aimed.me], [aimed.notes]]
    assert (opens(aimed, held)["notes"], aimed.provider.reuses) == (True, 0)


def test_a_grant_that_is_dead_is_found_out_by_asking_for_a_resource(aimed: Any) -> None:
    aimed.provider.revoke()

    with pytest.raises(ReauthorizationRequired) as caught:
        get(aimed, aimed.notes)

    assert caught.value.reason == aimed.record().reason == "revoked"
    with pytest.raises(ReauthorizationRequired):
        get(aimed, aimed.me)
    assert len(aimed.wire.sent) == 2


def test_a_provider_that_is_down_keeps_all_tokens_and_is_not_asked_at_once_again(aimed: Any) -> None:
    me = get(aimed, aimed.me)
    aimed.provider.fail_next(status=503, times=None)

    for _ in range(2):
        with pytest.raises(ProviderUnavailable):
            get(aimed, aimed.notes)

    assert len(aimed.wire.sent) == 2
    assert aimed.record().state == "refresh_failing"
    assert get(aimed, aimed.me).grant.access_token == me.grant.access_token
    assert get(aimed).grant.access_token == grant(aimed).access_token


# -- what may be asked for


def test_what_the_sign_in_did_not_ask_for_is_not_asked_for_either(aimed: Any) -> None:
    """Servers refuse it, and some spend the refresh token before they do."""
    later = f"{aimed.provider.url}/echo"
    aimed.provider.allow_target(later)
    aimed.change(resources=(aimed.notes, aimed.me, later))

    with pytest.raises(ConfigurationError) as caught:
        get(aimed, later)

    assert caught.value.code == "resource_not_signed_in"
    assert aimed.wire.sent == []
    get(aimed, manual=True, refused=aimed.record().access_fp)
    get(aimed, aimed.notes)
    with pytest.raises(ConfigurationError):
        get(aimed, later)
    aimed.connect()
    assert get(aimed, later).record.state == "connected"


def test_where_it_is_not_known_what_the_sign_in_asked_for_the_server_decides(aimed: Any) -> None:
    record = aimed.record()
    old = replace(grant(aimed), resources=())
    put_grant(aimed.world, aimed.credentials["notes"], aimed.key(), old, requested=(), client_id="", before=record)

    assert get(aimed, aimed.notes).record.state == "connected"


@pytest.mark.parametrize(
    ("resource", "code"),
    [
        pytest.param("https://elsewhere.example/", "resource_undeclared", id="another host"),
        pytest.param("{notes}s", "resource_undeclared", id="begins the same"),
        pytest.param("{notes}/a", "resource_undeclared", id="below"),
        pytest.param("{notes}/a#b", "resource_invalid", id="with a fragment"),
        pytest.param("notes", "resource_invalid", id="relative"),
        pytest.param("{notes}/a b", "resource_invalid", id="with a space"),
    ],
)
def test_only_what_is_declared_may_be_asked_for(aimed: Any, resource: str, code: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        get(aimed, resource.format(notes=aimed.notes))

    assert caught.value.code == code
    assert caught.value.hint
    assert aimed.wire.sent == []


def test_what_is_exchanged_has_no_resources_beside(aimed: Any) -> None:
    aimed.change(grant="token_exchange")

    with pytest.raises(ConfigurationError) as caught:
        get(aimed, aimed.notes)

    assert caught.value.code == "resource_of_exchange"


def test_without_a_refresh_token_there_is_none_and_the_grant_lives_on(aimed: Any) -> None:
    record = aimed.record()
    bare = replace(grant(aimed), refresh_token=None)
    put_grant(aimed.world, aimed.credentials["notes"], aimed.key(), bare, requested=(), client_id="", before=record)

    with pytest.raises(ConfigurationError) as caught:
        get(aimed, aimed.notes)

    assert caught.value.code == "resource_not_refreshable"
    assert aimed.record().state == "connected"


# -- 401s


def test_a_401_with_one_resources_token_renews_that_one_alone(aimed: Any) -> None:
    notes, me = get(aimed, aimed.notes), get(aimed, aimed.me)
    own = grant(aimed).access_token
    aimed.clock.advance(YOUNG + 1)
    aimed.wire.sent.clear()

    healed = heal(aimed.world, aimed.key(), notes.facts.access_fp, explicit=True, resource=aimed.notes)

    assert healed is not None
    assert [form(one)["resource"] for one in aimed.wire.sent] == [[aimed.notes]]
    after = grant(aimed)
    assert after.resource_tokens[aimed.notes].access_token == healed.grant.access_token != notes.grant.access_token
    assert (after.access_token, after.resource_tokens[aimed.me].access_token) == (own, me.grant.access_token)


def test_a_late_401_with_a_resources_token_gets_the_one_that_is_there(aimed: Any) -> None:
    notes = get(aimed, aimed.notes)
    aimed.clock.advance(YOUNG + 1)
    first = heal(aimed.world, aimed.key(), notes.facts.access_fp, explicit=True, resource=aimed.notes)
    aimed.wire.sent.clear()

    late = heal(aimed.world, aimed.key(), notes.facts.access_fp, explicit=True, resource=aimed.notes)

    assert late is not None
    assert first is not None
    assert late.grant.access_token == first.grant.access_token
    assert aimed.wire.sent == []


def test_a_resource_that_refuses_everything_holds_up_nobody_else(aimed: Any) -> None:
    notes = get(aimed, aimed.notes)
    aimed.clock.advance(YOUNG / 2)

    assert heal(aimed.world, aimed.key(), notes.facts.access_fp, explicit=True, resource=aimed.notes) is None
    assert aimed.record().cooldown_until is None
    aimed.clock.advance(YOUNG)
    assert heal(aimed.world, aimed.key(), aimed.record().access_fp, explicit=True) is not None


def test_a_401_with_a_resources_token_never_ends_a_grant_that_nothing_renews(aimed: Any) -> None:
    get(aimed, aimed.notes)
    bare = replace(grant(aimed), refresh_token=None)
    put_grant(
        aimed.world, aimed.credentials["notes"], aimed.key(), bare, requested=(), client_id="", before=aimed.record()
    )
    aimed.clock.advance(YOUNG + 1)
    mark = bare.resource_tokens[aimed.notes].access_token.fingerprint()

    assert heal(aimed.world, aimed.key(), mark, explicit=True, resource=aimed.notes) is None
    assert aimed.record().state == "connected"


# -- the protocol: claims, doubts, lost answers


def test_while_another_holder_refreshes_a_resource_is_waited_for(aimed: Any) -> None:
    record = aimed.record()
    claimed = aimed.store.claim(record, holder="other", life=CLAIM_LIFE, spending=record.refresh_fp)
    assert claimed is not None
    seen: list[int] = []

    def winner(_: Record, timeout: float) -> bool:
        seen.append(len(aimed.wire.sent))
        aimed.clock.advance(timeout)
        aimed.store.swap(replace(claimed, claim=None), expect=_expecting(claimed, "other"))
        return True

    aimed.store.wait_for_change = winner

    get(aimed, aimed.notes)

    assert seen == [0], "nothing is sent while somebody else may be spending"
    assert len(aimed.wire.sent) == 1


def _expecting(record: Record, holder: str) -> Any:
    return Expect.of(record, holder=holder)


def test_while_somebody_else_refreshes_the_living_token_of_a_resource_serves(aimed: Any) -> None:
    notes = get(aimed, aimed.notes)
    aimed.clock.advance(HOUR - 30)
    record = aimed.record()
    aimed.store.claim(record, holder="other", life=CLAIM_LIFE, spending=record.refresh_fp)

    assert get(aimed, aimed.notes).grant.access_token == notes.grant.access_token


@pytest.mark.parametrize("rotate", [True, False])
def test_a_commit_whose_answer_is_lost_is_found_again(aimed: Any, rotate: bool) -> None:
    aimed.provider.rules.rotate = rotate
    swap = aimed.store.swap
    lost: list[bool] = []

    def swallow(*args: Any, **how: Any) -> Any:
        stored = swap(*args, **how)
        if not lost and args[0].version > aimed_version:
            lost.append(True)
            raise StoreUnavailable("the answer is lost")
        return stored

    aimed_version = aimed.record().version
    aimed.store.swap = swallow

    held = get(aimed, aimed.notes)

    assert lost
    assert len(aimed.wire.sent) == 1
    assert grant(aimed).resource_tokens[aimed.notes].access_token == held.grant.access_token


def test_what_another_bought_meanwhile_without_rotation_is_not_taken_for_ours(aimed: Any) -> None:
    """Neither refresh token nor the grant's own token tell such answers apart."""
    aimed.provider.rules.rotate = False
    meanwhile: list[Callable[[], Any]] = [lambda: _overtake(aimed, aimed.me)]

    def after(_: Request) -> None:
        if meanwhile:
            meanwhile.pop()()

    aimed.wire.after = after

    held = get(aimed, aimed.notes)

    assert set(grant(aimed).resource_tokens) == {aimed.notes, aimed.me}
    assert grant(aimed).resource_tokens[aimed.notes].access_token == held.grant.access_token


def _overtake(stage: Any, resource: str) -> None:
    """Take the claim over, as from a holder that stood still, and buy a token for another resource."""
    stage.clock.advance(CLAIM_LIFE + 3)
    stage.world.store.wait_for_change(stage.record(), 0.0)
    record = stage.record()
    stage.store.swap(replace(record, claim=None), expect=_expecting(record, record.claim.holder))
    obtain(stage.world, stage.key(), Want(resource=resource))


def test_a_lost_answer_is_asked_for_once_more_and_counts_as_a_doubt(aimed: Any) -> None:
    aimed.provider.rules.on_reuse = "grace"
    aimed.provider.drop_after_rotation()

    held = get(aimed, aimed.notes)

    assert [form(one)["resource"] for one in aimed.wire.sent] == [[aimed.notes], [aimed.notes]]
    assert (aimed.record().doubt, aimed.record().state) == (0, "connected")
    assert opens(aimed, held)["notes"]


def test_in_doubt_a_token_of_a_resource_never_ends_the_grant(aimed: Any) -> None:
    aimed.change(retry_in_doubt=False)
    aimed.wire.cut("/token", InDoubt)
    with pytest.raises(ProviderUnavailable):
        get(aimed, aimed.notes)
    aimed.clock.advance(600)

    with pytest.raises(ProviderUnavailable):
        get(aimed, aimed.notes)

    assert aimed.record().state != "needs_reauth", "its own token lives, and is the one to tell"
    assert get(aimed).grant.access_token == grant(aimed).access_token


# -- without a person


def test_an_app_by_itself_fetches_one_for_each_resource(stage: Any) -> None:
    robot = _robot(stage)

    tokens = [obtain(stage.world, robot, Want(resource=one)) for one in (stage.notes, stage.me)]
    own = obtain(stage.world, robot)
    again = obtain(stage.world, robot, Want(resource=stage.me))

    assert [form(one)["resource"] for one in stage.wire.sent] == [[stage.notes], [stage.me], [stage.notes, stage.me]]
    assert {form(one)["grant_type"][0] for one in stage.wire.sent} == {"client_credentials"}
    assert again.grant.access_token == tokens[1].grant.access_token
    marks = {held.facts.access_fp for held in (*tokens, own)}
    assert len(marks) == 3


def test_the_first_token_for_a_resource_never_serves_as_the_grants_own(stage: Any) -> None:
    robot = _robot(stage)
    obtain(stage.world, robot, Want(resource=stage.notes))
    stage.provider.fail_next(status=503, times=None)

    with pytest.raises(ProviderUnavailable):
        obtain(stage.world, robot)


def _robot(stage: Any) -> Any:
    stage.notes, stage.me = f"{stage.provider.url}/notes", f"{stage.provider.url}/me"
    for resource in (stage.notes, stage.me):
        stage.provider.allow_target(resource)
    stage.declare("robot", grant="client_credentials", resources=(stage.notes, stage.me))
    return stage.key("robot")


# -- telling


def test_a_status_tells_of_them_by_fingerprint(aimed: Any) -> None:
    held = {name: get(aimed, name) for name in (aimed.notes, aimed.me)}

    status = whole_status(aimed.world, aimed.key(), aimed.record(), aimed.credentials["notes"])

    told = {one.resource: (one.fingerprint, one.expires_at, one.granted) for one in status.resource_tokens}
    assert told == {
        name: (one.facts.access_fp, one.facts.expires_at, ("notes.read", "notes.write")) for name, one in held.items()
    }
    aimed.clock.advance(HOUR)
    assert whole_status(aimed.world, aimed.key(), aimed.record(), aimed.credentials["notes"]).resource_tokens == ()


def test_a_status_of_a_grant_that_cannot_be_opened_tells_of_none(aimed: Any) -> None:
    get(aimed, aimed.notes)
    record = aimed.record()
    broken = replace(record, sealed=Sealed(b"broken", record.sealed.key_id))

    assert whole_status(aimed.world, aimed.key(), broken, aimed.credentials["notes"]).resource_tokens == ()


# -- the end


@pytest.mark.parametrize("reach", ["token", "grant"])
def test_a_disconnect_revokes_them(aimed: Any, reach: str) -> None:
    aimed.change(revocation_reach=reach)
    held = [get(aimed, name) for name in ("", aimed.notes, aimed.me)]
    aimed.wire.sent.clear()

    done = disconnect(aimed.world, aimed.credentials["notes"], aimed.key())

    revoked = [form(one)["token"][0] for one in aimed.wire.sent]
    assert revoked[1:] == [one.grant.access_token.reveal() for one in held], "after the refresh token"
    assert done.revoked == ("refresh_token", "access_token")
    assert done.may_live == ()


def test_what_may_live_after_a_disconnect_is_told_by_the_last_of_them(aimed: Any) -> None:
    aimed.change(revocation_url="")
    aimed.clock.advance(HOUR / 2)
    held = get(aimed, aimed.notes)
    assert of_disconnect(aimed.world, aimed.record()).lives_until == held.facts.expires_at

    done = disconnect(aimed.world, aimed.credentials["notes"], aimed.key())

    assert moment(held.facts.expires_at) in " ".join(done.may_live)
