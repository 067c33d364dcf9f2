"""What a disconnect would do, against what it does."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from valetkey.engine.api_keys import ApiKeys
from valetkey.engine.bulk import Bulk
from valetkey.engine.bulk_acts import disconnecting
from valetkey.engine.calls import Calls
from valetkey.engine.consequences import of_disconnect, of_forget
from valetkey.engine.consequences_of_many import of_disconnects
from valetkey.engine.leaving import leaves_last
from valetkey.model.connections import Query
from valetkey.testing import Practice


@pytest.fixture
def core(practice: Practice) -> Any:
    return practice.valet._core


def consequences(core: Any, status: Any) -> Any:
    record = core.store.find(status.connection_id)
    assert record is not None
    return of_disconnect(core.world, record)


def texts(found: Any) -> str:
    return " ".join(f"{line.text}. {line.more}" for line in found.lines)


def test_nothing_is_changed_and_no_provider_is_asked(practice: Practice, core: Any) -> None:
    status = practice.connect(owner="ada")
    before, seen = core.store.find(status.connection_id), len(practice.provider.requests)

    found = consequences(core, status)

    assert found.revokes
    assert found.lives_until == status.expires_at
    assert core.store.find(status.connection_id) == before
    assert len(practice.provider.requests) == seen


def test_a_provider_that_cannot_be_told_is_said_so_and_is_not_told(practice: Practice, core: Any) -> None:
    practice.declare("files", display_name="Files", revocation_url="")
    status = practice.connect("files", owner="ada")

    found = consequences(core, status)

    assert not found.revokes
    assert found.reach == ""
    assert "Nothing is withdrawn at Files" in texts(found)
    assert practice.valet.disconnect("files", owner="ada").revoked == ()


def test_what_a_revocation_would_end_too_stands_in_its_way(practice: Practice, core: Any) -> None:
    practice.declare("files", display_name="Files", revocation_reach="user")
    status = practice.connect("files", owner="ada")
    practice.connect("files", owner="bob")

    found = consequences(core, status)

    assert found.others == ("files/bob",)
    assert not found.revokes
    assert "It would end files/bob too" in texts(found)
    assert practice.valet.disconnect("files", owner="ada").revoked == ()
    assert practice.provider.live_grants == 2


def test_an_app_that_is_another_one_now_cannot_take_the_token_back(practice: Practice, core: Any) -> None:
    status = practice.connect(owner="ada")
    credential = practice.wiring.get("notes")
    assert credential is not None
    practice.secrets.set(credential.secret_id, '{"client_id": "another", "client_secret": "x"}')

    found = consequences(core, status)

    assert not found.revokes
    assert "another client id" in texts(found)


def test_what_is_disconnected_has_nothing_left_to_withdraw(practice: Practice, core: Any) -> None:
    status = practice.connect(owner="ada")
    practice.valet.disconnect("notes", owner="ada")

    found = consequences(core, status)

    assert (found.revokes, found.lives_until, found.unknown_end) == (False, None, False)
    assert "there is no token to withdraw" in texts(found)


def test_forgetting_an_owner_lists_the_consequences_for_each_connection(practice: Practice, core: Any) -> None:
    practice.connect(owner="ada")
    practice.connect(owner="ada", account="work", login="bob")
    practice.connect(owner="bob")

    found = of_forget(core.world, "ada", core.env)

    assert [one.connection for one in found] == ["notes/ada", "notes/ada/work"]
    assert found[0].to_object()["connection"] == "notes/ada"


def test_the_api_keys_that_lose_its_tokens_are_named_and_no_others(practice: Practice, core: Any) -> None:
    status = practice.connect("notes", owner="ada")
    keys = ApiKeys(core.store, core.clock, core.env)
    assert "API key" not in texts(consequences(core, status))

    keys.add("crm", ["read_secret"])
    keys.add("looks only", ["read", "refresh"])
    keys.add("bob's", ["read_secret"], owners=["bob"])
    keys.add("ended", ["read_secret"], life=1.0)
    practice.clock.advance(2)
    assert "1 API key loses its tokens. Calls of the last 24 h: crm (no calls)." in texts(consequences(core, status))

    for number in range(6):
        keys.add(f"worker-{number}", ["read_secret"], owners=["ada"], credentials=["notes"])
    calls = Calls(core.clock, core.env)
    for key, count in zip(keys.list()[4:], (1, 1200), strict=False):
        for _ in range(count):
            calls.note(status.connection_id, key.id)
    calls.flush(core.store)
    found = consequences(core, status)
    assert (
        "7 API keys lose its tokens. Calls of the last 24 h: worker-1 (1,200 calls), worker-0 (1 call), crm (no calls),"
        " worker-2 (no calls), worker-3 (no calls) and 2 more." in texts(found)
    )
    assert [one["calls"] for one in found.to_object()["api_keys"]] == [1200, 1, 0, 0, 0, 0, 0]
    discreet = of_disconnect(core.world, core.store.find(status.connection_id), discreet=True)
    assert (discreet.api_keys, "API key" in texts(discreet)) == ((), False)
    practice.valet.disconnect("notes", owner="ada")
    assert "API key" not in texts(consequences(core, status))


def test_what_is_under_way_is_counted_and_what_stays_open_is_said(practice: Practice, core: Any) -> None:
    status = practice.connect("notes", owner="ada")
    quiet = consequences(core, status)
    assert (quiet.open_links, quiet.sign_ins, quiet.refreshing) == (0, 0, False)
    practice.valet.connect_link("notes", owner="ada")
    practice.valet.connect_link("notes", owner="bob")
    for owner in ("ada", "ada", "bob"):
        practice.valet.authorize("notes", owner=owner, redirect_uri="http://127.0.0.1/callback/notes")
    record = core.store.find(status.connection_id)
    assert core.store.claim(record, holder="h", life=60.0, spending="x")

    found = consequences(core, status)
    (forgotten,) = of_forget(core.world, "ada", core.env)

    assert (found.open_links, found.sign_ins, found.refreshing) == (1, 2, True)
    for words in ("2 sign-ins under way cannot finish", "1 connect link stays open until", "A refresh is under way"):
        assert words in texts(found)
    assert "1 open connect link is erased" in texts(forgotten)
    assert "stay" not in texts(forgotten)
    practice.valet.disconnect("notes", owner="ada")
    assert (consequences(core, status).sign_ins, consequences(core, status).open_links) == (0, 1)
    practice.valet.forget("ada")
    assert practice.valet.connect_link("notes", owner="ada")


def test_of_many_it_is_summed_by_what_a_withdrawal_reaches(practice: Practice, core: Any) -> None:
    practice.declare("files", display_name="Files", revocation_reach="user")
    practice.declare("mail", display_name="Mail", revocation_url="")
    chosen = [
        practice.connect("notes", owner="ada"),
        practice.connect("notes", owner="bob"),
        practice.connect("files", owner="ada", login="ada"),
        practice.connect("files", owner="bob", login="bob"),
        practice.connect("files", owner="bob", account="same", login="bob"),
        practice.connect("mail", owner="ada"),
        practice.connect("mail", owner="bob"),
    ]
    practice.connect("files", owner="elsewhere", login="ada")
    practice.connect("files", owner="carol", login="carol")
    practice.valet.disconnect("mail", owner="bob")
    ApiKeys(core.store, core.clock, core.env).add("worker", ["read_secret"], owners=["bob"])
    records = [core.store.find(status.connection_id) for status in chosen]
    seen = len(practice.provider.requests)

    found = of_disconnects(core.world, core.env, records)

    assert (found.n, found.live, found.others) == (7, 6, ("files/elsewhere",))
    told = texts(found)
    assert "Notes is told to withdraw the access of 2 connections. It ends what the app may do" in told
    assert "Files is told to withdraw the access of 2 connections. It ends everything" in told
    assert "Nothing is withdrawn at Files for 1 connection" in told
    assert "other connections of the same accounts too: files/elsewhere" in told
    assert "Nothing is withdrawn at Mail for 1 connection. Mail has no address for it" in told
    assert "1 API key loses their tokens. Calls of the last 24 h: worker (no calls)" in told
    assert "6 access tokens that were handed out may work for up to" in told
    assert len(practice.provider.requests) == seen
    assert [core.store.find(record.id) for record in records] == records
    assert of_disconnects(core.world, core.env, [records[-1]]).live == 0


def two_declarations(practice: Practice, core: Any) -> Any:
    """Ada connects one app twice: by a declaration that reaches all of her, then by one that reaches the grant."""
    practice.declare("all", display_name="All", revocation_reach="user")
    practice.declare("one", display_name="One", revocation_reach="grant")
    return [core.store.find(practice.connect(name, owner="ada", login="ada").connection_id) for name in ("all", "one")]


def test_an_owner_is_forgotten_in_the_order_that_was_told(practice: Practice, core: Any) -> None:
    two_declarations(practice, core)

    told = of_forget(core.world, "ada", core.env)
    done = practice.valet.forget("ada")

    assert [one.connection for one in told] == ["one/ada", "all/ada"]
    assert [(one.revokes, one.others) for one in told] == [(True, ()), (True, ())]
    assert [bool(one.may_live) for one in done] == [False, False]


def test_of_several_with_the_reach_of_a_user_it_is_said_that_the_last_is_withdrawn(
    practice: Practice, core: Any
) -> None:
    practice.declare("all", display_name="All", revocation_reach="user")
    for account in ("a", "b"):
        practice.connect("all", owner="ada", account=account, login="ada")

    told = of_forget(core.world, "ada", core.env)
    records = core.store.list(Query(env=core.env)).items
    summed = texts(of_disconnects(core.world, core.env, records))
    done = practice.valet.forget("ada")

    assert [one.revokes for one in told] == [bool(one.revoked) for one in done] == [False, True]
    assert "All is told to withdraw the access of 2 connections" in summed
    assert "the last that leaves is withdrawn, and that ends all of them" in summed


@pytest.mark.parametrize("turned", [False, True], ids=["wide first", "narrow first"])
def test_a_job_disconnects_so_that_what_was_told_happens(practice: Practice, core: Any, *, turned: bool) -> None:
    records = two_declarations(practice, core)
    chosen = records[::-1] if turned else records

    summed = of_disconnects(core.world, core.env, chosen)
    job = Bulk.begin(
        core.world,
        core.env,
        core.flights.call,
        disconnecting(core.world),
        kind="disconnect",
        what="two",
        by="mira",
        last=partial(leaves_last, core.world),
    ).run(chosen)

    assert "All is told to withdraw the access of 1 connection." in texts(summed)
    assert "One is told to withdraw the access of 1 connection." in texts(summed)
    assert "Nothing is withdrawn" not in texts(summed)
    assert (job.state, job.done, job.living) == ("finished", 2, 0)
    kinds = [event.kind for event in core.store.list_events(env=core.env)]
    assert kinds.count("revoked") == 2
    assert kinds.count("revocation_incomplete") == 0
